//! The image that another stands on, and smaller forms of it that its repository offers: `python:3.11-slim`
//! for `python:3.11`. Sizes are the registry's, compressed, for this machine's platform.
//!
//! It only asks; it never pulls.

use serde::Serialize;
use shiplap_model::{DiffId, ImageConfig, ImageId, Reference};
use shiplap_store::{Image, ResolveError, Store, StoreError};

use crate::context::Context;
use crate::tags::{self, TagsError};

/// A base and what could stand in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The base.
    pub base: Reference,
    /// Its size in the registry, in bytes.
    pub size_bytes: Option<u64>,
    /// Smaller forms of it, the smallest first.
    pub smaller: Vec<Smaller>,
}

/// A smaller form of a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Smaller {
    /// It.
    pub reference: Reference,
    /// Its size in the registry, in bytes.
    pub size_bytes: Option<u64>,
}

/// Words in tags that say that an image is a smaller form.
const FORMS: [&str; 2] = ["slim", "alpine"];

/// Where an image says what it stands on (OCI image specification, "Annotations").
const LABEL: &str = "org.opencontainers.image.base.name";

/// Why no base can be told.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No such image.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The registry's failure.
    #[error(transparent)]
    Tags(#[from] TagsError),
}

/// Looks for smaller forms of the image's base; `None` if it has none that is known, or there is nothing
/// smaller.
///
/// # Errors
/// [`BaseError`].
pub fn suggest(context: &Context, image: &ImageId) -> Result<Option<Suggestion>, BaseError> {
    let Some(base) = find(context.store()?, image)? else {
        return Ok(None);
    };
    let Some(tag) = base.tag() else {
        return Ok(None);
    };
    let repository = base.repository();
    let names = tags::names(context, repository)?;
    let wanted: Vec<String> = smaller_tags(tag, &names);
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut asked = wanted.clone();
    asked.push(tag.to_owned());
    let sizes = tags::sizes(context, repository, &asked)?;
    let size_of = |tag: &str| {
        let found = sizes.iter().find(|(name, _)| name == tag);
        found.and_then(|(_, size)| *size)
    };
    let size_bytes = size_of(tag);
    let mut smaller: Vec<Smaller> = wanted
        .iter()
        .filter_map(|tag| {
            Some(Smaller {
                reference: base.with_tag(tag).ok()?,
                size_bytes: size_of(tag),
            })
        })
        .filter(|form| match (form.size_bytes, size_bytes) {
            (Some(form), Some(base)) => form < base,
            _ => true,
        })
        .collect();
    smaller.sort_by_key(|form| form.size_bytes.unwrap_or(u64::MAX));
    Ok((!smaller.is_empty()).then_some(Suggestion {
        base,
        size_bytes,
        smaller,
    }))
}

/// The base of an image: what its label says; else the image here whose layers are the first of its own, and
/// the most of them; else, if it came from a repository, the image itself.
fn find(store: &Store, image: &ImageId) -> Result<Option<Reference>, BaseError> {
    let config = store.read_blob(image.digest())?;
    let label = ImageConfig::parse(&config)
        .ok()
        .and_then(|config| config.config.labels.get(LABEL).cloned());
    if let Some(base) = label.and_then(|name| Reference::parse(&name).ok()) {
        return Ok(Some(base.or_latest()));
    }
    let layers = store.image_layers(image)?;
    let layers: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
    // What was only built or tagged here has no repository to ask.
    let below = lowest(store, &layers, |other| {
        other.tags.iter().find(|tag| {
            let is_from = |known: &shiplap_store::RepoDigest| known.repository == *tag.repository();
            tag.tag().is_some() && other.repo_digests.iter().any(is_from)
        })
    })?;
    Ok(below.map(|(reference, _)| reference))
}

/// Of the images here that `name` has a name for, the one whose layers are the lowest of `layers`, and the
/// most of them: its name, and how many they are.
pub(crate) fn lowest(
    store: &Store,
    layers: &[&DiffId],
    name: impl Fn(&Image) -> Option<&Reference>,
) -> Result<Option<(Reference, usize)>, StoreError> {
    let mut found: Option<(Reference, usize)> = None;
    for image in store.images()? {
        let Some(name) = name(&image) else {
            continue;
        };
        let below = store.image_layers(&image.id)?;
        let is_below = (1..=layers.len()).contains(&below.len())
            && below
                .iter()
                .zip(layers)
                .all(|(one, other)| one.diff_id == **other);
        if is_below && found.as_ref().is_none_or(|(_, most)| *most < below.len()) {
            found = Some((name.clone(), below.len()));
        }
    }
    Ok(found)
}

/// The tags among `names` that are smaller forms of `tag`: `3.11-bookworm` has `3.11-slim-bookworm`.
fn smaller_tags(tag: &str, names: &[String]) -> Vec<String> {
    if FORMS
        .iter()
        .any(|form| tag.split('-').any(|part| part.starts_with(form)))
    {
        return Vec::new();
    }
    let mut wanted: Vec<String> = Vec::new();
    for form in FORMS {
        let candidates = match (tag, tag.split_once('-')) {
            ("latest", _) => vec![form.to_owned()],
            (_, Some((version, rest))) => {
                vec![
                    format!("{version}-{form}-{rest}"),
                    format!("{version}-{form}"),
                ]
            }
            (_, None) => vec![format!("{tag}-{form}")],
        };
        let known = candidates.into_iter().find(|tag| names.contains(tag));
        wanted.extend(known);
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::smaller_tags;

    #[test]
    fn tags_of_smaller_forms() {
        let check = |tag: &str, names: &[&str], expected: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(smaller_tags(tag, &names), expected, "{tag}");
        };
        let python = [
            "3.11",
            "3.11-slim",
            "3.11-alpine",
            "3.11-slim-bookworm",
            "3.12-slim",
        ];
        check("3.11", &python, &["3.11-slim", "3.11-alpine"]);
        check(
            "3.11-bookworm",
            &python,
            &["3.11-slim-bookworm", "3.11-alpine"],
        );
        check("3.11-slim", &python, &[]);
        check("3.11-alpine3.20", &python, &[]);
        check("3.10", &python, &[]);
        check("latest", &["slim", "latest"], &["slim"]);
        check("latest", &[], &[]);
    }
}
