//! What nobody waits for: counters are written, abandoned uploads forgotten, and space comes back,
//! by the review queues, beside everything else.
//!
//! A blob goes in three steps, each of which may be the last before a crash: a repository loses it;
//! no repository has it, so its record goes and its object is noted as discarded; the object is
//! removed, then the note. Whoever pushes the same digest meanwhile makes an object of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::database::{DatabaseError, Durability, Tx};
use crate::hub::Hub;
use crate::records::repositories as rules_of;
use crate::records::{leases, now_us, reviews, uploads};
use crate::storage::StorageError;
use crate::webhooks;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(10);

/// How long an upload may go without a byte.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often a repository's rules are applied, if nothing else has it looked at, in microseconds.
const RULES_US: i64 = 6 * 3600 * 1_000_000;

/// Entries of a queue that are worked through in one transaction.
const BATCH: u64 = 64;

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Keeps house until it is dropped.
pub(crate) async fn keep(hub: Arc<Hub>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = hub.wake.notified() => {}
        }
        write_pulls(&hub).await;
        if let Err(error) = deliver(&hub).await {
            tracing::warn!("failed to {error}");
        }
        if let Err(error) = round(&hub, reviews::GRACE_US).await {
            tracing::warn!("failed to {error}");
        }
    }
}

/// Tells webhooks all that is due.
async fn deliver(hub: &Arc<Hub>) -> Result<(), KeepError> {
    while webhooks::deliver(hub).await? {}
    Ok(())
}

/// Writes the pulls that were counted.
pub(crate) async fn write_pulls(hub: &Hub) {
    if let Err(error) = hub.pulls.write(&hub.database).await {
        tracing::warn!("failed to {error}");
    }
}

/// Works through everything that is due.
pub(crate) async fn round(hub: &Hub, grace_us: i64) -> Result<(), KeepError> {
    abandoned(hub).await?;
    while repositories(hub, grace_us).await? {}
    while blobs(hub).await? {}
    while objects(hub).await? {}
    Ok(())
}

async fn abandoned(hub: &Hub) -> Result<(), KeepError> {
    for id in hub.storage.list_uploads(ABANDONED).await? {
        let gone = id.clone();
        let write = hub
            .database
            .write(Durability::Lazy, move |tx| uploads::remove(tx, &gone));
        write.await?;
        hub.uploads.forget(&id);
        hub.storage.discard(&id).await?;
    }
    let before = now_us() - i64::try_from(ABANDONED.as_micros()).unwrap_or(i64::MAX);
    let begun = hub
        .database
        .read(move |tx| uploads::begun_before(tx, before, BATCH));
    for id in begun.await? {
        // One that goes on for so long was found above once it stopped.
        if hub.storage.progress(&id).await?.offset == 0 {
            hub.storage.discard(&id).await?;
            let write = hub
                .database
                .write(Durability::Lazy, move |tx| uploads::remove(tx, &id));
            write.await?;
        }
    }
    if hub.database.is_shared() {
        let write = hub.database.write(Durability::Lazy, leases::forget_old);
        write.await?;
    }
    Ok(())
}

async fn repositories(hub: &Hub, grace_us: i64) -> Result<bool, KeepError> {
    let due = hub
        .database
        .read(|tx| reviews::due_repositories(tx, now_us(), BATCH));
    let due = due.await?;
    let is_full = due.len() as u64 == BATCH;
    for repository in due {
        let write = hub.database.write(Durability::Lazy, move |tx| {
            look_at(tx, repository, grace_us)
        });
        write.await?;
    }
    Ok(is_full)
}

/// Applies a repository's rules, and takes from it what no manifest needs then.
fn look_at(tx: &dyn Tx, repository: i64, grace_us: i64) -> Result<(), DatabaseError> {
    let now = now_us();
    let rules = rules_of::retention(tx, repository)?;
    if let Some(rules) = &rules {
        rules.apply(tx, repository, now)?;
    }
    reviews::look_at_repository(tx, repository, now, grace_us)?;
    if rules.is_some() {
        reviews::of_repository(tx, repository, now + RULES_US)?;
    }
    Ok(())
}

async fn blobs(hub: &Hub) -> Result<bool, KeepError> {
    let due = hub
        .database
        .read(|tx| reviews::due_blobs(tx, now_us(), BATCH));
    let due = due.await?;
    let is_full = due.len() as u64 == BATCH;
    if !due.is_empty() {
        // On the disk before an object goes: a record never names one that is not there.
        let write = hub.database.write(Durability::Durable, move |tx| {
            due.iter()
                .try_for_each(|digest| reviews::look_at_blob(tx, digest).map(|_| ()))
        });
        write.await?;
    }
    Ok(is_full)
}

async fn objects(hub: &Hub) -> Result<bool, KeepError> {
    let discarded = hub
        .database
        .read(|tx| reviews::discarded(tx, BATCH))
        .await?;
    let is_full = discarded.len() as u64 == BATCH;
    for object in discarded {
        hub.storage.remove(&object).await?;
        hub.metrics.collected(1);
        let write = hub
            .database
            .write(Durability::Lazy, move |tx| reviews::removed(tx, &object));
        write.await?;
    }
    Ok(is_full)
}

#[cfg(test)]
mod tests;
