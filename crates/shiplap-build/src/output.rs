//! What a build gives besides the image in the store: its files, an archive, a pushed image.
//!
//! Whatever is written is written by the verbs on images; nothing here knows a format.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use shiplap_model::{ImageId, Reference};
use shiplap_ops::Context;
use shiplap_ops::copy::{self, CopyError, CopyOptions, Place};
use shiplap_ops::export::{ExportRootError, export};
use shiplap_ops::files::{FilesError, copy_all};
use shiplap_ops::progress::Progress;
use shiplap_ops::push::{PushError, push_as};
use shiplap_ops::save::{self, ArchiveFormat, SaveError, save_as};
use shiplap_ops::tag::{TagError, tag};

use crate::options::Output;

/// Why an output was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// A directory can't be made.
    #[error("make {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The files can't be written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The tar can't be written.
    #[error(transparent)]
    Export(#[from] ExportRootError),
    /// The archive can't be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The layout can't be written.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The image can't get a name.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The image can't be pushed.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// Makes one output of the image `id`, which `names` are for (`--tag`).
///
/// # Errors
/// [`OutputError`]; then there is no file, but a directory may be half filled.
pub fn deliver(
    context: &Context,
    id: &ImageId,
    names: &[Reference],
    output: &Output,
    stdout: &mut (dyn Write + Send),
    progress: &dyn Progress,
) -> Result<(), OutputError> {
    let name = id.to_string();
    match output {
        Output::CacheOnly => Ok(()),
        Output::Image { names: own, push } => {
            for reference in own {
                tag(context, &name, reference)?;
            }
            if *push {
                let all = if own.is_empty() { names } else { own };
                push_names(context, id, all, progress)?;
            }
            Ok(())
        }
        Output::Local(directory) => {
            fs::create_dir_all(directory).map_err(|source| OutputError::Directory {
                path: directory.clone(),
                source,
            })?;
            Ok(copy_all(context, &name, directory)?)
        }
        Output::Tar(file) => Ok(export(context, &name, place(file.as_deref(), stdout))?),
        Output::Docker(file) => {
            let place = place(file.as_deref(), stdout);
            Ok(save_as(context, id, names, ArchiveFormat::Docker, place)?)
        }
        Output::Oci {
            destination: Some(directory),
            is_archive: false,
        } => {
            let tag = names.first().and_then(Reference::tag);
            layout(context, id, directory, tag, progress)
        }
        Output::Oci { destination, .. } => {
            let place = place(destination.as_deref(), stdout);
            Ok(save_as(context, id, names, ArchiveFormat::Oci, place)?)
        }
    }
}

/// Pushes the image under all its names.
///
/// # Errors
/// [`PushError`].
pub fn push_names(
    context: &Context,
    id: &ImageId,
    names: &[Reference],
    progress: &dyn Progress,
) -> Result<(), PushError> {
    for reference in names {
        push_as(context, id, reference, None, progress)?;
    }
    Ok(())
}

fn place<'a>(file: Option<&Path>, stdout: &'a mut (dyn Write + Send)) -> save::Output<'a> {
    match file {
        Some(path) => save::Output::File(path.to_owned()),
        None => save::Output::Stream(stdout),
    }
}

/// An OCI layout as a directory: made as an archive in it, and copied digest for digest.
pub(crate) fn layout(
    context: &Context,
    id: &ImageId,
    directory: &Path,
    name: Option<&str>,
    progress: &dyn Progress,
) -> Result<(), OutputError> {
    let failed = |source| OutputError::Directory {
        path: directory.to_owned(),
        source,
    };
    fs::create_dir_all(directory).map_err(failed)?;
    let scratch = tempfile::Builder::new()
        .prefix(".shiplap-")
        .tempdir_in(directory)
        .map_err(failed)?;
    let archive = scratch.path().join("image.tar");
    let file = save::Output::File(archive.clone());
    save_as(context, id, &[], ArchiveFormat::Oci, file)?;
    let options = CopyOptions {
        source: Place::OciArchive(archive, None),
        destination: Place::OciDirectory(directory.to_owned(), name.map(str::to_owned)),
        all: true,
        platform: None,
    };
    copy::copy(context, &options, progress)?;
    Ok(())
}
