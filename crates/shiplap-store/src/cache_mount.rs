//! Directories that builds mount and keep: `caches/<id>/data`, each under the flock of
//! `caches/<id>/lock`. Their content is the builds'; the store only counts it.
//!
//! Whoever removes one holds its lock exclusively and takes the directory away whole, lock file
//! included; whoever gets a lock looks whether the file is still the one at that path, else
//! begins again.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use shiplap_model::Digest;

use crate::database::{Durability, Tx, signed};
use crate::error::StoreError;
use crate::image::now_us;
use crate::lease::{Lease, disk_usage, remove_tree};
use crate::lock::is_at;
use crate::store::Store;

/// How often a lock that somebody holds is asked for.
const PATIENCE: Duration = Duration::from_millis(20);

/// Most private copies of one cache: as many steps may run at once with it.
const COPIES: u32 = 1000;

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CacheSharing {
    /// Everybody.
    #[default]
    Shared,
    /// One; another one gets a copy of its own, which begins empty.
    Private,
    /// One; another one waits.
    Locked,
}

/// A directory in use; dropping it lets others in.
#[derive(Debug)]
pub struct CacheMount {
    path: PathBuf,
    /// Keeps the flock.
    _lock: File,
}

impl CacheMount {
    /// The directory to mount.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountRecord {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) size_bytes: u64,
    /// Whether it was used since it was measured.
    pub(crate) is_stale: bool,
    pub(crate) created: Timestamp,
    pub(crate) used: Timestamp,
    pub(crate) uses: u64,
}

impl Store {
    /// The directory of the cache called `name`, made and given to `fill` if there is none yet.
    /// While it is held by others whom `sharing` forbids, waits as long as `waits` says so; then
    /// `None`.
    ///
    /// # Errors
    /// Those of `fill`, I/O failures, failures of the database.
    pub fn cache_mount<E: From<StoreError>>(
        &self,
        name: &str,
        sharing: CacheSharing,
        fill: impl Fn(&Path) -> Result<(), E>,
        waits: impl Fn() -> bool,
    ) -> Result<Option<CacheMount>, E> {
        self.must_write()?;
        let base = Digest::of(name.as_bytes()).encoded().to_owned();
        let mut copy = 0;
        loop {
            let id = if copy == 0 {
                base.clone()
            } else {
                format!("{base}-{copy}")
            };
            let directory = self.layout().caches().join(&id);
            let wants_shared = sharing == CacheSharing::Shared;
            if let Some(lock) = lock(&directory, wants_shared)? {
                let path = directory.join("data");
                self.make(&directory, &path, &fill)?;
                self.note_use(&id, name)?;
                return Ok(Some(CacheMount { path, _lock: lock }));
            }
            if sharing == CacheSharing::Private && copy < COPIES {
                copy += 1;
            } else if waits() {
                std::thread::sleep(PATIENCE);
            } else {
                return Ok(None);
            }
        }
    }

    /// Makes what is mounted, whole or not at all.
    fn make<E: From<StoreError>>(
        &self,
        directory: &Path,
        path: &Path,
        fill: impl Fn(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        if path.is_dir() {
            return Ok(());
        }
        // Those who share it may come at the same time.
        let guard = self.lock(&Digest::of(directory.as_os_str().as_encoded_bytes()))?;
        if path.is_dir() {
            return Ok(());
        }
        let new = directory.join("new");
        remove_tree(&new)?;
        DirBuilder::new()
            .mode(0o755)
            .create(&new)
            .map_err(StoreError::io("make", &new))?;
        fill(&new)?;
        std::fs::rename(&new, path).map_err(StoreError::io("rename", &new))?;
        drop(guard);
        Ok(())
    }

    fn note_use(&self, id: &str, description: &str) -> Result<(), StoreError> {
        self.write("record build cache", Durability::Fleeting, |tx| {
            tx.execute(
                "INSERT INTO cache_mounts (id, description, size_bytes, measured_us, created_us, used_us, uses)
                 VALUES (?1, ?2, 0, 0, ?3, ?3, 1)
                 ON CONFLICT (id) DO UPDATE SET used_us = excluded.used_us, uses = uses + 1",
                (id, description, now_us()),
            )?;
            Ok(())
        })
    }

    /// Whether a step has it mounted.
    pub(crate) fn is_mount_in_use(&self, id: &str) -> bool {
        let path = self.layout().caches().join(id).join("lock");
        File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Walks those used since they were measured.
    pub(crate) fn measured_mounts(&self) -> Result<Vec<MountRecord>, StoreError> {
        let mut mounts = self.read("read build cache", all)?;
        for mount in mounts.iter_mut().filter(|mount| mount.is_stale) {
            let measured = now_us();
            mount.size_bytes = disk_usage(&self.layout().caches().join(&mount.id).join("data"));
            if self.must_write().is_ok() {
                self.write("measure build cache", Durability::Fleeting, |tx| {
                    tx.execute(
                        "UPDATE cache_mounts SET size_bytes = ?2, measured_us = ?3 WHERE id = ?1",
                        (&mount.id, signed(mount.size_bytes), measured),
                    )
                })?;
            }
        }
        Ok(mounts)
    }
}

impl Lease {
    /// Takes a cache away, unless a step has it mounted; bytes on disk that this frees, if it did.
    pub(crate) fn take_mount(&self, id: &str) -> Result<Option<u64>, StoreError> {
        let directory = self.store().layout().caches().join(id);
        let held = if directory.is_dir() {
            match lock(&directory, false)? {
                Some(lock) => Some(lock),
                None => return Ok(None),
            }
        } else {
            None
        };
        self.store()
            .write("forget build cache", Durability::Fleeting, |tx| {
                tx.execute("DELETE FROM cache_mounts WHERE id = ?1", [id])
            })?;
        let freed_bytes = self.take_away(&directory)?;
        drop(held);
        Ok(Some(freed_bytes))
    }
}

/// Holds the lock of a cache; `None` if others forbid it.
fn lock(directory: &Path, is_shared: bool) -> Result<Option<File>, StoreError> {
    let path = directory.join("lock");
    loop {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(directory)
            .map_err(StoreError::io("make", directory))?;
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = match opened {
            // Somebody took the directory away just now.
            Err(source) if source.kind() == io::ErrorKind::NotFound => continue,
            result => result.map_err(StoreError::io("open", &path))?,
        };
        let locked = if is_shared {
            file.try_lock_shared()
        } else {
            file.try_lock()
        };
        match locked {
            Ok(()) if is_at(&file, &path)? => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path)(source)),
        }
    }
}

pub(crate) fn all(tx: &Tx<'_>) -> Result<Vec<MountRecord>, StoreError> {
    tx.rows(
        "SELECT id, description, size_bytes, measured_us < used_us, created_us, used_us, uses
         FROM cache_mounts ORDER BY used_us DESC, id",
        [],
        |cells| {
            Ok(MountRecord {
                id: cells.text(0)?,
                description: cells.text(1)?,
                size_bytes: cells.size(2)?,
                is_stale: cells.integer(3)? != 0,
                created: cells.time(4)?.unwrap_or_default(),
                used: cells.time(5)?.unwrap_or_default(),
                uses: cells.size(6)?,
            })
        },
    )
}
