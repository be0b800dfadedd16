//! `import`: an image of one layer, made from the tar of a root file system. A tar of the web is
//! taken in as it comes and never lies in a file of its own.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use jiff::Timestamp;
use shiplap_layer::ingest::{self, IngestError};
use shiplap_model::config::{ContainerConfig, History, ImageConfig, Rootfs};
use shiplap_model::{Descriptor, ImageId, Manifest, Platform, Reference, limits, media_type};
use shiplap_store::{ImageError, LayerRecord, NewImage, StoreError};

use crate::context::Context;
use crate::fetch;
use crate::progress::{Event, LayerState, Progress};
use crate::transport::TransportError;
use crate::transport::docker_archive::fetched;

/// Where the tar comes from.
pub enum Tarball<'a> {
    /// A file.
    File(PathBuf),
    /// A stream, as standard input.
    Stream(&'a mut (dyn Read + Send)),
    /// An http or https address.
    Address(String),
}

/// What the image is to be.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Its tag.
    pub reference: Option<Reference>,
    /// The comment in its history.
    pub message: Option<String>,
    /// What it runs on; `None`: this machine's.
    pub platform: Option<Platform>,
    /// How its containers run.
    pub config: ContainerConfig,
}

/// Why no image was made.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The tar can't be opened.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The tar can't be fetched.
    #[error(transparent)]
    Download(#[from] shiplap_registry::Error),
    /// The tar can't be a layer.
    #[error("import {name}: {source}")]
    Layer {
        /// The file, `-`, or the address without its query.
        name: String,
        /// Why.
        source: IngestError,
    },
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image can't be recorded.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Makes the image from a tar, compressed or not.
///
/// # Errors
/// [`ImportError`]; then nothing of it is in the store.
pub fn import(
    context: &Context,
    tarball: Tarball<'_>,
    options: ImportOptions,
    progress: &dyn Progress,
) -> Result<ImageId, ImportError> {
    let Opened {
        name,
        mut source,
        total_bytes,
    } = open(context, tarball)?;
    let lease = context.store()?.lease()?;
    let (tar, index) = (lease.file()?, lease.file()?);
    let tell = |done_bytes| {
        let state = LayerState::Loading {
            done_bytes,
            total_bytes,
        };
        progress.event(Event::Layer {
            id: "import",
            state,
        });
    };
    let facts = ingest::ingest(&mut source, tar.file(), index.file(), &tell)
        .map_err(|source| failed(&name, source))?;
    let record = LayerRecord {
        diff_id: facts.diff_id,
        tar_bytes: facts.tar_bytes,
        content_bytes: facts.content_bytes,
        entries: facts.entries,
    };
    lease.commit_layer(tar, index, &record)?;

    let tags: Vec<_> = options.reference.iter().map(Reference::or_latest).collect();
    let comment = options
        .message
        .clone()
        .unwrap_or_else(|| format!("Imported from {name}"));
    let config = config_of(&record, comment, options, &context.settings().platform);
    let config = fetched(&config)?;
    let layer = Descriptor::new(
        media_type::OCI_LAYER,
        record.diff_id.digest().clone(),
        record.tar_bytes,
    );
    let manifest = fetched(&Manifest {
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        ..Manifest::new(
            Descriptor::of(media_type::OCI_CONFIG, &config.bytes),
            vec![layer],
        )
    })?;
    lease.put_blob(&config.digest, &config.bytes)?;
    lease.put_blob(&manifest.digest, &manifest.bytes)?;
    Ok(lease
        .put_image(&NewImage {
            tags: &tags,
            ..NewImage::of(&manifest.digest)
        })?
        .id)
}

/// A tar that is about to be read.
struct Opened<'a> {
    /// What people know it by.
    name: String,
    source: Box<dyn Read + Send + 'a>,
    /// 0 where nobody knows.
    total_bytes: u64,
}

fn open<'a>(context: &Context, tarball: Tarball<'a>) -> Result<Opened<'a>, ImportError> {
    Ok(match tarball {
        Tarball::File(path) => {
            let file = File::open(&path).map_err(TransportError::io("open", &path))?;
            Opened {
                name: path.display().to_string(),
                total_bytes: file.metadata().map_or(0, |metadata| metadata.len()),
                source: Box::new(file),
            }
        }
        Tarball::Stream(stream) => Opened {
            name: "-".to_owned(),
            total_bytes: 0,
            source: Box::new(stream),
        },
        Tarball::Address(address) => {
            let file = fetch::fetch(context, &address, limits::LAYER_BYTES)?;
            Opened {
                name: file.address().to_owned(),
                total_bytes: file.size_bytes().unwrap_or(0),
                source: Box::new(file),
            }
        }
    })
}

/// What went wrong on the way here names where, and is no fault of the layer.
fn failed(name: &str, source: IngestError) -> ImportError {
    let source = match source {
        IngestError::Source(error) => match fetch::failure(error) {
            Ok(error) => return ImportError::Download(error),
            Err(error) => IngestError::Source(error),
        },
        other => other,
    };
    ImportError::Layer {
        name: name.to_owned(),
        source,
    }
}

fn config_of(
    layer: &LayerRecord,
    comment: String,
    options: ImportOptions,
    host: &Platform,
) -> ImageConfig {
    let platform = options.platform.unwrap_or_else(|| host.clone());
    let created = Some(Timestamp::now().to_string());
    ImageConfig {
        created: created.clone(),
        author: None,
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        os_version: platform.os_version,
        os_features: platform.os_features,
        config: options.config,
        rootfs: Rootfs {
            diff_ids: vec![layer.diff_id.clone()],
            ..Rootfs::default()
        },
        history: vec![History {
            created,
            comment: Some(comment),
            ..History::default()
        }],
        rest: serde_json::Map::new().into_iter().collect(),
    }
}
