//! What builds keep and leave: `build ls`, `build prune`, `buildx du`, and the little of buildx that
//! scripts call beside `buildx build`.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    time::Duration,
};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use shiplap_model::{Platform, container::memory, units};
use shiplap_ops::{
    build_cache::{self, CacheObject, CachePruneOptions},
    builds::{self, BuildRecord, BuildStatus},
};

use super::{build, imagetools, list::ListFlags};
use crate::{
    face::{self, Face, Failure},
    table::Columns,
    words,
};

/// `builder`, and what of `buildx` there is.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum BuilderCommand {
    #[command(alias = "b")]
    Build(Box<build::Build>),
    Du(CacheUsage),
    /// Commands to work on build records
    #[command(subcommand)]
    History(HistoryCommand),
    /// Commands to work on images in registries
    #[command(subcommand)]
    Imagetools(imagetools::ImagetoolsCommand),
    #[command(hide = true)]
    Create(Ignored),
    Inspect(BuilderInspect),
    Ls(BuilderLs),
    Prune(CachePrune),
    #[command(hide = true)]
    Rm(Ignored),
    #[command(hide = true)]
    Stop(Ignored),
    #[command(hide = true)]
    Use(Ignored),
    Version(BuilderVersion),
}

impl BuilderCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Build(verb) => verb.run(face),
            Self::Du(verb) => verb.run(face),
            Self::History(HistoryCommand::Logs(verb)) => verb.run(face),
            Self::History(HistoryCommand::Ls(verb)) => verb.run(face),
            Self::History(HistoryCommand::Rm(verb)) => verb.run(face),
            Self::Create(verb) | Self::Rm(verb) | Self::Stop(verb) | Self::Use(verb) => {
                verb.run(face);
                Ok(())
            }
            Self::Imagetools(command) => command.run(face),
            Self::Inspect(verb) => verb.run(face),
            Self::Ls(verb) => verb.run(face),
            Self::Prune(verb) => verb.run(face),
            Self::Version(verb) => verb.run(face),
        }
    }
}

/// Records of builds.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum HistoryCommand {
    Logs(BuildLogs),
    Ls(BuildLs),
    Rm(BuildRm),
}

/// A build as it is to be shown.
struct ShownBuild {
    build: BuildRecord,
    whole: bool,
    now: Timestamp,
}

impl ShownBuild {
    fn duration(&self) -> String {
        let end = match (self.build.ended, self.build.status) {
            (Some(end), _) => end,
            (None, BuildStatus::Running) => self.now,
            (None, _) => return String::new(),
        };
        let took = end.duration_since(self.build.started);
        let took = Duration::try_from(took).unwrap_or_default();
        match took.as_secs() {
            0..60 => format!("{:.1}s", took.as_secs_f64()),
            seconds @ 60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
            seconds => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        }
    }

    fn status(&self) -> String {
        let word = self.build.status.as_str();
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    }
}

const BUILD_COLUMNS: Columns<ShownBuild> = Columns {
    row: "build",
    table: "{{.ID}}\t{{.Name}}\t{{.Status}}\t{{.CreatedSince}}\t{{.Duration}}\t{{.Steps}}\t{{.Cached}}\t{{.Image}}",
    all: &[
        ("Cached", "CACHED", |row| row.build.cached.to_string()),
        ("CreatedAt", "CREATED AT", |row| {
            words::at(Some(row.build.started))
        }),
        ("CreatedSince", "CREATED", |row| {
            words::since(Some(row.build.started), row.now)
        }),
        ("Duration", "DURATION", ShownBuild::duration),
        ("ID", "BUILD ID", |row| words::id(&row.build.id, row.whole)),
        ("Image", "IMAGE ID", |row| {
            let image = row.build.image.as_ref();
            image.map_or_else(String::new, |image| {
                words::id(&image.to_string(), row.whole)
            })
        }),
        ("Name", "NAME", |row| row.build.name.clone()),
        ("Status", "STATUS", ShownBuild::status),
        ("Steps", "STEPS", |row| row.build.steps.to_string()),
    ],
};

/// List builds, the newest first
#[derive(Debug, Args)]
pub(crate) struct BuildLs {
    #[command(flatten)]
    list: ListFlags,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show IDs
    #[arg(short, long)]
    quiet: bool,
}

impl BuildLs {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let now = Timestamp::now();
        let rows = builds::list(&session.context)?.into_iter();
        let rows = rows.map(|build| ShownBuild {
            build,
            whole: self.no_trunc,
            now,
        });
        let default = self.quiet.then_some("{{.ID}}");
        self.list.print(face, &BUILD_COLUMNS, default, rows)
    }
}

