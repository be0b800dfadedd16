//! Namespaces that Shiplap's own processes live in. Those of a container are the runtime's.

use std::fs;
use std::io;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use crate::sys;

/// Why a namespace can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// A mount namespace.
    #[error("make a mount namespace: {source}")]
    Mounts {
        /// What the kernel said.
        source: io::Error,
    },
}

/// Gives this process a view of its own of all mounts: what is mounted from now on is seen by
/// nobody outside, and gone when the last process in it is. Later mounts and unmounts outside are
/// followed. To be called before any thread is started.
///
/// # Errors
/// [`NamespaceError::Mounts`].
pub fn private_mounts() -> Result<(), NamespaceError> {
    let failed = |errno: rustix::io::Errno| NamespaceError::Mounts {
        source: errno.into(),
    };
    sys::unshare(UnshareFlags::NEWNS).map_err(failed)?;
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(failed)
}

/// Whether this process lives in a user namespace that is not the machine's first.
#[must_use]
pub fn in_user_namespace() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else {
        return false;
    };
    let fields: Vec<&str> = map.split_whitespace().collect();
    fields != ["0", "0", "4294967295"]
}
