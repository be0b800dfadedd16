//! A new Docker archive of one image, as the destination of a copy.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use shiplap_layer::compress;
use shiplap_model::digest::{Hasher, VerifyingReader};
use shiplap_model::{Descriptor, DiffId, Digest, Document, Reference, limits};

use super::{ArchiveFormat, ArchiveLayer, ArchiveWriter};
use crate::transport::{Destination, Fetched, Reopen, TransportError, layout};

/// An archive of one image, as the destination of a copy. Layers are inflated, as the format
/// wants; the image's ID stays, its manifest does not.
pub struct ArchiveDestination {
    path: PathBuf,
    tag: Option<Reference>,
    blobs: tempfile::TempDir,
    root: Mutex<Option<Fetched>>,
}

impl ArchiveDestination {
    /// An archive that appears at `path` when it is finished; blobs are kept beside it until then.
    ///
    /// # Errors
    /// Failures of making a directory beside it.
    pub fn new(path: &Path, tag: Option<Reference>) -> Result<Self, TransportError> {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let blobs = tempfile::tempdir_in(directory.unwrap_or(Path::new(".")))
            .map_err(TransportError::io("make a directory for", path))?;
        Ok(Self {
            path: path.to_owned(),
            tag,
            blobs,
            root: Mutex::new(None),
        })
    }

    fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.blobs.path().join(digest.encoded())
    }

    /// Inflates a layer into a file of its own.
    fn inflated(&self, layer: &Descriptor) -> Result<(File, DiffId, u64), TransportError> {
        let path = self.blob_file(&layer.digest);
        let blob_error = |source| TransportError::Blob {
            digest: layer.digest.clone(),
            source,
        };
        let blob = File::open(&path).map_err(TransportError::io("open", &path))?;
        let (_, mut plain) = compress::open(BufReader::new(blob)).map_err(blob_error)?;
        let mut out = tempfile::tempfile_in(self.blobs.path())
            .map_err(TransportError::io("make a file in", self.blobs.path()))?;
        let mut hasher = Hasher::default();
        let mut tee = Tee {
            out: &mut out,
            hasher: &mut hasher,
        };
        let mut bounded = plain.by_ref().take(limits::LAYER_BYTES);
        let size_bytes = io::copy(&mut bounded, &mut tee).map_err(blob_error)?;
        out.seek(SeekFrom::Start(0)).map_err(blob_error)?;
        Ok((out, DiffId::from(hasher.finish()), size_bytes))
    }
}

/// Writes and hashes.
struct Tee<'a> {
    out: &'a mut File,
    hasher: &'a mut Hasher,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Destination for ArchiveDestination {
    fn holds(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        Ok(self.blob_file(&blob.digest).exists())
    }

    fn put_blob(&self, blob: &Descriptor, open: &Reopen<'_>) -> Result<(), TransportError> {
        let blob_error = |source| TransportError::Blob {
            digest: blob.digest.clone(),
            source,
        };
        let reader = open(0).map_err(blob_error)?;
        let mut reader = VerifyingReader::new(reader, blob.digest.clone(), blob.size)?;
        let path = self.blob_file(&blob.digest);
        let mut file = File::create(&path).map_err(TransportError::io("make", &path))?;
        io::copy(&mut reader, &mut file)
            .map(drop)
            .map_err(blob_error)
    }

    fn put_document(&self, document: &Fetched, is_root: bool) -> Result<(), TransportError> {
        if is_root {
            *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(document.clone());
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), TransportError> {
        let root = self
            .root
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(root) = root else { return Ok(()) };
        let Document::Manifest(manifest) = root.parse()? else {
            let problem = "a Docker archive can't hold an index; copy one platform".to_owned();
            return Err(TransportError::Shape {
                path: self.path.clone(),
                problem,
            });
        };
        let config_path = self.blob_file(&manifest.config.digest);
        let config =
            std::fs::read(&config_path).map_err(TransportError::io("read", &config_path))?;
        let mut layers = Vec::new();
        for layer in &manifest.layers {
            let (tar, diff_id, tar_bytes) = self.inflated(layer)?;
            let open = Box::new(move || Ok(Box::new(tar) as Box<dyn Read>));
            layers.push(ArchiveLayer {
                diff_id,
                tar_bytes,
                open,
            });
        }
        let file = layout::NewFile::create(&self.path)?;
        let out = BufWriter::with_capacity(1 << 20, file);
        let mut archive = ArchiveWriter::new(&self.path, out, ArchiveFormat::Docker)?;
        archive.image(&config, layers, self.tag.as_slice())?;
        let file = archive
            .finish()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        file.map_err(TransportError::io("write", &self.path))?
            .finish()
    }
}
