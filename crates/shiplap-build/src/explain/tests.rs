use proptest::prelude::*;
use shiplap_model::{DiffId, Digest};

use super::*;
use crate::context::ContentDigest;
use crate::key::{
    CopyInputs, KeyInputs, OwnerId, RootFacts, RunInputs, SCHEMA, SourceInputs, StepInputs,
};
use crate::plan::StageId;
use crate::plan::tests::{input, plan_text};

fn diff_id(tar: &[u8]) -> DiffId {
    Digest::of(tar).into()
}

fn digest(text: &str) -> ContentDigest {
    ContentDigest::of(text.as_bytes())
}

fn manifest(files: &[(&str, &str)]) -> Manifest {
    let files: Vec<(&[u8], ContentDigest)> = files
        .iter()
        .map(|(path, content)| (path.as_bytes(), digest(content)))
        .collect();
    Manifest::new(files.iter().map(|(path, digest)| (*path, digest)))
}

fn record(step: StepInputs) -> Record {
    Record {
        inputs: KeyInputs {
            schema: SCHEMA,
            step,
        },
        notes: Notes::default(),
        manifest: Manifest::default(),
    }
}

fn copy(content: &str, change: impl Fn(&mut CopyInputs)) -> Record {
    let mut inputs = CopyInputs {
        destination: "/app/".to_owned(),
        root: RootFacts::new(),
        sources: vec![SourceInputs {
            name: "src".to_owned(),
            content: digest(content).to_string(),
            is_directory: true,
            unpacks: false,
        }],
        owner: None,
        chmod: None,
        link: false,
        parents: false,
        at_most_secs: None,
    };
    change(&mut inputs);
    record(StepInputs::Copy(inputs))
}

fn run(change: impl Fn(&mut RunInputs)) -> Record {
    let mut inputs = RunInputs {
        layers: vec![diff_id(b"base"), diff_id(b"one"), diff_id(b"two")],
        args: ["/bin/sh", "-c", "make"].map(str::to_owned).to_vec(),
        files: Vec::new(),
        env: vec!["PATH=/bin".to_owned(), "A=1".to_owned()],
        user: String::new(),
        working_dir: "/".to_owned(),
        mounts: Vec::new(),
        network: "default".to_owned(),
        insecure: false,
        devices: Vec::new(),
        hostname: None,
        hosts: Vec::new(),
        shm_bytes: None,
        ulimits: Vec::new(),
        platform: "linux/amd64".to_owned(),
        at_most_secs: None,
    };
    change(&mut inputs);
    Record {
        notes: Notes {
            base: "docker.io/library/python:3.11".to_owned(),
            base_layers: 1,
            steps: vec!["WORKDIR /app".to_owned(), "COPY . .".to_owned()],
            arguments: vec!["A".to_owned()],
        },
        ..record(StepInputs::Run(Box::new(inputs)))
    }
}

fn check(old: &Record, new: &Record, line: &str) {
    let found = explain(Some(old), new);
    assert_eq!(found.line, line);
    assert_eq!(
        old.inputs.key() == new.inputs.key(),
        found.details.is_empty()
    );
}

#[test]
fn names_files() {
    let with = |content: &str, files: &[(&str, &str)]| Record {
        manifest: manifest(files),
        ..copy(content, |_| {})
    };
    let old = with(
        "1",
        &[("src/a.py", "a"), ("src/b.py", "b"), ("src/c.py", "c")],
    );
    check(&old, &old, "its result is not kept any more");
    let new = with(
        "2",
        &[("src/a.py", "a"), ("src/b.py", "B"), ("src/c.py", "c")],
    );
    check(&old, &new, "changed src/b.py");
    let new = with(
        "3",
        &[("src/a.py", "A"), ("src/b.py", "b"), ("src/d.py", "d")],
    );
    check(&old, &new, "changed src/a.py (and 2 more)");
    let details = explain(Some(&old), &new).details;
    assert_eq!(
        details,
        ["changed src/a.py", "added src/d.py", "removed src/c.py"]
    );
    let many: Vec<(String, String)> = (0..6)
        .map(|number| (format!("n{number}"), String::new()))
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_str()))
        .collect();
    check(
        &with("4", &[]),
        &with("5", &many),
        "added n0, n1, n2 and 3 more",
    );
    check(
        &copy("1", |_| {}),
        &copy("2", |_| {}),
        "changed what is copied",
    );
}

