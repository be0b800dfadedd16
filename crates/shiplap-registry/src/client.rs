//! The client as its callers see it: plain calls that block, on any thread that is not an async
//! worker.
//!
//! Making one costs nothing: threads, connections, certificates and credential files are touched
//! at the first request that needs them. It never touches the store and never prints.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::Method;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::authorization::{Keys, Scopes};
use crate::credentials::{Credential, CredentialStore};
use crate::error::{Error, Item};
use crate::exchange::{self, Exchange};
use crate::place::{self, Service};
use crate::settings::{Settings, Warning};

/// Takes what did not stop the work but the user should know. Called from any thread.
pub type WarningSink = Arc<dyn Fn(&Warning) + Send + Sync>;

/// Threads for connections: TLS of two layers at once.
const WORKERS: usize = 2;

/// A client of all registries. Cheap to clone; clones share connections and tokens.
///
/// Its calls block: an async worker must not make them.
#[derive(Clone)]
pub struct Client {
    exchange: Arc<Exchange>,
    threads: Arc<Threads>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", self.exchange.settings())
            .finish_non_exhaustive()
    }
}

/// The threads that carry connections; none before the first request.
#[derive(Default)]
struct Threads(Mutex<Option<Runtime>>);

impl Threads {
    fn handle(&self) -> Result<Handle, Error> {
        let mut runtime = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.as_ref() {
            return Ok(runtime.handle().clone());
        }
        let started = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("registry")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Error::Start(error.to_string()))?;
        Ok(runtime.insert(started).handle().clone())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let runtime = self
            .0
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Client {
    /// A client. Nothing is started or read before the first request.
    #[must_use]
    pub fn new(settings: Settings, credentials: CredentialStore) -> Self {
        Self::with_keys(settings, Keys::Store(credentials), None)
    }

    /// A client that tells warnings to `sink`.
    #[must_use]
    pub fn with_warnings(
        settings: Settings,
        credentials: CredentialStore,
        sink: WarningSink,
    ) -> Self {
        Self::with_keys(settings, Keys::Store(credentials), Some(sink))
    }

    fn with_keys(settings: Settings, keys: Keys, sink: Option<WarningSink>) -> Self {
        let exchange = Arc::new(Exchange::new(settings, keys, sink));
        Self {
            exchange,
            threads: Arc::default(),
        }
    }

    pub(crate) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    pub(crate) fn handle(&self) -> Result<Handle, Error> {
        self.threads.handle()
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.handle()?.block_on(work)
    }

    /// Asks whether `registry` (`docker.io`, `localhost:5000`) speaks the distribution API to
    /// this user.
    ///
    /// # Errors
    /// [`Error`].
    pub fn ping(&self, registry: &str) -> Result<(), Error> {
        self.run(async {
            let place = place::registry_place(
                self.exchange.settings(),
                registry,
                "",
                Service::Distribution,
            )?;
            let request = exchange::request(&place, Method::GET, "/v2/".to_owned(), Item::Whole);
            self.exchange
                .send(&request, &Bytes::new(), &Scopes::default())
                .await?
                .success()
                .await?;
            Ok(())
        })
    }

    /// Proves `credential` at `registry` and returns what to keep: the token server's identity
    /// token if it gives one, else the credential itself.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if it is wrong.
    pub fn login(&self, registry: &str, credential: &Credential) -> Result<Credential, Error> {
        let settings = self.exchange.settings().clone();
        // A client of its own: what others have been granted must not prove this credential.
        let prover = Self::with_keys(settings, Keys::Given(credential.clone()), None);
        prover.run(async {
            let settings = prover.exchange.settings();
            let place = place::registry_place(settings, registry, "", Service::Distribution)?;
            let refresh = prover.exchange.prove(&place, credential).await?;
            Ok(match (refresh, credential.username()) {
                (Some(token), Some(username)) => Credential::IdentityToken {
                    username: username.to_owned(),
                    token,
                },
                _ => credential.clone(),
            })
        })
    }
}
