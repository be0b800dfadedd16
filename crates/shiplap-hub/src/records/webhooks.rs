//! Webhooks, and what is to be told to them.

use serde_json::json;

use super::repositories::Name;
use super::{now_us, rfc3339};
use crate::database::{DatabaseError, Tx};
use crate::values;

/// A webhook of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its number.
    pub id: i64,
    /// Whose pushes and deletions it hears of.
    pub namespace: String,
    /// Where it is.
    pub url: String,
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// Of which namespace.
    pub namespace: String,
    /// Where to.
    pub url: String,
    /// What the message is signed with.
    pub secret: String,
    /// The message.
    pub body: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was to be told.
    pub due_us: i64,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A tag was pushed.
    Push,
    /// A tag was deleted.
    Delete,
}

/// Adds a webhook; its number.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn add(tx: &dyn Tx, namespace: &str, url: &str, secret: &str) -> Result<i64, DatabaseError> {
    let sql = "INSERT INTO webhooks (namespace, url, secret, created_us)
      VALUES (?1, ?2, ?3, ?4) RETURNING id";
    let row = tx.row(sql, values![namespace, url, secret, now_us()])?;
    row.map_or(Ok(0), |row| row.integer(0))
}

/// Every webhook.
///
/// # Errors
/// As [`add`].
pub fn all(tx: &dyn Tx) -> Result<Vec<Webhook>, DatabaseError> {
    let rows = tx.rows("SELECT id, namespace, url FROM webhooks ORDER BY id", &[])?;
    rows.iter()
        .map(|row| {
            Ok(Webhook {
                id: row.integer(0)?,
                namespace: row.text(1)?,
                url: row.text(2)?,
            })
        })
        .collect()
}

/// Removes a webhook; false if there is none of that number.
///
/// # Errors
/// As [`add`].
pub fn remove(tx: &dyn Tx, id: i64) -> Result<bool, DatabaseError> {
    Ok(tx.execute("DELETE FROM webhooks WHERE id = ?1", values![id])? > 0)
}

/// Wants the webhooks of a namespace told of what happened to a tag.
///
/// # Errors
/// As [`add`].
pub fn note(
    tx: &dyn Tx,
    event: Event,
    name: &Name,
    tag: &str,
    digest: Option<&str>,
    user: Option<&str>,
) -> Result<(), DatabaseError> {
    let sql = "SELECT id FROM webhooks WHERE namespace = ?1";
    let hooks = tx.rows(sql, values![name.namespace()])?;
    if hooks.is_empty() {
        return Ok(());
    }
    let now = now_us();
    let body = json!({
        "action": match event {
            Event::Push => "push",
            Event::Delete => "delete",
        },
        "push_data": { "pushed_at": now / 1_000_000, "pusher": user, "tag": tag, "digest": digest },
        "repository": {
            "name": name.rest(), "namespace": name.namespace(), "repo_name": name.as_str(),
        },
        "time": rfc3339(now),
    });
    let body = body.to_string();
    let sql = "INSERT INTO deliveries (webhook, body, due_us) VALUES (?1, ?2, ?3)";
    for hook in hooks {
        tx.execute(sql, values![hook.integer(0)?, body.as_str(), now])?;
    }
    Ok(())
}

/// What is to be told by now.
///
/// # Errors
/// As [`add`].
pub fn due(tx: &dyn Tx, now_us: i64, most: u64) -> Result<Vec<Delivery>, DatabaseError> {
    let sql =
        "SELECT d.id, w.namespace, w.url, w.secret, d.body, d.attempts, d.due_us FROM deliveries d
      JOIN webhooks w ON w.id = d.webhook WHERE d.due_us <= ?1 ORDER BY d.due_us LIMIT ?2";
    let rows = tx.rows(sql, values![now_us, most])?;
    rows.iter()
        .map(|row| {
            Ok(Delivery {
                id: row.integer(0)?,
                namespace: row.text(1)?,
                url: row.text(2)?,
                secret: row.text(3)?,
                body: row.text(4)?,
                attempts: row.size(5)?,
                due_us: row.integer(6)?,
            })
        })
        .collect()
}

/// Takes a delivery for oneself until `until_us`; false if somebody else has.
///
/// # Errors
/// As [`add`].
pub fn claim(tx: &dyn Tx, delivery: &Delivery, until_us: i64) -> Result<bool, DatabaseError> {
    let sql = "UPDATE deliveries SET due_us = ?3 WHERE id = ?1 AND due_us = ?2";
    let values = values![delivery.id, delivery.due_us, until_us];
    Ok(tx.execute(sql, values)? > 0)
}

/// Notes that something was told, or will not be.
///
/// # Errors
/// As [`add`].
pub fn delivered(tx: &dyn Tx, id: i64) -> Result<(), DatabaseError> {
    tx.execute("DELETE FROM deliveries WHERE id = ?1", values![id])
        .map(|_| ())
}

/// Wants something told again later.
///
/// # Errors
/// As [`add`].
pub fn put_off(tx: &dyn Tx, id: i64, due_us: i64) -> Result<(), DatabaseError> {
    let sql = "UPDATE deliveries SET attempts = attempts + 1, due_us = ?2 WHERE id = ?1";
    tx.execute(sql, values![id, due_us]).map(|_| ())
}
