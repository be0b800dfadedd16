//! Checkouts that git made, and what is none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use std::process::Command;

use super::*;

/// When the first commit is made; each further one is made a second later.
const FIRST: i64 = 1_600_000_000;

/// A repository that git works on.
struct Repo {
    room: tempfile::TempDir,
    commits: i64,
}

impl Repo {
    fn new(flags: &[&str]) -> Self {
        let repo = Self {
            room: tempfile::tempdir().unwrap(),
            commits: 0,
        };
        repo.git(&[&["init", "--quiet", "--initial-branch=main"], flags].concat());
        repo
    }

    fn path(&self) -> PathBuf {
        self.room.path().canonicalize().unwrap()
    }

    fn git(&self, arguments: &[&str]) {
        git(&self.path(), arguments, FIRST + self.commits);
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Commits all there is; when that is said to be.
    fn commit(&mut self) -> Option<i64> {
        self.commits += 1;
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x", "--allow-empty"]);
        Some(FIRST + self.commits)
    }

    fn time_of(&self, path: &str) -> Option<i64> {
        commit_time(&self.path().join(path))
    }
}

fn git(directory: &Path, arguments: &[&str], seconds: i64) {
    let date = format!("{seconds} +0200");
    let ran = Command::new("git")
        .args(["-c", "user.name=A <b> C", "-c", "user.email=a@b"])
        .args([
            "-c",
            "protocol.file.allow=always",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_COMMITTER_DATE", &date)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{arguments:?}: {said}");
}

/// Long and much alike, so that git packs them as changes of one another.
fn listing(number: usize) -> String {
    let lines = (0..400).map(|line| format!("{line} {}\n", line * 7919 % 1009));
    format!("{}{number}\n", lines.collect::<String>())
}

#[test]
fn tells_when_the_commit_was_made() {
    for flags in [&[][..], &["--object-format=sha256"]] {
        let mut repo = Repo::new(flags);
        assert_eq!(repo.time_of(""), None, "nothing is committed");
        repo.write("app/src/main.py", "1");
        let time = repo.commit();
        for path in ["", "app", "app/src"] {
            assert_eq!(repo.time_of(path), time, "{path}");
        }
        repo.write("app/src/main.py", "2");
        assert_eq!(
            repo.time_of("app"),
            time,
            "what is not committed has no time"
        );
        let time = repo.commit();
        assert_eq!(repo.time_of("app"), time);
    }
}

#[test]
fn reads_packs() {
    let mut repo = Repo::new(&[]);
    let mut time = None;
    for number in 0..40 {
        for file in 0..60 {
            repo.write(&format!("many/file-{file}"), &listing(number * file));
        }
        repo.write(&format!("many/new-{number}/x"), "x");
        time = repo.commit();
    }
    repo.git(&["gc", "--quiet", "--aggressive", "--prune=now"]);
    repo.git(&["pack-refs", "--all"]);
    assert!(!repo.path().join(".git/refs/heads/main").exists());
    for path in ["", "many", "many/new-0", "many/new-39"] {
        assert_eq!(repo.time_of(path), time, "{path}");
    }
    assert_eq!(repo.time_of("many/file-1"), None, "it is no directory");

    // As what is fetched has them: bases by name.
    repo.git(&["-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq"]);
    assert_eq!(repo.time_of("many/new-39"), time);

    // What borrows its objects.
    let room = tempfile::tempdir().unwrap();
    let clone = room.path().canonicalize().unwrap().join("clone");
    let from = repo.path();
    let words = ["clone", "--quiet", "--shared", from.to_str().unwrap()];
    git(
        room.path(),
        &[&words[..], &[clone.to_str().unwrap()]].concat(),
        FIRST,
    );
    assert_eq!(commit_time(&clone.join("many")), time);

    // And what has no history.
    let shallow = room.path().canonicalize().unwrap().join("shallow");
    let address = format!("file://{}", from.display());
    let words = [
        "clone",
        "--quiet",
        "--depth=1",
        &address,
        shallow.to_str().unwrap(),
    ];
    git(room.path(), &words, FIRST);
    assert_eq!(commit_time(&shallow.join("many")), time);
}

#[test]
fn finds_the_checkout_that_it_is() {
    let mut repo = Repo::new(&[]);
    repo.write("app/a", "a");
    let first = repo.commit();
    repo.git(&["tag", "--annotate", "--message=x", "v1"]);
    repo.write("app/a", "b");
    let second = repo.commit();
    let other = tempfile::tempdir().unwrap();
    let tree = other.path().canonicalize().unwrap().join("tree");
    repo.git(&["worktree", "add", "--quiet", tree.to_str().unwrap(), "v1"]);
    assert_eq!(commit_time(&tree.join("app")), first);
    assert_eq!(repo.time_of("app"), second);

    let mut whole = Repo::new(&[]);
    let from = repo.path();
    whole.git(&[
        "submodule",
        "--quiet",
        "add",
        from.to_str().unwrap(),
        "part",
    ]);
    whole.write("own/x", "x");
    whole.commits = 10;
    let time = whole.commit();
    assert_eq!(whole.time_of("part/app"), second);
    assert_eq!(whole.time_of("own"), time);

    repo.git(&["checkout", "--quiet", "--detach", "v1"]);
    assert_eq!(repo.time_of("app"), first);
}

#[test]
fn what_is_no_part_of_the_commit_has_no_time() {
    let mut repo = Repo::new(&[]);
    repo.write(".gitignore", "target\n");
    repo.write("app/a", "a");
    repo.commit();
    repo.write("target/context/Dockerfile", "FROM scratch");
    repo.write("new/Dockerfile", "FROM scratch");
    for path in ["target", "target/context", "new"] {
        assert_eq!(repo.time_of(path), None, "{path}");
    }
    assert_eq!(commit_time(Path::new("/")), None);
}

#[test]
fn believes_nothing_and_runs_nothing() {
    let make = || {
        let mut repo = Repo::new(&[]);
        repo.write("app/a", "a");
        let time = repo.commit();
        assert_eq!(repo.time_of("app"), time);
        repo
    };
    let check = |what: &str, spoil: &dyn Fn(&Path)| {
        let repo = make();
        spoil(&repo.path().join(".git"));
        assert_eq!(repo.time_of("app"), None, "{what}");
    };
    let put = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    let remove = |path: &Path| std::fs::remove_file(path).unwrap();
    check("no HEAD", &|git| remove(&git.join("HEAD")));
    check("a HEAD of nothing", &|git| put(&git.join("HEAD"), ""));
    check("another branch", &|git| {
        put(&git.join("HEAD"), "ref: refs/heads/x\n");
    });
    check("a way out", &|git| {
        put(&git.join("HEAD"), "ref: refs/../../app/a\n");
        put(&git.join("../app/a"), &"1".repeat(40));
    });
    check("a circle", &|git| {
        put(&git.join("refs/heads/main"), "ref: refs/heads/main\n");
    });
    check("an endless line", &|git| {
        put(&git.join("HEAD"), &"x".repeat(1 << 20));
    });
    check("a pipe", &|git| {
        remove(&git.join("HEAD"));
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, git.join("HEAD"), mode).unwrap();
    });
    check("objects of nothing", &|git| {
        for entry in std::fs::read_dir(git.join("objects")).unwrap() {
            for file in std::fs::read_dir(entry.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                remove(&path);
                put(&path, "not an object");
            }
        }
    });

    // A repository that would run something, if git were asked.
    let repo = make();
    let mark = repo.path().join("mark");
    let program = format!("touch {}", mark.display());
    for setting in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "gpg.program",
        "alias.log",
    ] {
        repo.git(&["config", setting, &program]);
    }
    assert!(repo.time_of("app").is_some());
    assert!(!mark.exists());
}

#[test]
fn reads_commits() {
    let id = "1".repeat(40);
    let check = |committer: &str, wanted: Option<i64>| {
        let text = format!("tree {id}\nparent {id}\n{committer}\n\ncommitter a <b> 1 +0\n");
        let found = Commit::parse(text.as_bytes()).map(|commit| commit.committed);
        assert_eq!(found, wanted, "{committer}");
    };
    check("committer A B <a@b> 1700000000 +0100", Some(1_700_000_000));
    check("committer > <> 5 -0000", Some(5));
    check("committer A <a> -5 +0000", Some(-5));
    check("committer A <a> soon", None);
    check("author A <a> 5 +0000", None);
}
