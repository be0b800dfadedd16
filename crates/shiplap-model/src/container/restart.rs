//! `--restart`: when a container is started again.
//!
//! Without a daemon nobody can; the words are read so that a user is told what they come to.

/// What a user wants done when a container ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped`, `on-failure`, or what [`RestartPolicy::check`] refuses.
    pub name: String,
    /// How often at most; 0: as often as needed.
    pub max_retries: i64,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// Nothing before the colon.
    #[error("invalid restart policy format: no policy provided before colon")]
    NoName,
    /// No number behind it.
    #[error("invalid restart policy format: maximum retry count must be an integer")]
    Retries,
    /// There is none of that name.
    #[error(
        "invalid restart policy: unknown policy '{0}'; use one of 'no', 'always', 'on-failure', \
         or 'unless-stopped'"
    )]
    Name(String),
    /// A number that is less than 0, or that the policy has no use for.
    #[error(
        "invalid restart policy: maximum retry count can only be used with 'on-failure' and \
         cannot be negative"
    )]
    Unwanted,
}

/// Reads `always` or `on-failure:3`, as Docker's client does: any name.
///
/// # Errors
/// [`RestartError`].
pub fn parse(text: &str) -> Result<RestartPolicy, RestartError> {
    let (name, retries) = match text.split_once(':') {
        Some((name, retries)) => (name, Some(retries)),
        None => (text, None),
    };
    if name.is_empty() && retries.is_some() {
        return Err(RestartError::NoName);
    }
    let max_retries = match retries {
        None | Some("") => 0,
        Some(retries) => retries.parse().map_err(|_| RestartError::Retries)?,
    };
    Ok(RestartPolicy {
        name: if name.is_empty() { "no" } else { name }.to_owned(),
        max_retries,
    })
}

impl RestartPolicy {
    /// Whether it means anything, as Docker's daemon checks it.
    ///
    /// # Errors
    /// [`RestartError`].
    pub fn check(&self) -> Result<(), RestartError> {
        match (self.name.as_str(), self.max_retries) {
            ("no" | "always" | "unless-stopped", 0) | ("on-failure", 0..) => Ok(()),
            ("no" | "always" | "unless-stopped" | "on-failure", _) => Err(RestartError::Unwanted),
            _ => Err(RestartError::Name(self.name.clone())),
        }
    }

    /// The container stays ended.
    #[must_use]
    pub fn is_no(&self) -> bool {
        self.name == "no"
    }
}
