//! An index of what several sources name, and its way into repositories.

use std::collections::BTreeSet;

use shiplap_model::annotation::{self, Annotations};
use shiplap_model::{Descriptor, Digest, Document, Index, Platform, Reference, media_type};

use super::{Found, ManifestError, config, failed, find};
use crate::context::Context;
use crate::copy::{self, CopyOptions, Place};
use crate::progress::Progress;
use crate::transport::registry::RegistryImage;
use crate::transport::{Destination as _, Fetched};

/// What to join.
#[derive(Debug, Clone, Default)]
pub struct JoinOptions {
    /// Manifests and indexes, in the order they shall have.
    pub sources: Vec<Part>,
    /// Only what is for one of these; none: all.
    pub platforms: Vec<Platform>,
    /// `--annotation`s, as [`Annotations`] takes them; for the index and for where it names something.
    pub annotations: Vec<(String, String)>,
    /// A source that is one manifest and alone is put into an index, too, instead of being taken as it is.
    pub prefer_index: bool,
}

/// One entry of an index that is to be.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where it is.
    pub reference: Reference,
    /// What it runs on, if that is to be said instead of what its config says.
    pub platform: Option<Platform>,
    /// What is said of it where it is named: name and value.
    pub annotations: Vec<(String, String)>,
}

impl Part {
    /// One of which nothing more is said.
    #[must_use]
    pub fn new(reference: Reference) -> Self {
        Self {
            reference,
            platform: None,
            annotations: Vec::new(),
        }
    }
}

/// A document, and what it names.
#[derive(Debug, Clone)]
pub struct Joined {
    /// An index made here, or the only source as it is.
    pub document: Fetched,
    /// Where what it names is, by digest.
    parts: Vec<Reference>,
}

/// An entry, and where it is.
struct Entry {
    descriptor: Descriptor,
    place: Reference,
}

/// Makes an index of the sources; indexes among them give what they name. The same sources give the same bytes.
///
/// # Errors
/// [`ManifestError`].
pub fn join(context: &Context, options: &JoinOptions) -> Result<Joined, ManifestError> {
    for (name, _) in &options.annotations {
        // They are named, not written.
        if annotation::is_for_manifests(name)? {
            return Err(ManifestError::AnnotatedManifest { name: name.clone() });
        }
    }
    let found = options
        .sources
        .iter()
        .map(|part| Ok((part, find(context, &part.reference)?)))
        .collect::<Result<Vec<_>, ManifestError>>()?;
    if let [(part, only)] = found.as_slice()
        && is_taken_as_it_is(options, part, only)
    {
        return Ok(Joined {
            document: only.fetched.clone(),
            parts: vec![only.by_digest()],
        });
    }
    let mut entries: Vec<Entry> = Vec::new();
    for (part, found) in &found {
        for entry in entries_of(context, part, found)? {
            add(&mut entries, entry);
        }
    }
    keep_wanted(&mut entries, &options.platforms)?;
    let document = index(&mut entries, options)?;
    Ok(Joined {
        document,
        parts: entries.into_iter().map(|entry| entry.place).collect(),
    })
}

fn is_taken_as_it_is(options: &JoinOptions, part: &Part, only: &Found) -> bool {
    let is_index = matches!(only.document, Document::Index(_));
    (is_index || !options.prefer_index)
        && options.platforms.is_empty()
        && options.annotations.is_empty()
        && part.platform.is_none()
        && part.annotations.is_empty()
}

/// What an index says of a source: an entry, or all of its own.
fn entries_of(context: &Context, part: &Part, found: &Found) -> Result<Vec<Entry>, ManifestError> {
    let repository = found.reference.repository();
    if let Document::Index(index) = &found.document {
        let entries = index.manifests.iter().map(|descriptor| Entry {
            descriptor: descriptor.clone(),
            place: repository.at(descriptor.digest.clone()),
        });
        return Ok(entries.collect());
    }
    let platform = match &part.platform {
        Some(platform) => Some(platform.clone()),
        None => config(context, found)?.map(|config| config.platform().normalize()),
    };
    let descriptor = Descriptor {
        platform,
        annotations: part.annotations.iter().cloned().collect(),
        ..found.descriptor()
    };
    Ok(vec![Entry {
        place: found.by_digest(),
        descriptor,
    }])
}

