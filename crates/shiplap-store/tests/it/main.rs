//! Tests of the store through its public face: several processes, killed processes, damaged
//! files, full disks. A "tar" here is any bytes, and its index is made by [`fixture::FakePort`]:
//! the store knows neither format.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod build_cache;
mod checking;
mod collection;
mod disk;
mod fixture;
mod images;
mod named_index;
mod opening;
mod processes;
mod removal;
