//! Lists as Docker prints them: `--format`, column names, and columns padded as by Go's
//! text/tabwriter.
//!
//! Never knows what is listed: a verb gives rows and [`Columns`].

use std::rc::Rc;

use crate::template::{self, Template, Value};

/// The columns of a list of `T`.
#[derive(Debug)]
pub(crate) struct Columns<T: 'static> {
    /// What a row is called in errors.
    pub(crate) row: &'static str,
    /// The template of the table that is shown by default.
    pub(crate) table: &'static str,
    /// Everything a template may show, sorted by field as Docker's JSON has it.
    pub(crate) all: &'static [Column<T>],
}

/// Field, column name, and what a row has there.
pub(crate) type Column<T> = (&'static str, &'static str, fn(&T) -> String);

/// The value of `--format`, taken apart.
#[derive(Debug)]
pub(crate) struct Format {
    is_table: bool,
    template: Template,
}

impl Format {
    /// Takes `--format` apart; without it, the columns' own table.
    pub(crate) fn parse<T>(
        format: Option<&str>,
        columns: &Columns<T>,
    ) -> Result<Self, template::Error> {
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
    pub(crate) fn render<T>(
        &self,
        columns: &Columns<T>,
        rows: impl IntoIterator<Item = T>,
    ) -> Result<String, template::Error> {
        let shown: Vec<_> = columns
            .all
            .iter()
            .filter(|(field, ..)| self.template.may_show(field))
            .map(|(field, _, text)| (Rc::<str>::from(*field), text))
            .collect();
        let mut lines = String::new();
        if self.is_table {
            let names = columns
                .all
                .iter()
                .map(|(field, name, _)| (*field, (*name).to_owned()));
            lines = self.template.header(&Value::string_map(names))? + "\n";
        }
        for row in rows {
            let fields = shown
                .iter()
                .map(|(field, text)| (Rc::clone(field), Value::from(text(&row))));
            let record = Value::record(columns.row, fields);
            self.template.execute_onto(&record, &mut lines)?;
            lines.push('\n');
        }
        if !self.is_table {
            return Ok(lines);
        }
        Ok(align(&lines))
    }
}

/// How far columns are apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spacing {
    /// What a cell has at least.
    pub(crate) width: usize,
    /// Blanks behind the widest.
    pub(crate) padding: usize,
}

/// That of lists.
const LISTS: Spacing = Spacing {
    width: 10,
    padding: 3,
};

/// Aligns cells as lists have them: see [`align_by`].
pub(crate) fn align(text: &str) -> String {
    align_by(text, LISTS)
}

/// Aligns cells that end with a tab: each as wide as the widest above and below it that can be
/// reached without a gap, and some blanks. The last cell of a line is left alone.
pub(crate) fn align_by(text: &str, spacing: Spacing) -> String {
    let mut widths: Vec<usize> = Vec::new();
    // Of the cells that end with a tab, in their order.
    let mut blocks: Vec<usize> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for line in cells(text) {
        let mut ended = 0;
        for cell in line {
            if open.len() == ended {
                open.push(widths.len());
                widths.push(spacing.width);
            }
            let block = open[ended];
            widths[block] = widths[block].max(width(cell) + spacing.padding);
            blocks.push(block);
            ended += 1;
        }
        open.truncate(ended);
    }
    let mut aligned = String::with_capacity(text.len() * 2);
    let mut blocks = blocks.into_iter();
    for line in cells(text) {
        let mut line = line;
        for (cell, block) in line.by_ref().zip(&mut blocks) {
            aligned.push_str(cell);
            let missing = widths[block].saturating_sub(width(cell));
            aligned.extend(std::iter::repeat_n(' ', missing));
        }
        aligned.push_str(line.rest);
        aligned.push('\n');
    }
    // What follows the last newline is a line, too.
    aligned.pop();
    aligned
}

/// A line's cells that end with a tab.
struct Cells<'t> {
    /// What follows them.
    rest: &'t str,
}

impl<'t> Iterator for Cells<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let end = self.rest.bytes().position(|byte| byte == b'\t')?;
        let (cell, rest) = (&self.rest[..end], &self.rest[end + 1..]);
        self.rest = rest;
        Some(cell)
    }
}

fn cells(text: &str) -> impl Iterator<Item = Cells<'_>> {
    text.split('\n').map(|rest| Cells { rest })
}

fn width(cell: &str) -> usize {
    match cell.is_ascii() {
        true => cell.len(),
        false => cell.chars().count(),
    }
}

#[cfg(test)]
mod tests;
