//! Why a registry did not give or take something.
//!
//! Facts only: who was asked, for what, and what came back. No secret, no header and no query of
//! an address is ever kept here; text that a registry sent is trimmed and freed of control
//! characters before it is stored.

use std::fmt;
use std::io;
use std::time::Duration;

use shiplap_model::digest::{Digest, DigestError};

use crate::credentials::CredentialError;

/// What a request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host, and port if any, of the registry or mirror that was asked.
    pub registry: String,
    /// Path of the repository there; empty if the request was about none.
    pub repository: String,
    /// What in it.
    pub item: Item,
}

/// The thing in a registry or repository that a request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The registry or the repository itself.
    Whole,
    /// The manifest with this tag.
    Tag(String),
    /// The manifest with this digest.
    Manifest(Digest),
    /// The blob with this digest.
    Blob(Digest),
    /// A blob on its way up, of a digest not known yet.
    Upload,
    /// The list of tags.
    Tags,
    /// The list of repositories.
    Catalog,
    /// A search.
    Search,
    /// A token for the registry, from its token server.
    Token,
    /// A file of the web: scheme, host and path of its address.
    File(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Item::File(address) = &self.item {
            return f.write_str(address);
        }
        f.write_str(&self.registry)?;
        if !self.repository.is_empty() {
            write!(f, "/{}", self.repository)?;
        }
        match &self.item {
            Item::Whole | Item::File(_) => Ok(()),
            Item::Tag(tag) => write!(f, ":{tag}"),
            Item::Manifest(digest) | Item::Blob(digest) => write!(f, "@{digest}"),
            Item::Upload => f.write_str(" (upload)"),
            Item::Tags => f.write_str(" (tags)"),
            Item::Catalog => f.write_str(" (catalog)"),
            Item::Search => f.write_str(" (search)"),
            Item::Token => f.write_str(" (token)"),
        }
    }
}

/// One error as a registry words it (distribution specification, "Error Codes").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryError {
    /// The code, as `MANIFEST_UNKNOWN`.
    pub code: String,
    /// The registry's words.
    pub message: String,
}

/// A registry's answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The registry's own words, if it had any.
    pub errors: Vec<RegistryError>,
}

