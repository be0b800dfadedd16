//! What is measured: for each name, the same work done by ours and by each peer that can.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::measure::{Line, peak_kib};
use super::peers::{Registry, Tool};
use super::{Bench, builds, containers, hubs};
use crate::process::{output, run};

type Work = fn(&Bench) -> anyhow::Result<Vec<Line>>;

/// Every measurement by its name.
pub(crate) const WORKS: &[(&str, Work)] = &[
    ("pull", pull),
    ("pull-noop", pull_noop),
    ("images-1000", |bench| with_1000(bench, &["images"])),
    ("tag", |bench| {
        with_1000(bench, &["tag", "bench:500", "bench:other"])
    }),
    ("inspect", |bench| {
        with_1000(bench, &["inspect", "bench:500"])
    }),
    ("history", |bench| {
        with_1000(bench, &["history", "bench:500"])
    }),
    ("rmi", rmi),
    ("save", save),
    ("load", load),
    ("push", push),
    ("push-noop", push_noop),
    ("run", containers::run),
    ("commit", containers::commit),
    ("diff", containers::diff),
    ("analyze", analyze),
    ("memory", memory),
    ("build-noop", builds::noop),
    ("build-noop-50000", builds::noop_large),
    ("build-changed", builds::one_changed),
    ("build-changed-50000", builds::one_changed_large),
    ("build-cold", builds::cold),
    ("build-two-stages", builds::two_stages),
    ("build-copy", builds::copy),
    ("build-memory", builds::memory),
    ("hub-manifests", hubs::manifests),
    ("hub-pull", hubs::pull_small),
    ("hub-pull-large", hubs::pull_large),
    ("hub-push", |bench| hubs::push(bench, 1)),
    ("hub-push-10", |bench| hubs::push(bench, 10)),
    ("hub-push-50", |bench| hubs::push(bench, 50)),
    ("hub-push-200", |bench| hubs::push(bench, 200)),
];

/// How often a verb of milliseconds runs.
pub(super) const LIGHT_RUNS: usize = 20;

impl Bench {
    /// A directory that no run had before.
    pub(super) fn fresh(&self, tool: &Tool) -> anyhow::Result<PathBuf> {
        let folder = tempfile::Builder::new()
            .prefix(tool.name())
            .tempdir_in(self.scratch.path())?;
        Ok(folder.keep())
    }

    /// A store of this tool that has the image and nothing else.
    pub(super) fn holding(&self, tool: &Tool, image: &str) -> anyhow::Result<PathBuf> {
        let store = self.fresh(tool)?;
        output(&mut tool.command(&store, &["pull", "-q", image]))?;
        Ok(store)
    }

    /// A store of this tool for all works that want the same; `fill` is called once.
    pub(super) fn filled_once(
        &self,
        tool: &Tool,
        name: &str,
        fill: impl FnOnce(&Path) -> anyhow::Result<String>,
    ) -> anyhow::Result<PathBuf> {
        let scratch = self.scratch.path();
        let store = scratch.join(format!("{}-{name}", tool.name()));
        let filled = store.with_extension("filled");
        if !filled.exists() {
            fs::create_dir_all(&store)?;
            fill(&store)?;
            fs::write(&filled, "")?;
        }
        Ok(store)
    }

    /// The tools that have a store (skopeo has none).
    pub(super) fn keepers(&self) -> impl Iterator<Item = &Tool> {
        self.tools
            .iter()
            .filter(|tool| !matches!(tool, Tool::Skopeo))
    }

    /// The folder of this run.
    pub(super) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// docker's only store loses the image, so that the next run is a first one.
    fn forget(&self, tool: &Tool) {
        if !tool.has_own_store() {
            output(&mut tool.command(Path::new(""), &["rmi", "-f", &self.image])).ok();
        }
    }
}

/// A line for each tool: `ready` does what goes before its first run, and gives what makes the
/// command of each run.
pub(super) fn in_turns<'b, N>(
    tools: impl Iterator<Item = &'b Tool>,
    runs: usize,
    ready: impl Fn(&'b Tool) -> anyhow::Result<N>,
) -> anyhow::Result<Vec<Line>>
where
    N: FnMut() -> anyhow::Result<Command>,
{
    let ready = tools.map(|tool| Ok((tool.name(), ready(tool)?)));
    Line::in_turns(runs, ready.collect::<anyhow::Result<_>>()?)
}

