//! Labels: `--label`.

/// Why a text is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Nothing before the `=`, or nothing at all.
    #[error("invalid label '{0}': empty name")]
    NoName(String),
    /// A name no label can have.
    #[error("label '{0}' contains whitespaces")]
    Space(String),
}

/// Reads `name=value`, or `name` with an empty value.
///
/// # Errors
/// [`LabelError`].
pub fn parse(text: &str) -> Result<(String, String), LabelError> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let bare = name.trim_start_matches([' ', '\t']);
    if bare.is_empty() {
        return Err(LabelError::NoName(text.to_owned()));
    }
    if bare.contains([' ', '\t']) {
        return Err(LabelError::Space(bare.to_owned()));
    }
    Ok((name.to_owned(), value.to_owned()))
}
