//! `image prune`.

use clap::Args;
use shiplap_model::units;
use shiplap_ops::prune::{self, PruneOptions};

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
        let mut lines = String::new();
        if !report.removed.is_empty() {
            lines.push_str(if self.dry_run {
                "Would delete images:\n"
            } else {
                "Deleted Images:\n"
            });
            for removal in &report.removed {
                let (what, which) = rmi::words(removal);
                lines.push_str(&format!("{}: {which}\n", what.to_lowercase()));
            }
            lines.push('\n');
        }
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