fn pull(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let next = |tool: &Tool| {
        let store = bench.fresh(tool)?;
        bench.forget(tool);
        Ok(match tool {
            Tool::Skopeo => {
                let source = format!("docker://{}", bench.image);
                let target = format!("oci:{}", store.join("oci").display());
                tool.command(
                    &store,
                    &["copy", "-q", "--src-tls-verify=false", &source, &target],
                )
            }
            _ => tool.command(&store, &["pull", "-q", &bench.image]),
        })
    };
    in_turns(bench.tools.iter(), bench.runs, |tool| {
        Ok(move || next(tool))
    })
}

fn pull_noop(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), LIGHT_RUNS, |tool| {
        let store = bench.holding(tool, &bench.image)?;
        Ok(move || Ok(tool.command(&store, &["pull", "-q", &bench.image])))
    })
}

fn rmi(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), bench.runs, |tool| {
        Ok(|| {
            let store = bench.holding(tool, &bench.image)?;
            Ok(tool.command(&store, &["rmi", &bench.image]))
        })
    })
}

fn save(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), bench.runs, |tool| {
        let store = bench.holding(tool, &bench.image)?;
        let mut number = 0;
        Ok(move || {
            number += 1;
            let file = store.join(format!("saved-{number}.tar"));
            let file = file.display().to_string();
            Ok(tool.command(&store, &["save", "-o", &file, &bench.image]))
        })
    })
}

fn load(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let Some(ours) = bench.tools.first() else {
        return Ok(Vec::new());
    };
    let store = bench.holding(ours, &bench.image)?;
    let file = store.join("saved.tar").display().to_string();
    output(&mut ours.command(&store, &["save", "-o", &file, &bench.image]))?;
    in_turns(bench.keepers(), bench.runs, |tool| {
        Ok(|| {
            bench.forget(tool);
            Ok(tool.command(&bench.fresh(tool)?, &["load", "-q", "-i", &file]))
        })
    })
}

/// Push to an empty registry each time; the note is how many bytes it then holds.
fn push(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let registries = RefCell::new(BTreeMap::new());
    let lines = in_turns(bench.keepers(), bench.runs, |tool| {
        let store = bench.holding(tool, &bench.image)?;
        let registries = &registries;
        Ok(move || {
            let folder = bench.fresh(tool)?;
            let registry = Registry::start(&folder)?;
            let name = format!("{}/bench:1", registry.address());
            output(&mut tool.command(&store, &["tag", &bench.image, &name]))?;
            registries
                .borrow_mut()
                .insert(tool.name(), (registry, folder));
            Ok(tool.command(&store, &["push", "-q", &name]))
        })
    })?;
    let registries = registries.into_inner();
    let note = |(tool, line): (&Tool, Line)| {
        let Some((_, folder)) = registries.get(tool.name()) else {
            return Ok(line);
        };
        let mut du = Command::new("du");
        du.args(["-sm", "--apparent-size"]).arg(folder.join("data"));
        let size = output(&mut du)?;
        let megabytes = size.split_whitespace().next().unwrap_or("?");
        Ok(line.noted(format!("{megabytes} MB there")))
    };
    bench.keepers().zip(lines).map(note).collect()
}

fn push_noop(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), LIGHT_RUNS, |tool| {
        let store = bench.holding(tool, &bench.image)?;
        let registry = Registry::start(&bench.fresh(tool)?)?;
        let name = format!("{}/bench:1", registry.address());
        output(&mut tool.command(&store, &["tag", &bench.image, &name]))?;
        let push = move || {
            let name = format!("{}/bench:1", registry.address());
            tool.command(&store, &["push", "-q", &name])
        };
        output(&mut push())?;
        Ok(move || Ok(push()))
    })
}

