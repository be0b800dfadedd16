//! Checking a store from the ground up, and repairing it.
//!
//! Every blob is hashed, every index compared with its tar, every record with what it names.
//! Checking runs beside other processes. Repair wants the store for itself: it rebuilds a lost or
//! damaged database and damaged indexes, takes corrupt blobs away together with the images that
//! can't live without them (and names those), and collects what nothing needs.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use shiplap_model::digest::DigestError;
use shiplap_model::reference::Reference;
use shiplap_model::{DiffId, Digest, ImageId};

use crate::database::{Durability, Tx};
use crate::error::StoreError;
use crate::layout::Layout;
use crate::lease::record_layer;
use crate::names;
use crate::rebuild::{layers_of_configs, new_index, rebuild};
use crate::record::LayerRecord;
use crate::remove::is_needed;
use crate::store::{Access, Store, layer_of_cells, make_directories, open_lock};
use crate::survey::{BlobState, IndexState, LayerPort, Survey};

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Blobs, but no database.
    #[error("database {path} is gone")]
    DatabaseLost {
        /// Where it should be.
        path: PathBuf,
    },
    /// SQLite finds fault with the database.
    #[error("database {path} is damaged: {reason}")]
    DatabaseDamaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// A blob is not what its name says.
    #[error("blob {path} is damaged: {source}")]
    BlobCorrupt {
        /// The file.
        path: PathBuf,
        /// What it is.
        source: DigestError,
    },
    /// A record names a blob that is not there.
    #[error("blob {digest} is gone")]
    BlobMissing {
        /// The blob.
        digest: Digest,
    },
    /// A layer has no index.
    #[error("index of layer {diff_id} is gone")]
    IndexMissing {
        /// The layer.
        diff_id: DiffId,
    },
    /// The index of a layer is not one of its tar.
    #[error("index of layer {diff_id} is damaged: {reason}")]
    IndexCorrupt {
        /// The layer.
        diff_id: DiffId,
        /// What is wrong.
        reason: String,
    },
    /// The tar of a layer is what its name says, but none that an index can be made of.
    #[error("layer {diff_id} can't be read: {reason}")]
    LayerUnreadable {
        /// The layer.
        diff_id: DiffId,
        /// Why.
        reason: String,
    },
    /// The record of a layer has wrong numbers.
    #[error("record of layer {diff_id} is wrong")]
    LayerRecordWrong {
        /// The layer.
        diff_id: DiffId,
    },
    /// An image lacks content. Repair takes its record away: it has to be pulled again.
    #[error("image {id} ({}) lacks content", listed(tags))]
    ImageLost {
        /// The image.
        id: ImageId,
        /// Its tags.
        tags: Vec<Reference>,
    },
    /// `tags.json` is not what the database says.
    #[error("saved names {path} are not up to date")]
    NamesStale {
        /// The file.
        path: PathBuf,
    },
    /// A file that nothing names: what a dead process left. Collection removes it.
    #[error("file {path} belongs to nothing")]
    Orphan {
        /// The file.
        path: PathBuf,
    },
    /// A file that no store makes. It stays.
    #[error("file {path} is not the store's")]
    Stranger {
        /// The file.
        path: PathBuf,
    },
}

fn listed(tags: &[Reference]) -> String {
    if tags.is_empty() {
        return "without a tag".to_owned();
    }
    tags.iter()
        .map(Reference::familiar)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Fault {
    /// Whether the store is unsound by it; otherwise it is only untidy.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        !matches!(
            self,
            Self::Orphan { .. } | Self::Stranger { .. } | Self::NamesStale { .. }
        )
    }
}

/// One fault, and whether it was repaired.
#[derive(Debug)]
pub struct Finding {
    /// What is wrong, or was.
    pub fault: Fault,
    /// Whether it was repaired; for lost images and corrupt blobs: taken away.
    pub is_repaired: bool,
}

impl Finding {
    pub(crate) fn left(fault: Fault) -> Self {
        Self {
            fault,
            is_repaired: false,
        }
    }

    pub(crate) fn repaired(fault: Fault) -> Self {
        Self {
            fault,
            is_repaired: true,
        }
    }
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Faults, repaired or not.
    pub findings: Vec<Finding>,
    /// Blobs that were read.
    pub blobs: u64,
    /// Bytes that were read and hashed.
    pub read_bytes: u64,
    /// Layers whose index was compared with the tar.
    pub layers: u64,
}

