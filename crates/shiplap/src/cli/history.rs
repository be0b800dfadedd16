//! `history`.

use clap::{ArgAction, Args};
use jiff::Timestamp;
use shiplap_model::Platform;
use shiplap_ops::history::{self, HistoryStep, StepId};

use super::list::ListFlags;
use crate::{
    face::{Face, Failure},
    table::Columns,
    words,
};

/// Show the history of an image
#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    list: ListFlags,
    /// Print sizes and dates in human readable format (default true)
    #[arg(
        short = 'H',
        long,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        value_name = "bool",
        default_value = "true",
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    human: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Show history for the given platform (formatted as os[/arch[/variant]], e.g. linux/amd64)
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Image whose history to show
    #[arg(value_name = "IMAGE")]
    image: String,
}

/// A step as it is to be shown.
struct Shown {
    step: HistoryStep,
    whole: bool,
    human: bool,
    now: Timestamp,
}

impl Shown {
    fn created(&self) -> Option<Timestamp> {
        self.step.created.as_deref()?.parse().ok()
    }

    fn command(&self) -> String {
        let command = self.step.created_by.replace('\t', " ");
        if self.whole {
            return command;
        }
        words::ellipsis(&command, COMMAND_WIDTH)
    }

    fn id(&self) -> String {
        let digest = match &self.step.id {
            Some(StepId::Image(id)) => id.digest(),
            Some(StepId::Layer(diff_id)) => diff_id.digest(),
            None => return "<missing>".into(),
        };
        words::id(digest.as_str(), self.whole)
    }

    fn size(&self) -> String {
        if self.human {
            words::size(self.step.size_bytes)
        } else {
            self.step.size_bytes.to_string()
        }
    }
}

const COLUMNS: Columns<Shown> = Columns {
    row: "history step",
    table: "{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    all: &[
        ("Comment", "COMMENT", |row| row.step.comment.clone()),
        ("CreatedAt", "CREATED AT", |row| {
            row.created().map_or_else(String::new, |time| {
                time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
            })
        }),
        ("CreatedBy", "CREATED BY", Shown::command),
        ("CreatedSince", "CREATED", |row| {
            words::since(row.created(), row.now)
        }),
        ("ID", "IMAGE", Shown::id),
        ("Size", "SIZE", Shown::size),
    ],
};

const EXACT_TABLE: &str = "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

const COMMAND_WIDTH: usize = 45;

impl History {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let steps = history::history(&session.context, &self.image, self.platform.as_ref())?;
        let default = match (self.quiet, self.human) {
            (true, _) => Some("{{.ID}}"),
            (false, false) => Some(EXACT_TABLE),
            (false, true) => None,
        };
        let now = Timestamp::now();
        let rows = steps.into_iter().map(|step| Shown {
            step,
            whole: self.no_trunc,
            human: self.human,
            now,
        });
        self.list.print(face, &COLUMNS, default, rows)
    }
}
