//! Terminals of containers: the runtime makes one inside and hands its outer end over by a Unix
//! socket ("console socket" of runc and crun).

use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// How long the runtime may take to hand the terminal over.
const PATIENCE: Duration = Duration::from_secs(30);

/// A socket that waits for a terminal.
#[derive(Debug)]
pub struct ConsoleSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ConsoleSocket {
    /// Listens at `path`, which must be new and shorter than 108 bytes.
    ///
    /// # Errors
    /// Of the system.
    pub fn bind(path: &Path) -> io::Result<Self> {
        Ok(Self {
            listener: UnixListener::bind(path)?,
            path: path.to_owned(),
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the terminal.
    ///
    /// # Errors
    /// Of the system; `TimedOut` if nobody comes, `InvalidData` if no terminal does.
    pub fn receive(&self) -> io::Result<OwnedFd> {
        let patience = Timespec::try_from(PATIENCE).ok();
        let mut waits = [PollFd::new(&self.listener, PollFlags::IN)];
        if poll(&mut waits, patience.as_ref())? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut name = [0; 4096];
        recvmsg(
            &stream,
            &mut [IoSliceMut::new(&mut name)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let handed = ancillary
            .drain()
            .find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut files) => files.next(),
                _ => None,
            })
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no terminal was sent"))?;
        if rustix::termios::isatty(&handed) {
            Ok(handed)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "what was sent is no terminal",
            ))
        }
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        // Its directory goes with the container if this fails.
        let _ = std::fs::remove_file(&self.path);
    }
}
