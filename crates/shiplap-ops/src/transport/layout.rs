//! OCI image layouts, as a directory or as an archive of one (OCI image specification, "Image
//! Layout").

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use shiplap_layer::tar::Writer;
use shiplap_model::digest::VerifyingReader;
use shiplap_model::{Descriptor, Digest, Index, Reference, json, limits, media_type};

use super::archive::Archive;
use super::docker_archive::{directory_metadata, fetched, file_metadata};
use super::{Destination, Fetched, Reopen, Source, TransportError};

/// The content of `oci-layout`.
pub(crate) const MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Annotation of a descriptor in `index.json` that names the image within the layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Annotation with an image's full name, by which containerd and Docker find it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// Where a blob lies in a layout.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm_name(), digest.encoded())
}

/// The descriptors under which `index.json` names one image: one per tag, or one without a name.
pub(crate) fn named(descriptor: &Descriptor, tags: &[Reference]) -> Vec<Descriptor> {
    if tags.is_empty() {
        return vec![descriptor.clone()];
    }
    let name = |tag: &Reference| {
        let mut named = descriptor.clone();
        named
            .annotations
            .insert(IMAGE_NAME.to_owned(), tag.to_string());
        named.annotations.insert(
            REF_NAME.to_owned(),
            tag.tag().unwrap_or_default().to_owned(),
        );
        named
    };
    tags.iter().map(name).collect()
}

/// A layout that can be read.
pub struct Layout {
    place: Place,
    index: Index,
}

enum Place {
    Directory(PathBuf),
    Archive(Archive),
}

impl Layout {
    /// Opens the layout in the directory `path`.
    ///
    /// # Errors
    /// [`TransportError`] for what is no layout.
    pub fn open_directory(path: &Path) -> Result<Self, TransportError> {
        Self::open(Place::Directory(path.to_owned()))
    }

    /// Opens the layout in an archive.
    ///
    /// # Errors
    /// [`TransportError`] for what is no layout.
    pub fn open_archive(archive: Archive) -> Result<Self, TransportError> {
        Self::open(Place::Archive(archive))
    }

    fn open(place: Place) -> Result<Self, TransportError> {
        let path = place.path().to_owned();
        let metadata_error = |file: &str| {
            let (file, path) = (file.to_owned(), path.clone());
            move |source| TransportError::Metadata { file, path, source }
        };
        #[derive(serde::Deserialize)]
        struct Mark {
            #[serde(rename = "imageLayoutVersion")]
            version: String,
        }
        let mark = place.read("oci-layout", limits::CONFIG_BYTES)?;
        let mark: Mark =
            json::parse(&mark, limits::CONFIG_BYTES).map_err(metadata_error("oci-layout"))?;
        if !mark.version.starts_with("1.") {
            let problem = format!("it is of layout version {}, not 1", mark.version);
            return Err(TransportError::Shape { path, problem });
        }
        let index = place.read("index.json", limits::LAYOUT_INDEX_BYTES)?;
        let index: Index = json::parse(&index, limits::LAYOUT_INDEX_BYTES)
            .map_err(metadata_error("index.json"))?;
        Ok(Self { place, index })
    }

    /// The images that `index.json` names.
    #[must_use]
    pub fn images(&self) -> &[Descriptor] {
        &self.index.manifests
    }

    /// The image of that name (its [`REF_NAME`] or [`IMAGE_NAME`]), or the only one.
    ///
    /// # Errors
    /// [`TransportError::NoSuchImage`].
    pub fn find(&self, name: Option<&str>) -> Result<&Descriptor, TransportError> {
        let names = |image: &Descriptor| -> Vec<String> {
            [REF_NAME, IMAGE_NAME]
                .iter()
                .filter_map(|key| image.annotations.get(*key))
                .cloned()
                .collect()
        };
        let is_wanted = |image: &&Descriptor| match name {
            None => self.index.manifests.len() == 1,
            Some(name) => names(image).iter().any(|n| n == name),
        };
        self.index
            .manifests
            .iter()
            .find(is_wanted)
            .ok_or_else(|| TransportError::NoSuchImage {
                path: self.place.path().to_owned(),
                wanted: name.unwrap_or_default().to_owned(),
                held: self.index.manifests.iter().flat_map(names).collect(),
            })
    }

