//! Compressed forms of layers: what registries call a layer that is here as a tar.
//!
//! Recorded only by whoever saw both digests verified on the same bytes. A manifest's pairing of
//! a blob with a DiffID proves nothing: an image that lies could make a push of an honest one send
//! a foreign blob.

use shiplap_model::reference::Repository;
use shiplap_model::{DiffId, Digest};

use crate::database::{Durability, signed};
use crate::error::StoreError;
use crate::image::now_us;
use crate::record::CompressedForm;
use crate::store::Store;

impl Store {
    /// Records a compressed form of a layer and where it was seen; what was known before stays.
    ///
    /// # Errors
    /// [`StoreError::LayerMissing`] for a layer that is not recorded,
    /// [`StoreError::BlobMissing`] for a kept form that is not there.
    pub fn record_compressed(
        &self,
        diff_id: &DiffId,
        form: &CompressedForm,
    ) -> Result<(), StoreError> {
        let path = self.layout().blob(&form.digest)?;
        self.write("record compressed form", Durability::Fleeting, |tx| {
            if tx.number("SELECT count(*) FROM layers WHERE diff_id = ?1", [diff_id.digest().as_str()])? == 0 {
                return Err(StoreError::LayerMissing { diff_id: diff_id.clone() });
            }
            if form.kept && !path.is_file() {
                return Err(StoreError::BlobMissing { digest: form.digest.clone() });
            }
            tx.execute(
                "INSERT INTO compressed (diff_id, digest, size_bytes, media_type, kept) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (diff_id, digest) DO UPDATE SET media_type = excluded.media_type,
                   kept = max(kept, excluded.kept)",
                (
                    diff_id.digest().as_str(),
                    form.digest.as_str(),
                    signed(form.size_bytes),
                    &form.media_type,
                    form.kept,
                ),
            )?;
            for repository in &form.locations {
                tx.execute(
                    "INSERT INTO locations (digest, repository, seen_us) VALUES (?1, ?2, ?3)
                     ON CONFLICT (digest, repository) DO UPDATE SET seen_us = excluded.seen_us",
                    (form.digest.as_str(), repository.to_string(), now_us()),
                )?;
            }
            Ok(())
        })
    }

    /// Forgets that a repository has a blob, since it turned out not to.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn forget_location(
        &self,
        digest: &Digest,
        repository: &Repository,
    ) -> Result<(), StoreError> {
        self.write("forget location", Durability::Fleeting, |tx| {
            tx.execute(
                "DELETE FROM locations WHERE digest = ?1 AND repository = ?2",
                (digest.as_str(), repository.to_string()),
            )?;
            Ok(())
        })
    }

    /// The known compressed forms of a layer, kept ones first, then the smallest.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn compressed_forms(&self, diff_id: &DiffId) -> Result<Vec<CompressedForm>, StoreError> {
        self.read("read compressed forms", |tx| {
            let mut forms = tx.rows(
                "SELECT digest, size_bytes, media_type, kept FROM compressed WHERE diff_id = ?1
                 ORDER BY kept DESC, size_bytes, digest",
                [diff_id.digest().as_str()],
                |cells| {
                    Ok(CompressedForm {
                        digest: cells.parsed(0, "compressed.digest")?,
                        size_bytes: cells.size(1)?,
                        media_type: cells.text(2)?,
                        kept: cells.integer(3)? != 0,
                        locations: Vec::new(),
                    })
                },
            )?;
            for form in &mut forms {
                form.locations = tx.rows(
                    "SELECT repository FROM locations WHERE digest = ?1 ORDER BY seen_us DESC, repository",
                    [form.digest.as_str()],
                    |cells| cells.parsed(0, "locations.repository"),
                )?;
            }
            Ok(forms)
        })
    }

    /// The layer that a compressed blob is known to hold, if that layer is here.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn layer_of_compressed(&self, digest: &Digest) -> Result<Option<DiffId>, StoreError> {
        self.read("read compressed form", |tx| {
            tx.row(
                "SELECT diff_id FROM compressed WHERE digest = ?1 LIMIT 1",
                [digest.as_str()],
                |cells| cells.parsed(0, "compressed.diff_id"),
            )
        })
    }
}
