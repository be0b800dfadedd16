//! `tags`.

use clap::Args;
use jiff::Timestamp;
use shiplap_model::Reference;
use shiplap_ops::tags::{self, ListedTag, TagsOptions};

use super::list::ListFlags;
use crate::{
    face::{Face, Failure},
    table::{Columns, Row},
    words,
};

/// List the tags of a repository in a registry
#[derive(Debug, Args)]
pub(crate) struct Tags {
    #[command(flatten)]
    list: ListFlags,
    /// Max number of tags whose details are asked for
    #[arg(long, value_name = "int", default_value_t = 100)]
    limit: usize,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show names
    #[arg(short, long)]
    quiet: bool,
    /// Repository whose tags to list
    #[arg(value_name = "REPOSITORY")]
    repository: String,
}

const COLUMNS: Columns = Columns {
    row: "tag",
    table: "{{.Tag}}\t{{.CreatedSince}}\t{{.Size}}\t{{.Platforms}}\t{{.Digest}}\t{{.Here}}",
    names: &[
        ("CreatedAt", "CREATED AT"),
        ("CreatedSince", "CREATED"),
        ("Digest", "DIGEST"),
        ("Here", "HERE"),
        ("Platforms", "PLATFORMS"),
        ("Size", "SIZE"),
        ("Tag", "TAG"),
    ],
};

const PLATFORMS_WIDTH: usize = 30;

impl Tags {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let options = TagsOptions {
            repository: Reference::parse(&self.repository)?.repository().clone(),
            limit: self.limit,
            names_only: self.quiet && !self.list.is_chosen(),
        };
        let session = face.session(true)?;
        let (tags, count) = tags::tags(&session.context, &options)?;
        let shown = tags.len();
        let now = Timestamp::now();
        let default = self.quiet.then_some("{{.Tag}}");
        let rows = tags.into_iter().map(|tag| row(tag, self.no_trunc, now));
        self.list.print(face, &COLUMNS, default, rows)?;
        if shown < count {
            face.output.talk(&format!(
                "{shown} of {count} tags; --limit {count} shows all"
            ));
        }
        Ok(())
    }
}

fn row(tag: ListedTag, whole: bool, now: Timestamp) -> Row {
    let created: Option<Timestamp> = tag.created.as_deref().and_then(|time| time.parse().ok());
    let platforms = tag.platforms.join(",");
    let short = |text: String| words::id(&text, whole);
    Row::new([
        ("CreatedAt", words::at(created)),
        ("CreatedSince", words::since(created, now)),
        (
            "Digest",
            tag.digest
                .map_or_else(String::new, |digest| short(digest.to_string())),
        ),
        (
            "Here",
            tag.here
                .map_or_else(String::new, |id| short(id.to_string())),
        ),
        (
            "Platforms",
            if whole {
                platforms
            } else {
                words::ellipsis(&platforms, PLATFORMS_WIDTH)
            },
        ),
        ("Size", tag.size_bytes.map_or_else(String::new, words::size)),
        ("Tag", tag.tag),
    ])
}
