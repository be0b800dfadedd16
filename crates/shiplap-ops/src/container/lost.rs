//! Containers whose supervisor ended before them: what is left of them is ended and cleared.

use rustix::process::Signal;

use super::control::{KILL_PATIENCE, dies_within};
use super::supervise::quiet;
use super::{Container, ContainerError, State, read_json};
use crate::context::Context;

/// Ends what is left of a container that nobody watches over, and records that it was lost.
/// The caller holds the container's lock.
pub(crate) fn clean(context: &Context, container: &Container) -> Result<(), ContainerError> {
    // Taken for good, so that nobody starts it meanwhile.
    let Some(_lock) = container.supervisor_lock()? else {
        return Ok(());
    };
    let state: State = read_json(&container.path("state.json"))?;
    if state.pid.is_none() {
        return Ok(());
    }
    if let Some(process) = container.process(&state) {
        // It may end by itself at this moment.
        let _ = rustix::process::pidfd_send_signal(&process, Signal::KILL);
        // If it does not, the runtime is asked next.
        let _ = dies_within(&process, Some(KILL_PATIENCE));
    }
    delete_leftovers(context, container);
    let state = if state.status.is_live() {
        state.lost()
    } else {
        state
    };
    container.write_state(&State { pid: None, ..state })
}

/// Has the runtime forget the container, as far as it knows of it.
fn delete_leftovers(context: &Context, container: &Container) {
    let Ok(runtime) = super::bundle::runtime(context, &container.facts) else {
        return;
    };
    let Ok(root) = super::bundle::runtime_root(context) else {
        return;
    };
    let deleted = quiet(runtime.delete(&root, container.id(), true)).status();
    if let Err(error) = deleted {
        tracing::warn!(%error, "the OCI runtime can't be called");
    }
}