    /// One of the images as a source.
    #[must_use]
    pub fn source<'a>(&'a self, image: &'a Descriptor) -> impl Source + 'a {
        LayoutSource {
            place: &self.place,
            image,
        }
    }
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Directory(path) => path,
            Self::Archive(archive) => archive.path(),
        }
    }

    fn read(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>, TransportError> {
        match self {
            Self::Archive(archive) => archive.read_member(name, limit_bytes),
            Self::Directory(path) => {
                let (file, size_bytes) = open_file(path, name)?;
                if size_bytes > limit_bytes {
                    let problem =
                        format!("its {name} has {size_bytes} bytes, more than {limit_bytes}");
                    return Err(TransportError::Shape {
                        path: path.clone(),
                        problem,
                    });
                }
                let mut bytes = Vec::new();
                file.take(limit_bytes)
                    .read_to_end(&mut bytes)
                    .map_err(TransportError::io("read", path.join(name)))?;
                Ok(bytes)
            }
        }
    }

    fn open(
        &self,
        digest: &Digest,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        // Only an algorithm that is computed can be verified; its hex can't lead elsewhere.
        digest.hasher()?;
        let name = blob_path(digest);
        match self {
            Self::Archive(archive) => Ok(Box::new(archive.open_member(&name, offset)?.0)),
            Self::Directory(path) => {
                let (mut file, _) = open_file(path, &name)?;
                file.seek(SeekFrom::Start(offset))
                    .map_err(TransportError::io("read", path))?;
                Ok(Box::new(file))
            }
        }
    }
}

fn open_file(directory: &Path, name: &str) -> Result<(File, u64), TransportError> {
    let path = directory.join(name);
    let file = File::open(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => TransportError::Missing {
            path: directory.to_owned(),
            member: name.to_owned(),
        },
        _ => TransportError::io("open", &path)(source),
    })?;
    let meta = file.metadata().map_err(TransportError::io("read", &path))?;
    if !meta.is_file() {
        let problem = format!("its {name} is no regular file");
        return Err(TransportError::Shape {
            path: directory.to_owned(),
            problem,
        });
    }
    Ok((file, meta.len()))
}

struct LayoutSource<'a> {
    place: &'a Place,
    image: &'a Descriptor,
}

impl Source for LayoutSource<'_> {
    fn root(&self) -> Result<Fetched, TransportError> {
        self.document(self.image)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Fetched, TransportError> {
        let bytes = super::read_small(self, descriptor, limits::MANIFEST_BYTES)?;
        let media_type = Some(descriptor.media_type.clone()).filter(|said| !said.is_empty());
        Ok(Fetched {
            bytes,
            digest: descriptor.digest.clone(),
            media_type,
        })
    }

    fn blob(
        &self,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        let reader = self.place.open(&descriptor.digest, offset)?;
        if offset > 0 {
            return Ok(reader);
        }
        Ok(Box::new(VerifyingReader::new(
            reader,
            descriptor.digest.clone(),
            descriptor.size,
        )?))
    }
}

/// A layout that is written, in a directory (images that are there stay) or as a new archive.
pub struct LayoutWriter {
    path: PathBuf,
    name: Option<String>,
    sink: Sink,
    root: Mutex<Option<Descriptor>>,
}

enum Sink {
    Directory,
    /// Written under another name, and renamed when it is whole.
    Archive(Mutex<ArchiveSink>),
}

struct ArchiveSink {
    tar: Option<Writer<BufWriter<NewFile>>>,
    written: std::collections::BTreeSet<Digest>,
}

