//! What the records say, as data: images, layers, compressed forms, containers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use shiplap_model::reference::{Reference, Repository};
use shiplap_model::{DiffId, Digest, ImageId, Platform};

/// What is known of one layer's tar, computed once, while it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRecord {
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Length of the tar, in bytes: what the layer costs on disk, index apart.
    pub tar_bytes: u64,
    /// Sizes of all regular files in it, in bytes: what Docker calls the layer's size.
    pub content_bytes: u64,
    /// Entries of the tar.
    pub entries: u64,
}

/// A compressed form of a layer, as registries hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressedForm {
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Length of the compressed bytes.
    pub size_bytes: u64,
    /// Media type of the layer's descriptor.
    pub media_type: String,
    /// Whether the compressed bytes are in the store.
    pub kept: bool,
    /// Repositories it was seen in, the one seen last first.
    pub locations: Vec<Repository>,
}

/// A manifest or index of an image by which a repository knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoDigest {
    /// The repository.
    pub repository: Repository,
    /// Digest of the manifest, or of the index it was chosen from.
    pub digest: Digest,
}

/// One image as lists show it and filters choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLine {
    /// Digest of the config.
    pub id: ImageId,
    /// When the config says it was made.
    pub created: Option<Timestamp>,
    /// Labels of the config, if they were asked for.
    pub labels: BTreeMap<String, String>,
    /// Sizes of all regular files in all layers, in bytes.
    pub content_bytes: u64,
    /// The image it was built or committed from, if that was told.
    pub parent: Option<ImageId>,
    /// Tags, sorted.
    pub tags: Vec<Reference>,
    /// Repository digests, sorted.
    pub repo_digests: Vec<RepoDigest>,
    /// A tag names an index that it is of, though another image of it is what the tag means here.
    pub is_part: bool,
    /// How many containers use it.
    pub containers: u64,
}

impl ImageLine {
    /// Whether no tag names it, nor an index that it is of (`--filter dangling=true`).
    #[must_use]
    pub fn is_dangling(&self) -> bool {
        self.tags.is_empty() && !self.is_part
    }
}

/// One image as `inspect` needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Digest of the config.
    pub id: ImageId,
    /// When the config says it was made.
    pub created: Option<Timestamp>,
    /// Operating system, as `linux`.
    pub os: String,
    /// Architecture, as `arm64`.
    pub architecture: String,
    /// Variant of the architecture, as `v8`.
    pub variant: Option<String>,
    /// Labels of the config.
    pub labels: BTreeMap<String, String>,
    /// Sizes of all regular files in all layers, in bytes: Docker's `Size` (and `VirtualSize`).
    pub content_bytes: u64,
    /// The image it was built or committed from, if that was told.
    pub parent: Option<ImageId>,
    /// When it came into this store.
    pub stored: Timestamp,
    /// When it was last given a tag.
    pub last_tagged: Option<Timestamp>,
    /// Tags, sorted.
    pub tags: Vec<Reference>,
    /// Repository digests, sorted.
    pub repo_digests: Vec<RepoDigest>,
    /// A tag names an index that it is of, though another image of it is what the tag means here.
    pub is_part: bool,
    /// How many containers use it.
    pub containers: u64,
}

impl Image {
    /// What it runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            variant: self.variant.clone(),
            ..Platform::new(self.os.as_str(), self.architecture.as_str())
        }
    }

    /// Whether no tag names it, nor an index that it is of (`--filter dangling=true`).
    #[must_use]
    pub fn is_dangling(&self) -> bool {
        self.tags.is_empty() && !self.is_part
    }
}

/// What a container's process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process lives.
    Running,
    /// Its process is frozen.
    Paused,
    /// Its process has ended.
    Exited,
}

impl ContainerState {
    /// Docker's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
        }
    }

    pub(crate) fn from_record(word: &str) -> Option<Self> {
        [Self::Created, Self::Running, Self::Paused, Self::Exited]
            .into_iter()
            .find(|state| state.as_str() == word)
    }

    /// Whether its process is there.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// One container, as far as images care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRecord {
    /// 64 hex digits.
    pub id: String,
    /// Its unique name.
    pub name: String,
    /// The image it was made from.
    pub image: ImageId,
    /// What its process does.
    pub state: ContainerState,
    /// When it was made.
    pub created: Timestamp,
}
