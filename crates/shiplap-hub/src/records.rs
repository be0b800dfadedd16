//! What the database knows, a noun a file: the statements, in SQL that any database takes.
//!
//! Nothing here decides who may do what, and nothing touches a blob's bytes.

pub mod blobs;
pub mod leases;
pub mod manifests;
pub mod namespaces;
pub mod repositories;
pub mod reviews;
pub mod search;
pub mod sessions;
pub mod shelves;
pub mod tags;
pub mod tokens;
pub mod transfers;
pub mod uploads;
pub mod users;
pub mod webhooks;

/// Now, in microseconds since 1970.
#[must_use]
pub fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// A time of the database in RFC 3339.
#[must_use]
pub fn rfc3339(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| String::new(), |time| time.to_string())
}
