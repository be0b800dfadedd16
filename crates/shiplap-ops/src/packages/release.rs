//! What an image is made of, by its `os-release` (freedesktop.org's "os-release").

use serde::Serialize;
use shiplap_layer::stack::StackError;

use super::files::ImageFiles;

/// Longest file that is read, in bytes: it has some ten lines.
const RELEASE_BYTES: u64 = 64 << 10;

/// A distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Its short name, as `debian`.
    pub id: String,
    /// Its version, as `12` or `3.20.1`; empty where there is none.
    pub version: String,
    /// As people know it, as `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// Short names of those it descends from.
    pub like: Vec<String>,
}

pub(super) fn read(files: &ImageFiles<'_>) -> Result<Option<Distribution>, StackError> {
    for path in [&b"etc/os-release"[..], b"usr/lib/os-release"] {
        let Some(found) = files.find_file(path)? else {
            continue;
        };
        if let Ok(text) = files.start(&found, RELEASE_BYTES) {
            return Ok(parse(&text));
        }
    }
    Ok(None)
}

pub(super) fn parse(text: &str) -> Option<Distribution> {
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.trim().split_once('='));
        let found = lines.rfind(|(known, _)| *known == name)?;
        let value = unquote(found.1.trim());
        (!value.is_empty()).then_some(value)
    };
    let id = value("ID")?;
    Some(Distribution {
        version: value("VERSION_ID").unwrap_or_default(),
        name: value("PRETTY_NAME")
            .or_else(|| value("NAME"))
            .unwrap_or_else(|| id.clone()),
        like: value("ID_LIKE")
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        id,
    })
}

/// A value without its quotes and the backslashes within.
fn unquote(value: &str) -> String {
    let inner = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let mut plain = String::new();
    let mut chars = inner.unwrap_or(value).chars();
    while let Some(next) = chars.next() {
        match next {
            '\\' => plain.extend(chars.next()),
            other => plain.push(other),
        }
    }
    plain
}