/// How much of a line is shown at once.
const LINE_BYTES: u64 = 64 << 10;

/// Print the logs of a build, of the newest by default
#[derive(Debug, Args)]
pub(crate) struct BuildLogs {
    /// ID of the build, or its beginning
    #[arg(value_name = "BUILD")]
    build: Option<String>,
}

impl BuildLogs {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let build = builds::find(&session.context, self.build.as_deref())?;
        let mut log = BufReader::new(builds::log(&session.context, &build)?);
        if !face.output.data_on_terminal() {
            io::copy(&mut log, &mut face.output.stream())?;
            return Ok(());
        }
        let mut line = Vec::new();
        while log.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? > 0 {
            face.output.data(&String::from_utf8_lossy(&line))?;
            line.clear();
        }
        Ok(())
    }
}

/// Forget builds and their logs
#[derive(Debug, Args)]
pub(crate) struct BuildRm {
    /// All of them
    #[arg(short, long)]
    all: bool,
    /// IDs of builds, or their beginnings
    #[arg(value_name = "BUILD", required_unless_present = "all")]
    builds: Vec<String>,
}

impl BuildRm {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let ids: Vec<String> = match self.all {
            true => {
                let builds = builds::list(&session.context)?.into_iter();
                builds.map(|build| build.id).collect()
            }
            false => {
                let mut ids = Vec::new();
                for id in &self.builds {
                    ids.push(builds::find(&session.context, Some(id))?.id);
                }
                ids
            }
        };
        builds::forget(&session.context, &ids)?;
        Ok(face.output.data(&lines(&ids))?)
    }
}

fn lines(words: &[String]) -> String {
    words.iter().flat_map(|word| [word, "\n"]).collect()
}

/// A kept thing as it is to be shown.
pub(super) struct ShownObject {
    pub(super) object: CacheObject,
    pub(super) now: Timestamp,
}

impl ShownObject {
    fn is_reclaimable(&self) -> bool {
        !self.object.is_in_use
    }
}

pub(super) const CACHE_COLUMNS: Columns<ShownObject> = Columns {
    row: "build cache",
    table: "{{.ID}}\t{{.Reclaimable}}\t{{.Size}}\t{{.LastUsedSince}}\t{{.Description}}",
    all: &[
        ("CacheType", "CACHE TYPE", |row| {
            row.object.kind.as_str().to_owned()
        }),
        ("CreatedAt", "CREATED AT", |row| {
            words::at(Some(row.object.created))
        }),
        ("CreatedSince", "CREATED", |row| {
            words::since(Some(row.object.created), row.now)
        }),
        ("Description", "DESCRIPTION", |row| {
            row.object.description.clone()
        }),
        ("ID", "ID", |row| words::id(&row.object.id, false)),
        ("InUse", "IN USE", |row| row.object.is_in_use.to_string()),
        ("LastUsedAt", "LAST USED AT", |row| {
            words::at(Some(row.object.used))
        }),
        ("LastUsedSince", "LAST ACCESSED", |row| {
            words::since(Some(row.object.used), row.now)
        }),
        ("Reclaimable", "RECLAIMABLE", |row| {
            row.is_reclaimable().to_string()
        }),
        ("Shared", "SHARED", |row| row.object.is_shared.to_string()),
        ("Size", "SIZE", |row| {
            units::human_size(row.object.size_bytes)
        }),
        ("UsageCount", "USAGE", |row| row.object.uses.to_string()),
    ],
};

/// Disk usage of what builds keep
#[derive(Debug, Args)]
pub(crate) struct CacheUsage {
    #[arg(long, hide = true)]
    builder: Option<String>,
    /// Provide filter values: description, id, inuse, shared, type, until
    #[arg(long, value_name = "filter")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListFlags,
    #[arg(long, hide = true)]
    verbose: bool,
}

impl CacheUsage {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let objects = build_cache::list(&session.context, &face::filters(&self.filter)?)?;
        let sum = |of: &dyn Fn(&CacheObject) -> bool| -> u64 {
            let objects = objects.iter().filter(|object| of(object));
            objects.map(|object| object.size_bytes).sum()
        };
        let shared = sum(&|object| object.is_shared);
        let private = sum(&|object| !object.is_shared);
        let reclaimable = sum(&|object| !object.is_shared && !object.is_in_use);
        let now = Timestamp::now();
        let rows = objects
            .iter()
            .cloned()
            .map(|object| ShownObject { object, now });
        self.list.print(face, &CACHE_COLUMNS, None, rows)?;
        if self.list.is_chosen() {
            return Ok(());
        }
        let size = units::human_size;
        let mut totals = format!("Shared:\t\t{}\nPrivate:\t{}\n", size(shared), size(private));
        totals.push_str(&format!(
            "Reclaimable:\t{}\nTotal:\t\t{}\n",
            size(reclaimable),
            size(shared + private)
        ));
        Ok(face.output.data(&totals)?)
    }
}

