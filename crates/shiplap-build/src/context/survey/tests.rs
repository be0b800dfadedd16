#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::fs;

use tempfile::TempDir;

use super::*;

/// A directory with these files; sizes are those of their texts.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const FILES: [(&str, &str); 9] = [
    ("Dockerfile", "FROM a\nCOPY src /src\nCOPY dist/app /app\n"),
    ("package.json", "{}"),
    ("src/app.py", "1234567890"),
    ("src/app.pyc", "12345"),
    ("src/__pycache__/x.pyc", "123"),
    ("node_modules/a/b.js", "1234567"),
    ("node_modules/a-b.js", "1"),
    ("dist/app", "12"),
    (".git/HEAD", "123456"),
];

fn of(folder: &TempDir) -> Survey {
    survey(folder.path(), None).unwrap()
}

#[test]
fn says_what_is_sent_and_which_line_decides() {
    let folder = directory(&FILES);
    let ignore = "# what no build needs\n**/*.pyc\nnode_modules\n\n*.md\nsrc\n!src/*.py\n!package.json\n.git/**\n.git\n";
    fs::write(folder.path().join(".dockerignore"), ignore).unwrap();
    let survey = of(&folder);
    let sent = survey.by_path(1);
    let sent: Vec<(&str, u64, u64)> = sent
        .iter()
        .map(|(path, tally)| {
            (
                std::str::from_utf8(path).unwrap(),
                tally.files,
                tally.size_bytes,
            )
        })
        .collect();
    assert_eq!(sent[0], (".dockerignore", 1, ignore.len() as u64));
    assert!(
        sent.contains(&("src/", 1, 10)) && sent.contains(&("dist/", 1, 2)),
        "{sent:?}"
    );
    assert!(
        !sent
            .iter()
            .any(|(path, ..)| path.starts_with("node_modules") || path.starts_with(".git")),
        "{sent:?}"
    );
    let out: Vec<(usize, u64, u64)> = survey
        .patterns
        .as_slice()
        .iter()
        .zip(&survey.effects)
        .map(|(pattern, effect)| (pattern.position(), effect.files, effect.size_bytes))
        .collect();
    assert_eq!(
        out,
        [
            (2, 0, 0),
            (3, 2, 8),
            (5, 0, 0),
            (6, 2, 8),
            (7, 1, 10),
            (8, 1, 2),
            (9, 0, 0),
            (10, 1, 6)
        ]
    );
    assert_eq!(
        survey.left_out(),
        Tally {
            files: 5,
            size_bytes: 22
        }
    );
    let idle: Vec<(usize, Idle)> = survey
        .idle()
        .into_iter()
        .map(|(line, _, idle)| (line, idle))
        .collect();
    assert_eq!(
        idle,
        [
            (
                2,
                Idle::Shadowed {
                    line: 6,
                    is_exception: false
                }
            ),
            (5, Idle::MatchesNothing),
            (8, Idle::NothingToLetIn),
            (
                9,
                Idle::Shadowed {
                    line: 10,
                    is_exception: false
                }
            ),
        ]
    );
    let why = survey.why(b"./src/app.py").unwrap();
    assert!(why.is_there && !why.is_out);
    assert_eq!(why.line, Some((7, "!src/*.py".to_owned())));
    let why = survey.why(b"node_modules/a/b.js").unwrap();
    assert_eq!(
        (why.is_out, why.line),
        (true, Some((3, "node_modules".to_owned())))
    );
    let why = survey.why(b"nowhere").unwrap();
    assert!(!why.is_there && !why.is_out && why.line.is_none());
    // From the context's root, or from that of the system.
    let absolute = folder.path().canonicalize().unwrap().join("src/app.py");
    for path in [
        absolute.to_str().unwrap(),
        "/src/app.py",
        "src/../src/app.py",
    ] {
        assert_eq!(survey.why(path.as_bytes()).unwrap().path, b"src/app.py");
    }
    assert!(survey.why(b"../src").is_none() && survey.why(b"a/../..").is_none());
}

