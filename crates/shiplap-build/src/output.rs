//! What a build gives besides the image in the store: its files, an archive, a pushed image.
//!
//! Whatever is written is written by the verbs on images; nothing here knows a format.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use shiplap_model::{Digest, Reference};
use shiplap_ops::Context;
use shiplap_ops::copy::{self, CopyError, CopyOptions, Place};
use shiplap_ops::export::{ExportRootError, collision, export_several};
use shiplap_ops::files::{FilesError, copy_all};
use shiplap_ops::progress::Progress;
use shiplap_ops::push::{PushError, push_as, push_index_as};
use shiplap_ops::save::{self, ArchiveFormat, SaveError, save_as, save_index_as};
use shiplap_store::{ImageError, StoreError};

use crate::build::BuiltImage;
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
    /// Files of several platforms can't lie together.
    #[error(
        "cannot overwrite {path} from {first} with {second} when split option is disabled; leave platform-split=false away"
    )]
    Collision {
        /// What two of them have.
        path: String,
        /// One platform.
        first: String,
        /// The other.
        second: String,
    },
    /// The image can't get a name.
    #[error(transparent)]
    Tag(#[from] ImageError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image can't be pushed.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// What was built.
pub struct Product<'p> {
    /// The image for each platform.
    pub images: &'p [BuiltImage],
    /// The one of them that is meant where one is wanted.
    pub own: &'p BuiltImage,
    /// The index of several.
    pub index: Option<&'p Digest>,
    /// What it is to be called (`--tag`).
    pub names: &'p [Reference],
}

/// Makes one output.
///
/// # Errors
/// [`OutputError`]; then there is no file, but a directory may be half filled.
pub fn deliver(
    context: &Context,
    product: &Product<'_>,
    output: &Output,
    stdout: &mut (dyn Write + Send),
    progress: &dyn Progress,
) -> Result<(), OutputError> {
    let (id, names) = (&product.own.id, product.names);
    match output {
        Output::CacheOnly => Ok(()),
        Output::Image { names: own, push } => {
            for reference in own {
                context.store()?.tag_index(id, product.index, reference)?;
            }
            if *push {
                let names = if own.is_empty() { names } else { own };
                push_names(context, &Product { names, ..*product }, progress)?;
            }
            Ok(())
        }
        Output::Local { directory, split } => {
            for (place, name) in product.places(context, *split)? {
                let directory = match place {
                    Some(place) => directory.join(place),
                    None => directory.clone(),
                };
                fs::create_dir_all(&directory).map_err(|source| OutputError::Directory {
                    path: directory.clone(),
                    source,
                })?;
                copy_all(context, &name, &directory)?;
            }
            Ok(())
        }
        Output::Tar { file, split } => {
            let places = product.places(context, *split)?;
            let out = place(file.as_deref(), stdout);
            Ok(export_several(context, &places, out)?)
        }
        Output::Docker(file) => {
            let place = place(file.as_deref(), stdout);
            Ok(save_as(context, id, names, ArchiveFormat::Docker, place)?)
        }
        Output::Oci {
            destination: Some(directory),
            is_archive: false,
        } => {
            let tag = names.first().and_then(Reference::tag);
            let archive = |file: save::Output<'_>| product.archive(context, &[], file);
            layout(context, directory, tag, archive, progress)
        }
        Output::Oci { destination, .. } => {
            let place = place(destination.as_deref(), stdout);
            product.archive(context, names, place)
        }
    }
}

impl Product<'_> {
    /// The directory for each image's files, if they get one, and what the image is called.
    fn places(
        &self,
        context: &Context,
        split: Option<bool>,
    ) -> Result<Vec<(Option<String>, String)>, OutputError> {
        let splits = split.unwrap_or(self.images.len() > 1);
        let names: Vec<String> = self
            .images
            .iter()
            .map(|image| image.id.to_string())
            .collect();
        if !splits
            && names.len() > 1
            && let Some((path, first, second)) = collision(context, &names)?
        {
            let platform = |number: usize| {
                let image = self.images.get(number);
                image.map_or_else(String::new, |image| image.platform.to_string())
            };
            return Err(OutputError::Collision {
                path: String::from_utf8_lossy(&path).into_owned(),
                first: platform(first),
                second: platform(second),
            });
        }
        let directories = self.images.iter().map(|image| {
            let name = image.platform.to_string().replace('/', "_");
            splits.then_some(name)
        });
        Ok(directories.zip(names).collect())
    }

    /// All of it as an OCI archive.
    fn archive(
        &self,
        context: &Context,
        names: &[Reference],
        out: save::Output<'_>,
    ) -> Result<(), OutputError> {
        match self.index {
            Some(index) => save_index_as(context, index, names, out)?,
            None => save_as(context, &self.own.id, names, ArchiveFormat::Oci, out)?,
        }
        Ok(())
    }
}

/// Pushes all of it under all its names.
///
/// # Errors
/// [`PushError`].
pub fn push_names(
    context: &Context,
    product: &Product<'_>,
    progress: &dyn Progress,
) -> Result<(), PushError> {
    for reference in product.names {
        match product.index {
            Some(index) => push_index_as(context, index, reference, None, progress)?,
            None => push_as(context, &product.own.id, reference, None, progress)?,
        };
    }
    Ok(())
}

fn place<'a>(file: Option<&Path>, stdout: &'a mut (dyn Write + Send)) -> save::Output<'a> {
    match file {
        Some(path) => save::Output::File(path.to_owned()),
        None => save::Output::Stream(stdout),
    }
}

/// An OCI layout as a directory: `make` makes it as an archive in it, and it is copied digest for digest.
pub(crate) fn layout(
    context: &Context,
    directory: &Path,
    name: Option<&str>,
    make: impl FnOnce(save::Output<'_>) -> Result<(), OutputError>,
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
    make(save::Output::File(archive.clone()))?;
    let options = CopyOptions {
        source: Place::OciArchive(archive, None),
        destination: Place::OciDirectory(directory.to_owned(), name.map(str::to_owned)),
        all: true,
        platform: None,
    };
    copy::copy(context, &options, progress)?;
    Ok(())
}