impl CheckReport {
    /// Whether no damage is left. Untidiness is none.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.is_repaired || !finding.fault.is_damage())
    }
}

/// Checks the store in `root`, also one that [`Store::open`] refuses; with `repair`, puts right
/// what can be. `progress` gets the bytes read and those to read, from several threads.
///
/// # Errors
/// [`StoreError::NoStore`], [`StoreError::InUse`] for repair beside other processes,
/// [`StoreError::SchemaNewer`], and failures of disk and database; not what the report tells.
pub fn check(
    root: &Path,
    repair: bool,
    port: &dyn LayerPort,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<CheckReport, StoreError> {
    let layout = Layout::new(root);
    if !layout.blobs().is_dir() {
        return Err(StoreError::NoStore {
            root: root.to_owned(),
        });
    }
    let lock = if repair {
        Some(lock_alone(&layout)?)
    } else {
        None
    };
    let mut report = CheckReport::default();
    let opened = open_sound(&layout, lock.as_ref())?;
    let mut survey = Survey::of_blobs(&layout, progress)?;
    let store = match opened {
        Ok(store) => store,
        Err(fault) => {
            report.findings.push(Finding {
                fault,
                is_repaired: repair,
            });
            let Some(lock) = &lock else {
                let layers = layers_of_configs(&layout, &survey);
                survey.add_indexes(&layout, &layers, port);
                tell_of_blobs(&survey, &mut report);
                return Ok(report);
            };
            rebuild(&layout, &mut survey, port, &mut report.findings)?;
            Store::open_locked(layout.clone(), Access::Write, clone_of(lock, &layout)?)?
        }
    };
    let layers = read_layers(&store)?;
    let unread: BTreeSet<DiffId> = layers
        .iter()
        .map(|layer| layer.diff_id.clone())
        .filter(|layer| !survey.indexes.contains_key(layer))
        .collect();
    survey.add_indexes(&layout, &unread, port);
    check_blobs(&store, &survey, &layers, repair, &mut report.findings)?;
    check_layers(
        &store,
        &survey,
        &layers,
        repair.then_some(port),
        &mut report.findings,
    )?;
    check_names(&store, repair, &mut report.findings)?;
    find_orphans(&store, &survey, repair, &mut report.findings)?;
    report.blobs = survey.blobs.len() as u64;
    report.read_bytes = survey.read_bytes;
    report.layers = survey.indexes.len() as u64;
    Ok(report)
}

fn lock_alone(layout: &Layout) -> Result<File, StoreError> {
    make_directories(layout)?;
    let lock = open_lock(layout, Access::Write)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse {
            root: layout.root().to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => {
            Err(StoreError::io("lock", &layout.store_lock())(source))
        }
    }
}

/// Another handle of the same flock.
fn clone_of(lock: &File, layout: &Layout) -> Result<File, StoreError> {
    lock.try_clone()
        .map_err(StoreError::io("lock", &layout.store_lock()))
}

/// The store, or the fault that asks for a new database.
fn open_sound(layout: &Layout, alone: Option<&File>) -> Result<Result<Store, Fault>, StoreError> {
    let opened = match alone {
        Some(lock) => Store::open_locked(layout.clone(), Access::Write, clone_of(lock, layout)?),
        None => Store::open(layout.root(), Access::Read),
    };
    let damaged = |reason| {
        Ok(Err(Fault::DatabaseDamaged {
            path: layout.database(),
            reason,
        }))
    };
    let store = match opened {
        Ok(store) => store,
        Err(StoreError::DatabaseLost { path }) => return Ok(Err(Fault::DatabaseLost { path })),
        Err(StoreError::DatabaseDamaged { reason, .. }) => return damaged(reason),
        Err(error) => return Err(error),
    };
    match store.database().integrity() {
        Ok(faults) if faults.is_empty() => Ok(Ok(store)),
        Ok(faults) => damaged(faults.join("; ")),
        Err(StoreError::DatabaseDamaged { reason, .. }) => damaged(reason),
        Err(StoreError::Database { source, .. }) => damaged(source.to_string()),
        Err(error) => Err(error),
    }
}

/// All that can be said without records.
fn tell_of_blobs(survey: &Survey, report: &mut CheckReport) {
    for state in survey.blobs.values() {
        if let BlobState::Corrupt(path, source) = state {
            let (path, source) = (path.clone(), source.clone());
            report
                .findings
                .push(Finding::left(Fault::BlobCorrupt { path, source }));
        }
    }
    report.blobs = survey.blobs.len() as u64;
    report.read_bytes = survey.read_bytes;
    report.layers = survey.indexes.len() as u64;
}

fn read_layers(store: &Store) -> Result<Vec<LayerRecord>, StoreError> {
    store.read("read layers", |tx| {
        tx.rows(
            "SELECT diff_id, tar_bytes, content_bytes, entries FROM layers",
            [],
            layer_of_cells,
        )
    })
}

/// Blobs that are not what they should be, and what that costs.
fn check_blobs(
    store: &Store,
    survey: &Survey,
    layers: &[LayerRecord],
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let recorded: Vec<Digest> = store.read("read blobs", |tx| {
        tx.rows(
            "SELECT digest FROM image_blobs UNION SELECT digest FROM compressed WHERE kept",
            [],
            |cells| cells.parsed(0, "image_blobs.digest"),
        )
    })?;
    let named: BTreeSet<&Digest> = recorded
        .iter()
        .chain(layers.iter().map(|layer| layer.diff_id.digest()))
        .collect();
    let mut bad = Vec::new();
    for digest in named {
        let is_here = store.has_blob(digest);
        // What is here now came, or what is needed no more went, since the survey.
        let is_missing = !is_here && store.read("read blobs", |tx| is_needed(tx, digest))?;
        if is_missing {
            findings.push(Finding {
                fault: Fault::BlobMissing {
                    digest: digest.clone(),
                },
                is_repaired: repair,
            });
            bad.push(digest.clone());
        }
    }
    for (digest, state) in &survey.blobs {
        if let BlobState::Corrupt(path, source) = state
            && path.exists()
        {
            let fault = Fault::BlobCorrupt {
                path: path.clone(),
                source: source.clone(),
            };
            findings.push(Finding {
                fault,
                is_repaired: repair,
            });
            bad.push(digest.clone());
        }
    }
    for digest in &bad {
        let lost = if repair {
            let lost = store.write("take away", Durability::Durable, |tx| take_away(tx, digest))?;
            store.discard(&store.new_lease()?, std::slice::from_ref(digest))?;
            lost
        } else {
            store.read("read images", |tx| images_lost_with(tx, digest))?
        };
        for (id, tags) in lost {
            findings.push(Finding {
                fault: Fault::ImageLost { id, tags },
                is_repaired: repair,
            });
        }
    }
    Ok(())
}

type LostImages = Vec<(ImageId, Vec<Reference>)>;

/// Images that can't live without a blob: it is a layer, the config, or the only manifest.
fn images_lost_with(tx: &Tx<'_>, digest: &Digest) -> Result<LostImages, StoreError> {
    let ids: Vec<ImageId> = tx.rows(
        "SELECT image FROM image_layers WHERE diff_id = ?1
         UNION SELECT image FROM image_blobs WHERE digest = ?1 AND role = 'config'
         UNION SELECT image FROM image_blobs b WHERE digest = ?1 AND role = 'manifest' AND NOT EXISTS
           (SELECT 1 FROM image_blobs o WHERE o.image = b.image AND o.role = 'manifest' AND o.digest <> ?1)",
        [digest.as_str()],
        |cells| cells.parsed(0, "image_layers.image"),
    )?;
    ids.into_iter()
        .map(|id| {
            let tags = tx.rows(
                "SELECT reference FROM tags WHERE image = ?1 ORDER BY reference",
                [id.digest().as_str()],
                |cells| cells.parsed(0, "tags.reference"),
            )?;
            Ok((id, tags))
        })
        .collect()
}

/// Removes every record of a blob, with the images lost by it.
fn take_away(tx: &Tx<'_>, digest: &Digest) -> Result<LostImages, StoreError> {
    let lost = images_lost_with(tx, digest)?;
    for (id, _) in &lost {
        for table in ["tags", "repo_digests"] {
            tx.execute(
                &format!("DELETE FROM {table} WHERE image = ?1"),
                [id.digest().as_str()],
            )?;
        }
        tx.execute("DELETE FROM images WHERE id = ?1", [id.digest().as_str()])?;
    }
    tx.execute(
        "DELETE FROM image_blobs WHERE digest = ?1",
        [digest.as_str()],
    )?;
    tx.execute("DELETE FROM layers WHERE diff_id = ?1", [digest.as_str()])?;
    tx.execute(
        "UPDATE tags SET index_digest = NULL WHERE index_digest = ?1",
        [digest.as_str()],
    )?;
    tx.execute(
        "UPDATE compressed SET kept = 0 WHERE digest = ?1",
        [digest.as_str()],
    )?;
    // Repair is alone: whoever claimed it is dead.
    tx.execute("DELETE FROM claims WHERE digest = ?1", [digest.as_str()])?;
    Ok(lost)
}

/// Indexes and numbers of layers whose tars are sound.
fn check_layers(
    store: &Store,
    survey: &Survey,
    layers: &[LayerRecord],
    repair: Option<&dyn LayerPort>,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let lease = if repair.is_some() {
        Some(store.new_lease()?)
    } else {
        None
    };
    for layer in layers {
        let diff_id = &layer.diff_id;
        let Some(BlobState::Sound(tar_bytes)) = survey.blobs.get(diff_id.digest()) else {
            continue;
        };
        let mut facts = None;
        let fault = match survey.indexes.get(diff_id) {
            Some(IndexState::Sound(found)) => {
                facts = Some(*found);
                None
            }
            Some(IndexState::Corrupt(reason)) => Some(Fault::IndexCorrupt {
                diff_id: diff_id.clone(),
                reason: reason.clone(),
            }),
            Some(IndexState::Missing) | None => Some(Fault::IndexMissing {
                diff_id: diff_id.clone(),
            }),
        };
        if let Some(fault) = fault {
            if store.layer(diff_id)?.is_none() {
                continue;
            }
            let built = repair
                .zip(lease.as_ref())
                .map(|(port, lease)| new_index(lease, diff_id, port));
            findings.push(Finding {
                fault,
                is_repaired: matches!(built, Some(Ok(_))),
            });
            match built {
                Some(Ok(found)) => facts = Some(found),
                Some(Err(reason)) => {
                    findings.push(Finding::left(Fault::LayerUnreadable {
                        diff_id: diff_id.clone(),
                        reason,
                    }));
                }
                None => {}
            }
        }
        let Some(facts) = facts else { continue };
        let right = LayerRecord {
            diff_id: diff_id.clone(),
            tar_bytes: *tar_bytes,
            content_bytes: facts.content_bytes,
            entries: facts.entries,
        };
        if right != *layer {
            findings.push(Finding {
                fault: Fault::LayerRecordWrong {
                    diff_id: diff_id.clone(),
                },
                is_repaired: repair.is_some(),
            });
            if repair.is_some() {
                correct_layer(store, &right)?;
            }
        }
    }
    Ok(())
}

fn correct_layer(store: &Store, right: &LayerRecord) -> Result<(), StoreError> {
    store.write("correct layer", Durability::Durable, |tx| {
        record_layer(tx, right)?;
        tx.execute(
            "UPDATE images SET content_bytes = (SELECT coalesce(sum(l.content_bytes), 0)
               FROM image_layers i JOIN layers l USING (diff_id) WHERE i.image = images.id)
             WHERE id IN (SELECT image FROM image_layers WHERE diff_id = ?1)",
            [right.diff_id.digest().as_str()],
        )?;
        Ok(())
    })
}

