//! Taking names and images away, by Docker's rules.
//!
//! One transaction takes the records; only when it is on disk do files move from their places into
//! a lease's directory, each after a second look that nobody has begun to need it meanwhile. So no
//! record ever names a file that is gone, and a process that dies in between leaves files that
//! nothing names, which the next collection takes.
//!
//! With the last name of an index go its images that nothing else names.
//!
//! Docker refuses to remove an image that others were built from. Here a layer stays as long as
//! any image has it, so a parent may go; its children keep its ID as a mere fact.

use shiplap_model::reference::Reference;
use shiplap_model::{ChainId, DiffId, Digest, ImageId};

use crate::container::containers_of;
use crate::database::{Durability, Tx};
use crate::error::StoreError;
use crate::image::repo_digest_of_cells;
use crate::lease::{Lease, disk_usage};
use crate::named_index::{images_of, release, tags_of_part};
use crate::names;
use crate::record::{ContainerRecord, RepoDigest};
use crate::resolve::{Resolved, ResolvedBy};
use crate::store::Store;

/// Why an image is not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The store's own failures, [`StoreError::ImageMissing`] among them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A container uses it. One that is not running gives way to force.
    #[error(
        "remove image {id}: container {name} ({container}) {how} it{hint}",
        name = container.name,
        container = container.id,
        how = if container.state.is_live() { "is running on" } else { "uses" },
        hint = if container.state.is_live() { "; stop it first" } else { "; remove it first, or use force" },
    )]
    InUse {
        /// The image.
        id: ImageId,
        /// The container, a live one if there is any.
        container: Box<ContainerRecord>,
    },
    /// It is of an index that has a name. Gives way to force: then the name is its other image's alone.
    #[error(
        "remove image {id}: it is part of {}; remove that, or use force",
        listed(tags)
    )]
    Part {
        /// The image.
        id: ImageId,
        /// The tags that name the index.
        tags: Vec<Reference>,
    },
    /// It was named by ID and has several names. Gives way to force.
    #[error(
        "remove image {id}: it has several names ({}); use force to remove them all",
        listed(tags)
    )]
    ManyNames {
        /// The image.
        id: ImageId,
        /// Its tags.
        tags: Vec<Reference>,
    },
}

fn listed(tags: &[Reference]) -> String {
    tags.iter()
        .map(Reference::familiar)
        .collect::<Vec<_>>()
        .join(", ")
}

/// How far a removal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemoveOptions {
    /// Take all names of an image that is named by ID, and don't mind containers that don't run:
    /// then the names go, and the image stays without a name until its containers are gone.
    pub force: bool,
    /// Take all names of an image that is named by ID, though it has several.
    pub all_names: bool,
}

/// One thing that a removal did, in the order in which Docker says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// `Untagged: python:3.11`
    Untagged(Reference),
    /// `Untagged: python@sha256:…`
    UntaggedDigest(RepoDigest),
    /// `Deleted: sha256:…` of the image.
    Image(ImageId),
    /// `Deleted: sha256:…` of a layer that no image needs any more, as Docker by its ChainID.
    Layer {
        /// The layer as the top of its stack.
        chain_id: ChainId,
        /// The layer itself.
        diff_id: DiffId,
    },
}

/// What a removal did.
pub struct Removed {
    /// In Docker's order.
    pub steps: Vec<Removal>,
    /// Bytes on disk that are freed with the trash.
    pub freed_bytes: u64,
    /// The files, which nothing names any more.
    pub trash: Trash,
}

/// Files on their way out. Dropping it unlinks them, which takes the file system a moment for
/// each gigabyte.
pub struct Trash(Option<Lease>);

impl Trash {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn of(lease: Lease) -> Self {
        Self(Some(lease))
    }

    /// Leaves the files to the next lease or collection of whatever process, which sweeps
    /// `staging/` first.
    pub fn leave(mut self) {
        if let Some(lease) = self.0.take() {
            lease.abandon();
        }
    }
}

