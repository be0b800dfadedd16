//! What a stage begins with.

use std::sync::Arc;

use jiff::Timestamp;
use shiplap_model::config::Rootfs;
use shiplap_model::{DiffId, ImageConfig};
use shiplap_store::StoreError;

use super::ends::{Ends, RootImage};
use super::failure::Problem;
use super::session::Session;
use crate::plan::{Base, Copy, Item, Source, Stage};
use crate::result::ImageLayer;

/// What a stage begins with.
#[derive(Default)]
pub(super) struct Begun {
    pub(super) layers: Vec<ImageLayer>,
    pub(super) image: RootImage,
    /// Files that become its first layer.
    pub(super) copy: Option<Copy>,
}

/// Finds it, waiting for another stage if need be.
pub(super) fn begin(session: &Session<'_>, stage: &Stage, ends: &Ends) -> Result<Begun, Problem> {
    match &stage.base {
        Base::Scratch => Ok(Begun::default()),
        Base::Stage(id) => {
            let end = ends.wait(*id, session.cancel)?;
            Ok(Begun {
                layers: end.layers.clone(),
                image: end.base.clone(),
                copy: None,
            })
        }
        Base::Named(name) => Ok(Begun {
            copy: Some(all_of(name)),
            image: RootImage {
                name: name.clone(),
                ..RootImage::default()
            },
            ..Begun::default()
        }),
        Base::Image(key) => {
            let image = session.images.get(key).ok_or_else(|| Problem::NoContext {
                name: key.name.clone(),
            })?;
            let layers = image.layers.iter().map(|diff_id| {
                let layer = session.lease.store().layer(diff_id)?;
                let layer = layer.ok_or_else(|| StoreError::LayerMissing {
                    diff_id: diff_id.clone(),
                })?;
                Ok(ImageLayer {
                    diff_id: layer.diff_id,
                    tar_bytes: layer.tar_bytes,
                    newest_secs: None,
                })
            });
            let layers = layers.collect::<Result<Vec<_>, StoreError>>()?;
            let created = image.config.created.as_deref();
            let created = created.and_then(|text| text.parse::<Timestamp>().ok());
            if let Some(vertex) = &stage.vertex {
                session.reporter.cached(vertex);
            }
            Ok(Begun {
                image: RootImage {
                    id: Some(image.id.clone()),
                    name: key.name.clone(),
                    config: Some(Arc::clone(&image.config)),
                    layers: layers.len(),
                    created_secs: created.map(Timestamp::as_second),
                },
                layers,
                ..Begun::default()
            })
        }
    }
}

/// The copy that makes a layer of a context.
fn all_of(name: &str) -> Copy {
    Copy {
        from: Source::Named(name.to_owned()),
        items: vec![Item::Path("/".to_owned())],
        destination: "/".to_owned(),
        chown: None,
        chmod: None,
        link: false,
        parents: false,
        excludes: Vec::new(),
        add: None,
    }
}

/// Files that a stage begins with, as an image without a history.
pub(super) fn image_of_files(name: &str, layer: &DiffId) -> RootImage {
    let config = ImageConfig {
        rootfs: Rootfs {
            diff_ids: vec![layer.clone()],
            ..Rootfs::default()
        },
        ..ImageConfig::default()
    };
    RootImage {
        id: None,
        name: name.to_owned(),
        config: Some(Arc::new(config)),
        layers: 1,
        created_secs: None,
    }
}
