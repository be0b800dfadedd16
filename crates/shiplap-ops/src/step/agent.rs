//! Carries what is said on a socket of a step's to one of the host and back, as to an SSH agent, which
//! talks to nobody but its own user.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{Mode, OFlags};

/// Joins everyone who comes to `listener` to `socket`, for as long as this process lives.
pub(super) fn forward(listener: UnixListener, socket: PathBuf) {
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            match dial(&socket) {
                Ok(server) => join(client, server),
                // The client sees the end of the line, as of an agent that died.
                Err(error) => tracing::warn!(%error, socket = %socket.display(), "no agent"),
            }
        }
    });
}

/// Connects to a socket, whose path may be longer than an address can be.
fn dial(socket: &Path) -> io::Result<UnixStream> {
    let handle = rustix::fs::open(socket, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let number = handle.as_fd().as_raw_fd();
    UnixStream::connect(format!("/proc/self/fd/{number}"))
}

fn join(client: UnixStream, server: UnixStream) {
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    thread::spawn(move || carry(from, to));
    thread::spawn(move || carry(server, client));
}

fn carry(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(count) => {
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
        }
    }
    // The other direction may go on.
    drop(to.shutdown(Shutdown::Write));
}