impl LayoutWriter {
    /// Writes into the directory `path`, made if it is not there; the image gets the name `name`.
    ///
    /// # Errors
    /// Failures of making it.
    pub fn directory(path: &Path, name: Option<&str>) -> Result<Self, TransportError> {
        let blobs = path.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(TransportError::io("make", &blobs))?;
        Ok(Self::new(path, name, Sink::Directory))
    }

    /// Writes an archive that appears at `path` when it is finished.
    ///
    /// # Errors
    /// Failures of making a file beside it.
    pub fn archive(path: &Path, name: Option<&str>) -> Result<Self, TransportError> {
        let file = NewFile::create(path)?;
        let mut tar = Writer::new(BufWriter::with_capacity(1 << 20, file));
        for directory in ["blobs", "blobs/sha256"] {
            tar.directory(directory.as_bytes(), &directory_metadata())
                .map_err(|source| TransportError::Archive {
                    path: path.to_owned(),
                    source,
                })?;
        }
        let sink = ArchiveSink {
            tar: Some(tar),
            written: std::collections::BTreeSet::new(),
        };
        Ok(Self::new(path, name, Sink::Archive(Mutex::new(sink))))
    }

    fn new(path: &Path, name: Option<&str>, sink: Sink) -> Self {
        let (path, name) = (path.to_owned(), name.map(str::to_owned));
        Self {
            path,
            name,
            sink,
            root: Mutex::new(None),
        }
    }

    fn write(
        &self,
        digest: &Digest,
        size_bytes: u64,
        reader: &mut dyn Read,
    ) -> Result<(), TransportError> {
        match &self.sink {
            Sink::Directory => self.write_file(&blob_path(digest), reader),
            Sink::Archive(sink) => {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                if sink.written.insert(digest.clone()) {
                    sink.member(&self.path, &blob_path(digest), size_bytes, reader)?;
                }
                Ok(())
            }
        }
    }

    fn write_file(&self, name: &str, reader: &mut dyn Read) -> Result<(), TransportError> {
        let path = self.path.join(name);
        let mut file = NewFile::create(&path)?;
        io::copy(reader, &mut file).map_err(TransportError::io("write", &path))?;
        file.finish()
    }

    /// The `index.json` that names what is there and this image.
    fn index(&self, root: &Descriptor) -> Result<Vec<u8>, TransportError> {
        let mut index = match &self.sink {
            Sink::Directory if self.path.join("index.json").exists() => {
                Layout::open_directory(&self.path)?.index
            }
            _ => Index {
                media_type: Some(media_type::OCI_INDEX.to_owned()),
                ..Index::new(Vec::new())
            },
        };
        let mut root = root.clone();
        if let Some(name) = &self.name {
            root.annotations.insert(REF_NAME.to_owned(), name.clone());
        }
        let name = |image: &Descriptor| image.annotations.get(REF_NAME).cloned();
        index
            .manifests
            .retain(|image| match (name(image), name(&root)) {
                (None, None) => image.digest != root.digest,
                (held, new) => held != new,
            });
        index.manifests.push(root);
        Ok(fetched(&index)?.bytes)
    }
}

impl ArchiveSink {
    fn member(
        &mut self,
        path: &Path,
        name: &str,
        size_bytes: u64,
        mut reader: &mut dyn Read,
    ) -> Result<(), TransportError> {
        let Some(tar) = &mut self.tar else {
            return Ok(());
        };
        tar.file(name.as_bytes(), &file_metadata(), size_bytes, &mut reader)
            .map_err(|source| TransportError::Archive {
                path: path.to_owned(),
                source,
            })
    }
}

/// A file that appears under its name when it is finished, whole or not at all. A link is
/// followed; what is there and is no regular file (a device, a pipe) is written to as it is.
pub(crate) struct NewFile {
    path: PathBuf,
    place: NewPlace,
}

