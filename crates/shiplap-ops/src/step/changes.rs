//! What a step changed, and the layer that is made of it.
//!
//! As in BuildKit's layers, what only held a mount's place is left out, and so are directories and files
//! that are as they were; directories whose time alone changed count as that.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::thread;

use shiplap_layer::diff::{self, Times};
use shiplap_layer::tar::Writer;
use shiplap_store::{LayerRecord, Lease, StagedDirectory};

use super::StepError;
use super::helper::Helper;
use crate::container::changes::{OpenTree, Sameness, TreeError};
use crate::layer;

/// What a command changed; thrown away unless it is made a layer.
pub struct Changes {
    /// What ran it, and may still clear away.
    pub(super) helper: Option<Helper>,
    pub(super) tree: OpenTree,
    /// Where something was mounted.
    pub(super) targets: BTreeSet<Vec<u8>>,
    /// Has the upper directory in it.
    pub(super) directory: Option<StagedDirectory>,
    /// The upper directory, and what overlayfs needs beside it.
    pub(super) upper: PathBuf,
    pub(super) work: PathBuf,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes({:?})", self.upper)
    }
}

impl Changes {
    /// Makes a layer of them, held by `lease`; `None` if nothing changed.
    ///
    /// # Errors
    /// [`StepError`]; then nothing of it is in the store.
    pub fn into_layer(self, lease: &Lease, times: Times) -> Result<Option<LayerRecord>, StepError> {
        let changes = self.tree.changes_beside(&self.targets, Sameness::All)?;
        if changes.is_empty() {
            return Ok(None);
        }
        let make = |out: &mut dyn Write| -> Result<(), StepError> {
            let mut writer = Writer::new(out);
            diff::write(&changes, &self.tree.upper, times, &mut writer).map_err(TreeError::from)?;
            writer.finish().map_err(StepError::Write)?;
            Ok(())
        };
        layer::put(lease, make, StepError::Layer).map(Some)
    }
}

impl Drop for Changes {
    /// Nobody needs to wait until the kernel has taken the mounts apart and all files are gone. What
    /// this process leaves undone at its end goes with the lease.
    fn drop(&mut self) {
        let (helper, directory) = (self.helper.take(), self.directory.take());
        let clear_away = move || {
            drop(helper);
            drop(directory);
        };
        // Without a thread it is done at once.
        drop(thread::Builder::new().spawn(clear_away));
    }
}

/// Of a step's directory: its changes.
pub(super) const UPPER: &str = "upper";
/// Of a step's directory: what overlayfs needs.
pub(super) const WORK: &str = "work";

/// The layer without an entry, held by `lease`: what a step that changed nothing leaves in an image
/// that has one layer a step.
///
/// # Errors
/// [`StepError`].
pub fn empty_layer(lease: &Lease) -> Result<LayerRecord, StepError> {
    let make = |out: &mut dyn Write| -> Result<(), StepError> {
        Writer::new(out).finish().map_err(StepError::Write)?;
        Ok(())
    };
    layer::put(lease, make, StepError::Layer)
}
