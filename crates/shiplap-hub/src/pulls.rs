//! How often repositories are pulled: counted in memory, written to the database now and then.
//!
//! A request adds to a map and goes on; what was not written yet when the process is killed is lost,
//! and only that.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::database::{Database, DatabaseError, Durability};
use crate::lock::lock;
use crate::records::repositories;

/// Pulls that are not written yet.
#[derive(Debug, Default)]
pub struct Pulls {
    counted: Mutex<HashMap<i64, u64>>,
}

impl Pulls {
    /// Counts a pull.
    pub fn note(&self, repository: i64) {
        let mut counted = lock(&self.counted);
        *counted.entry(repository).or_default() += 1;
    }

    /// Writes what was counted.
    ///
    /// # Errors
    /// [`DatabaseError`]; then it is counted on, and written the next time.
    pub async fn write(&self, database: &Database) -> Result<(), DatabaseError> {
        let counted = std::mem::take(&mut *lock(&self.counted));
        if counted.is_empty() {
            return Ok(());
        }
        let written = counted.clone();
        let write = database.write(Durability::Lazy, move |tx| {
            for (repository, count) in &written {
                repositories::add_pulls(tx, *repository, *count)?;
            }
            Ok(())
        });
        let outcome = write.await;
        if outcome.is_err() {
            let mut now = lock(&self.counted);
            for (repository, count) in counted {
                *now.entry(repository).or_default() += count;
            }
        }
        outcome
    }
}
