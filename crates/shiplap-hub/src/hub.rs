//! The hub: what it was started with, and what all requests share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::database::{Address, Database, DatabaseError};
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::mirror::Mirrors;
use crate::password::{Checker, PasswordError};
use crate::pulls::Pulls;
use crate::records::namespaces::{self, Kind};
use crate::records::repositories::{self, Name};
use crate::server::Patience;
use crate::storage::{
    Bucket, BucketError, FolderLock, Local, Object, S3, Storage, StorageError, UploadId,
};
use crate::upload::Uploads;
use crate::upstream::Origin;

/// Takes a line of the access log.
pub type LineTaker = Arc<dyn Fn(&str) + Send + Sync>;

/// Where all lies that a hub keeps.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The folder of what lies nowhere else.
    pub data: PathBuf,
    /// The PostgreSQL database, if it isn't SQLite's in the folder.
    pub database: Option<Address>,
    /// The bucket of blobs, if they aren't in the folder.
    pub storage: Option<Bucket>,
}

/// What a hub is started with.
#[derive(Clone)]
pub struct Options {
    /// Where all lies.
    pub place: Place,
    /// Whether clients are sent to the bucket for blobs.
    pub redirect: bool,
    /// Where it listens.
    pub address: SocketAddr,
    /// Certificate and key, to speak TLS.
    pub tls: Option<TlsFiles>,
    /// Whether it may listen beyond this machine without TLS.
    pub insecure: bool,
    /// What the world calls it, as `https://hub.example`, if that is not what clients ask for.
    pub url: Option<String>,
    /// Whether repositories that a push makes are private.
    pub private_by_default: bool,
    /// Whether anybody may see the numbers for Prometheus.
    pub open_metrics: bool,
    /// Whether webhooks may be on this machine or its network.
    pub inner_webhooks: bool,
    /// Registries whose images are fetched and kept; the first is asked for what is not here, too.
    pub mirrors: Vec<Origin>,
    /// Who takes a line for every request.
    pub access_log: Option<LineTaker>,
}

/// A certificate with its chain, and its key, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain.
    pub certificates: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Why a hub does not start or run.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Passwords would go over a network in the clear.
    #[error(
        "listen on {address}: that is not this machine alone, so it needs TLS (--tls-certificate and --tls-key) or, behind a proxy that speaks TLS, --insecure"
    )]
    Exposed {
        /// Where.
        address: SocketAddr,
    },
    /// The address can't be had.
    #[error("listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key that can't be used.
    #[error("read the certificate or key {path}: {message}")]
    Tls {
        /// Which file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The folder can't be made.
    #[error("make the folder {path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No client of an upstream registry can be made.
    #[error("mirror: {message}")]
    Upstream {
        /// Why.
        message: String,
    },
    /// A bucket that can't be asked.
    #[error("use the storage {bucket:?}: {source}")]
    Bucket {
        /// Which.
        bucket: Bucket,
        /// Why.
        source: BucketError,
    },
    /// A bucket that does not answer as it should.
    #[error("reach the storage {bucket:?}: {message}{}", hint(bucket))]
    Unreachable {
        /// Which.
        bucket: Bucket,
        /// Why.
        message: String,
    },
    /// No threads.
    #[error("start the threads: {source}")]
    Threads {
        /// Why.
        source: std::io::Error,
    },
    /// The database's failure.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The storage's failure.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No hash can be made.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// What mostly is the matter with a bucket that nobody gave a key for.
fn hint(bucket: &Bucket) -> &'static str {
    if bucket.has_key() {
        return "";
    }
    " (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, so the machine was asked for its role)"
}

/// The database's file in the folder.
const DATABASE: &str = "hub.db";

