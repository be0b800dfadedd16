//! Where a PostgreSQL database is: the URL that people know from `psql`.
//!
//! Never shows user or password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// When a connection of which nothing is heard counts as lost.
const SILENCE: Duration = Duration::from_secs(30);

/// What the server does with transactions that a hub left behind: nobody else should wait for them.
const SESSION: &str =
    "-c idle_in_transaction_session_timeout=30s -c lock_timeout=20s -c statement_timeout=120s";

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL of this kind.
    #[error("it does not begin with postgres://")]
    Scheme,
    /// A mode that is not one.
    #[error("sslmode={0} is not one of disable, prefer, require, verify-full")]
    Mode(String),
    /// What its reader says.
    #[error("{0}")]
    Form(String),
    /// No database named.
    #[error("it names no database, as in postgres://user@host/database")]
    Nameless,
}

/// How a connection is kept from others' eyes, in libpq's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cover {
    /// As it comes (`disable`).
    Bare,
    /// By TLS, whoever the server is (`require`); not even that if it has none (`prefer`).
    Sealed,
    /// By TLS with a server whose certificate these roots vouch for (`verify-full`); those of the
    /// machine, if none are named.
    Verified(Option<PathBuf>),
}

/// The address of a PostgreSQL database.
#[derive(Clone, PartialEq)]
pub struct Address {
    pub(super) config: Config,
    pub(super) cover: Cover,
    place: String,
}

impl Address {
    /// Reads `postgres://user@host:port/database?sslmode=…`; `password` is used if the URL has none.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str, password: Option<&str>) -> Result<Self, AddressError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(AddressError::Scheme);
        }
        let (bare, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut roots, mut others) = ("prefer", None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => {
                    let path = percent_encoding::percent_decode_str(value);
                    roots = Some(PathBuf::from(path.decode_utf8_lossy().into_owned()));
                }
                _ => others.push(pair),
            }
        }
        let others = others.join("&");
        let config: Config = format!("{bare}?{others}")
            .parse()
            .map_err(|error| AddressError::Form(with_causes(&error)))?;
        let (sealed, cover) = match mode {
            "disable" => (SslMode::Disable, Cover::Bare),
            "prefer" => (SslMode::Prefer, Cover::Sealed),
            "require" => (SslMode::Require, Cover::Sealed),
            "verify-full" => (SslMode::Require, Cover::Verified(roots)),
            other => return Err(AddressError::Mode(other.to_owned())),
        };
        Self::of(config, sealed, cover, password)
    }

    fn of(
        mut config: Config,
        sealed: SslMode,
        cover: Cover,
        password: Option<&str>,
    ) -> Result<Self, AddressError> {
        let name = config.get_dbname().ok_or(AddressError::Nameless)?;
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => format!("{host}:{port}"),
            Some(Host::Unix(folder)) => folder.display().to_string(),
            None => return Err(AddressError::Form("it names no host".to_owned())),
        };
        let place = format!("postgres://{host}/{name}");
        if let (None, Some(password)) = (config.get_password(), password) {
            config.password(password);
        }
        let session = match config.get_options() {
            Some(own) => format!("{SESSION} {own}"),
            None => SESSION.to_owned(),
        };
        config
            .options(session)
            .application_name("shiplap-hub")
            .ssl_mode(sealed)
            .connect_timeout(CONNECT)
            .tcp_user_timeout(SILENCE)
            .keepalives_idle(SILENCE);
        Ok(Self {
            config,
            cover,
            place,
        })
    }

    /// Where it is, without user and password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// An error's words with those of its causes, which libraries leave to be asked for.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
