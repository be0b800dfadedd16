//! `pasta`, which carries what a container sends and what is sent to its ports between its network
//! and sockets of the host, without any right over the host's network.
//!
//! It is a child of the supervisor and dies with it, however that ends. Versions from Debian 12's
//! (March 2023) on are understood.

use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use shiplap_model::container::PortMapping;
use shiplap_run::die_with_parent;

use super::NetworkError;

/// The container's own address. All containers have the same, as nobody but pasta sees it; one
/// that is not the host's, so that the host's is the host.
pub(super) const ADDRESS: &str = "10.126.37.2";
/// Its way to everywhere.
pub(super) const GATEWAY: &str = "10.126.37.1";
/// Where it asks the host's name server, if that is one that only the host reaches.
pub(super) const NAME_SERVER: &str = "10.126.37.3";
const PREFIX_BITS: &str = "24";

/// How long it may take until the network is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many of its lines are told.
const LINES_MAX: usize = 100;

/// What pasta is called with.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) program: PathBuf,
    /// Ports that lead in, each with one port of the host.
    pub(super) ports: Vec<PortMapping>,
    /// The gateway stands for the host's loopback.
    pub(super) maps_host: bool,
    /// Questions to [`NAME_SERVER`] go to the host's.
    pub(super) forwards_names: bool,
}

impl Call {
    pub(super) fn arguments(&self, namespace: &Path) -> Vec<String> {
        let mut arguments: Vec<String> = ["--foreground", "--quiet", "--config-net"]
            .map(str::to_owned)
            .into();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).into()));
        // As nobody it could not enter the namespace of a container of root's. It gives up all
        // rights but the two it needs, and sees no file.
        add(&["--runas", "0"]);
        // Its number, written when the network is there.
        add(&["--pid", "/proc/self/fd/1"]);
        add(&["--netns", &namespace.to_string_lossy()]);
        add(&["--no-netns-quit"]);
        // As in Docker, whatever the host's is called.
        add(&["--ns-ifname", "eth0"]);
        add(&["--address", ADDRESS, "--netmask", PREFIX_BITS]);
        add(&["--gateway", GATEWAY]);
        if !self.maps_host {
            add(&["--no-map-gw"]);
        }
        if self.forwards_names {
            add(&["--dns-forward", NAME_SERVER]);
        }
        for (flag, protocol) in [("--tcp-ports", "tcp"), ("--udp-ports", "udp")] {
            let of_protocol = |port: &&PortMapping| port.protocol == protocol;
            let mut ports = self.ports.iter().filter(of_protocol).peekable();
            if ports.peek().is_none() {
                add(&[flag, "none"]);
            }
            for port in ports {
                add(&[flag, &spec(port)]);
            }
        }
        // Else what listens on the host's loopback could be reached by the container's own.
        add(&["--tcp-ns", "none", "--udp-ns", "none"]);
        arguments
    }

    /// Joins a network namespace, a file, to the host's network.
    pub(super) fn attach(&self, namespace: &Path) -> Result<Uplink, NetworkError> {
        let failed = |source| NetworkError::Call { source };
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments(namespace))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_parent(&mut command);
        let mut child = command.spawn().map_err(failed)?;
        let uplink = Uplink::of(&child).map_err(failed)?;
        let said = child.stdout.take().map(await_ready).transpose();
        match said.map_err(failed)?.flatten() {
            Some(stdout) => {
                if let Some(words) = child.stderr.take() {
                    // A full pipe would stop it.
                    thread::spawn(move || listen(words, &stdout));
                }
                Ok(uplink)
            }
            None => {
                drop(uplink);
                let mut words = String::new();
                if let Some(pipe) = child.stderr.take() {
                    // What can be read of its words is all there is.
                    drop(pipe.take(64 << 10).read_to_string(&mut words));
                }
                Err(NetworkError::Refused {
                    words: reason(&words),
                })
            }
        }
    }
}

/// `127.0.0.1/8080:80`.
fn spec(port: &PortMapping) -> String {
    let (outside, inside) = (port.host_port, port.container_port);
    match port.host_ip {
        Some(IpAddr::V4(ip)) => format!("{ip}/{outside}:{inside}"),
        Some(IpAddr::V6(ip)) => format!("{ip}/{outside}:{inside}"),
        None => format!("{outside}:{inside}"),
    }
}

/// Waits until it has said its number; `None` if it ended before, or took too long.
fn await_ready(stdout: ChildStdout) -> io::Result<Option<BufReader<ChildStdout>>> {
    let patience = Timespec::try_from(PATIENCE).ok();
    let ready = poll(
        &mut [PollFd::new(&stdout, PollFlags::IN)],
        patience.as_ref(),
    )?;
    if ready == 0 {
        return Ok(None);
    }
    let mut stdout = BufReader::new(stdout);
    let mut number = String::new();
    stdout.by_ref().take(16).read_line(&mut number)?;
    Ok((!number.is_empty()).then_some(stdout))
}

/// Tells what it says; keeps its output open, so that it may say it.
fn listen(words: impl Read, _stdout: &BufReader<ChildStdout>) {
    let mut lines = BufReader::new(words).lines().map_while(Result::ok);
    for line in lines.by_ref().take(LINES_MAX) {
        tracing::debug!(line, "pasta");
    }
    lines.for_each(drop);
}

/// Why it gave up, of all that it said.
fn reason(words: &str) -> String {
    let is_reason = |line: &&str| {
        !line.is_empty()
            && !line.ends_with("to syslog")
            && !line.starts_with("Don't run as root")
            && !line.starts_with("Can't run AVX2 build")
            && !line.starts_with("Couldn't get any nameserver address")
    };
    let lines: Vec<&str> = words.lines().map(str::trim).filter(is_reason).collect();
    let last = lines.len().saturating_sub(2);
    let text = lines.get(last..).unwrap_or_default().join("; ");
    if text.is_empty() {
        return "no network within 10 seconds, and no word why".to_owned();
    }
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A container's connection to the network; dropped, it is cut.
#[derive(Debug)]
pub(crate) struct Uplink {
    process: OwnedFd,
}

impl Uplink {
    fn of(child: &Child) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            process: rustix::process::pidfd_open(pid, PidfdFlags::empty())?,
        })
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        // It may have ended by itself, and been buried with the orphans of the container.
        let _ = rustix::process::pidfd_send_signal(&self.process, Signal::KILL);
        let process = std::os::fd::AsFd::as_fd(&self.process);
        let _ = rustix::process::waitid(WaitId::PidFd(process), WaitIdOptions::EXITED);
    }
}

#[cfg(test)]
mod tests;