impl Refusal {
    /// Whether the registry named `code`.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code == code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP status {}", self.status)?;
        for (index, error) in self.errors.iter().enumerate() {
            f.write_str(if index == 0 { " (" } else { "; " })?;
            match (error.code.as_str(), error.message.as_str()) {
                ("", message) => f.write_str(message)?,
                (code, "") => f.write_str(code)?,
                (code, message) => write!(f, "{code}: {message}")?,
            }
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}

/// How an answer breaks the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// No `Location` where one must be, or one that is no address.
    #[error("no usable Location in the answer")]
    Location,
    /// A redirect to another scheme, or from https to http.
    #[error("a redirect to {scheme}: at {host}, which is not followed")]
    RedirectScheme {
        /// Where to.
        host: String,
        /// By which scheme.
        scheme: String,
    },
    /// More redirects than are followed.
    #[error("more than {0} redirects")]
    TooManyRedirects(usize),
    /// A body that is not the JSON it should be.
    #[error("a body that is not the expected JSON: {0}")]
    Json(String),
    /// A `WWW-Authenticate` that can't be answered.
    #[error("an authentication challenge that can't be answered: {0}")]
    Challenge(String),
    /// A `Link` to a next page that is on another host, comes again, or has too many followers.
    #[error("a list whose next page is not to be followed: {0}")]
    Link(&'static str),
    /// A `Range` or `Content-Range` that does not fit the request.
    #[error("a byte range that does not fit the request")]
    Range,
    /// A header that is missing or malformed.
    #[error("no usable {0} in the answer")]
    Header(&'static str),
    /// A success status that this request does not know.
    #[error("an unexpected HTTP status {0}")]
    Status(u16),
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No registry name, or an address in a rule that is none.
    #[error("use {0:?} as a registry: want host, host:port or host/path")]
    Address(String),
    /// An address that no file is fetched from.
    #[error("download {address:?}: {problem}")]
    Download {
        /// What of it may be shown: no user, password or query.
        address: String,
        /// Why not.
        problem: &'static str,
    },
    /// The registry does not have it.
    #[error("find {target}: {refusal}")]
    NotFound {
        /// What was asked of whom.
        target: Box<Target>,
        /// The answer.
        refusal: Refusal,
    },
    /// Who asks is not known (or does not exist for this caller: many registries answer so).
    #[error("access {target}: not authorised, a login may be needed: {refusal}")]
    Unauthorized {
        /// What was asked of whom.
        target: Box<Target>,
        /// The answer.
        refusal: Refusal,
    },
    /// Who asks is known and may not.
    #[error("access {target}: denied: {refusal}")]
    Denied {
        /// What was asked of whom.
        target: Box<Target>,
        /// The answer.
        refusal: Refusal,
    },
    /// Too many requests, still after waiting as long as the settings allow.
    #[error("access {target}: rate limit reached: {refusal}")]
    RateLimited {
        /// What was asked of whom.
        target: Box<Target>,
        /// The answer.
        refusal: Refusal,
        /// How long the registry asks to wait.
        retry_after: Option<Duration>,
    },
    /// Any other refusal.
    #[error("access {target}: {refusal}")]
    Refused {
        /// What was asked of whom.
        target: Box<Target>,
        /// The answer.
        refusal: Refusal,
    },
    /// No connection, a broken one, or one that stalled.
    #[error("reach {target}: {cause}")]
    Network {
        /// What was asked of whom.
        target: Box<Target>,
        /// The innermost cause.
        cause: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// No secure connection: certificate, name or protocol.
    #[error("reach {target}: TLS: {cause}")]
    Tls {
        /// What was asked of whom.
        target: Box<Target>,
        /// The innermost cause.
        cause: String,
    },
    /// Content is not what was asked for.
    #[error("read {target}: {source}")]
    Content {
        /// What was asked of whom.
        target: Box<Target>,
        /// The difference.
        source: DigestError,
    },
    /// Content larger than is read.
    #[error("read {target}: larger than {limit_bytes} bytes")]
    TooLarge {
        /// What was asked of whom.
        target: Box<Target>,
        /// The bound, in bytes.
        limit_bytes: u64,
    },
    /// The answer breaks the protocol.
    #[error("understand the answer for {target}: {fault}")]
    Protocol {
        /// What was asked of whom.
        target: Box<Target>,
        /// How.
        fault: ProtocolFault,
    },
    /// A place in a rule's `token_servers` that is none.
    #[error("use {0:?} as a token server: want http://host:port or https://host:port")]
    TokenServer(String),
    /// A token server that is not asked at all: see the crate's `realm` module.
    #[error("log in to {registry}: its token server at {realm} is {rule}")]
    Realm {
        /// Host, and port if any, of the registry.
        registry: String,
        /// Scheme and host of the token server.
        realm: String,
        /// The rule that forbids it.
        rule: &'static str,
    },
    /// Access is denied to a request without credentials. There are some, but the registry was
    /// not reached by verified https, and nobody but it says that this token server may have them:
    /// see the crate's `realm` module.
    #[error(
        "access {target}: the credentials for {} were not sent to the token server {realm}; \
         `token_servers` of the registry's rule allows it{}",
        target.registry,
        appended(refusal.as_ref())
    )]
    Withheld {
        /// What was asked of whom.
        target: Box<Target>,
        /// Scheme, host and port of the token server.
        realm: String,
        /// The answer to the request without credentials; none if it was not made.
        refusal: Option<Refusal>,
    },
    /// The content to push could not be read.
    #[error("read the content to push to {target}: {source}")]
    Source {
        /// What was to be pushed where.
        target: Box<Target>,
        /// Why.
        source: io::Error,
    },
    /// A certificate file that can't be used.
    #[error("read certificates from {path}: {cause}")]
    Certificates {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        cause: String,
    },
    /// A proxy address that can't be used.
    #[error("use {0:?} as a proxy")]
    Proxy(String),
    /// The HTTP client or its threads could not be started.
    #[error("start the registry client: {0}")]
    Start(String),
    /// Credentials could not be read.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

fn appended(refusal: Option<&Refusal>) -> String {
    refusal.map_or_else(String::new, |refusal| format!(": {refusal}"))
}

impl Error {
    /// The same, told by someone who knows that credentials were withheld from `realm`.
    pub(crate) fn without_credentials(self, realm: String) -> Self {
        match self {
            Self::Unauthorized { target, refusal } | Self::Denied { target, refusal } => {
                Self::Withheld {
                    target,
                    realm,
                    refusal: Some(refusal),
                }
            }
            other => other,
        }
    }

    /// What the request was about, where it was about something in a registry.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::NotFound { target, .. }
            | Self::Unauthorized { target, .. }
            | Self::Denied { target, .. }
            | Self::RateLimited { target, .. }
            | Self::Refused { target, .. }
            | Self::Network { target, .. }
            | Self::Tls { target, .. }
            | Self::Content { target, .. }
            | Self::TooLarge { target, .. }
            | Self::Protocol { target, .. }
            | Self::Withheld { target, .. }
            | Self::Source { target, .. } => Some(target),
            Self::Address(_)
            | Self::Download { .. }
            | Self::TokenServer(_)
            | Self::Realm { .. }
            | Self::Certificates { .. }
            | Self::Proxy(_)
            | Self::Start(_)
            | Self::Credentials(_) => None,
        }
    }

    /// The registry's answer, where there was one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::NotFound { refusal, .. }
            | Self::Unauthorized { refusal, .. }
            | Self::Denied { refusal, .. }
            | Self::RateLimited { refusal, .. }
            | Self::Refused { refusal, .. } => Some(refusal),
            Self::Withheld { refusal, .. } => refusal.as_ref(),
            _ => None,
        }
    }
}
