//! Steps on real runtimes. A step is run by a process of its own, so this program is that too: called
//! with `system step` it serves one, and with `builder` it is a builder that may be killed.
//!
//! Without root nothing can be mounted: then it says so and does nothing, but not in CI.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a test stops at the first surprise, says what it does, and holds its table"
)]

mod end;
mod layer;
mod mounts;
mod ordinary;
mod root;
mod world;

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::panic::catch_unwind;
use std::process::ExitCode;

use shiplap_ops::step;

const TESTS: [(&str, fn()); 21] = [
    (
        "root::what_is_said_and_how_it_ends",
        root::what_is_said_and_how_it_ends,
    ),
    (
        "root::options_are_seen_from_inside",
        root::options_are_seen_from_inside,
    ),
    ("root::a_root_without_layers", root::a_root_without_layers),
    (
        "root::steps_run_at_the_same_time",
        root::steps_run_at_the_same_time,
    ),
    ("root::a_network_of_its_own", root::a_network_of_its_own),
    (
        "root::a_shell_in_what_is_left",
        root::a_shell_in_what_is_left,
    ),
    (
        "layer::what_changed_and_nothing_else",
        layer::what_changed_and_nothing_else,
    ),
    ("layer::what_did_not_change", layer::what_did_not_change),
    ("layer::mounts_leave_no_trace", layer::mounts_leave_no_trace),
    ("layer::layers_on_layers", layer::layers_on_layers),
    ("layer::times_are_cut", layer::times_are_cut),
    (
        "mounts::files_of_other_layers",
        mounts::files_of_other_layers,
    ),
    ("mounts::files_of_the_context", mounts::files_of_the_context),
    ("mounts::caches_and_memory", mounts::caches_and_memory),
    (
        "mounts::secrets_are_nowhere_else",
        mounts::secrets_are_nowhere_else,
    ),
    ("mounts::an_agent_answers", mounts::an_agent_answers),
    (
        "end::programs_that_cannot_run",
        end::programs_that_cannot_run,
    ),
    ("end::cancelled", end::cancelled),
    ("end::the_builder_is_killed", end::the_builder_is_killed),
    ("end::the_helper_is_killed", end::the_helper_is_killed),
    ("ordinary::a_user_builds", ordinary::a_user_builds),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [.., "system", "step"] => {
            let line = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            step::serve(&world::context_of(&words), UnixStream::from(line));
            ExitCode::SUCCESS
        }
        [.., "system", "map-ids", pid] => {
            let done =
                shiplap_ops::rootless::map_ids(pid.parse().unwrap(), &mut std::io::stdin().lock());
            if let Err(error) = &done {
                eprintln!("map-ids: {error}");
            }
            ExitCode::from(u8::from(done.is_err()))
        }
        ["builder", root, runtime, words] => end::build(root, runtime, words),
        ["shell", root, runtime, words] => root::shell(root, runtime, words),
        ["ordinary", root, runtime] => ordinary::build(root, runtime),
        _ => tests(&words),
    }
}

fn tests(filters: &[&str]) -> ExitCode {
    if !world::can_run() {
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&&str> = filters
        .iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let is_wanted = |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(**f));
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| is_wanted(name)) {
        let ended = catch_unwind(test);
        println!(
            "test {name} ... {}",
            if ended.is_ok() { "ok" } else { "FAILED" }
        );
        failed += usize::from(ended.is_err());
    }
    println!("test result: {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
