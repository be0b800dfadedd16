//! Builds that were made or are being made: when, how they ended, and `builds/<id>/`, where the
//! builder keeps their logs. The store never looks inside.
//!
//! A build that is being made holds an flock on its directory; one that says "running" and holds
//! none was interrupted. The oldest go by themselves.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use shiplap_model::ImageId;

use crate::database::{Cells, Durability, Tx, signed};
use crate::error::StoreError;
use crate::image::now_us;
use crate::lease::remove_tree;
use crate::store::Store;

/// Builds that are remembered: some weeks of a busy person.
const KEPT: u32 = 200;

/// How a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BuildStatus {
    /// It is being made.
    Running,
    /// It was made.
    Completed,
    /// It failed.
    Failed,
    /// The user ended it, or its process died.
    Canceled,
}

impl BuildStatus {
    /// Docker's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "error",
            Self::Canceled => "canceled",
        }
    }

    fn from_record(word: &str) -> Option<Self> {
        [Self::Running, Self::Completed, Self::Failed, Self::Canceled]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRecord {
    /// Hex digits.
    pub id: String,
    /// What was built, as people call it.
    pub name: String,
    /// How it stands.
    pub status: BuildStatus,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What came of it.
    pub image: Option<ImageId>,
    /// How many steps it had.
    pub steps: u64,
    /// How many of them were taken from the cache.
    pub cached: u64,
}

/// A build that is being made. It counts as interrupted when this is dropped.
pub struct RunningBuild {
    store: Store,
    id: String,
    directory: PathBuf,
    /// Keeps the flock.
    _lock: File,
}

/// How a build ended.
#[derive(Debug, Clone)]
pub struct BuildEnd {
    /// How.
    pub status: BuildStatus,
    /// What came of it.
    pub image: Option<ImageId>,
    /// How many steps it had.
    pub steps: u64,
    /// How many of them were taken from the cache.
    pub cached: u64,
}

impl RunningBuild {
    /// Its ID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Records its end.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn end(&self, end: &BuildEnd) -> Result<(), StoreError> {
        self.store.write("record build", Durability::Fleeting, |tx| {
            tx.execute(
                "UPDATE builds SET status = ?2, ended_us = ?3, image = ?4, steps = ?5, cached = ?6 WHERE id = ?1",
                (
                    &self.id,
                    end.status.as_str(),
                    now_us(),
                    end.image.as_ref().map(|image| image.digest().as_str()),
                    signed(end.steps),
                    signed(end.cached),
                ),
            )?;
            Ok(())
        })
    }
}

impl Store {
    /// Records a build that begins, called `id`: up to 64 lowercase hex digits of the caller's
    /// choice. Those that began longest ago are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Record`] for another ID; I/O failures, failures of the database.
    pub fn begin_build(&self, id: &str, name: &str) -> Result<RunningBuild, StoreError> {
        let directory = self.build_path(id).ok_or_else(|| StoreError::Record {
            record: "builds.id",
            value: id.to_owned(),
        })?;
        self.must_write()?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(StoreError::io("make", &directory))?;
        let lock = File::open(&directory).map_err(StoreError::io("open", &directory))?;
        lock.lock().map_err(StoreError::io("lock", &directory))?;
        let old = self.write("record build", Durability::Fleeting, |tx| {
            tx.execute(
                "INSERT INTO builds (id, name, status, started_us, steps, cached) VALUES (?1, ?2, ?3, ?4, 0, 0)",
                (id, name, BuildStatus::Running.as_str(), now_us()),
            )?;
            tx.rows(
                "SELECT id FROM builds ORDER BY started_us DESC, id LIMIT -1 OFFSET ?1",
                [KEPT],
                |cells| cells.text(0),
            )
        })?;
        if !old.is_empty() {
            self.remove_builds(&old)?;
        }
        Ok(RunningBuild {
            store: self.clone(),
            id: id.to_owned(),
            directory,
            _lock: lock,
        })
    }

    /// All builds, the one that began last first.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn builds(&self) -> Result<Vec<BuildRecord>, StoreError> {
        let mut builds = self.read("list builds", all)?;
        for build in &mut builds {
            if build.status == BuildStatus::Running && !self.is_build_running(&build.id) {
                build.status = BuildStatus::Canceled;
            }
        }
        Ok(builds)
    }

    /// The directory of a build: `builds/<id>`.
    #[must_use]
    pub fn build_path(&self, id: &str) -> Option<PathBuf> {
        let is_hex = (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_hex.then(|| self.layout().builds().join(id))
    }

    fn is_build_running(&self, id: &str) -> bool {
        self.build_path(id)
            .and_then(|path| File::open(path).ok())
            .is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Forgets builds with their logs, but for those being made; how many.
    ///
    /// # Errors
    /// I/O failures, failures of the database.
    pub fn remove_builds(&self, ids: &[String]) -> Result<usize, StoreError> {
        let ended: Vec<_> = ids.iter().filter(|id| !self.is_build_running(id)).collect();
        let removed = self.write("forget builds", Durability::Fleeting, |tx| {
            let mut removed = 0;
            for id in &ended {
                removed += tx.execute("DELETE FROM builds WHERE id = ?1", [id])?;
            }
            Ok::<_, StoreError>(removed)
        })?;
        for path in ended.into_iter().filter_map(|id| self.build_path(id)) {
            remove_tree(&path)?;
        }
        Ok(removed)
    }
}

fn all(tx: &Tx<'_>) -> Result<Vec<BuildRecord>, StoreError> {
    tx.rows(
        "SELECT id, name, status, started_us, ended_us, image, steps, cached
         FROM builds ORDER BY started_us DESC, id",
        [],
        build_of_cells,
    )
}

fn build_of_cells(cells: &Cells<'_, '_>) -> Result<BuildRecord, StoreError> {
    let status = cells.text(2)?;
    Ok(BuildRecord {
        id: cells.text(0)?,
        name: cells.text(1)?,
        status: BuildStatus::from_record(&status).ok_or(StoreError::Record {
            record: "builds.status",
            value: status,
        })?,
        started: cells.time(3)?.unwrap_or_default(),
        ended: cells.time(4)?,
        image: cells.maybe_parsed(5, "builds.image")?,
        steps: cells.size(6)?,
        cached: cells.size(7)?,
    })
}
