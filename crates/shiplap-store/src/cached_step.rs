//! The build cache's records: which step, named by the digest of all that decides its result,
//! left which layer. Layers that a record names are kept like those of images.
//!
//! What decided it is kept too, as bytes that only the builder reads, so that it can say what
//! changed since the last time at the same place of a Dockerfile. They are kept of the few records
//! of a place that were used last. A record never names a layer that is not here.

use jiff::Timestamp;
use shiplap_model::{DiffId, Digest, limits};

use crate::database::{Cells, Durability, Tx};
use crate::error::StoreError;
use crate::image::now_us;
use crate::lease::Lease;
use crate::record::LayerRecord;
use crate::store::{Store, layer_of_cells};

/// Records of one place whose inputs are kept.
const INPUTS_PER_PLACE: u32 = 4;

/// A step that was carried out.
#[derive(Debug, Clone)]
pub struct NewCachedStep<'a> {
    /// Digest of all that decides its result.
    pub key: &'a Digest,
    /// The layer it left, held by the lease.
    pub layer: &'a DiffId,
    /// When the newest of its files is of, in seconds since 1970.
    pub newest_secs: Option<i64>,
    /// Which step of which Dockerfile it was.
    pub place: &'a Digest,
    /// `RUN pip install -r requirements.txt`
    pub description: &'a str,
    /// What decided its result, at most [`limits::CACHE_INPUT_BYTES`]; empty: nothing is kept.
    pub inputs: &'a [u8],
}

/// What a step left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedLayer {
    /// The layer.
    pub layer: LayerRecord,
    /// When the newest of its files is of, in seconds since 1970.
    pub newest_secs: Option<i64>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedStep {
    /// Digest of all that decides its result.
    pub key: Digest,
    /// The layer it left.
    pub layer: LayerRecord,
    /// Which step of which Dockerfile it was.
    pub place: Digest,
    /// `RUN pip install -r requirements.txt`
    pub description: String,
    /// When it was carried out.
    pub created: Timestamp,
    /// When a build last took it from here.
    pub used: Timestamp,
    /// How often builds took it from here.
    pub uses: u64,
    /// Whether an image has the layer, too.
    pub is_shared: bool,
    /// Whether somebody is at work with the layer.
    pub is_in_use: bool,
}

impl Store {
    /// The layer that a step with this key, or with a key that this is an alias of, left. It may be gone a moment later: see
    /// [`Lease::use_cached_steps`].
    ///
    /// # Errors
    /// Failures of the database.
    pub fn cached_layer(&self, key: &Digest) -> Result<Option<CachedLayer>, StoreError> {
        let found = self.read("read build cache", |tx| cached_layer(tx, key))?;
        Ok(found.map(|(cached, _)| cached))
    }

    /// What decided the result of the step at this place that was used last, and its description.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn cached_inputs(&self, place: &Digest) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        self.read("read build cache", |tx| {
            tx.row(
                "SELECT s.description, i.inputs FROM cached_steps s JOIN cached_inputs i USING (key)
                 WHERE s.place = ?1 ORDER BY s.used_us DESC, s.key LIMIT 1",
                [place.as_str()],
                |cells| Ok((cells.text(0)?, cells.bytes(1)?)),
            )
        })
    }

    /// All records, the one used last first.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn cached_steps(&self) -> Result<Vec<CachedStep>, StoreError> {
        self.read("read build cache", all)
    }
}

