//! The image that another stands on, and smaller forms of it: `python:3.11-slim` for `python:3.11`. Those that are here
//! have the sizes of their files; those that the repository offers have the registry's sizes, compressed, for
//! this machine's platform.
//!
//! It only asks; it never pulls.

use serde::Serialize;
use shiplap_model::{DiffId, ImageConfig, ImageId, Reference};
use shiplap_store::{Image, LayerRecord, ResolveError, Store, StoreError};

use crate::context::Context;
use crate::tags::{self, TagsError};

/// A base and what could stand in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The base.
    pub base: Reference,
    /// Its size in the registry, in bytes.
    pub size_bytes: Option<u64>,
    /// Sizes of its files in bytes, if it is here.
    pub here_bytes: Option<u64>,
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
    /// Sizes of its files in bytes, if it is here.
    pub here_bytes: Option<u64>,
}

impl Smaller {
    /// Whether its C library is another one than the base's.
    #[must_use]
    pub fn is_musl(&self) -> bool {
        self.reference
            .tag()
            .is_some_and(|tag| tag.contains("alpine"))
    }
}

impl Suggestion {
    /// Bytes by which a form is smaller than the base: of their files if both are here, else of what the registry
    /// has of both, compressed.
    #[must_use]
    pub fn saving(&self, form: &Smaller) -> Option<Saving> {
        let less = |base: Option<u64>, form: Option<u64>| base?.checked_sub(form?);
        let of_files = less(self.here_bytes, form.here_bytes).map(Saving::Files);
        of_files.or_else(|| less(self.size_bytes, form.size_bytes).map(Saving::Compressed))
    }
}

/// A size that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saving {
    /// Of files, in bytes.
    Files(u64),
    /// Of compressed layers, in bytes; their files are larger.
    Compressed(u64),
}

/// Who is asked for smaller forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The store only.
    Store,
    /// The registry, too.
    Registry,
}

/// What a base is looked for of.
pub(crate) struct Standing<'a> {
    pub(crate) config: &'a ImageConfig,
    /// The image's layers, base first.
    pub(crate) layers: &'a [&'a DiffId],
    /// What it is called in a registry, if it comes from there.
    pub(crate) name: Option<&'a Reference>,
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

/// Looks here and in the registry for smaller forms of the base of an image of the store; `None` if it has none
/// that is known, or there is nothing smaller.
///
/// # Errors
/// [`BaseError`].
pub fn suggest(context: &Context, image: &ImageId) -> Result<Option<Suggestion>, BaseError> {
    let store = context.store()?;
    let config = store.read_blob(image.digest())?;
    let config = ImageConfig::parse(&config).unwrap_or_default();
    let layers = store.image_layers(image)?;
    let layers: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
    let standing = Standing {
        config: &config,
        layers: &layers,
        name: None,
    };
    smaller(context, &standing, Ask::Registry)
}

/// The same of any image.
///
/// # Errors
/// [`BaseError`]; with [`Ask::Store`] only of the store.
pub(crate) fn smaller(
    context: &Context,
    image: &Standing<'_>,
    ask: Ask,
) -> Result<Option<Suggestion>, BaseError> {
    let store = context.store()?;
    let images = store.images()?;
    let Some(base) = find(store, &images, image)? else {
        return Ok(None);
    };
    let Some(tag) = base.tag() else {
        return Ok(None);
    };
    let repository = base.repository();
    let here = Here::of(&images, &base);
    let client = (ask == Ask::Registry).then(|| context.hasty_client());
    let mut names: Vec<String> = here.tags.iter().map(|(tag, _)| tag.clone()).collect();
    if let Some(client) = &client {
        names.extend(tags::names(client, repository)?);
    }
    let wanted: Vec<String> = smaller_tags(tag, &names);
    if wanted.is_empty() {
        return Ok(None);
    }
    let sizes = match &client {
        Some(client) => {
            let mut asked = wanted.clone();
            asked.push(tag.to_owned());
            tags::sizes(context, client, repository, &asked)?
        }
        None => Vec::new(),
    };
    let size_of = |tag: &str| {
        let found = sizes.iter().find(|(name, _)| name == tag);
        found.and_then(|(_, size)| *size)
    };
    let mut suggestion = Suggestion {
        size_bytes: size_of(tag),
        here_bytes: here.bytes(store, tag)?,
        smaller: Vec::new(),
        base: base.clone(),
    };
    for tag in &wanted {
        let Ok(reference) = base.with_tag(tag) else {
            continue;
        };
        let form = Smaller {
            reference,
            size_bytes: size_of(tag),
            here_bytes: here.bytes(store, tag)?,
        };
        let is_larger = |base: Option<u64>, form: Option<u64>| {
            base.zip(form).is_some_and(|(base, form)| form >= base)
        };
        if !is_larger(suggestion.size_bytes, form.size_bytes)
            && !is_larger(suggestion.here_bytes, form.here_bytes)
        {
            suggestion.smaller.push(form);
        }
    }
    suggestion
        .smaller
        .sort_by_key(|form| form.size_bytes.or(form.here_bytes).unwrap_or(u64::MAX));
    Ok((!suggestion.smaller.is_empty()).then_some(suggestion))
}

