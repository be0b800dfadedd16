//! The grammar of references: `[registry/]path[:tag][@digest]`, nothing filled in.
//!
//! It is `distribution/reference`'s grammar, read by hand in one pass. What Docker adds (docker.io,
//! `library/`, `latest`) is [`super::Reference`]'s.

use std::fmt;

use super::{Part, Problem, ReferenceError, shorten};
use crate::digest::{Digest, is_sha256_hex};
use crate::limits;

/// The parts of a reference as they stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<'r> {
    /// `host[:port]`, if the name begins with one.
    pub registry: Option<&'r str>,
    /// The rest of the name.
    pub path: &'r str,
    /// The tag.
    pub tag: Option<&'r str>,
    /// The digest; its algorithm is one that can be computed.
    pub digest: Option<Digest>,
}

impl fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(self.path)?;
        if let Some(tag) = self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Reads a reference as it stands.
///
/// # Errors
/// [`ReferenceError`].
pub fn parse(text: &str) -> Result<Parts<'_>, ReferenceError> {
    if text.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if text.len() > limits::REFERENCE_BYTES {
        return Err(ReferenceError::TooLong {
            reference: shorten(text),
            bytes: text.len(),
        });
    }
    let (name, tag, digest) = split(text);
    let (registry, path) = split_name(name).map_err(|problem| problem.in_reference(text))?;
    let (tag, digest) = check_rest(text, tag, digest)?;
    Ok(Parts {
        registry,
        path,
        tag,
        digest,
    })
}

/// Name, tag and digest as they stand there, whatever they are.
pub(super) fn split(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (named, digest) = match find(text, b'@') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let last_component = named.bytes().rposition(|byte| byte == b'/');
    let last_component = last_component.map_or(0, |slash| slash + 1);
    match find(&named[last_component..], b':') {
        Some(length) => {
            let end = last_component + length;
            (&named[..end], Some(&named[end + 1..]), digest)
        }
        None => (named, None, digest),
    }
}

/// Where an ASCII character stands. References are so short that looking at each byte is fastest,
/// and lists read thousands of them.
pub(super) fn find(text: &str, wanted: u8) -> Option<usize> {
    text.bytes().position(|byte| byte == wanted)
}

/// Checks what follows the name in `text`.
pub(super) fn check_rest<'r>(
    text: &str,
    tag: Option<&'r str>,
    digest: Option<&str>,
) -> Result<(Option<&'r str>, Option<Digest>), ReferenceError> {
    if let Some(tag) = tag {
        check_tag(tag).map_err(|problem| problem.in_reference(text))?;
    }
    let digest = digest
        .map(|digest| parse_digest(text, digest))
        .transpose()?;
    Ok((tag, digest))
}

/// Splits `[registry/]path` without tag or digest.
///
/// # Errors
/// The part that is wrong, and how.
pub fn split_name(name: &str) -> Result<(Option<&str>, &str), Problem> {
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if check_registry(first).is_ok() => (Some(first), rest),
        _ => (None, name),
    };
    match check_path(path) {
        Ok(()) => Ok((registry, path)),
        // What can't be a path component was meant as a registry: name that fault.
        Err(problem) => Err(match name.split_once('/') {
            Some((first, rest)) if first.contains([':', '[']) && check_path(rest).is_ok() => {
                check_registry(first).err().unwrap_or(problem)
            }
            _ => problem,
        }),
    }
}

/// Checks `host[:port]`: a domain name, an IPv4 address, or an IPv6 address in brackets without
/// a zone.
///
/// # Errors
/// The character that is wrong.
pub fn check_registry(registry: &str) -> Result<(), Problem> {
    let wrong = |problem: fn(&str, usize) -> Problem, at| Err(problem(registry, at));
    let bracket = |text: &str| {
        text.bytes()
            .position(|b| !b.is_ascii_hexdigit() && b != b':')
    };
    let host_end = if let Some(inside) = registry.strip_prefix('[') {
        match bracket(inside) {
            Some(end) if end > 0 && inside.as_bytes()[end] == b']' => end + 2,
            Some(end) => return wrong(Problem::registry, end + 1),
            None => return wrong(Problem::registry, registry.len()),
        }
    } else {
        let host = registry.split(':').next().unwrap_or_default();
        let mut at = 0;
        for component in host.split('.') {
            if let Some(fault) = domain_fault(component) {
                return wrong(Problem::registry, at + fault);
            }
            at += component.len() + 1;
        }
        host.len()
    };
    match registry.as_bytes().get(host_end) {
        None => Ok(()),
        Some(b':') => {
            let port = &registry[host_end + 1..];
            match port.bytes().position(|b| !b.is_ascii_digit()) {
                Some(fault) => wrong(Problem::registry, host_end + 1 + fault),
                None if port.is_empty() => wrong(Problem::registry, registry.len()),
                None => Ok(()),
            }
        }
        Some(_) => wrong(Problem::registry, host_end),
    }
}

