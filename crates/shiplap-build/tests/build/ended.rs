//! Builds that come to no image.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use shiplap_build::build::Cause;
use shiplap_ops::step::Cancel;

use crate::world::{World, cached};

pub(crate) fn a_command_fails() {
    let world = World::new();
    let (error, _) =
        world.fails("FROM base\nRUN echo fine\nRUN echo before; echo bad >&2; exit 7\n");
    assert!(error.to_string().contains("exit code: 7"), "{error}");
    assert!(
        error.excerpt.contains(">>> RUN echo before"),
        "{}",
        error.excerpt
    );
    assert!(String::from_utf8_lossy(&error.output).contains("bad"));
    let log = fs::read_to_string(error.log.unwrap()).unwrap();
    assert!(log.contains("fine") && log.contains("before"), "{log}");
    let (report, _) = world.build("FROM base\nRUN echo fine\n");
    assert_eq!(cached(&report), [true], "what was finished is kept");
}

pub(crate) fn others_are_given_up() {
    let world = World::new();
    let began = Instant::now();
    let (error, told) = world.fails(
        "FROM base AS slow\nRUN echo slow; sleep 60\nFROM base AS bad\nRUN sleep 1; exit 3\n\
         FROM base\nCOPY --from=slow /etc/passwd /a\nCOPY --from=bad /etc/passwd /b\n",
    );
    assert!(error.to_string().contains("exit code: 3"), "{error}");
    assert!(told.has("slow"), "both ran at the same time");
    assert!(told.has("canceled"));
    assert!(began.elapsed() < Duration::from_secs(30));
}

pub(crate) fn by_the_user() {
    let world = World::new();
    let options = world.options("FROM base\nRUN echo fine\nRUN sleep 60\n");
    let cancel = Cancel::new().unwrap();
    let began = Instant::now();
    let (done, _) = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(3));
            cancel.cancel();
        });
        world.build_with(&options, &cancel)
    });
    assert!(matches!(done.unwrap_err().cause, Cause::Canceled));
    assert!(began.elapsed() < Duration::from_secs(30));
    let (report, _) = world.build("FROM base\nRUN echo fine\n");
    assert_eq!(cached(&report), [true], "what was finished is kept");
}
