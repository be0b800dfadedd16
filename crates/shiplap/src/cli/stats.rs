//! `stats`.

use clap::Args;
use shiplap_model::units;
use shiplap_ops::container::stats::{self, ContainerStats, StatsOptions};

use super::list::ListFlags;
use crate::{
    face::{Face, Failure},
    table::{Columns, Format},
    words,
};

/// Display a live stream of container(s) resource usage statistics
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    list: ListFlags,
    /// Disable streaming stats and only pull the first result
    #[arg(long)]
    no_stream: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only these containers
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// A container's use as it is to be shown.
struct Shown {
    stats: ContainerStats,
    whole: bool,
}

/// What Docker shows where it knows nothing.
const UNKNOWN: &str = "--";

impl Shown {
    fn id(&self) -> String {
        words::id(self.stats.container.id(), self.whole)
    }

    /// As `value` tells it; for one that doesn't run, `none`.
    fn told(&self, none: &str, value: Option<String>) -> String {
        match (self.stats.is_live, value) {
            (true, Some(value)) => value,
            (true, None) => UNKNOWN.to_owned(),
            (false, _) => none.to_owned(),
        }
    }

    fn memory(&self) -> String {
        let usage = &self.stats.usage;
        let both = usage.memory_bytes.zip(usage.memory_limit_bytes);
        let both = both.map(|(used, limit)| {
            format!(
                "{} / {}",
                units::binary_size(used),
                units::binary_size(limit)
            )
        });
        self.told("0B / 0B", both)
    }

    fn pair(&self, bytes: Option<(u64, u64)>) -> String {
        let both =
            bytes.map(|(one, other)| format!("{} / {}", words::size(one), words::size(other)));
        self.told("0B / 0B", both)
    }

    fn share(&self, share: Option<f64>) -> String {
        let percent = share.map(|share| format!("{:.2}%", share * 100.0));
        self.told("0.00%", percent)
    }
}

const COLUMNS: Columns<Shown> = Columns {
    row: "container",
    table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    all: &[
        ("BlockIO", "BLOCK I/O", |row| {
            row.pair(row.stats.usage.disk_bytes)
        }),
        ("CPUPerc", "CPU %", |row| row.share(row.stats.processors)),
        ("Container", "CONTAINER", |row| row.stats.asked.clone()),
        ("ID", "CONTAINER ID", Shown::id),
        ("MemPerc", "MEM %", |row| {
            row.share(row.stats.memory_share())
        }),
        ("MemUsage", "MEM USAGE / LIMIT", Shown::memory),
        ("Name", "NAME", |row| row.stats.container.name.clone()),
        ("NetIO", "NET I/O", |row| {
            row.pair(row.stats.usage.network_bytes)
        }),
        ("PIDs", "PIDS", |row| {
            row.told("0", row.stats.usage.pids.map(|pids| pids.to_string()))
        }),
    ],
};

impl Stats {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let format = Format::parse(self.list.chosen(), &COLUMNS)?;
        let session = face.session(true)?;
        let options = StatsOptions {
            all: self.all,
            names: self.containers,
        };
        loop {
            let found = stats::stats(&session.context, &options)?;
            let is_over = self.no_stream
                || (!options.names.is_empty() && found.iter().all(|stats| !stats.is_live));
            let is_empty = found.is_empty();
            let rows = found.into_iter().map(|stats| Shown {
                stats,
                whole: self.no_trunc,
            });
            let text = format.render(&COLUMNS, rows)?;
            match self.no_stream {
                true => face.output.data(&text)?,
                false => face.output.screen(&text)?,
            }
            if is_over {
                return Ok(());
            }
            if is_empty {
                std::thread::sleep(stats::INTERVAL);
            }
        }
    }
}
