//! The calls that need `unsafe`, each with its argument. Nothing else lives here.
#![allow(unsafe_code, reason = "the one place for it; each block is argued")]

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

/// Gives this thread, and those it starts from now on, namespaces of their own.
///
/// # Errors
/// What the kernel says; for flags beside namespaces, `EINVAL`.
pub(crate) fn unshare(namespaces: UnshareFlags) -> Result<(), Errno> {
    if namespaces.intersects(UnshareFlags::FILES) {
        return Err(Errno::INVAL);
    }
    // SAFETY: unsharing is dangerous only for the table of open files, which the check above rules
    // out: file descriptors mean the same on every thread before and after.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }
}
