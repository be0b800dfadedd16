//! Go's text/template, as much of it as `--format` needs: actions with trim markers and comments,
//! fields, variables, pipes, `if`, `with`, `range`, `define`, `block`, `template`, and the
//! functions of Go and Docker.
//!
//! Never calls methods, and never `call`s: values are data. Numbers are 64-bit integers or floats,
//! never complex; strings are UTF-8, so that one cut within a character loses that character.

mod ast;
mod exec;
mod functions;
mod lex;
mod number;
mod parse;
mod printf;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use value::Value;

use shiplap_model::limits;

/// A template that could not be parsed or executed; says so as Docker does.
#[derive(Debug, thiserror::Error)]
#[error("template parsing error: {0}")]
pub(crate) struct Error(String);

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    text: String,
    bodies: parse::Bodies,
}

impl Template {
    /// Parses a template.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > limits::TEMPLATE_BYTES {
            let most = limits::TEMPLATE_BYTES;
            return Err(Error(format!(
                "template: the text is longer than {most} bytes"
            )));
        }
        let bodies = parse::parse(text).map_err(Error)?;
        Ok(Self {
            text: text.to_owned(),
            bodies,
        })
    }

    /// Whether the text may depend on this field of its data; `true` where only running it would
    /// tell.
    pub(crate) fn may_show(&self, field: &str) -> bool {
        // A dot that no name follows is the data as a whole, as `$` is.
        let is_whole = |(at, _): (usize, &str)| {
            !self.text[at + 1..].starts_with(|c: char| c.is_alphabetic() || c == '_')
        };
        self.text.contains(field)
            || self.text.contains('$')
            || self.text.match_indices('.').any(is_whole)
    }

    /// The template's text for `data`.
    pub(crate) fn execute(&self, data: &Value) -> Result<String, Error> {
        self.run(data, exec::Mode::default())
    }

    /// The same, appended to `out`: for lists of many.
    pub(crate) fn execute_onto(&self, data: &Value, out: &mut String) -> Result<(), Error> {
        let mode = exec::Mode::default();
        exec::execute(&self.bodies, &self.text, data, mode, out).map_err(Error)
    }

    /// As [`Template::execute`], but a key that isn't there is an error.
    pub(crate) fn execute_strictly(&self, data: &Value) -> Result<String, Error> {
        self.run(
            data,
            exec::Mode {
                missing_is_error: true,
                ..exec::Mode::default()
            },
        )
    }

    /// The line of column names: `names` maps each field to its column's.
    pub(crate) fn header(&self, names: &Value) -> Result<String, Error> {
        self.run(
            names,
            exec::Mode {
                is_header: true,
                ..exec::Mode::default()
            },
        )
    }

    fn run(&self, data: &Value, mode: exec::Mode) -> Result<String, Error> {
        let mut text = String::new();
        exec::execute(&self.bodies, &self.text, data, mode, &mut text).map_err(Error)?;
        Ok(text)
    }
}
