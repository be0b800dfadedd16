//! `rmi`: names and images taken away.

use std::collections::BTreeSet;

use shiplap_model::{ImageId, Platform};
use shiplap_store::{RemoveError, RemoveOptions, ResolveError, Resolved, ResolvedBy, StoreError};

use crate::context::Context;

pub use shiplap_store::Removal;

/// What to remove.
#[derive(Debug, Clone, Default)]
pub struct RmiOptions {
    /// Names and IDs.
    pub images: Vec<String>,
    /// Only the images for these platforms; all without one.
    pub platforms: Vec<Platform>,
    /// Take all names of an image named by ID, and images of containers that don't run.
    pub force: bool,
}

/// What was removed, and what was not.
#[derive(Debug, Default)]
pub struct RmiReport {
    /// In Docker's order.
    pub removed: Vec<Removal>,
    /// Bytes freed on disk.
    pub freed_bytes: u64,
    /// Large files are only set aside, so that the user need not wait: [`sweep`] unlinks them,
    /// and so does whatever writes to the store next.
    pub leaves_trash: bool,
    /// One per image that stays.
    pub failures: Vec<RmiError>,
}

/// Up to this size files are unlinked before the verb ends: that takes some milliseconds.
const UNLINKED_AT_ONCE_BYTES: u64 = 64 << 20;

/// Unlinks what removals and dead processes left.
///
/// # Errors
/// [`StoreError`].
pub fn sweep(context: &Context) -> Result<(), StoreError> {
    context.store()?.lease().map(drop)
}

/// Why an image was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RmiError {
    /// No such image.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It is used, or has several names.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes each of the images; a failure with one does not keep the others.
///
/// An ID that is named several times, as `rmi $(images -q)` does for an image under several tags,
/// is one request for all of its names.
///
/// # Errors
/// [`StoreError`] if there is no store to speak of.
pub fn remove(context: &Context, options: &RmiOptions) -> Result<RmiReport, StoreError> {
    let store = context.store()?;
    let mut report = RmiReport::default();
    let mut targets: Vec<(Resolved, usize)> = Vec::new();
    let platforms: Vec<_> = match &options.platforms[..] {
        [] => vec![None],
        some => some.iter().map(Some).collect(),
    };
    for name in &options.images {
        for platform in &platforms {
            match store.resolve_for(name, *platform) {
                Ok(resolved) => match targets.iter_mut().find(|(target, _)| *target == resolved) {
                    Some((_, times)) => *times += 1,
                    None => targets.push((resolved, 1)),
                },
                Err(error) => report.failures.push(error.into()),
            }
        }
    }
    let mut gone = BTreeSet::<ImageId>::new();
    for (target, times) in targets {
        if gone.contains(&target.id) {
            continue;
        }
        let by_id = target.by == ResolvedBy::Id;
        let how = RemoveOptions {
            force: options.force,
            all_names: by_id && times > 1,
        };
        match store.remove_image(&target, how) {
            Ok(removed) => {
                let is_gone =
                    |step: &Removal| matches!(step, Removal::Image(id) if *id == target.id);
                if removed.steps.iter().any(is_gone) {
                    gone.insert(target.id);
                }
                report.removed.extend(removed.steps);
                report.freed_bytes += removed.freed_bytes;
                if removed.freed_bytes > UNLINKED_AT_ONCE_BYTES {
                    removed.trash.leave();
                    report.leaves_trash = true;
                }
            }
            Err(error) => report.failures.push(error.into()),
        }
    }
    Ok(report)
}
