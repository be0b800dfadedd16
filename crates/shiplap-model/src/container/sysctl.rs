//! `--sysctl`: kernel parameters that a container has of its own.

/// Parameters of the IPC namespace.
const NAMES: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Those of the network and IPC namespaces.
const PREFIXES: [&str; 2] = ["net.", "fs.mqueue."];

/// Why a parameter can't be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// It is the whole machine's, or has no value.
    #[error("sysctl '{0}' is not allowed")]
    NotAllowed(String),
}

/// Reads `net.core.somaxconn=1024`.
///
/// # Errors
/// [`SysctlError`].
pub fn parse(text: &str) -> Result<(String, String), SysctlError> {
    let is_own = |name: &str| {
        // It becomes a path.
        let is_plain = !name.contains('/') && name.split('.').all(|part| !part.is_empty());
        let is_known =
            NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        is_plain && is_known
    };
    match text.split_once('=') {
        Some((name, value)) if is_own(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(SysctlError::NotAllowed(text.to_owned())),
    }
}
