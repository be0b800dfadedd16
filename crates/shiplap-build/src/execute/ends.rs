//! How stages end, and how others wait for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use shiplap_model::{ImageConfig, ImageId};
use shiplap_ops::step::Cancel;

use super::failure::Problem;
use super::session::PATIENCE;
use super::stage::StepFact;
use crate::plan::StageId;
use crate::remote_cache::RemoteStep;
use crate::result::ImageLayer;

/// What a stage ends with.
#[derive(Debug, Clone, Default)]
pub struct StageEnd {
    /// All layers, base first.
    pub layers: Vec<ImageLayer>,
    /// The image at its root.
    pub base: RootImage,
    /// How its own steps came out.
    pub facts: Vec<StepFact>,
    /// Its own steps, for others who share the cache.
    pub shared: Vec<RemoteStep>,
}

/// The image at the root of a stage.
#[derive(Debug, Clone, Default)]
pub struct RootImage {
    /// Its ID, if it is an image.
    pub id: Option<ImageId>,
    /// Its name; empty: none.
    pub name: String,
    /// Its config; of files that a stage begins with: layers without a history.
    pub config: Option<Arc<ImageConfig>>,
    /// How many layers it has.
    pub layers: usize,
    /// When it was made, in seconds since 1970.
    pub created_secs: Option<i64>,
}

/// How the stages of one plan end.
pub(super) struct Ends {
    slots: Mutex<Vec<Option<Arc<StageEnd>>>>,
    changed: Condvar,
}

impl Ends {
    pub(super) fn new(stages: usize) -> Self {
        Self {
            slots: Mutex::new(vec![None; stages]),
            changed: Condvar::new(),
        }
    }

    pub(super) fn put(&self, id: StageId, end: StageEnd) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(id.0) {
            *slot = Some(Arc::new(end));
        }
        self.changed.notify_all();
    }

    /// The end of a stage that somebody makes; an error once `cancel` was said.
    pub(super) fn wait(&self, id: StageId, cancel: &Cancel) -> Result<Arc<StageEnd>, Problem> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(Some(end)) = slots.get(id.0) {
                return Ok(Arc::clone(end));
            }
            if cancel.is_cancelled() {
                return Err(Problem::Canceled);
            }
            let waited = self.changed.wait_timeout(slots, PATIENCE);
            slots = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All of them, of stages that have ended.
    pub(super) fn into_ends(self) -> Vec<Option<Arc<StageEnd>>> {
        self.slots
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
