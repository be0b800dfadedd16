//! Marks of removal in a layer that could stay byte for byte as it is: they are of no use once the layers
//! below, written anew, no longer have what they remove. Such a layer is written anew, too; marks that never
//! hid anything are no reason to, as builders leave many.

use shiplap_layer::stack::Type;

use super::KeptBecause;
use crate::analyze::paths::{End, PathId, Paths};

/// Whether a layer that is to stay has a mark that hid something and hides nothing any more.
pub(super) fn has_idle(paths: &Paths, number: usize, kept: &[Option<KeptBecause>]) -> bool {
    let stays = |layer: u16| kept.get(usize::from(layer)).is_some_and(Option::is_some);
    let is_idle = |hidden: &[PathId]| {
        let shows = |path: &PathId| is_below(paths, *path, number, &|_| true);
        let still_shows = |path: &PathId| is_below(paths, *path, number, &stays);
        hidden.iter().any(shows) && !hidden.iter().any(still_shows)
    };
    paths
        .layer_entries(number)
        .any(|(_, entry)| match entry.kind {
            Type::Whiteout => is_idle(&[entry.path]),
            Type::Directory { opaque: true, .. } => is_idle(paths.children(entry.path)),
            _ => false,
        })
}

/// Whether the layers below a layer show something at a path that this layer removes. Of a layer that does not
/// stay nothing is left that is removed.
fn is_below(paths: &Paths, path: PathId, number: usize, stays: &dyn Fn(u16) -> bool) -> bool {
    let newest = paths.newest(path);
    let chain = newest
        .into_iter()
        .chain(newest.into_iter().flat_map(|id| paths.older(id)));
    for entry in chain.map(|id| paths.entry(id)) {
        if usize::from(entry.layer) >= number {
            continue;
        }
        let is_hidden = match entry.end {
            End::Deleted { by } => usize::from(by) < number,
            End::Overwritten { .. } | End::Live => false,
        };
        if entry.kind == Type::Whiteout || is_hidden {
            return false;
        }
        if stays(entry.layer) {
            return true;
        }
    }
    false
}
