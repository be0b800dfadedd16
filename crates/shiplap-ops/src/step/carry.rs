//! Carries what a step says to whoever listens, until it ends.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::thread;

use shiplap_run::attach::Message;
use shiplap_run::log::Stream;

use super::helper::Helper;
use super::{Cancel, StepError};

/// How many of its last bytes are looked at.
const TAIL_BYTES: usize = 256;

/// How a step ended.
pub(super) enum End {
    /// With this exit status.
    Exited {
        code: u8,
        /// Its last words are that it can't be executed.
        has_format_error: bool,
    },
    /// It never began.
    Refused { code: u8, reason: String },
}

/// Where a step's standard output and errors can be read.
pub(super) struct Outlets(pub(super) [OwnedFd; 2]);

/// Gives all that comes to `output`, and waits for the end.
pub(super) fn carry(
    helper: &mut Helper,
    outlets: Outlets,
    output: &(dyn Fn(Stream, &[u8]) + Sync),
    cancel: &Cancel,
) -> Result<End, StepError> {
    // Before that only the runtime speaks, whose words come in its message too.
    match helper.next(cancel)? {
        Message::Started { .. } => {}
        message => return end(message, false),
    }
    let [out, errors] = outlets.0;
    let (word, tail) = thread::scope(|scope| {
        let pumps = [(out, Stream::Stdout), (errors, Stream::Stderr)]
            .map(|(from, stream)| scope.spawn(move || pump(from, stream, output)));
        let word = helper.next(cancel);
        if word.is_err() {
            // Whoever holds the streams is gone after this.
            helper.end();
        }
        let [_, tail] = pumps.map(|pump| {
            pump.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        (word, tail)
    });
    let tail = String::from_utf8_lossy(&tail).to_ascii_lowercase();
    end(word?, tail.contains("exec format error"))
}

pub(super) fn end(message: Message, has_format_error: bool) -> Result<End, StepError> {
    match message {
        Message::Exited { code } => Ok(End::Exited {
            code,
            has_format_error,
        }),
        Message::Failed { code, reason } => Ok(End::Refused { code, reason }),
        _ => Err(StepError::Lost {
            reason: "it said what nobody asked".to_owned(),
        }),
    }
}

/// Reads one stream to its end; its last bytes.
fn pump(from: OwnedFd, stream: Stream, output: &(dyn Fn(Stream, &[u8]) + Sync)) -> Vec<u8> {
    let mut from = File::from(from);
    let mut buffer = vec![0; 32 << 10];
    let mut tail = Vec::new();
    loop {
        match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return tail,
            Ok(count) => {
                let bytes = &buffer[..count];
                output(stream, bytes);
                tail.extend_from_slice(&bytes[count.saturating_sub(TAIL_BYTES)..]);
                tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
            }
        }
    }
}
