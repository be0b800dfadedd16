//! Images as lists show them and filters choose them: all of them, in as little work as possible. A
//! list of a thousand is read in a few milliseconds.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use shiplap_model::ImageId;

use crate::database::{Cells, Tx};
use crate::error::StoreError;
use crate::image::repo_digest_of_cells;
use crate::record::ImageLine;
use crate::store::Store;

impl Store {
    /// All images as lists need them, the newest first; equal times by ID. Labels only if they are
    /// wanted: they are read from JSON.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn image_lines(&self, labels: bool) -> Result<Vec<ImageLine>, StoreError> {
        self.read("list images", |tx| read_lines(tx, None, labels))
    }
}

/// One image or all, each table read once.
pub(crate) fn read_lines(
    tx: &Tx<'_>,
    only: Option<&ImageId>,
    labels: bool,
) -> Result<Vec<ImageLine>, StoreError> {
    let only = only.map(|id| id.digest().as_str());
    let (one, of_one) = if only.is_some() {
        ("id = ?1", "image = ?1")
    } else {
        ("?1 IS NULL", "?1 IS NULL")
    };
    let labels = if labels { "labels" } else { "'{}'" };
    let mut lines = tx.rows(
        &format!(
            "SELECT id, created_us, content_bytes, parent, {labels} FROM images WHERE {one} ORDER BY id"
        ),
        [only],
        line_of_cells,
    )?;
    tx.each(
        &format!("SELECT image, reference FROM tags WHERE {of_one} ORDER BY reference"),
        [only],
        |cells| {
            if let Some(line) = line_of(&mut lines, cells)? {
                line.tags.push(cells.parsed(1, "tags.reference")?);
            }
            Ok(())
        },
    )?;
    tx.each(
        &format!("SELECT image, repository, digest FROM repo_digests WHERE {of_one} ORDER BY repository, digest"),
        [only],
        |cells| {
            if let Some(line) = line_of(&mut lines, cells)? {
                line.repo_digests.push(repo_digest_of_cells(cells)?);
            }
            Ok(())
        },
    )?;
    // Such tags are few, so they come first: a cross join keeps that order.
    let of_part = if only.is_some() {
        "b.image = ?1"
    } else {
        "?1 IS NULL"
    };
    tx.each(
        &format!(
            "SELECT b.image FROM tags t CROSS JOIN image_blobs b ON b.digest = t.index_digest
             WHERE t.index_digest IS NOT NULL AND b.role = 'index' AND b.image <> t.image AND {of_part}"
        ),
        [only],
        |cells| {
            if let Some(line) = line_of(&mut lines, cells)? {
                line.is_part = true;
            }
            Ok(())
        },
    )?;
    tx.each(
        &format!("SELECT image, count(*) FROM containers WHERE {of_one} GROUP BY image"),
        [only],
        |cells| {
            if let Some(line) = line_of(&mut lines, cells)? {
                line.containers = cells.size(1)?;
            }
            Ok(())
        },
    )?;
    Ok(newest_first(lines))
}

/// The image whose ID is in the first column; `lines` are in the order of IDs.
fn line_of<'l>(
    lines: &'l mut [ImageLine],
    cells: &Cells<'_, '_>,
) -> Result<Option<&'l mut ImageLine>, StoreError> {
    let id = cells.borrowed(0)?;
    let place = lines.binary_search_by(|line| line.id.digest().as_str().cmp(id));
    Ok(place.ok().and_then(|place| lines.get_mut(place)))
}

/// Sorts images that come in the order of their IDs. Here it costs a fraction of what it costs the
/// database, which copies every row for it; and each is moved only once.
fn newest_first(lines: Vec<ImageLine>) -> Vec<ImageLine> {
    let mut places: Vec<_> = lines
        .iter()
        .map(|line| line.created)
        .zip(0_usize..)
        .collect();
    places.sort_by_key(|(created, _)| Reverse(*created));
    let mut lines: Vec<_> = lines.into_iter().map(Some).collect();
    let places = places.into_iter();
    places
        .filter_map(|(_, place)| lines.get_mut(place)?.take())
        .collect()
}

fn line_of_cells(cells: &Cells<'_, '_>) -> Result<ImageLine, StoreError> {
    let labels = match cells.borrowed(4)? {
        "{}" => BTreeMap::new(),
        labels => serde_json::from_str(labels).map_err(|_| StoreError::Record {
            record: "images.labels",
            value: labels.to_owned(),
        })?,
    };
    Ok(ImageLine {
        id: cells.parsed(0, "images.id")?,
        created: cells.time(1)?,
        content_bytes: cells.size(2)?,
        parent: cells.maybe_parsed(3, "images.parent")?,
        labels,
        tags: Vec::new(),
        repo_digests: Vec::new(),
        is_part: false,
        containers: 0,
    })
}