impl Store {
    /// Takes away a name, and with its last name the image; an image named by ID with its names.
    ///
    /// # Errors
    /// [`RemoveError`]; then nothing is removed.
    pub fn remove_image(
        &self,
        target: &Resolved,
        options: RemoveOptions,
    ) -> Result<Removed, RemoveError> {
        let (mut steps, deleted) = self.write("remove image", Durability::Durable, |tx| {
            let Taken { mut steps, parts } = take_names(tx, target, options)?;
            let mut deleted: Option<Deleted> = None;
            for id in [&target.id].into_iter().chain(&parts) {
                if is_named(tx, id)? || !containers_of(tx, id)?.is_empty() {
                    continue;
                }
                let records = delete_records(tx, id)?;
                steps.push(Removal::Image(id.clone()));
                steps.extend(records.layer_steps());
                match &mut deleted {
                    Some(deleted) => deleted.digests.extend(records.digests),
                    None => deleted = Some(records),
                }
            }
            names::save(tx, self.layout())?;
            Ok::<_, RemoveError>((steps, deleted))
        })?;
        steps.dedup();
        let Some(deleted) = deleted else {
            return Ok(Removed {
                steps,
                freed_bytes: 0,
                trash: Trash::none(),
            });
        };
        let lease = self.new_lease()?;
        let freed_bytes = self.discard(&lease, &deleted.digests)?;
        Ok(Removed {
            steps,
            freed_bytes,
            trash: Trash::of(lease),
        })
    }

    /// Takes away those of the layers that no image, step of a build or live lease has.
    ///
    /// # Errors
    /// Failures of disk and database; what was not reached is left to the next collection.
    pub fn discard_layers(&self, diff_ids: &[DiffId]) -> Result<(), StoreError> {
        let digests: Vec<Digest> = diff_ids.iter().map(|id| id.digest().clone()).collect();
        if digests.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = digests.iter().map(Digest::as_str).collect();
        let words = serde_json::to_string(&words).unwrap_or_default();
        self.write("discard layers", Durability::Durable, |tx| {
            tx.execute(
                "DELETE FROM layers WHERE diff_id IN (SELECT value FROM json_each(?1))
                 AND diff_id NOT IN (SELECT diff_id FROM image_layers)
                 AND diff_id NOT IN (SELECT diff_id FROM cached_steps)
                 AND diff_id NOT IN (SELECT digest FROM claims)",
                [&words],
            )?;
            drop_lone_locations(tx)
        })?;
        self.discard(&self.new_lease()?, &digests)?;
        Ok(())
    }

    /// Bytes on disk that removing all of `ids` would free.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn freed_by(&self, ids: &[ImageId]) -> Result<u64, StoreError> {
        let ids: Vec<&str> = ids.iter().map(|id| id.digest().as_str()).collect();
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        self.read("compute sizes", |tx| {
            tx.number(
                "WITH gone AS (SELECT value AS id FROM json_each(?1))
                 SELECT coalesce(sum(tar_bytes), 0) FROM layers WHERE diff_id IN
                   (SELECT diff_id FROM image_layers WHERE image IN gone)
                 AND diff_id NOT IN (SELECT diff_id FROM image_layers WHERE image NOT IN gone)
                 AND diff_id NOT IN (SELECT diff_id FROM cached_steps)",
                [ids],
            )
        })
    }

    /// Moves files of digests that nothing needs into the lease's directory; their bytes on disk.
    /// What has found a user since it was chosen stays.
    pub(crate) fn discard(&self, lease: &Lease, digests: &[Digest]) -> Result<u64, StoreError> {
        // The write lock keeps everybody from claiming or recording meanwhile.
        self.write("discard files", Durability::Fleeting, |tx| {
            let mut freed_bytes = 0;
            for digest in digests.iter().filter(|digest| digest.algorithm().is_some()) {
                if is_needed(tx, digest)? {
                    continue;
                }
                let diff_id = DiffId::from(digest.clone());
                let layout = self.layout();
                for path in [
                    layout.blob(digest)?,
                    layout.index(&diff_id)?,
                    layout.tree(&diff_id)?,
                ] {
                    freed_bytes += lease.take_away(&path)?;
                }
            }
            Ok(freed_bytes)
        })
    }
}

impl Lease {
    /// Moves what lies at `path`, if anything, into the lease's directory.
    pub(crate) fn take_away(&self, path: &std::path::Path) -> Result<u64, StoreError> {
        let bytes = disk_usage(path);
        match std::fs::rename(path, self.next_path()) {
            Ok(()) => Ok(bytes),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(source) => Err(StoreError::io("move away", path)(source)),
        }
    }
}

