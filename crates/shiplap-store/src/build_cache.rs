//! What builds keep, listed and pruned: steps with their layers, and mounts with their files.
//! Nothing is removed that somebody is at work with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use shiplap_model::{DiffId, Digest};

use crate::database::{Durability, Tx};
use crate::error::StoreError;
use crate::remove::{Trash, drop_lone_locations};
use crate::store::Store;

/// What kind of thing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CacheKind {
    /// The layer that a step left.
    Step,
    /// A directory that steps mount.
    Mount,
}

impl CacheKind {
    /// Docker's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Step => "regular",
            Self::Mount => "exec.cachemount",
        }
    }
}

/// One thing that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheObject {
    /// Hex digits.
    pub id: String,
    /// What it is.
    pub kind: CacheKind,
    /// `RUN pip install -r requirements.txt`, or the name of the mount.
    pub description: String,
    /// Bytes on disk: of a step its layer's tar, whoever else has it.
    pub size_bytes: u64,
    /// The layer of a step.
    pub layer: Option<DiffId>,
    /// When it was made.
    pub created: Timestamp,
    /// When a build last used it.
    pub used: Timestamp,
    /// How often builds used it.
    pub uses: u64,
    /// Whether an image has the layer, too: its removal frees nothing.
    pub is_shared: bool,
    /// Whether somebody is at work with it.
    pub is_in_use: bool,
}

/// What is to go. What is in use stays.
#[derive(Debug, Clone, Default)]
pub struct CachePrune {
    /// Steps whose layers images have, too.
    pub all: bool,
    /// Only what no build used since.
    pub unused_since: Option<Timestamp>,
    /// Only those whose IDs begin with one of these.
    pub ids: Vec<String>,
    /// Only of these kinds.
    pub kinds: Vec<CacheKind>,
    /// Only those whose descriptions hold one of these.
    pub descriptions: Vec<String>,
    /// Stop once no more than this is kept, in bytes; what was unused longest goes first.
    pub keep_bytes: Option<u64>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went.
pub struct PrunedCache {
    /// In the order in which it went.
    pub objects: Vec<CacheObject>,
    /// Bytes on disk that are freed with the trash.
    pub freed_bytes: u64,
    /// The files, which nothing names any more.
    pub trash: Trash,
}

impl CachePrune {
    fn takes(&self, object: &CacheObject) -> bool {
        let one_of = |wanted: &[String], fits: &dyn Fn(&String) -> bool| {
            wanted.is_empty() || wanted.iter().any(fits)
        };
        !object.is_in_use
            && (self.all || !object.is_shared)
            && self.unused_since.is_none_or(|since| object.used < since)
            && (self.kinds.is_empty() || self.kinds.contains(&object.kind))
            && one_of(&self.ids, &|id| object.id.starts_with(id.as_str()))
            && one_of(&self.descriptions, &|text| {
                object.description.contains(text.as_str())
            })
    }
}

/// Bytes that are kept for builds alone, layer by layer.
struct Sizes {
    /// How many steps have each layer that no image has.
    users: BTreeMap<DiffId, u64>,
    total_bytes: u64,
}

impl Sizes {
    fn of(objects: &[CacheObject]) -> Self {
        let mut sizes = Self {
            users: BTreeMap::new(),
            total_bytes: 0,
        };
        for object in objects.iter().filter(|object| !object.is_shared) {
            let is_first = object.layer.as_ref().is_none_or(|layer| {
                let users = sizes.users.entry(layer.clone()).or_default();
                *users += 1;
                *users == 1
            });
            sizes.total_bytes += if is_first { object.size_bytes } else { 0 };
        }
        sizes
    }

