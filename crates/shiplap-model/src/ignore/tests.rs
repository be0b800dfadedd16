#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::table::{self, same, text};

/// Listings of docker-py that Docker's own matcher doesn't share, and what it says.
const DEPARTURES: &[(&str, &[&str])] = &[
    // docker-py skips `a` since no exception begins with that word; BuildKit looks into a directory
    // where an exception with a wildcard might apply.
    ("dockerignore-0191", &["a/b.py"]),
    // docker-py takes `../a.py` for `a.py`; Go's Clean leaves it, and it matches nothing.
    ("dockerignore-0193", &["a.py", "c.py"]),
];

#[test]
fn agrees_with_patternmatcher() {
    table::run("dockerignore", check);
}

fn check(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    match text(case, "op") {
        "match" => {
            let found = Patterns::new(strings(&case["patterns"]))
                .map(|patterns| patterns.excludes(text(case, "path").as_bytes()));
            match found {
                Ok(excluded) => same(&Some(excluded), &expect["excluded"].as_bool()),
                Err(_) => same(&Some(true), &expect["error"].as_bool()),
            }
        }
        "clean_patterns" => {
            let found = Patterns::new(strings(&case["patterns"])).map_err(|e| e.to_string())?;
            if let Some(count) = expect["count"].as_u64() {
                same(&(found.as_slice().len() as u64), &count)?;
            }
            match expect["has_exceptions"].as_bool() {
                Some(wanted) => same(&found.has_exceptions(), &wanted),
                None => Ok(()),
            }
        }
        "read_ignorefile" => {
            let found = lines(text(case, "content").as_bytes()).map_err(|e| e.to_string())?;
            let found = found.into_iter().map(|(_, line)| line);
            let found: Vec<_> = found.map(|line| String::from_utf8(line).unwrap()).collect();
            same(&found, &strings(&expect["patterns"]))
        }
        "context_listing" => check_listing(case),
        // A form of the peer's that does not exist here.
        "regexp_of_pattern" => same(&case["optional"].is_string(), &true),
        op => Err(format!("no such op: {op}")),
    }
}

/// What a client sends that always sends its Dockerfile and ignore file.
fn check_listing(case: &Value) -> Result<(), String> {
    let mut patterns = strings(&case["patterns"]);
    let patterns_end = case["dockerfile"].as_str().unwrap_or("Dockerfile");
    patterns.extend([format!("!{patterns_end}"), "!.dockerignore".to_owned()]);
    let patterns = Patterns::read(patterns.join("\n").as_bytes()).map_err(|e| e.to_string())?;
    let (dirs, files) = (strings(&case["dirs"]), strings(&case["files"]));
    let all: BTreeSet<String> = dirs.iter().chain(&files).cloned().collect();
    let mut found = BTreeSet::new();
    walk(&patterns, &all, "", &Above::default(), &mut found);
    let wanted: BTreeSet<String> = match DEPARTURES.iter().find(|(id, _)| case["id"] == *id) {
        Some((_, ours)) => ours.iter().map(|path| (*path).to_owned()).collect(),
        None => strings(&case["expect"]["paths"]).into_iter().collect(),
    };
    same(&found, &wanted)?;
    // Asking without walking says the same.
    let kept = all
        .into_iter()
        .filter(|path| !patterns.excludes(path.as_bytes()));
    same(&kept.collect(), &wanted)
}

