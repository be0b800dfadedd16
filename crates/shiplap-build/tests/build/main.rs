//! Builds from beginning to end, on a real runtime. A step is run by a process of its own, so this
//! program is that too: called with `system step` it serves one.
//!
//! Without root nothing can be mounted: then it says so and does nothing, but not in CI.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it does"
)]

mod cached;
mod ended;
mod made;
mod world;

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::panic::catch_unwind;
use std::process::ExitCode;

use shiplap_ops::step;

const TESTS: [(&str, fn()); 11] = [
    ("cached::what_did_not_change", cached::what_did_not_change),
    ("cached::why_it_was_not", cached::why_it_was_not),
    ("cached::ignored", cached::ignored),
    ("cached::two_at_once", cached::two_at_once),
    ("ended::a_command_fails", ended::a_command_fails),
    ("ended::others_are_given_up", ended::others_are_given_up),
    ("ended::by_the_user", ended::by_the_user),
    ("made::from_other_stages", made::from_other_stages),
    ("made::secrets_are_nowhere", made::secrets_are_nowhere),
    ("made::files_and_archives", made::files_and_archives),
    ("made::for_two_platforms", made::for_two_platforms),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [root, "system", "step"] => {
            let line = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            step::serve(&world::ops(root.as_ref()), UnixStream::from(line));
            ExitCode::SUCCESS
        }
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
        let word = if ended.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {word}");
        failed += usize::from(ended.is_err());
    }
    println!("test result: {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
