//! Environment variables: `--env`, and the files of `--env-file` and `--label-file` (Docker's
//! `kvfile`).
//!
//! The caller's own environment is looked up through a function; nothing here reads it.

/// Why a text is no variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// Nothing before the `=`, or nothing at all.
    #[error("invalid environment variable: {0}")]
    NoName(String),
    /// No environment can hold it.
    #[error("environment variable {0:?} contains a NUL")]
    Nul(String),
}

/// Why a file is none of variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// A line in no known encoding.
    #[error("invalid utf8 bytes at line {0}")]
    Encoding(usize),
    /// A line with nothing before the `=`.
    #[error("no variable name on line '{0}'")]
    NoName(String),
    /// A name no variable can have.
    #[error("variable '{0}' contains whitespaces")]
    Space(String),
    /// No environment can hold it.
    #[error("line {0} contains a NUL")]
    Nul(usize),
}

/// Checks `NAME=value` or `NAME`; it is returned as it is.
///
/// # Errors
/// [`VariableError`].
pub fn check(text: &str) -> Result<String, VariableError> {
    if text.is_empty() || text.starts_with('=') {
        return Err(VariableError::NoName(text.to_owned()));
    }
    if text.contains('\0') {
        return Err(VariableError::Nul(text.to_owned()));
    }
    Ok(text.to_owned())
}

/// `NAME` with the value that the caller's environment has for it, if any; else as it is, which
/// takes the variable away from the container.
#[must_use]
pub fn resolve(text: String, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    if text.contains('=') {
        return text;
    }
    match lookup(&text) {
        Some(value) => format!("{text}={value}"),
        None => text,
    }
}

/// Reads a file of `NAME=value` lines, with `#` comments. Nothing is quoted or expanded. `NAME`
/// alone takes its value from `lookup`, and counts for nothing if that has none.
///
/// # Errors
/// [`FileError`].
pub fn parse_file(
    content: &[u8],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, FileError> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut variables = Vec::new();
    for (above, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = str::from_utf8(line).map_err(|_| FileError::Encoding(above + 1))?;
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.contains('\0') {
            return Err(FileError::Nul(above + 1));
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.is_empty() {
            return Err(FileError::NoName(line.to_owned()));
        }
        if name.contains([' ', '\t']) {
            return Err(FileError::Space(name.to_owned()));
        }
        if line.contains('=') {
            variables.push(line.to_owned());
        } else if let Some(value) = lookup(name) {
            variables.push(format!("{name}={value}"));
        }
    }
    Ok(variables)
}
