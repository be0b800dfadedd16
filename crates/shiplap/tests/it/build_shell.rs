//! `build --on-error shell`: whoever looks into the root that a step failed in finds it as the step left
//! it, and leaves nothing behind.

use rustix::process::{Pid, Signal, kill_process};

use super::build::{course, tree};
use crate::harness::leftovers;
use crate::harness::terminal::Session;
use crate::harness::told::Told;
use crate::harness::{Store, base, judge};

const FAILS: &str = "FROM busybox
WORKDIR /app
RUN echo first > /first
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t \
    echo half > half && echo kept > /c/kept && exit 9
";

fn shell(store: &Store, context: &std::path::Path) -> Session {
    let line = ["build", "--on-error", "shell", "-t", "app"];
    let line = [&line[..], &[context.to_str().unwrap()]].concat();
    let mut session = Session::new(store, &line, 24, 80);
    session.shows("A shell in the root of");
    session.shows("ends.\r\n");
    session
}

#[test]
fn a_shell_in_the_root_of_the_step_that_failed() {
    let Some(store) = base::store() else { return };
    let context = course(&store, FAILS);
    let mut session = shell(&store, &context);
    session.types("echo $(pwd) $(cat half /first /c/kept) in''side; stty size; df /t | tail -n1\n");
    session.shows("/app half first kept inside\r\n");
    session.shows("24 80\r\n");
    session.shows("tmpfs");
    // What says it sleeps is the process that does.
    session.types("sh -c 'echo asl\"\"eep; exec sleep 1000'\n");
    session.shows("asleep");
    session.types("\x03");
    session.types("touch /made; echo af''ter=$?; exit 5\n");
    session.shows("after=0");
    let (seen, code) = session.all();
    assert_eq!(code, Some(1), "the build fails all the same: {seen}");
    for words in ["Dockerfile:4", "exit code: 9", "build logs"] {
        assert!(seen.contains(words), "{words:?} in {seen}");
    }
    leftovers::assert_none(&store);
    store.refused(&["inspect", "app"]);
    // What was done by hand is nothing to the next build.
    let mended = FAILS.replace("exit 9", "true");
    std::fs::write(context.join("Dockerfile"), mended).unwrap();
    let ran = store.run(&["build", "-t", "app", context.to_str().unwrap()]);
    ran.assert_ok();
    let told = Told::of(&ran.stderr);
    assert_eq!(told.cached(), ["WORKDIR /app", "RUN echo first > /first"]);
    let found = tree(&store, "app");
    assert!(found.contains_key("app/half") && !found.contains_key("made"));
    store.assert_sound();
}

#[test]
fn a_shell_that_is_ended_from_outside_leaves_nothing() {
    let Some(store) = base::store() else { return };
    let context = course(&store, FAILS);
    for signal in [Signal::HUP, Signal::TERM, Signal::KILL] {
        let mut session = shell(&store, &context);
        session.types("echo re''ady\n");
        session.shows("ready");
        kill_process(Pid::from_child(&session.child), signal).unwrap();
        let (seen, code) = session.all();
        assert_ne!(code, Some(0), "{seen}");
        leftovers::assert_no_processes(&store);
        if signal != Signal::KILL {
            assert_eq!(leftovers::staged(&store), Vec::<std::path::PathBuf>::new());
        }
    }
    store.assert_sound();
}

#[test]
fn a_root_without_a_shell_and_a_build_without_a_terminal_say_so() {
    let Some(store) = base::store() else { return };
    let Some(busybox) = judge::program("busybox") else {
        return;
    };
    let text = "FROM scratch\nCOPY busybox /\nRUN [\"/busybox\", \"false\"]\n";
    let context = course(&store, text);
    std::fs::copy(busybox, context.join("busybox")).unwrap();
    let context = context.to_str().unwrap();
    let line = ["build", "--on-error", "shell", context];
    let (seen, code) = Session::new(&store, &line, 24, 80).all();
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("/bin/sh"), "what is missing is named: {seen}");
    assert!(seen.contains("exit code: 1"), "why it failed, too: {seen}");
    leftovers::assert_none(&store);

    let ran = store.run(&line);
    ran.assert_refused();
    ran.assert_says(&["--on-error shell", "terminal"]);
    assert!(
        store.ok(&["build", "ls", "-q"]).lines().count() == 1,
        "nothing was begun"
    );
    // One that does not fail has nothing to show.
    let line = ["build", "--on-error", "fail", context];
    store.run(&line).assert_says(&["exit code: 1"]);
}
