//! `tags`: what a repository offers, and what of it is here.

use serde::Serialize;
use shiplap_model::{
    Descriptor, Digest, Document, ImageConfig, ImageId, Reference, Repository, limits,
};
use shiplap_registry::{Client, ManifestName};
use shiplap_store::StoreError;

use crate::context::Context;
use crate::parallel;
use crate::transport::registry::RegistryImage;
use crate::transport::{Source as _, TransportError, read_small};

/// What to list.
#[derive(Debug, Clone)]
pub struct TagsOptions {
    /// The repository.
    pub repository: Repository,
    /// Most tags whose details are asked for; the others are left out.
    pub limit: usize,
    /// Nothing but names: one request for all of them.
    pub names_only: bool,
}

/// One tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListedTag {
    /// Its name.
    pub tag: String,
    /// When its image was made or pushed (RFC 3339), as far as the registry tells.
    pub created: Option<String>,
    /// Compressed size of this machine's image, or of the first there is, in bytes.
    pub size_bytes: Option<u64>,
    /// What it runs on, as `linux/arm64/v8`.
    pub platforms: Vec<String>,
    /// Digest of what it names.
    pub digest: Option<Digest>,
    /// The image here that is the same.
    pub here: Option<ImageId>,
}

/// Why tags can't be listed.
#[derive(Debug, thiserror::Error)]
pub enum TagsError {
    /// The registry's failure.
    #[error("list the tags of {repository}: {source}")]
    Transport {
        /// Which repository.
        repository: Repository,
        /// Why.
        source: TransportError,
    },
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The tags of a repository, in the registry's order, and how many there are in all.
///
/// # Errors
/// [`TagsError`].
pub fn tags(
    context: &Context,
    options: &TagsOptions,
) -> Result<(Vec<ListedTag>, usize), TagsError> {
    let failed = |source: TransportError| TagsError::Transport {
        repository: options.repository.clone(),
        source,
    };
    let client = context.client();
    let mut names = client
        .list_tags(&options.repository)
        .map_err(|error| failed(error.into()))?;
    let count = names.len();
    if options.names_only {
        let listed = names.into_iter().map(|tag| ListedTag {
            tag,
            ..ListedTag::default()
        });
        return Ok((listed.collect(), count));
    }
    names.truncate(options.limit);
    let known = client
        .tag_details(&options.repository, options.limit)
        .unwrap_or_default();
    let workers = context.settings().parallel_layers.max(4);
    let mut listed = parallel::map(&names, workers, |name| {
        match known.iter().find(|details| details.name == *name) {
            Some(details) => Ok(from_details(details, &context.settings().platform)),
            None => from_manifest(context, client, &options.repository, name),
        }
    })
    .map_err(failed)?;
    note_here(context, &options.repository, &mut listed)?;
    Ok((listed, count))
}

/// The names of a repository's tags.
pub(crate) fn names(client: &Client, repository: &Repository) -> Result<Vec<String>, TagsError> {
    let listed = client.list_tags(repository);
    listed.map_err(|error| TagsError::Transport {
        repository: repository.clone(),
        source: error.into(),
    })
}

/// Compressed sizes of the images that the tags name, as far as the registry tells; a tag that can't be had
/// has none.
pub(crate) fn sizes(
    context: &Context,
    client: &Client,
    repository: &Repository,
    names: &[String],
) -> Result<Vec<(String, Option<u64>)>, TagsError> {
    let workers = context.settings().parallel_layers.max(4);
    parallel::map(names, workers, |name| {
        let listed = from_manifest(context, client, repository, name);
        Ok((name.clone(), listed.ok().and_then(|tag| tag.size_bytes)))
    })
}

fn from_details(
    details: &shiplap_registry::TagDetails,
    wanted: &shiplap_model::Platform,
) -> ListedTag {
    let platform = |image: &shiplap_registry::TagPlatform| shiplap_model::Platform {
        variant: image.variant.clone().filter(|variant| !variant.is_empty()),
        ..shiplap_model::Platform::new(image.os.as_str(), image.architecture.as_str())
    };
    let mine = details
        .images
        .iter()
        .find(|image| wanted.runs(&platform(image)));
    ListedTag {
        tag: details.name.clone(),
        created: details.last_updated.clone(),
        size_bytes: mine
            .or(details.images.first())
            .and_then(|i| i.size_bytes)
            .or(details.size_bytes),
        platforms: details
            .images
            .iter()
            .map(|image| platform(image).to_string())
            .collect(),
        digest: details.digest.clone(),
        here: None,
    }
}

/// Asks for the manifest, and for the config, which alone knows a time.
fn from_manifest(
    context: &Context,
    client: &Client,
    repository: &Repository,
    tag: &str,
) -> Result<ListedTag, TransportError> {
    let fetched = client.manifest(repository, ManifestName::Tag(tag))?;
    let mut listed = ListedTag {
        tag: tag.to_owned(),
        digest: Some(fetched.digest.clone()),
        ..ListedTag::default()
    };
    let reference: Reference = repository.at(fetched.digest.clone());
    let source = RegistryImage::new(client, &reference);
    let document =
        Document::parse(&fetched.bytes, fetched.media_type.as_deref()).map_err(|source| {
            TransportError::Document {
                digest: fetched.digest.clone(),
                source,
            }
        })?;
    let manifest = match document {
        Document::Manifest(manifest) => Some(manifest),
        Document::Index(index) => {
            let platforms = index
                .manifests
                .iter()
                .filter_map(|entry| entry.platform.as_ref());
            listed.platforms = platforms
                .filter(|p| p.os != "unknown")
                .map(ToString::to_string)
                .collect();
            let mine = index
                .choose(&context.settings().platform)
                .or(index.manifests.first());
            let next = mine
                .map(|entry| source.document(entry)?.parse())
                .transpose()?;
            match next {
                Some(Document::Manifest(manifest)) => Some(manifest),
                _ => None,
            }
        }
    };
    let Some(manifest) = manifest else {
        return Ok(listed);
    };
    listed.size_bytes = Some(
        manifest
            .layers
            .iter()
            .map(|layer: &Descriptor| layer.size)
            .sum(),
    );
    let bytes = read_small(&source, &manifest.config, limits::CONFIG_BYTES)?;
    if let Ok(config) = ImageConfig::parse(&bytes) {
        if listed.platforms.is_empty() {
            listed.platforms.push(config.platform().to_string());
        }
        listed.created = config.created;
    }
    Ok(listed)
}

/// Finds the images here that have the digests.
fn note_here(
    context: &Context,
    repository: &Repository,
    listed: &mut [ListedTag],
) -> Result<(), StoreError> {
    let store = context.store()?;
    let images = store.images()?;
    for tag in listed {
        let Some(digest) = &tag.digest else { continue };
        let is_known = |image: &&shiplap_store::Image| {
            image
                .repo_digests
                .iter()
                .any(|known| known.digest == *digest && known.repository == *repository)
        };
        tag.here = match store.image_of_manifest(digest)? {
            Some(id) => Some(id),
            None => images.iter().find(is_known).map(|image| image.id.clone()),
        };
    }
    Ok(())
}
