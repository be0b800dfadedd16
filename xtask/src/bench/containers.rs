//! Containers measured: from nothing to the end of one that does nothing, and what is done with the
//! changes of one.
//!
//! All have the host's network: to make one of their own takes each tool something else.

use std::path::PathBuf;

use super::Bench;
use super::measure::Line;
use super::peers::Tool;
use super::works::{LIGHT_RUNS, in_turns};
use crate::process::output;

const NAME: &str = "bench-changed";
const COMMITTED: &str = "bench-committed";

/// 5,000 files of together 200 MB that no compression makes smaller.
const CHANGE: &str = "mkdir /data; for number in $(seq 5000); do \
                      dd if=/dev/urandom of=/data/$number bs=40000 count=1 2>/dev/null || exit 1; done";

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), LIGHT_RUNS, |tool| {
        let store = bench.holding(tool, &bench.small_image)?;
        let arguments = ["run", "--rm", "--network=host", &bench.small_image, "true"];
        Ok(move || Ok(tool.command(&store, &arguments)))
    })
}

/// A store of this tool with a container that changed much.
fn changed(bench: &Bench, tool: &Tool) -> anyhow::Result<PathBuf> {
    bench.filled_once(tool, "changed", |store| {
        output(&mut tool.command(store, &["pull", "-q", &bench.small_image]))?;
        let arguments = ["run", "--network=host", "--name", NAME, &bench.small_image];
        let script = ["sh", "-c", CHANGE];
        output(&mut tool.command(store, &[&arguments[..], &script].concat()))
    })
}

/// An image of the changes. The one before is removed first: who has a layer takes it in faster.
pub(super) fn commit(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), bench.runs, |tool| {
        let store = changed(bench, tool)?;
        Ok(move || {
            // There is none before the first run.
            output(&mut tool.command(&store, &["rmi", "-f", COMMITTED])).ok();
            Ok(tool.command(&store, &["commit", NAME, COMMITTED]))
        })
    })
}

/// The changes told.
pub(super) fn diff(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), LIGHT_RUNS, |tool| {
        let store = changed(bench, tool)?;
        Ok(move || Ok(tool.command(&store, &["diff", NAME])))
    })
}
