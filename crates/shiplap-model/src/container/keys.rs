//! Key sequences that detach from a container: `ctrl-p,ctrl-q`.

/// A word that names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read detach keys {keys:?}: unknown character: '{word}'")]
pub struct KeysError {
    /// All of them.
    pub keys: String,
    /// The one that is wrong.
    pub word: String,
}

/// The bytes a terminal sends for them.
///
/// # Errors
/// [`KeysError`].
pub fn parse(keys: &str) -> Result<Vec<u8>, KeysError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    keys.split(',')
        .map(|word| {
            key(word).ok_or_else(|| KeysError {
                keys: keys.to_owned(),
                word: word.to_owned(),
            })
        })
        .collect()
}

fn key(word: &str) -> Option<u8> {
    if let [byte] = word.as_bytes() {
        return Some(*byte);
    }
    let lower = word.to_ascii_lowercase();
    match lower.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        b"@" => Some(0),
        b"[" => Some(27),
        b"\\" => Some(28),
        b"]" => Some(29),
        b"^" => Some(30),
        b"_" => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_keys() {
        let check = |keys: &str, bytes: Option<&[u8]>| {
            assert_eq!(parse(keys).ok().as_deref(), bytes, "{keys}");
        };
        check("ctrl-p,ctrl-q", Some(&[16, 17]));
        check("a,B,ctrl-@", Some(b"aB\0"));
        check("ctrl-[,ctrl-_", Some(&[27, 31]));
        check("", Some(&[]));
        check("ctrl-", None);
        check("ctrl-1", None);
        check("shift-a", None);
        check("a,,b", None);
    }
}
