//! A new database from the blobs, when the old one is lost or damaged.
//!
//! Every manifest whose config and layers are here becomes an image again; `tags.json` gives the
//! names back. The new database takes the old one's place only when it is complete. Lost are
//! what blobs don't tell: parents, times of tagging, known compressed forms, and containers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shiplap_model::reference::Reference;
use shiplap_model::{DiffId, Digest, Document, ImageConfig, ImageId, limits};

use crate::check::{Fault, Finding};
use crate::database::{Durability, Tx};
use crate::error::StoreError;
use crate::image::{ImageFacts, NewImage, insert_image, insert_repo_digest, set_tags};
use crate::layout::Layout;
use crate::lease::{Lease, record_layer, remove_tree, sync_parent};
use crate::names::{self, Names};
use crate::record::{LayerRecord, RepoDigest};
use crate::store::{Access, Store, open_lock, read_document};
use crate::survey::{BlobState, IndexState, LayerFacts, LayerPort, Survey};

/// The documents among the blobs.
#[derive(Default)]
struct Documents {
    manifests: Vec<Digest>,
    /// For each manifest, the indexes that name it.
    indexes: BTreeMap<Digest, Vec<Digest>>,
    layers: BTreeSet<DiffId>,
}

/// Layers that any config among the blobs names: the tars that can be told from other blobs.
pub(crate) fn layers_of_configs(layout: &Layout, survey: &Survey) -> BTreeSet<DiffId> {
    documents(layout, survey).layers
}

/// Puts a complete new database in the place of the old one.
pub(crate) fn rebuild(
    layout: &Layout,
    survey: &mut Survey,
    port: &dyn LayerPort,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let documents = documents(layout, survey);
    survey.add_indexes(layout, &documents.layers, port);
    let new_path = layout.root().join("shiplap.db.new");
    remove_database(&new_path)?;
    let new_layout = layout.with_database(&new_path);
    // Not the store's own lock, which repair holds: this store is nobody else's.
    let own_lock = open_lock(&new_layout, Access::Write)?;
    let store = Store::with_any_database(new_layout, Access::Write, own_lock)?;
    let lease = store.new_lease()?;
    let mut records = Vec::new();
    for layer in &documents.layers {
        match layer_record(&lease, survey, layer, port) {
            Ok(Some(record)) => records.push(record),
            Ok(None) => {}
            Err(reason) => findings.push(Finding::left(Fault::LayerUnreadable {
                diff_id: layer.clone(),
                reason,
            })),
        }
    }
    let saved = names::load(layout).unwrap_or_default();
    store.write("rebuild", Durability::Durable, |tx| {
        for record in &records {
            record_layer(tx, record)?;
        }
        for manifest in &documents.manifests {
            insert_if_whole(tx, layout, manifest, &documents)?;
        }
        give_names(tx, &saved, findings)?;
        names::save(tx, layout)
    })?;
    drop(lease);
    store.database().fold_log()?;
    drop(store);
    for side in side_files(&new_path) {
        remove_tree(&side)?;
    }
    // The old log first: it must never be read as the new database's.
    let path = layout.database();
    for side in side_files(&path) {
        remove_tree(&side)?;
    }
    std::fs::rename(&new_path, &path).map_err(StoreError::io("rename", &new_path))?;
    sync_parent(&path)
}

fn documents(layout: &Layout, survey: &Survey) -> Documents {
    let mut found = Documents::default();
    for (digest, state) in &survey.blobs {
        let BlobState::Sound(size_bytes) = state else {
            continue;
        };
        if *size_bytes > limits::CONFIG_BYTES {
            continue;
        }
        let Ok(bytes) = read_document(layout, digest) else {
            continue;
        };
        if !bytes.trim_ascii_start().starts_with(b"{") {
            continue;
        }
        match Document::parse(&bytes, None) {
            Ok(Document::Manifest(_)) => found.manifests.push(digest.clone()),
            Ok(Document::Index(index)) => {
                for entry in index.manifests {
                    found
                        .indexes
                        .entry(entry.digest)
                        .or_default()
                        .push(digest.clone());
                }
            }
            Err(_) => {
                if let Ok(config) = ImageConfig::parse(&bytes) {
                    found.layers.extend(config.rootfs.diff_ids);
                }
            }
        }
    }
    found
}

