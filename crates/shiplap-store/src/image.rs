//! Records of images: putting, tagging, listing.
//!
//! A record is a pure function of the blobs it names (manifest, config) and of the names given;
//! that is what lets repair rebuild it. Sizes and labels are computed here, once. It never fetches
//! or parses what a layer holds.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shiplap_model::manifest::DocumentError;
use shiplap_model::reference::{Reference, Repository};
use shiplap_model::{DiffId, Digest, ImageConfig, ImageId, Manifest};

use crate::database::{Cells, Durability, Tx, signed};
use crate::error::StoreError;
use crate::image_line::read_lines;
use crate::layout::Layout;
use crate::lease::Lease;
use crate::names;
use crate::record::{Image, ImageLine, LayerRecord, RepoDigest};
use crate::store::{Store, layer_of_cells, layer_record, read_document};

/// Why an image can't be recorded or named.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The store's own failures, a missing or rotten blob among them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The manifest or config is not one.
    #[error("record image of {digest}: {source}")]
    Document {
        /// The document.
        digest: Digest,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A tag can't hold a digest.
    #[error("tag image as {reference}: a tag with a digest can't be made")]
    TagWithDigest {
        /// The name asked for.
        reference: Reference,
    },
}

/// An image whose blobs and layers are committed.
#[derive(Debug, Clone)]
pub struct NewImage<'a> {
    /// Its manifest, whose config is the image's ID.
    pub manifest: &'a Digest,
    /// Indexes it was chosen from, kept as blobs so that digests and signatures survive.
    pub indexes: &'a [Digest],
    /// The image it was built or committed from.
    pub parent: Option<&'a ImageId>,
    /// Tags it gets; `latest` where there is none. They move away from other images.
    pub tags: &'a [Reference],
    /// One of `indexes`, which is what the tags name, with this image for those who want one.
    pub named_index: Option<&'a Digest>,
    /// What repositories call its manifest or index.
    pub repo_digests: &'a [RepoDigest],
}

impl<'a> NewImage<'a> {
    /// An image without names.
    #[must_use]
    pub fn of(manifest: &'a Digest) -> Self {
        Self {
            manifest,
            indexes: &[],
            parent: None,
            tags: &[],
            named_index: None,
            repo_digests: &[],
        }
    }
}

/// What putting an image did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutImage {
    /// Digest of its config.
    pub id: ImageId,
    /// Whether no record of it was there.
    pub is_new: bool,
    /// Tags that named another image before, and which.
    pub moved_tags: Vec<(Reference, ImageId)>,
}

/// What the blobs say of one image.
pub(crate) struct ImageFacts {
    pub(crate) id: ImageId,
    pub(crate) manifest: Digest,
    pub(crate) layers: Vec<DiffId>,
    config: ImageConfig,
    manifest_bytes: u64,
    config_bytes: u64,
}

impl ImageFacts {
    /// Reads and verifies manifest and config.
    pub(crate) fn read(layout: &Layout, manifest_digest: &Digest) -> Result<Self, ImageError> {
        let manifest_blob = read_document(layout, manifest_digest)?;
        let document = |digest: &Digest| {
            let digest = digest.clone();
            move |source| ImageError::Document { digest, source }
        };
        let manifest = Manifest::parse(&manifest_blob).map_err(document(manifest_digest))?;
        let config_digest = manifest.config.digest.clone();
        let config_blob = read_document(layout, &config_digest)?;
        let config = ImageConfig::parse(&config_blob).map_err(document(&config_digest))?;
        config
            .check_layers(&manifest)
            .map_err(document(manifest_digest))?;
        Ok(Self {
            layers: config.rootfs.diff_ids.clone(),
            id: config_digest.into(),
            manifest: manifest_digest.clone(),
            config,
            manifest_bytes: manifest_blob.len() as u64,
            config_bytes: config_blob.len() as u64,
        })
    }
}

impl Lease {
    /// Records an image with its names, all at once.
    ///
    /// # Errors
    /// [`StoreError::BlobMissing`] and [`StoreError::LayerMissing`] for what was not committed,
    /// [`ImageError::Document`], [`ImageError::TagWithDigest`], and failures of disk or database;
    /// then nothing is recorded.
    pub fn put_image(&self, new: &NewImage<'_>) -> Result<PutImage, ImageError> {
        let store = self.store();
        let facts = ImageFacts::read(store.layout(), new.manifest)?;
        let tags = new.tags.iter().map(tag_of).collect::<Result<Vec<_>, _>>()?;
        store.write("record image", Durability::Durable, |tx| {
            let is_new = insert_image(tx, store.layout(), &facts, new)?;
            let moved_tags = set_tags(tx, &facts.id, new.named_index, &tags)?;
            names::save(tx, store.layout())?;
            Ok(PutImage {
                id: facts.id.clone(),
                is_new,
                moved_tags,
            })
        })
    }
}

