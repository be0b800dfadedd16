//! What the store takes on disk, and what of it could be had back (`system df`).

use shiplap_model::ImageId;

use crate::build_cache;
use crate::error::StoreError;
use crate::lease::disk_usage;
use crate::store::Store;

/// What everything takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Each image, the largest unique size first.
    pub images: Vec<ImageUsage>,
    /// How many layers there are.
    pub layers: u64,
    /// Sizes of the regular files in all layers of images, each layer once, in bytes: Docker's
    /// `LayersSize`.
    pub content_bytes: u64,
    /// Of these, bytes in layers that no image in use by a container has.
    pub reclaimable_bytes: u64,
    /// The tars of all layers on disk, in bytes.
    pub tar_bytes: u64,
    /// Layer indexes on disk, in bytes.
    pub index_bytes: u64,
    /// Unpacked trees on disk, in bytes.
    pub tree_bytes: u64,
    /// Work in flight, or left by dead processes, on disk, in bytes.
    pub staging_bytes: u64,
    /// How many things the build cache keeps.
    pub cache_objects: u64,
    /// What those take that no image has, on disk, in bytes.
    pub cache_bytes: u64,
    /// Of these, bytes that nobody is at work with.
    pub reclaimable_cache_bytes: u64,
    /// How many containers there are.
    pub containers: u64,
    /// What their directories take on disk, in bytes.
    pub container_bytes: u64,
}

/// What one image takes, in bytes of the regular files in its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsage {
    /// The image.
    pub id: ImageId,
    /// Layers that other images have, too.
    pub shared_bytes: u64,
    /// Layers of its own: what its removal frees.
    pub unique_bytes: u64,
    /// How many containers use it.
    pub containers: u64,
}

impl Store {
    /// Measures the store. Trees, containers and mounts of builds are walked, the rest is from the records.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let mut usage = self.read("compute sizes", |tx| {
            let images = tx.rows(
                "WITH uses AS (SELECT diff_id, count(DISTINCT image) AS images FROM image_layers GROUP BY diff_id),
                   held AS (SELECT DISTINCT image, diff_id FROM image_layers)
                 SELECT i.id,
                   coalesce(sum(CASE WHEN u.images > 1 THEN l.content_bytes END), 0),
                   coalesce(sum(CASE WHEN u.images = 1 THEN l.content_bytes END), 0) AS own,
                   (SELECT count(*) FROM containers c WHERE c.image = i.id)
                 FROM images i LEFT JOIN held h ON h.image = i.id
                   LEFT JOIN layers l USING (diff_id) LEFT JOIN uses u USING (diff_id)
                 GROUP BY i.id ORDER BY own DESC, i.id",
                [],
                |cells| {
                    Ok(ImageUsage {
                        id: cells.parsed(0, "images.id")?,
                        shared_bytes: cells.size(1)?,
                        unique_bytes: cells.size(2)?,
                        containers: cells.size(3)?,
                    })
                },
            )?;
            let in_use = "SELECT diff_id FROM image_layers WHERE image IN (SELECT image FROM containers)";
            let of_images = "diff_id IN (SELECT diff_id FROM image_layers)";
            Ok::<_, StoreError>(Usage {
                images,
                layers: tx.number("SELECT count(*) FROM layers", [])?,
                content_bytes: tx.number(
                    &format!("SELECT sum(content_bytes) FROM layers WHERE {of_images}"),
                    [],
                )?,
                reclaimable_bytes: tx.number(
                    &format!("SELECT sum(content_bytes) FROM layers WHERE {of_images} AND diff_id NOT IN ({in_use})"),
                    [],
                )?,
                tar_bytes: tx.number("SELECT sum(tar_bytes) FROM layers", [])?,
                index_bytes: 0,
                tree_bytes: 0,
                staging_bytes: 0,
                cache_objects: 0,
                cache_bytes: 0,
                reclaimable_cache_bytes: 0,
                containers: tx.number("SELECT count(*) FROM containers", [])?,
                container_bytes: 0,
            })
        })?;
        (
            usage.cache_objects,
            usage.cache_bytes,
            usage.reclaimable_cache_bytes,
        ) = build_cache::totals(&self.build_cache()?);
        let layout = self.layout();
        usage.index_bytes = disk_usage(&layout.layers());
        usage.tree_bytes = disk_usage(&layout.trees());
        usage.staging_bytes = disk_usage(&layout.staging());
        usage.container_bytes = disk_usage(&layout.containers());
        Ok(usage)
    }
}
