//! One directory on disk: blobs, records, locks, collection. The store knows no tar, no HTTP and
//! no overlay: it is given verified bytes and gives back verified bytes, files and paths.
//!
//! ```text
//! blobs/sha256/<hex>   manifests, indexes, configs, layer tars (by DiffID), kept compressed blobs
//! layers/<hex>.erofs   layer index of that tar; derived
//! trees/<hex>/         unpacked tree of that layer; derived
//! containers/<id>/     containers' directories
//! caches/<id>/         directories that builds mount and keep
//! builds/<id>/         logs of builds
//! staging/<lease>/     work in flight; garbage unless its flock is held
//! locks/<hex>          flock on one digest
//! shiplap.db           SQLite, WAL: the records
//! tags.json            the names, for the day the database is lost
//! lock                 held shared by everybody, exclusively by repair
//! ```
//!
//! - **Roots** of collection are images, records of the build cache, and the claims of live leases
//!   ([`Lease`]).
//! - **In**: staged file, fsync, claim, rename, fsync of the directory, record. **Out**: record,
//!   then the file, under the database's write lock and after a second look. So a record never
//!   names a file that is not there, whenever a process dies; what it leaves is garbage that the
//!   next lease ([`Store::lease`]) or collection ([`Store::collect`]) takes.
//! - **Locks**: an flock each for leases, for digests ([`Store::lock`]) and for the store as a
//!   whole ([`check()`] with repair); SQLite's for records. All end with their process.
//!
//! The whole story is in `docs/store.md`.
#![forbid(unsafe_code)]

mod build;
mod build_cache;
mod cache_mount;
mod cached_step;
mod check;
mod collect;
mod compressed;
mod container;
mod database;
mod error;
mod image;
mod image_line;
mod layout;
mod lease;
mod lock;
mod named_index;
mod names;
mod rebuild;
mod record;
mod remove;
mod resolve;
mod schema;
mod store;
mod survey;
mod usage;

pub use build::{BuildEnd, BuildRecord, BuildStatus, RunningBuild};
pub use build_cache::{CacheKind, CacheObject, CachePrune, PrunedCache};
pub use cache_mount::{CacheMount, CacheSharing};
pub use cached_step::{CachedLayer, CachedStep, NewCachedStep};
pub use check::{CheckReport, Fault, Finding, check};
pub use collect::Collected;
pub use container::ContainerError;
pub use error::StoreError;
pub use image::{ImageError, NewImage, PutImage};
pub use lease::{Lease, StagedDirectory, StagedFile};
pub use lock::DigestLock;
pub use record::{
    CompressedForm, ContainerRecord, ContainerState, Image, ImageLine, LayerRecord, RepoDigest,
};
pub use remove::{Removal, RemoveError, RemoveOptions, Removed, Trash};
pub use resolve::{ResolveError, Resolved, ResolvedBy};
pub use store::{Access, Store};
pub use survey::{LayerFacts, LayerPort, PortError};
pub use usage::{ImageUsage, Usage};
