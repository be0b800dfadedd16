//! Leases: what a process has in flight, and its hold on what it has committed but not recorded.
//!
//! A lease is a directory `staging/<name>` that its process keeps an flock on. Files are written
//! in it; a commit makes them durable, claims their digest in the database and renames them into
//! place. Claims of a live lease keep objects from collection until a record names them. When the
//! process dies the flock goes with it: the next lease taken, and every collection, sweeps the
//! directory and the claims. No name is used twice.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use shiplap_model::{DiffId, Digest};

use crate::database::{Durability, Tx, signed};
use crate::error::StoreError;
use crate::lock::is_at;
use crate::record::LayerRecord;
use crate::store::{Store, layer_record};

/// Bytes read at once where a blob is hashed.
const HASH_BUFFER_BYTES: usize = 256 << 10;

/// The right to write into a store. Share it between the threads of one job; what was committed
/// under it stays as long as it lives, or longer if a record names it.
pub struct Lease {
    store: Store,
    name: String,
    directory: PathBuf,
    /// Keeps the flock.
    _lock: File,
    next_file: AtomicU64,
    is_abandoned: bool,
    /// Removes what dead processes left.
    sweeper: Option<JoinHandle<()>>,
}

/// A new file within a lease; gone with it unless committed.
#[derive(Debug)]
pub struct StagedFile {
    file: File,
    path: PathBuf,
}

/// A new directory within a lease; gone with it unless committed.
#[derive(Debug)]
pub struct StagedDirectory {
    path: PathBuf,
}

impl StagedFile {
    /// The open file, for reading and writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it lies as long as it is not committed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // Gone already if committed; what can't be unlinked goes with the lease.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Drop for StagedDirectory {
    fn drop(&mut self) {
        // Gone already if committed; what can't be removed goes with the lease.
        drop(remove_tree(&self.path));
    }
}

impl StagedDirectory {
    /// Where it lies as long as it is not committed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// Takes a lease, and sweeps what leases of dead processes left, beside whatever the lease is
    /// taken for; ending the lease waits for that.
    ///
    /// # Errors
    /// I/O failures.
    pub fn lease(&self) -> Result<Lease, StoreError> {
        self.must_write()?;
        let dead = self.dead_leases()?;
        let mut lease = self.new_lease()?;
        if !dead.is_empty() {
            // Without a thread the next one sweeps.
            lease.sweeper = std::thread::Builder::new()
                .spawn(move || dead.iter().for_each(|lease| drop(remove_tree(&lease.path))))
                .ok();
        }
        Ok(lease)
    }

    pub(crate) fn new_lease(&self) -> Result<Lease, StoreError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{:x}-{:x}-{count:x}", now.as_nanos(), std::process::id());
            let directory = self.layout().staging().join(&name);
            match DirBuilder::new().mode(0o700).create(&directory) {
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => continue,
                result => result.map_err(StoreError::io("make", &directory))?,
            }
            // A sweeper may have come before the flock: then the directory is gone.
            let lock = match File::open(&directory) {
                Err(source) if source.kind() == io::ErrorKind::NotFound => continue,
                result => result.map_err(StoreError::io("open", &directory))?,
            };
            lock.lock().map_err(StoreError::io("lock", &directory))?;
            if is_at(&lock, &directory)? {
                let next_file = AtomicU64::new(0);
                return Ok(Lease {
                    store: self.clone(),
                    name,
                    directory,
                    _lock: lock,
                    next_file,
                    is_abandoned: false,
                    sweeper: None,
                });
            }
        }
    }

    /// Removes leases of dead processes; how many bytes that freed.
    pub(crate) fn sweep_staging(&self) -> Result<u64, StoreError> {
        let mut freed_bytes = 0;
        for dead in self.dead_leases()? {
            freed_bytes += disk_usage(&dead.path);
            remove_tree(&dead.path)?;
        }
        Ok(freed_bytes)
    }

    /// What is left of leases, each held so that nobody else sweeps it.
    fn dead_leases(&self) -> Result<Vec<DeadLease>, StoreError> {
        let staging = self.layout().staging();
        let mut dead = Vec::new();
        for entry in std::fs::read_dir(&staging).map_err(StoreError::io("list", &staging))? {
            let path = entry.map_err(StoreError::io("list", &staging))?.path();
            if let Some(lock) = lock_if_dead(&path)? {
                dead.push(DeadLease { path, _lock: lock });
            }
        }
        Ok(dead)
    }
}

