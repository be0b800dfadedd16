//! The new tree beside the old one: every entry that stays has to be there as it was, and nothing else.

use std::collections::HashSet;

use shiplap_layer::stack::{Found, Stack, Type};

use super::{SlimError, Work};
use crate::analyze::paths::EntryId;

/// The first path at which the new tree is not what the old one without all that goes is. Times of the directories
/// `retimed` are of layers that are gone.
pub(super) fn first_difference(
    work: &Work<'_>,
    new: &Stack,
    retimed: &HashSet<Vec<u8>>,
) -> Result<Option<Vec<u8>>, SlimError> {
    let old = &work.open.stack;
    let stays = |found: &Found| {
        let path = work.paths.find(&found.path);
        path.is_none_or(|path| !work.plan.goes(&work.paths, path))
    };
    let mut wanted = old.walk(old.root()?);
    if work.records.is_empty() {
        return Ok(None);
    }
    let mut made = match new.layers() {
        [] => None,
        _ => Some(new.walk(new.root()?)),
    };
    loop {
        let next = loop {
            match wanted.next().transpose()? {
                Some(found) if stays(&found) => break Some(found),
                Some(_) => {}
                None => break None,
            }
        };
        let beside = match &mut made {
            Some(made) => made.next().transpose()?,
            None => None,
        };
        match (next, beside) {
            (None, None) => return Ok(None),
            // No layer is left, and nothing but the root was to stay.
            (Some(found), None) if made.is_none() && found.path.is_empty() => {}
            (Some(found), Some(beside)) => {
                let is_retimed = retimed.contains(&found.path);
                if !is_same(work, new, &found, &beside, is_retimed)? {
                    return Ok(Some(found.path.min(beside.path)));
                }
            }
            (Some(found), None) | (None, Some(found)) => return Ok(Some(found.path)),
        }
    }
}

fn is_same(
    work: &Work<'_>,
    new: &Stack,
    found: &Found,
    beside: &Found,
    is_retimed: bool,
) -> Result<bool, SlimError> {
    let old = &work.open.stack;
    if found.path != beside.path {
        return Ok(false);
    }
    let (was, is) = (found.facts, beside.facts);
    let same_kind = match (was.kind, is.kind) {
        (Type::Directory { .. }, Type::Directory { .. }) => true,
        (Type::Symlink, Type::Symlink) => old.read_link(found)? == new.read_link(beside)?,
        (was, is) => was == is,
    };
    let owned = (was.mode, was.uid, was.gid) == (is.mode, is.uid, is.gid);
    let times = (was.mtime_secs, was.mtime_nanos) == (is.mtime_secs, is.mtime_nanos);
    let entry: Option<EntryId> = work
        .paths
        .find(&found.path)
        .and_then(|path| work.paths.live(path));
    // One of several links has the time of another.
    let is_linked = entry.is_some_and(|entry| work.plan.is_linked(work.paths.first(entry)));
    Ok(same_kind
        && owned
        && (times || is_linked || is_retimed)
        && old.xattrs(found)? == new.xattrs(beside)?)
}
