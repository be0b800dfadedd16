//! The house's own chores, `cargo xtask NAME`: what CI runs (`check` and its parts), real base
//! images made from Debian packages (`image`) and measurements beside the peers (`bench`).
//!
//! Nothing here ends in the product, and the product's crates are never linked: chores judge the
//! built binary from outside.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "chores talk to whoever runs them"
)]

mod bench;
mod check;
mod image;
mod layers;
mod process;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

/// The house's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Chore {
    /// Everything CI asks: fmt, clippy, docs, layers, tidy, deny, tests.
    Check(check::Arguments),
    /// Only imports that the floors allow.
    Layers,
    /// House rules that neither rustc nor clippy knows.
    Tidy,
    /// Licences, bans and sources of every dependency (fetches cargo-deny if need be).
    Deny,
    /// A real image from Debian packages, as an OCI layout.
    Image(image::Arguments),
    /// Measures verbs side by side with the peers that are installed.
    Bench(bench::Arguments),
}

#[expect(
    clippy::disallowed_methods,
    reason = "first thing in main: paths of all chores are from the root"
)]
fn main() -> ExitCode {
    match std::env::set_current_dir(process::workspace_root())
        .map_err(anyhow::Error::from)
        .and_then(|()| run(&Chore::parse()))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore) -> anyhow::Result<()> {
    match chore {
        Chore::Check(arguments) => check::run(arguments),
        Chore::Layers => layers::run(),
        Chore::Tidy => tidy::run(),
        Chore::Deny => check::deny(),
        Chore::Image(arguments) => image::run(arguments),
        Chore::Bench(arguments) => bench::run(arguments),
    }
}
