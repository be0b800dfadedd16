//! A word that ends what waits, from any thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Ends steps that know of it. Once said, it stays said.
#[derive(Debug)]
pub struct Cancel(OwnedFd);

impl Cancel {
    /// Nothing is cancelled yet.
    ///
    /// # Errors
    /// Of the system, if it has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC)?))
    }

    /// Cancels.
    pub fn cancel(&self) {
        // It fails only when it was said more often than a counter can hold.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Whether it was said.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let mut waits = [PollFd::new(&self.0, PollFlags::IN)];
        let now = Timespec::default();
        poll(&mut waits, Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

impl AsFd for Cancel {
    /// Can be read from once it was said.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
