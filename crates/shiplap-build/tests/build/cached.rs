//! What is taken from the cache.

use std::thread;

use crate::world::{World, cached};

const FILE: &str = "FROM base\nWORKDIR /app\nCOPY . .\nRUN cat a > b\n";

pub(crate) fn what_did_not_change() {
    let world = World::new();
    world.file("a", "one\n");
    let (first, _) = world.build(FILE);
    assert_eq!(cached(&first), [false; 3]);
    assert_eq!(world.read(&first, "app/b").unwrap(), "one\n");
    let (again, _) = world.build(FILE);
    assert_eq!(cached(&again), [true; 3]);
    assert_eq!(again.images[0].id, first.images[0].id);
    assert!(!again.images[0].is_new);
}

pub(crate) fn why_it_was_not() {
    let world = World::new();
    world.file("a", "one\n");
    world.build(FILE);
    world.file("a", "two!\n");
    let (report, told) = world.build(FILE);
    assert_eq!(cached(&report), [true, false, false]);
    assert!(told.has("missed"), "it says why");
    assert!(told.has("a"), "it names the file");
    assert_eq!(world.read(&report, "app/b").unwrap(), "two!\n");
}

pub(crate) fn ignored() {
    let world = World::new();
    world.file("a", "one\n");
    world.build(FILE);
    let mut options = world.options(FILE);
    options.cache.ignore = true;
    let (report, _) = world.ok(&options);
    assert_eq!(cached(&report), [false; 3]);
}

pub(crate) fn two_at_once() {
    let world = World::new();
    let text =
        "FROM base\nRUN --mount=type=cache,target=/c echo x >> /c/n; sleep 1; echo done > /d\n";
    let options = world.options(text);
    let both = thread::scope(|scope| {
        let builds = [(); 2].map(|()| scope.spawn(|| world.ok(&options).0));
        builds.map(|build| build.join().unwrap())
    });
    assert_eq!(both[0].images[0].id, both[1].images[0].id);
    let text = "FROM base\nRUN --mount=type=cache,target=/c cat /c/n > /n\n";
    let (report, _) = world.build(text);
    assert_eq!(world.read(&report, "n").unwrap(), "x\n", "it ran once");
}
