//! The calls that need `unsafe`, each with its argument. Nothing else lives here.
#![allow(unsafe_code, reason = "the one place for it; each block is argued")]

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
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

/// Has the program of a command be killed as soon as the thread that starts it ends, whatever ends
/// that. A program that changes its user outlives it.
pub fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let bind = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before the kernel knew.
        match getppid() {
            Some(current) if current == parent => Ok(()),
            _ => Err(Errno::SRCH.into()),
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls; it takes no lock, touches
    // no memory that another thread may have left half-changed, and allocates nothing, as an
    // error of the system is a number.
    unsafe { command.pre_exec(bind) };
}
