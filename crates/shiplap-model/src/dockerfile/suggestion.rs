//! `(did you mean …?)`: the word among those known that is nearest to an unknown one.

use std::fmt::{self, Display};

/// A word that may have been meant. Shows itself as ` (did you mean word?)`, or as nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meant(pub Option<String>);

impl Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(word) => write!(f, " (did you mean {word}?)"),
            None => Ok(()),
        }
    }
}

/// Edits up to which a word is taken for another; with three, `CMD` could be `ADD`.
const EDITS: usize = 2;

impl Meant {
    /// The nearest of `known`, if it is near enough.
    #[must_use]
    pub fn among<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        Self::nearest(word, known, false)
    }

    /// The same without regard to case, and two letters swapped are one edit: words of a hand that
    /// knows them. What is meant is written in the case of `word`.
    pub(super) fn of_instruction<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        let Self(meant) = Self::nearest(&word.to_ascii_uppercase(), known, true);
        let is_lower = word == word.to_lowercase();
        Self(meant.map(|meant| {
            if is_lower {
                meant.to_lowercase()
            } else {
                meant
            }
        }))
    }

    fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>, swaps: bool) -> Self {
        let mut nearest: Option<(usize, &str)> = None;
        for candidate in known {
            let edits = distance(word, candidate, swaps);
            if edits > 0 && edits <= EDITS && nearest.is_none_or(|(least, _)| edits < least) {
                nearest = Some((edits, candidate));
            }
        }
        Self(nearest.map(|(_, word)| word.to_owned()))
    }
}

/// Letters to put in, take out, replace or, with `swaps`, swap with the next between two words;
/// more than [`EDITS`] is only known to be more.
fn distance(one: &str, other: &str, swaps: bool) -> usize {
    let one: Vec<char> = one.chars().take(64).collect();
    let other: Vec<char> = other.chars().take(64).collect();
    if one.len().abs_diff(other.len()) > EDITS {
        return EDITS + 1;
    }
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (y, letter) in one.iter().enumerate() {
        let mut row = vec![y + 1];
        for (x, candidate) in other.iter().enumerate() {
            let replaced = at(&above, x) + usize::from(letter != candidate);
            let mut least = replaced.min(at(&above, x + 1) + 1).min(at(&row, x) + 1);
            let are_swapped = swaps
                && x > 0
                && y > 0
                && one.get(y - 1) == Some(candidate)
                && other.get(x - 1) == Some(letter);
            if are_swapped {
                least = least.min(at(&before, x - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}
