//! What a cut instruction says.

use super::ast::{
    ArgDeclaration, Command, Device, Expose, From, Healthcheck, Heredoc, Instruction, Kind, Mount,
    Network, Pair, Run, Security, Transfer, TransferSource,
};
use super::error::Fault;
use super::flags::{Flags, Takes};
use super::heredoc;
use super::mount;
use super::node::{self, Arguments, Node};
use super::suggestion::Meant;
use crate::csv;
use crate::units;

/// `FROM`, or something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    From(From),
    Other(Kind),
}

/// Reads a cut instruction.
pub(super) fn read(node: &Node) -> Result<Statement, Fault> {
    let Some(name) = node.name() else {
        return Err(Fault::UnknownInstruction {
            word: node.word.clone(),
            meant: Meant::of_instruction(&node.word, node::names()),
        });
    };
    Ok(Statement::Other(match name {
        "FROM" => return from(node).map(Statement::From),
        "ADD" => Kind::Add(transfer(node, "ADD")?),
        "ARG" => Kind::Arg(args(node)?),
        "CMD" => Kind::Cmd(plain_command(node)?),
        "COPY" => Kind::Copy(transfer(node, "COPY")?),
        "ENTRYPOINT" => Kind::Entrypoint(plain_command(node)?),
        "ENV" => Kind::Env(pairs(node, "ENV")?),
        "EXPOSE" => Kind::Expose(Expose {
            ports: several(node, "EXPOSE")?,
        }),
        "HEALTHCHECK" => Kind::Healthcheck(healthcheck(node)?),
        "LABEL" => Kind::Label(pairs(node, "LABEL")?),
        "MAINTAINER" => Kind::Maintainer(single(node, "MAINTAINER")?),
        "ONBUILD" => on_build(node)?,
        "RUN" => Kind::Run(run(node)?),
        "SHELL" => Kind::Shell(shell(node)?),
        "STOPSIGNAL" => Kind::Stopsignal(single(node, "STOPSIGNAL")?),
        "USER" => Kind::User(single(node, "USER")?),
        "VOLUME" => Kind::Volume(volume(node)?),
        _ => Kind::Workdir(single(node, "WORKDIR")?),
    }))
}

/// A cut instruction and what it says.
pub(super) fn instruction(node: Node, kind: Kind) -> Instruction {
    Instruction {
        span: node.span,
        text: node.text,
        word: node.word,
        comments: node.comments,
        kind,
    }
}

fn no_flags(node: &Node) -> Result<(), Fault> {
    Flags::read(&node.flags, &[]).map(|_| ())
}

/// Its words, or what JSON says.
fn words(arguments: &Arguments) -> &[String] {
    match arguments {
        Arguments::Words(words) | Arguments::Exec(words) => words,
        _ => &[],
    }
}

fn single(node: &Node, name: &'static str) -> Result<String, Fault> {
    no_flags(node)?;
    match words(&node.arguments) {
        [word] => Ok(word.clone()),
        _ => Err(Fault::ExactlyOne(name)),
    }
}

fn several(node: &Node, name: &'static str) -> Result<Vec<String>, Fault> {
    no_flags(node)?;
    match words(&node.arguments) {
        [] => Err(Fault::AtLeastOne(name)),
        words => Ok(words.to_vec()),
    }
}

fn command(arguments: &Arguments) -> Command {
    match arguments {
        Arguments::Exec(words) => Command::Exec(words.clone()),
        arguments => Command::Shell(words(arguments).concat()),
    }
}

fn plain_command(node: &Node) -> Result<Command, Fault> {
    no_flags(node)?;
    Ok(command(&node.arguments))
}

fn from(node: &Node) -> Result<From, Fault> {
    let flags = Flags::read(&node.flags, &[("platform", Takes::Value)])?;
    let (image, keyword, name) = match words(&node.arguments) {
        [image] => (image, None, None),
        [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => {
            if !is_stage_name(name) {
                return Err(Fault::StageName(name.clone()));
            }
            (image, Some(keyword.clone()), Some(name.clone()))
        }
        _ => return Err(Fault::FromArguments),
    };
    Ok(From {
        platform: flags.value("platform"),
        image: image.clone(),
        keyword,
        name,
    })
}

fn is_stage_name(name: &str) -> bool {
    let is_letter = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    name.starts_with(|char: char| char.is_ascii_alphabetic()) && name.chars().all(is_letter)
}

fn args(node: &Node) -> Result<Vec<ArgDeclaration>, Fault> {
    let read = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(Fault::BlankName("ARG")),
        Some((name, default)) => Ok(ArgDeclaration {
            name: name.to_owned(),
            default: Some(default.to_owned()),
        }),
        None => Ok(ArgDeclaration {
            name: word,
            default: None,
        }),
    };
    several(node, "ARG")?.into_iter().map(read).collect()
}

