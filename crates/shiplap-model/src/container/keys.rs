//! `--detach-keys`: what a user types to leave a container running.

/// Why a text is no sequence of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// A key that no terminal sends as one byte.
    #[error("understand the keys that detach: Unknown character: '{0}'; want as ctrl-p,ctrl-q")]
    Unknown(String),
}

/// The bytes that a terminal sends for `ctrl-p,ctrl-q` or `a,b`; empty for none.
///
/// # Errors
/// [`KeysError`].
pub fn parse(text: &str) -> Result<Vec<u8>, KeysError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let byte = |key: &str| match *key.as_bytes() {
        [letter] if letter.is_ascii() => Some(letter),
        [b'c', b't', b'r', b'l', b'-', letter] => match letter {
            b'a'..=b'z' => Some(letter - b'a' + 1),
            b'@' | b'['..=b'_' => Some(letter - b'@'),
            _ => None,
        },
        _ if key == "DEL" => Some(0x7f),
        _ => None,
    };
    text.split(',')
        .map(|key| byte(key).ok_or_else(|| KeysError::Unknown(key.to_owned())))
        .collect()
}
