//! Dockerfile instructions that change a config without running anything, as `import --change`
//! and `commit --change` take them; and the config that `commit` makes with them.
//!
//! Read as Docker reads them (Dockerfile reference; `builder/dockerfile` and BuildKit's parser).
//! Nothing here runs a command or looks at a file system.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::{ContainerConfig, Healthcheck};
use crate::container::signal;
use crate::expansion::{self, ExpansionError};
use crate::path;
use crate::units::{self, UnitError};

mod commit;
mod line;

pub use commit::commit;
use line::{Command, Line};

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
    #[error("apply change {0:?}: it is not a valid change command; valid are {names}", names = names())]
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
    /// Nothing follows the word.
    #[error("it requires at least one argument")]
    NoArgument,
    /// A flag that the instruction doesn't know.
    #[error("unknown flag: {0}")]
    UnknownFlag(String),
    /// A flag given twice.
    #[error("duplicate flag: {0}")]
    DuplicateFlag(String),
    /// A flag without `=value`.
    #[error("missing a value on flag: {0}")]
    FlagWithoutValue(String),
    /// An array in exec form with something else in it.
    #[error("an array in JSON may hold strings only")]
    StringsOnly,
    /// `ENV name` without a value.
    #[error("{0:?} has no value: want name=value")]
    NoValue(String),
    /// `=value` without a name.
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
    /// An instruction that can't wait for a build upon the image.
    #[error("{0} isn't allowed as an ONBUILD trigger")]
    Trigger(String),
    /// Neither `NONE` nor `CMD`.
    #[error("unknown type {0:?} (try CMD)")]
    HealthcheckType(String),
    /// Something behind `NONE`.
    #[error("NONE takes no arguments")]
    HealthcheckNone,
    /// Nothing behind `CMD`.
    #[error("missing command after CMD")]
    HealthcheckCommand,
    /// A flag that wants a length of time.
    #[error(transparent)]
    Duration(#[from] UnitError),
    /// Less than a millisecond, but not 0.
    #[error("{0} cannot be less than 1ms")]
    DurationTooShort(String),
    /// Not a whole number from 0.
    #[error("--retries cannot be {0:?}: want a number, 0 or more")]
    Retries(String),
}

type Change = fn(&mut Draft, &Line) -> Result<(), Fault>;

const CHANGES: [(&str, Change); 11] = [
    ("CMD", cmd),
    ("ENTRYPOINT", entrypoint),
    ("ENV", env),
    ("EXPOSE", expose),
    ("HEALTHCHECK", healthcheck),
    ("LABEL", label),
    ("ONBUILD", on_build),
    ("STOPSIGNAL", stop_signal),
    ("USER", user),
    ("VOLUME", volume),
    ("WORKDIR", workdir),
];

