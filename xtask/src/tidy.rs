//! `cargo xtask tidy`: rules of the house that neither rustc nor clippy knows. Each has its
//! reason beside it; what a rule can't see (is the comment true, is the name right) is for people.
//!
//! It reads what git tracks or would track, never what is ignored.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::process::output;

/// A file that is longer is hard to hold in one's head; more needs a `//! Long because` line.
const FILE_LINES: usize = 600;

/// A tracked file: its path from the root and what it holds.
struct File<'a> {
    path: &'a str,
    text: &'a str,
}

/// Says in words what is wrong with a file, if anything.
type Rule = fn(&File<'_>, &Machine) -> Option<String>;

const RULES: &[Rule] = &[header, length, leftovers, unsafe_code, output_only, machine];

/// What of this machine must not leak into files.
#[derive(Debug, Default)]
struct Machine {
    /// Host names that package tools are configured with.
    hosts: BTreeSet<String>,
}

/// Applies each rule to each file; the error lists all.
pub(crate) fn run() -> anyhow::Result<()> {
    let listed = output(Command::new("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let machine = Machine::read();
    let mut found = Vec::new();
    for path in listed.lines() {
        // A tracked file may be gone from the tree, and data files may be no text.
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        let file = File { path, text: &text };
        found.extend(
            RULES
                .iter()
                .filter_map(|rule| rule(&file, &machine))
                .map(|what| format!("{path}: {what}")),
        );
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("{} findings\n{}", found.len(), found.join("\n"))
}

fn is_rust(file: &File<'_>) -> bool {
    file.path.ends_with(".rs")
}

/// Tests live in `tests.rs`, `…/tests/…` and the harness.
fn is_test(file: &File<'_>) -> bool {
    file.path.ends_with("/tests.rs") || file.path.contains("/tests/")
}

/// A reader of a file learns first what it is for; `tests.rs` is for the file it lies beside.
fn header(file: &File<'_>, _: &Machine) -> Option<String> {
    (is_rust(file) && !file.path.ends_with("/tests.rs") && !file.text.starts_with("//! "))
        .then(|| "does not begin with //! and what it is for".to_owned())
}

fn length(file: &File<'_>, _: &Machine) -> Option<String> {
    let lines = file.text.lines().count();
    let reason = file
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .any(|line| line.starts_with("//! Long because "));
    (is_rust(file) && !is_test(file) && lines > FILE_LINES && !reason)
        .then(|| format!("{lines} lines; more than {FILE_LINES} need `//! Long because …`"))
}

/// What is not done is an issue or a line in ARCHITECTURE.md, not a note in the code.
fn leftovers(file: &File<'_>, _: &Machine) -> Option<String> {
    // In pieces, so that this file keeps its own rule.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X "),
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let code = is_rust(file) || file.path.ends_with(".sh") || file.path.starts_with("scripts/");
    let (number, mark) = file.text.lines().enumerate().find_map(|(number, line)| {
        let mark = marks.iter().find(|mark| line.contains(*mark))?;
        Some((number + 1, mark))
    })?;
    code.then(|| format!("line {number} has {mark}"))
}

/// Only `shiplap-run` may hold unsafe code, and the compiler holds all others to it.
fn unsafe_code(file: &File<'_>, _: &Machine) -> Option<String> {
    let root = file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs");
    let exempt = file.path.starts_with("crates/shiplap-run/") || file.path.starts_with("fuzz/");
    (root && !exempt && !file.text.contains("#![forbid(unsafe_code)]"))
        .then(|| "lacks #![forbid(unsafe_code)]".to_owned())
}

/// One place decides what goes to stdout and what to stderr.
fn output_only(file: &File<'_>, _: &Machine) -> Option<String> {
    let product = file.path.starts_with("crates/") && file.path.contains("/src/");
    if !is_rust(file) || !product || is_test(file) || file.path == "crates/shiplap/src/output.rs" {
        return None;
    }
    let number = file.text.lines().position(|line| {
        let line = line.trim_start();
        !line.starts_with("//")
            && ["println!(", "print!(", "eprintln!(", "eprint!("]
                .iter()
                .any(|print| line.contains(print))
    })?;
    Some(format!("line {} prints; only output.rs does", number + 1))
}

/// The project builds on any machine, so no file speaks of one.
fn machine(file: &File<'_>, machine: &Machine) -> Option<String> {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/root/.", "cargo"),
        concat!("/home/", "runner"),
        concat!("/tmp/", "target"),
    ];
    let leak = paths
        .iter()
        .copied()
        .chain(machine.hosts.iter().map(String::as_str))
        .find(|leak| file.text.contains(leak))?;
    Some(format!("names {leak}, which is of one machine"))
}

impl Machine {
    /// The hosts that cargo, pip and apt fetch from here, but for those of the world's own.
    fn read() -> Self {
        let home = std::env::var("HOME").unwrap_or_default();
        let mut files = vec![
            format!("{home}/.cargo/config.toml"),
            format!("{home}/.pip/pip.conf"),
            format!("{home}/.config/pip/pip.conf"),
            "/etc/pip.conf".to_owned(),
            "/etc/apt/sources.list".to_owned(),
        ];
        for folder in ["/etc/apt/sources.list.d", "/etc/apt/apt.conf.d"] {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            files.extend(entries.map(|entry| entry.path().display().to_string()));
        }
        let mut hosts = BTreeSet::new();
        for text in files
            .iter()
            .filter_map(|file| std::fs::read_to_string(Path::new(file)).ok())
        {
            hosts.extend(hosts_of(&text));
        }
        Self { hosts }
    }
}

/// Host names of all URLs in `text` that are not public knowledge.
fn hosts_of(text: &str) -> Vec<String> {
    const KNOWN: &[&str] = &[
        "github.com",
        "docker.com",
        "nodesource.com",
        "google.com",
        "googleapis.com",
        "127.0.0.1",
        "localhost",
        "ubuntu.com",
    ];
    text.split("://")
        .skip(1)
        .filter_map(|rest| {
            let authority = rest
                .split(['/', ' ', '"', '\'', '\n', '>', ')', ']'])
                .next()?;
            let host = authority.rsplit('@').next()?.split(':').next()?;
            let public = KNOWN.iter().any(|known| host.ends_with(known));
            (host.contains('.') && !public).then(|| host.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests;
