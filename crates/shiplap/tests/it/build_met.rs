//! What someone meets who builds for the first time: wrong names, missing files, files that may not be
//! read, a terminal of eighty columns.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::build::course;
use crate::harness::terminal::Session;
use crate::harness::user::User;
use crate::harness::{base, leftovers, scene};

#[test]
fn what_is_wrong_is_said() {
    let Some(store) = base::store() else { return };
    let context = course(&store, "FROM busybox\nCOPY app.py /\n");
    let context = context.to_str().unwrap();
    let wrong = RefCell::new(Vec::new());
    let check = |line: &[&str], words: &[&str]| {
        let ran = store.run(&[&["build"][..], line].concat());
        ran.assert_refused();
        assert_eq!(ran.stdout, "");
        let said = ran.stderr.to_lowercase();
        for word in words
            .iter()
            .filter(|word| !said.contains(&word.to_lowercase()))
        {
            wrong
                .borrow_mut()
                .push(format!("{word:?} not said by {line:?}: {}", ran.stderr));
        }
        let long = ran.stderr.lines().filter(|line| line.chars().count() > 200);
        wrong.borrow_mut().extend(long.map(str::to_owned));
    };
    check(&[], &["PATH"]);
    check(&["nowhere"], &["nowhere", "not found"]);
    check(&["app/app.py"], &["app/app.py", "no directory"]);
    check(&["home"], &["Dockerfile", "looked for in home", "--file"]);
    check(&["-f", "Missing", context], &["Missing"]);
    check(&["-t", "UPPER", context], &["UPPER", "lowercase"]);
    check(&["-t", "app:", context], &["app:"]);
    check(&["--target", "nothing", context], &["nothing", "target"]);
    check(&["--tga", "app", context], &["unknown flag", "--tga"]);
    check(&["--progress", "loud", context], &["loud", "plain"]);
    let file = |text: &str, words: &[&str]| {
        fs::write(store.path("app/Dockerfile"), text).unwrap();
        check(&[context], words);
    };
    file("", &["Dockerfile", "no instructions"]);
    file("# only words\n", &["Dockerfile"]);
    file("FROM\n", &["Dockerfile:1", "FROM"]);
    file(
        "FORM busybox\n",
        &["unknown instruction: FORM", "did you mean FROM"],
    );
    file("RUN true\n", &["no build stage", "FROM"]);
    file(
        "FROM busybox\nCOPY --form=x a b\n",
        &["Dockerfile:2", "--form", "did you mean", "from"],
    );
    file(
        "FROM busybox\nCOPY missing.txt /\n",
        &["Dockerfile:2", "missing.txt", ">>>"],
    );
    file("FROM busybox\nCOPY a b c\n", &["Dockerfile:2"]);
    file(
        "FROM busybox\nRUN no-such-program --flag\n",
        &["Dockerfile:2", "no-such-program", "exit code: 127"],
    );
    file(
        "FROM busybox\nRUN [\"/no/such\"]\n",
        &["Dockerfile:2", "/no/such"],
    );
    file(
        "FROM busybox\nUSER nobody-here\nRUN true\n",
        &["Dockerfile:3", "nobody-here"],
    );
    file(
        "FROM 127.0.0.1:1/no/image\n",
        &["Dockerfile:1", "127.0.0.1:1"],
    );
    file("FROM ${BASE}\n", &["Dockerfile:1", "BASE"]);
    file(
        "FROM busybox\nCOPY notes/secret-plans.md /\n",
        &["Dockerfile:2", "secret-plans.md", ".dockerignore"],
    );
    assert!(wrong.borrow().is_empty(), "{}", wrong.borrow().join("\n"));
    leftovers::assert_none(&store);
}

#[test]
fn a_terminal_of_eighty_columns_has_whole_words() {
    let Some(store) = base::store() else { return };
    let text = "FROM busybox\nRUN echo a-rather-long-line-of-output-that-goes-on-and-on-and-on-and-on-and-on-to-the-end; exit 3\n";
    let context = course(&store, text);
    let line = ["build", "-t", "app", context.to_str().unwrap()];
    let (seen, code) = Session::new(&store, &line, 24, 80).all();
    assert_eq!(code, Some(1));
    // The area is drawn over, what stays is told after it.
    let end = &seen[seen.rfind("------\r\n > ").unwrap()..];
    for words in ["Dockerfile:2", ">>>", "exit code: 3", "build logs"] {
        assert!(end.contains(words), "{words:?} in {end:?}");
    }
    assert!(seen.contains("to-the-end"), "{seen:?}");
    assert!(
        seen.contains("FAILED") || seen.contains("ERROR"),
        "{seen:?}"
    );
}

#[test]
fn files_that_a_user_may_not_read() {
    let Some(user) = User::new(true) else { return };
    let context = user.store.path("app");
    scene::files(
        &context,
        &[
            ("Dockerfile", "FROM scratch\nCOPY . /\n"),
            ("secret.txt", "not yours\n"),
            ("locked/inner.txt", "not yours\n"),
        ],
    );
    let context_text = context.to_str().unwrap();
    let shut = |name: &str, mode: u32| {
        fs::set_permissions(context.join(name), Permissions::from_mode(mode)).unwrap();
    };
    let refuse = |words: &[&str]| {
        let ran = user.run(&["build", "-t", "app", context_text]);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(1), "{said}");
        for word in words {
            assert!(said.to_lowercase().contains(word), "{word:?} in {said}");
        }
    };
    shut("secret.txt", 0o600);
    refuse(&["secret.txt", "permission denied", "dockerfile:2"]);
    shut("secret.txt", 0o644);
    shut("locked", 0o700);
    refuse(&["locked", "permission denied", "dockerfile:2"]);
    // What is not sent need not be read.
    scene::files(&context, &[(".dockerignore", "locked\n")]);
    user.ok(&["build", "-t", "app", context_text]);
    shut("Dockerfile", 0o600);
    refuse(&["dockerfile", "permission denied"]);
    shut("Dockerfile", 0o644);
    shut(".", 0o700);
    refuse(&["permission denied"]);
}
