//! The hub: a registry with users, search and a public face.
//!
//! A request goes `server` → `service` (route, caller, [`authorization::decide`]) → a handler of
//! `api` or `pages` → [`records`] in the [`database`] and bytes in the [`storage`]. Those two are ports; a third
//! sort of thing that lasts there is not. `keeper` does what nobody waits for.
//!
//! Never imports the store, layers or the registry client, and never prints: lines of the access log
//! go to whoever started it.
#![forbid(unsafe_code)]

pub mod admin;
mod api;
mod authentication;
pub mod authorization;
mod browser;
mod call;
pub mod check;
pub mod database;
mod hub;
mod intake;
pub mod issuer;
mod keeper;
mod lease;
mod linger;
mod lock;
pub mod metrics;
mod mirror;
mod openapi;
mod pages;
pub mod password;
pub mod pulls;
pub mod random;
pub mod records;
mod refusal;
pub mod retention;
mod routes;
mod server;
mod service;
pub mod storage;
mod upload;
mod upstream;
pub mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;

pub use database::{Address, AddressError};
pub use hub::{HubError, LineTaker, Options, Place, TlsFiles};
pub use storage::{Bucket, BucketError};
pub use upstream::Origin;

/// Tells a hub to end, from any thread.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<tokio::sync::Notify>);

impl Stop {
    /// Tells it.
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

/// Serves until it is told to stop, then ends in order: requests that go on may finish, counters are
/// written. `ready` is told the address, with the port that was free.
///
/// # Errors
/// [`HubError`], if it can't start.
pub fn serve(
    options: Options,
    stop: &Stop,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), HubError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("hub")
        .build()
        .map_err(|source| HubError::Threads { source })?;
    // Opening waits for the database.
    let hub = Arc::new(hub::Hub::open(options)?);
    runtime.block_on(async {
        hub.probe().await?;
        let listening = server::Listening::open(&hub).await?;
        if let Some(address) = listening.address() {
            ready(address);
        }
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&hub)));
        listening.serve(Arc::clone(&hub), stop.0.notified()).await;
        keeper.abort();
        keeper::write_pulls(&hub).await;
        Ok(())
    })
}
