//! The process that runs a step, seen from the builder: it is given a request and says what came
//! of it.
//!
//! It is process 1 of a PID namespace. It ends when the line to it does, and with it everything that
//! it started and mounted; so nothing of a step outlives its builder.

use std::fs::{self, File};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use shiplap_run::attach::Message;
use shiplap_run::cgroups::Cgroups;
use shiplap_run::{handover, namespaces};

use super::request::Request;
use super::{Cancel, StepError};
use crate::context::Context;

/// How long it may take to clear away what it made.
const PATIENCE: Duration = Duration::from_secs(20);

/// It, and the line to it.
pub(super) struct Helper {
    child: Child,
    line: Option<UnixStream>,
    /// Where its own words go.
    log: PathBuf,
    /// What the runtime calls the step.
    id: String,
    is_lost: bool,
}

impl Helper {
    /// Starts it on a request; `files` are the streams of the step.
    pub(super) fn start(
        context: &Context,
        request: &Request,
        files: &[BorrowedFd<'_>],
    ) -> Result<Self, StepError> {
        let failed = |source| StepError::Start { source };
        let (mut line, theirs) = UnixStream::pair().map_err(failed)?;
        let log = request.directory.join("helper.log");
        let mut command = context.settings().containers.program.command();
        command
            .args(["system", "step"])
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(File::create(&log).map_err(failed)?);
        let child = namespaces::spawn_first(&mut command).map_err(failed)?;
        // It holds the other end of the line.
        drop(command);
        let message = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
        let sent = handover::send(&mut line, &message, files);
        let helper = Self {
            child,
            line: Some(line),
            log,
            id: request.id.clone(),
            is_lost: false,
        };
        match sent {
            // It is gone already, and its log says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(helper.lost()),
            Err(error) => Err(failed(error)),
            Ok(()) => Ok(helper),
        }
    }

    /// Its next word. If `cancel` comes first the step is killed, and its end awaited.
    pub(super) fn next(&mut self, cancel: &Cancel) -> Result<Message, StepError> {
        let Some(line) = &mut self.line else {
            return Err(StepError::Start {
                source: io::ErrorKind::NotConnected.into(),
            });
        };
        let mut is_cancelled = false;
        loop {
            let mut waits = vec![PollFd::new(line, PollFlags::IN)];
            if !is_cancelled {
                waits.push(PollFd::new(cancel, PollFlags::IN));
            }
            match poll(&mut waits, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => {
                    return Err(StepError::Start {
                        source: errno.into(),
                    });
                }
                Ok(_) => {}
            }
            let has_words = !waits[0].revents().is_empty();
            let is_over = waits.get(1).is_some_and(|wait| !wait.revents().is_empty());
            drop(waits);
            if is_over {
                is_cancelled = true;
                // If it is gone that is read next.
                drop(Message::Signal(Signal::KILL.as_raw()).write(&mut *line));
            }
            if !has_words {
                continue;
            }
            let word = Message::read(&mut *line);
            match word {
                // It is killed at once after that.
                Ok(Some(Message::Started { .. })) if is_cancelled => {}
                Ok(Some(_)) if is_cancelled => return Err(StepError::Cancelled),
                Ok(Some(message)) => return Ok(message),
                _ => {
                    self.is_lost = true;
                    return Err(match is_cancelled {
                        true => StepError::Cancelled,
                        false => self.words_of_lost(),
                    });
                }
            }
        }
    }

    fn lost(mut self) -> StepError {
        self.is_lost = true;
        self.words_of_lost()
    }

    fn words_of_lost(&mut self) -> StepError {
        let status = self.child.wait();
        let words = fs::read_to_string(&self.log).unwrap_or_default();
        let last = words.lines().rfind(|line| !line.trim().is_empty());
        let reason = match (last, status) {
            (Some(line), _) => line.trim().to_owned(),
            (None, Ok(status)) => status.to_string(),
            (None, Err(error)) => error.to_string(),
        };
        StepError::Lost { reason }
    }

    /// Waits until nothing of it is left.
    pub(super) fn end(&mut self) {
        // Without a line it has nothing to wait for.
        self.line = None;
        if !ends_within(&self.child, PATIENCE) {
            self.is_lost = true;
            // It may end at this moment.
            drop(self.child.kill());
        }
        // That it is gone is all that counts.
        drop(self.child.wait());
        if self.is_lost {
            Cgroups::find().container(&self.id).remove();
        }
    }
}

fn ends_within(child: &Child, patience: Duration) -> bool {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let process = pid.and_then(|pid| {
        // One that was waited for is not there any more.
        rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
    });
    let Some(process) = process else { return true };
    let mut waits = [PollFd::new(&process, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    poll(&mut waits, patience.as_ref()).is_ok_and(|ready| ready > 0)
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}
