//! Names of containers and volumes: what may be one, and new ones.

mod words;

use crate::limits;
use words::{ADJECTIVES, NOUNS};

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Letters that no name has, or too few of them.
    #[error("Invalid name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-]+ are allowed")]
    Letters(String),
    /// It is too long to be a file's.
    #[error("Invalid name: it has {0} bytes, more than {max}", max = limits::NAME_BYTES)]
    Long(usize),
}

/// Checks a name by Docker's rule: a letter or digit, then at least one letter, digit, `_`, `.`
/// or `-`.
///
/// # Errors
/// [`NameError`].
pub fn check(name: &str) -> Result<(), NameError> {
    if name.len() > limits::NAME_BYTES {
        return Err(NameError::Long(name.len()));
    }
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    match name.as_bytes() {
        [first, rest @ ..]
            if first.is_ascii_alphanumeric() && !rest.is_empty() && rest.iter().all(is_inner) =>
        {
            Ok(())
        }
        _ => Err(NameError::Letters(name.chars().take(100).collect())),
    }
}

/// A name for a container that was given none, as `brisk_schooner`: the same for the same bytes.
#[must_use]
pub fn generate(bytes: [u8; 4]) -> String {
    let [a, b, c, d] = bytes;
    let word = |list: &[&'static str], high: u8, low: u8| {
        let at = usize::from(u16::from_be_bytes([high, low])) % list.len().max(1);
        list.get(at).copied().unwrap_or_default()
    };
    format!("{}_{}", word(&ADJECTIVES, a, b), word(&NOUNS, c, d))
}
