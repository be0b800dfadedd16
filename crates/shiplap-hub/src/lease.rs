//! A lease of the database, held: renewed until it is dropped, then given back.
//!
//! Where one hub alone has the database there is nobody to keep out, and nothing is asked.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::database::{Database, DatabaseError, Durability};
use crate::records::leases;

/// How long a lease outlives a hub that dies: as long as others wait for it in vain.
const TERM_US: i64 = 10 * 1_000_000;

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(3);

/// How often somebody who waits looks.
const LOOK: Duration = Duration::from_millis(150);

/// A lease that is held.
pub(crate) struct Lease {
    /// None where there is nobody to keep out.
    _holding: Option<Holding>,
}

struct Holding {
    database: Database,
    name: String,
    holder: String,
    renewing: JoinHandle<()>,
}

impl Lease {
    /// Takes a lease; waits for whoever has it, but not longer than `patience`: then none.
    pub(crate) async fn take(
        database: &Database,
        name: String,
        patience: Duration,
    ) -> Result<Option<Self>, DatabaseError> {
        if !database.is_shared() {
            return Ok(Some(Self { _holding: None }));
        }
        let (begun, holder) = (Instant::now(), crate::random::name());
        while !renew(database, &name, &holder).await? {
            if begun.elapsed() >= patience {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
        let renewing = tokio::spawn({
            let (database, name, holder) = (database.clone(), name.clone(), holder.clone());
            async move {
                loop {
                    tokio::time::sleep(RENEWAL).await;
                    if let Err(error) = renew(&database, &name, &holder).await {
                        tracing::warn!("failed to {error}");
                    }
                }
            }
        });
        Ok(Some(Self {
            _holding: Some(Holding {
                database: database.clone(),
                name,
                holder,
                renewing,
            }),
        }))
    }
}

async fn renew(database: &Database, name: &str, holder: &str) -> Result<bool, DatabaseError> {
    let (name, holder) = (name.to_owned(), holder.to_owned());
    let write = database.write(Durability::Lazy, move |tx| {
        leases::take(tx, &name, &holder, TERM_US)
    });
    write.await
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.renewing.abort();
        let (name, holder) = (self.name.clone(), self.holder.clone());
        let database = self.database.clone();
        // Leases are held by tasks; outside of the runtime the term ends them.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let write = database.write(Durability::Lazy, move |tx| {
                    leases::give_back(tx, &name, &holder)
                });
                if let Err(error) = write.await {
                    tracing::warn!("failed to {error}");
                }
            });
        }
    }
}
