//! Bringing the tables up to date, by one replica at a time.
//!
//! A table holds the schema's version; a newer one is refused, older ones are brought up step by step
//! in one transaction, under a lock that other replicas wait for.

use tokio_postgres::{Client, Error};

use super::Reach;
use super::trouble::told;
use crate::database::DatabaseError;
use crate::database::tables::STEPS;

/// The lock, by a number that no other program is likely to use.
const LOCK: i64 = 0x5348_4950_4c41_5001;

/// Makes or renews the tables.
pub(super) async fn bring_up(reach: &Reach, client: &Client) -> Result<(), DatabaseError> {
    let fail = |error: Error| told(&reach.place, "make tables", &error);
    let encoding = client.query_one("SHOW server_encoding", &[]).await;
    let encoding: String = encoding.and_then(|row| row.try_get(0)).map_err(fail)?;
    if encoding != "UTF8" {
        return Err(DatabaseError::Sql {
            action: "make tables",
            place: reach.place.clone(),
            message: format!("its encoding is {encoding}, not UTF8"),
        });
    }
    // Gone with the transaction, or with the connection.
    let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})");
    client.batch_execute(&begin).await.map_err(fail)?;
    let made = steps(reach, client).await;
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    client.batch_execute(end).await.map_err(fail)?;
    made
}

async fn steps(reach: &Reach, client: &Client) -> Result<(), DatabaseError> {
    let fail = |error: Error| told(&reach.place, "make tables", &error);
    let sql = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
    client.batch_execute(sql).await.map_err(fail)?;
    let sql = "SELECT coalesce(max(version), 0) FROM schema_version";
    let found = client.query_one(sql, &[]).await;
    let found: i64 = found.and_then(|row| row.try_get(0)).map_err(fail)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(DatabaseError::Newer {
            place: reach.place.clone(),
            found,
            known,
        });
    }
    if found == known {
        return Ok(());
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        client.batch_execute(&step.postgres()).await.map_err(fail)?;
    }
    let sql = format!("DELETE FROM schema_version; INSERT INTO schema_version VALUES ({known})");
    client.batch_execute(&sql).await.map_err(fail)
}