/// What a dead process left, under its flock.
struct DeadLease {
    path: PathBuf,
    _lock: File,
}

impl Lease {
    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A new empty file, open for reading and writing.
    ///
    /// # Errors
    /// I/O failures.
    pub fn file(&self) -> Result<StagedFile, StoreError> {
        let path = self.next_path();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("make", &path))?;
        Ok(StagedFile { file, path })
    }

    /// A new empty directory.
    ///
    /// # Errors
    /// I/O failures.
    pub fn directory(&self) -> Result<StagedDirectory, StoreError> {
        let path = self.next_path();
        DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .map_err(StoreError::io("make", &path))?;
        Ok(StagedDirectory { path })
    }

    pub(crate) fn next_path(&self) -> PathBuf {
        self.directory
            .join(self.next_file.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Ends the lease without removing its directory, which the next sweep does.
    pub(crate) fn abandon(mut self) {
        self.is_abandoned = true;
    }

    /// Commits a document (manifest, index, config) after verifying it.
    ///
    /// # Errors
    /// [`StoreError::Digest`] if `bytes` are not `digest`'s, and I/O failures.
    pub fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        digest.verify(bytes)?;
        let staged = self.file()?;
        (&staged.file)
            .write_all(bytes)
            .map_err(StoreError::io("write", &staged.path))?;
        self.place_blob(&staged, digest)
    }

    /// Commits a file as a blob, after reading it again to verify it.
    ///
    /// # Errors
    /// [`StoreError::Digest`] if its bytes are not `digest`'s, and I/O failures.
    pub fn commit_blob(&self, staged: StagedFile, digest: &Digest) -> Result<u64, StoreError> {
        let size_bytes = verify_file(&staged.path, digest)?;
        self.place_blob(&staged, digest)?;
        drop(staged);
        Ok(size_bytes)
    }

    fn place_blob(&self, staged: &StagedFile, digest: &Digest) -> Result<(), StoreError> {
        let path = self.store.layout().blob(digest)?;
        sync(staged)?;
        self.claim(digest)?;
        place(&staged.path, &path)?;
        sync_parent(&path)
    }

    /// Commits a layer: its tar and its index. The digest of the tar is the caller's word: it was
    /// computed from the very bytes as they were written, reading a gigabyte once more would
    /// double the cost of a pull. Its length is checked here, its digest by `check`.
    ///
    /// # Errors
    /// [`StoreError::LayerSize`], and I/O failures; then nothing of it is in the store.
    pub fn commit_layer(
        &self,
        tar: StagedFile,
        index: StagedFile,
        record: &LayerRecord,
    ) -> Result<(), StoreError> {
        let layout = self.store.layout();
        let tar_path = layout.blob(record.diff_id.digest())?;
        let index_path = layout.index(&record.diff_id)?;
        let actual_bytes = tar
            .file
            .metadata()
            .map_err(StoreError::io("stat", &tar.path))?
            .len();
        if actual_bytes != record.tar_bytes {
            return Err(StoreError::LayerSize {
                diff_id: record.diff_id.clone(),
                expected_bytes: record.tar_bytes,
                actual_bytes,
            });
        }
        sync(&tar)?;
        sync(&index)?;
        self.claim(record.diff_id.digest())?;
        place(&index.path, &index_path)?;
        place(&tar.path, &tar_path)?;
        sync_parent(&index_path)?;
        sync_parent(&tar_path)?;
        drop((tar, index));
        self.store.write("record layer", Durability::Durable, |tx| {
            record_layer(tx, record)
        })
    }

    /// Replaces the index of a layer that is here.
    pub(crate) fn commit_index(
        &self,
        index: StagedFile,
        diff_id: &DiffId,
    ) -> Result<(), StoreError> {
        let path = self.store.layout().index(diff_id)?;
        sync(&index)?;
        self.claim(diff_id.digest())?;
        place(&index.path, &path)?;
        drop(index);
        sync_parent(&path)
    }

    /// Commits an unpacked tree of a layer. If another process was faster, its tree stays.
    /// A tree is derived and not synced: whoever finds one after a crash of the machine has to
    /// look for its mark of completeness, which is the unpacker's matter.
    ///
    /// # Errors
    /// [`StoreError::LayerMissing`] for a layer that is not recorded, and I/O failures.
    pub fn commit_tree(
        &self,
        staged: StagedDirectory,
        diff_id: &DiffId,
    ) -> Result<PathBuf, StoreError> {
        let path = self.store.layout().tree(diff_id)?;
        if self.hold_layer(diff_id)?.is_none() {
            return Err(StoreError::LayerMissing {
                diff_id: diff_id.clone(),
            });
        }
        let renamed = std::fs::rename(&staged.path, &path);
        let moved = renamed.map_err(StoreError::io("rename", &staged.path));
        drop(staged);
        if path.is_dir() {
            return Ok(path);
        }
        moved.map(|()| path)
    }

    /// Keeps a layer from collection as long as the lease lives, if it is here whole: recorded,
    /// with tar and index on disk.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn hold_layer(&self, diff_id: &DiffId) -> Result<Option<LayerRecord>, StoreError> {
        self.store.layout().blob(diff_id.digest())?;
        self.store.write("hold layer", Durability::Fleeting, |tx| {
            let Some(record) = layer_record(tx, diff_id)? else {
                return Ok(None);
            };
            if !self.is_whole(&record) {
                return Ok(None);
            }
            self.insert_claim(tx, diff_id.digest())?;
            Ok(Some(record))
        })
    }

    /// Keeps several layers, as [`Lease::hold_layer`] keeps one, in one go.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn hold_layers(&self, diff_ids: &[DiffId]) -> Result<Vec<Option<LayerRecord>>, StoreError> {
        self.store.write("hold layers", Durability::Fleeting, |tx| {
            diff_ids
                .iter()
                .map(|diff_id| {
                    self.store.layout().blob(diff_id.digest())?;
                    let record = layer_record(tx, diff_id)?;
                    let Some(record) = record.filter(|record| self.is_whole(record)) else {
                        return Ok(None);
                    };
                    self.insert_claim(tx, diff_id.digest())?;
                    Ok(Some(record))
                })
                .collect()
        })
    }

    /// Whether tar and index of a layer are on disk.
    pub(crate) fn is_whole(&self, record: &LayerRecord) -> bool {
        let layout = self.store.layout();
        let (tar, index) = (
            layout.blob(record.diff_id.digest()),
            layout.index(&record.diff_id),
        );
        index.is_ok_and(|index| index.is_file())
            && tar
                .ok()
                .and_then(|tar| std::fs::metadata(tar).ok())
                .is_some_and(|meta| meta.is_file() && meta.len() == record.tar_bytes)
    }

    /// Keeps a blob from collection as long as the lease lives; `false` if it is not here.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn hold_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.store.layout().blob(digest)?;
        self.store.write("hold blob", Durability::Fleeting, |tx| {
            let is_here = path.is_file();
            if is_here {
                self.insert_claim(tx, digest)?;
            }
            Ok(is_here)
        })
    }

    fn claim(&self, digest: &Digest) -> Result<(), StoreError> {
        self.store.write("claim blob", Durability::Fleeting, |tx| {
            self.insert_claim(tx, digest)
        })
    }

    pub(crate) fn insert_claim(&self, tx: &Tx<'_>, digest: &Digest) -> Result<(), StoreError> {
        tx.execute(
            "INSERT OR IGNORE INTO claims (digest, lease) VALUES (?1, ?2)",
            (digest.as_str(), &self.name),
        )?;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Failures leave garbage that the next sweep takes.
        drop(self.store.write("end lease", Durability::Fleeting, |tx| {
            tx.execute("DELETE FROM claims WHERE lease = ?1", [&self.name])
        }));
        if !self.is_abandoned {
            drop(remove_tree(&self.directory));
        }
        if let Some(sweeper) = self.sweeper.take() {
            drop(sweeper.join());
        }
    }
}

