//! `export` of a container: all it sees but for its mounts, as one tar.

use super::changes::ContainerTree;
use crate::context::Context;
use crate::export::{self, ExportRootError};
use crate::save::Output;
use crate::snapshot::SnapshotError;

/// Writes the merged tree of a container as a tar; `name` is what errors call it.
///
/// # Errors
/// [`ExportRootError`]; then there is no file.
pub fn export(
    context: &Context,
    name: &str,
    tree: &ContainerTree,
    output: Output<'_>,
) -> Result<(), ExportRootError> {
    let tree = tree.open(context.store().map_err(SnapshotError::from)?)?;
    export::export_stack(&tree.merged, &tree.image.tars, name, output)
}