impl Store {
    /// Gives an image a tag (`latest` if `reference` has none); the image that had it before.
    ///
    /// # Errors
    /// [`StoreError::ImageMissing`], [`ImageError::TagWithDigest`], failures of the database.
    pub fn tag(&self, id: &ImageId, reference: &Reference) -> Result<Option<ImageId>, ImageError> {
        self.tag_index(id, None, reference)
    }

    /// The same for a tag that names an index, which `id` is an image of.
    ///
    /// # Errors
    /// As [`Store::tag`].
    pub fn tag_index(
        &self,
        id: &ImageId,
        index: Option<&Digest>,
        reference: &Reference,
    ) -> Result<Option<ImageId>, ImageError> {
        let tag = tag_of(reference)?;
        self.write("tag image", Durability::Durable, |tx| {
            if tx.number(
                "SELECT count(*) FROM images WHERE id = ?1",
                [id.digest().as_str()],
            )? == 0
            {
                return Err(StoreError::ImageMissing { id: id.clone() }.into());
            }
            let moved = set_tags(tx, id, index, &[tag])?;
            names::save(tx, self.layout())?;
            Ok(moved.into_iter().next().map(|(_, before)| before))
        })
    }

    /// Notes what a repository calls the image's manifest, as after a push.
    ///
    /// # Errors
    /// [`StoreError::ImageMissing`], failures of the database.
    pub fn add_repo_digest(
        &self,
        id: &ImageId,
        repo_digest: &RepoDigest,
    ) -> Result<(), StoreError> {
        self.write("record repository digest", Durability::Durable, |tx| {
            if tx.number(
                "SELECT count(*) FROM images WHERE id = ?1",
                [id.digest().as_str()],
            )? == 0
            {
                return Err(StoreError::ImageMissing { id: id.clone() });
            }
            insert_repo_digest(tx, id, repo_digest)?;
            names::save(tx, self.layout())
        })
    }

    /// All images with their names, the newest first; equal times by ID.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn images(&self) -> Result<Vec<Image>, StoreError> {
        self.read("list images", |tx| read_images(tx, None))
    }

    /// One image; `None` if it is not here.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn image(&self, id: &ImageId) -> Result<Option<Image>, StoreError> {
        Ok(self
            .read("read image", |tx| read_images(tx, Some(id)))?
            .pop())
    }

    /// The layers of an image, base first.
    ///
    /// # Errors
    /// [`StoreError::ImageMissing`], failures of the database.
    pub fn image_layers(&self, id: &ImageId) -> Result<Vec<LayerRecord>, StoreError> {
        self.read("read layers", |tx| {
            if tx.number("SELECT count(*) FROM images WHERE id = ?1", [id.digest().as_str()])? == 0 {
                return Err(StoreError::ImageMissing { id: id.clone() });
            }
            tx.rows(
                "SELECT l.diff_id, l.tar_bytes, l.content_bytes, l.entries
                 FROM image_layers i JOIN layers l USING (diff_id) WHERE i.image = ?1 ORDER BY i.position",
                [id.digest().as_str()],
                layer_of_cells,
            )
        })
    }

    /// Images whose lowest layer this is.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn images_upon(&self, layer: &DiffId) -> Result<BTreeSet<ImageId>, StoreError> {
        let rows = self.read("find images on a layer", |tx| {
            tx.rows(
                "SELECT image FROM image_layers WHERE diff_id = ?1 AND position = 0",
                [layer.digest().as_str()],
                |cells| cells.parsed(0, "image_layers.image"),
            )
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Manifests that have this image as their config, the newest first.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn image_manifests(&self, id: &ImageId) -> Result<Vec<Digest>, StoreError> {
        self.image_blobs(id, "manifest")
    }

    /// The image that a manifest describes, if it is here.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn image_of_manifest(&self, manifest: &Digest) -> Result<Option<ImageId>, StoreError> {
        self.read("find image of manifest", |tx| {
            tx.row(
                "SELECT image FROM image_blobs WHERE digest = ?1 AND role = 'manifest'",
                [manifest.as_str()],
                |cells| cells.parsed(0, "image_blobs.image"),
            )
        })
    }

    /// Indexes that an image was chosen from, as far as they are kept.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn image_indexes(&self, id: &ImageId) -> Result<Vec<Digest>, StoreError> {
        self.image_blobs(id, "index")
    }

    fn image_blobs(&self, id: &ImageId, role: &str) -> Result<Vec<Digest>, StoreError> {
        self.read("read documents of image", |tx| {
            tx.rows(
                "SELECT digest FROM image_blobs WHERE image = ?1 AND role = ?2 ORDER BY stored_us DESC, digest",
                [id.digest().as_str(), role],
                |cells| cells.parsed(0, "image_blobs.digest"),
            )
        })
    }

    /// Images that say they were made from this one.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn children(&self, id: &ImageId) -> Result<Vec<ImageId>, StoreError> {
        self.read("read children", |tx| {
            tx.rows(
                "SELECT id FROM images WHERE parent = ?1 ORDER BY id",
                [id.digest().as_str()],
                |cells| cells.parsed(0, "images.id"),
            )
        })
    }
}