/// The record of a layer with a sound tar, its index made anew where it isn't sound.
fn layer_record(
    lease: &Lease,
    survey: &Survey,
    layer: &DiffId,
    port: &dyn LayerPort,
) -> Result<Option<LayerRecord>, String> {
    let Some(BlobState::Sound(tar_bytes)) = survey.blobs.get(layer.digest()) else {
        return Ok(None);
    };
    let facts = match survey.indexes.get(layer) {
        Some(IndexState::Sound(facts)) => *facts,
        _ => new_index(lease, layer, port)?,
    };
    Ok(Some(LayerRecord {
        diff_id: layer.clone(),
        tar_bytes: *tar_bytes,
        content_bytes: facts.content_bytes,
        entries: facts.entries,
    }))
}

/// Makes the index of a layer from its tar.
pub(crate) fn new_index(
    lease: &Lease,
    layer: &DiffId,
    port: &dyn LayerPort,
) -> Result<LayerFacts, String> {
    let reason = |error: StoreError| error.to_string();
    let staged = lease.file().map_err(reason)?;
    let tar = lease.store().open_tar(layer).map_err(reason)?;
    let facts = port
        .build_index(&tar, staged.file())
        .map_err(|error| error.to_string())?;
    lease.commit_index(staged, layer).map_err(reason)?;
    Ok(facts)
}

/// Records the image of a manifest, if its config and all its layers are here.
fn insert_if_whole(
    tx: &Tx<'_>,
    layout: &Layout,
    manifest: &Digest,
    documents: &Documents,
) -> Result<(), StoreError> {
    // A manifest of something else, or of an image that was not pulled to its end.
    let Ok(facts) = ImageFacts::read(layout, manifest) else {
        return Ok(());
    };
    for layer in &facts.layers {
        if crate::store::layer_record(tx, layer)?.is_none() {
            return Ok(());
        }
    }
    let indexes = documents
        .indexes
        .get(manifest)
        .map_or(&[][..], Vec::as_slice);
    insert_image(
        tx,
        layout,
        &facts,
        &NewImage {
            indexes,
            ..NewImage::of(manifest)
        },
    )?;
    Ok(())
}

/// Gives back the saved names whose images are here; a name that can't be read is passed over.
fn give_names(tx: &Tx<'_>, saved: &Names, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    let is_here = |id: &ImageId| {
        let count = tx.number(
            "SELECT count(*) FROM images WHERE id = ?1",
            [id.digest().as_str()],
        )?;
        Ok::<_, StoreError>(count > 0)
    };
    for (name, id) in &saved.tags {
        let index = saved.indexes.get(name).and_then(|text| text.parse().ok());
        let (Ok(tag), Ok(id)) = (name.parse::<Reference>(), id.parse::<ImageId>()) else {
            continue;
        };
        if is_here(&id)? {
            set_tags(tx, &id, index.as_ref(), &[tag])?;
        } else {
            let tags = vec![tag];
            findings.push(Finding::repaired(Fault::ImageLost { id, tags }));
        }
    }
    for (id, repo_digests) in &saved.repo_digests {
        let Ok(id) = id.parse::<ImageId>() else {
            continue;
        };
        if !is_here(&id)? {
            continue;
        }
        for name in repo_digests {
            if let Ok(reference) = name.parse::<Reference>()
                && let Some(digest) = reference.digest().cloned()
            {
                let repository = reference.repository().clone();
                insert_repo_digest(tx, &id, &RepoDigest { repository, digest })?;
            }
        }
    }
    Ok(())
}

fn side_files(database: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|suffix| {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        path.into()
    })
}

fn remove_database(path: &Path) -> Result<(), StoreError> {
    side_files(path)
        .iter()
        .try_for_each(|side| remove_tree(side))?;
    remove_tree(path)
}
