//! Who answers which route, a noun a file. Authorisation is done before any of it is reached.

pub(crate) mod base;
pub(crate) mod blobs;
pub(crate) mod catalog;
pub(crate) mod health;
pub(crate) mod manifests;
pub(crate) mod referrers;
pub(crate) mod repositories;
pub(crate) mod search;
pub(crate) mod stars;
pub(crate) mod tags;
pub(crate) mod token;
pub(crate) mod uploads;