/// What is recorded as a tag for what the user wrote.
fn tag_of(reference: &Reference) -> Result<Reference, ImageError> {
    if reference.digest().is_some() {
        return Err(ImageError::TagWithDigest {
            reference: reference.clone(),
        });
    }
    Ok(reference.or_latest())
}

/// Records image, layers and blobs; whether the image is new.
pub(crate) fn insert_image(
    tx: &Tx<'_>,
    layout: &Layout,
    facts: &ImageFacts,
    new: &NewImage<'_>,
) -> Result<bool, StoreError> {
    let (id, config) = (facts.id.digest(), &facts.config);
    let content_bytes = check_layers(tx, layout, &facts.layers)?;
    let created = config
        .created
        .as_deref()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let labels = serde_json::to_string(&config.config.labels).unwrap_or_default();
    let is_new = tx.execute(
        "INSERT INTO images (id, created_us, os, architecture, variant, labels, content_bytes, parent, stored_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
        (
            id.as_str(),
            created.map(Timestamp::as_microsecond),
            &config.os,
            &config.architecture,
            &config.variant,
            labels,
            signed(content_bytes),
            new.parent.map(|parent| parent.digest().as_str()),
            now_us(),
        ),
    )? == 1;
    if let Some(parent) = new.parent {
        tx.execute(
            "UPDATE images SET parent = ?2 WHERE id = ?1",
            (id.as_str(), parent.digest().as_str()),
        )?;
    }
    for (position, layer) in facts.layers.iter().enumerate() {
        tx.execute(
            "INSERT OR IGNORE INTO image_layers (image, position, diff_id) VALUES (?1, ?2, ?3)",
            (
                id.as_str(),
                signed(position as u64),
                layer.digest().as_str(),
            ),
        )?;
    }
    insert_blob(tx, layout, id, "config", id, facts.config_bytes)?;
    insert_blob(
        tx,
        layout,
        id,
        "manifest",
        &facts.manifest,
        facts.manifest_bytes,
    )?;
    for index in new.indexes {
        let path = layout.blob(index)?;
        let size_bytes = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        insert_blob(tx, layout, id, "index", index, size_bytes)?;
    }
    for repo_digest in new.repo_digests {
        insert_repo_digest(tx, &facts.id, repo_digest)?;
    }
    Ok(is_new)
}

/// Every layer is recorded and on disk; their content's bytes together.
fn check_layers(tx: &Tx<'_>, layout: &Layout, layers: &[DiffId]) -> Result<u64, StoreError> {
    let mut content_bytes: u64 = 0;
    for layer in layers {
        let missing = || StoreError::LayerMissing {
            diff_id: layer.clone(),
        };
        let record = layer_record(tx, layer)?.ok_or_else(missing)?;
        if !layout.blob(layer.digest())?.is_file() {
            return Err(missing());
        }
        content_bytes = content_bytes.saturating_add(record.content_bytes);
    }
    Ok(content_bytes)
}

/// Records that the image needs a blob, which is on disk: no collector is at work meanwhile.
fn insert_blob(
    tx: &Tx<'_>,
    layout: &Layout,
    image: &Digest,
    role: &str,
    digest: &Digest,
    size_bytes: u64,
) -> Result<(), StoreError> {
    if !layout.blob(digest)?.is_file() {
        return Err(StoreError::BlobMissing {
            digest: digest.clone(),
        });
    }
    tx.execute(
        "INSERT INTO image_blobs (image, role, digest, size_bytes, stored_us) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (image, role, digest) DO UPDATE SET stored_us = excluded.stored_us",
        (image.as_str(), role, digest.as_str(), signed(size_bytes), now_us()),
    )?;
    Ok(())
}

