//! What a container's supervisor and those attached to it say to each other, over a Unix stream
//! socket: a byte for the kind, four for the length (big-endian), and so many bytes.
//!
//! Each side is the same program; the numbers are kept stable all the same, since a newer one may
//! attach to an older one's container.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

/// Most bytes in one message; streams are cut to it.
const PAYLOAD_BYTES: usize = 1 << 20;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// For the container's standard input.
    Stdin(Vec<u8>),
    /// There is no more standard input.
    StdinEnd,
    /// The terminal has this size now.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters in a line.
        columns: u16,
    },
    /// A signal for the container's process.
    Signal(i32),
    /// From the container's standard output, or its terminal.
    Stdout(Vec<u8>),
    /// From its standard error.
    Stderr(Vec<u8>),
    /// Its process runs, with this ID outside.
    Started {
        /// Process ID.
        pid: i32,
    },
    /// It could not be started.
    Failed {
        /// Exit status for `run`: 125, 126 or 127.
        code: u8,
        /// Why: a fragment that completes "failed to …".
        reason: String,
    },
    /// Its process ended, and so it is recorded.
    Exited {
        /// Its exit status, 128 and the signal's number if one killed it.
        code: u8,
    },
}

impl Message {
    /// Reads the next message; `None` at the end.
    ///
    /// # Errors
    /// Of reading, and `InvalidData` for what is no message.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        loop {
            match from.read(&mut kind) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > PAYLOAD_BYTES {
            return Err(invalid("it is too long"));
        }
        let mut payload = vec![0; length];
        from.read_exact(&mut payload)?;
        Self::parse(kind[0], payload).map(Some)
    }

    fn parse(kind: u8, payload: Vec<u8>) -> io::Result<Self> {
        let number = |bytes: &[u8]| -> io::Result<i32> {
            let bytes = bytes.try_into().map_err(|_| invalid("it is cut short"))?;
            Ok(i32::from_be_bytes(bytes))
        };
        Ok(match (kind, &*payload) {
            (0, _) => Self::Stdin(payload),
            (1, []) => Self::StdinEnd,
            (2, [r0, r1, c0, c1]) => Self::Resize {
                rows: u16::from_be_bytes([*r0, *r1]),
                columns: u16::from_be_bytes([*c0, *c1]),
            },
            (3, bytes) => Self::Signal(number(bytes)?),
            (16, _) => Self::Stdout(payload),
            (17, _) => Self::Stderr(payload),
            (18, bytes) => Self::Started {
                pid: number(bytes)?,
            },
            (19, [code, reason @ ..]) => Self::Failed {
                code: *code,
                reason: String::from_utf8_lossy(reason).into_owned(),
            },
            (20, [code]) => Self::Exited { code: *code },
            _ => return Err(invalid("its kind is not known")),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Self::Stdin(bytes) => (0, bytes.clone()),
            Self::StdinEnd => (1, Vec::new()),
            Self::Resize { rows, columns } => {
                (2, [rows.to_be_bytes(), columns.to_be_bytes()].concat())
            }
            Self::Signal(signal) => (3, signal.to_be_bytes().to_vec()),
            Self::Stdout(bytes) => (16, bytes.clone()),
            Self::Stderr(bytes) => (17, bytes.clone()),
            Self::Started { pid } => (18, pid.to_be_bytes().to_vec()),
            Self::Failed { code, reason } => (19, [&[*code], reason.as_bytes()].concat()),
            Self::Exited { code } => (20, vec![*code]),
        };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut message = vec![kind];
        message.extend(length.to_be_bytes());
        message.extend(payload);
        message
    }

    /// Sends it whole.
    ///
    /// # Errors
    /// Of writing.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.encode())
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a message between supervisor and attached: {why}"),
    )
}

/// All who are attached to one container.
#[derive(Debug, Default)]
pub struct Audience(Mutex<Vec<UnixStream>>);

impl Audience {
    /// One more.
    pub fn join(&self, member: UnixStream) {
        self.members().push(member);
    }

    /// Tells everybody, and waits for the slowest, as a pipe would; who is gone is forgotten.
    pub fn tell(&self, message: &Message) {
        let bytes = message.encode();
        self.members()
            .retain_mut(|member| member.write_all(&bytes).is_ok());
    }

    /// Tells everybody for the last time. Who takes nothing for `patience` is let go.
    pub fn dismiss(&self, message: &Message, patience: std::time::Duration) {
        let bytes = message.encode();
        for mut member in self.members().drain(..) {
            let told = member
                .set_write_timeout(Some(patience))
                .and_then(|()| member.write_all(&bytes));
            // Who is gone need not hear it.
            drop(told);
        }
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Vec<UnixStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