/// A verb on a store of 1,000 small images.
fn with_1000(bench: &Bench, arguments: &[&str]) -> anyhow::Result<Vec<Line>> {
    let archive = thousand(bench.scratch.path())?.display().to_string();
    in_turns(bench.keepers(), LIGHT_RUNS, |tool| {
        let store = bench.filled_once(tool, "1000", |store| {
            output(&mut tool.command(store, &["load", "-q", "-i", &archive]))
        })?;
        Ok(move || Ok(tool.command(&store, arguments)))
    })
}

/// A docker-archive of 1,000 images that share one layer.
fn thousand(scratch: &Path) -> anyhow::Result<PathBuf> {
    let archive = scratch.join("thousand.tar");
    if archive.is_file() {
        return Ok(archive);
    }
    let folder = scratch.join("thousand");
    fs::create_dir_all(folder.join("root"))?;
    fs::write(folder.join("root/file"), "content")?;
    run(Command::new("tar")
        .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-cf"])
        .arg(folder.join("layer.tar"))
        .arg("-C")
        .arg(folder.join("root"))
        .arg("."))?;
    let layer = Sha256::digest(fs::read(folder.join("layer.tar"))?);
    let diff_id: String = layer.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut manifest = Vec::new();
    for number in 0..1000 {
        let config = json!({
            "created": format!("2024-01-01T{:02}:{:02}:{:02}Z", number / 3600, number / 60 % 60, number % 60),
            "architecture": "amd64",
            "os": "linux",
            "config": { "Labels": { "number": number.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
            "history": [{ "created_by": "COPY root /" }],
        });
        let name = format!("{number}.json");
        fs::write(folder.join(&name), config.to_string())?;
        manifest.push(json!({
            "Config": name,
            "RepoTags": [format!("bench:{number}")],
            "Layers": ["layer.tar"],
        }));
    }
    fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest)?)?;
    fs::remove_dir_all(folder.join("root"))?;
    run(Command::new("sh")
        .args(["-c", "tar -cf ../thousand.tar *"])
        .current_dir(&folder))?;
    Ok(archive)
}

/// Looking into the image, with its peak memory; no peer that is packaged does it.
fn analyze(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let ours = || {
        let mut tools = bench.keepers();
        tools.find(|tool| matches!(tool, Tool::Shiplap(_)))
    };
    let arguments = ["analyze", "--json", &bench.image];
    let mut lines = in_turns(ours().into_iter(), LIGHT_RUNS, |tool| {
        let store = bench.holding(tool, &bench.image)?;
        Ok(move || Ok(tool.command(&store, &arguments)))
    })?;
    if let Some(tool) = ours() {
        let store = bench.holding(tool, &bench.image)?;
        let megabytes = peak_kib(&tool.command(&store, &arguments))? as f64 / 1000.0 * 1.024;
        lines.push(Line::fact(tool.name(), format!("{megabytes:>6.1} MB")));
    }
    Ok(lines)
}

/// Peak memory of our heavy verbs, and of the peers' pull.
fn memory(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for tool in bench.tools.iter().filter(|tool| tool.has_own_store()) {
        let store = bench.fresh(tool)?;
        let registry = Registry::start(&bench.fresh(tool)?)?;
        let name = format!("{}/bench:1", registry.address());
        let file = store.join("saved.tar").display().to_string();
        let verbs: [&[&str]; 4] = [
            &["pull", "-q", &bench.image],
            &["save", "-o", &file, &bench.image],
            &["tag", &bench.image, &name],
            &["push", "-q", &name],
        ];
        for verb in verbs {
            let kib = peak_kib(&tool.command(&store, verb))?;
            let fact = format!(
                "{:>6.1} MB  {}",
                kib as f64 / 1000.0 * 1.024,
                verb.join(" ")
            );
            lines.push(Line::fact(tool.name(), fact));
        }
        let kib = peak_kib(&tool.command(&bench.fresh(tool)?, &["load", "-q", "-i", &file]))?;
        lines.push(Line::fact(
            tool.name(),
            format!("{:>6.1} MB  load", kib as f64 / 1000.0 * 1.024),
        ));
    }
    Ok(lines)
}
