//! The command `shiplap`: container images without a daemon, with Docker's command line.
//!
//! A face without logic: arguments, settings, output and exit codes are here, the verbs are in
//! `shiplap_ops`.
#![forbid(unsafe_code)]

mod advice;
mod cli;
mod display;
mod face;
mod interrupt;
mod output;
mod progress;
mod settings;
mod table;
mod template;
mod terminal;
mod words;

fn main() -> std::process::ExitCode {
    cli::run(std::env::args_os().collect())
}
