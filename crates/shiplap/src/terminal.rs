//! The user's end of a container's streams: the terminal in raw mode, its size, signals that are
//! passed on, the keys that detach.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use shiplap_ops::container::Message;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals;

use crate::output::Output;

/// What of the streams is joined, and how.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    /// Standard input.
    pub(crate) input: bool,
    /// Standard output.
    pub(crate) output: bool,
    /// Standard error.
    pub(crate) errors: bool,
    /// The container has a terminal.
    pub(crate) tty: bool,
    /// Keys that detach; none if empty.
    pub(crate) detach_keys: Vec<u8>,
    /// Pass signals on.
    pub(crate) pass_signals: bool,
}

/// How it came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The container ended with this exit status.
    Exited(u8),
    /// The user left; the container goes on.
    Detached,
    /// The supervisor is gone.
    Lost,
}

/// Whether stdin is a terminal.
pub(crate) fn input_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Joins the streams until the container ends or the user leaves.
pub(crate) fn join(output: &Output, line: UnixStream, join: &Join) -> io::Result<End> {
    let raw = match join.tty && join.input && input_is_terminal() {
        true => Some(RawMode::begin()?),
        false => None,
    };
    let is_detached = Arc::new(AtomicBool::new(false));
    if join.tty {
        tell_size(&line);
    }
    let signals = pass_signals(line.try_clone()?, join, Arc::clone(&is_detached))?;
    if join.input {
        let (line, detach_keys) = (line.try_clone()?, join.detach_keys.clone());
        let is_detached = Arc::clone(&is_detached);
        // It may wait for input when all is over; it ends with the process.
        thread::spawn(move || {
            if send_input(&line, &detach_keys) {
                is_detached.store(true, Ordering::SeqCst);
                // Whoever reads the other direction sees its end.
                drop(line.shutdown(Shutdown::Both));
            }
        });
    }
    let end = take_output(output, line, join);
    signals.close();
    drop(raw);
    match end? {
        Some(code) => Ok(End::Exited(code)),
        None if is_detached.load(Ordering::SeqCst) => Ok(End::Detached),
        None => Ok(End::Lost),
    }
}

fn take_output(output: &Output, mut line: UnixStream, join: &Join) -> io::Result<Option<u8>> {
    let mut data = output.stream();
    let mut errors = output.error_stream();
    loop {
        match Message::read(&mut line) {
            Ok(Some(Message::Stdout(bytes))) if join.output => {
                data.write_all(&bytes)?;
                data.flush()?;
            }
            Ok(Some(Message::Stderr(bytes))) if join.errors => {
                errors.write_all(&bytes)?;
                errors.flush()?;
            }
            Ok(Some(Message::Exited { code })) => return Ok(Some(code)),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Sends stdin; `true` if the user typed the keys that detach.
fn send_input(mut line: &UnixStream, detach_keys: &[u8]) -> bool {
    let mut keys = DetachKeys::new(detach_keys);
    let mut buffer = vec![0; 32 << 10];
    loop {
        let count = match io::stdin().read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => {
                // Nobody may be there to hear it.
                drop(Message::StdinEnd.write(&mut line));
                return false;
            }
            Ok(count) => count,
        };
        let (bytes, detaches) = keys.take(&buffer[..count]);
        if !bytes.is_empty() && Message::Stdin(bytes).write(&mut line).is_err() {
            return false;
        }
        if detaches {
            return true;
        }
    }
}

/// Finds the keys that detach among what is typed.
#[derive(Debug)]
struct DetachKeys<'k> {
    keys: &'k [u8],
    /// How many of them were typed and held back.
    typed: usize,
}

impl<'k> DetachKeys<'k> {
    fn new(keys: &'k [u8]) -> Self {
        Self { keys, typed: 0 }
    }

    /// What is to be sent, and whether the keys are complete.
    fn take(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut sent = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.keys.get(self.typed) != Some(byte) {
                sent.extend_from_slice(&self.keys[..self.typed]);
                self.typed = 0;
            }
            if self.keys.get(self.typed) == Some(byte) {
                self.typed += 1;
                if self.typed == self.keys.len() {
                    return (sent, true);
                }
            } else {
                sent.push(*byte);
            }
        }
        (sent, false)
    }
}

fn tell_size(mut line: &UnixStream) {
    let size = tcgetwinsize(io::stdin()).or_else(|_| tcgetwinsize(io::stdout()));
    if let Ok(size) = size {
        // A container that just ended needs no size.
        drop(
            Message::Resize {
                rows: size.ws_row,
                columns: size.ws_col,
            }
            .write(&mut line),
        );
    }
}

/// Passes signals on from a thread of its own, until the handle is closed. A terminal that hangs up
/// means that the user left: the container has a terminal of its own, and its shell may not care.
fn pass_signals(
    line: UnixStream,
    join: &Join,
    is_detached: Arc<AtomicBool>,
) -> io::Result<signal_hook::iterator::Handle> {
    let tty = join.tty;
    let mut wanted = vec![];
    if tty {
        wanted.extend([SIGWINCH, SIGHUP]);
    }
    if join.pass_signals {
        wanted.extend([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2]);
    }
    let mut signals = Signals::new(wanted)?;
    let handle = signals.handle();
    thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGWINCH {
                tell_size(&line);
            } else if signal == SIGHUP && tty {
                is_detached.store(true, Ordering::SeqCst);
                // Whoever reads sees its end, as with the keys that detach.
                drop(line.shutdown(Shutdown::Both));
            } else {
                // As above: who is gone needs no signal.
                drop(Message::Signal(signal).write(&mut &line));
            }
        }
    });
    Ok(handle)
}

/// The terminal passes every key on until this is dropped.
struct RawMode(Termios);

impl RawMode {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that went away needs no mode.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

#[cfg(test)]
mod tests;
