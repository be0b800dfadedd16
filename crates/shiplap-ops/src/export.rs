//! `export`: the root file system of an image, or of a container, as one tar.

use std::collections::HashMap;
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

/// Writes the merged trees of several images as one tar, each in a directory of its own, or, where that is
/// not named, beside the others.
///
/// # Errors
/// [`ExportRootError`]; then there is no file.
pub fn export_several(
    context: &Context,
    images: &[(Option<String>, String)],
    output: Output<'_>,
) -> Result<(), ExportRootError> {
    to_output(output, |writer| {
        for (directory, name) in images {
            let image = snapshot::open(context, name)?;
            let tars: Vec<_> = image.tars.iter().collect();
            let top = directory.as_deref().unwrap_or_default().as_bytes();
            let written = export::export_under(&image.stack, &tars, top, writer);
            written.map_err(failed(name))?;
        }
        Ok(())
    })
}

/// What several images have at one path, but for directories: the path, and the places of the first two
/// images that have it.
///
/// # Errors
/// [`ExportRootError`].
pub fn collision(
    context: &Context,
    images: &[String],
) -> Result<Option<(Vec<u8>, usize, usize)>, ExportRootError> {
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    for (number, name) in images.iter().enumerate() {
        let stack = snapshot::open(context, name)?.stack;
        let root = stack.root().map_err(|error| failed(name)(error.into()))?;
        for found in stack.walk(root) {
            let found = found.map_err(|error| failed(name)(error.into()))?;
            if found.is_directory() {
                continue;
            }
            match seen.get(&found.path) {
                Some(first) => return Ok(Some((found.path, *first, number))),
                None => {
                    seen.insert(found.path, number);
                }
            }
        }
    }
    Ok(None)
}

fn failed(name: &str) -> impl Fn(ExportError) -> ExportRootError + use<> {
    let name = name.to_owned();
    move |source| ExportRootError::Export {
        name: name.clone(),
        source,
    }
}

/// Writes the tree of `stack`, whose layers have the tars `tars`, as a tar.
pub(crate) fn export_stack(
    stack: &Stack,
    tars: &[File],
    name: &str,
    output: Output<'_>,
) -> Result<(), ExportRootError> {
    let tars: Vec<_> = tars.iter().collect();
    to_output(output, |writer| {
        export::export(stack, &tars, writer).map_err(failed(name))
    })
}

/// Lets `fill` write a tar to where it goes.
fn to_output(
    output: Output<'_>,
    fill: impl FnOnce(&mut Writer<&mut dyn Write>) -> Result<(), ExportRootError>,
) -> Result<(), ExportRootError> {
    match output {
        Output::Stream(stream) => write(Path::new("-"), stream, fill),
        Output::File(path) => {
            let mut file = NewFile::create(&path)?;
            write(&path, &mut file, fill)?;
            Ok(file.finish()?)
        }
    }
}

fn write(
    path: &Path,
    out: &mut dyn Write,
    fill: impl FnOnce(&mut Writer<&mut dyn Write>) -> Result<(), ExportRootError>,
) -> Result<(), ExportRootError> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let mut writer = Writer::new(&mut out as &mut dyn Write);
    fill(&mut writer)?;
    let finished = writer.finish().map(drop);
    let failed = failed(&path.display().to_string());
    finished.map_err(|error| failed(error.into()))?;
    let flushed = out.flush();
    flushed.map_err(|error| TransportError::io("write", path)(error).into())
}
