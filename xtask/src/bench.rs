//! `cargo xtask bench [NAME…]`: each verb side by side with the peers that are installed, on one
//! machine in one run. A line is a tool's median, minimum and CPU time, and how many times ours it
//! took.
//!
//! The tools take turns: run 1 of each, run 2 of each, and so on. Machines have slow and fast phases
//! (where memory is fresh the kernel takes up to ten times as long), and so all tools share them.
//! The first round is not measured: it brings programs, blobs and files into the page cache, for
//! which otherwise only the first tool would pay.
//!
//! Each run that fills a store gets a fresh directory, and nothing is deleted before the end: ext4
//! without a journal creates files several times slower for minutes after a big `rm -rf`, which
//! would punish whoever unpacks. CPU time is that of the command and what it waited for: docker's
//! daemon and whatever watches over a container beside the command are not seen.
//!
//! Numbers are told, never tested: a loaded machine is no defect.

mod builds;
mod containers;
mod http;
mod hubs;
mod measure;
mod peers;
mod works;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::image;
use crate::process::{cargo, run as run_command};
use measure::Line;
use peers::{Registry, Tool};

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure; all without a name.
    names: Vec<String>,
    /// A registry that has the image already (else one is filled with an image made here).
    #[arg(long)]
    registry: Option<String>,
    /// The image there.
    #[arg(long, default_value = "library/python:3.11")]
    image: String,
    /// A small image there with a shell, for containers.
    #[arg(long, default_value = "library/busybox:latest")]
    small_image: String,
    /// How often each heavy verb runs.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only these tools (shiplap, skopeo, podman, docker).
    #[arg(long, value_delimiter = ',')]
    tools: Vec<String>,
    /// The binary to measure (else a release build of this workspace).
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Folder for stores and images; kept between runs for the image.
    #[arg(long, default_value = ".bench")]
    folder: PathBuf,
}

/// What every work needs.
pub(crate) struct Bench {
    tools: Vec<Tool>,
    /// `HOST:PORT/REPOSITORY:TAG`.
    image: String,
    /// The same of one with little in it but a shell.
    small_image: String,
    runs: usize,
    /// For this process alone; gone at the end.
    scratch: tempfile::TempDir,
    _registry: Option<Registry>,
}

impl Drop for Bench {
    /// Ends docker's daemon, and unmounts what it and podman leave behind: the folder could not go.
    fn drop(&mut self) {
        self.tools.clear();
        let scratch = self.scratch.path();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounts = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let below = mounts.filter(|mount| Path::new(mount).starts_with(scratch));
        for mount in below.collect::<Vec<_>>().iter().rev() {
            // What stays mounted stays to be seen in the folder.
            run_command(Command::new("umount").arg(mount)).ok();
        }
    }
}

/// Runs the named works and prints a table of each.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for name in &arguments.names {
        if !works::WORKS.iter().any(|(work, _)| work == name) {
            let names: Vec<&str> = works::WORKS.iter().map(|(name, _)| *name).collect();
            bail!("no measurement {name:?}; there are {}", names.join(", "));
        }
    }
    let bench = prepare(arguments)?;
    for (name, work) in works::WORKS {
        if arguments.names.is_empty() || arguments.names.iter().any(|asked| asked == name) {
            println!("\n{name}");
            match work(&bench) {
                Ok(lines) => Line::print(&lines),
                Err(error) => println!("  failed: {error:#}"),
            }
        }
    }
    Ok(())
}

fn prepare(arguments: &Arguments) -> anyhow::Result<Bench> {
    fs::create_dir_all(&arguments.folder)?;
    let folder = arguments.folder.canonicalize()?;
    let scratch = tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(&folder)
        .context("make a scratch folder")?;
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => built()?,
    };
    let tools: Vec<Tool> = Tool::all(binary, scratch.path())?
        .into_iter()
        .filter(|tool| {
            arguments.tools.is_empty() || arguments.tools.iter().any(|t| t == tool.name())
        })
        .collect();
    let (registry, address) = match &arguments.registry {
        Some(address) => (None, address.clone()),
        None => {
            let registry = Registry::start(&scratch.path().join("source"))?;
            let python = image::python(&folder.join("image"))?;
            registry.fill(&python, &arguments.image)?;
            let busybox = image::busybox(&folder.join("busybox"))?;
            registry.fill(&busybox, &arguments.small_image)?;
            let address = registry.address().to_owned();
            (Some(registry), address)
        }
    };
    Ok(Bench {
        tools,
        image: format!("{address}/{}", arguments.image),
        small_image: format!("{address}/{}", arguments.small_image),
        runs: arguments.runs,
        scratch,
        _registry: registry,
    })
}

fn built() -> anyhow::Result<PathBuf> {
    run_command(cargo().args([
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "shiplap",
    ]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(target.join("release/shiplap").canonicalize()?)
}
