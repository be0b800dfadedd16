//! Dockerfile instructions that change a config without running anything, as `import --change`
//! and `commit --change` take them; and the config that `commit` makes with them.
//!
//! Read as Docker reads them (Dockerfile reference; `builder/dockerfile` and BuildKit's parser).
//! Nothing here runs a command or looks at a file system.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::ContainerConfig;
use crate::container::signal;
use crate::dockerfile::{self, Command, Kind, Pair, Single};
use crate::expansion::{self, ExpansionError};
use crate::path;

mod commit;

pub use commit::commit;

/// Why a config was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Blank, or a comment.
    #[error("read change: there is no instruction in it")]
    Empty,
    /// More than one line, and the lines don't continue each other.
    #[error("read change: there is more than one instruction in it")]
    Several,
    /// Not an instruction that changes a config alone.
    #[error("apply change {0:?}: it is not a valid change command; valid are {names}", names = NAMES.join(", "))]
    NotAllowed(String),
    /// An instruction that is wrong in itself.
    #[error("apply change {instruction}: {source}")]
    Instruction {
        /// Its word.
        instruction: &'static str,
        /// What is wrong.
        source: Fault,
    },
}

/// What is wrong with an instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It would be wrong in a Dockerfile.
    #[error(transparent)]
    Syntax(#[from] dockerfile::Fault),
    /// A name that is blank when expanded.
    #[error("names can not be blank")]
    BlankName,
    /// A word with wrong quotes or a wrong `${…}`.
    #[error(transparent)]
    Expansion(#[from] ExpansionError),
    /// Not `port`, `first-last`, or one of them with `/tcp`, `/udp` or `/sctp`.
    #[error("{0:?} is no port: want as 80, 53/udp or 7000-7002/tcp")]
    Port(String),
    /// An empty path.
    #[error("an empty path")]
    EmptyPath,
    /// Neither a name of a signal nor its number.
    #[error("invalid signal: {0:?}")]
    Signal(String),
}

/// Instructions that change a config alone.
const NAMES: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Applies one instruction, as the only one: `ENTRYPOINT` drops the config's `Cmd`.
///
/// # Errors
/// [`ChangeError`]; then the config is as before.
pub fn apply(config: &mut ContainerConfig, instruction: &str) -> Result<(), ChangeError> {
    apply_all(config, &[instruction])
}

/// Applies instructions in order. They know of each other: variables that one `ENV` sets are
/// expanded in the next instruction, and `ENTRYPOINT` drops the `Cmd` that the config had before,
/// but not one that a `CMD` among them has set.
///
/// # Errors
/// [`ChangeError`] of the first that is wrong; then the config is as before.
pub fn apply_all(
    config: &mut ContainerConfig,
    instructions: &[impl AsRef<str>],
) -> Result<(), ChangeError> {
    let mut draft = Draft {
        config: config.clone(),
        is_cmd_set: false,
    };
    for instruction in instructions {
        let (word, read) = match dockerfile::read_single(instruction.as_ref()) {
            Single::None => return Err(ChangeError::Empty),
            Single::Several => return Err(ChangeError::Several),
            Single::One(word, read) => (word, *read),
        };
        let Some(instruction) = NAMES
            .into_iter()
            .find(|name| name.eq_ignore_ascii_case(&word))
        else {
            return Err(ChangeError::NotAllowed(word));
        };
        let changed = read
            .map_err(Fault::Syntax)
            .and_then(|kind| draft.take(kind));
        changed.map_err(|source| ChangeError::Instruction {
            instruction,
            source,
        })?;
    }
    *config = draft.config;
    Ok(())
}

/// A config between changes.
struct Draft {
    config: ContainerConfig,
    /// One of the changes was a `CMD` that is not empty.
    is_cmd_set: bool,
}

impl Draft {
    fn take(&mut self, kind: Kind) -> Result<(), Fault> {
        match kind {
            Kind::Cmd(command) => self.cmd(command),
            Kind::Entrypoint(command) => self.entrypoint(command),
            Kind::Env(pairs) => {
                let pairs = self.pairs(&pairs)?;
                set_variables(&mut self.config.env, &pairs);
            }
            Kind::Expose(expose) => self.expose(&expose.ports)?,
            Kind::Healthcheck(check) => self.config.healthcheck = Some((&check).into()),
            Kind::Label(pairs) => {
                let pairs = self.pairs(&pairs)?;
                self.config.labels.extend(pairs);
            }
            Kind::Onbuild { text, .. } => self.config.on_build.push(text),
            Kind::Stopsignal(word) => {
                let signal = self.expand(&word)?;
                if signal::parse(&signal).is_err() {
                    return Err(Fault::Signal(signal));
                }
                self.config.stop_signal = Some(signal);
            }
            Kind::User(word) => self.config.user = self.expand(&word)?,
            Kind::Volume(words) => {
                let paths: Result<Vec<_>, _> = words.iter().map(|word| self.path(word)).collect();
                self.config.volumes.extend(paths?);
            }
            Kind::Workdir(word) => self.workdir(&word)?,
            // None of the names.
            Kind::Add(_)
            | Kind::Arg(_)
            | Kind::Copy(_)
            | Kind::Maintainer(_)
            | Kind::Run(_)
            | Kind::Shell(_) => {}
        }
        Ok(())
    }

    /// Puts the config's shell before a command in shell form; nothing has no words then.
    fn words_of(&self, command: Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words,
            Command::Shell(line) => {
                let mut words = match &self.config.shell {
                    Some(shell) if !shell.is_empty() => shell.clone(),
                    _ => vec!["/bin/sh".to_owned(), "-c".to_owned()],
                };
                words.extend((!line.is_empty()).then_some(line));
                words
            }
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        let pairs = self.config.env.iter();
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find_map(|(own, value)| (own == name).then_some(value))
    }

    fn expand(&self, word: &str) -> Result<String, ExpansionError> {
        expansion::expand_word(word, &|name| self.value(name), '\\')
    }

    fn pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>, Fault> {
        let expand = |pair: &Pair| -> Result<(String, String), Fault> {
            let name = self.expand(&pair.name)?;
            if name.is_empty() {
                return Err(Fault::BlankName);
            }
            Ok((name, self.expand(&pair.value)?))
        };
        pairs.iter().map(expand).collect()
    }

    fn path(&self, word: &str) -> Result<String, Fault> {
        match self.expand(word)? {
            path if path.is_empty() => Err(Fault::EmptyPath),
            path => Ok(path),
        }
    }

    fn cmd(&mut self, command: Command) {
        self.is_cmd_set |= !is_empty(&command);
        self.config.cmd = Some(self.words_of(command));
        self.config.args_escaped = false;
    }

    fn entrypoint(&mut self, command: Command) {
        self.config.entrypoint = (!is_empty(&command)).then(|| self.words_of(command));
        self.config.args_escaped = false;
        if !self.is_cmd_set {
            self.config.cmd = None;
        }
    }

    fn expose(&mut self, words: &[String]) -> Result<(), Fault> {
        let mut ports = Vec::new();
        for word in words {
            for port in expansion::expand_words(word, &|name| self.value(name), '\\')? {
                ports.extend(exposed_ports(&port).ok_or_else(|| Fault::Port(port.clone()))?);
            }
        }
        self.config.exposed_ports.extend(ports);
        Ok(())
    }

    /// An absolute path is taken as it is, as Docker does.
    fn workdir(&mut self, word: &str) -> Result<(), Fault> {
        let path = self.path(word)?;
        self.config.working_dir = if path.starts_with('/') {
            path
        } else {
            path::absolute(&format!("/{}/{path}", self.config.working_dir))
        };
        Ok(())
    }
}

fn is_empty(command: &Command) -> bool {
    match command {
        Command::Exec(words) => words.is_empty(),
        Command::Shell(line) => line.is_empty(),
    }
}

/// Sets variables among `NAME=value`s, each where it stands if it is there. Names are looked up, not
/// searched for: there may be many.
pub fn set_variables(env: &mut Vec<String>, pairs: &[(String, String)]) {
    let name_of = |pair: &String| pair.split('=').next().unwrap_or_default().to_owned();
    let mut places = HashMap::with_capacity(env.len() + pairs.len());
    for (place, pair) in env.iter().enumerate() {
        // Of several with one name the first counts.
        places.entry(name_of(pair)).or_insert(place);
    }
    for (name, value) in pairs {
        let pair = format!("{name}={value}");
        let place = *places.entry(name.clone()).or_insert(env.len());
        match env.get_mut(place) {
            Some(old) => *old = pair,
            None => env.push(pair),
        }
    }
}

/// The ports of a word of `EXPOSE`: `80/tcp` for `80`, each of `7000-7002/udp`. A port of the host
/// and an address before it, which have no meaning in an image, are passed over as Docker does, if
/// they are well-formed.
#[must_use]
pub fn exposed_ports(word: &str) -> Option<Vec<String>> {
    let (ports, protocol) = match word.rsplit_once('/') {
        Some((ports, protocol)) => (ports, protocol.to_ascii_lowercase()),
        None => (word, String::new()),
    };
    let protocol = match protocol.as_str() {
        "" => "tcp",
        protocol if ["tcp", "udp", "sctp"].contains(&protocol) => protocol,
        _ => return None,
    };
    let (host, container) = match ports.rsplit_once(':') {
        Some((host, container)) => (Some(host), container),
        None => (None, ports),
    };
    let (first, last) = port_range(container)?;
    if let Some(host) = host {
        let (address, port) = host.rsplit_once(':').unwrap_or(("", host));
        let address = address
            .strip_prefix('[')
            .and_then(|address| address.strip_suffix(']'))
            .unwrap_or(address);
        if !address.is_empty() && address.parse::<IpAddr>().is_err() {
            return None;
        }
        if !port.is_empty() {
            let (host_first, host_last) = port_range(port)?;
            if first != last && host_last - host_first != last - first {
                return None;
            }
        }
    }
    let port = |number: u16| format!("{number}/{protocol}");
    Some((first..=last).map(port).collect())
}

/// `80` or `7000-7002`.
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests;
