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
        "Containers": info.containers.all,
        "ContainersPaused": info.containers.paused,
        "ContainersRunning": info.containers.running,
        "ContainersStopped": info.containers.stopped,
        "DockerRootDir": info.root,
        "Driver": info.layer_backend.name(),
        "DriverStatus": [["Reason", info.layer_backend_reason]],
        "Images": info.images,
        "KernelVersion": info.kernel,
        "MemTotal": info.memory_bytes,
        "NCPU": info.processors,
        "Name": info.host,
        "OSType": std::env::consts::OS,
        "Platform": info.platform,
        "Registries": info.registries,
        "ServerVersion": VERSION,
    })
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
        "Layer Backend: {} ({})\nPlatform: {}\nKernel Version: {}\nCPUs: {}\nTotal Memory: {}\nName: {}\n",
        info.layer_backend.name(),
        info.layer_backend_reason,
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
