//! `search`.

use clap::Args;
use shiplap_ops::search::{self, SearchOptions, SearchResult};

use super::list::ListFlags;
use crate::{
    face::{self, Face, Failure},
    table::Columns,
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

/// A result as it is to be shown.
struct Shown {
    result: SearchResult,
    whole: bool,
}

impl Shown {
    fn description(&self) -> String {
        let description = self.result.description.replace(['\n', '\r', '\t'], " ");
        if self.whole {
            return description;
        }
        words::ellipsis(&description, DESCRIPTION_WIDTH)
    }
}

fn mark(is_so: bool) -> String {
    if is_so {
        "[OK]".to_owned()
    } else {
        String::new()
    }
}

const COLUMNS: Columns<Shown> = Columns {
    row: "search result",
    table: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
    all: &[
        ("Description", "DESCRIPTION", Shown::description),
        ("IsAutomated", "AUTOMATED", |row| {
            mark(row.result.is_automated)
        }),
        ("IsOfficial", "OFFICIAL", |row| mark(row.result.is_official)),
        ("Name", "NAME", |row| row.result.name.clone()),
        ("StarCount", "STARS", |row| {
            row.result.star_count.to_string()
        }),
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
        let whole = self.no_trunc;
        let rows = results.into_iter().map(|result| Shown { result, whole });
        self.list.print(face, &COLUMNS, None, rows)
    }
}
