//! `manifest` and `buildx imagetools`: documents of registries, looked at as they are, and joined to an index without a
//! layer being moved that is in the repository already.
//!
//! Never touches images of the store: what is here is looked at by `inspect`, and joined by `build`.

mod join;
pub mod list;

use shiplap_model::{
    Descriptor, Document, ImageConfig, Platform, Reference, annotation::AnnotationError,
    digest::DigestError, limits,
};
use shiplap_store::StoreError;

use crate::context::Context;
use crate::copy::CopyError;
use crate::transport::registry::RegistryImage;
use crate::transport::{Fetched, Source as _, TransportError, read_small};

pub use join::{JoinOptions, Joined, Part, join, publish};

/// Why a manifest can't be shown, or an index not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The registry has none of the name.
    #[error("find manifest {reference}: no such manifest{}", if *.is_here { " in the registry, but an image here has this name: push it first" } else { "" })]
    NotFound {
        /// What was asked for.
        reference: Reference,
        /// Whether an image of the store has the name.
        is_here: bool,
    },
    /// The registry's failure.
    #[error("read manifest {reference}: {source}")]
    Transport {
        /// What was asked for.
        reference: Reference,
        /// Why.
        source: TransportError,
    },
    /// An entry that nobody could choose.
    #[error(
        "make an index: nothing says what {reference} runs on; say so with: manifest annotate --os OS --arch ARCHITECTURE"
    )]
    NoPlatform {
        /// The entry.
        reference: Reference,
    },
    /// Nothing is left after the choice of platforms.
    #[error(
        "make an index: none of the sources has an image for {}",
        words(wanted)
    )]
    NoneWanted {
        /// What was asked for.
        wanted: Vec<Platform>,
    },
    /// The index can't be written.
    #[error("write an index: {0}")]
    Write(serde_json::Error),
    /// An annotation is wrong.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// An annotation of what can't have one here.
    #[error(
        "annotate {name:?}: manifests are taken as they are; say index:NAME=VALUE, or manifest-descriptor:NAME=VALUE"
    )]
    AnnotatedManifest {
        /// As given.
        name: String,
    },
    /// What is named can't be brought to the repository of the index.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The list of the user's is there already.
    #[error(
        "create manifest list {list}: refusing to amend an existing manifest list with no --amend flag"
    )]
    Exists {
        /// Its name.
        list: Reference,
    },
    /// There is no list of that name.
    #[error(
        "find manifest list {list}: no such manifest list; make it with: manifest create {} MANIFEST...", list.familiar()
    )]
    NoList {
        /// What was asked for.
        list: Reference,
    },
    /// The list has no such entry.
    #[error("find manifest {member}: it does not exist in {list}")]
    NoMember {
        /// The list.
        list: Reference,
        /// What was asked for.
        member: Reference,
    },
    /// A list can't be kept.
    #[error("keep manifest list {list}: {source}")]
    Kept {
        /// Which.
        list: Reference,
        /// What the system said, or what is wrong with the file.
        source: std::io::Error,
    },
    /// A digest that can't be verified.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn words(platforms: &[Platform]) -> String {
    let words: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    words.join(", ")
}

/// A document of a registry, as it was received.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it was asked for by.
    pub reference: Reference,
    /// Its bytes.
    pub fetched: Fetched,
    /// What they say.
    pub document: Document,
}

impl Found {
    /// What an index says of it; nothing of platforms.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(
            self.document.media_type(),
            self.fetched.digest.clone(),
            self.fetched.bytes.len() as u64,
        )
    }

    /// Its name by its digest.
    #[must_use]
    pub fn by_digest(&self) -> Reference {
        let repository = self.reference.repository();
        repository.at(self.fetched.digest.clone())
    }
}

/// The document that `reference` names in its registry, `latest` without a tag or digest.
///
/// # Errors
/// [`ManifestError`].
pub fn find(context: &Context, reference: &Reference) -> Result<Found, ManifestError> {
    let reference = reference.or_latest();
    let root = RegistryImage::new(context.client(), &reference).root();
    let fetched = match root {
        Err(TransportError::Registry(shiplap_registry::Error::NotFound { .. })) => {
            return Err(ManifestError::NotFound {
                is_here: context.store()?.find(&reference)?.is_some(),
                reference,
            });
        }
        root => root.map_err(failed(&reference))?,
    };
    let document = fetched.parse().map_err(failed(&reference))?;
    Ok(Found {
        reference,
        fetched,
        document,
    })
}

/// The documents that an index names; a manifest stands for itself.
///
/// # Errors
/// [`ManifestError`].
pub fn parts(context: &Context, found: &Found) -> Result<Vec<Found>, ManifestError> {
    let Document::Index(index) = &found.document else {
        return Ok(vec![found.clone()]);
    };
    let digests = index.manifests.iter().map(|entry| entry.digest.clone());
    digests
        .map(|digest| find(context, &found.reference.with_digest(digest)))
        .collect()
}

/// What an index says of a document, with what the config says that it runs on.
///
/// # Errors
/// [`ManifestError`].
pub fn described(context: &Context, found: &Found) -> Result<Descriptor, ManifestError> {
    Ok(Descriptor {
        platform: config(context, found)?.map(|config| config.platform()),
        ..found.descriptor()
    })
}

/// The config of a manifest; an index and an artifact have none.
///
/// # Errors
/// [`ManifestError`].
pub fn config(context: &Context, found: &Found) -> Result<Option<ImageConfig>, ManifestError> {
    let Document::Manifest(manifest) = &found.document else {
        return Ok(None);
    };
    if !manifest.is_image() {
        return Ok(None);
    }
    let source = RegistryImage::new(context.client(), &found.reference);
    let bytes = read_small(&source, &manifest.config, limits::CONFIG_BYTES);
    let bytes = bytes.map_err(failed(&found.reference))?;
    let config = ImageConfig::parse(&bytes).map_err(|source| {
        failed(&found.reference)(TransportError::Document {
            digest: manifest.config.digest.clone(),
            source,
        })
    })?;
    Ok(Some(config))
}

fn failed(reference: &Reference) -> impl Fn(TransportError) -> ManifestError {
    let reference = reference.clone();
    move |source| ManifestError::Transport {
        reference: reference.clone(),
        source,
    }
}
