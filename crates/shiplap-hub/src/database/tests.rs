#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use tempfile::TempDir;

use super::*;
use crate::values;

fn open() -> (TempDir, Database) {
    let folder = TempDir::new().unwrap();
    let database = Database::open(&folder.path().join("hub.db")).unwrap();
    (folder, database)
}

fn count(database: &Database) -> u64 {
    let counted = database.read_now(|tx| tx.number("SELECT count(*) FROM settings", &[]));
    counted.unwrap()
}

fn add(tx: &dyn Tx, name: &str) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO settings (name, value) VALUES (?1, ?2)";
    tx.execute(sql, values![name, vec![1_u8, 2]]).map(|_| ())
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let (folder, database) = open();
    database.write_now(|tx| add(tx, "a")).unwrap();
    drop(database);
    let database = Database::open(&folder.path().join("hub.db")).unwrap();
    assert_eq!(count(&database), 1);
    assert_eq!(database.integrity().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn many_writes_share_transactions_and_fail_alone() {
    let (_folder, database) = open();
    let writes: Vec<_> = (0..200)
        .map(|number| {
            let database = database.clone();
            tokio::spawn(async move {
                let write = database.write(Durability::Durable, move |tx| {
                    add(tx, &number.to_string())?;
                    if number % 2 == 0 {
                        Ok(())
                    } else {
                        Err(DatabaseError::Closed)
                    }
                });
                write.await.is_ok()
            })
        })
        .collect();
    for (number, write) in writes.into_iter().enumerate() {
        assert_eq!(write.await.unwrap(), number % 2 == 0, "{number}");
    }
    assert_eq!(count(&database), 100);
}

#[test]
fn a_newer_database_is_refused() {
    let (folder, database) = open();
    drop(database);
    let path = folder.path().join("hub.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "user_version", 1000)
        .unwrap();
    drop(connection);
    assert!(matches!(
        Database::open(&path),
        Err(DatabaseError::Newer { .. })
    ));
}

#[test]
fn a_row_holds_what_it_is_read_as() {
    let (_folder, database) = open();
    let read = database.read_now(|tx| {
        let row = tx.row("SELECT ?1, ?2, NULL, ?3", values![5_i64, "text", true])?;
        Ok::<_, DatabaseError>(row.unwrap())
    });
    let row = read.unwrap();
    assert_eq!(row.integer(0).unwrap(), 5);
    assert_eq!(row.text(1).unwrap(), "text");
    assert_eq!(row.maybe_text(2).unwrap(), None);
    assert!(row.flag(3).unwrap());
    assert!(row.text(0).is_err() && row.integer(1).is_err() && row.integer(9).is_err());
}
