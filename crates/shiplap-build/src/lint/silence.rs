//! Comments that say which rules are not to be asked: `# shiplap ignore=Rule` before an instruction or
//! between its lines, `# shiplap global ignore=Rule` anywhere; the same for `hadolint` and its codes.

use shiplap_model::dockerfile::{Dockerfile, Meant, Span};

use super::finding::Finding;
use super::guide;
use super::practice::unknown_guide;
use super::sheet::Sheet;

/// Rules that are not asked.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// In the whole file.
    everywhere: Vec<String>,
    /// In one instruction.
    within: Vec<(Span, Vec<String>)>,
    /// Names that nobody knows, with their lines.
    unknown: Vec<(u32, String)>,
}

impl Silence {
    /// Reads all comments of a file.
    pub(super) fn read(sheet: &Sheet<'_>, file: &Dockerfile) -> Self {
        let mut silence = Self::default();
        let spans = spans(file);
        let mut number = 0;
        loop {
            number += 1;
            let Some((_, line)) = sheet.line(number) else {
                break;
            };
            let Some((is_global, names)) = comment(line) else {
                continue;
            };
            for name in &names {
                if !is_known(name) {
                    silence.unknown.push((number, name.clone()));
                }
            }
            if is_global {
                silence.everywhere.extend(names);
            } else if let Some(span) = spans.iter().find(|span| span.last >= number) {
                silence.within.push((*span, names));
            }
        }
        silence
    }

    /// Whether somebody wants to hear of it.
    pub(super) fn lets(&self, finding: &Finding) -> bool {
        let mut own = self.within.iter().filter(|(span, _)| {
            span.first <= finding.span.first && finding.span.first <= span.last
        });
        let is_named = |names: &[String]| names.iter().any(|name| is_of(name, finding));
        !is_named(&self.everywhere) && !own.any(|(_, names)| is_named(names))
    }

    /// Names that ignore nothing.
    pub(super) fn unknown(&self, sheet: &Sheet<'_>) -> Vec<Finding> {
        let finding = |(line, name): &(u32, String)| {
            let span = Span {
                first: *line,
                last: *line,
            };
            let meant = Meant::among(name, guide::all().map(|guide| guide.name));
            let finding = Finding::new(
                unknown_guide(),
                span,
                format!("there is no rule {name}{meant}"),
            );
            let place = sheet.line(*line).and_then(|(start, text)| {
                let text = std::str::from_utf8(text).ok()?;
                let at = text.find(name.as_str())?;
                Some(start + at..start + at + name.len())
            });
            finding.at(sheet, place)
        };
        self.unknown.iter().map(finding).collect()
    }
}

/// Whether a name in a comment is that of a finding's rule.
fn is_of(name: &str, finding: &Finding) -> bool {
    let is_exact = finding
        .code
        .is_some_and(|code| code.eq_ignore_ascii_case(name));
    // Of the shell's codes several may be meant by one rule.
    let is_shell = name.starts_with("SC") && finding.guide.codes.contains(&name);
    name == "all" || name.eq_ignore_ascii_case(finding.guide.name) || is_exact || is_shell
}

fn is_known(name: &str) -> bool {
    let digits = name.strip_prefix("DL").or_else(|| name.strip_prefix("SC"));
    let is_code = digits.is_some_and(|digits| {
        digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    name == "all" || is_code || guide::find(name).is_some()
}

/// Whether a comment holds for the file, and the names in it.
fn comment(line: &[u8]) -> Option<(bool, Vec<String>)> {
    let line = line.trim_ascii_start().strip_prefix(b"#")?;
    let text = std::str::from_utf8(line).ok()?.trim_start();
    let rest = ["shiplap", "hadolint"]
        .iter()
        .find_map(|program| text.strip_prefix(program))?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (is_global, rest) = match rest.strip_prefix("global") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, rest),
    };
    let names = rest
        .strip_prefix("ignore")?
        .trim_start()
        .strip_prefix('=')?;
    // Names go on behind a comma, blanks around it or not.
    let mut list = String::new();
    for word in names.split_whitespace() {
        if !list.is_empty() && !list.ends_with(',') && !word.starts_with(',') {
            break;
        }
        list.push_str(word);
    }
    let names = list
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    Some((is_global, names.collect()))
}

/// Where instructions stand, in order.
fn spans(file: &Dockerfile) -> Vec<Span> {
    let before = file.global_args.iter().map(|instruction| instruction.span);
    let stages = file.stages.iter().flat_map(|stage| {
        let own = stage
            .instructions
            .iter()
            .map(|instruction| instruction.span);
        std::iter::once(stage.span).chain(own)
    });
    let mut spans: Vec<Span> = before.chain(stages).collect();
    spans.sort_by_key(|span| span.first);
    spans
}
