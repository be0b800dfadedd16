//! `rmi`.

use std::{
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use clap::Args;
use shiplap_model::Platform;
use shiplap_ops::remove::{self, Removal, RmiError, RmiOptions};

use crate::face::{Face, Failure};

/// Remove one or more images
#[derive(Debug, Args)]
pub(crate) struct Rmi {
    /// Force removal of the image
    #[arg(short, long)]
    force: bool,
    #[arg(long, hide = true)]
    no_prune: bool,
    /// Remove only the given platform variant (formatted as os[/arch[/variant]], e.g. linux/amd64)
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Images to remove
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Rmi {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let options = RmiOptions {
            images: self.images,
            platforms: self.platform,
            force: self.force,
        };
        let report = remove::remove(&session.context, &options)?;
        let mut lines = String::new();
        for removal in &report.removed {
            let (what, which) = words(removal);
            lines.push_str(&format!("{what}: {which}\n"));
        }
        face.output.data(&lines)?;
        if report.leaves_trash {
            sweep_behind(&session.context.settings().root);
        }
        let mut is_failed = false;
        for failure in &report.failures {
            // As Docker: what is not there need not be removed by force.
            is_failed |= !(self.force && matches!(failure, RmiError::Resolve(_)));
            face.output
                .talk(&format!("{}: failed to {failure}", face.program));
        }
        if is_failed {
            Err(Failure::told())
        } else {
            Ok(())
        }
    }
}

/// Unlink files that removed images left
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Sweep {}

impl Sweep {
    #[expect(clippy::unused_self, reason = "all verbs run alike")]
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        Ok(remove::sweep(&face.session(true)?.context)?)
    }
}

/// Has a process of its own unlink what the removal left, so that nobody waits for it. If it can't
/// be started, the next command that writes does the work.
fn sweep_behind(root: &Path) {
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let sweeper = Command::new(program)
        .arg("--root")
        .arg(root)
        .args(["system", "sweep"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    drop(sweeper);
}

/// What was done to what, in Docker's words.
pub(crate) fn words(removal: &Removal) -> (&'static str, String) {
    match removal {
        Removal::Untagged(reference) => ("Untagged", reference.familiar()),
        Removal::UntaggedDigest(name) => (
            "Untagged",
            format!("{}@{}", name.repository.familiar(), name.digest),
        ),
        Removal::Image(id) => ("Deleted", id.to_string()),
        Removal::Layer { chain_id, .. } => ("Deleted", chain_id.to_string()),
    }
}
