//! Tags that name an index: what a build for several platforms leaves. One of its images is what the tag
//! means to whoever wants an image; the others are its parts, and stay as long as it does.

use shiplap_model::reference::Reference;
use shiplap_model::{Digest, ImageId};

use crate::database::Tx;
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// The index that a tag names; `None` if it names an image alone, or is none.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn named_index(&self, tag: &Reference) -> Result<Option<Digest>, StoreError> {
        let named = self.read("find index", |tx| {
            tx.row(
                "SELECT index_digest FROM tags WHERE reference = ?1",
                [tag.or_latest().to_string()],
                |cells| cells.maybe_parsed(0, "tags.index_digest"),
            )
        })?;
        Ok(named.flatten())
    }

    /// Images that were chosen from, or built as parts of, an index.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn index_images(&self, index: &Digest) -> Result<Vec<ImageId>, StoreError> {
        self.read("find images of index", |tx| images_of(tx, index))
    }
}

pub(crate) fn images_of(tx: &Tx<'_>, index: &Digest) -> Result<Vec<ImageId>, StoreError> {
    tx.rows(
        "SELECT image FROM image_blobs WHERE digest = ?1 AND role = 'index' ORDER BY image",
        [index.as_str()],
        |cells| cells.parsed(0, "image_blobs.image"),
    )
}

/// Tags whose index the image is of, but which name another one of it.
pub(crate) fn tags_of_part(tx: &Tx<'_>, id: &ImageId) -> Result<Vec<Reference>, StoreError> {
    tx.rows(
        "SELECT t.reference FROM tags t JOIN image_blobs b ON b.digest = t.index_digest
         WHERE b.role = 'index' AND b.image = ?1 AND t.image <> ?1 ORDER BY t.reference",
        [id.digest().as_str()],
        |cells| cells.parsed(0, "tags.reference"),
    )
}

/// Lets these tags name their own image alone.
pub(crate) fn release(tx: &Tx<'_>, tags: &[Reference]) -> Result<(), StoreError> {
    for tag in tags {
        tx.execute(
            "UPDATE tags SET index_digest = NULL WHERE reference = ?1",
            [tag.to_string()],
        )?;
    }
    Ok(())
}