fn names() -> String {
    CHANGES.map(|(name, _)| name).join(", ")
}

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
        let (word, rest) = line::split(instruction.as_ref())?;
        let (instruction, change) = CHANGES
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&word))
            .ok_or(ChangeError::NotAllowed(word))?;
        change(&mut draft, &Line::of(&rest)).map_err(|source| ChangeError::Instruction {
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
    /// Puts the config's shell before a command in shell form.
    fn words_of(&self, command: Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words,
            Command::Shell(line) => {
                let mut words = match &self.config.shell {
                    Some(shell) if !shell.is_empty() => shell.clone(),
                    _ => vec!["/bin/sh".to_owned(), "-c".to_owned()],
                };
                words.extend(line);
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

    /// The whole of a line as one word, expanded.
    fn word(&self, line: &Line) -> Result<String, Fault> {
        Ok(self.expand(line.argument()?)?)
    }

    fn pairs(&self, line: &Line) -> Result<Vec<(String, String)>, Fault> {
        let expand = |(name, value): (&str, &str)| -> Result<(String, String), Fault> {
            let name = self.expand(name)?;
            if name.is_empty() {
                return Err(Fault::BlankName);
            }
            Ok((name, self.expand(value)?))
        };
        line.pairs()?.into_iter().map(expand).collect()
    }
}

fn cmd(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    line.refuse_flags()?;
    let command = line.command()?;
    draft.is_cmd_set |= !command.is_empty();
    draft.config.cmd = Some(draft.words_of(command));
    draft.config.args_escaped = false;
    Ok(())
}

fn entrypoint(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    line.refuse_flags()?;
    let command = line.command()?;
    draft.config.entrypoint = (!command.is_empty()).then(|| draft.words_of(command));
    draft.config.args_escaped = false;
    if !draft.is_cmd_set {
        draft.config.cmd = None;
    }
    Ok(())
}

fn env(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    for (name, value) in draft.pairs(line)? {
        set_variable(&mut draft.config.env, &name, &value);
    }
    Ok(())
}

/// Sets a variable among `NAME=value`s, where it stands if it is there.
pub fn set_variable(env: &mut Vec<String>, name: &str, value: &str) {
    let pair = format!("{name}={value}");
    let has_name = |old: &&mut String| old.split('=').next() == Some(name);
    match env.iter_mut().find(has_name) {
        Some(old) => *old = pair,
        None => env.push(pair),
    }
}

fn label(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    let pairs = draft.pairs(line)?;
    draft.config.labels.extend(pairs);
    Ok(())
}

fn expose(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    let mut ports = Vec::new();
    for word in line.argument()?.split_whitespace() {
        for port in expansion::expand_words(word, &|name| draft.value(name), '\\')? {
            ports.extend(exposed_ports(&port).ok_or_else(|| Fault::Port(port.clone()))?);
        }
    }
    draft.config.exposed_ports.extend(ports);
    Ok(())
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

fn user(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    draft.config.user = draft.word(line)?;
    Ok(())
}

fn volume(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    let mut volumes = Vec::new();
    for path in line.list()? {
        let path = draft.expand(path.trim())?;
        if path.is_empty() {
            return Err(Fault::EmptyPath);
        }
        volumes.push(path);
    }
    draft.config.volumes.extend(volumes);
    Ok(())
}

/// An absolute path is taken as it is, as Docker does.
fn workdir(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    let path = draft.word(line)?;
    if path.is_empty() {
        return Err(Fault::EmptyPath);
    }
    draft.config.working_dir = if path.starts_with('/') {
        path
    } else {
        path::absolute(&format!("/{}/{path}", draft.config.working_dir))
    };
    Ok(())
}

fn stop_signal(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    let signal = draft.word(line)?;
    if signal::parse(&signal).is_err() {
        return Err(Fault::Signal(signal));
    }
    draft.config.stop_signal = Some(signal);
    Ok(())
}

fn on_build(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    let trigger = line.argument()?;
    let word = trigger.split_whitespace().next().unwrap_or_default();
    let word = word.to_ascii_uppercase();
    if ["ONBUILD", "MAINTAINER", "FROM"].contains(&word.as_str()) {
        return Err(Fault::Trigger(word));
    }
    draft.config.on_build.push(trigger.to_owned());
    Ok(())
}

fn healthcheck(draft: &mut Draft, line: &Line) -> Result<(), Fault> {
    let mut flags = flags_of(line)?;
    let (kind, command) = line.headed()?;
    draft.config.healthcheck = Some(match kind.to_ascii_uppercase().as_str() {
        "NONE" if !command.is_empty() => return Err(Fault::HealthcheckNone),
        "NONE" => Healthcheck {
            test: vec!["NONE".to_owned()],
            ..Healthcheck::default()
        },
        "CMD" => {
            let (head, words) = match line::command(command)? {
                command if command.is_empty() => return Err(Fault::HealthcheckCommand),
                Command::Exec(words) => ("CMD", words),
                Command::Shell(line) => ("CMD-SHELL", line.into_iter().collect()),
            };
            let mut test = vec![head.to_owned()];
            test.extend(words);
            Healthcheck {
                test,
                interval: duration(&mut flags, "--interval")?,
                timeout: duration(&mut flags, "--timeout")?,
                start_period: duration(&mut flags, "--start-period")?,
                start_interval: duration(&mut flags, "--start-interval")?,
                retries: retries(&mut flags)?,
                ..Healthcheck::default()
            }
        }
        _ => return Err(Fault::HealthcheckType(kind.to_owned())),
    });
    Ok(())
}

const HEALTHCHECK_FLAGS: [&str; 5] = [
    "--interval",
    "--timeout",
    "--start-period",
    "--start-interval",
    "--retries",
];

fn flags_of<'l>(line: &'l Line<'_>) -> Result<BTreeMap<&'l str, &'l str>, Fault> {
    let mut flags = BTreeMap::new();
    for flag in line.flags() {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        if !HEALTHCHECK_FLAGS.contains(&name) {
            return Err(Fault::UnknownFlag(name.to_owned()));
        }
        let value = value.ok_or_else(|| Fault::FlagWithoutValue(name.to_owned()))?;
        if flags.insert(name, value).is_some() {
            return Err(Fault::DuplicateFlag(name.to_owned()));
        }
    }
    Ok(flags)
}

/// The flag's nanoseconds; 0 (inherited) if it is missing or empty.
fn duration(flags: &mut BTreeMap<&str, &str>, name: &str) -> Result<i64, Fault> {
    let text = flags.remove(name).unwrap_or_default();
    if text.is_empty() {
        return Ok(0);
    }
    match units::parse_duration(text)? {
        0 => Ok(0),
        ..1_000_000 => Err(Fault::DurationTooShort(name.to_owned())),
        nanoseconds => Ok(nanoseconds),
    }
}

fn retries(flags: &mut BTreeMap<&str, &str>) -> Result<i64, Fault> {
    let text = flags.remove("--retries").unwrap_or_default();
    if text.is_empty() {
        return Ok(0);
    }
    match text.parse::<i32>() {
        Ok(retries) if retries >= 0 => Ok(retries.into()),
        _ => Err(Fault::Retries(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
