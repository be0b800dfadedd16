//! `history`.

use clap::{ArgAction, Args};
use jiff::Timestamp;
use shiplap_ops::history::{self, HistoryStep, StepId};

use super::list::ListFlags;
use crate::{
    face::{Face, Failure},
    table::{Columns, Row},
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
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Image whose history to show
    #[arg(value_name = "IMAGE")]
    image: String,
}

const COLUMNS: Columns = Columns {
    row: "history step",
    table: "{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    names: &[
        ("Comment", "COMMENT"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("CreatedSince", "CREATED"),
        ("ID", "IMAGE"),
        ("Size", "SIZE"),
    ],
};

const EXACT_TABLE: &str = "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

const COMMAND_WIDTH: usize = 45;

impl History {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let steps = history::history(&session.context, &self.image)?;
        let default = match (self.quiet, self.human) {
            (true, _) => Some("{{.ID}}"),
            (false, false) => Some(EXACT_TABLE),
            (false, true) => None,
        };
        let now = Timestamp::now();
        let rows = steps.into_iter().map(|step| self.row(&step, now));
        self.list.print(face, &COLUMNS, default, rows)
    }

    fn row(&self, step: &HistoryStep, now: Timestamp) -> Row {
        let created: Option<Timestamp> = step.created.as_deref().and_then(|time| time.parse().ok());
        let command = step.created_by.replace('\t', " ");
        let id = match &step.id {
            Some(StepId::Image(id)) => words::id(&id.to_string(), self.no_trunc),
            Some(StepId::Layer(diff_id)) => words::id(&diff_id.to_string(), self.no_trunc),
            None => "<missing>".into(),
        };
        Row::new([
            ("Comment", step.comment.clone()),
            (
                "CreatedAt",
                created.map_or_else(String::new, |time| {
                    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
                }),
            ),
            (
                "CreatedBy",
                if self.no_trunc {
                    command
                } else {
                    words::ellipsis(&command, COMMAND_WIDTH)
                },
            ),
            ("CreatedSince", words::since(created, now)),
            ("ID", id),
            (
                "Size",
                if self.human {
                    words::size(step.size_bytes)
                } else {
                    step.size_bytes.to_string()
                },
            ),
        ])
    }
}