    /// Bytes freed if it goes now.
    fn take(&mut self, object: &CacheObject) -> u64 {
        let is_last = !object.is_shared
            && object.layer.as_ref().is_none_or(|layer| {
                self.users.get_mut(layer).is_some_and(|users| {
                    *users -= 1;
                    *users == 0
                })
            });
        let freed_bytes = if is_last { object.size_bytes } else { 0 };
        self.total_bytes = self.total_bytes.saturating_sub(freed_bytes);
        freed_bytes
    }
}

impl Store {
    /// All that builds keep, what was used last first. Mounts used since they were measured are
    /// walked.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn build_cache(&self) -> Result<Vec<CacheObject>, StoreError> {
        let steps = self.cached_steps()?.into_iter().map(|step| CacheObject {
            id: step.key.encoded().to_owned(),
            kind: CacheKind::Step,
            description: step.description,
            size_bytes: step.layer.tar_bytes,
            layer: Some(step.layer.diff_id),
            created: step.created,
            used: step.used,
            uses: step.uses,
            is_shared: step.is_shared,
            is_in_use: step.is_in_use,
        });
        let mut objects: Vec<_> = steps.collect();
        for mount in self.measured_mounts()? {
            objects.push(CacheObject {
                is_in_use: self.is_mount_in_use(&mount.id),
                id: mount.id,
                kind: CacheKind::Mount,
                description: mount.description,
                size_bytes: mount.size_bytes,
                layer: None,
                created: mount.created,
                used: mount.used,
                uses: mount.uses,
                is_shared: false,
            });
        }
        objects.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.id.cmp(&b.id)));
        Ok(objects)
    }

    /// Bytes on disk that are kept for builds alone: layers that no image has, each once, and
    /// mounts.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn build_cache_bytes(&self) -> Result<u64, StoreError> {
        Ok(Sizes::of(&self.build_cache()?).total_bytes)
    }

    /// Removes what `prune` says.
    ///
    /// # Errors
    /// Failures of disk and database.
    pub fn prune_build_cache(&self, prune: &CachePrune) -> Result<PrunedCache, StoreError> {
        self.must_write()?;
        self.write("end leases", Durability::Fleeting, |tx| {
            crate::lease::drop_dead_claims(self, tx)
        })?;
        let mut objects = self.build_cache()?;
        let mut sizes = Sizes::of(&objects);
        objects.reverse();
        let mut chosen = Vec::new();
        let mut freed_bytes = 0;
        for object in objects.into_iter().filter(|object| prune.takes(object)) {
            if prune
                .keep_bytes
                .is_some_and(|keep| sizes.total_bytes <= keep)
            {
                break;
            }
            freed_bytes += sizes.take(&object);
            chosen.push(object);
        }
        if prune.dry_run || chosen.is_empty() {
            return Ok(PrunedCache {
                objects: chosen,
                freed_bytes,
                trash: Trash::none(),
            });
        }
        let lease = self.new_lease()?;
        let gone = self.write("prune build cache", Durability::Durable, |tx| {
            forget_steps(tx, &chosen)
        })?;
        let mut freed_bytes = self.discard(&lease, &gone)?;
        let mut objects = Vec::with_capacity(chosen.len());
        for object in chosen {
            if object.kind == CacheKind::Mount {
                // A step has mounted it meanwhile: then it stays.
                let Some(bytes) = lease.take_mount(&object.id)? else {
                    continue;
                };
                freed_bytes += bytes;
            }
            objects.push(object);
        }
        Ok(PrunedCache {
            objects,
            freed_bytes,
            trash: Trash::of(lease),
        })
    }
}

/// Deletes the records of steps, and of layers that nobody has any more; whose files may go.
fn forget_steps(tx: &Tx<'_>, objects: &[CacheObject]) -> Result<Vec<Digest>, StoreError> {
    let mut layers = BTreeSet::new();
    for object in objects {
        let Some(layer) = &object.layer else {
            continue;
        };
        tx.execute(
            "DELETE FROM cached_steps WHERE key = 'sha256:' || ?1 AND diff_id = ?2",
            (&object.id, layer.digest().as_str()),
        )?;
        layers.insert(layer.digest());
    }
    let mut gone = Vec::new();
    for layer in layers {
        let kept: Vec<Digest> = tx.rows(
            "SELECT digest FROM compressed WHERE diff_id = ?1 AND kept",
            [layer.as_str()],
            |cells| cells.parsed(0, "compressed.digest"),
        )?;
        let deleted = tx.execute(
            "DELETE FROM layers WHERE diff_id = ?1
             AND NOT EXISTS (SELECT 1 FROM image_layers WHERE diff_id = ?1)
             AND NOT EXISTS (SELECT 1 FROM cached_steps WHERE diff_id = ?1)
             AND NOT EXISTS (SELECT 1 FROM claims WHERE digest = ?1)",
            [layer.as_str()],
        )?;
        if deleted > 0 {
            gone.push(layer.clone());
            gone.extend(kept);
        }
    }
    drop_lone_locations(tx)?;
    Ok(gone)
}

/// What `system df` says of it: how many things, their bytes, and how many of those go if all
/// that is not in use goes.
pub(crate) fn totals(objects: &[CacheObject]) -> (u64, u64, u64) {
    let mut sizes = Sizes::of(objects);
    let total_bytes = sizes.total_bytes;
    let idle = objects.iter().filter(|object| !object.is_in_use);
    let reclaimable_bytes = idle.map(|object| sizes.take(object)).sum();
    (objects.len() as u64, total_bytes, reclaimable_bytes)
}
