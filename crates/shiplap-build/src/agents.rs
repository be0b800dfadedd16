//! SSH agents that steps, and git, ask to sign: the user's own, or one that is started for the build and
//! given key files. It is the machine's `ssh-agent`; no key is ever read here, and none is in a layer,
//! a key of the cache or a log.
//!
//! Whatever ends the build ends the agent: a shell waits for the end of a pipe that only the build
//! holds, and then kills it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use shiplap_ops::Context;
use shiplap_store::{Lease, StagedDirectory, StoreError};

use crate::options::SshAgent;

/// What the agent's socket is called in its directory. Programs are told no more than this, since the
/// directory's path may be longer than an address can be.
const SOCKET: &str = "agent.sock";

/// Runs the agent until its standard input ends.
const KEEPER: &str = r#""$0" -D -a "$1" & agent=$!; read -r line; kill "$agent"; wait"#;

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The programs are missing.
    #[error(
        "start an agent for --ssh {id}: no {program} found on this machine: install the package openssh-client, \
         or name the socket of an agent"
    )]
    Missing {
        /// What it was to be for.
        id: String,
        /// What is missing.
        program: &'static str,
    },
    /// It can't be started.
    #[error("start an agent for --ssh {id}: {source}")]
    Start {
        /// What it was to be for.
        id: String,
        /// Why not.
        source: io::Error,
    },
    /// It takes a key not.
    #[error("use the key {} for --ssh {id}: {reason}", path.display())]
    Key {
        /// What it was to be for.
        id: String,
        /// The key's file.
        path: PathBuf,
        /// What was said of it.
        reason: String,
    },
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The agents of a build; those of its own end with this.
pub(crate) struct Agents {
    sockets: BTreeMap<String, PathBuf>,
    _own: Vec<OwnAgent>,
}

impl Agents {
    /// Starts what has to be, in directories of `lease`.
    pub(crate) fn start(
        ops: &Context,
        lease: &Lease,
        wanted: &BTreeMap<String, SshAgent>,
    ) -> Result<Self, AgentError> {
        let (mut sockets, mut own) = (BTreeMap::new(), Vec::new());
        for (id, agent) in wanted {
            let socket = match agent {
                SshAgent::Socket(socket) => socket.clone(),
                SshAgent::Keys(keys) => {
                    let started = OwnAgent::start(ops, lease, id)?;
                    for key in keys {
                        started.add(id, key)?;
                    }
                    let socket = started.directory.path().join(SOCKET);
                    own.push(started);
                    socket
                }
            };
            sockets.insert(id.clone(), socket);
        }
        Ok(Self { sockets, _own: own })
    }

    /// Where the agent is that mounts call `id`.
    pub(crate) fn socket(&self, id: &str) -> Option<&Path> {
        self.sockets.get(id).map(PathBuf::as_path)
    }

    /// Where the one is that git asks.
    pub(crate) fn of_git(&self) -> Option<&Path> {
        self.socket("default")
    }
}

/// An agent of the build's own.
struct OwnAgent {
    keeper: Child,
    adder: PathBuf,
    directory: StagedDirectory,
}

impl OwnAgent {
    fn start(ops: &Context, lease: &Lease, id: &str) -> Result<Self, AgentError> {
        let find = |program: &'static str| {
            let found = ops.settings().containers.find_program(program);
            found.ok_or_else(|| AgentError::Missing {
                id: id.to_owned(),
                program,
            })
        };
        let failed = |source| AgentError::Start {
            id: id.to_owned(),
            source,
        };
        let (agent, adder) = (find("ssh-agent")?, find("ssh-add")?);
        let directory = lease.directory()?;
        let mut keeper = Command::new("/bin/sh");
        keeper
            .args(["-c", KEEPER])
            .arg(agent)
            .arg(SOCKET)
            .env_clear()
            .current_dir(directory.path())
            // What is typed to end the build ends the agent with it, not before.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut keeper = keeper.spawn().map_err(failed)?;
        // It says where it is once it listens there.
        let mut line = String::new();
        let said = match keeper.stdout.take() {
            Some(stdout) => BufReader::new(stdout).read_line(&mut line),
            None => Ok(0),
        };
        let started = Self {
            keeper,
            adder,
            directory,
        };
        match said {
            Ok(0) => Err(failed(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(started),
            Err(source) => Err(failed(source)),
        }
    }

    fn add(&self, id: &str, key: &Path) -> Result<(), AgentError> {
        let mut adder = Command::new(&self.adder);
        adder
            .arg("-q")
            .arg(key)
            .env_clear()
            .env("SSH_AUTH_SOCK", SOCKET)
            // Nobody is asked for the phrase of a key that has one.
            .env("SSH_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("LC_ALL", "C")
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        let output = adder.output().map_err(|source| AgentError::Start {
            id: id.to_owned(),
            source,
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().map(str::trim).collect();
        let said = said.into_iter().filter(|line| {
            let is_frame = line.chars().all(|letter| letter == '@');
            !line.is_empty() && !is_frame
        });
        let reason = match said.collect::<Vec<_>>().join(" ") {
            nothing if nothing.is_empty() => {
                "it has a passphrase: add it to an agent (ssh-add), and name that".to_owned()
            }
            words => words,
        };
        Err(AgentError::Key {
            id: id.to_owned(),
            path: key.to_owned(),
            reason,
        })
    }
}

impl Drop for OwnAgent {
    fn drop(&mut self) {
        // The end of the pipe is its word to go, and it goes at once.
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}
