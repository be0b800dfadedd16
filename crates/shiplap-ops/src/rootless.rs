//! What makes an ordinary user root of their own containers: a user namespace that the whole
//! command enters before anything else.

use std::fs;
use std::io::Read;
use std::path::Path;

pub use shiplap_run::namespaces::{Ids, MapError, NamespaceError};
use shiplap_run::namespaces::{enter_user_namespace, join_user_namespace, map_ids_of};

use crate::container::{State, read_json};
use crate::context::Program;

/// Enters the user namespace of the containers that run in the store at `root`, or a new one if
/// none does; `None` if it was there already. To be called before any thread is started.
///
/// # Errors
/// [`NamespaceError`].
pub fn enter(root: &Path, program: &Program) -> Result<Option<Ids>, NamespaceError> {
    if let Some(pid) = running_process(root) {
        join_user_namespace(pid)?;
        return Ok(None);
    }
    let mut helper = program.command();
    helper.args(["system", "map-ids"]);
    enter_user_namespace(helper).map(Some)
}

/// The other side of [`enter`]: maps the IDs of the process that waits for it.
///
/// # Errors
/// [`MapError`].
pub fn map_ids(pid: i32, line: &mut impl Read) -> Result<(), MapError> {
    map_ids_of(pid, line)
}

/// A process of any container that runs.
fn running_process(root: &Path) -> Option<i32> {
    let entries = fs::read_dir(root.join("containers")).ok()?;
    entries.filter_map(Result::ok).find_map(|entry| {
        let state: State = read_json(&entry.path().join("state.json")).ok()?;
        let pid = state.pid?;
        let is_it = state.status.is_live() && state.is_process(pid);
        is_it.then_some(pid)
    })
}
