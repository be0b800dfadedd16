//! `inspect` and `image inspect`.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde::Serialize;
use shiplap_model::Platform;
use shiplap_ops::{
    Context,
    container::{self, ContainerError, volume},
    inspect::{self, InspectedConfig, InspectedImage, Nothing},
};

use crate::{
    face::{Face, Failure},
    template::{self, Template, Value},
};

/// Display detailed information on containers, images and volumes
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Format output using a custom template: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    #[arg(short, long, hide = true)]
    size: bool,
    /// Only inspect objects of the given type
    #[arg(long = "type", value_name = "string")]
    kind: Option<Kind>,
    /// What to inspect
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
}

/// Display detailed information on one or more images
#[derive(Debug, Args)]
pub(crate) struct ImageInspect {
    #[command(flatten)]
    one: InspectOne,
    /// Inspect a specific platform of a multi-platform image (formatted as os[/arch[/variant]], e.g. linux/amd64)
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
}

/// Display detailed information on one or more containers
#[derive(Debug, Args)]
pub(crate) struct ContainerInspect {
    #[command(flatten)]
    one: InspectOne,
}

/// Display detailed information on one or more volumes
#[derive(Debug, Args)]
pub(crate) struct VolumeInspect {
    #[command(flatten)]
    one: InspectOne,
}

#[derive(Debug, Args)]
struct InspectOne {
    /// Format output using a custom template: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    #[arg(short, long, hide = true)]
    size: bool,
    /// What to inspect
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Container,
    Image,
    Volume,
}

impl ImageInspect {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let platform = self.platform;
        self.one.of(Kind::Image).run_for(face, platform.as_ref())
    }
}

impl ContainerInspect {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        self.one.of(Kind::Container).run(face)
    }
}

impl VolumeInspect {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        self.one.of(Kind::Volume).run(face)
    }
}

impl InspectOne {
    fn of(self, kind: Kind) -> Inspect {
        Inspect {
            format: self.format,
            size: self.size,
            kind: Some(kind),
            names: self.names,
        }
    }
}

/// Something that was found, as Docker tells it.
enum Found {
    Image(Box<InspectedImage>),
    Other(serde_json::Value),
}

