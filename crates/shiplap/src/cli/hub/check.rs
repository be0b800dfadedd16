//! `hub check`.

use clap::Args;
use shiplap_hub::{Place, check};
use shiplap_model::units;

use super::{Blobs, Data};
use crate::face::{Face, Failure};

/// Check blobs and records
///
/// Hashes every blob, and compares it with its record. May run beside the hub.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    blobs: Blobs,
    /// Take away what no record names, and records of blobs that are lost
    #[arg(long)]
    repair: bool,
}

impl Check {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let place = Place {
            storage: self.blobs.bucket()?,
            ..self.data.place()?
        };
        let report = check::check(&place, self.repair)?;
        for finding in &report.findings {
            face.output.line(&finding.to_string())?;
        }
        let size = units::human_size(report.bytes);
        face.output
            .line(&format!("Checked blobs: {} ({size})", report.blobs))?;
        if report.findings.is_empty() || self.repair {
            return Ok(());
        }
        Err(Failure::told())
    }
}
