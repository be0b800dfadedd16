//! Manifests and indexes, OCI's and Docker's schema 2, as registries serve them.
//!
//! Read with the tolerance that pulling needs (no layers, `null` for absent) but never where two
//! readers could see two different images: see [`Document::parse`]. Whether a document is exactly
//! what the specification asks is [`crate::conformance`]'s question. Schema 1 is only recognised.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::json::{self, JsonError, Rest};
use crate::platform::Platform;
use crate::{limits, media_type};

/// Why bytes are not a manifest, index or config that is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not strict JSON, or not of the document's shape.
    #[error("parse {what}: {source}")]
    Json {
        /// `manifest`, `index`, `config`, …
        what: &'static str,
        /// Where and why.
        source: JsonError,
    },
    /// Docker's schema 1, which names no config and can't be verified layer by layer.
    #[error(
        "parse manifest: it is of Docker's schema 1, which was withdrawn; the image must be pushed anew"
    )]
    Schema1,
    /// A schema version other than 2.
    #[error("parse manifest: its schemaVersion is {found}, not 2")]
    SchemaVersion {
        /// What it says.
        found: u64,
    },
    /// Readable as a manifest and as an index (CVE-2021-41190).
    #[error(
        "parse manifest: it has both {first:?} and {second:?}, so readers could take it for two things"
    )]
    Ambiguous {
        /// A key of the one kind.
        first: &'static str,
        /// A key of the other.
        second: &'static str,
    },
    /// Neither a manifest nor an index.
    #[error("parse manifest: it has neither \"layers\" nor \"manifests\"")]
    Shapeless,
    /// The content is not what the media type says.
    #[error("parse manifest: its content is of type {found}, not {said} as {by} says")]
    MediaTypeMismatch {
        /// The media type it is said to have.
        said: String,
        /// Who says so: `the registry` or `its mediaType`.
        by: &'static str,
        /// What it has or looks like.
        found: String,
    },
    /// A media type that is no image manifest or index.
    #[error("parse manifest: {media_type} is neither an image manifest nor an index")]
    Unsupported {
        /// The media type.
        media_type: String,
    },
    /// A key that Go's decoder takes for another one.
    #[error("parse {what}: it has the key {found:?}, which some readers take for {known:?}")]
    Misspelt {
        /// `manifest`, `index`, `config`, …
        what: &'static str,
        /// The key found.
        found: String,
        /// The key meant.
        known: &'static str,
    },
    /// More entries than such a document may have.
    #[error("parse {what}: it names {count}, more than the {limit} allowed")]
    TooMany {
        /// `manifest`, `index` or `config`.
        what: &'static str,
        /// How many entries it has.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// A size that no file can have.
    #[error("parse {what}: {size} is no size of content, in bytes")]
    Size {
        /// `manifest` or `index`.
        what: &'static str,
        /// The size, in bytes.
        size: u64,
    },
    /// A config without a root file system is not an image's.
    #[error("parse config: it has no rootfs of type \"layers\", so it is not an image's")]
    NoRootfs,
    /// As many non-empty history entries as layers are wanted.
    #[error(
        "check config: {history} entries of its history made layers, but it has {layers} layers"
    )]
    HistoryLength {
        /// History entries that are not empty layers.
        history: usize,
        /// DiffIDs.
        layers: usize,
    },
    /// As many layers in the manifest as in the config are wanted.
    #[error("check image: its manifest has {manifest} layers, but its config has {config}")]
    LayersLength {
        /// Layers of the manifest.
        manifest: usize,
        /// DiffIDs of the config.
        config: usize,
    },
}

/// One image: its config and its layers, base first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always 2.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u64,
    /// This document's own type; OCI allows none.
    #[serde(rename = "mediaType", default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Type of the artifact, if it is not an image.
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, base first.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free words on the image.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields not known here.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A choice of manifests, mostly by platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Always 2.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u64,
    /// This document's own type; OCI allows none.
    #[serde(rename = "mediaType", default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Type of the artifact, if it is not an image.
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<String>,
    /// The manifests or further indexes.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this index is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free words on the choice.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields not known here.
    #[serde(flatten)]
    pub rest: Rest,
}

/// What a tag or digest of a repository may name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "documents are few and short-lived"
)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// A choice of manifests.
    Index(Index),
}

