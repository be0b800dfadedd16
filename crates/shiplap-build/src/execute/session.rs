//! What all steps of a build share: the store's lease, the contexts, the images, layers that are
//! open, and how many steps may run at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use shiplap_ops::step::Cancel;
use shiplap_store::Lease;

use super::files::OpenLayers;
use crate::agents::Agents;
use crate::context::{Context, Surroundings};
use crate::images::BaseImage;
use crate::options::BuildOptions;
use crate::plan::ImageKey;
use crate::report::Reporter;

/// How often somebody who waits looks whether it is still wanted.
pub(crate) const PATIENCE: Duration = Duration::from_millis(20);

/// What all steps of a build share.
pub(crate) struct Session<'a> {
    pub(crate) ops: &'a shiplap_ops::Context,
    pub(crate) lease: &'a Lease,
    pub(crate) options: &'a BuildOptions,
    pub(crate) agents: &'a Agents,
    pub(crate) reporter: &'a Reporter<'a>,
    pub(crate) cancel: &'a Cancel,
    pub(crate) layers: OpenLayers,
    pub(crate) images: BTreeMap<ImageKey, BaseImage>,
    pub(crate) context: Arc<Context>,
    pub(crate) named: BTreeMap<String, Arc<Context>>,
    /// Where is remembered what files were.
    pub(crate) memories: PathBuf,
    /// What the Dockerfile is called.
    pub(crate) file: String,
    /// Which Dockerfile of which context it is: it tells apart the places of steps here.
    pub(crate) project: String,
    /// Nothing is later than so many seconds after 1970.
    pub(crate) at_most_secs: Option<i64>,
    /// The same if it was asked for. Only then it decides what is in the cache: each commit would
    /// repeat all steps, else.
    pub(crate) key_secs: Option<i64>,
    pub(crate) permits: Permits,
    /// Whether somebody has looked into the context.
    pub(crate) context_is_told: std::sync::Once,
}

impl<'a> Session<'a> {
    /// What sources from elsewhere are fetched with.
    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            ops: self.ops,
            lease: self.lease,
            memories: Some(&self.memories),
            agent: self.agents.of_git(),
        }
    }

    pub(crate) fn is_canceled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// How many steps may run at once.
pub(crate) struct Permits {
    free: Mutex<usize>,
    changed: Condvar,
}

/// The right to run a step.
pub(crate) struct Permit<'p>(&'p Permits);

impl Permits {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count.max(1)),
            changed: Condvar::new(),
        }
    }

    /// Waits for one; `None` once `cancel` was said.
    pub(crate) fn take(&self, cancel: &Cancel) -> Option<Permit<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if cancel.is_cancelled() {
                return None;
            }
            if *free > 0 {
                *free -= 1;
                return Some(Permit(self));
            }
            let waited = self.changed.wait_timeout(free, PATIENCE);
            free = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_one();
    }
}
