//! Parser directives: `# name=value` on the first lines of a file.

use super::error::Fault;

/// What may be the name of one.
const NAMES: [&str; 3] = ["syntax", "escape", "check"];

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// From 1.
    pub(super) line: u32,
}

/// Reads directives line by line, until a line is none.
pub(super) struct Directives {
    comment: &'static str,
    seen: Vec<&'static str>,
    is_done: bool,
}

impl Directives {
    pub(super) fn new(comment: &'static str) -> Self {
        Self {
            comment,
            seen: Vec::new(),
            is_done: false,
        }
    }

    /// There are none any more.
    pub(super) fn end(&mut self) {
        self.is_done = true;
    }

    /// The directive in the next line.
    pub(super) fn next(&mut self, line: &str, number: u32) -> Result<Option<Directive>, Fault> {
        if self.is_done {
            return Ok(None);
        }
        let Some((name, value)) = line.strip_prefix(self.comment).and_then(split) else {
            self.is_done = true;
            return Ok(None);
        };
        if self.seen.contains(&name) {
            return Err(Fault::DuplicateDirective(name.to_owned()));
        }
        self.seen.push(name);
        Ok(Some(Directive {
            name,
            value: value.to_owned(),
            line: number,
        }))
    }
}

/// Name and value of ` name = value`.
fn split(text: &str) -> Option<(&'static str, &str)> {
    let (name, value) = text.trim_start().split_once('=')?;
    let name = name.trim_end();
    let known = NAMES.into_iter();
    let name = { known }.find(|known| known.eq_ignore_ascii_case(name))?;
    let value = value.trim();
    (!value.is_empty()).then_some((name, value))
}

/// Finds a directive at the start of a text, behind a line `#!…` if there is one.
pub(super) fn find(name: &str, text: &str, comment: &'static str) -> Option<Directive> {
    let mut directives = Directives::new(comment);
    let is_script = text.starts_with("#!");
    for (line, number) in text.lines().zip(1..).skip(usize::from(is_script)) {
        let directive = directives.next(line, number).ok()??;
        if directive.name == name {
            return Some(directive);
        }
    }
    None
}

/// The syntax a text says it has: `# syntax=`, or as other languages than Dockerfile say it:
/// `// syntax=` or `{"syntax": …}`.
pub(super) fn syntax(text: &str) -> Option<Directive> {
    find("syntax", text, "#")
        .or_else(|| find("syntax", text, "//"))
        .or_else(|| {
            let is_object = text.trim_start().starts_with('{');
            let value: serde_json::Value = is_object
                .then(|| serde_json::from_str(text).ok())
                .flatten()?;
            Some(Directive {
                name: "syntax",
                value: value.get("syntax")?.as_str()?.to_owned(),
                line: 1,
            })
        })
}

/// The first word of a syntax names a frontend; this says whether that one reads Dockerfiles: the
/// last part of its repository begins with `dockerfile`, wherever it is kept.
pub(super) fn is_dockerfile(syntax: &str) -> bool {
    let reference = syntax.split_whitespace().next().unwrap_or_default();
    let name = reference.rsplit('/').next().unwrap_or_default();
    name.starts_with("dockerfile")
}
