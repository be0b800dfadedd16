//! `ps`.

use clap::Args;
use jiff::Timestamp;
use shiplap_model::container::{MountSource, PortMapping};
use shiplap_ops::container::{
    State, Status,
    list::{self, ListedContainer, PsOptions},
};

use super::list::ListFlags;
use crate::{
    face::{self, Face, Failure},
    table::Columns,
    words,
};

/// List containers
#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListFlags,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "int")]
    last: Option<usize>,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
}

/// A container as it is to be shown.
pub(crate) struct Shown {
    pub(crate) listed: ListedContainer,
    pub(crate) whole: bool,
    pub(crate) now: Timestamp,
}

const COMMAND_WIDTH: usize = 20;

impl Shown {
    fn command(&self) -> String {
        let command = self.listed.container.facts.command().join(" ");
        let command = if self.whole {
            command
        } else {
            words::ellipsis(&command, COMMAND_WIDTH)
        };
        format!("\"{}\"", command.replace('\t', " "))
    }

    fn mounts(&self) -> String {
        let facts = &self.listed.container.facts;
        let volumes = facts.volumes.iter().map(|volume| &volume.name);
        let mounts = facts.options.storage.mounts.iter();
        let binds = mounts.filter_map(|mount| match &mount.source {
            MountSource::Bind { path, .. } => Some(path),
            _ => None,
        });
        let sources = volumes.chain(binds).map(|source| match self.whole {
            true => source.clone(),
            false => words::ellipsis(source, 15),
        });
        sources.collect::<Vec<_>>().join(",")
    }

    fn size(&self) -> String {
        match self.listed.size_bytes {
            Some((own, whole)) => {
                format!("{} (virtual {})", words::size(own), words::size(whole))
            }
            None => "0B".to_owned(),
        }
    }

    fn labels(&self) -> String {
        let labels = &self.listed.container.facts.config.labels;
        let labels = labels.iter().map(|(name, value)| format!("{name}={value}"));
        labels.collect::<Vec<_>>().join(",")
    }
}

pub(crate) const COLUMNS: Columns<Shown> = Columns {
    row: "container",
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    all: &[
        ("Command", "COMMAND", Shown::command),
        ("CreatedAt", "CREATED AT", |row| {
            words::at(Some(row.listed.container.facts.created))
        }),
        ("ID", "CONTAINER ID", |row| {
            words::id(row.listed.container.id(), row.whole)
        }),
        ("Image", "IMAGE", |row| row.listed.image.clone()),
        ("Labels", "LABELS", Shown::labels),
        ("LocalVolumes", "LOCAL VOLUMES", |row| {
            row.listed.container.facts.volumes.len().to_string()
        }),
        ("Mounts", "MOUNTS", Shown::mounts),
        ("Names", "NAMES", |row| row.listed.container.name.clone()),
        ("Networks", "NETWORKS", |row| {
            list::network_word(&row.listed.container).to_owned()
        }),
        ("Ports", "PORTS", |row| ports(&row.listed)),
        ("RunningFor", "CREATED", |row| {
            words::since(Some(row.listed.container.facts.created), row.now)
        }),
        ("Size", "SIZE", Shown::size),
        ("State", "STATE", |row| {
            row.listed.state.status.word().to_owned()
        }),
        ("Status", "STATUS", |row| status(&row.listed.state, row.now)),
    ],
};

const SIZE_TABLE: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

impl Ps {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let options = PsOptions {
            all: self.all,
            last: if self.latest { Some(1) } else { self.last },
            filters: face::filters(&self.filter)?,
            sizes: self.size || self.list.mentions(".Size"),
        };
        let session = face.session(true)?;
        let listed = list::list(&session.context, &options)?;
        let default = match (self.quiet, self.size) {
            (true, _) => Some("{{.ID}}"),
            (false, true) => Some(SIZE_TABLE),
            (false, false) => None,
        };
        let (whole, now) = (self.no_trunc, Timestamp::now());
        let rows = listed
            .into_iter()
            .map(|listed| Shown { listed, whole, now });
        self.list.print(face, &COLUMNS, default, rows)
    }
}

/// `Up 5 minutes (Paused)`, `Exited (0) 3 hours ago`, `Created`.
fn status(state: &State, now: Timestamp) -> String {
    let since = |time: Option<Timestamp>| words::since(time, now);
    let up = || {
        let since = since(state.started);
        since.strip_suffix(" ago").unwrap_or(&since).to_owned()
    };
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}", up()),
        Status::Paused => format!("Up {} (Paused)", up()),
        Status::Exited => format!("Exited ({}) {}", state.exit_code, since(state.finished))
            .trim_end()
            .to_owned(),
    }
}

/// `0.0.0.0:8080->80/tcp`, those that are only exposed as `80/tcp`.
fn ports(listed: &ListedContainer) -> String {
    if !listed.state.status.is_live() {
        return String::new();
    }
    let exposed = &listed.container.facts.config.exposed_ports;
    let is_published = |port: &&String| {
        listed
            .ports
            .iter()
            .any(|known| **port == format!("{}/{}", known.container_port, known.protocol))
    };
    let only_exposed = exposed.iter().filter(|port| !is_published(port)).cloned();
    let published = listed.ports.iter().map(published);
    only_exposed.chain(published).collect::<Vec<_>>().join(", ")
}

/// A port of the host and where it leads.
pub(crate) fn published(port: &PortMapping) -> String {
    let host = match port.host_ip {
        Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
        Some(ip) => ip.to_string(),
        None => "0.0.0.0".to_owned(),
    };
    let (outside, inside, protocol) = (port.host_port, port.container_port, &port.protocol);
    format!("{host}:{outside}->{inside}/{protocol}")
}
