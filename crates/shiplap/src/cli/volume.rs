//! `volume create`, `ls`, `prune` and `rm`.

use std::collections::BTreeMap;

use clap::Args;
use shiplap_model::units;
use shiplap_ops::container::volume::{self, Volume};

use super::list::ListFlags;
use crate::{
    face::{self, Face, Failure},
    table::Columns,
};

/// Create a volume
#[derive(Debug, Args)]
pub(crate) struct VolumeCreate {
    /// Specify volume driver name
    #[arg(short, long, value_name = "string", default_value = "local", value_parser = ["local"])]
    driver: String,
    /// Set metadata for a volume
    #[arg(long, value_name = "list")]
    label: Vec<String>,
    /// Its name; one is made up without
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
}

impl VolumeCreate {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let labels: BTreeMap<String, String> = self
            .label
            .iter()
            .map(|label| {
                let (name, value) = label.split_once('=').unwrap_or((label, ""));
                (name.to_owned(), value.to_owned())
            })
            .collect();
        let session = face.session(true)?;
        let name = volume::create(&session.context, self.name.as_deref(), labels)?;
        Ok(face.output.line(&name)?)
    }
}

/// List volumes
#[derive(Debug, Args)]
pub(crate) struct VolumeLs {
    /// Provide filter values: name, label, dangling, driver
    #[arg(short, long, value_name = "filter")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListFlags,
    /// Only display volume names
    #[arg(short, long)]
    quiet: bool,
}

const COLUMNS: Columns<Volume> = Columns {
    row: "volume",
    table: "{{.Driver}}\t{{.Name}}",
    all: &[
        ("Driver", "DRIVER", |row| row.driver.to_owned()),
        ("Labels", "LABELS", |row| {
            let labels = row.labels.iter();
            let labels = labels.map(|(name, value)| format!("{name}={value}"));
            labels.collect::<Vec<_>>().join(",")
        }),
        ("Mountpoint", "MOUNTPOINT", |row| {
            row.mountpoint.to_string_lossy().into_owned()
        }),
        ("Name", "VOLUME NAME", |row| row.name.clone()),
        ("Scope", "SCOPE", |row| row.scope.to_owned()),
    ],
};

impl VolumeLs {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let filters = face::filters(&self.filter)?;
        filters.check_keys(&["name", "label", "dangling", "driver"])?;
        let dangling = match filters.contains("dangling") {
            true => Some(filters.flag("dangling", false)?),
            false => None,
        };
        let session = face.session(true)?;
        let used = volume::in_use(&session.context)?;
        let rows = volume::list(&session.context)?
            .into_iter()
            .filter(|volume| {
                filters.matches("name", &volume.name)
                    && filters.matches_labels("label", &volume.labels)
                    && filters.is_exact("driver", volume.driver)
                    && dangling.is_none_or(|wanted| wanted != used.contains_key(&volume.name))
            });
        let default = self.quiet.then_some("{{.Name}}");
        self.list.print(face, &COLUMNS, default, rows)
    }
}

/// Remove unused local volumes
#[derive(Debug, Args)]
pub(crate) struct VolumePrune {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values: label, label!, all
    #[arg(long, value_name = "filter")]
    filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

impl VolumePrune {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let mut filters = face::filters(&self.filter)?;
        if self.all {
            filters.add("all", "true");
        }
        let which = if filters.flag("all", false)? {
            "all local volumes"
        } else {
            "anonymous local volumes"
        };
        let warning = format!("This will remove {which} not used by at least one container.");
        if !face.confirm(&warning, self.force)? {
            return Ok(());
        }
        let session = face.session(true)?;
        let (removed, bytes) = volume::prune(&session.context, &filters)?;
        if !removed.is_empty() {
            face.output.line("Deleted Volumes:")?;
            for name in &removed {
                face.output.line(name)?;
            }
            face.output.line("")?;
        }
        let size = units::human_size(bytes);
        Ok(face
            .output
            .line(&format!("Total reclaimed space: {size}"))?)
    }
}

/// Remove one or more volumes
#[derive(Debug, Args)]
pub(crate) struct VolumeRm {
    /// Say nothing of volumes that are not there
    #[arg(short, long)]
    force: bool,
    /// Volumes to remove
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

impl VolumeRm {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        face.each(&self.volumes, |name| {
            match volume::remove(&session.context, name) {
                Ok(()) => Ok(Some(name.clone())),
                Err(volume::VolumeError::NotFound { .. }) if self.force => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }
}
