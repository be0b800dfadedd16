//! Webhooks: telling other programs what was pushed and deleted.
//!
//! What is to be told is written in the transaction of the push itself, and told later, again if it
//! fails. Never to an address of this machine or its network unless that is allowed: whoever may make
//! a webhook would otherwise reach what only the hub can reach.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use sha2::{Digest as _, Sha256};

use crate::database::{DatabaseError, Durability};
use crate::hub::Hub;
use crate::keeper::KeepError;
use crate::random;
use crate::records::now_us;
use crate::records::webhooks::{self, Delivery};

/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is tried; waiting doubles from a minute, so the last try is some hours after the first.
const ATTEMPTS: u64 = 9;
const FIRST_WAIT_US: i64 = 60 * 1_000_000;

/// How long a delivery is one hub's: longer than it may take.
const CLAIM_US: i64 = 60 * 1_000_000;

/// Deliveries of one round.
const BATCH: u64 = 16;

/// The header that proves who sends.
pub const SIGNATURE: &str = "x-shiplap-signature";

/// Why one was not delivered.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("its address can't be read")]
    Url,
    #[error("its address is of this machine or its network")]
    Inner,
    #[error("its host has no address")]
    Host,
    #[error("{0}")]
    Transport(reqwest::Error),
    #[error("it answered {0}")]
    Status(u16),
}

/// Tells what is due. True if there may be more.
pub(crate) async fn deliver(hub: &Arc<Hub>) -> Result<bool, KeepError> {
    let due = hub.database.read(|tx| webhooks::due(tx, now_us(), BATCH));
    let due = due.await?;
    if due.is_empty() {
        return Ok(false);
    }
    // Several hubs may look at once: each delivery is one's, for a while.
    let write = hub.database.write(Durability::Lazy, move |tx| {
        let mut own = Vec::new();
        for delivery in due {
            if webhooks::claim(tx, &delivery, now_us() + CLAIM_US)? {
                own.push(delivery);
            }
        }
        Ok::<_, DatabaseError>(own)
    });
    let due = write.await?;
    let is_full = due.len() as u64 == BATCH;
    let tasks = due.into_iter().map(|delivery| {
        let hub = Arc::clone(hub);
        tokio::spawn(async move { one(&hub, delivery).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        if let Ok(outcome) = task.await {
            outcome?;
        }
    }
    Ok(is_full)
}

async fn one(hub: &Hub, delivery: Delivery) -> Result<(), KeepError> {
    let told = tell(&delivery, hub.options.inner_webhooks).await;
    let (id, attempts) = (delivery.id, delivery.attempts + 1);
    let again = match told {
        Ok(()) => None,
        Err(error) => {
            let error = error.to_string();
            tracing::info!(
                "failed to deliver to a webhook of {}: {error}",
                delivery.namespace
            );
            let doubled = FIRST_WAIT_US << attempts.min(16);
            (attempts < ATTEMPTS).then(|| now_us() + doubled)
        }
    };
    let write = hub.database.write(Durability::Lazy, move |tx| match again {
        Some(due_us) => webhooks::put_off(tx, id, due_us),
        None => webhooks::delivered(tx, id),
    });
    Ok(write.await?)
}

async fn tell(delivery: &Delivery, may_be_inner: bool) -> Result<(), Failure> {
    let url = Url::parse(&delivery.url).map_err(|_| Failure::Url)?;
    let host = url.host_str().ok_or(Failure::Url)?.to_owned();
    let port = url.port_or_known_default().ok_or(Failure::Url)?;
    let addresses = resolve(&host, port).await?;
    if !may_be_inner && addresses.iter().any(|address| is_inner(address.ip())) {
        return Err(Failure::Inner);
    }
    // The name is not looked up again: it might say something else by then.
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .resolve_to_addrs(host.trim_matches(['[', ']']), &addresses)
        .build()
        .map_err(Failure::Transport)?;
    let sent = client
        .post(url)
        .header("content-type", "application/json")
        .header(SIGNATURE, sign(&delivery.secret, &delivery.body))
        .body(delivery.body.clone())
        .send();
    let answer = sent
        .await
        .map_err(|error| Failure::Transport(error.without_url()))?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(Failure::Status(answer.status().as_u16()))
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let bare = host.trim_matches(['[', ']']);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = tokio::net::lookup_host((bare, port)).await;
    let found: Vec<SocketAddr> = found.map_err(|_| Failure::Host)?.collect();
    if found.is_empty() {
        return Err(Failure::Host);
    }
    Ok(found)
}

/// `sha256=` and the HMAC (RFC 2104) of the body.
#[must_use]
pub fn sign(secret: &str, body: &str) -> String {
    const BLOCK: usize = 64;
    let mut key = [0_u8; BLOCK];
    if secret.len() > BLOCK {
        key[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret.as_bytes());
    }
    let padded = |byte: u8| key.map(|it| it ^ byte);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(body);
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner.finalize());
    format!("sha256={}", random::hex(&outer.finalize()))
}

/// Whether an address is one that only this machine or its network reaches.
fn is_inner(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_documentation()
                || first == 0
                || first >= 240
                || (first == 100 && (64..128).contains(&second))
                || (first == 198 && (18..20).contains(&second))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_inner(IpAddr::V4(v4)),
            None => {
                let first = v6.segments()[0];
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || (first & 0xfe00) == 0xfc00
                    || (first & 0xffc0) == 0xfe80
                    // Addresses of IPv4 in those of IPv6 reach whatever those do.
                    || first == 0x0064
                    || first == 0x2002
            }
        },
    }
}

#[cfg(test)]
mod tests;