/// Whether a record or a claim needs the files of this digest.
pub(crate) fn is_needed(tx: &Tx<'_>, digest: &Digest) -> Result<bool, StoreError> {
    let needs = tx.number(
        "SELECT EXISTS (SELECT 1 FROM layers WHERE diff_id = ?1)
             OR EXISTS (SELECT 1 FROM image_blobs WHERE digest = ?1)
             OR EXISTS (SELECT 1 FROM compressed WHERE digest = ?1 AND kept)
             OR EXISTS (SELECT 1 FROM claims WHERE digest = ?1)",
        [digest.as_str()],
    )?;
    Ok(needs > 0)
}

/// Names that went.
struct Taken {
    steps: Vec<Removal>,
    /// Other images of indexes that they named.
    parts: Vec<ImageId>,
}

/// Takes the names that go, if nothing forbids it.
fn take_names(
    tx: &Tx<'_>,
    target: &Resolved,
    options: RemoveOptions,
) -> Result<Taken, RemoveError> {
    let id = &target.id;
    if tx.number(
        "SELECT count(*) FROM images WHERE id = ?1",
        [id.digest().as_str()],
    )? == 0
    {
        return Err(StoreError::ImageMissing { id: id.clone() }.into());
    }
    let tags: Vec<Reference> = tx.rows(
        "SELECT reference FROM tags WHERE image = ?1 ORDER BY reference",
        [id.digest().as_str()],
        |cells| cells.parsed(0, "tags.reference"),
    )?;
    let digests: Vec<RepoDigest> = tx.rows(
        "SELECT image, repository, digest FROM repo_digests WHERE image = ?1 ORDER BY repository, digest",
        [id.digest().as_str()],
        repo_digest_of_cells,
    )?;
    let (gone_tags, gone_digests) = match &target.by {
        ResolvedBy::Id => (tags.clone(), digests.clone()),
        ResolvedBy::RepoDigest(gone) => (Vec::new(), vec![gone.clone()]),
        ResolvedBy::Tag(gone) => {
            // With the last tag of a repository go its digests.
            let repository = gone.repository();
            let is_last = !tags
                .iter()
                .any(|tag| tag != gone && tag.repository() == repository);
            let of_it = digests
                .iter()
                .filter(|digest| is_last && digest.repository == *repository);
            (vec![gone.clone()], of_it.cloned().collect())
        }
    };
    let is_all = gone_tags.len() == tags.len() && gone_digests.len() == digests.len();
    if let (true, Some(container)) = (is_all, containers_of(tx, id)?.into_iter().next()) {
        let hard = container.state.is_live() && target.by == ResolvedBy::Id;
        if hard || !options.force {
            return Err(RemoveError::InUse {
                id: id.clone(),
                container: Box::new(container),
            });
        }
    }
    let by_id_alone = target.by == ResolvedBy::Id && !options.force && !options.all_names;
    if by_id_alone && !is_single(&tags, &digests) {
        return Err(RemoveError::ManyNames {
            id: id.clone(),
            tags,
        });
    }
    if target.by == ResolvedBy::Id && tags.is_empty() {
        let tags = tags_of_part(tx, id)?;
        if !tags.is_empty() && !options.force {
            let id = id.clone();
            return Err(RemoveError::Part { id, tags });
        }
        release(tx, &tags)?;
    }
    delete_names(tx, id, gone_tags, gone_digests)
}

/// Takes these names of an image, and what they are of other images of indexes that they name.
fn delete_names(
    tx: &Tx<'_>,
    id: &ImageId,
    gone_tags: Vec<Reference>,
    gone_digests: Vec<RepoDigest>,
) -> Result<Taken, RemoveError> {
    let mut steps = Vec::new();
    let mut parts = Vec::new();
    for tag in gone_tags {
        parts.extend(parts_of(tx, id, &tag)?);
        tx.execute(
            "DELETE FROM tags WHERE reference = ?1 AND image = ?2",
            (tag.to_string(), id.digest().as_str()),
        )?;
        steps.push(Removal::Untagged(tag));
    }
    for gone in gone_digests {
        tx.execute(
            "DELETE FROM repo_digests WHERE repository = ?1 AND digest = ?2 AND image = ?3",
            (
                gone.repository.to_string(),
                gone.digest.as_str(),
                id.digest().as_str(),
            ),
        )?;
        for part in &parts {
            // A part may be of older indexes there, too; one with a tag of its own is more than a part.
            tx.execute(
                "DELETE FROM repo_digests WHERE repository = ?1 AND image = ?2
                 AND (digest = ?3 OR NOT EXISTS (SELECT 1 FROM tags WHERE image = ?2))",
                (
                    gone.repository.to_string(),
                    part.digest().as_str(),
                    gone.digest.as_str(),
                ),
            )?;
        }
        steps.push(Removal::UntaggedDigest(gone));
    }
    parts.sort_unstable();
    parts.dedup();
    Ok(Taken { steps, parts })
}

