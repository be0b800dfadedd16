//! `--security-opt`: the words that loosen and tighten a container.

/// What one word asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOption {
    /// Docker's default profile of system calls.
    SeccompDefault,
    /// All system calls.
    SeccompUnconfined,
    /// A profile in a file of this name.
    SeccompFile(String),
    /// Whether programs may gain rights by being executed.
    NoNewPrivileges(bool),
    /// Paths that are not hidden, `:` between them, or `ALL`.
    Unmask(String),
    /// More paths that are hidden, `:` between them.
    Mask(String),
    /// Nothing that isn't so anyway.
    Nothing,
    /// Something that can't be done and is left out: the word, to be told.
    Ignored(String),
}

/// Why a word means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// It has no value.
    #[error("Invalid --security-opt: {0:?}")]
    NoValue(String),
    /// Nobody knows it.
    #[error(
        "Invalid --security-opt: {0:?}: there are seccomp, no-new-privileges, mask, unmask, \
         systempaths, label and apparmor"
    )]
    Name(String),
    /// A value it can't have.
    #[error("Invalid --security-opt {name}: {value:?}: want {wanted}")]
    Value {
        /// Of which.
        name: &'static str,
        /// What it was given.
        value: String,
        /// What it can have.
        wanted: &'static str,
    },
}

/// Reads `seccomp=unconfined`, `no-new-privileges`, `unmask=ALL`; also with `:` for `=`.
///
/// # Errors
/// [`SecurityError`].
pub fn parse(text: &str) -> Result<SecurityOption, SecurityError> {
    if text == "no-new-privileges" {
        return Ok(SecurityOption::NoNewPrivileges(true));
    }
    let (name, value) = text
        .split_once(['=', ':'])
        .filter(|(_, value)| !value.is_empty())
        .ok_or_else(|| SecurityError::NoValue(text.to_owned()))?;
    let wrong = |name, wanted| SecurityError::Value {
        name,
        value: value.to_owned(),
        wanted,
    };
    let paths = |name| {
        let is_path = |path: &str| path.starts_with('/') || path.eq_ignore_ascii_case("ALL");
        match value.split(':').all(is_path) {
            true => Ok(value.to_owned()),
            false => Err(wrong(name, "absolute paths with ':' between them, or ALL")),
        }
    };
    Ok(match (name, value) {
        ("seccomp", "unconfined") => SecurityOption::SeccompUnconfined,
        ("seccomp", "builtin") => SecurityOption::SeccompDefault,
        ("seccomp", file) => SecurityOption::SeccompFile(file.to_owned()),
        ("no-new-privileges", "true" | "1") => SecurityOption::NoNewPrivileges(true),
        ("no-new-privileges", "false" | "0") => SecurityOption::NoNewPrivileges(false),
        ("no-new-privileges", _) => return Err(wrong("no-new-privileges", "true or false")),
        ("unmask", _) => SecurityOption::Unmask(paths("unmask")?),
        ("mask", _) => SecurityOption::Mask(paths("mask")?),
        ("systempaths", "unconfined") => SecurityOption::Unmask("ALL".to_owned()),
        ("systempaths", _) => return Err(wrong("systempaths", "unconfined")),
        ("label", "disable") | ("apparmor", "unconfined") => SecurityOption::Nothing,
        ("label" | "apparmor", _) => SecurityOption::Ignored(text.to_owned()),
        _ => return Err(SecurityError::Name(text.to_owned())),
    })
}