/// Checks a tag: 1 to 128 letters, digits, `_`, `-` and `.`, not beginning with `-` or `.`.
///
/// # Errors
/// The character that is wrong, or the length.
pub fn check_tag(tag: &str) -> Result<(), Problem> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fault = tag
        .bytes()
        .enumerate()
        .find(|(at, b)| !(word(*b) || (*at > 0 && b"-.".contains(b))));
    match fault {
        Some((at, _)) => Err(Problem::at(Part::Tag, tag, at)),
        None if tag.is_empty() => Err(Problem::at(Part::Tag, tag, 0)),
        None if tag.len() > limits::TAG_BYTES => Err(Problem::TooLong {
            part: Part::Tag,
            bytes: tag.len(),
            limit: limits::TAG_BYTES,
        }),
        None => Ok(()),
    }
}

/// Whether `text` is 64 lowercase hex digits, which always mean an image ID.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    is_sha256_hex(text)
}

/// Checks a path: components of lowercase letters and digits, which `.`, `_`, `__` or dashes may join.
///
/// # Errors
/// The character that is wrong, or the length.
pub fn check_path(path: &str) -> Result<(), Problem> {
    let mut at = 0;
    for component in path.split('/') {
        if let Some(fault) = component_fault(component) {
            // Uppercase is the one fault that deserves its own word, if it is the only one.
            let lower = component.to_ascii_lowercase();
            return Err(if lower != component && component_fault(&lower).is_none() {
                Problem::Uppercase {
                    name: shorten(path),
                }
            } else {
                Problem::at(Part::Name, path, at + fault)
            });
        }
        at += component.len() + 1;
    }
    if path.len() > limits::REPOSITORY_BYTES {
        return Err(Problem::TooLong {
            part: Part::Name,
            bytes: path.len(),
            limit: limits::REPOSITORY_BYTES,
        });
    }
    Ok(())
}

/// Where a path component leaves the grammar: the byte, or its length if it ends too early.
fn component_fault(component: &str) -> Option<usize> {
    let bytes = component.as_bytes();
    let is_word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut at = 0;
    loop {
        let word = bytes[at..].iter().take_while(|b| is_word(b)).count();
        if word == 0 {
            return Some(at);
        }
        at += word;
        at += match bytes.get(at) {
            None => return None,
            Some(b'.') => 1,
            Some(b'_') if bytes.get(at + 1) == Some(&b'_') => 2,
            Some(b'_') => 1,
            Some(b'-') => bytes[at..].iter().take_while(|b| **b == b'-').count(),
            Some(_) => return Some(at),
        };
    }
}

/// Where a component of a domain name leaves the grammar, likewise.
fn domain_fault(component: &str) -> Option<usize> {
    let bytes = component.as_bytes();
    let inside = bytes
        .iter()
        .position(|b| !b.is_ascii_alphanumeric() && *b != b'-');
    match (bytes.first(), inside, bytes.last()) {
        (None | Some(b'-'), _, _) => Some(0),
        (_, Some(fault), _) => Some(fault),
        (_, None, Some(b'-')) => Some(bytes.len() - 1),
        _ => None,
    }
}

fn parse_digest(reference: &str, text: &str) -> Result<Digest, ReferenceError> {
    let wrong = |source| ReferenceError::Digest {
        reference: shorten(reference),
        source,
    };
    let digest: Digest = text.parse().map_err(wrong)?;
    if digest.algorithm().is_none() {
        return Err(wrong(crate::digest::DigestError::Unsupported(digest)));
    }
    Ok(digest)
}
