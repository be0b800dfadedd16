//! `image prune`: images that nobody needs, removed together.

use std::collections::BTreeMap;

use shiplap_model::filter::Filters;
use shiplap_store::{ImageLine, RemoveError, RemoveOptions, Resolved, StoreError};

use crate::context::Context;
use crate::remove::Removal;
use crate::select::{SelectError, Selection};

/// What goes.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// All images that no container uses, not only those without a tag.
    pub all: bool,
    /// `until`, `label`, `label!`, `dangling`.
    pub filters: Filters,
    /// Say what would go, and remove nothing.
    pub dry_run: bool,
    /// Of each repository, the newest so many tagged images stay.
    pub keep_last: usize,
}

/// What went, or would go.
#[derive(Debug, Clone, Default)]
pub struct PruneReport {
    /// In Docker's order. In a dry run only names and images, no layers.
    pub removed: Vec<Removal>,
    /// Bytes freed on disk, garbage of dead processes among them; in a dry run, those that the
    /// images would free.
    pub freed_bytes: u64,
}

/// Why pruning ended early.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The filters.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// An image can't be removed.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Prunes images, then collects what nothing names.
///
/// # Errors
/// [`PruneError`]; what was removed before is gone.
pub fn prune(context: &Context, options: &PruneOptions) -> Result<PruneReport, PruneError> {
    let store = context.store()?;
    let known = ["until", "label", "label!", "dangling"];
    let selection = Selection::new(store, &options.filters, &known)?;
    let only_dangling = !options.all && options.filters.flag("dangling", true).unwrap_or(true);
    let mut images = store.image_lines(selection.wants_labels())?;
    keep_last(&mut images, options.keep_last);
    images.retain(|image| image.containers == 0 && (!only_dangling || image.is_dangling()));
    // They go with the tag whose parts they are.
    images.retain(|image| !image.is_part || !image.tags.is_empty());
    images.retain_mut(|image| selection.takes(image));
    if options.dry_run {
        let ids: Vec<_> = images.iter().map(|image| image.id.clone()).collect();
        let freed_bytes = store.freed_by(&ids)?;
        return Ok(PruneReport {
            removed: images.into_iter().flat_map(names).collect(),
            freed_bytes,
        });
    }
    let mut report = PruneReport::default();
    for image in images {
        let how = RemoveOptions {
            force: false,
            all_names: true,
        };
        match store.remove_image(&Resolved::by_id(image.id), how) {
            Ok(removed) => {
                report.removed.extend(removed.steps);
                report.freed_bytes += removed.freed_bytes;
            }
            // Somebody was faster, or has begun to use it.
            Err(
                RemoveError::Store(StoreError::ImageMissing { .. }) | RemoveError::InUse { .. },
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    report.freed_bytes += store.collect()?.freed_bytes;
    Ok(report)
}

fn names(image: ImageLine) -> impl Iterator<Item = Removal> {
    let tags = image.tags.into_iter().map(Removal::Untagged);
    let digests = image.repo_digests.into_iter().map(Removal::UntaggedDigest);
    tags.chain(digests).chain([Removal::Image(image.id)])
}

/// Takes the newest `count` tagged images of each repository off the list (`images` is sorted,
/// newest first).
fn keep_last(images: &mut Vec<ImageLine>, count: usize) {
    let mut seen = BTreeMap::<_, usize>::new();
    images.retain(|image| {
        let mut keeps = false;
        let repositories: std::collections::BTreeSet<_> = image
            .tags
            .iter()
            .map(|tag| tag.repository().clone())
            .collect();
        for repository in repositories {
            let number = seen.entry(repository).or_default();
            *number += 1;
            keeps |= *number <= count;
        }
        !keeps
    });
}
