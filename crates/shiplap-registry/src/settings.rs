//! What the caller decides: which registry is where, how patient to be, whom to trust.
//!
//! Nothing here is read from the environment or a file; the caller does that.

use std::path::PathBuf;
use std::time::Duration;

/// All settings of a [`crate::Client`].
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Rules for registries; for a repository the one with the longest matching prefix holds.
    pub rules: Vec<RegistryRule>,
    /// Certificates to trust.
    pub tls: TlsSettings,
    /// Proxies.
    pub proxy: ProxySettings,
    /// Time limits and repetition.
    pub patience: Patience,
    /// The `User-Agent`; empty for the crate's own.
    pub user_agent: String,
}

/// Where the repositories under a prefix are.
///
/// A place is `host[:port][/path]`, with `http://` or `https://` before it to force a scheme. The
/// prefix of a repository's name is replaced by the place: prefix `docker.io` and place
/// `mirror.example/hub` make `docker.io/library/python` `mirror.example/hub/library/python`.
/// Docker's own registry is reached at `registry-1.docker.io`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryRule {
    /// A registry (`docker.io`, `localhost:5000`) or a path in one (`ghcr.io/org`); whole path
    /// components match.
    pub prefix: String,
    /// Places to read from first, in this order.
    pub mirrors: Vec<String>,
    /// The place to use instead of the prefix itself; writes go there.
    pub location: Option<String>,
    /// No certificate is verified, and where https is not spoken, plain http is used. Holds for
    /// mirrors too.
    pub insecure: bool,
    /// Token servers that get this registry's credentials though it is not reached by verified
    /// https: origins (`http://127.0.0.1:5001`), compared by scheme, host and port. The registry
    /// itself needs no entry, and one reached by verified https none for https token servers.
    /// Does not hold for mirrors: the rule for a mirror's own name does.
    pub token_servers: Vec<String>,
}

/// Whom to trust. System roots are loaded at the first use of https, not before.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings {
    /// PEM files with certificates to trust beside the system's.
    pub extra_roots: Vec<PathBuf>,
    /// PEM files with certificates to trust instead of the system's (as `SSL_CERT_FILE`).
    pub only_roots: Vec<PathBuf>,
}

/// How to get out. Loopback is always reached directly.
#[derive(Debug, Clone, Default)]
pub enum ProxySettings {
    /// Directly.
    #[default]
    Direct,
    /// By the environment's `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    System,
    /// By these.
    Given {
        /// Proxy for http addresses.
        http: Option<String>,
        /// Proxy for https addresses.
        https: Option<String>,
        /// Hosts that are reached directly, in `NO_PROXY`'s form.
        no_proxy: String,
    },
}

/// Time limits and repetition.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// From a request sent until the head of its answer.
    pub response: Duration,
    /// Longest time without a byte, in either direction.
    pub stall: Duration,
    /// How often a failed request is repeated, or a cut blob resumed without any progress.
    pub retries: u32,
    /// First wait before a repetition; doubles each time, with jitter.
    pub backoff: Duration,
    /// Longest wait before a repetition.
    pub backoff_max: Duration,
    /// Longest `Retry-After` that is waited for; a longer one is an error at once.
    pub retry_after_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            response: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            retries: 5,
            backoff: Duration::from_millis(400),
            backoff_max: Duration::from_secs(15),
            retry_after_max: Duration::from_secs(60),
        }
    }
}

/// Something that did not stop the work but that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A mirror was passed over.
    Mirror {
        /// Host of the mirror.
        mirror: String,
        /// The registry it stands for.
        registry: String,
        /// Why.
        cause: String,
    },
    /// A request is repeated after a wait.
    Retry {
        /// Host that is asked again.
        host: String,
        /// The wait.
        wait: Duration,
        /// Why.
        cause: String,
    },
    /// A blob is read on from where the connection broke.
    Resume {
        /// Host that is asked again.
        host: String,
        /// How many bytes are there already.
        offset_bytes: u64,
        /// Why.
        cause: String,
    },
    /// Stored credentials could not be read; the request goes on without.
    Credentials {
        /// The registry they are for.
        registry: String,
        /// Why.
        cause: String,
    },
}