/// Adds an entry, or what is new of it to the one of the same digest.
fn add(entries: &mut Vec<Entry>, new: Entry) {
    let known = |entry: &&mut Entry| entry.descriptor.digest == new.descriptor.digest;
    let Some(old) = entries.iter_mut().find(known) else {
        entries.push(new);
        return;
    };
    if new.descriptor.platform.is_some() {
        old.descriptor.platform = new.descriptor.platform;
    }
    old.descriptor
        .annotations
        .extend(new.descriptor.annotations);
    old.place = new.place;
}

/// Leaves only entries for `wanted`, and what is said about those.
fn keep_wanted(entries: &mut Vec<Entry>, wanted: &[Platform]) -> Result<(), ManifestError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let fits = |entry: &Entry| {
        let platform = entry.descriptor.platform.as_ref();
        platform.is_some_and(|own| wanted.iter().any(|wanted| wanted.is_same(own)))
    };
    let kept: BTreeSet<Digest> = entries
        .iter()
        .filter(|entry| fits(entry))
        .map(|entry| entry.descriptor.digest.clone())
        .collect();
    if kept.is_empty() {
        return Err(ManifestError::NoneWanted {
            wanted: wanted.to_vec(),
        });
    }
    entries.retain(|entry| {
        let about = entry.descriptor.annotations.get(SUBJECT);
        kept.contains(&entry.descriptor.digest)
            || about.is_some_and(|about| kept.iter().any(|digest| digest.as_str() == about))
    });
    Ok(())
}

/// By this BuildKit's attestations say which image of the index they are about.
const SUBJECT: &str = "vnd.docker.reference.digest";

/// The index of the entries, which get their annotations.
fn index(entries: &mut [Entry], options: &JoinOptions) -> Result<Fetched, ManifestError> {
    for entry in &mut *entries {
        if let Some(platform) = &entry.descriptor.platform {
            let said = Annotations::of(&options.annotations, platform)?;
            entry.descriptor.annotations.extend(said.descriptor);
        }
    }
    let descriptors = entries.iter().map(|entry| entry.descriptor.clone());
    let index = Index {
        annotations: Annotations::of_index(&options.annotations)?,
        ..index_of(descriptors.collect())
    };
    let bytes = serde_json::to_vec_pretty(&index).map_err(ManifestError::Write)?;
    Ok(Fetched {
        digest: Digest::of(&bytes),
        bytes,
        media_type: None,
    })
}

/// An index of these: Docker's list if all are Docker's.
pub(super) fn index_of(manifests: Vec<Descriptor>) -> Index {
    let is_docker = |entry: &Descriptor| entry.media_type.starts_with("application/vnd.docker.");
    let is_list = manifests.iter().all(is_docker);
    let mut index = Index::new(manifests);
    if is_list {
        index.media_type = Some(media_type::DOCKER_MANIFEST_LIST.to_owned());
    }
    index
}

/// Gives the document each of the tags, after all that it names is in their repositories. What the registry has
/// in another repository is mounted from there.
///
/// # Errors
/// [`ManifestError`].
pub fn publish(
    context: &Context,
    joined: &Joined,
    tags: &[Reference],
    progress: &dyn Progress,
) -> Result<(), ManifestError> {
    let mut filled = BTreeSet::new();
    for tag in tags {
        let repository = tag.repository();
        if filled.insert(repository) {
            let elsewhere = joined.parts.iter();
            for part in elsewhere.filter(|part| part.repository() != repository) {
                let Some(digest) = part.digest() else {
                    continue;
                };
                let options = CopyOptions {
                    source: Place::Registry(part.clone()),
                    destination: Place::Registry(repository.at(digest.clone())),
                    all: true,
                    platform: None,
                };
                copy::copy(context, &options, progress)?;
            }
        }
        RegistryImage::new(context.client(), tag)
            .put_document(&joined.document, true)
            .map_err(failed(tag))?;
    }
    Ok(())
}
