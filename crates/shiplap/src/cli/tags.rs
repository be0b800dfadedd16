//! `tags`.

use clap::Args;
use jiff::Timestamp;
use shiplap_model::{Digest, ImageId, Reference};
use shiplap_ops::tags::{self, ListedTag, TagsOptions};

use super::list::ListFlags;
use crate::{
    face::{Face, Failure},
    table::Columns,
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

/// A tag as it is to be shown.
struct Shown {
    tag: ListedTag,
    whole: bool,
    now: Timestamp,
}

impl Shown {
    fn created(&self) -> Option<Timestamp> {
        self.tag.created.as_deref()?.parse().ok()
    }

    fn short(&self, digest: Option<&Digest>) -> String {
        digest.map_or_else(String::new, |digest| words::id(digest.as_str(), self.whole))
    }

    fn platforms(&self) -> String {
        let platforms = self.tag.platforms.join(",");
        if self.whole {
            return platforms;
        }
        words::ellipsis(&platforms, PLATFORMS_WIDTH)
    }
}

const COLUMNS: Columns<Shown> = Columns {
    row: "tag",
    table: "{{.Tag}}\t{{.CreatedSince}}\t{{.Size}}\t{{.Platforms}}\t{{.Digest}}\t{{.Here}}",
    all: &[
        ("CreatedAt", "CREATED AT", |row| words::at(row.created())),
        ("CreatedSince", "CREATED", |row| {
            words::since(row.created(), row.now)
        }),
        ("Digest", "DIGEST", |row| row.short(row.tag.digest.as_ref())),
        ("Here", "HERE", |row| {
            row.short(row.tag.here.as_ref().map(ImageId::digest))
        }),
        ("Platforms", "PLATFORMS", Shown::platforms),
        ("Size", "SIZE", |row| {
            row.tag.size_bytes.map_or_else(String::new, words::size)
        }),
        ("Tag", "TAG", |row| row.tag.tag.clone()),
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
        let whole = self.no_trunc;
        let rows = tags.into_iter().map(|tag| Shown { tag, whole, now });
        self.list.print(face, &COLUMNS, default, rows)?;
        if shown < count {
            face.output.talk(&format!(
                "{shown} of {count} tags; --limit {count} shows all"
            ));
        }
        Ok(())
    }
}
