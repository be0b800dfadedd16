//! Blobs in a folder of this machine: `uploads/<id>` while they come, `blobs/<algorithm>/<ab>/<hex>.<id>`
//! when they are whole.
//!
//! A file is synced before it gets its name, the folder after; so whatever has a name survives a
//! power cut. How far an upload is, is the length of its file: a server that starts again goes on
//! where the last one ended. An flock on `lock` keeps a second hub out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use shiplap_model::Digest;

use super::{Listed, Next, Object, Pending, Progress, Sink, Storage, StorageError, UploadId};

/// How much of a file is read at once: enough to keep the disk and the socket busy, little enough
/// for a thousand readers.
const PIECE: u64 = 256 << 10;

/// Keeps other hubs from a folder, as long as this is there.
#[derive(Debug)]
pub struct FolderLock {
    _flocked: File,
}

impl FolderLock {
    /// Takes it.
    ///
    /// # Errors
    /// [`StorageError::InUse`] if another hub has it.
    pub fn take(root: &Path) -> Result<Self, StorageError> {
        let path = root.join("lock");
        let file = File::create(&path).map_err(failure("make", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _flocked: file }),
            Err(fs::TryLockError::WouldBlock) => Err(StorageError::InUse {
                path: root.to_owned(),
            }),
            Err(fs::TryLockError::Error(error)) => Err(failure("lock", &path)(error)),
        }
    }
}

/// The folder.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    _lock: Option<FolderLock>,
}

impl Local {
    /// Opens the folder, making it where it is not, for this process alone.
    ///
    /// # Errors
    /// [`StorageError::InUse`] if another hub has it.
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        for name in ["uploads", "blobs"] {
            let path = root.join(name);
            fs::create_dir_all(&path).map_err(failure("make", &path))?;
        }
        let lock = FolderLock::take(root)?;
        sync_folder(root)?;
        Ok(Self {
            root: root.to_owned(),
            _lock: Some(lock),
        })
    }

    /// The folder beside the hub that may have it: for looking, and for removing what nothing names.
    #[must_use]
    pub fn beside(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            _lock: None,
        }
    }

    fn upload(&self, id: &UploadId) -> PathBuf {
        self.root.join("uploads").join(id.as_str())
    }

    fn object(&self, object: &Object) -> PathBuf {
        self.root.join("blobs").join(object.as_str())
    }
}

fn failure<'p>(action: &'static str, path: &'p Path) -> impl Fn(io::Error) -> StorageError + 'p {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::Full {
            path: path.to_owned(),
        },
        _ => StorageError::File {
            action,
            path: path.to_owned(),
            source,
        },
    }
}

fn sync_folder(path: &Path) -> Result<(), StorageError> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(failure("sync", path))
}

/// Runs what waits for the disk on a thread that may.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let ended = spawn_blocking(work).await;
    ended.unwrap_or_else(|error| {
        Err(StorageError::File {
            action: "wait for",
            path: PathBuf::new(),
            source: io::Error::other(error),
        })
    })
}

impl Storage for Local {
    fn open_upload<'a>(&'a self, id: &'a UploadId, offset: u64) -> Pending<'a, Box<dyn Sink>> {
        let path = self.upload(id);
        Box::pin(on_thread(move || {
            let open = || {
                let mut options = OpenOptions::new();
                let options = options.write(true).create(true).truncate(false);
                let mut file = options.open(&path)?;
                file.set_len(offset)?;
                file.seek(SeekFrom::End(0))?;
                Ok(file)
            };
            let file = open().map_err(failure("open", &path))?;
            let sink: Box<dyn Sink> = Box::new(Writing {
                file: Some(file),
                path,
            });
            Ok(sink)
        }))
    }

    fn progress<'a>(&'a self, id: &'a UploadId) -> Pending<'a, Progress> {
        let path = self.upload(id);
        Box::pin(on_thread(move || {
            let offset = match fs::metadata(&path) {
                Ok(meta) => meta.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(failure("look at", &path)(error)),
            };
            Ok(Progress {
                offset,
                ..Progress::default()
            })
        }))
    }

    fn read_upload<'a>(&'a self, id: &'a UploadId) -> Pending<'a, Body> {
        let path = self.upload(id);
        Box::pin(on_thread(move || match File::open(&path) {
            Ok(file) => {
                let length = file.metadata().map_err(failure("look at", &path))?.len();
                Ok(Body::new(Pieces::new(file, length)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Body::empty()),
            Err(error) => Err(failure("open", &path)(error)),
        }))
    }

    fn complete<'a>(&'a self, id: &'a UploadId, digest: &'a Digest) -> Pending<'a, Object> {
        let object = Object::of(digest, id);
        let (from, to) = (self.upload(id), self.object(&object));
        let blobs = self.root.join("blobs");
        Box::pin(on_thread(move || {
            let folder = to.parent().unwrap_or(&blobs);
            make_folder(folder, &blobs)?;
            // An empty blob may never have had a byte sent.
            let mut options = OpenOptions::new();
            let options = options.append(true).create(true);
            let file = options.open(&from).map_err(failure("open", &from))?;
            file.sync_all().map_err(failure("sync", &from))?;
            fs::rename(&from, &to).map_err(failure("move", &from))?;
            sync_folder(folder)?;
            Ok(object)
        }))
    }

    fn discard<'a>(&'a self, id: &'a UploadId) -> Pending<'a, ()> {
        let path = self.upload(id);
        Box::pin(on_thread(move || remove(&path)))
    }