/// The images here of a base's repository.
struct Here {
    tags: Vec<(String, ImageId)>,
}

impl Here {
    fn of(images: &[Image], base: &Reference) -> Self {
        let mut tags = Vec::new();
        for image in images {
            let of_it = (image.tags.iter()).filter(|tag| tag.repository() == base.repository());
            let named = of_it.filter_map(|tag| Some((tag.tag()?.to_owned(), image.id.clone())));
            tags.extend(named);
        }
        Self { tags }
    }

    /// Sizes of the files of what is here under that tag, in bytes.
    fn bytes(&self, store: &Store, tag: &str) -> Result<Option<u64>, StoreError> {
        let Some((_, id)) = self.tags.iter().find(|(name, _)| name == tag) else {
            return Ok(None);
        };
        let layers = store.image_layers(id)?;
        Ok(Some(layers.iter().map(|layer| layer.content_bytes).sum()))
    }
}

/// The base of an image: what its label says; else the image here whose layers are the first of its own, and
/// the most of them; else, if it came from a repository, the image itself.
fn find(
    store: &Store,
    images: &[Image],
    image: &Standing<'_>,
) -> Result<Option<Reference>, BaseError> {
    let label = image.config.config.labels.get(LABEL);
    if let Some(base) = label.and_then(|name| Reference::parse(name).ok()) {
        return Ok(Some(base.or_latest()));
    }
    // What was only built or tagged here has no repository to ask.
    let below = lowest(store, images, image.layers, |other| {
        other.tags.iter().find(|tag| {
            let is_from = |known: &shiplap_store::RepoDigest| known.repository == *tag.repository();
            tag.tag().is_some() && other.repo_digests.iter().any(is_from)
        })
    })?;
    Ok(below
        .map(|(reference, _)| reference)
        .or_else(|| image.name.cloned()))
}

/// Of `images`, which are here, that `name` has a name for, the one whose layers are the lowest of `layers`, and the
/// most of them: its name, and how many they are.
pub(crate) fn lowest(
    store: &Store,
    images: &[Image],
    layers: &[&DiffId],
    name: impl Fn(&Image) -> Option<&Reference>,
) -> Result<Option<(Reference, usize)>, StoreError> {
    let mut found: Option<(Reference, usize)> = None;
    let Some(lowest) = layers.first() else {
        return Ok(None);
    };
    let upon = store.images_upon(lowest)?;
    for image in images.iter().filter(|image| upon.contains(&image.id)) {
        let Some(name) = name(image) else {
            continue;
        };
        let below = store.image_layers(&image.id)?;
        let is_below = are_lowest(&below, layers.iter().copied());
        if is_below && found.as_ref().is_none_or(|(_, most)| *most < below.len()) {
            found = Some((name.clone(), below.len()));
        }
    }
    Ok(found)
}

/// Whether the layers of one image are the lowest of another's.
pub(crate) fn are_lowest<'a>(
    below: &[LayerRecord],
    layers: impl ExactSizeIterator<Item = &'a DiffId>,
) -> bool {
    below.len() <= layers.len() && { below.iter().zip(layers) }
        .all(|(below, layer)| below.diff_id == *layer)
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
    use shiplap_model::Reference;

    use super::{Saving, Smaller, Suggestion, smaller_tags};

    #[test]
    fn savings_are_of_one_kind_of_size() {
        let check =
            |base: (Option<u64>, Option<u64>), form: (Option<u64>, Option<u64>), expected| {
                let reference = |name| Reference::parse(name).unwrap();
                let smaller = Smaller {
                    reference: reference("base:1-slim"),
                    here_bytes: form.0,
                    size_bytes: form.1,
                };
                let suggestion = Suggestion {
                    base: reference("base:1"),
                    here_bytes: base.0,
                    size_bytes: base.1,
                    smaller: Vec::new(),
                };
                assert_eq!(suggestion.saving(&smaller), expected);
            };
        let files = (Some(100), None);
        check(files, (Some(30), None), Some(Saving::Files(70)));
        check(
            (Some(100), Some(50)),
            (Some(30), Some(9)),
            Some(Saving::Files(70)),
        );
        check(
            (Some(100), Some(50)),
            (None, Some(9)),
            Some(Saving::Compressed(41)),
        );
        check(files, (None, Some(9)), None);
        check((Some(100), Some(5)), (None, Some(9)), None);
    }

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
