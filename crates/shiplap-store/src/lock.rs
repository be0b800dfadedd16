//! Locks on one digest across processes, so that the second who wants a layer waits for the first
//! and then finds it.
//!
//! A lock is an exclusive flock on `locks/<hex>`: the kernel lets go of it when its process dies.
//! Whoever unlocks unlinks the file while still holding the lock, so files don't pile up; whoever
//! gets a lock looks whether the file is still the one at that path, else begins again. Files of
//! dead processes go with the next holder, or with the next collection.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use shiplap_model::Digest;

use crate::error::StoreError;
use crate::store::Store;

/// A lock that is held; dropping it lets the next one in.
#[derive(Debug)]
pub struct DigestLock {
    path: PathBuf,
    /// Keeps the flock.
    _file: File,
}

impl Drop for DigestLock {
    fn drop(&mut self) {
        // What can't be unlinked now goes with the next holder or collection.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Store {
    /// Waits until no other thread or process holds `digest`, then holds it. Hold one at a time,
    /// so that nobody waits in a circle; take the lease first, look again whether the thing is
    /// there afterwards.
    ///
    /// # Errors
    /// I/O failures.
    pub fn lock(&self, digest: &Digest) -> Result<DigestLock, StoreError> {
        loop {
            let (path, file) = self.open_lock_file(digest)?;
            file.lock().map_err(StoreError::io("lock", &path))?;
            if is_at(&file, &path)? {
                return Ok(DigestLock { path, _file: file });
            }
        }
    }

    /// The same without waiting: `None` if another holds it.
    ///
    /// # Errors
    /// I/O failures.
    pub fn try_lock(&self, digest: &Digest) -> Result<Option<DigestLock>, StoreError> {
        loop {
            let (path, file) = self.open_lock_file(digest)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path)? => {
                    return Ok(Some(DigestLock { path, _file: file }));
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => {
                    return Err(StoreError::io("lock", &path)(source));
                }
            }
        }
    }

    fn open_lock_file(&self, digest: &Digest) -> Result<(PathBuf, File), StoreError> {
        self.must_write()?;
        self.layout().blob(digest)?;
        let path = self.layout().locks().join(digest.encoded());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        Ok((path, file))
    }

    /// Unlinks the lock files of dead processes.
    pub(crate) fn sweep_locks(&self) -> Result<(), StoreError> {
        let locks = self.layout().locks();
        for entry in std::fs::read_dir(&locks).map_err(StoreError::io("list", &locks))? {
            let path = entry.map_err(StoreError::io("list", &locks))?.path();
            if let Ok(file) = File::open(&path)
                && file.try_lock().is_ok()
                && is_at(&file, &path)?
            {
                drop(std::fs::remove_file(&path));
            }
        }
        Ok(())
    }
}

/// Whether `file` is still what lies at `path`.
pub(crate) fn is_at(file: &File, path: &Path) -> Result<bool, StoreError> {
    let held = file.metadata().map_err(StoreError::io("stat", path))?;
    Ok(std::fs::symlink_metadata(path)
        .is_ok_and(|there| there.ino() == held.ino() && there.dev() == held.dev()))
}
