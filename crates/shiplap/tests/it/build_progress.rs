//! What a build tells while it works, as a person or a program sees it.

use serde_json::Value;

use super::build::course;
use crate::harness::base;
use crate::harness::terminal::Session;

const LOUD: &str = "FROM busybox AS loud
RUN printf '\\033[31mred\\033[0m\\033[2Jgone\\007\\n' && printf 'half\\rwhole\\n' && sleep 1
FROM busybox
COPY --from=loud /etc/passwd /x
";

#[test]
fn a_terminal_shows_an_area_that_stays_within_its_columns() {
    let Some(store) = base::store() else { return };
    let context = course(&store, LOUD);
    let line = ["build", "-t", "app", context.to_str().unwrap()];
    let mut session = Session::new(&store, &line, 24, 80);
    session.shows("[+] Building");
    session.shows("# red");
    session.resize(10, 40);
    let (seen, code) = session.all();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("FINISHED"), "{seen}");
    for theirs in ["\x1b[31m", "\x1b[2J", "\x07"] {
        assert!(
            !seen.contains(theirs),
            "what steps print is shown only: {seen:?}"
        );
    }
    let area = |at: usize| seen[at..].split("\x1b[J").next().unwrap().split("\r\n");
    for line in area(seen.rfind("[+] Building").unwrap()) {
        let line = line.replace("\x1b[34m", "").replace("\x1b[0m", "");
        let shown = line.split('\x1b').next().unwrap();
        assert!(shown.chars().count() < 40, "{shown:?}");
    }
    let (seen, code) = Session::new(&store, &line, 24, 80).all();
    assert_eq!(code, Some(0), "{seen}");
    let name = " => => naming to docker.io/library/app:latest ";
    let line = &seen[seen.find(name).unwrap()..];
    let line = &line[..line.find('\x1b').unwrap()];
    assert!(line.ends_with('s') && line.len() == 79, "{line:?}");
}

#[test]
fn elsewhere_lines_are_plain() {
    let Some(store) = base::store() else { return };
    let context = course(&store, LOUD);
    let context = context.to_str().unwrap();
    let ran = store.run(&["build", context]);
    ran.assert_ok();
    assert!(!ran.stderr.contains('\x1b'), "{}", ran.stderr);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let run = lines
        .iter()
        .find(|line| line.contains("RUN printf"))
        .unwrap();
    let number = run.split(' ').next().unwrap();
    let output: Vec<&&str> = lines
        .iter()
        .filter(|line| {
            line.starts_with(&format!("{number} 0.")) || line.starts_with(&format!("{number} 1."))
        })
        .collect();
    assert!(
        output.iter().any(|line| line.ends_with(" redgone")),
        "{output:?}"
    );
    assert!(
        output.iter().any(|line| line.ends_with(" whole")),
        "{output:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with(&format!("{number} DONE ")))
    );
    let again = store.run(&["build", context]);
    assert!(again.stderr.contains(" CACHED\n"), "{}", again.stderr);
    let ran = store.run(&["build", "--progress", "tty", context]);
    ran.assert_refused();
    ran.assert_says(&["no terminal"]);
}

#[test]
fn programs_read_json() {
    let Some(store) = base::store() else { return };
    let context = course(&store, LOUD);
    let ran = store.run(&["build", "--progress=json", context.to_str().unwrap()]);
    ran.assert_ok();
    let events: Vec<Value> = ran
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for kind in ["started", "log", "done", "status"] {
        assert!(events.iter().any(|event| event["event"] == kind), "{kind}");
    }
    let quiet = store.run(&["build", "--progress=none", context.to_str().unwrap()]);
    quiet.assert_ok();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let variable = store.command(&["build", context.to_str().unwrap()]);
    let mut variable = variable;
    let ran = variable.env("BUILDKIT_PROGRESS", "quiet").output().unwrap();
    assert!(ran.stdout.starts_with(b"sha256:"));
    assert!(ran.stderr.is_empty());
}