    fn read<'a>(&'a self, object: &'a Object, start: u64, length: u64) -> Pending<'a, Body> {
        let path = self.object(object);
        let name = object.as_str().to_owned();
        Box::pin(on_thread(move || {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StorageError::Absent { name });
                }
                Err(error) => return Err(failure("open", &path)(error)),
            };
            if start > 0 {
                file.seek(SeekFrom::Start(start))
                    .map_err(failure("read", &path))?;
            }
            if length > PIECE {
                return Ok(Body::new(Pieces::new(file, length)));
            }
            // A small one is read at once, while this thread is at it.
            let piece = read_piece(&mut file, length).map_err(failure("read", &path))?;
            Ok(Body::from(piece))
        }))
    }

    fn link<'a>(&'a self, _: &'a Object) -> Pending<'a, Option<String>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn remove<'a>(&'a self, object: &'a Object) -> Pending<'a, ()> {
        let path = self.object(object);
        Box::pin(on_thread(move || remove(&path)))
    }

    fn list(&self) -> Pending<'_, (Vec<Listed>, Vec<String>)> {
        let root = self.root.join("blobs");
        Box::pin(on_thread(move || {
            let (mut objects, mut strange) = (Vec::new(), Vec::new());
            let mut folders = vec![root.clone()];
            while let Some(folder) = folders.pop() {
                for (path, meta) in entries(&folder)? {
                    if meta.is_dir() {
                        folders.push(path);
                        continue;
                    }
                    let name = path.strip_prefix(&root).unwrap_or(&path);
                    let name = name.to_string_lossy().into_owned();
                    match name.parse() {
                        Ok(object) => objects.push(Listed {
                            object,
                            size_bytes: meta.len(),
                            age: age(&meta),
                        }),
                        Err(()) => strange.push(name),
                    }
                }
            }
            Ok((objects, strange))
        }))
    }

    fn list_uploads(&self, idle: Duration) -> Pending<'_, Vec<UploadId>> {
        let folder = self.root.join("uploads");
        Box::pin(on_thread(move || {
            let found = entries(&folder)?
                .into_iter()
                .filter(|(_, meta)| age(meta) >= idle)
                .filter_map(|(path, _)| path.file_name()?.to_str()?.parse().ok());
            Ok(found.collect())
        }))
    }
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>, StorageError> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder).map_err(failure("list", folder))? {
        let path = entry.map_err(failure("list", folder))?.path();
        match fs::symlink_metadata(&path) {
            Ok(meta) => found.push((path, meta)),
            // Gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failure("look at", &path)(error)),
        }
    }
    Ok(found)
}

fn age(meta: &fs::Metadata) -> Duration {
    let modified = meta.modified().ok();
    modified
        .and_then(|time| time.elapsed().ok())
        .unwrap_or_default()
}

fn remove(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failure("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Makes a folder below `root` whose name survives a power cut.
fn make_folder(folder: &Path, root: &Path) -> Result<(), StorageError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(failure("make", folder))?;
    let mut above = folder.parent();
    while let Some(parent) = above {
        sync_folder(parent)?;
        if parent == root {
            break;
        }
        above = parent.parent();
    }
    Ok(())
}

/// An upload's file, open for more.
struct Writing {
    /// Away only while a thread writes; lost if that thread was.
    file: Option<File>,
    path: PathBuf,
}

impl Sink for Writing {
    fn room(&self) -> Option<usize> {
        None
    }

    /// The file keeps what was written.
    fn keep<'a>(&'a mut self, _: &'a [u8], _: Next) -> Pending<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn write(&mut self, pieces: Vec<Bytes>) -> Pending<'_, ()> {
        Box::pin(async move {
            let Some(mut file) = self.file.take() else {
                return Err(StorageError::Absent {
                    name: self.path.display().to_string(),
                });
            };
            let path = self.path.clone();
            let write = on_thread(move || {
                write_pieces(&mut file, &pieces).map_err(failure("write", &path))?;
                Ok(file)
            });
            self.file = Some(write.await?);
            Ok(())
        })
    }
}

fn write_pieces(file: &mut File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = slices.as_mut_slice();
    // The kernel takes at most 1024 slices at once.
    while !left.is_empty() {
        let most = left.len().min(1024);
        let count = file.write_vectored(&left[..most])?;
        if count == 0 && left.iter().any(|slice| !slice.is_empty()) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut left, count);
        if count == 0 {
            break;
        }
    }
    Ok(())
}

/// Exactly `length` bytes, or less where the file ends.
fn read_piece(file: &mut File, length: u64) -> io::Result<Bytes> {
    let capacity = usize::try_from(length).unwrap_or(0);
    let mut piece = Vec::with_capacity(capacity);
    file.take(length).read_to_end(&mut piece)?;
    Ok(piece.into())
}

type Reading = JoinHandle<io::Result<(File, Bytes)>>;

/// A file as a body: while one piece is sent, the next is read.
struct Pieces {
    reading: Option<Reading>,
    /// Not yet handed out.
    left: u64,
}

impl Pieces {
    fn new(file: File, length: u64) -> Self {
        Self {
            reading: (length > 0).then(|| start_reading(file, length)),
            left: length,
        }
    }
}

fn start_reading(mut file: File, left: u64) -> Reading {
    spawn_blocking(move || {
        let piece = read_piece(&mut file, left.min(PIECE))?;
        Ok((file, piece))
    })
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let (file, piece) = match read.map_err(io::Error::other).flatten() {
            Ok(read) => read,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if piece.is_empty() {
            let error = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Poll::Ready(Some(Err(error)));
        }
        self.left = self.left.saturating_sub(piece.len() as u64);
        if self.left > 0 {
            self.reading = Some(start_reading(file, self.left));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