enum NewPlace {
    Beside(tempfile::NamedTempFile),
    Itself(File),
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> Result<Self, TransportError> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_special = fs::metadata(&path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        let place = if is_special {
            let file = File::options().write(true).open(&path);
            NewPlace::Itself(file.map_err(TransportError::io("write", &path))?)
        } else {
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")));
            NewPlace::Beside(file.map_err(TransportError::io("make a file for", &path))?)
        };
        Ok(Self { path, place })
    }

    /// Gives the file its name, and the mode that a new file has.
    pub(crate) fn finish(self) -> Result<(), TransportError> {
        use std::os::unix::fs::PermissionsExt as _;
        let NewPlace::Beside(file) = self.place else {
            return Ok(());
        };
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))
            .map_err(TransportError::io("write", &self.path))?;
        file.persist(&self.path)
            .map(drop)
            .map_err(|error| TransportError::io("write", &self.path)(error.error))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            NewPlace::Beside(file) => file.write(bytes),
            NewPlace::Itself(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.place {
            NewPlace::Beside(file) => file.flush(),
            NewPlace::Itself(file) => file.flush(),
        }
    }
}

impl Destination for LayoutWriter {
    fn holds(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        match &self.sink {
            Sink::Directory => {
                let path = self.path.join(blob_path(&blob.digest));
                Ok(fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == blob.size))
            }
            Sink::Archive(sink) => {
                let sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(sink.written.contains(&blob.digest))
            }
        }
    }

    fn put_blob(&self, blob: &Descriptor, open: &Reopen<'_>) -> Result<(), TransportError> {
        let blob_error = |source| TransportError::Blob {
            digest: blob.digest.clone(),
            source,
        };
        let reader = open(0).map_err(blob_error)?;
        let mut reader = VerifyingReader::new(reader, blob.digest.clone(), blob.size)?;
        self.write(&blob.digest, blob.size, &mut reader)
    }

    fn put_document(&self, document: &Fetched, is_root: bool) -> Result<(), TransportError> {
        document.digest.verify(&document.bytes)?;
        self.write(
            &document.digest,
            document.bytes.len() as u64,
            &mut document.bytes.as_slice(),
        )?;
        if is_root {
            let media_type = super::registry::media_type_of(document)?;
            let descriptor = Descriptor::of(media_type, &document.bytes);
            let descriptor = Descriptor {
                digest: document.digest.clone(),
                ..descriptor
            };
            *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(descriptor);
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), TransportError> {
        let root = self
            .root
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let index = match &root {
            Some(root) => self.index(root)?,
            None => return Ok(()),
        };
        match &self.sink {
            Sink::Directory => {
                self.write_file("oci-layout", &mut &*MARK)?;
                self.write_file("index.json", &mut index.as_slice())
            }
            Sink::Archive(sink) => {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                sink.member(&self.path, "oci-layout", MARK.len() as u64, &mut &*MARK)?;
                sink.member(
                    &self.path,
                    "index.json",
                    index.len() as u64,
                    &mut index.as_slice(),
                )?;
                let Some(tar) = sink.tar.take() else {
                    return Ok(());
                };
                let archive_error = |source| TransportError::Archive {
                    path: self.path.clone(),
                    source,
                };
                let mut out = tar.finish().map_err(archive_error)?;
                out.flush()
                    .map_err(TransportError::io("write", &self.path))?;
                let file = out
                    .into_inner()
                    .map_err(|error| TransportError::io("write", &self.path)(error.into_error()))?;
                file.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use super::*;

    #[test]
    fn new_files_follow_links_and_leave_devices_alone() {
        let room = tempfile::tempdir().unwrap();
        let (target, link) = (room.path().join("target"), room.path().join("link"));
        fs::write(&target, "old").unwrap();
        symlink(&target, &link).unwrap();
        let write = |path: &Path| {
            let mut file = NewFile::create(path).unwrap();
            file.write_all(b"new").unwrap();
            file
        };
        drop(write(&link));
        assert_eq!(
            fs::read(&target).unwrap(),
            b"old",
            "unfinished is not there"
        );
        write(&link).finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 2);

        write(Path::new("/dev/null")).finish().unwrap();
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
    }
}