impl Place {
    /// Opens the database, making it, and its folder, where they are not. Waits.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn open_database(&self) -> Result<Database, HubError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let database = if let Some(address) = &self.database {
            Database::connect(address)?
        } else {
            let made = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.data);
            made.map_err(|source| HubError::Folder {
                path: self.data.clone(),
                source,
            })?;
            Database::open(&self.data.join(DATABASE))?
        };
        database.write_now(repositories::ensure_official)?;
        Ok(database)
    }

    /// Opens the storage beside a hub that may run: for looking, and for removing what nothing names.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn storage_beside(&self, database: &Database) -> Result<Arc<dyn Storage>, HubError> {
        match &self.storage {
            Some(bucket) => s3(bucket, database),
            None => Ok(Arc::new(Local::beside(&self.data))),
        }
    }

    /// Opens the storage for this hub; and keeps others from the folder, if it is used.
    fn storage(
        &self,
        database: &Database,
    ) -> Result<(Arc<dyn Storage>, Option<FolderLock>), HubError> {
        match &self.storage {
            None => Ok((Arc::new(Local::open(&self.data)?), None)),
            Some(bucket) => {
                let lock = (!database.is_shared()).then(|| FolderLock::take(&self.data));
                Ok((s3(bucket, database)?, lock.transpose()?))
            }
        }
    }
}

fn s3(bucket: &Bucket, database: &Database) -> Result<Arc<dyn Storage>, HubError> {
    let opened = S3::open(bucket, database.clone());
    let opened = opened.map_err(|source| HubError::Bucket {
        bucket: bucket.clone(),
        source,
    })?;
    Ok(Arc::new(opened))
}

/// What all requests share.
pub(crate) struct Hub {
    pub(crate) options: Options,
    pub(crate) database: Database,
    pub(crate) storage: Arc<dyn Storage>,
    _lock: Option<FolderLock>,
    pub(crate) issuer: Issuer,
    pub(crate) passwords: Checker,
    pub(crate) metrics: Metrics,
    pub(crate) pulls: Pulls,
    pub(crate) uploads: Uploads,
    pub(crate) mirrors: Mirrors,
    pub(crate) patience: Patience,
    /// Wakes the keeper: there is something that somebody waits for.
    pub(crate) wake: tokio::sync::Notify,
}

impl Hub {
    /// Opens everything that the options name.
    pub(crate) fn open(options: Options) -> Result<Self, HubError> {
        let is_local = options.address.ip().is_loopback();
        if !is_local && options.tls.is_none() && !options.insecure {
            return Err(HubError::Exposed {
                address: options.address,
            });
        }
        let database = options.place.open_database()?;
        let issuer = database.write_now(Issuer::load)?;
        let (storage, lock) = options.place.storage(&database)?;
        let mirrors = Mirrors::new(options.mirrors.clone())?;
        let hosts = mirrors.hosts();
        database.write_now(move |tx| {
            hosts
                .iter()
                .try_for_each(|host| namespaces::add(tx, host, Kind::Mirror).map(|_| ()))
        })?;
        Ok(Self {
            database,
            storage,
            _lock: lock,
            issuer,
            passwords: Checker::new()?,
            metrics: Metrics::default(),
            pulls: Pulls::default(),
            uploads: Uploads::default(),
            mirrors,
            patience: Patience::default(),
            wake: tokio::sync::Notify::new(),
            options,
        })
    }

    /// Asks the storage for something that nobody has: whether it can be asked.
    pub(crate) async fn probe(&self) -> Result<(), HubError> {
        let nothing = Object::of_upload(&UploadId::random());
        let asked = self.storage.read(&nothing, 0, 1).await;
        match (asked, &self.options.place.storage) {
            (Ok(_) | Err(StorageError::Absent { .. }), _) => Ok(()),
            (Err(StorageError::Unavailable { message, .. }), Some(bucket)) => {
                Err(HubError::Unreachable {
                    bucket: bucket.clone(),
                    message,
                })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Whether a repository of this name that comes to be is private.
    pub(crate) fn is_private(&self, name: &Name) -> bool {
        self.options.private_by_default && !self.mirrors.has(name.namespace())
    }

    /// What clients call the hub: as it was told, else as they do.
    pub(crate) fn url(&self, host: Option<&str>) -> String {
        if let Some(url) = &self.options.url {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = if self.options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let is_host = |host: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
            !host.is_empty() && host.len() <= 300 && host.chars().all(plain)
        };
        let own = self.options.address;
        let host = host
            .filter(is_host)
            .map_or_else(|| own.to_string(), str::to_owned);
        format!("{scheme}://{host}")
    }
}