/// Remove what builds keep
#[derive(Debug, Args)]
pub(crate) struct CachePrune {
    /// Remove all that no build uses now, not just what no image has
    #[arg(short, long)]
    all: bool,
    #[arg(long, hide = true)]
    builder: Option<String>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Provide filter values (e.g. "until=24h"): description, id, shared, type, until
    #[arg(long, value_name = "filter")]
    filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Amount of disk space to keep
    #[arg(long, visible_alias = "reserved-space", alias = "max-used-space", value_name = "bytes", value_parser = memory::parse)]
    keep_storage: Option<u64>,
    #[arg(long, hide = true)]
    verbose: bool,
}

impl CachePrune {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let warning = match self.all {
            true => "This will remove all build cache.",
            false => "This will remove all dangling build cache.",
        };
        let options = CachePruneOptions {
            all: self.all,
            filters: face::filters(&self.filter)?,
            keep_bytes: self.keep_storage,
            dry_run: self.dry_run,
        };
        if !face.confirm(warning, self.force || self.dry_run)? {
            return Ok(());
        }
        let session = face.session(true)?;
        let mut report = build_cache::prune(&session.context, &options)?;
        if !self.dry_run && self.filter.is_empty() && self.keep_storage.is_none() {
            report.freed_bytes += shiplap_build::forget_contexts(&session.context, self.all)?;
        }
        let (title, total) = match self.dry_run {
            true => (
                "Would delete build cache objects:",
                "Total reclaimable space",
            ),
            false => ("Deleted build cache objects:", "Total reclaimed space"),
        };
        let mut text = String::new();
        if !report.objects.is_empty() {
            let ids = report.objects.into_iter().map(|object| object.id);
            text = format!("{title}\n{}\n", lines(&ids.collect::<Vec<_>>()));
        }
        text.push_str(&format!(
            "{total}: {}\n",
            units::human_size(report.freed_bytes)
        ));
        Ok(face.output.data(&text)?)
    }
}

/// The one builder.
const BUILDER: &str = "default";

/// The builder as a row.
struct Builder;

const BUILDER_COLUMNS: Columns<Builder> = Columns {
    row: "builder",
    table: "{{.Name}}\t{{.Driver}}\t{{.Status}}\t{{.Version}}\t{{.Platforms}}",
    all: &[
        ("Driver", "DRIVER/ENDPOINT", |_| "shiplap".to_owned()),
        ("Name", "NAME/NODE", |_| format!("{BUILDER}*")),
        ("Platforms", "PLATFORMS", |_| Platform::host().to_string()),
        ("Status", "STATUS", |_| "running".to_owned()),
        ("Version", "VERSION", |_| {
            format!("v{}", env!("CARGO_PKG_VERSION"))
        }),
    ],
};

/// List builders: there is one
#[derive(Debug, Args)]
pub(crate) struct BuilderLs {
    #[command(flatten)]
    list: ListFlags,
}

impl BuilderLs {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        self.list.print(face, &BUILDER_COLUMNS, None, [Builder])
    }
}

/// Inspect the builder
#[derive(Debug, Args)]
pub(crate) struct BuilderInspect {
    #[arg(long, hide = true)]
    bootstrap: bool,
    /// Any name: there is one builder
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl BuilderInspect {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let name = self.name.as_deref().unwrap_or(BUILDER);
        let platform = Platform::host();
        let version = env!("CARGO_PKG_VERSION");
        Ok(face.output.data(&format!(
            "Name:          {name}\nDriver:        shiplap\n\nNodes:\n\
             Name:          {name}\nStatus:        running\n\
             Version:       v{version}\nPlatforms:     {platform}\n"
        ))?)
    }
}

/// Show the builder's version
#[derive(Debug, Args)]
pub(crate) struct BuilderVersion {}

impl BuilderVersion {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let version = env!("CARGO_PKG_VERSION");
        Ok(face.output.line(&format!("shiplap v{version}"))?)
    }
}

/// Has no effect: there is one builder, which needs not be made, chosen or removed
#[derive(Debug, Args)]
pub(crate) struct Ignored {
    /// As for buildx
    #[arg(value_name = "ARG", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Ignored {
    fn run(self, face: &Face) {
        drop(self.words);
        let words =
            "there is one builder, and it is always there: nothing to make, choose or remove";
        face.output.warn(words);
    }
}
