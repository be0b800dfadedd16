//! Shell patterns as Go's `path.Match` and `filepath.Match` have them: `*` and `?` stop at `/`,
//! `[a-z]` and `[^a-z]` are classes, `\` escapes. `**` is no more than `*`.
//!
//! Docker's `reference` filter and the sources of `COPY` and `ADD` are made of them. Names are
//! bytes: what is no UTF-8 counts a character for each byte.

#[cfg(test)]
mod tests;

/// A pattern that can't match anything because it is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse pattern {pattern:?}: it has an unfinished class, range or escape")]
pub struct GlobError {
    /// The pattern, shortened.
    pub pattern: String,
}

/// A shell pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `*`: any run without `/`.
    Run,
    /// `?`: any one character but `/`.
    One,
    /// A character itself.
    Literal(Unit),
    /// `[…]`.
    Class(Class),
}

/// A character of a name: its code point, or [`NOT_UTF8`] and a byte that is part of none.
pub(crate) type Unit = u32;

/// What is added to a byte that is no part of a character: beyond all code points.
const NOT_UTF8: Unit = 0x11_0000;

/// `/`, which patterns treat apart.
pub(crate) const SLASH: Unit = b'/' as Unit;

/// `[…]`: a character in (or not in) these inclusive ranges; unlike other patterns, may be `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) negated: bool,
    pub(crate) ranges: Vec<(Unit, Unit)>,
}

impl Class {
    pub(crate) fn takes(&self, unit: Unit) -> bool {
        let within = |(low, high): &(Unit, Unit)| (*low..=*high).contains(&unit);
        self.ranges.iter().any(within) != self.negated
    }
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`GlobError`].
    pub fn parse(pattern: impl AsRef<[u8]>) -> Result<Self, GlobError> {
        let pattern = pattern.as_ref();
        let error = || GlobError {
            pattern: String::from_utf8_lossy(pattern).chars().take(200).collect(),
        };
        let units: Vec<Unit> = units(pattern).collect();
        let mut tokens = Vec::new();
        let mut rest = units.as_slice();
        while let Some((unit, after)) = rest.split_first() {
            rest = after;
            tokens.push(match char::from_u32(*unit) {
                Some('*') if tokens.last() == Some(&Token::Run) => continue,
                Some('*') => Token::Run,
                Some('?') => Token::One,
                Some('\\') => Token::Literal(next(&mut rest).ok_or_else(error)?),
                Some('[') => Token::Class(class(&mut rest).ok_or_else(error)?),
                _ => Token::Literal(*unit),
            });
        }
        Ok(Self(tokens))
    }

    /// Whether a pattern is more than a name: has `*`, `?` or `[` that is not escaped.
    #[must_use]
    pub fn has_wildcards(pattern: &[u8]) -> bool {
        let mut bytes = pattern.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'*' | b'?' | b'[' => return true,
                b'\\' => {
                    bytes.next();
                }
                _ => {}
            }
        }
        false
    }

    /// Whether the whole of `text` matches; time is at most pattern × text.
    #[must_use]
    pub fn matches(&self, text: impl AsRef<[u8]>) -> bool {
        let text: Vec<Unit> = units(text.as_ref()).collect();
        let (mut token, mut at) = (0, 0);
        // After the last `*`: where in the pattern and in the text to try again, one further.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match self.0.get(token) {
                Some(Token::Run) => {
                    retry = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                Some(wanted) if text.get(at).is_some_and(|unit| wanted.takes(*unit)) => {
                    token += 1;
                    at += 1;
                    continue;
                }
                None if at == text.len() => return true,
                _ => {}
            }
            match retry {
                Some((after, start)) if text.get(start).is_some_and(|unit| *unit != SLASH) => {
                    retry = Some((after, start + 1));
                    token = after;
                    at = start + 1;
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, unit: Unit) -> bool {
        match self {
            Self::Run => false,
            Self::One => unit != SLASH,
            Self::Literal(literal) => *literal == unit,
            Self::Class(class) => class.takes(unit),
        }
    }
}

/// The characters of a name.
pub(crate) fn units(bytes: &[u8]) -> impl Iterator<Item = Unit> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let broken = chunk
            .invalid()
            .iter()
            .map(|byte| NOT_UTF8 + Unit::from(*byte));
        chunk.valid().chars().map(Unit::from).chain(broken)
    })
}

fn next(rest: &mut &[Unit]) -> Option<Unit> {
    let (unit, after) = rest.split_first()?;
    *rest = after;
    Some(*unit)
}

/// A class after its `[`; `None` if it is not well formed. `-` and `]` stand for themselves only
/// when escaped, and an empty class is none.
fn class(rest: &mut &[Unit]) -> Option<Class> {
    let mut class = Class::default();
    if rest.first() == Some(&Unit::from(b'^')) {
        class.negated = true;
        next(rest);
    }
    loop {
        if rest.first() == Some(&Unit::from(b']')) && !class.ranges.is_empty() {
            next(rest);
            return Some(class);
        }
        let low = class_member(rest)?;
        let mut high = low;
        if rest.first() == Some(&Unit::from(b'-')) {
            next(rest);
            high = class_member(rest)?;
        }
        class.ranges.push((low, high));
    }
}

/// One character of a class, perhaps escaped.
pub(crate) fn class_member(rest: &mut &[Unit]) -> Option<Unit> {
    match char::from_u32(next(rest)?) {
        Some(']' | '-') => None,
        Some('\\') => next(rest),
        Some(other) => Some(Unit::from(other)),
        // A byte that is no part of a character: Go refuses it here.
        None => None,
    }
}
