//! `system check`.

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shiplap_model::units;
use shiplap_ops::check::{self, CheckReport};

use crate::face::{Face, Failure};

/// Verify every digest, record and index of the store
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Print nothing but what is wrong
    #[arg(short, long)]
    quiet: bool,
    /// Rebuild records and indexes, and take away what can't be saved
    #[arg(long)]
    repair: bool,
}

impl Check {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let is_shown = face.output.talk_on_terminal() && !self.quiet;
        let target = if is_shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target).with_style(style());
        let progress = |done_bytes, total_bytes| {
            bar.set_length(total_bytes);
            bar.set_position(done_bytes);
        };
        let report = check::check(&session.context, self.repair, &progress)?;
        bar.finish_and_clear();
        face.output.data(&page(&report, self.quiet))?;
        if report.is_sound() {
            Ok(())
        } else {
            Err(Failure::told())
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("Checking [{bar:40}] {decimal_bytes:>9}/{decimal_total_bytes:<9}")
        .map_or_else(
            |_| ProgressStyle::default_bar(),
            |style| style.progress_chars("=> "),
        )
}

fn page(report: &CheckReport, quiet: bool) -> String {
    let mut page = String::new();
    for finding in &report.findings {
        let mark = match (finding.is_repaired, finding.fault.is_damage()) {
            (true, _) => "repaired",
            (false, true) => "damaged",
            (false, false) => "untidy",
        };
        page.push_str(&format!("{mark}: {}\n", finding.fault));
    }
    if !quiet {
        let state = if report.is_sound() {
            "sound"
        } else {
            "damaged; --repair puts right what can be"
        };
        page.push_str(&format!(
            "Checked {} blobs ({}) and {} layer indexes: the store is {state}\n",
            report.blobs,
            units::human_size(report.read_bytes),
            report.layers,
        ));
    }
    page
}
