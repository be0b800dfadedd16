//! The address of a git repository: a URL, or `user@host:path`. Percent escapes are read as Go's
//! `net/url` reads them. It doesn't say whether something *should* be taken for a repository.

/// The parts of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitUrl {
    /// `http`, `https`, `ssh` or `git`.
    pub scheme: String,
    /// User, perhaps with a password, as it is written.
    pub user: Option<String>,
    /// Host, perhaps with a port.
    pub host: String,
    /// The path, without escapes.
    pub path: String,
    /// Keys and values behind `?`, in their order.
    pub query: Vec<(String, String)>,
    /// What stands behind `#`, up to `:`.
    pub reference: Option<String>,
    /// What stands behind `#` and `:`, clean and relative.
    pub subdirectory: Option<String>,
    /// The address without what is behind `?` and `#`.
    pub remote: String,
}

/// Why something is no address of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitUrlError {
    /// It has a protocol that git is not asked to speak.
    #[error("parse git address: {scheme:?} is no protocol of git")]
    Protocol {
        /// The protocol.
        scheme: String,
    },
    /// It is neither a URL nor `user@host:path`.
    #[error("parse git address: it is neither a URL nor user@host:path")]
    Form,
    /// A part of the URL is not well formed.
    #[error("parse git address: its {part} is not well formed")]
    Part {
        /// Which part.
        part: &'static str,
    },
}

impl GitUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`GitUrlError`].
    pub fn parse(text: &str) -> Result<Self, GitUrlError> {
        if let Some((scheme, rest)) = text.split_once("://")
            && !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            let scheme = scheme.to_ascii_lowercase();
            return match scheme.as_str() {
                "http" | "https" | "ssh" | "git" => Self::from_url(scheme, rest),
                _ => Err(GitUrlError::Protocol { scheme }),
            };
        }
        Self::from_scp(text)
    }

    fn from_url(scheme: String, rest: &str) -> Result<Self, GitUrlError> {
        let malformed = |part| GitUrlError::Part { part };
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        if rest.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(malformed("text"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if user.is_some_and(|user| !is_user(user)) {
            return Err(malformed("user"));
        }
        if !is_host(host) {
            return Err(malformed("host"));
        }
        let decoded = unescape(path, false).ok_or(malformed("path"))?;
        let fragment = unescape(fragment, false).ok_or(malformed("fragment"))?;
        let user_part = user.map(|user| format!("{user}@")).unwrap_or_default();
        let path_part = if path.bytes().all(is_path_byte) {
            path.to_owned()
        } else {
            escape(&decoded)
        };
        let (reference, subdirectory) = split_fragment(&fragment);
        Ok(Self {
            remote: format!("{scheme}://{user_part}{host}{path_part}"),
            scheme,
            user: user.map(str::to_owned),
            host: host.to_owned(),
            path: decoded,
            // A pair that is not well formed is passed over, as Go does.
            query: query.split('&').filter_map(pair).flatten().collect(),
            reference,
            subdirectory,
        })
    }

    /// `user@host:path`, perhaps with `?query` and `#fragment`, which have no escapes here.
    fn from_scp(text: &str) -> Result<Self, GitUrlError> {
        let (user, rest) = text.split_once('@').ok_or(GitUrlError::Form)?;
        let (host, rest) = rest.split_once(':').ok_or(GitUrlError::Form)?;
        let is_word = |word: &str, extra: &[u8]| {
            let mut bytes = word.bytes();
            !word.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
        };
        if !is_word(user, b"-_") || !is_word(host, b"-.") || rest.contains('\n') {
            return Err(GitUrlError::Form);
        }
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let (path, rest) = rest.split_at(end);
        let (query, fragment) = match rest.strip_prefix('?') {
            Some(rest) => rest.split_once('#').unwrap_or((rest, "")),
            None => ("", rest.strip_prefix('#').unwrap_or_default()),
        };
        let pairs = query.split('&').map(pair).collect::<Option<Vec<_>>>();
        let (reference, subdirectory) = split_fragment(fragment);
        Ok(Self {
            scheme: "ssh".to_owned(),
            user: Some(user.to_owned()),
            host: host.to_owned(),
            path: path.to_owned(),
            query: pairs
                .ok_or(GitUrlError::Form)?
                .into_iter()
                .flatten()
                .collect(),
            reference,
            subdirectory,
            remote: format!("{user}@{host}:{path}"),
        })
    }
}

/// Reference and directory of a fragment.
fn split_fragment(fragment: &str) -> (Option<String>, Option<String>) {
    let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
    let subdirectory = crate::path::beneath(subdirectory.as_bytes());
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    (
        some(reference.to_owned()),
        some(String::from_utf8_lossy(&subdirectory).into_owned()),
    )
}

/// A pair of a query; the inner `None` for no text, the outer for one that is not well formed.
fn pair(text: &str) -> Option<Option<(String, String)>> {
    if text.is_empty() {
        return Some(None);
    }
    if text.contains(';') {
        return None;
    }
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Some(Some((unescape(key, true)?, unescape(value, true)?)))
}

/// Without percent escapes; in queries a `+` is a space. `None` for half an escape, and for one
/// that makes no UTF-8.
fn unescape(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    let digit = |byte: u8| char::from(byte).to_digit(16);
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let value = digit(bytes.next()?)? * 16 + digit(bytes.next()?)?;
                u8::try_from(value).ok()?
            }
            b'+' if is_query => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn escape(path: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte != b'%' && is_path_byte(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What may stand in a path as it is.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*[]%".contains(&byte)
}

fn is_user(user: &str) -> bool {
    user.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte))
        && unescape(user, false).is_some()
}

/// A name or address, perhaps with a port of digits.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, ""),
            Some((address, port)) => match port.strip_prefix(':') {
                Some(port) => (address, port),
                None => return false,
            },
            None => return false,
        },
        None => host.rsplit_once(':').unwrap_or((host, "")),
    };
    port.bytes().all(|byte| byte.is_ascii_digit())
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"-._~!$&'()*+,;=:%".contains(&byte)
        })
}
