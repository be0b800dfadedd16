//! `image prune` and `system prune`.

use clap::Args;
use shiplap_model::units;
use shiplap_ops::{
    clear::{self, ClearOptions},
    prune::{self, PruneOptions},
    remove::Removal,
};

use super::rmi;
use crate::face::{self, Face, Failure};

/// Remove unused images
#[derive(Debug, Args)]
#[allow(rustdoc::invalid_html_tags, reason = "the text is the verb's help")]
pub(crate) struct Prune {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Provide filter values (e.g. "until=<timestamp>"): until, label, label!
    #[arg(long, value_name = "filter")]
    filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Keep the newest N tagged images of each repository
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_last: usize,
}

impl Prune {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let warning = if self.all {
            "This will remove all images without at least one container associated to them."
        } else {
            "This will remove all dangling images."
        };
        let options = PruneOptions {
            all: self.all,
            filters: face::filters(&self.filter)?,
            dry_run: self.dry_run,
            keep_last: self.keep_last,
        };
        if !face.confirm(warning, self.force || self.dry_run)? {
            return Ok(());
        }
        let session = face.session(true)?;
        let report = prune::prune(&session.context, &options)?;
        let title = match self.dry_run {
            true => "Would delete images:",
            false => "Deleted Images:",
        };
        let mut lines = section(title, &removals(&report.removed));
        let freed = units::human_size(report.freed_bytes);
        let total = if self.dry_run {
            "Total reclaimable space"
        } else {
            "Total reclaimed space"
        };
        lines.push_str(&format!("{total}: {freed}\n"));
        Ok(face.output.data(&lines)?)
    }
}

/// Remove unused data
#[derive(Debug, Args)]
#[allow(rustdoc::invalid_html_tags, reason = "the text is the verb's help")]
pub(crate) struct SystemPrune {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "until=<timestamp>"): until, label, label!
    #[arg(long, value_name = "filter")]
    filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Prune anonymous volumes
    #[arg(long)]
    volumes: bool,
}

impl SystemPrune {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let options = ClearOptions {
            all: self.all,
            volumes: self.volumes,
            filters: face::filters(&self.filter)?,
        };
        if !face.confirm(&warning(&options), self.force)? {
            return Ok(());
        }
        let session = face.session(true)?;
        let report = clear::clear(&session.context, &options)?;
        let mut lines = section("Deleted Containers:", &report.containers);
        lines.push_str(&section("Deleted Volumes:", &report.volumes));
        lines.push_str(&section("Deleted Images:", &removals(&report.images)));
        lines.push_str(&section("Deleted build cache objects:", &report.cache));
        let freed = units::human_size(report.freed_bytes);
        lines.push_str(&format!("Total reclaimed space: {freed}\n"));
        Ok(face.output.data(&lines)?)
    }
}

/// What goes, as Docker says it.
fn warning(options: &ClearOptions) -> String {
    let mut lines = vec!["  - all stopped containers"];
    if options.volumes {
        lines.push("  - all anonymous volumes not used by at least one container");
    }
    lines.push(match options.all {
        true => "  - all images without at least one container associated to them",
        false => "  - all dangling images",
    });
    lines.push(match options.all {
        true => "  - all build cache",
        false => "  - unused build cache",
    });
    let mut text = format!("This will remove:\n{}\n", lines.join("\n"));
    let filters: Vec<String> = options
        .filters
        .keys()
        .flat_map(|key| {
            let values = options.filters.values(key);
            values.map(move |value| format!("  - {key}={value}\n"))
        })
        .collect();
    if !filters.is_empty() {
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        text.extend(filters);
    }
    text
}

/// A list under its title, and an empty line; nothing if it is empty.
fn section(title: &str, items: &[String]) -> String {
    match items.is_empty() {
        true => String::new(),
        false => format!("{title}\n{}\n\n", items.join("\n")),
    }
}

fn removals(removals: &[Removal]) -> Vec<String> {
    let lines = removals.iter().map(|removal| {
        let (what, which) = rmi::words(removal);
        format!("{}: {which}", what.to_lowercase())
    });
    lines.collect()
}