fn pairs(node: &Node, name: &'static str) -> Result<Vec<Pair>, Fault> {
    no_flags(node)?;
    match &node.arguments {
        Arguments::Pairs(pairs) if pairs.iter().any(|pair| pair.name.is_empty()) => {
            Err(Fault::BlankName(name))
        }
        Arguments::Pairs(pairs) if !pairs.is_empty() => Ok(pairs.clone()),
        _ => Err(Fault::AtLeastOne(name)),
    }
}

fn transfer(node: &Node, name: &'static str) -> Result<Transfer, Fault> {
    let known: &[_] = match name {
        "ADD" => &[
            ("chown", Takes::Value),
            ("chmod", Takes::Value),
            ("link", Takes::Boolean),
            ("keep-git-dir", Takes::Boolean),
            ("checksum", Takes::Value),
            ("unpack", Takes::Boolean),
            ("exclude", Takes::Values),
        ],
        _ => &[
            ("chown", Takes::Value),
            ("from", Takes::Value),
            ("chmod", Takes::Value),
            ("link", Takes::Boolean),
            ("exclude", Takes::Values),
            ("parents", Takes::Boolean),
        ],
    };
    let flags = Flags::read(&node.flags, known)?;
    let (destination, sources) = match words(&node.arguments) {
        [sources @ .., destination] if !sources.is_empty() => (destination, sources),
        _ => return Err(Fault::NoDestination(name)),
    };
    let is_exec = matches!(node.arguments, Arguments::Exec(_));
    let announced = |word: &str| match is_exec {
        true => None,
        false => heredoc::read(word).ok().flatten(),
    };
    if announced(destination).is_some() {
        return Err(Fault::HeredocDestination(name));
    }
    let source = |word: &String| {
        // A later heredoc of the same name is the one that is meant.
        let body = |heredoc: Heredoc| {
            let mut bodies = node.heredocs.iter().rev();
            bodies.find(|body| body.name == heredoc.name).cloned()
        };
        match announced(word).and_then(body) {
            Some(heredoc) => TransferSource::Heredoc(heredoc),
            None => TransferSource::Path(word.clone()),
        }
    };
    Ok(Transfer {
        sources: sources.iter().map(source).collect(),
        destination: destination.clone(),
        from: flags.value("from"),
        chown: flags.value("chown"),
        chmod: flags.value("chmod"),
        link: flags.boolean("link") == Some(true),
        parents: flags.boolean("parents") == Some(true),
        excludes: flags.values("exclude"),
        checksum: flags.value("checksum"),
        keep_git_dir: flags.boolean("keep-git-dir"),
        unpack: flags.boolean("unpack"),
    })
}

fn run(node: &Node) -> Result<Run, Fault> {
    let flags = Flags::read(
        &node.flags,
        &[
            ("mount", Takes::Values),
            ("network", Takes::Value),
            ("security", Takes::Value),
            ("device", Takes::Values),
        ],
    )?;
    let mounts = flags.values("mount");
    let mounts: Result<_, _> = mounts.iter().map(|text| Mount::written(text)).collect();
    let devices = flags.values("device");
    let devices: Result<_, _> = devices.iter().map(|text| device(text)).collect();
    Ok(Run {
        command: command(&node.arguments),
        heredocs: node.heredocs.clone(),
        mounts: mounts?,
        network: match flags.given("network") {
            None | Some("default") => Network::Default,
            Some("none") => Network::None,
            Some("host") => Network::Host,
            Some(mode) => return Err(Fault::Network(mode.to_owned())),
        },
        security: match flags.given("security") {
            None | Some("sandbox") => Security::Sandbox,
            Some("insecure") => Security::Insecure,
            Some(mode) => return Err(Fault::Security(mode.to_owned())),
        },
        devices: devices?,
    })
}

