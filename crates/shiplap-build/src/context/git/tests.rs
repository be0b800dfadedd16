#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use shiplap_model::git_reference::GitReference;

use super::super::tests::world::{World, git_server, said, shell, web};
use super::*;

const REPOSITORY: &str = r"
git init -q r.git && cd r.git
printf one >file && printf '#!/bin/sh' >run && chmod 755 run
mkdir -p sub/deep && printf two >sub/deep/file && ln -s ../file sub/link && ln -s sub bad
git add -A && git commit -qm first && git tag -a -m tagged v1
printf three >file && git commit -qam second
git checkout -qb other && printf four >sub/other && git add -A && git commit -qm third
git checkout -q main
";

fn check_out_of(world: &World, address: &str) -> Result<Checkout, String> {
    let reference = GitReference::parse(address).map_err(|error| error.to_string())?;
    let around = world.around();
    let needs = Needs {
        ops: around.ops,
        lease: around.lease,
        agent: None,
        keep_git_dir: reference.as_ref().unwrap().keep_git_dir == Some(true),
    };
    check_out(&reference.unwrap(), needs).map_err(|error| error.to_string())
}

/// Names in the directory that was checked out, directories with what is in them.
fn listing(directory: &Path) -> String {
    said(
        directory,
        "find . ! -name . -printf '%P ' | tr ' ' '\\n' | sort | tr '\\n' ' '",
    )
}

#[test]
fn fetches_what_is_meant() {
    let world = World::new();
    let made = world.made("server", REPOSITORY);
    let server = git_server(&made);
    let commit = |name: &str| said(&made, &format!("git -C r.git rev-parse {name}^{{commit}}"));
    let check = |words: &str, id: &str, wanted: &str| {
        let found = check_out_of(&world, &format!("{server}/r.git{words}")).unwrap();
        assert_eq!(found.commit, commit(id), "{words}");
        let file = said(&found.directory, "cat file 2>/dev/null || true");
        assert_eq!(
            format!("{} | {file}", listing(&found.directory)),
            wanted,
            "{words}"
        );
        assert_eq!(found.commit_time, 1_700_000_000);
    };
    let all = "bad file run sub sub/deep sub/deep/file sub/link";
    check("", "main", &format!("{all} | three"));
    check("#v1", "v1", &format!("{all} | one"));
    check("?tag=v1", "v1", &format!("{all} | one"));
    check("#refs/tags/v1", "v1", &format!("{all} | one"));
    check(
        "?branch=other",
        "other",
        &format!("{all} sub/other | three"),
    );
    check("#main:sub", "main", "deep deep/file link | ");
    check("#:sub/deep", "main", "file | two");
    check("#:../../sub/deep/..", "main", "deep deep/file link | ");
    let first = commit("v1");
    check(&format!("#{first}"), "v1", &format!("{all} | one"));
    check(
        &format!("?checksum={}", &commit("main")[..10]),
        "main",
        &format!("{all} | three"),
    );
    let by_commit = format!("?checksum={first}&fetch-by-commit#main");
    check(&by_commit, "v1", &format!("{all} | one"));
    let tag = said(&made, "git -C r.git rev-parse v1");
    check(
        &format!("?checksum={tag}#v1"),
        "v1",
        &format!("{all} | one"),
    );
}

#[test]
fn says_what_is_not_there() {
    let world = World::new();
    let server = git_server(&world.made("server", REPOSITORY));
    let check = |words: &str, wanted: &str| {
        let error = check_out_of(&world, &format!("{server}/{words}")).unwrap_err();
        assert!(error.contains(wanted), "{words}: {error}");
    };
    check("r.git#none", "repository does not contain ref none");
    let nowhere = "0123456789012345678901234567890123456789";
    check(
        &format!("r.git#{nowhere}"),
        &format!("does not contain ref {nowhere}"),
    );
    check(
        "r.git?checksum=0123",
        "expected checksum to match 0123, got ",
    );
    check("r.git?checksum=xyz", "invalid checksum xyz for Git URL");
    check("r.git#:none", "it has no directory \"none\"");
    check("r.git#:file", "it has no directory \"file\"");
    // No link leads to a directory.
    check("r.git#:bad", "it has no directory \"bad\"");
    check("none.git", "look up git://127.0.0.1:");
    let lonely = World::with_programs(vec![world.temp.path().to_owned()]);
    let error = check_out_of(&lonely, "https://me:secret@h/r.git").unwrap_err();
    assert_eq!(
        error,
        "fetch https://xxxxx@h/r.git: no git found on this machine: install it, or name a directory or an archive"
    );
}

