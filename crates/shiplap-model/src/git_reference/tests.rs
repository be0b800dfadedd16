#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::table::{self, same, text};

#[test]
fn agrees_with_buildkit() {
    table::run("git-context", check);
}

fn check(case: &Value) -> Result<(), String> {
    let (input, expect) = (text(case, "input"), &case["expect"]);
    match text(case, "op") {
        "git_context_ref" => match GitReference::parse(input) {
            Ok(None) => same(expect, &json!({"is_git": false})),
            Ok(Some(found)) => same(&shown(&found), expect),
            Err(_) => same(expect, &json!({"error": true})),
        },
        "git_url" => match GitUrl::parse(input) {
            Ok(found) => same(&shown_url(&found), expect),
            Err(_) => same(expect, &json!({"error": true})),
        },
        "classic_git_context" => {
            let found = GitReference::parse(input)
                .map_err(|e| e.to_string())?
                .unwrap();
            same(&found.remote.as_str(), &text(expect, "remote"))?;
            // The classic builder knew no other default, and left a slash at the end.
            let reference = found.reference.as_deref().unwrap_or("master");
            same(&reference, &text(expect, "ref"))?;
            let wanted = expect["subdir"]
                .as_str()
                .map(|path| path.trim_end_matches('/'));
            same(&found.subdirectory.as_deref(), &wanted)
        }
        op => Err(format!("no such op: {op}")),
    }
}

/// In the table's words; what is absent or false is left out there.
fn shown(found: &GitReference) -> Value {
    let mut all = json!({"is_git": true, "Remote": found.remote, "ShortName": found.name});
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            all[key] = value;
        }
    };
    let flag = |flag: bool| flag.then_some(Value::Bool(true));
    set("Ref", found.reference.clone().map(Value::from));
    set("SubDir", found.subdirectory.clone().map(Value::from));
    set("Checksum", found.checksum.clone().map(Value::from));
    set("KeepGitDir", found.keep_git_dir.map(Value::from));
    set("Submodules", found.submodules.map(Value::from));
    set("FetchByCommit", flag(found.fetch_by_commit));
    set("UnencryptedTCP", flag(found.is_unencrypted));
    set("IndistinguishableFromLocal", flag(found.looks_local));
    let time = found.mtime.map(|time| match time {
        GitTime::Checkout => "checkout",
        GitTime::Commit => "commit",
    });
    set("MTime", time.map(Value::from));
    all
}

fn shown_url(found: &GitUrl) -> Value {
    let mut all = json!({"Scheme": found.scheme, "Host": found.host, "Path": found.path});
    if let Some(user) = &found.user {
        all["User"] = user.as_str().into();
    }
    for (key, value) in [("Ref", &found.reference), ("Subdir", &found.subdirectory)] {
        if let Some(value) = value {
            all["Opts"][key] = value.as_str().into();
        }
    }
    for (key, value) in &found.query {
        all["Query"][key] = json!([value]);
    }
    all
}

#[test]
fn reads_the_odd_ones() {
    fn check(input: &str, remote: &str, reference: Option<&str>, subdirectory: Option<&str>) {
        let found = GitReference::parse(input).unwrap().unwrap();
        assert_eq!(found.remote, remote, "{input}");
        assert_eq!(found.reference.as_deref(), reference, "{input}");
        assert_eq!(found.subdirectory.as_deref(), subdirectory, "{input}");
    }
    check("github.com/a/b#:c", "github.com/a/b", None, Some("c"));
    check(
        "https://h/a%20b.git#x%2Fy",
        "https://h/a%20b.git",
        Some("x/y"),
        None,
    );
    check("https://h/a b.git", "https://h/a%20b.git", None, None);
    check(
        "https://h/r.git#main:../../etc",
        "https://h/r.git",
        Some("main"),
        Some("etc"),
    );
    check(
        "u@h:r?branch=b&subdir=s",
        "u@h:r",
        Some("refs/heads/b"),
        Some("s"),
    );
    check(
        "https://h/r.git?ref=v1#v1",
        "https://h/r.git",
        Some("v1"),
        None,
    );
    check("ssh://git@[::1]:22/r", "ssh://git@[::1]:22/r", None, None);
}

#[test]
fn leaves_what_is_no_repository() {
    for input in [
        "",
        ".",
        "dir",
        "a@b",
        "a b@c:d",
        "C:\\dir",
        "ftp://h/r.git",
        "https://h:x/r.git",
        "https://h/%zz.git",
        "../r.git",
        "https://h/r.git\n",
    ] {
        assert_eq!(GitReference::parse(input), Ok(None), "{input:?}");
    }
}

#[test]
fn refuses_options_and_contradictions() {
    fn check(input: &str, wanted: &str) {
        let found = GitReference::parse(input).unwrap_err().to_string();
        assert!(found.contains(wanted), "{input}: {found}");
    }
    check("https://h/r.git#--upload-pack=x", "begins with a dash");
    check("-oProxyCommand@h:r", "begins with a dash");
    check("ssh://-oProxyCommand=x/r", "begins with a dash");
    check("https://h/r.git?checksum=-x", "begins with a dash");
    check(
        "https://h/r.git?subdir=a#:b",
        "subdir conflicts: \"b\" vs \"a\"",
    );
    check(
        "https://h/r.git?tag=a&branch=b",
        "branch conflicts with tag",
    );
    check("https://h/r.git?ref=a&ref=a", "has multiple values");
    check("https://h/r.git?ref", "has no value");
    check(
        "https://h/r.git?submodules=maybe",
        "invalid submodules value",
    );
}

#[test]
fn shows_no_password() {
    fn check(input: &str, wanted: &str) {
        assert_eq!(GitReference::parse(input).unwrap().unwrap().shown(), wanted);
    }
    check("https://u:p@h/r.git", "https://xxxxx@h/r.git");
    check("https://h/a@b.git", "https://h/a@b.git");
    check("git@h:r", "git@h:r");
}

proptest! {
    #[test]
    fn never_panics(text in "(https?://|git@|ssh://|github.com/)?.{0,40}") {
        if let Ok(Some(found)) = GitReference::parse(&text) {
            prop_assert!(!found.url().starts_with('-'));
            prop_assert!(!found.reference.unwrap_or_default().starts_with('-'));
        }
    }
}
