//! `images`: what is in the store.

use std::collections::BTreeSet;

use shiplap_model::filter::Filters;
use shiplap_model::{Digest, ImageId};
use shiplap_store::ImageLine;

use crate::context::Context;
use crate::select::{SelectError, Selection};

/// Which images, in which order.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Images that only other images are made from, too, and those of an index beside the one that its tag
    /// means here.
    pub all: bool,
    /// A name, or a pattern of names as for the filter `reference`.
    pub name: Option<String>,
    /// `reference`, `before`, `since`, `label`, `dangling`, `until`.
    pub filters: Filters,
    /// The order.
    pub sort: ListOrder,
    /// One row per digest of a repository.
    pub digests: bool,
}

/// Orders of a list of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListOrder {
    /// The newest first.
    #[default]
    Created,
    /// The largest first.
    Size,
    /// By name.
    Name,
}

/// One line of the list: an image under one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// The image's ID.
    pub id: ImageId,
    /// Repository as Docker shows it, as `python`.
    pub repository: Option<String>,
    /// Tag.
    pub tag: Option<String>,
    /// Digest by which the repository knows it.
    pub digest: Option<Digest>,
    /// When the config says it was made, in seconds since 1970.
    pub created_secs: Option<i64>,
    /// Sizes of its files, in bytes.
    pub content_bytes: u64,
    /// How many containers use it.
    pub containers: u64,
}

/// Lists.
///
/// # Errors
/// [`SelectError`].
pub fn list(context: &Context, options: &ListOptions) -> Result<Vec<ListedImage>, SelectError> {
    let store = context.store()?;
    let mut filters = options.filters.clone();
    if let Some(name) = &options.name {
        filters.add("reference", name.as_str());
    }
    let known = ["reference", "before", "since", "label", "dangling", "until"];
    let selection = Selection::new(store, &filters, &known)?;
    let mut images = store.image_lines(selection.wants_labels())?;
    if !options.all {
        hide_intermediate(&mut images);
        images.retain(|image| !image.is_part || !image.tags.is_empty());
    }
    images.retain_mut(|image| selection.takes(image));
    if options.sort == ListOrder::Size {
        images.sort_by_key(|image| std::cmp::Reverse(image.content_bytes));
    }
    let mut rows = Vec::with_capacity(images.len());
    for image in images {
        add_rows(&mut rows, image, options.digests);
    }
    if options.sort == ListOrder::Name {
        rows.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
    }
    Ok(rows)
}

/// Nameless images that others are made from are no news to the user.
fn hide_intermediate(images: &mut Vec<ImageLine>) {
    let parents: BTreeSet<_> = images
        .iter()
        .filter_map(|image| image.parent.clone())
        .collect();
    images.retain(|image| {
        !image.tags.is_empty() || !image.repo_digests.is_empty() || !parents.contains(&image.id)
    });
}

/// Docker's lines for one image: one per tag (and digest, if digests are shown), one per
/// repository that knows it by digest only, one without a name if there is no name.
fn add_rows(rows: &mut Vec<ListedImage>, image: ImageLine, digests: bool) {
    let created_secs = image.created.map(jiff::Timestamp::as_second);
    let row =
        |id: ImageId, repository: Option<String>, tag: Option<String>, digest: Option<Digest>| {
            ListedImage {
                id,
                repository,
                tag,
                digest,
                created_secs,
                content_bytes: image.content_bytes,
                containers: image.containers,
            }
        };
    // What nearly all are.
    if let ([tag], []) = (&image.tags[..], &image.repo_digests[..]) {
        let repository = Some(tag.repository().familiar());
        let tag = tag.tag().map(str::to_owned);
        rows.push(row(image.id, repository, tag, None));
        return;
    }
    let before = rows.len();
    let id = || image.id.clone();
    for tag in &image.tags {
        let repository = Some(tag.repository().familiar());
        let name = tag.tag().map(str::to_owned);
        let of_repository =
            |known: &&shiplap_store::RepoDigest| known.repository == *tag.repository();
        let known: Vec<_> = image.repo_digests.iter().filter(of_repository).collect();
        if digests && !known.is_empty() {
            rows.extend(known.iter().map(|known| {
                let digest = Some(known.digest.clone());
                row(id(), repository.clone(), name.clone(), digest)
            }));
        } else {
            rows.push(row(id(), repository, name, None));
        }
    }
    let mut shown = BTreeSet::new();
    for known in &image.repo_digests {
        let is_tagged = image
            .tags
            .iter()
            .any(|tag| *tag.repository() == known.repository);
        if !is_tagged && (digests || shown.insert(&known.repository)) {
            let repository = Some(known.repository.familiar());
            rows.push(row(id(), repository, None, Some(known.digest.clone())));
        }
    }
    if rows.len() == before {
        rows.push(row(id(), None, None, None));
    }
}
