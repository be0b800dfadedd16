//! `info` and `version`.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use shiplap_model::{Platform, units};
use shiplap_ops::info::{self, Info};

use crate::{
    face::{Face, Failure},
    template::{Template, Value},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Display system-wide information
#[derive(Debug, Args)]
pub(crate) struct InfoVerb {
    /// Format output using a custom template: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
}

impl InfoVerb {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let info = info::info(&session.context)?;
        match self.format.as_deref() {
            None | Some("") => Ok(face.output.data(&page(&info))?),
            Some(format) => formatted(face, format, "info", &described(&info)),
        }
    }
}

/// In the words of Docker's API, and some of our own.
fn described(info: &Info) -> serde_json::Value {
    json!({
        "Architecture": std::env::consts::ARCH,
        "CgroupDriver": if info.has_cgroups { "cgroupfs" } else { "none" },
        "CgroupVersion": info.cgroup_version.as_deref().unwrap_or_default(),
        "Containers": info.containers.all,
        "ContainersPaused": info.containers.paused,
        "ContainersRunning": info.containers.running,
        "ContainersStopped": info.containers.stopped,
        "DefaultRuntime": info.runtime.as_ref().map_or("", |runtime| &runtime.name),
        "DockerRootDir": info.root,
        "Driver": info.layer_backend.name(),
        "DriverStatus": [["Reason", info.layer_backend_reason]],
        "Images": info.images,
        "KernelVersion": info.kernel,
        "LoggingDriver": "json-file",
        "MemTotal": info.memory_bytes,
        "NCPU": info.processors,
        "Name": info.host,
        "OSType": std::env::consts::OS,
        "Platform": info.platform,
        "Registries": info.registries,
        "Runtimes": runtimes(info),
        "SecurityOptions": security_options(info),
        "ServerVersion": VERSION,
    })
}

fn runtimes(info: &Info) -> serde_json::Value {
    let runtimes = info.runtimes.iter();
    runtimes
        .map(|(name, path)| (name.clone(), json!({ "path": path })))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What keeps containers in, in Docker's words.
fn security_options(info: &Info) -> Vec<&'static str> {
    let mut options = vec!["name=seccomp,profile=builtin"];
    if info.is_rootless {
        options.push("name=rootless");
    }
    options
}

/// The lines about what runs containers.
fn engine(info: &Info) -> String {
    let mut lines = match &info.cgroup_version {
        None => "Cgroup Version: none\n".to_owned(),
        Some(version) => {
            let driver = match info.has_cgroups {
                true => "cgroupfs",
                false => "none (no control group may be made here)",
            };
            format!("Cgroup Driver: {driver}\nCgroup Version: {version}\n")
        }
    };
    let names: Vec<&str> = info.runtimes.iter().map(|(name, _)| &**name).collect();
    lines.push_str(&format!("Runtimes: {}\n", names.join(" ")));
    lines.push_str(&match &info.runtime {
        Ok(runtime) => format!("Default Runtime: {} ({})\n", runtime.name, runtime.version),
        Err(reason) => format!("Default Runtime: none (failed to {reason})\n"),
    });
    lines.push_str("Logging Driver: json-file\nSecurity Options:\n seccomp\n  Profile: builtin\n");
    if info.is_rootless {
        lines.push_str(" rootless\n");
    }
    lines
}

fn page(info: &Info) -> String {
    let mut page = format!(
        "Version: {VERSION}\nRoot: {}\nImages: {}\nContainers: {}\n Running: {}\n Paused: {}\n Stopped: {}\n",
        info.root.display(),
        info.images,
        info.containers.all,
        info.containers.running,
        info.containers.paused,
        info.containers.stopped,
    );
    page.push_str(&format!(
        "Layer Backend: {} ({})\n{}Platform: {}\nKernel Version: {}\nCPUs: {}\nTotal Memory: {}\nName: {}\n",
        info.layer_backend.name(),
        info.layer_backend_reason,
        engine(info),
        info.platform,
        info.kernel,
        info.processors,
        units::binary_size(info.memory_bytes),
        info.host,
    ));
    if !info.registries.is_empty() {
        page.push_str("Registries:\n");
    }
    for registry in &info.registries {
        page.push_str(&format!(" {}\n", registry.prefix));
        for mirror in &registry.mirrors {
            page.push_str(&format!("  Mirror: {mirror}\n"));
        }
        if let Some(location) = &registry.location {
            page.push_str(&format!("  Location: {location}\n"));
        }
        if registry.insecure {
            page.push_str("  Insecure: true\n");
        }
    }
    page
}

/// Show the version information
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Format output using a custom template: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
}

impl Version {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let Platform {
            os, architecture, ..
        } = Platform::host();
        let Some(format) = self.format.as_deref().filter(|format| !format.is_empty()) else {
            let text = format!("Version:  {VERSION}\nOS/Arch:  {os}/{architecture}\n");
            return Ok(face.output.data(&format!("Shiplap\n{text}"))?);
        };
        // There is no server; whoever asks for its version means what does the work.
        let side = json!({ "Arch": architecture, "Os": os, "Version": VERSION });
        formatted(
            face,
            format,
            "version",
            &json!({ "Client": side, "Server": side }),
        )
    }
}

fn formatted<T: Serialize>(
    face: &Face,
    format: &str,
    name: &'static str,
    data: &T,
) -> Result<(), Failure> {
    let data = serde_json::to_value(data)?;
    let format = if format == "json" {
        "{{json .}}"
    } else {
        format
    };
    let value = structs(name, &data);
    Ok(face
        .output
        .line(&Template::parse(format)?.execute(&value)?)?)
}

/// Objects as structs, so that asking for a field that isn't there is an error.
fn structs(name: &'static str, data: &serde_json::Value) -> Value {
    match data {
        serde_json::Value::Object(fields) => Value::record(
            name,
            fields
                .iter()
                .map(|(key, value)| (key.as_str(), structs(name, value))),
        ),
        other => Value::from_json(other),
    }
}
