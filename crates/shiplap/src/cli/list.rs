//! What lists share: `--format`, `--json`, `--no-trunc`, and Docker's columns.

use clap::Args;

use crate::{
    face::{Face, Failure},
    table::{Columns, Format},
};

/// Flags of every list.
#[derive(Debug, Args)]
pub(crate) struct ListFlags {
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    pub(crate) format: Option<String>,
    /// Print in JSON format, one object a line
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
}

impl ListFlags {
    /// The format that the user chose.
    pub(crate) fn chosen(&self) -> Option<&str> {
        if self.json {
            return Some("json");
        }
        self.format.as_deref()
    }

    /// Whether the user chose a format.
    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen().is_some()
    }

    /// Whether the chosen format shows this field.
    pub(crate) fn mentions(&self, field: &str) -> bool {
        self.format
            .as_deref()
            .is_some_and(|format| format.contains(field))
    }

    /// Prints the list; `default` is the format if none was chosen.
    pub(crate) fn print<T>(
        &self,
        face: &Face,
        columns: &Columns<T>,
        default: Option<&str>,
        rows: impl IntoIterator<Item = T>,
    ) -> Result<(), Failure> {
        let format = Format::parse(self.chosen().or(default), columns)?;
        Ok(face.output.data(&format.render(columns, rows)?)?)
    }
}