impl Found {
    /// Looks for it as a container, a volume, an image: as Docker does.
    fn find(
        context: &Context,
        name: &str,
        kind: Option<Kind>,
        platform: Option<&Platform>,
    ) -> Result<Self, Failure> {
        let may_be = |wanted| kind.is_none_or(|kind| kind == wanted);
        if may_be(Kind::Container) {
            match container::find(context, name) {
                Ok(found) => return Ok(Self::Other(container::inspect::inspect(context, &found)?)),
                Err(ContainerError::NotFound { .. }) if kind.is_none() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if may_be(Kind::Volume) {
            match volume::inspect(context, name) {
                Ok(volume) => return Ok(Self::Other(serde_json::to_value(volume)?)),
                Err(_) if kind.is_none() => {}
                Err(error) => return Err(error.into()),
            }
        }
        match inspect::inspect(context, name, platform) {
            Ok(image) => Ok(Self::Image(Box::new(image))),
            Err(error) if kind.is_none() && error.is_not_found() => {
                Err(Failure::plain(format!("No such object: {name}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        match self {
            Self::Image(image) => serde_json::to_value(image),
            Self::Other(value) => Ok(value.clone()),
        }
    }
}

impl Serialize for Found {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Image(image) => image.serialize(serializer),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

enum Format {
    Indented,
    Json,
    Template(Template),
}

impl Inspect {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        self.run_for(face, None)
    }

    fn run_for(self, face: &Face, platform: Option<&Platform>) -> Result<(), Failure> {
        let format = match self.format.as_deref() {
            None | Some("") => Format::Indented,
            Some("json") => Format::Json,
            Some(text) => Format::Template(Template::parse(text)?),
        };
        let session = face.session(true)?;
        let mut found = Vec::new();
        let mut lines = String::new();
        let mut is_failed = false;
        for name in &self.names {
            let one = match Found::find(&session.context, name, self.kind, platform) {
                Ok(one) => one,
                Err(failure) => {
                    is_failed = true;
                    face.tell(&failure);
                    continue;
                }
            };
            match &format {
                Format::Indented => found.push(one),
                Format::Json => lines.push_str(&(serde_json::to_string(&one)? + "\n")),
                Format::Template(template) => lines.push_str(&(filled(template, &one)? + "\n")),
            }
        }
        if matches!(format, Format::Indented) {
            lines = indented(&found, b"    ")? + "\n";
        }
        face.output.data(&lines)?;
        if is_failed {
            Err(Failure::told())
        } else {
            Ok(())
        }
    }
}

/// JSON with that indent, as Docker prints it; no line end behind it.
pub(crate) fn indented<T: Serialize>(data: &T, indent: &[u8]) -> serde_json::Result<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    data.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text, formatter,
    ))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The template's text for what was found. For an image with Docker's types, so that what an image
/// lacks has the zero of its type; if that fails, with its JSON, as Docker does, so that JSON's
/// names work too.
fn filled(template: &Template, found: &Found) -> Result<String, Failure> {
    let mut json = found.json()?;
    let Found::Image(image) = found else {
        fill_mounts(&mut json);
        return Ok(template.execute_strictly(&Value::from_json(&json))?);
    };
    let plain = Value::from_json(&json);
    let typed = match template.execute(&value(image)) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let strict: Result<String, template::Error> = template.execute_strictly(&plain);
    strict.map_err(|_| typed.into())
}

/// Docker's type for a mount has fields that its JSON leaves out where they are empty; a template
/// may ask each mount for them.
fn fill_mounts(container: &mut serde_json::Value) {
    let mounts = container
        .get_mut("Mounts")
        .and_then(serde_json::Value::as_array_mut);
    let mounts = mounts.into_iter().flatten();
    for mount in mounts.filter_map(serde_json::Value::as_object_mut) {
        for field in ["Name", "Driver"] {
            mount.entry(field).or_insert_with(|| "".into());
        }
    }
}

fn value(image: &InspectedImage) -> Value {
    let text = |text: &str| Value::from(text);
    let optional = |text: &Option<String>| Value::from(text.as_deref().unwrap_or_default());
    let id = image.id.to_string();
    let layers = image.root_fs.layers.iter().map(ToString::to_string);
    let layers = Value::strings(layers);
    let omitted = image.root_fs.layers.is_empty().then_some("Layers");
    let root_fs = Value::record_without(
        "image.RootFS",
        [("Type", text(&image.root_fs.kind)), ("Layers", layers)],
        omitted.into_iter().collect(),
    );
    let data = image
        .graph_driver
        .data
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()));
    let driver = [
        ("Data", Value::string_map(data)),
        ("Name", text(&image.graph_driver.name)),
    ];
    let metadata = [("LastTagTime", text(&image.metadata.last_tag_time))];
    let fields = [
        ("Id", text(&id)),
        // Docker's type calls it so.
        ("ID", text(&id)),
        (
            "RepoTags",
            Value::strings(image.repo_tags.iter().map(String::as_str)),
        ),
        (
            "RepoDigests",
            Value::strings(image.repo_digests.iter().map(String::as_str)),
        ),
        ("Parent", text(&image.parent)),
        ("Comment", text(&image.comment)),
        ("Created", text(&image.created)),
        ("DockerVersion", text(&image.docker_version)),
        ("Author", text(&image.author)),
        ("Config", config(&image.config)),
        ("Architecture", text(&image.architecture)),
        ("Variant", optional(&image.variant)),
        ("Os", text(&image.os)),
        ("OsVersion", optional(&image.os_version)),
        ("Size", integer(image.size)),
        ("GraphDriver", Value::record("storage.DriverData", driver)),
        ("RootFS", root_fs),
        ("Metadata", Value::record("image.Metadata", metadata)),
    ];
    let mut omitted = vec!["ID"];
    omitted.extend(image.variant.is_none().then_some("Variant"));
    omitted.extend(image.os_version.is_none().then_some("OsVersion"));
    Value::record_without("image.InspectResponse", fields, omitted)
}

fn config(config: &InspectedConfig) -> Value {
    let text = |text: &str| Value::from(text);
    let health = match &config.healthcheck {
        Some(check) => {
            serde_json::to_value(check).map_or(Value::Nil, |json| Value::from_json(&json))
        }
        None => Value::NilStruct("container.HealthConfig"),
    };
    let labels = match &config.labels {
        Some(labels) => Value::string_map(
            labels
                .iter()
                .map(|(key, value)| (key.as_str(), value.clone())),
        ),
        None => Value::Map {
            element: "string",
            entries: None,
        },
    };
    let fields = [
        ("Hostname", text(&config.hostname)),
        ("Domainname", text(&config.domainname)),
        ("User", text(&config.user)),
        ("AttachStdin", Value::Bool(config.attach_stdin)),
        ("AttachStdout", Value::Bool(config.attach_stdout)),
        ("AttachStderr", Value::Bool(config.attach_stderr)),
        ("ExposedPorts", set(Some(&config.exposed_ports))),
        ("Tty", Value::Bool(config.tty)),
        ("OpenStdin", Value::Bool(config.open_stdin)),
        ("StdinOnce", Value::Bool(config.stdin_once)),
        ("Env", list(config.env.as_deref())),
        ("Cmd", list(config.cmd.as_deref())),
        ("Healthcheck", health),
        ("ArgsEscaped", Value::Bool(config.args_escaped)),
        ("Image", text(&config.image)),
        ("Volumes", set(config.volumes.as_ref())),
        ("WorkingDir", text(&config.working_dir)),
        ("Entrypoint", list(config.entrypoint.as_deref())),
        ("OnBuild", list(config.on_build.as_deref())),
        ("Labels", labels),
        (
            "StopSignal",
            text(config.stop_signal.as_deref().unwrap_or_default()),
        ),
        (
            "StopTimeout",
            config
                .stop_timeout
                .map_or(Value::NilStruct("int"), Value::Int),
        ),
        ("Shell", list(config.shell.as_deref())),
    ];
    let absent = [
        ("ExposedPorts", config.exposed_ports.is_empty()),
        ("Healthcheck", config.healthcheck.is_none()),
        ("ArgsEscaped", !config.args_escaped),
        ("StopSignal", config.stop_signal.is_none()),
        ("StopTimeout", config.stop_timeout.is_none()),
        ("Shell", config.shell.is_none()),
    ];
    let omitted = absent
        .into_iter()
        .filter(|(_, is_absent)| *is_absent)
        .map(|(name, _)| name);
    Value::record_without("container.Config", fields, omitted.collect())
}

fn integer(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn list(items: Option<&[String]>) -> Value {
    match items {
        Some(items) => Value::strings(items.iter().map(String::as_str)),
        None => Value::List {
            element: "string",
            items: None,
        },
    }
}

fn set(members: Option<&BTreeMap<String, Nothing>>) -> Value {
    let nothing = || Value::record("struct {}", Vec::<(&str, Value)>::new());
    match members {
        Some(members) => {
            let entries = members.keys().map(|key| (key.as_str().into(), nothing()));
            Value::map("struct {}", entries.collect())
        }
        None => Value::Map {
            element: "struct {}",
            entries: None,
        },
    }
}

#[cfg(test)]
mod tests;
