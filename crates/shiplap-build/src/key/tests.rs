use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn diff_id(tar: &[u8]) -> DiffId {
    Digest::of(tar).into()
}

fn digest(text: &str) -> ContentDigest {
    ContentDigest::of(text.as_bytes())
}

fn run_step() -> plan::Run {
    let planned = plan::tests::plan_text(
        "FROM busybox\nARG A=1\nRUN --mount=type=cache,target=/c --mount=type=secret,id=s,env=S \
         --mount=type=bind,target=/src make",
        &plan::tests::input(),
    )
    .unwrap();
    let plan::Action::Run(run) = &planned.stages[0].steps[1].action else {
        panic!("not a RUN");
    };
    run.clone()
}

fn run_facts<'a>(execution: &'a Execution, contents: &'a [Option<ContentDigest>]) -> RunFacts<'a> {
    static PLATFORM: std::sync::LazyLock<Platform> =
        std::sync::LazyLock::new(|| Platform::new("linux", "amd64"));
    RunFacts {
        layers: &[],
        contents,
        user: "",
        working_dir: "/",
        platform: &PLATFORM,
        hostname: None,
        execution,
        at_most_secs: None,
    }
}

fn copy_inputs() -> KeyInputs {
    KeyInputs::of(StepInputs::Copy(CopyInputs {
        destination: "/app/".to_owned(),
        root: RootFacts::from([("app".to_owned(), "dir 0755 0:0".to_owned())]),
        sources: vec![SourceInputs {
            name: "src".to_owned(),
            content: digest("src").to_string(),
            is_directory: true,
            unpacks: false,
        }],
        owner: Some(OwnerId { uid: 1, gid: 2 }),
        chmod: Some("0644".to_owned()),
        link: false,
        parents: false,
        at_most_secs: Some(1),
    }))
}

/// Every value that is written down counts: with any of them changed the key is another one.
fn each_value_counts(inputs: &KeyInputs) {
    let whole = serde_json::to_value(inputs).unwrap();
    let mut keys = BTreeSet::from([inputs.key()]);
    let mut pointers = Vec::new();
    leaves(&whole, String::new(), &mut pointers);
    assert!(pointers.len() > 5);
    for pointer in &pointers {
        let mut changed = whole.clone();
        let leaf = changed.pointer_mut(pointer).unwrap();
        *leaf = match &*leaf {
            Value::Bool(flag) => json!(!flag),
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            Value::String(text) if text.starts_with("sha256:") => {
                json!(Digest::of(text.as_bytes()))
            }
            Value::String(text) => json!(format!("{text}x")),
            other => panic!("no value: {other}"),
        };
        let changed: KeyInputs = serde_json::from_value(changed).unwrap();
        assert!(keys.insert(changed.key()), "{pointer}");
    }
}

fn leaves(value: &Value, pointer: String, out: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                leaves(item, format!("{pointer}/{number}"), out);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, format!("{pointer}/{name}"), out);
            }
        }
        _ => out.push(pointer),
    }
}

#[test]
fn all_that_is_written_down_counts() {
    each_value_counts(&copy_inputs());
    let execution = Execution {
        add_hosts: vec![("a".to_owned(), "1.2.3.4".to_owned())],
        shm_bytes: Some(1),
        ..Execution::default()
    };
    let contents = [Some(digest("cache")), None, Some(digest("context"))];
    let layers = [diff_id(b"base")];
    let facts = RunFacts {
        layers: &layers,
        at_most_secs: Some(5),
        ..run_facts(&execution, &contents)
    };
    each_value_counts(&KeyInputs::of_run(&run_step(), &facts));
}

#[test]
fn what_decides_nothing_does_not_count() {
    let execution = Execution::default();
    let key = |run: &plan::Run, execution: &Execution| {
        KeyInputs::of_run(run, &run_facts(execution, &[])).key()
    };
    let run = run_step();
    let wanted = key(&run, &execution);
    let proxied = plan::Run {
        proxy_env: vec!["http_proxy=x".to_owned()],
        ..run.clone()
    };
    assert_eq!(key(&proxied, &execution), wanted);
    let loaded = Execution {
        jobs: std::num::NonZeroUsize::new(7),
        host_certs: true,
        allow_insecure: true,
        secrets: vec![crate::options::Secret {
            id: "s".to_owned(),
            source: crate::options::SecretSource::Value("hidden".to_owned()),
        }],
        ..Execution::default()
    };
    assert_eq!(key(&run, &loaded), wanted);
    let offline = Execution {
        network: BuildNetwork::None,
        ..Execution::default()
    };
    assert_ne!(key(&run, &offline), wanted);
}

#[test]
fn is_the_same_on_every_machine() {
    // A change of these digests changes every user's keys: raise the schema with it.
    let key = copy_inputs().key();
    assert_eq!(
        key.as_str(),
        "sha256:cc1f37fb9ed0f19aa0056cd0c42d3c592bf934a309318e155d704f87fe633027"
    );
}

#[test]
fn places_stay_when_others_come() {
    let planned = |text: &str| plan::tests::plan_text(text, &plan::tests::input()).unwrap();
    let short = planned("FROM a AS b\nCOPY x y\nRUN one\nRUN two");
    let long = planned("FROM a AS b\nCOPY v w\nCOPY x y\nRUN other\nRUN two");
    let of = |plan: &Plan, step: usize| place(plan, "f", StageId(0), step);
    assert_eq!(of(&short, 1), of(&long, 2));
    assert_eq!(of(&short, 2), of(&long, 3));
    assert_ne!(of(&short, 1), of(&short, 2));
    assert_ne!(of(&short, 0), of(&long, 1));
    assert_ne!(of(&short, 0), place(&short, "g", StageId(0), 0));
}

#[test]
fn reads_what_it_wrote() {
    let inputs = copy_inputs();
    let read: KeyInputs = serde_json::from_slice(&inputs.to_json()).unwrap();
    assert_eq!(read, inputs);
    assert_eq!(read.key(), inputs.key());
}

#[test]
fn tells_names_apart() {
    assert_eq!(name_text(b"a.py"), "a.py");
    assert_ne!(name_text(b"\xff"), name_text(b"\\xff"));
}