#[test]
fn names_flags_of_copies() {
    let old = copy("1", |_| {});
    check(&old, &copy("1", |new| new.link = true), "changed --link");
    let owner = |new: &mut CopyInputs| new.owner = Some(OwnerId { uid: 1, gid: 1 });
    check(&old, &copy("1", owner), "changed --chown");
    let root = |new: &mut CopyInputs| {
        new.root.insert("app".to_owned(), "dir 0755 0:0".to_owned());
    };
    check(&old, &copy("1", root), "changed what was at app before");
    let details = explain(Some(&old), &copy("1", root)).details;
    assert_eq!(details, ["at app was nothing, is dir 0755 0:0"]);
}

#[test]
fn names_what_a_command_sees() {
    let old = run(|_| {});
    check(&old, &old, "its result is not kept any more");
    let command = |new: &mut RunInputs| new.args[2] = "make all".to_owned();
    check(&old, &run(command), "changed the command");
    check(
        &old,
        &run(|new| new.env[1] = "A=2".to_owned()),
        "changed argument A",
    );
    check(
        &old,
        &run(|new| new.env[0] = "PATH=/x".to_owned()),
        "changed variable PATH",
    );
    check(
        &old,
        &run(|new| new.env.reverse()),
        "changed the order of variables",
    );
    check(
        &old,
        &run(|new| new.layers[0] = diff_id(b"other")),
        "changed base image docker.io/library/python:3.11",
    );
    check(
        &old,
        &run(|new| new.layers[2] = diff_id(b"2")),
        "changed the result of COPY . .",
    );
    let mut shorter = run(|new| {
        new.layers.pop();
    });
    shorter.notes.steps.pop();
    check(&old, &shorter, "COPY . . stands before it no longer");
    check(&shorter, &old, "COPY . . stands before it now");
}

#[test]
fn says_when_there_is_nothing_to_compare() {
    let found = explain(None, &run(|_| {}));
    assert_eq!(found.line, "nothing like it was built here before");
    check(
        &run(|_| {}),
        &copy("1", |_| {}),
        "another instruction stood here before",
    );
    let mut older = run(|_| {});
    older.inputs.schema = 0;
    check(
        &older,
        &run(|_| {}),
        "Shiplap builds such steps differently now",
    );
}

#[test]
fn keeps_records() {
    let record = Record {
        manifest: manifest(&[("a/b", "1"), ("a/c", "2"), ("d", "3")]),
        ..run(|_| {})
    };
    assert_eq!(Record::decode(&record.encode()), Some(record.clone()));
    let bytes = record.encode();
    for end in 0..bytes.len() {
        assert_eq!(Record::decode(&bytes[..end]), None, "{end}");
    }
    let unknown = run(|_| {});
    assert_eq!(Record::decode(&unknown.encode()), Some(unknown));
}

#[test]
fn knows_what_lies_below() {
    let text =
        "FROM busybox AS one\nWORKDIR /a\nENV X=1\nRUN one\nFROM one\nARG V=1\nCOPY a b\nRUN two\n";
    let plan = plan_text(text, &input()).unwrap();
    let notes = Notes::of(&plan, StageId(1), 2, 3);
    assert_eq!(notes.base, "docker.io/library/busybox:latest");
    assert_eq!(notes.base_layers, 3);
    assert_eq!(notes.steps, ["WORKDIR /a", "RUN one", "COPY a b"]);
    assert_eq!(notes.arguments, ["V"]);
    let first = Notes::of(&plan, StageId(0), 0, 3);
    assert_eq!(first.steps, Vec::<String>::new());
}

proptest! {
    #[test]
    fn keeps_any_manifest(paths in proptest::collection::btree_set("[a-c/]{1,200}", 0..40)) {
        let content = digest("x");
        let manifest = Manifest::new(paths.iter().map(|path| (path.as_bytes(), &content)));
        prop_assert_eq!(Manifest::decode(&manifest.encode()), manifest);
    }

    #[test]
    fn reads_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Manifest::decode(&bytes);
        let _ = Record::decode(&bytes);
    }
}