/// Only what tells the kinds apart.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "schemaVersion", default)]
    schema_version: Option<u64>,
    #[serde(rename = "mediaType", default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(rename = "fsLayers", default)]
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads a manifest or index of at most [`limits::MANIFEST_BYTES`]. `content_type` is what
    /// the registry's header or a descriptor says it is; a general type (`application/json`, …)
    /// counts as nothing said.
    ///
    /// # Errors
    /// [`DocumentError`]: besides what is no such document, everything that different readers
    /// could take differently: duplicate or misspelt keys, `layers` or `config` beside
    /// `manifests`, a media type other than the one said or than the content has.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, DocumentError> {
        let json_error = |source| DocumentError::Json {
            what: "manifest",
            source,
        };
        let shape: Shape = json::parse(bytes, limits::MANIFEST_BYTES).map_err(json_error)?;
        // serde takes an array for a struct, too.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            let problem = "it is not an object".to_owned();
            return Err(json_error(JsonError::Malformed { problem }));
        }
        let said = content_type
            .map(media_type::of_content_type)
            .filter(|said| is_telling(said));
        let kind = shape.kind(said.as_deref())?;
        let again = |error: serde_json::Error| json_error(error.into());
        let document = match kind {
            Kind::Manifest => Self::Manifest(serde_json::from_slice(bytes).map_err(again)?),
            Kind::Index => Self::Index(serde_json::from_slice(bytes).map_err(again)?),
        };
        document.check()?;
        Ok(document)
    }

    /// Its media type: as it says, or OCI's for its kind.
    #[must_use]
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(manifest) => manifest.media_type(),
            Self::Index(index) => index.media_type(),
        }
    }

    fn check(&self) -> Result<(), DocumentError> {
        match self {
            Self::Manifest(manifest) => manifest.check(),
            Self::Index(index) => index.check(),
        }
    }
}

impl Manifest {
    const KEYS: [&'static str; 8] = [
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "subject",
        "annotations",
        "manifests",
    ];

    /// An OCI manifest of these.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
            rest: Rest::new(),
        }
    }

    /// Reads what must be one image's manifest.
    ///
    /// # Errors
    /// As [`Document::parse`], and [`DocumentError::MediaTypeMismatch`] for an index.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        match Document::parse(bytes, None)? {
            Document::Manifest(manifest) => Ok(manifest),
            Document::Index(index) => Err(DocumentError::MediaTypeMismatch {
                said: media_type::OCI_MANIFEST.to_owned(),
                by: "its place",
                found: index.media_type().to_owned(),
            }),
        }
    }

    /// Its media type: as it says, or OCI's.
    #[must_use]
    pub fn media_type(&self) -> &str {
        own_media_type(self.media_type.as_deref()).unwrap_or(media_type::OCI_MANIFEST)
    }

    /// Whether it holds an image, by its config's type; otherwise it is an artifact.
    #[must_use]
    pub fn is_image(&self) -> bool {
        media_type::is_config(&self.config.media_type)
    }

    /// Config and layers: everything that must be there to run the image.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    fn check(&self) -> Result<(), DocumentError> {
        let what = "manifest";
        refuse_misspelt(what, &self.rest, &Self::KEYS)?;
        refuse_many(what, self.layers.len(), limits::LAYERS)?;
        self.blobs()
            .chain(&self.subject)
            .try_for_each(|descriptor| check_descriptor(what, descriptor))
    }
}

impl Index {
    const KEYS: [&'static str; 8] = [
        "schemaVersion",
        "mediaType",
        "artifactType",
        "manifests",
        "subject",
        "annotations",
        "config",
        "layers",
    ];

    /// An OCI index of these.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
            rest: Rest::new(),
        }
    }

    /// Reads what must be an index, as `index.json` of an image layout.
    ///
    /// # Errors
    /// As [`Document::parse`], and [`DocumentError::MediaTypeMismatch`] for a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        match Document::parse(bytes, None)? {
            Document::Index(index) => Ok(index),
            Document::Manifest(manifest) => Err(DocumentError::MediaTypeMismatch {
                said: media_type::OCI_INDEX.to_owned(),
                by: "its place",
                found: manifest.media_type().to_owned(),
            }),
        }
    }

    /// Its media type: as it says, or OCI's.
    #[must_use]
    pub fn media_type(&self) -> &str {
        own_media_type(self.media_type.as_deref()).unwrap_or(media_type::OCI_INDEX)
    }

    /// The entry that fits `wanted` best: see [`Platform::choose`]. Entries that are neither
    /// manifests nor indexes are passed over.
    #[must_use]
    pub fn choose(&self, wanted: &Platform) -> Option<&Descriptor> {
        let images: Vec<&Descriptor> = self
            .manifests
            .iter()
            .filter(|entry| {
                media_type::is_manifest(&entry.media_type)
                    || media_type::is_index(&entry.media_type)
            })
            .collect();
        let number = wanted.choose(images.iter().map(|entry| entry.platform.as_ref()))?;
        images.get(number).copied()
    }

    fn check(&self) -> Result<(), DocumentError> {
        let what = "index";
        refuse_misspelt(what, &self.rest, &Self::KEYS)?;
        refuse_many(what, self.manifests.len(), limits::INDEX_ENTRIES)?;
        let mut entries = self.manifests.iter().chain(&self.subject);
        entries.try_for_each(|descriptor| check_descriptor(what, descriptor))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
}

