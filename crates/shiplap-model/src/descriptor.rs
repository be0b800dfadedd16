//! Descriptors: what a document says of content that lies elsewhere (OCI image specification,
//! "Content Descriptors").
//!
//! A descriptor is a claim; whoever fetches the content verifies it. `data` is kept as written
//! and never trusted in place of the content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::json::{self, Rest};
use crate::platform::Platform;

/// Type, digest and size of content, and what its user should know before fetching it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Media type of the content.
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Length of the content, in bytes.
    pub size: u64,
    /// Other places to get it from.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// Free words on the content.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Where the content runs; only in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of the artifact whose manifest this is.
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<String>,
    /// Fields not known here.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Descriptor {
    /// Keys of the fields above.
    pub(crate) const KEYS: [&'static str; 8] = [
        "mediaType",
        "digest",
        "size",
        "urls",
        "annotations",
        "data",
        "platform",
        "artifactType",
    ];

    /// A descriptor of nothing but type, digest and size (in bytes).
    #[must_use]
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
            rest: Rest::new(),
        }
    }

    /// The descriptor of `content`.
    #[must_use]
    pub fn of(media_type: impl Into<String>, content: &[u8]) -> Self {
        Self::new(media_type, Digest::of(content), content.len() as u64)
    }
}
