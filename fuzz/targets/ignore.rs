//! Ignore files and paths: asking about a path and walking down to it give the same answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::ignore::{Above, Patterns};
use shiplap_model::path;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (file, path) = input;
    let Ok(patterns) = Patterns::read(file) else {
        return;
    };
    let path = path::beneath(path);
    if path.is_empty() {
        return;
    }
    let mut above = Above::default();
    let mut skipped = false;
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        let directory = &path[..at];
        skipped |= patterns.excludes_in(&above, directory) && !patterns.may_keep_below(directory);
        above = patterns.enter(&above, directory);
    }
    let excluded = patterns.excludes(&path);
    assert_eq!(patterns.excludes_in(&above, &path), excluded);
    assert!(
        excluded || !skipped,
        "a kept path lies in a skipped directory"
    );
});