/// The other images of the index that a tag of the image names.
fn parts_of(tx: &Tx<'_>, id: &ImageId, tag: &Reference) -> Result<Vec<ImageId>, StoreError> {
    let index: Option<Option<Digest>> = tx.row(
        "SELECT index_digest FROM tags WHERE reference = ?1",
        [tag.to_string()],
        |cells| cells.maybe_parsed(0, "tags.index_digest"),
    )?;
    let mut parts = match index.flatten() {
        Some(index) => images_of(tx, &index)?,
        None => Vec::new(),
    };
    parts.retain(|part| part != id);
    Ok(parts)
}

/// At most one tag, and all names within one repository: Docker's condition for removal by ID.
fn is_single(tags: &[Reference], digests: &[RepoDigest]) -> bool {
    let mut repositories = tags
        .iter()
        .map(Reference::repository)
        .chain(digests.iter().map(|digest| &digest.repository));
    let first = repositories.next();
    tags.len() <= 1 && repositories.all(|repository| Some(repository) == first)
}

fn is_named(tx: &Tx<'_>, id: &ImageId) -> Result<bool, StoreError> {
    let names = tx.number(
        "SELECT (SELECT count(*) FROM tags WHERE image = ?1) + (SELECT count(*) FROM repo_digests WHERE image = ?1)",
        [id.digest().as_str()],
    )?;
    Ok(names > 0 || !tags_of_part(tx, id)?.is_empty())
}

/// What the records of a removed image leave behind.
struct Deleted {
    /// All its layers, base first.
    layers: Vec<DiffId>,
    /// Those of them that no image has any more.
    gone: Vec<DiffId>,
    /// Whose files may go.
    digests: Vec<Digest>,
}

impl Deleted {
    /// From the top down.
    fn layer_steps(&self) -> Vec<Removal> {
        let stacks = (1..=self.layers.len())
            .rev()
            .filter_map(|height| self.layers.get(..height));
        stacks
            .filter_map(|stack| {
                let diff_id = stack.last().filter(|top| self.gone.contains(top))?.clone();
                Some(Removal::Layer {
                    chain_id: ChainId::of(stack)?,
                    diff_id,
                })
            })
            .collect()
    }
}

fn delete_records(tx: &Tx<'_>, id: &ImageId) -> Result<Deleted, StoreError> {
    let image = id.digest().as_str();
    let layers: Vec<DiffId> = tx.rows(
        "SELECT diff_id FROM image_layers WHERE image = ?1 ORDER BY position",
        [image],
        |cells| cells.parsed(0, "image_layers.diff_id"),
    )?;
    let mut digests: Vec<Digest> = tx.rows(
        "SELECT digest FROM image_blobs WHERE image = ?1
         UNION SELECT c.digest FROM compressed c JOIN image_layers l USING (diff_id) WHERE l.image = ?1 AND c.kept",
        [image],
        |cells| cells.parsed(0, "image_blobs.digest"),
    )?;
    tx.execute("DELETE FROM images WHERE id = ?1", [image])?;
    let mut gone = Vec::new();
    for layer in &layers {
        let deleted = tx.execute(
            "DELETE FROM layers WHERE diff_id = ?1
             AND NOT EXISTS (SELECT 1 FROM image_layers WHERE diff_id = ?1)
             AND NOT EXISTS (SELECT 1 FROM cached_steps WHERE diff_id = ?1)
             AND NOT EXISTS (SELECT 1 FROM claims WHERE digest = ?1)",
            [layer.digest().as_str()],
        )?;
        if deleted > 0 {
            gone.push(layer.clone());
            digests.push(layer.digest().clone());
        }
    }
    drop_lone_locations(tx)?;
    Ok(Deleted {
        layers,
        gone,
        digests,
    })
}

/// Forgets where blobs are that belong to no layer here.
pub(crate) fn drop_lone_locations(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM locations WHERE digest NOT IN (SELECT digest FROM compressed)",
        [],
    )?;
    Ok(())
}
