//! An image's facts are the same in JSON and in templates.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use shiplap_model::{DiffId, ImageId, config::Healthcheck};
use shiplap_ops::inspect::{GraphDriver, Metadata, RootFs};

use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn bare() -> InspectedImage {
    InspectedImage {
        id: DIGEST.parse::<ImageId>().unwrap(),
        repo_tags: vec![],
        repo_digests: vec![],
        parent: String::new(),
        comment: String::new(),
        created: String::new(),
        docker_version: String::new(),
        author: String::new(),
        config: InspectedConfig {
            hostname: String::new(),
            domainname: String::new(),
            user: String::new(),
            attach_stdin: false,
            attach_stdout: false,
            attach_stderr: false,
            exposed_ports: BTreeMap::new(),
            tty: false,
            open_stdin: false,
            stdin_once: false,
            env: None,
            cmd: None,
            healthcheck: None,
            args_escaped: false,
            image: String::new(),
            volumes: None,
            working_dir: String::new(),
            entrypoint: None,
            on_build: None,
            labels: None,
            stop_signal: None,
            stop_timeout: None,
            shell: None,
        },
        architecture: "amd64".into(),
        variant: None,
        os: "linux".into(),
        os_version: None,
        size: 0,
        graph_driver: GraphDriver {
            data: BTreeMap::new(),
            name: "erofs".into(),
        },
        root_fs: RootFs {
            kind: "layers".into(),
            layers: vec![],
        },
        metadata: Metadata {
            last_tag_time: "0001-01-01T00:00:00Z".into(),
        },
    }
}

fn full() -> InspectedImage {
    let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    let mut image = bare();
    image.repo_tags = vec!["python:3.11".into(), "a:b".into()];
    image.variant = Some("v8".into());
    image.os_version = Some("10".into());
    image.size = 123;
    image
        .graph_driver
        .data
        .insert("LowerDir".into(), "/x".into());
    image.root_fs.layers = vec![DIGEST.parse::<DiffId>().unwrap()];
    let config = &mut image.config;
    config.exposed_ports.insert("80/tcp".into(), Nothing {});
    config.volumes = Some(BTreeMap::from([("/data".into(), Nothing {})]));
    config.env = texts(&["A=b", "C=d"]);
    config.cmd = texts(&["sh", "-c", "echo \"<&>\""]);
    config.entrypoint = texts(&[]);
    config.labels = Some(BTreeMap::from([("x.y".into(), "z".into())]));
    config.stop_signal = Some("SIGINT".into());
    config.stop_timeout = Some(5);
    config.shell = texts(&["bash"]);
    config.args_escaped = true;
    config.healthcheck = Some(Healthcheck {
        test: vec!["NONE".into()],
        ..Healthcheck::default()
    });
    image
}

#[test]
fn json_is_the_same_either_way() {
    for image in [bare(), full()] {
        let direct = serde_json::to_value(&image).unwrap();
        let through: serde_json::Value = serde_json::from_str(&value(&image).json()).unwrap();
        assert_eq!(through, direct);
    }
    assert_eq!(
        value(&bare()).json(),
        serde_json::to_string(&bare()).unwrap()
    );
}

#[test]
fn templates_see_dockers_types() {
    let check = |image: &InspectedImage, template: &str, want: &str| {
        let got = filled(&Template::parse(template).unwrap(), &found(image)).unwrap();
        assert_eq!(got, want, "{template}");
    };
    check(&full(), "{{.Id}}", DIGEST);
    check(&full(), "{{.ID}}", DIGEST);
    check(
        &full(),
        "{{.RepoTags}} {{index .RepoTags 0}}",
        "[python:3.11 a:b] python:3.11",
    );
    check(
        &full(),
        "{{.Config.Cmd}} {{.Config.Entrypoint}}",
        "[sh -c echo \"<&>\"] []",
    );
    check(
        &full(),
        "{{index .Config.Labels \"x.y\"}}{{.Config.Labels.nope}}",
        "z<no value>",
    );
    check(
        &full(),
        "{{json .Config.Cmd}}",
        "[\"sh\",\"-c\",\"echo \\\"<&>\\\"\"]",
    );
    check(
        &full(),
        "{{range $port, $_ := .Config.ExposedPorts}}{{$port}}{{end}}",
        "80/tcp",
    );
    check(
        &full(),
        "{{.Config.Healthcheck.Test}} {{.Config.StopTimeout}}",
        "[NONE] 5",
    );
    check(
        &bare(),
        "[{{.Config.StopSignal}}] {{.Config.Env}} {{.Config.Labels}}",
        "[] [] map[]",
    );
    check(
        &bare(),
        "{{.Config.Healthcheck}} {{json .Config.Env}} {{.Variant}}",
        "<nil> null ",
    );
    check(
        &bare(),
        "{{range .RootFS.Layers}}x{{else}}none{{end}}",
        "none",
    );
}

#[test]
fn templates_say_what_is_not_there() {
    let check = |template: &str, want: &str| {
        let failure = filled(&Template::parse(template).unwrap(), &found(&bare())).unwrap_err();
        let message = failure.message.unwrap();
        assert!(message.ends_with(want), "{message}");
    };
    check(
        "{{.Nope}}",
        "<.Nope>: can't evaluate field Nope in type image.InspectResponse",
    );
    check(
        "{{.Config.Nope}}",
        "can't evaluate field Nope in type container.Config",
    );
    check(
        "{{.Config.Healthcheck.Test}}",
        "nil pointer evaluating *container.HealthConfig.Test",
    );
}

fn found(image: &InspectedImage) -> Found {
    Found::Image(Box::new(image.clone()))
}