fn check_names(store: &Store, repair: bool, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    let recorded = store.read("read names", names::recorded)?;
    let is_stale = names::load(store.layout())
        .map_or(recorded != names::Names::none(), |saved| saved != recorded);
    if is_stale {
        findings.push(Finding {
            fault: Fault::NamesStale {
                path: store.layout().names(),
            },
            is_repaired: repair,
        });
        if repair {
            store.write("save names", Durability::Fleeting, |tx| {
                names::save(tx, store.layout())
            })?;
        }
    }
    Ok(())
}

fn find_orphans(
    store: &Store,
    survey: &Survey,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let mut orphans: Vec<PathBuf> = Vec::new();
    store.read("find orphans", |tx| {
        for digest in survey.blobs.keys().filter(|digest| survey.is_sound(digest)) {
            if !is_needed(tx, digest)? {
                orphans.push(store.layout().blob(digest)?);
            }
        }
        for (path, diff_id) in &survey.derived {
            if !is_needed(tx, diff_id.digest())? {
                orphans.push(path.clone());
            }
        }
        Ok::<_, StoreError>(())
    })?;
    orphans.retain(|path| path.exists());
    if repair {
        store.collect()?;
    }
    for path in orphans {
        let is_repaired = !path.exists();
        findings.push(Finding {
            fault: Fault::Orphan { path },
            is_repaired,
        });
    }
    findings.extend(
        survey
            .strangers
            .iter()
            .map(|path| Finding::left(Fault::Stranger { path: path.clone() })),
    );
    Ok(())
}
