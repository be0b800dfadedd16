//! `search`.

use clap::Args;
use shiplap_ops::search::{self, SearchOptions, SearchResult};

use super::list::ListFlags;
use crate::{
    face::{self, Face, Failure},
    table::{Columns, Row},
    words,
};

/// Search a registry for images
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Filter output based on conditions provided: stars, is-official, is-automated
    #[arg(short, long, value_name = "filter")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListFlags,
    /// Max number of search results
    #[arg(long, value_name = "int", default_value_t = 25)]
    limit: usize,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// What to search for; a registry may stand before it, as in registry.example/term
    #[arg(value_name = "TERM")]
    term: String,
}

const COLUMNS: Columns = Columns {
    row: "search result",
    table: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
    names: &[
        ("Description", "DESCRIPTION"),
        ("IsAutomated", "AUTOMATED"),
        ("IsOfficial", "OFFICIAL"),
        ("Name", "NAME"),
        ("StarCount", "STARS"),
    ],
};

const DESCRIPTION_WIDTH: usize = 45;

impl Search {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let filters = face::filters(&self.filter)?;
        let options = SearchOptions {
            term: self.term,
            limit: self.limit,
            filters,
        };
        let session = face.session(true)?;
        let results = search::search(&session.context, &options)?;
        let rows = results.into_iter().map(|result| row(result, self.no_trunc));
        self.list.print(face, &COLUMNS, None, rows)
    }
}

fn row(result: SearchResult, whole: bool) -> Row {
    let mark = |is_so: bool| {
        if is_so {
            "[OK]".to_owned()
        } else {
            String::new()
        }
    };
    let description = result.description.replace(['\n', '\r', '\t'], " ");
    Row::new([
        (
            "Description",
            if whole {
                description
            } else {
                words::ellipsis(&description, DESCRIPTION_WIDTH)
            },
        ),
        ("IsAutomated", mark(result.is_automated)),
        ("IsOfficial", mark(result.is_official)),
        ("Name", result.name),
        ("StarCount", result.star_count.to_string()),
    ])
}