impl Kind {
    fn of(media_type: &str) -> Option<Self> {
        if media_type::is_manifest(media_type) {
            Some(Self::Manifest)
        } else {
            media_type::is_index(media_type).then_some(Self::Index)
        }
    }
}

impl Shape {
    /// What the document is, if its keys, its media type and what was said of it agree.
    fn kind(&self, said: Option<&str>) -> Result<Kind, DocumentError> {
        let own = own_media_type(self.media_type.as_deref());
        let is_v1 = |media_type: &str| {
            [
                media_type::DOCKER_MANIFEST_V1,
                media_type::DOCKER_MANIFEST_V1_SIGNED,
            ]
            .contains(&media_type)
        };
        if self.schema_version == Some(1)
            || self.fs_layers.is_some()
            || own.or(said).is_some_and(is_v1)
        {
            return Err(DocumentError::Schema1);
        }
        match self.schema_version {
            Some(2) => {}
            found => {
                return Err(DocumentError::SchemaVersion {
                    found: found.unwrap_or(0),
                });
            }
        }
        let image_key = match (&self.layers, &self.config) {
            (Some(_), _) => Some("layers"),
            (None, Some(_)) => Some("config"),
            (None, None) => None,
        };
        let shape = match (image_key, &self.manifests) {
            (Some(first), Some(_)) => {
                return Err(DocumentError::Ambiguous {
                    first,
                    second: "manifests",
                });
            }
            (Some(_), None) => Kind::Manifest,
            (None, Some(_)) => Kind::Index,
            (None, None) => own
                .or(said)
                .and_then(Kind::of)
                .ok_or(DocumentError::Shapeless)?,
        };
        if let (Some(own), Some(said)) = (own, said)
            && own != said
        {
            return Err(mismatch(said, "the registry", own));
        }
        for (name, by) in [(own, "its mediaType"), (said, "the registry")] {
            let Some(name) = name else { continue };
            let kind = Kind::of(name).ok_or_else(|| DocumentError::Unsupported {
                media_type: name.chars().take(200).collect(),
            })?;
            if kind != shape {
                let found = if shape == Kind::Index {
                    media_type::OCI_INDEX
                } else {
                    media_type::OCI_MANIFEST
                };
                return Err(mismatch(name, by, found));
            }
        }
        Ok(shape)
    }
}

/// An empty `mediaType` says nothing.
fn own_media_type(written: Option<&str>) -> Option<&str> {
    written.filter(|written| !written.is_empty())
}

fn mismatch(said: &str, by: &'static str, found: &str) -> DocumentError {
    let short = |text: &str| text.chars().take(200).collect();
    DocumentError::MediaTypeMismatch {
        said: short(said),
        by,
        found: short(found),
    }
}

/// Whether a content type says more than "bytes".
fn is_telling(media_type: &str) -> bool {
    !matches!(
        media_type,
        "" | "application/json"
            | "application/octet-stream"
            | "binary/octet-stream"
            | "text/plain"
            | "text/json"
            | "text/html"
    )
}

pub(crate) fn refuse_misspelt(
    what: &'static str,
    rest: &Rest,
    known: &[&'static str],
) -> Result<(), DocumentError> {
    match json::misspelt(rest, known) {
        Some((found, known)) => Err(DocumentError::Misspelt {
            what,
            found: found.chars().take(200).collect(),
            known,
        }),
        None => Ok(()),
    }
}

pub(crate) fn refuse_many(
    what: &'static str,
    count: usize,
    limit: usize,
) -> Result<(), DocumentError> {
    if count > limit {
        Err(DocumentError::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

fn check_descriptor(what: &'static str, descriptor: &Descriptor) -> Result<(), DocumentError> {
    refuse_misspelt(what, &descriptor.rest, &Descriptor::KEYS)?;
    if i64::try_from(descriptor.size).is_err() {
        return Err(DocumentError::Size {
            what,
            size: descriptor.size,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