/// `NAME[,required]`, `name=NAME,required=true`.
pub(super) fn device(text: &str) -> Result<Device, Fault> {
    let mut device = Device {
        name: String::new(),
        required: false,
    };
    for field in csv::fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
            None => (field.to_ascii_lowercase(), None),
        };
        match (key.as_str(), value) {
            ("required", None) => device.required = true,
            ("required", Some(value)) => {
                device.required = mount::boolean_of(value)
                    .ok_or_else(|| Fault::DeviceRequired(value.to_owned()))?;
            }
            ("name", Some(_)) if !device.name.is_empty() => {
                return Err(Fault::DeviceName(device.name));
            }
            ("name", Some(value)) => value.clone_into(&mut device.name),
            _ if device.name.is_empty() => device.name = field,
            (_, None) => return Err(Fault::DeviceField(field)),
            (_, Some(_)) => {
                let meant = Meant::among(&key, ["name", "required"]);
                return Err(Fault::DeviceKey { key, meant });
            }
        }
    }
    Ok(device)
}

fn on_build(node: &Node) -> Result<Kind, Fault> {
    no_flags(node)?;
    let Arguments::Trigger(trigger) = &node.arguments else {
        return Err(Fault::AtLeastOne("ONBUILD"));
    };
    match trigger.word.to_ascii_uppercase() {
        word if word == "ONBUILD" => return Err(Fault::TriggerChain),
        word if word == "MAINTAINER" || word == "FROM" => return Err(Fault::Trigger(word)),
        _ => {}
    }
    let mut text = trigger.text.clone();
    for heredoc in &node.heredocs {
        text.push('\n');
        text.push_str(&heredoc.raw);
        text.push_str(&heredoc.name);
    }
    let mut trigger = Node::clone(trigger);
    trigger.heredocs.clone_from(&node.heredocs);
    match read(&trigger)? {
        Statement::Other(kind) => Ok(Kind::Onbuild {
            text,
            trigger: Box::new(instruction(trigger, kind)),
        }),
        Statement::From(_) => Err(Fault::Trigger("FROM".to_owned())),
    }
}

fn volume(node: &Node) -> Result<Vec<String>, Fault> {
    let read = |path: String| match path.trim() {
        "" => Err(Fault::EmptyVolume),
        path => Ok(path.to_owned()),
    };
    several(node, "VOLUME")?.into_iter().map(read).collect()
}

fn shell(node: &Node) -> Result<Vec<String>, Fault> {
    no_flags(node)?;
    match &node.arguments {
        arguments if words(arguments).is_empty() => Err(Fault::AtLeastOne("SHELL")),
        Arguments::Exec(words) => Ok(words.clone()),
        _ => Err(Fault::ShellNotJson),
    }
}

fn healthcheck(node: &Node) -> Result<Healthcheck, Fault> {
    let flags = Flags::read(
        &node.flags,
        &[
            ("interval", Takes::Value),
            ("timeout", Takes::Value),
            ("start-period", Takes::Value),
            ("start-interval", Takes::Value),
            ("retries", Takes::Value),
        ],
    )?;
    let Arguments::Headed(head, arguments) = &node.arguments else {
        return Err(Fault::AtLeastOne("HEALTHCHECK"));
    };
    let is_bare = words(arguments).is_empty();
    match head.to_ascii_uppercase().as_str() {
        "NONE" if is_bare => Ok(Healthcheck::None),
        "NONE" => Err(Fault::HealthcheckNone),
        "CMD" if is_bare => Err(Fault::HealthcheckCommand),
        "CMD" => Ok(Healthcheck::Check {
            command: command(arguments),
            interval: duration(&flags, "interval")?,
            timeout: duration(&flags, "timeout")?,
            start_period: duration(&flags, "start-period")?,
            start_interval: duration(&flags, "start-interval")?,
            retries: retries(&flags)?,
        }),
        _ => Err(Fault::HealthcheckType(head.clone())),
    }
}

/// The flag's nanoseconds; 0 (inherited) if it is missing or empty.
fn duration(flags: &Flags, name: &'static str) -> Result<i64, Fault> {
    let Some(text) = flags.value(name) else {
        return Ok(0);
    };
    match units::parse_duration(&text)? {
        0 => Ok(0),
        ..1_000_000 => Err(Fault::DurationTooShort(name)),
        nanoseconds => Ok(nanoseconds),
    }
}

fn retries(flags: &Flags) -> Result<i64, Fault> {
    let Some(text) = flags.value("retries") else {
        return Ok(0);
    };
    match text.parse::<i32>() {
        Ok(retries) if retries >= 0 => Ok(retries.into()),
        _ => Err(Fault::Retries(text)),
    }
}