#[test]
fn files_are_the_same_everywhere() {
    let world = World::new();
    let server = git_server(&world.made("server", REPOSITORY));
    let found = check_out_of(&world, &format!("{server}/r.git")).unwrap();
    let facts = |name: &str| found.directory.join(name).symlink_metadata().unwrap();
    let check = |name: &str, mode: u32| {
        assert_eq!(facts(name).mode() & 0o7777, mode, "{name}");
        assert_eq!(facts(name).mtime(), 1_700_000_000, "{name}");
    };
    check("file", 0o644);
    check("run", 0o755);
    check("sub", 0o755);
    check("sub/deep/file", 0o644);
    check("sub/link", 0o777);
    let now = check_out_of(&world, &format!("{server}/r.git?mtime=checkout")).unwrap();
    assert!(now.directory.join("file").metadata().unwrap().mtime() > 1_700_000_000);
}

#[test]
fn keeps_git_dir_without_secrets() {
    let world = World::new();
    let made = world.made("server", REPOSITORY);
    let server = git_server(&made);
    let found = check_out_of(&world, &format!("{server}/r.git?keep-git-dir=true#other")).unwrap();
    let told = said(
        &found.directory,
        "git -c safe.directory=* status --porcelain; git -c safe.directory=* log --format=%s",
    );
    assert_eq!(told, "third");
    let config = std::fs::read_to_string(found.directory.join(".git/config")).unwrap();
    assert!(config.contains(&server), "{config}");
    assert!(!found.directory.join(".git/FETCH_HEAD").exists());
    assert!(!found.directory.join(".git/hooks").exists());
}

#[test]
fn fetches_submodules_of_the_network_only() {
    let world = World::new();
    let made = world.made("server", REPOSITORY);
    let server = git_server(&made);
    let secret = world.made(
        "secret",
        "git init -q && printf key >key && git add -A && git commit -qm s",
    );
    let allow = "git -c protocol.file.allow=always";
    shell(
        &made,
        &format!(
            "git init -q good.git && cd good.git && {allow} submodule --quiet add ../r.git part
             git config -f .gitmodules submodule.part.url {server}/r.git
             git add -A && git commit -qm good
             cd .. && git init -q bad.git && cd bad.git && {allow} submodule --quiet add {0} part
             git config -f .gitmodules submodule.part.url file://{0}
             git add -A && git commit -qm bad",
            secret.display()
        ),
    );
    let good = check_out_of(&world, &format!("{server}/good.git")).unwrap();
    assert_eq!(said(&good.directory, "cat part/file"), "three");
    // What git leaves there names paths of this machine.
    assert!(!good.directory.join("part/.git").exists());
    let without = check_out_of(&world, &format!("{server}/good.git?submodules=false")).unwrap();
    assert_eq!(listing(&without.directory), ".gitmodules part");
    let error = check_out_of(&world, &format!("{server}/bad.git")).unwrap_err();
    assert!(error.contains("transport 'file' not allowed"), "{error}");
}

#[test]
fn takes_nothing_from_the_users_configuration() {
    let world = World::new();
    let made = world.made("server", REPOSITORY);
    let server = git_server(&made);
    // A repository that brings attributes with a filter, and files with git's own names.
    shell(
        &made,
        "git init -q odd.git && cd odd.git && printf '* filter=evil\\n' >.gitattributes
         printf x >x && git add -A && git commit -qm odd",
    );
    let found = check_out_of(&world, &format!("{server}/odd.git")).unwrap();
    assert_eq!(listing(&found.directory), ".gitattributes x");
}

#[test]
fn takes_whole_repositories_from_plain_web_servers() {
    let world = World::new();
    let made = world.made(
        "server",
        &format!("{REPOSITORY} git clone -q --bare . ../bare.git && cd ../bare.git && git update-server-info"),
    );
    let mut files = BTreeMap::new();
    for path in said(&made, "find bare.git -type f").lines() {
        files.insert(path.to_owned(), std::fs::read(made.join(path)).unwrap());
    }
    let server = web(files);
    let found = check_out_of(&world, &format!("{server}/bare.git#v1:sub")).unwrap();
    assert_eq!(listing(&found.directory), "deep deep/file link");
}