pub(crate) fn record_layer(tx: &Tx<'_>, record: &LayerRecord) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO layers (diff_id, tar_bytes, content_bytes, entries) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (diff_id) DO UPDATE SET tar_bytes = excluded.tar_bytes,
           content_bytes = excluded.content_bytes, entries = excluded.entries",
        (
            record.diff_id.digest().as_str(),
            signed(record.tar_bytes),
            signed(record.content_bytes),
            signed(record.entries),
        ),
    )?;
    Ok(())
}

/// Deletes the claims of leases that no process holds.
pub(crate) fn drop_dead_claims(store: &Store, tx: &Tx<'_>) -> Result<(), StoreError> {
    let leases = tx.rows("SELECT DISTINCT lease FROM claims", [], |cells| {
        cells.text(0)
    })?;
    for lease in leases {
        let path = store.layout().staging().join(&lease);
        // The flock is let go of at once: the sweep takes it again, and nobody revives a lease.
        if !path.exists() || lock_if_dead(&path)?.is_some() {
            tx.execute("DELETE FROM claims WHERE lease = ?1", [&lease])?;
        }
    }
    Ok(())
}

/// Holds what is left of a lease, if its process is dead.
fn lock_if_dead(path: &Path) -> Result<Option<File>, StoreError> {
    let file = match File::open(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(StoreError::io("open", path))?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", path)(source)),
    }
}

