//! Rewrites what can be rewritten without changing what the Dockerfile means: exactly the bytes of a
//! finding, so that comments and layout stay. What comes of it is read again and compared; a change that
//! does more than it should is not made.

mod check;

use std::ops::Range;

use shiplap_model::dockerfile::{self, Dockerfile, Instruction, Kind, Span};

use super::finding::Finding;
use super::review::Reviewer;
use super::sheet::{Edit, Joined};
use super::{SettingsError, Warning};

pub(super) use check::of_check;

/// Most times a file is looked at again: what one change uncovers the next one mends.
const ROUNDS: usize = 64;

/// A Dockerfile, rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// Its text now.
    pub text: Vec<u8>,
    /// What was mended, in the order it was done; lines are those of the text at that time.
    pub mended: Vec<Finding>,
    /// What is left, with lines of the new text.
    pub left: Vec<Finding>,
}

/// A text after some changes, and what is found in it.
struct Step {
    text: Vec<u8>,
    left: Vec<Finding>,
}

impl Reviewer<'_> {
    /// Rewrites what is wanted.
    ///
    /// # Errors
    /// [`SettingsError`] if the file does not say well which checks are wanted.
    pub fn mend(
        &self,
        text: &[u8],
        is_wanted: &dyn Fn(&Finding) -> bool,
    ) -> Result<Mended, SettingsError> {
        let mut text = text.to_vec();
        let mut mended = Vec::new();
        let mut left = self.review(&text)?;
        // What was found to change too much, by rule and line.
        let mut refused: Vec<(&str, u32)> = Vec::new();
        for _ in 0..ROUNDS {
            let is_due = |finding: &&Finding| {
                let key = (finding.guide.name, finding.line());
                finding.is_mendable() && is_wanted(finding) && !refused.contains(&key)
            };
            let due: Vec<Finding> = left.iter().filter(is_due).cloned().collect();
            if due.is_empty() {
                break;
            }
            let together = apart(&due);
            let mut tried = self.tried(&text, &left, &together)?;
            let mut done = together.clone();
            if tried.is_none() {
                for finding in together {
                    tried = self.tried(&text, &left, &[finding])?;
                    if tried.is_some() {
                        done = vec![finding];
                        break;
                    }
                    refused.push((finding.guide.name, finding.line()));
                }
            }
            if let Some(step) = tried {
                mended.extend(done.into_iter().cloned());
                (text, left) = (step.text, step.left);
            }
        }
        Ok(Mended { text, mended, left })
    }

    /// The text with the changes and what is found in it then; `None` if it would mean something else, or the
    /// changes are in vain: what was to be mended is found still.
    fn tried(
        &self,
        text: &[u8],
        left: &[Finding],
        findings: &[&Finding],
    ) -> Result<Option<Step>, SettingsError> {
        let Some(new) = rewritten(text, findings) else {
            return Ok(None);
        };
        let next = self.review(&new)?;
        let count = |all: &[Finding], name: &str| {
            { all.iter() }.filter(|own| own.guide.name == name).count()
        };
        let is_vain = findings.iter().any(|finding| {
            let name = finding.guide.name;
            let own = findings.iter().filter(|own| own.guide.name == name).count();
            count(&next, name) + own > count(left, name)
        });
        Ok((!is_vain).then_some(Step {
            text: new,
            left: next,
        }))
    }
}

/// Those whose changes touch no common byte, the first ones first.
fn apart(due: &[Finding]) -> Vec<&Finding> {
    let mut taken: Vec<Range<usize>> = Vec::new();
    let mut together = Vec::new();
    for finding in due {
        let meets = |edit: &Edit| {
            taken
                .iter()
                .any(|other| edit.start <= other.end && other.start <= edit.end)
        };
        if finding.edits.iter().any(meets) {
            continue;
        }
        taken.extend(finding.edits.iter().map(|edit| edit.start..edit.end));
        together.push(finding);
    }
    together
}

/// The text with the changes; `None` if it would mean something else.
pub(super) fn rewritten(text: &[u8], findings: &[&Finding]) -> Option<Vec<u8>> {
    let mut edits: Vec<&Edit> = findings.iter().flat_map(|finding| &finding.edits).collect();
    edits.sort_by_key(|edit| edit.start);
    let mut new = Vec::with_capacity(text.len() + 256);
    let mut at = 0;
    for edit in edits {
        new.extend_from_slice(text.get(at..edit.start)?);
        new.extend_from_slice(edit.text.as_bytes());
        at = edit.end;
    }
    new.extend_from_slice(text.get(at..)?);
    let (before, after) = (dockerfile::read(text), dockerfile::read(&new));
    let is_same = after.errors.is_empty() && is_same_shape(&before.file, &after.file);
    (is_same && new != text).then_some(new)
}

/// Whether two files have the same stages with the same instructions. A `RUN` may have become part
/// of the one before it.
fn is_same_shape(before: &Dockerfile, after: &Dockerfile) -> bool {
    let words = |instructions: &[Instruction]| {
        let word = |instruction: &Instruction| match instruction.word.to_ascii_uppercase().as_str()
        {
            "ADD" => "COPY".to_owned(),
            "MAINTAINER" => "LABEL".to_owned(),
            word => word.to_owned(),
        };
        let mut words: Vec<String> = instructions.iter().map(word).collect();
        words.dedup_by(|one, other| *one == "RUN" && *other == "RUN");
        words
    };
    let is_run = |instruction: &&Instruction| matches!(instruction.kind, Kind::Run(_));
    let runs = |instructions: &[Instruction]| instructions.iter().filter(is_run).count();
    before.stages.len() == after.stages.len()
        && words(&before.global_args) == words(&after.global_args)
        && before.stages.iter().zip(&after.stages).all(|(one, other)| {
            let name = |stage: &dockerfile::Stage| {
                stage.from.name.as_ref().map(|name| name.to_lowercase())
            };
            one.from.image == other.from.image
                && name(one) == name(other)
                && words(&one.instructions) == words(&other.instructions)
                && runs(&other.instructions) <= runs(&one.instructions)
        })
}

/// The instruction of a place.
pub(super) fn instruction_at(file: &Dockerfile, span: Span) -> Option<&Instruction> {
    let mut all = file
        .global_args
        .iter()
        .chain(file.stages.iter().flat_map(|stage| &stage.instructions));
    all.find(|instruction| instruction.span == span)
}

/// What a warning is about, within its line.
pub(super) fn word_of(warning: &Warning, joined: &Joined) -> Range<usize> {
    check::word_of(warning, joined)
}

#[cfg(test)]
mod tests;
