//! `tags.json`: the names of images, kept a second time outside the database.
//!
//! Blobs tell everything about images but what users call them. So each change of a tag or
//! repository digest rewrites this small file whole (new file, sync, rename) within the
//! transaction that makes the change. Nobody reads it but repair, when the database is lost; a
//! process that dies between the rename and the commit leaves it one change ahead, a machine that
//! dies soon after may leave it one behind; the next change or `check` evens that out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::database::Tx;
use crate::error::StoreError;
use crate::layout::Layout;

/// Form of the file.
const VERSION: u32 = 1;

/// What the file holds, as text: it is written at every change of a name, and parsed once in a
/// store's life, if ever.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Names {
    version: u32,
    /// From tag to image ID.
    pub(crate) tags: BTreeMap<String, String>,
    /// From tag to the index that it names, if it names one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) indexes: BTreeMap<String, String>,
    /// From image ID to `repository@digest`.
    pub(crate) repo_digests: BTreeMap<String, Vec<String>>,
}

impl Names {
    /// What a store without names has.
    pub(crate) fn none() -> Self {
        Self {
            version: VERSION,
            ..Self::default()
        }
    }
}

/// The names in the database.
pub(crate) fn recorded(tx: &Tx<'_>) -> Result<Names, StoreError> {
    let tags = tx.rows("SELECT reference, image FROM tags", [], |cells| {
        Ok((cells.text(0)?, cells.text(1)?))
    })?;
    let indexes = tx.rows(
        "SELECT reference, index_digest FROM tags WHERE index_digest IS NOT NULL",
        [],
        |cells| Ok((cells.text(0)?, cells.text(1)?)),
    )?;
    let mut repo_digests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let rows = tx.rows(
        "SELECT image, repository || '@' || digest FROM repo_digests ORDER BY repository, digest",
        [],
        |cells| Ok((cells.text(0)?, cells.text(1)?)),
    )?;
    for (image, repo_digest) in rows {
        repo_digests.entry(image).or_default().push(repo_digest);
    }
    Ok(Names {
        version: VERSION,
        tags: tags.into_iter().collect(),
        indexes: indexes.into_iter().collect(),
        repo_digests,
    })
}

/// Writes the names as the transaction sees them. Only within a write transaction: it is also
/// what keeps two processes from writing at once.
pub(crate) fn save(tx: &Tx<'_>, layout: &Layout) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(&recorded(tx)?).unwrap_or_default();
    let path = layout.names();
    let new = path.with_extension("json.new");
    let write = || -> Result<(), StoreError> {
        let mut file = File::create(&new).map_err(StoreError::io("make", &new))?;
        file.write_all(&bytes)
            .map_err(StoreError::io("write", &new))?;
        file.sync_data().map_err(StoreError::io("sync", &new))?;
        std::fs::rename(&new, &path).map_err(StoreError::io("rename", &new))
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&new)))
}

/// The saved names; `None` if the file is not there or not sound.
pub(crate) fn load(layout: &Layout) -> Option<Names> {
    let bytes = std::fs::read(layout.names()).ok()?;
    serde_json::from_slice(&bytes).ok()
}