/// Makes a staged file's content durable, and read-only for everybody.
fn sync(staged: &StagedFile) -> Result<(), StoreError> {
    staged
        .file
        .set_permissions(Permissions::from_mode(0o444))
        .map_err(StoreError::io("protect", &staged.path))?;
    staged
        .file
        .sync_all()
        .map_err(StoreError::io("sync", &staged.path))
}

/// Renames into place, over what is there: the new content is verified, the old maybe rotten.
fn place(from: &Path, to: &Path) -> Result<(), StoreError> {
    match std::fs::rename(from, to) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            // A directory of a rare algorithm is made with its first blob.
            let parent = to.parent().unwrap_or(to);
            DirBuilder::new()
                .mode(0o755)
                .recursive(true)
                .create(parent)
                .map_err(StoreError::io("make", parent))?;
            std::fs::rename(from, to).map_err(StoreError::io("rename", from))
        }
        result => result.map_err(StoreError::io("rename", from)),
    }
}

/// Makes the names in a file's directory durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().unwrap_or(path);
    let directory = File::open(parent).map_err(StoreError::io("open", parent))?;
    directory.sync_all().map_err(StoreError::io("sync", parent))
}

/// Hashes a file; its length in bytes if it is what `digest` says.
pub(crate) fn verify_file(path: &Path, digest: &Digest) -> Result<u64, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    let mut hasher = digest.hasher()?;
    let mut buffer = vec![0; HASH_BUFFER_BYTES];
    let mut size_bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(buffer.get(..count).unwrap_or_default());
                size_bytes += count as u64;
            }
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(StoreError::io("read", path)(source)),
        }
    }
    hasher.expect(digest)?;
    Ok(size_bytes)
}

/// Removes a file or a directory with all it holds; what is gone already is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), StoreError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(source) => Err(source),
    };
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path)(source))
        }
        _ => Ok(()),
    }
}

/// Bytes that a file or tree takes on disk, as far as it can be read.
pub(crate) fn disk_usage(path: &Path) -> u64 {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    let own = meta.blocks() * 512;
    if !meta.is_dir() {
        return own;
    }
    let below = std::fs::read_dir(path).into_iter().flatten().flatten();
    own + below.map(|entry| disk_usage(&entry.path())).sum::<u64>()
}