fn walk(
    patterns: &Patterns,
    all: &BTreeSet<String>,
    directory: &str,
    above: &Above,
    found: &mut BTreeSet<String>,
) {
    for path in all {
        let (parent, _) = path::split(path.as_bytes());
        if parent != directory.as_bytes() {
            continue;
        }
        let excluded = patterns.excludes_in(above, path.as_bytes());
        if !excluded {
            found.insert(path.clone());
        }
        if !excluded || patterns.may_keep_below(path.as_bytes()) {
            let below = patterns.enter(above, path.as_bytes());
            walk(patterns, all, path, &below, found);
        }
    }
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[test]
fn says_which_line_decides() {
    fn check(path: &str, wanted: Option<(usize, &str)>) {
        let file =
            b"\xef\xbb\xbf# a comment\r\n/build/\r\n\r\n*.log\r\n!keep.log\r\n  secret  \r\n";
        let patterns = Patterns::read(file).unwrap();
        let found = patterns.deciding(path.as_bytes());
        let found = found.map(|pattern| (pattern.position(), pattern.to_string()));
        let wanted = wanted.map(|(line, text)| (line, text.to_owned()));
        assert_eq!(found, wanted, "{path}");
    }
    check("build/out/a.log", Some((2, "build")));
    check("a.log", Some((4, "*.log")));
    check("keep.log", Some((5, "!keep.log")));
    check("secret/key", Some((6, "secret")));
    check("src/a.log", None);
    check(".", None);
}

#[test]
fn follows_the_peer_into_its_corners() {
    fn check(patterns: &[&str], path: &[u8], wanted: bool) {
        let patterns = Patterns::new(patterns).unwrap();
        let shown = String::from_utf8_lossy(path);
        assert_eq!(patterns.excludes(path), wanted, "{patterns:?} on {shown:?}");
    }
    // A `**` that no slash follows: the whole path may end so.
    check(&["**file"], b"dir/afile", true);
    check(&["**/file"], b"dir/afile", false);
    check(&["a/**/b"], b"a/b", true);
    check(&["a/**/b"], b"a/x/y/b", true);
    check(&["a/**/b"], b"ab", false);
    check(&["a**"], b"abc/d", true);
    check(&["**/a/**"], b"a", false);
    check(&["**/a/**"], b"x/a/b", true);
    check(&["a/***"], b"a/b", true);
    // Classes, negated ones beyond slashes, with names.
    check(&["a[^x]b"], b"a/b", true);
    check(&["[[:digit:]]*"], b"7up", true);
    check(&["[[:digit:]]*"], b"up", false);
    check(&["[[:^digit:]]"], b"7", false);
    check(&["[[:^digit:]x]"], b"x", true);
    check(&["[!a]"], b"!", true);
    // Where the documented rule holds and the peer's expression does not.
    check(&["a\\d*"], b"ad1", true);
    check(&["[*]"], b"*", true);
    check(&["a^b*"], b"a^bc", true);
    // The last one that matches a parent decides, whatever settled the parent.
    check(&["*", "!foo/bar", "foo"], b"foo/bar", true);
    check(&["foo", "!foo/bar"], b"foo/bar/x", false);
    // Bytes that are no UTF-8.
    check(&["*.bin"], b"\xff.bin", true);
    check(&["?.bin"], b"\xff.bin", true);
    check(&["\u{fffd}*"], b"\xff.bin", false);
    // Names of a root, and needless parts.
    check(&["*"], b"/foo/bar", true);
    check(&["./a//b/"], b"a/b", true);
    check(&["."], b"a", false);
}

#[test]
fn refuses_what_is_no_pattern() {
    fn check(file: &[u8], wanted: &str) {
        let found = Patterns::read(file).unwrap_err().to_string();
        assert_eq!(found, wanted);
    }
    check(
        b"a\n! \n",
        "parse pattern 2: illegal exclusion pattern: \"!\"",
    );
    let unfinished = "has an unfinished class, range or escape";
    check(
        b"\n\na[",
        &format!("parse pattern 3: parse pattern \"a[\": it {unfinished}"),
    );
    for pattern in ["[z-a]", "[[:nosuch:]]", "a\\", "[a-]"] {
        assert!(Patterns::new([pattern]).is_err(), "{pattern}");
    }
    let long = "a".repeat(limits::IGNORE_PATTERN_BYTES + 1);
    assert_eq!(
        Patterns::new([long]),
        Err(IgnoreError::TooLong { position: 1 })
    );
    let many = "a\n".repeat(limits::IGNORE_PATTERNS + 1);
    assert_eq!(Patterns::read(many.as_bytes()), Err(IgnoreError::TooMany));
    let large = vec![b'#'; limits::IGNORE_FILE_BYTES + 1];
    assert_eq!(Patterns::read(&large), Err(IgnoreError::TooLarge));
}

#[test]
fn skips_directories_that_nothing_lets_back_in() {
    fn check(exception: &str, directory: &str, wanted: bool) {
        let patterns = Patterns::new(["**", &format!("!{exception}")]).unwrap();
        let found = patterns.may_keep_below(directory.as_bytes());
        assert_eq!(found, wanted, "!{exception} below {directory}");
        let named = Patterns::new([exception]).unwrap();
        assert_eq!(named.may_exclude_below(directory.as_bytes()), wanted);
    }
    check("a/b", "a", true);
    check("a/b", "a/b", false);
    check("a/b", "ab", false);
    check("a/b", "b", false);
    check("a/**", "a", true);
    check("a/b/**", "a", true);
    check("a/b/**", "c", false);
    check("**/x", "anything/at/all", true);
    check("*/b.py", "a", true);
    check("*/b.py", "a/c", false);
    check("src/*.c", "src", true);
    check("src/*.c", "lib", false);
    check("src/**/*.c", "src/a/b", true);
}

#[test]
fn many_stars_cost_little() {
    let pattern = "*a**/".repeat(400);
    let patterns = Patterns::new([pattern + "b"]).unwrap();
    assert!(!patterns.excludes("a/".repeat(2000).as_bytes()));
}

proptest! {
    #[test]
    fn never_panics(file in any::<Vec<u8>>(), path in any::<Vec<u8>>()) {
        if let Ok(patterns) = Patterns::read(&file) {
            let _ = patterns.excludes(&path);
            let _ = patterns.may_keep_below(&path);
        }
    }

    /// Walking and asking give the same answer, and no directory is skipped that holds a kept path.
    #[test]
    fn walking_is_asking(
        lines in proptest::collection::vec("!?[ab*?/]{1,6}", 0..6),
        paths in proptest::collection::btree_set("[ab](/[ab]){0,3}", 0..12),
    ) {
        let Ok(patterns) = Patterns::new(&lines) else { return Ok(()) };
        let mut all = paths.clone();
        for path in &paths {
            all.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        }
        let mut found = BTreeSet::new();
        walk(&patterns, &all, "", &Above::default(), &mut found);
        let wanted = all.into_iter().filter(|path| !patterns.excludes(path.as_bytes()));
        prop_assert_eq!(found, wanted.collect::<BTreeSet<_>>());
    }
}
