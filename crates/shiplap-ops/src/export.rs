//! `export`: the root file system of an image, or of a container, as one tar.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use shiplap_layer::export::{self, ExportError};
use shiplap_layer::stack::Stack;
use shiplap_layer::tar::Writer;

use crate::container::changes::TreeError;
use crate::context::Context;
use crate::save::Output;
use crate::snapshot::{self, SnapshotError};
use crate::transport::TransportError;
use crate::transport::layout::NewFile;

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportRootError {
    /// The image can't be opened.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The container's files can't be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The tar can't be made.
    #[error("export {name}: {source}")]
    Export {
        /// The image or container.
        name: String,
        /// Why.
        source: ExportError,
    },
    /// The file can't be written.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Writes the merged tree of the image that `name` means as a tar.
///
/// # Errors
/// [`ExportRootError`]; then there is no file.
pub fn export(context: &Context, name: &str, output: Output<'_>) -> Result<(), ExportRootError> {
    let image = snapshot::open(context, name)?;
    export_stack(&image.stack, &image.tars, name, output)
}

/// Writes the tree of `stack`, whose layers have the tars `tars`, as a tar.
pub(crate) fn export_stack(
    stack: &Stack,
    tars: &[File],
    name: &str,
    output: Output<'_>,
) -> Result<(), ExportRootError> {
    let tars: Vec<_> = tars.iter().collect();
    match output {
        Output::Stream(stream) => write(stack, &tars, name, Path::new("-"), stream).map(drop),
        Output::File(path) => {
            let file = NewFile::create(&path)?;
            let file = write(stack, &tars, name, &path, file)?;
            Ok(file.finish()?)
        }
    }
}

fn write<W: Write>(
    stack: &Stack,
    tars: &[&File],
    name: &str,
    path: &Path,
    out: W,
) -> Result<W, ExportRootError> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let failed = |source| ExportRootError::Export {
        name: name.to_owned(),
        source,
    };
    let mut writer = Writer::new(&mut out);
    export::export(stack, tars, &mut writer).map_err(failed)?;
    writer.finish().map_err(|error| failed(error.into()))?;
    let into_inner = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error);
    Ok(into_inner.map_err(TransportError::io("write", path))?)
}
