//! A store in a temporary directory, and images made of nothing.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use shiplap_model::reference::Reference;
use shiplap_model::{DiffId, Digest, ImageId};
use shiplap_store::{
    Access, CheckReport, LayerFacts, LayerPort, LayerRecord, Lease, NewImage, PortError,
    RepoDigest, Store, StoreError, check,
};

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) root: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let store = Store::open(&root, Access::Write).unwrap();
        Self {
            store,
            root,
            _directory: directory,
        }
    }

    /// Puts an image and returns its ID.
    pub(crate) fn put(&self, image: &Sample) -> ImageId {
        image.put(&self.store.lease().unwrap()).unwrap()
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.encoded())
    }

    /// Files in `blobs`, `layers`, `trees`, `staging` and `locks`.
    pub(crate) fn files(&self) -> Vec<String> {
        files_in(&self.root)
    }

    pub(crate) fn check(&self, repair: bool) -> CheckReport {
        check(&self.root, repair, &FakePort, &|_, _| {}).unwrap()
    }

    /// Closes the store and gives the directory away.
    pub(crate) fn close(self) -> (PathBuf, tempfile::TempDir) {
        (self.root, self._directory)
    }
}

pub(crate) fn files_in(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for part in ["blobs/sha256", "layers", "trees", "staging", "locks"] {
        for entry in std::fs::read_dir(root.join(part)).unwrap() {
            files.push(format!(
                "{part}/{}",
                entry.unwrap().file_name().to_str().unwrap()
            ));
        }
    }
    files.sort();
    files
}

/// What an image is made of.
#[derive(Clone, Default)]
pub(crate) struct Sample {
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) created: Option<&'static str>,
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) repo_digests: Vec<&'static str>,
    pub(crate) author: String,
    /// `amd64`, if nothing is said.
    pub(crate) architecture: Option<&'static str>,
}

impl Sample {
    pub(crate) fn of(layers: &[&str]) -> Self {
        Self {
            layers: layers
                .iter()
                .map(|layer| layer.as_bytes().to_vec())
                .collect(),
            ..Self::default()
        }
    }

    pub(crate) fn tagged(mut self, tags: &[&'static str]) -> Self {
        self.tags = tags.to_vec();
        self
    }

    pub(crate) fn known_as(mut self, repositories: &[&'static str]) -> Self {
        self.repo_digests = repositories.to_vec();
        self
    }

    pub(crate) fn by(mut self, author: &str) -> Self {
        author.clone_into(&mut self.author);
        self
    }

    pub(crate) fn diff_id(&self, place: usize) -> DiffId {
        Digest::of(&self.layers[place]).into()
    }

    pub(crate) fn config(&self) -> Vec<u8> {
        let diff_ids: Vec<Digest> = self.layers.iter().map(|layer| Digest::of(layer)).collect();
        let labels: serde_json::Map<_, _> = self
            .labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let mut config = json!({
            "architecture": self.architecture.unwrap_or("amd64"), "os": "linux", "author": self.author,
            "config": {"Labels": labels}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        if let Some(created) = self.created {
            config["created"] = json!(created);
        }
        serde_json::to_vec(&config).unwrap()
    }

    pub(crate) fn id(&self) -> ImageId {
        Digest::of(&self.config()).into()
    }

    pub(crate) fn manifest(&self) -> Vec<u8> {
        let config = self.config();
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| {
                json!({"mediaType": "application/vnd.oci.image.layer.v1.tar",
                       "digest": Digest::of(layer), "size": layer.len()})
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                       "digest": Digest::of(&config), "size": config.len()},
            "layers": layers,
        });
        serde_json::to_vec(&manifest).unwrap()
    }

    pub(crate) fn manifest_digest(&self) -> Digest {
        Digest::of(&self.manifest())
    }

    pub(crate) fn put(&self, lease: &Lease) -> Result<ImageId, StoreError> {
        for layer in &self.layers {
            put_layer(lease, layer)?;
        }
        lease.put_blob(self.id().digest(), &self.config())?;
        let manifest = self.manifest_digest();
        lease.put_blob(&manifest, &self.manifest())?;
        let tags: Vec<Reference> = self.tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let repo_digests: Vec<RepoDigest> = self
            .repo_digests
            .iter()
            .map(|name| RepoDigest {
                repository: name.parse().unwrap(),
                digest: manifest.clone(),
            })
            .collect();
        let new = NewImage {
            tags: &tags,
            repo_digests: &repo_digests,
            ..NewImage::of(&manifest)
        };
        match lease.put_image(&new) {
            Ok(put) => Ok(put.id),
            Err(shiplap_store::ImageError::Store(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Commits a layer unless it is here.
pub(crate) fn put_layer(lease: &Lease, layer: &[u8]) -> Result<(), StoreError> {
    let diff_id: DiffId = Digest::of(layer).into();
    if lease.hold_layer(&diff_id)?.is_some() {
        return Ok(());
    }
    let (tar, index) = (lease.file()?, lease.file()?);
    let full = |path: &Path| {
        let path = path.to_owned();
        move |_| StoreError::StorageFull {
            action: "write",
            path,
        }
    };
    tar.file().write_all(layer).map_err(full(tar.path()))?;
    let facts = FakePort
        .build_index(tar.file(), index.file())
        .map_err(|_| StoreError::StorageFull {
            action: "write",
            path: index.path().to_owned(),
        })?;
    let record = LayerRecord {
        diff_id,
        tar_bytes: layer.len() as u64,
        content_bytes: facts.content_bytes,
        entries: facts.entries,
    };
    lease.commit_layer(tar, index, &record)
}

/// An "index" is the tar's digest; its content is half of the tar.
pub(crate) struct FakePort;

impl LayerPort for FakePort {
    fn verify_index(&self, tar: &File, mut index: &File) -> Result<LayerFacts, PortError> {
        let (expected, facts) = index_of(tar)?;
        let mut found = String::new();
        index.read_to_string(&mut found)?;
        if found == expected {
            Ok(facts)
        } else {
            Err("it is of another tar".into())
        }
    }

    fn build_index(&self, tar: &File, mut index: &File) -> Result<LayerFacts, PortError> {
        let (text, facts) = index_of(tar)?;
        index.write_all(text.as_bytes())?;
        Ok(facts)
    }
}

fn index_of(mut tar: &File) -> Result<(String, LayerFacts), PortError> {
    let mut bytes = Vec::new();
    tar.seek(SeekFrom::Start(0))?;
    tar.read_to_end(&mut bytes)?;
    let facts = LayerFacts {
        content_bytes: bytes.len() as u64 / 2,
        entries: 1,
    };
    Ok((format!("index of {}", Digest::of(&bytes)), facts))
}
