//! The words of the distribution API besides manifests: tag lists, errors and tokens, which
//! registries and clients share (OCI distribution specification; Docker's token specification).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json;

/// `GET /v2/<name>/tags/list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagList {
    /// The repository.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub name: String,
    /// Its tags, sorted bytewise.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub tags: Vec<String>,
}

/// `GET /v2/_catalog`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The registry's repositories.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub repositories: Vec<String>,
}

/// The body of an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, at least one.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub errors: Vec<ErrorEntry>,
}

/// One thing that went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// One of [`code`]'s, mostly.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub code: String,
    /// For people.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub message: String,
    /// Anything.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

/// Error codes of the distribution specification.
pub mod code {
    /// The blob is not known to the registry.
    pub const BLOB_UNKNOWN: &str = "BLOB_UNKNOWN";
    /// An upload went wrong.
    pub const BLOB_UPLOAD_INVALID: &str = "BLOB_UPLOAD_INVALID";
    /// The upload is not known to the registry.
    pub const BLOB_UPLOAD_UNKNOWN: &str = "BLOB_UPLOAD_UNKNOWN";
    /// The content is not what its digest says.
    pub const DIGEST_INVALID: &str = "DIGEST_INVALID";
    /// The manifest names a blob or manifest that is not there.
    pub const MANIFEST_BLOB_UNKNOWN: &str = "MANIFEST_BLOB_UNKNOWN";
    /// The manifest is not well formed.
    pub const MANIFEST_INVALID: &str = "MANIFEST_INVALID";
    /// The manifest is not known to the repository.
    pub const MANIFEST_UNKNOWN: &str = "MANIFEST_UNKNOWN";
    /// The repository's name is not well formed.
    pub const NAME_INVALID: &str = "NAME_INVALID";
    /// The repository is not known to the registry.
    pub const NAME_UNKNOWN: &str = "NAME_UNKNOWN";
    /// The content is not as long as was said.
    pub const SIZE_INVALID: &str = "SIZE_INVALID";
    /// Log in first.
    pub const UNAUTHORIZED: &str = "UNAUTHORIZED";
    /// Logged in, and still not allowed.
    pub const DENIED: &str = "DENIED";
    /// The registry does not do this.
    pub const UNSUPPORTED: &str = "UNSUPPORTED";
    /// Too many requests.
    pub const TOOMANYREQUESTS: &str = "TOOMANYREQUESTS";
}

impl ErrorBody {
    /// A body of one error.
    #[must_use]
    pub fn of(code: &str, message: impl Into<String>) -> Self {
        let detail = serde_json::Value::Null;
        Self {
            errors: vec![ErrorEntry {
                code: code.to_owned(),
                message: message.into(),
                detail,
            }],
        }
    }

    /// Whether one of the errors has this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code == code)
    }
}

/// For people, in one line. The words are the registry's, so control characters, which could
/// write anywhere on a terminal, are escaped, and it ends after some hundred characters.
impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ENTRIES: usize = 4;
        const CHARACTERS: usize = 400;
        for (number, error) in self.errors.iter().take(ENTRIES).enumerate() {
            let separator = if number > 0 { "; " } else { "" };
            let colon = if error.message.is_empty() { "" } else { ": " };
            f.write_str(separator)?;
            let text = error
                .code
                .chars()
                .chain(colon.chars())
                .chain(error.message.chars());
            for c in text.take(CHARACTERS) {
                if c.is_control() {
                    fmt::Display::fmt(&c.escape_default(), f)?;
                } else {
                    fmt::Write::write_char(f, c)?;
                }
            }
        }
        Ok(())
    }
}

/// What a token server answers. It is a secret: `Debug` doesn't show it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The token, by OAuth2's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// How long it is good, in seconds; 60 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// Since when it is good (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<String>,
    /// For further tokens without a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

impl TokenResponse {
    /// How long a token is good if its server doesn't say, in seconds (token specification).
    pub const DEFAULT_SECONDS: u64 = 60;

    /// The token, by whichever name.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        let names = [self.token.as_deref(), self.access_token.as_deref()];
        names.into_iter().flatten().find(|token| !token.is_empty())
    }

    /// How long it is good, in seconds: at least [`Self::DEFAULT_SECONDS`], as the specification
    /// asks of clients.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.expires_in
            .unwrap_or_default()
            .max(Self::DEFAULT_SECONDS)
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        f.debug_struct("TokenResponse")
            .field("seconds", &seconds)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