impl Lease {
    /// Takes records for use: keeps their layers from collection as long as the lease lives, and
    /// notes that they were used, in one go. `None` for those that are gone; those whose layers are
    /// not here whole go.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn use_cached_steps(
        &self,
        keys: &[Digest],
    ) -> Result<Vec<Option<LayerRecord>>, StoreError> {
        let store = self.store();
        store.write("use build cache", Durability::Fleeting, |tx| {
            let mut held = Vec::with_capacity(keys.len());
            for key in keys {
                let Some((CachedLayer { layer, .. }, key)) = cached_layer(tx, key)? else {
                    held.push(None);
                    continue;
                };
                if !self.is_whole(&layer) {
                    tx.execute("DELETE FROM cached_steps WHERE key = ?1", [key.as_str()])?;
                    held.push(None);
                    continue;
                }
                self.insert_claim(tx, layer.diff_id.digest())?;
                tx.execute(
                    "UPDATE cached_steps SET used_us = ?2, uses = uses + 1 WHERE key = ?1",
                    (key.as_str(), now_us()),
                )?;
                held.push(Some(layer));
            }
            Ok(held)
        })
    }

    /// Lets `alias` mean the record of `key` from now on: what decides a step's result at a glance
    /// for what decides it in the end.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn put_cached_alias(&self, alias: &Digest, key: &Digest) -> Result<(), StoreError> {
        let store = self.store();
        store.write("record build step", Durability::Fleeting, |tx| {
            tx.execute(
                "INSERT INTO cached_aliases (alias, key) SELECT ?1, key FROM cached_steps WHERE key = ?2
                 ON CONFLICT (alias) DO UPDATE SET key = excluded.key",
                (alias.as_str(), key.as_str()),
            )?;
            Ok(())
        })
    }

    /// Records a step that was carried out, in the place of a record with the same key.
    ///
    /// # Errors
    /// [`StoreError::LayerMissing`], [`StoreError::CacheInputs`], failures of the database.
    pub fn put_cached_step(&self, new: &NewCachedStep<'_>) -> Result<(), StoreError> {
        let size_bytes = new.inputs.len() as u64;
        if size_bytes > limits::CACHE_INPUT_BYTES {
            return Err(StoreError::CacheInputs {
                size_bytes,
                limit_bytes: limits::CACHE_INPUT_BYTES,
            });
        }
        let (key, diff_id) = (new.key.as_str(), new.layer.digest().as_str());
        let store = self.store();
        store.write("record build step", Durability::Fleeting, |tx| {
            if tx.number("SELECT count(*) FROM layers WHERE diff_id = ?1", [diff_id])? == 0 {
                return Err(StoreError::LayerMissing { diff_id: new.layer.clone() });
            }
            tx.execute(
                "INSERT INTO cached_steps (key, diff_id, newest_secs, place, description, created_us, used_us, uses)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0)
                 ON CONFLICT (key) DO UPDATE SET diff_id = excluded.diff_id,
                   newest_secs = excluded.newest_secs, place = excluded.place,
                   description = excluded.description, created_us = excluded.created_us,
                   used_us = excluded.used_us",
                (key, diff_id, new.newest_secs, new.place.as_str(), new.description, now_us()),
            )?;
            if !new.inputs.is_empty() {
                tx.execute(
                    "INSERT INTO cached_inputs (key, inputs) VALUES (?1, ?2)
                     ON CONFLICT (key) DO UPDATE SET inputs = excluded.inputs",
                    (key, new.inputs),
                )?;
            }
            tx.execute(
                "DELETE FROM cached_inputs WHERE key IN (SELECT key FROM cached_steps
                   WHERE place = ?1 ORDER BY used_us DESC, key LIMIT -1 OFFSET ?2)",
                (new.place.as_str(), INPUTS_PER_PLACE),
            )?;
            Ok(())
        })
    }
}

/// The record that a key or an alias of it names, and its key.
fn cached_layer(tx: &Tx<'_>, key: &Digest) -> Result<Option<(CachedLayer, Digest)>, StoreError> {
    tx.row(
        "SELECT l.diff_id, l.tar_bytes, l.content_bytes, l.entries, s.newest_secs, s.key
         FROM cached_steps s JOIN layers l USING (diff_id)
         WHERE s.key = coalesce((SELECT key FROM cached_aliases WHERE alias = ?1), ?1)",
        [key.as_str()],
        |cells| {
            let cached = CachedLayer {
                layer: layer_of_cells(cells)?,
                newest_secs: cells.maybe_integer(4)?,
            };
            Ok((cached, cells.parsed(5, "cached_steps.key")?))
        },
    )
}

pub(crate) fn all(tx: &Tx<'_>) -> Result<Vec<CachedStep>, StoreError> {
    tx.rows(
        "SELECT l.diff_id, l.tar_bytes, l.content_bytes, l.entries, s.key, s.place, s.description,
           s.created_us, s.used_us, s.uses,
           EXISTS (SELECT 1 FROM image_layers i WHERE i.diff_id = s.diff_id),
           EXISTS (SELECT 1 FROM claims c WHERE c.digest = s.diff_id)
         FROM cached_steps s JOIN layers l USING (diff_id) ORDER BY s.used_us DESC, s.key",
        [],
        step_of_cells,
    )
}

fn step_of_cells(cells: &Cells<'_, '_>) -> Result<CachedStep, StoreError> {
    Ok(CachedStep {
        layer: layer_of_cells(cells)?,
        key: cells.parsed(4, "cached_steps.key")?,
        place: cells.parsed(5, "cached_steps.place")?,
        description: cells.text(6)?,
        created: cells.time(7)?.unwrap_or_default(),
        used: cells.time(8)?.unwrap_or_default(),
        uses: cells.size(9)?,
        is_shared: cells.integer(10)? != 0,
        is_in_use: cells.integer(11)? != 0,
    })
}
