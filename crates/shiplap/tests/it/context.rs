//! `context ls` and `ignore suggest`: what a build is sent, which line decides, and what could stay.

use std::fs;
use std::time::Instant;

use crate::harness::{Store, base, scene};

fn context(store: &Store) -> String {
    let context = store.path("app");
    scene::files(
        &context,
        &[
            ("Dockerfile", "FROM scratch\nCOPY . /\n"),
            ("app.py", "print('hello')\n"),
            ("node_modules/a/index.js", &"x".repeat(5000)),
            (".git/HEAD", "ref: refs/heads/main\n"),
            ("notes/a.md", "do not ship\n"),
            (".dockerignore", "notes\n*.log\n"),
        ],
    );
    context.to_str().unwrap().to_owned()
}

#[test]
fn lists_what_is_sent() {
    let store = Store::new();
    let context = context(&store);
    let ran = store.run(&["context", "ls", &context]);
    ran.assert_ok();
    let first = ran.stdout.lines().nth(1).unwrap();
    assert_eq!(
        first.split_whitespace().collect::<Vec<_>>(),
        ["5kB", "1", "node_modules/"]
    );
    assert!(
        ran.stdout.contains(".dockerignore:1: notes\n"),
        "{}",
        ran.stdout
    );
    ran.assert_says(&[
        "left out: 12B in 1 file",
        ".dockerignore:2: *.log matches nothing",
    ]);
    assert!(!store.root().exists(), "it needs no store");
    let json = store.json(&["context", "ls", "--json", "--depth", "2", &context]);
    assert_eq!(json["sent"]["paths"][0]["path"], "node_modules/a/");
    assert_eq!(json["leftOut"]["files"], 1);
    assert_eq!(json["patterns"][1]["problem"], "matches nothing");
    for (path, wanted) in [
        (
            "notes/a.md",
            "notes/a.md is left out by .dockerignore:1: notes\n",
        ),
        (
            "app.py",
            "app.py is sent: no line of .dockerignore matches it\n",
        ),
        (
            "b.py",
            "b.py would be sent: no line of .dockerignore matches it (there is no such file)\n",
        ),
        (
            "x.log",
            "x.log is left out by .dockerignore:2: *.log (there is no such file)\n",
        ),
    ] {
        assert_eq!(
            store.ok(&["context", "ls", "--why", path, &context]),
            wanted
        );
    }
    let refused = store.refused(&["context", "ls", "--why", "../x", &context]);
    assert!(refused.contains("outside the context"), "{refused}");
    fs::remove_file(store.path("app/.dockerignore")).unwrap();
    let ran = store.run(&["context", "ls", &context]);
    ran.assert_says(&["there is no .dockerignore", "ignore suggest proposes one"]);
    assert!(
        store
            .refused(&["context", "ls", "nowhere"])
            .contains("nowhere")
    );
}

#[test]
fn proposes_an_ignore_file() {
    let store = Store::new();
    let context = context(&store);
    let ran = store.run(&["ignore", "suggest", &context]);
    ran.assert_ok();
    for line in [
        "# 5kB in 1 file\n**/node_modules\n",
        "# 21B in 1 file\n**/.git\n",
        "\n**/*Dockerfile*\n",
    ] {
        assert!(ran.stdout.contains(line), "{line} in {}", ran.stdout);
    }
    ran.assert_says(&["leaves out 5."]);
    fs::write(store.path("app/film"), vec![0; 2_000_000]).unwrap();
    let ran = store.run(&["ignore", "suggest", &context]);
    ran.assert_says(&["does the image need film (2MB)?"]);
    fs::remove_file(store.path("app/film")).unwrap();
    let refused = store.refused(&["ignore", "suggest", "--write", &context]);
    assert!(refused.contains("it is there already"), "{refused}");
    fs::remove_file(store.path("app/.dockerignore")).unwrap();
    store
        .run(&["ignore", "suggest", "--write", &context])
        .assert_ok();
    let written = fs::read_to_string(store.path("app/.dockerignore")).unwrap();
    assert!(written.contains("\n**/node_modules\n"), "{written}");
    let ran = store.run(&[
        "context",
        "ls",
        "--why",
        "node_modules/a/index.js",
        &context,
    ]);
    assert!(
        ran.stdout.contains("is left out by .dockerignore:"),
        "{}",
        ran.stdout
    );
}

/// What the listing says is sent is what a build takes.
#[test]
fn a_build_takes_what_is_listed() {
    let Some(store) = base::store() else { return };
    let context = context(&store);
    fs::write(
        store.path("app/.dockerignore"),
        "notes\nnode_modules/**\n!node_modules/a/index.js\n.git\n",
    )
    .unwrap();
    let json = store.json(&["context", "ls", "--json", "--depth", "9", &context]);
    store.ok(&["build", "-q", "-t", "all", &context]);
    let tree = super::build::tree(&store, "all");
    let listed = json["sent"]["paths"].as_array().unwrap();
    let listed: Vec<&str> = listed
        .iter()
        .map(|path| path["path"].as_str().unwrap())
        .filter(|path| !path.ends_with('/'))
        .collect();
    for path in &listed {
        assert!(tree.contains_key(*path), "{path} in {:?}", tree.keys());
    }
    for path in ["notes/a.md", ".git/HEAD"] {
        assert!(
            !tree.contains_key(path) && !listed.contains(&path),
            "{path}"
        );
    }
    assert!(listed.contains(&"node_modules/a/index.js"));
}

#[test]
fn many_files_are_no_trouble() {
    let store = Store::new();
    let context = store.path("many");
    for directory in 0..100 {
        let path = context.join(format!("d{directory}"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..100 {
            fs::write(path.join(format!("f{file}")), "").unwrap();
        }
    }
    let began = Instant::now();
    let ran = store.run(&["context", "ls", context.to_str().unwrap()]);
    ran.assert_ok();
    assert!(
        ran.stdout.contains("… and 80 more (--all)"),
        "{}",
        ran.stdout
    );
    ran.assert_says(&["in 10000 files"]);
    // A bound that only something foolish breaks, whatever else the machine does.
    assert!(began.elapsed().as_secs() < 20);
}