#[test]
fn a_later_line_that_lets_all_in_again_is_told() {
    let folder = directory(&[("a.log", "1"), ("b.txt", "2")]);
    fs::write(folder.path().join(".dockerignore"), "*.log\n!*.log\n").unwrap();
    let survey = of(&folder);
    let idle = survey.idle();
    assert_eq!(
        idle,
        [(
            1,
            "*.log".to_owned(),
            Idle::Shadowed {
                line: 2,
                is_exception: true
            }
        )]
    );
    assert_eq!(survey.sent().files, 3);
}

#[test]
fn an_ignore_file_of_the_dockerfile_comes_first() {
    let folder = directory(&[
        ("a", "1"),
        ("b", "2"),
        ("x.Dockerfile", "FROM a\n"),
        ("x.Dockerfile.dockerignore", "a\n"),
        (".dockerignore", "b\n"),
    ]);
    let own = survey(folder.path(), Some(Path::new("x.Dockerfile"))).unwrap();
    assert_eq!(
        own.ignore_name.as_deref(),
        Some("x.Dockerfile.dockerignore")
    );
    let is_out = |survey: &Survey, path: &[u8]| survey.why(path).unwrap().is_out;
    assert!(is_out(&own, b"a") && !is_out(&own, b"b"));
    let general = of(&folder);
    assert!(!is_out(&general, b"a") && is_out(&general, b"b"));
    assert!(survey(folder.path(), Some(Path::new("nowhere"))).is_err());
    assert!(survey(&folder.path().join("nowhere"), None).is_err());
    fs::write(folder.path().join(".dockerignore"), "[\n").unwrap();
    assert!(survey(folder.path(), None).is_err());
}

#[test]
fn proposes_what_is_there_and_not_needed() {
    let folder = directory(&FILES);
    let lines = of(&folder).suggest();
    let shown: Vec<(&str, u64, u64)> = lines
        .iter()
        .map(|line| {
            (
                line.patterns[0].as_str(),
                line.saves.files,
                line.saves.size_bytes,
            )
        })
        .collect();
    // `dist` is copied by name, so it stays.
    assert_eq!(
        shown,
        [
            ("**/.git", 1, 6),
            ("**/node_modules", 2, 8),
            ("**/__pycache__", 1, 3),
            ("**/*.pyc", 1, 5),
            ("**/*Dockerfile*", 1, FILES[0].1.len() as u64),
        ]
    );
    let text = suggested_text(&lines);
    assert!(
        text.starts_with("# version control\n# 6B in 1 file\n**/.git\n\n# installed packages\n"),
        "{text}"
    );
    // What it proposes leaves exactly that out, and then there is nothing left to propose.
    let before = of(&folder).sent();
    fs::write(folder.path().join(".dockerignore"), &text).unwrap();
    let survey = of(&folder);
    let saved: u64 = lines.iter().map(|line| line.saves.size_bytes).sum();
    assert_eq!(
        survey.sent().size_bytes,
        before.size_bytes - saved + text.len() as u64
    );
    assert!(
        survey
            .suggest()
            .iter()
            .all(|line| line.patterns == [".dockerignore"])
    );
    assert!(survey.idle().is_empty(), "{:?}", survey.idle());
}

/// What is proposed for files, the lines joined by blanks.
fn proposed(files: &[(&str, &str)]) -> Vec<String> {
    let folder = directory(files);
    let lines = of(&folder).suggest();
    let text = suggested_text(&lines);
    let before = of(&folder);
    fs::write(folder.path().join(".dockerignore"), &text).unwrap();
    let after = of(&folder);
    // It leaves out what it says, nothing else, and has no line that does nothing.
    let saved: u64 = lines.iter().map(|line| line.saves.files).sum();
    assert_eq!(
        after.sent().files,
        before.sent().files - saved + 1,
        "{text}"
    );
    assert!(after.idle().is_empty(), "{text}: {:?}", after.idle());
    lines.iter().map(|line| line.patterns.join(" ")).collect()
}