pub(crate) fn insert_repo_digest(
    tx: &Tx<'_>,
    id: &ImageId,
    repo_digest: &RepoDigest,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR IGNORE INTO repo_digests (repository, digest, image) VALUES (?1, ?2, ?3)",
        (
            repo_digest.repository.to_string(),
            repo_digest.digest.as_str(),
            id.digest().as_str(),
        ),
    )?;
    Ok(())
}

/// Points tags at an image, or an index that it is of; those that pointed at another one, and which.
pub(crate) fn set_tags(
    tx: &Tx<'_>,
    id: &ImageId,
    index: Option<&Digest>,
    tags: &[Reference],
) -> Result<Vec<(Reference, ImageId)>, StoreError> {
    let mut moved = Vec::new();
    for tag in tags {
        let name = tag.to_string();
        let before: Option<ImageId> = tx.row(
            "SELECT image FROM tags WHERE reference = ?1",
            [&name],
            |cells| cells.parsed(0, "tags.image"),
        )?;
        tx.execute(
            "INSERT INTO tags (reference, image, index_digest) VALUES (?1, ?2, ?3)
             ON CONFLICT (reference) DO UPDATE
             SET image = excluded.image, index_digest = excluded.index_digest",
            (&name, id.digest().as_str(), index.map(Digest::as_str)),
        )?;
        moved.extend(
            before
                .filter(|before| before != id)
                .map(|before| (tag.clone(), before)),
        );
    }
    if !tags.is_empty() {
        tx.execute(
            "UPDATE images SET last_tagged_us = ?2 WHERE id = ?1",
            (id.digest().as_str(), now_us()),
        )?;
    }
    Ok(moved)
}

/// One image or all, each table read once.
fn read_images(tx: &Tx<'_>, only: Option<&ImageId>) -> Result<Vec<Image>, StoreError> {
    let lines = read_lines(tx, only, true)?;
    let one = if only.is_some() {
        "id = ?1"
    } else {
        "?1 IS NULL"
    };
    let mut rest = tx.rows(
        &format!(
            "SELECT id, os, architecture, variant, stored_us, last_tagged_us
             FROM images WHERE {one} ORDER BY id"
        ),
        [only.map(|id| id.digest().as_str())],
        |cells| {
            Ok((
                cells.parsed::<ImageId>(0, "images.id")?,
                Some(rest_of(cells)?),
            ))
        },
    )?;
    let image = |line: ImageLine| {
        let at = rest.binary_search_by(|(id, _)| id.cmp(&line.id)).ok()?;
        Some(rest.get_mut(at)?.1.take()?.with(line))
    };
    Ok(lines.into_iter().filter_map(image).collect())
}

/// What lists don't need of an image.
struct Rest {
    os: String,
    architecture: String,
    variant: Option<String>,
    stored: Timestamp,
    last_tagged: Option<Timestamp>,
}

fn rest_of(cells: &Cells<'_, '_>) -> Result<Rest, StoreError> {
    Ok(Rest {
        os: cells.text(1)?,
        architecture: cells.text(2)?,
        variant: cells.maybe_text(3)?,
        stored: cells.time(4)?.unwrap_or(Timestamp::UNIX_EPOCH),
        last_tagged: cells.time(5)?,
    })
}

impl Rest {
    fn with(self, line: ImageLine) -> Image {
        Image {
            id: line.id,
            created: line.created,
            os: self.os,
            architecture: self.architecture,
            variant: self.variant,
            labels: line.labels,
            content_bytes: line.content_bytes,
            parent: line.parent,
            stored: self.stored,
            last_tagged: self.last_tagged,
            tags: line.tags,
            repo_digests: line.repo_digests,
            is_part: line.is_part,
            containers: line.containers,
        }
    }
}

/// From the columns `image, repository, digest`.
pub(crate) fn repo_digest_of_cells(cells: &Cells<'_, '_>) -> Result<RepoDigest, StoreError> {
    Ok(RepoDigest {
        repository: cells.parsed::<Repository>(1, "repo_digests.repository")?,
        digest: cells.parsed(2, "repo_digests.digest")?,
    })
}

pub(crate) fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}
