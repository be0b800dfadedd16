//! Lists as Docker prints them: `--format`, column names, and columns padded as by Go's
//! text/tabwriter.
//!
//! Never knows what is listed: a verb gives rows and [`Columns`].

use crate::template::{self, Template, Value};

/// The columns of a list.
#[derive(Debug)]
pub(crate) struct Columns {
    /// What a row is called in errors.
    pub(crate) row: &'static str,
    /// The template of the table that is shown by default.
    pub(crate) table: &'static str,
    /// Field and column name of everything a template may show.
    pub(crate) names: &'static [(&'static str, &'static str)],
}

/// The value of `--format`, taken apart.
#[derive(Debug)]
pub(crate) struct Format {
    is_table: bool,
    template: Template,
}

impl Format {
    /// Takes `--format` apart; without it, the columns' own table.
    pub(crate) fn parse(format: Option<&str>, columns: &Columns) -> Result<Self, template::Error> {
        let (is_table, text) = match format.unwrap_or("table") {
            "json" => (false, "{{json .}}"),
            format => match format.strip_prefix("table") {
                Some(own) if own.trim_matches(' ').is_empty() => (true, columns.table),
                Some(text) => (true, text),
                None => (false, format),
            },
        };
        let text = text
            .trim_matches(' ')
            .replace("\\t", "\t")
            .replace("\\n", "\n");
        Ok(Self {
            is_table,
            template: Template::parse(&text)?,
        })
    }

    /// The list's text.
    pub(crate) fn render(
        &self,
        columns: &Columns,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<String, template::Error> {
        let mut lines = String::new();
        for row in rows {
            lines.push_str(&self.template.execute(&row.value(columns))?);
            lines.push('\n');
        }
        if !self.is_table {
            return Ok(lines);
        }
        let names = columns
            .names
            .iter()
            .map(|(field, name)| (*field, (*name).to_owned()));
        let header = self.template.header(&Value::string_map(names))?;
        Ok(align(&format!("{header}\n{lines}")))
    }
}

/// The fields of one row, in any order.
#[derive(Debug, Default)]
pub(crate) struct Row(Vec<(&'static str, Value)>);

impl Row {
    /// A row of these fields.
    pub(crate) fn new<const N: usize>(fields: [(&'static str, String); N]) -> Self {
        Self(
            fields
                .into_iter()
                .map(|(name, text)| (name, Value::from(text)))
                .collect(),
        )
    }

    fn value(self, columns: &Columns) -> Value {
        let mut fields = self.0;
        // Docker's JSON has them sorted.
        fields.sort_by_key(|(name, _)| *name);
        Value::record(columns.row, fields)
    }
}

const WIDTH: usize = 10;
const PADDING: usize = 3;

/// Aligns cells that end with a tab: each as wide as the widest above and below it that can be
/// reached without a gap, and 3 blanks, but at least 10. The last cell of a line is left alone.
pub(crate) fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text
        .split('\n')
        .map(|line| line.split('\t').collect())
        .collect();
    let mut widths: Vec<usize> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut blocks: Vec<usize> = Vec::with_capacity(lines.iter().map(Vec::len).sum());
    for line in &lines {
        let ended = line.len() - 1;
        open.truncate(ended);
        while open.len() < ended {
            open.push(widths.len());
            widths.push(WIDTH);
        }
        for (cell, block) in line.iter().zip(&open) {
            let width = cell.chars().count() + PADDING;
            widths[*block] = widths[*block].max(width);
            blocks.push(*block);
        }
    }
    let mut aligned = String::with_capacity(text.len() * 2);
    let mut blocks = blocks.into_iter();
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            aligned.push('\n');
        }
        if let Some((last, ended)) = line.split_last() {
            for (cell, block) in ended.iter().zip(&mut blocks) {
                aligned.push_str(cell);
                let missing = widths[block].saturating_sub(cell.chars().count());
                aligned.extend(std::iter::repeat_n(' ', missing));
            }
            aligned.push_str(last);
        }
    }
    aligned
}

#[cfg(test)]
mod tests;