/// Files, and what is proposed for them.
type Row<'r> = (&'r [(&'r str, &'r str)], &'r [&'r str]);

#[test]
fn names_that_may_mean_anything_need_a_sign() {
    let rows: [Row<'_>; 9] = [
        (&[("build/x", "1"), ("venv/x", "3")], &[]),
        (&[("Cargo.toml", ""), ("target/x", "4")], &["**/target"]),
        // A module of that name stays.
        (
            &[
                ("rust/Cargo.toml", ""),
                ("rust/target/x", "4"),
                ("src/target/mod.rs", "2"),
            ],
            &["rust/target"],
        ),
        (
            &[("py/venv/pyvenv.cfg", "5"), ("venv/x", "3")],
            &["py/venv"],
        ),
        (
            &[("logs/logs.go", "1"), ("a/logs/1.txt", "2"), ("tmp/x", "")],
            &["**/tmp", "a/logs"],
        ),
        (
            &[
                ("package.json", ""),
                ("coverage/a.js", "1"),
                ("src/coverage/a.js", "2"),
            ],
            &["coverage"],
        ),
        // A sample says what is to be filled in.
        (
            &[(".env.local", "7"), ("a/.env.example", "6")],
            &["**/.env.* !a/.env.example"],
        ),
        (
            &[("service-account.json", "{}"), ("data.json", "{}")],
            &["**/service-account*.json"],
        ),
        (
            &[
                ("Cargo.toml", ""),
                ("target/a", "1"),
                ("a[b]/target/b.rs", ""),
            ],
            &["target"],
        ),
    ];
    for (files, wanted) in rows {
        let mut found = proposed(files);
        found.sort();
        assert_eq!(found, wanted, "{files:?}");
    }
}

#[test]
fn what_the_dockerfile_names_stays() {
    let rows: [(&str, &[&str]); 8] = [
        ("ARG D=dist\nCOPY $D /", &["**/.npmrc", "a/dist"]),
        ("COPY ${D}/dist/app.js /", &["**/.npmrc", "dist"]),
        ("COPY . /", &["**/.npmrc", "**/dist"]),
        ("COPY .npmrc /", &["**/dist", "a/.npmrc"]),
        ("COPY a/dist /", &["**/.npmrc", "dist"]),
        // Not there yet, but named.
        ("COPY b/dist/app.js /", &["**/.npmrc", "a/dist dist"]),
        (
            "RUN --mount=type=bind,source=dist,target=/d x",
            &["**/.npmrc", "a/dist"],
        ),
        ("COPY a/dist/*.js /", &["**/.npmrc", "dist"]),
    ];
    for (line, wanted) in rows {
        let text = format!("FROM a\n{line}\n");
        let files = [
            ("Dockerfile", text.as_str()),
            ("package.json", ""),
            (".npmrc", "1"),
            ("dist/app.js", "2"),
            ("a/package.json", ""),
            ("a/.npmrc", "3"),
            ("a/dist/app.js", "4"),
        ];
        let mut found = proposed(&files);
        found.retain(|lines| lines != "**/*Dockerfile*");
        found.sort();
        assert_eq!(found, wanted, "{line}");
    }
}

#[test]
fn asks_for_what_is_large_and_not_named() {
    let big = "x".repeat(2_000_000);
    let small = "x".repeat(100_000);
    let folder = directory(&[
        ("Dockerfile", "FROM a\nCOPY . /\nCOPY model*.bin app /m/\n"),
        ("data/train.csv", &big),
        ("data/more/train.csv", &big),
        ("movie.mp4", &big),
        ("model-1.bin", &big),
        ("app/big", &big),
        ("notes.txt", &small),
        (".git/objects/pack", &big),
    ]);
    let survey = of(&folder);
    let heavy = survey.heavy(&survey.suggest());
    let shown: Vec<(&str, u64)> = { heavy.iter() }
        .map(|(path, tally)| (std::str::from_utf8(path).unwrap(), tally.size_bytes))
        .collect();
    assert_eq!(shown, [("data/", 4_000_000), ("movie.mp4", 2_000_000)]);
}
