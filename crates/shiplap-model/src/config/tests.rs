#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use proptest::prelude::*;

use super::*;
use crate::digest::Digest;

const A: &str = "sha256:d43f38155a799dc53d8fbb9f3bc11f51805f4027cd5c3d10b9823201cd5b9400";

fn config(fields: &str) -> Result<ImageConfig, DocumentError> {
    ImageConfig::parse(format!(r#"{{"architecture":"amd64","os":"linux",{fields}}}"#).as_bytes())
}

fn with(container: &str) -> ContainerConfig {
    config(&format!(
        r#""rootfs":{{"type":"layers","diff_ids":["{A}"]}},"config":{container}"#
    ))
    .unwrap()
    .config
}

#[test]
fn reads_what_is_seen_in_the_wild() {
    assert_eq!(with("null"), ContainerConfig::default());
    assert_eq!(with("{}"), ContainerConfig::default());
    let nulls = r#"{"User":null,"ExposedPorts":null,"Env":null,"Entrypoint":null,"Cmd":null,"Volumes":null,
        "WorkingDir":null,"Labels":null,"StopSignal":null,"StopTimeout":null,"ArgsEscaped":null,
        "Healthcheck":null,"Shell":null,"OnBuild":null}"#;
    assert_eq!(with(nulls), ContainerConfig::default());
    let one = with(
        r#"{"Entrypoint":"/init","Cmd":[],"ExposedPorts":{"80/tcp":{},"53/udp":null},"Volumes":{"/v":{"x":1}}}"#,
    );
    assert_eq!(one.entrypoint, Some(vec!["/init".to_owned()]));
    assert_eq!(one.cmd, Some(Vec::new()));
    assert_eq!(
        one.exposed_ports.iter().collect::<Vec<_>>(),
        ["53/udp", "80/tcp"]
    );
    assert_eq!(one.volumes.iter().collect::<Vec<_>>(), ["/v"]);
    let health = with(r#"{"Healthcheck":{"Test":["CMD","x"],"Interval":30000000000,"Retries":3}}"#)
        .healthcheck
        .unwrap();
    assert_eq!(
        (health.interval, health.retries, health.timeout),
        (30_000_000_000, 3, 0)
    );
    let labels = with(r#"{"Labels":{"maintainer":"a","MAINTAINER":"b"}}"#).labels;
    assert_eq!(labels.len(), 2);
    let empty =
        config(r#""rootfs":{"type":"layers","diff_ids":null},"history":null,"created":null"#)
            .unwrap();
    assert_eq!(empty.chain_id(), None);
}

#[test]
fn refuses_what_is_no_image_or_two() {
    fn check(fields: &str, message: &str) {
        let error = config(fields).unwrap_err().to_string();
        assert!(error.contains(message), "{fields}: {error}");
    }
    let rootfs = format!(r#""rootfs":{{"type":"layers","diff_ids":["{A}"]}}"#);
    check(r#""config":{}"#, "no rootfs of type");
    check(r#""rootfs":null"#, "no rootfs of type");
    check(
        r#""rootfs":{"type":"layers+base","diff_ids":[]}"#,
        "no rootfs of type",
    );
    check(
        r#""rootfs":{"type":"layers","diff_ids":["sha256:0"]}"#,
        "sha256 wants 64 hex characters",
    );
    check(
        &format!(r#"{rootfs},"Rootfs":{{}}"#),
        "some readers take for \"rootfs\"",
    );
    check(
        &format!(r#"{rootfs},"config":{{"user":"root"}}"#),
        "some readers take for \"User\"",
    );
    check(
        &format!(r#"{rootfs},"history":[{{"Empty_Layer":true}}]"#),
        "some readers take for \"empty_layer\"",
    );
    check(
        &format!(r#"{rootfs},"config":{{"Healthcheck":{{"test":[]}}}}"#),
        "some readers take for \"Test\"",
    );
    check(
        &format!(r#"{rootfs},"config":{{"Labels":{{"a":"1","a":"2"}}}}"#),
        "\"a\" stands twice",
    );
    check(
        &format!(r#"{rootfs},"config":{{"Env":"A=b"}}"#),
        "expected a sequence",
    );
    let many = vec![format!("\"{A}\""); limits::LAYERS + 1].join(",");
    check(
        &format!(r#""rootfs":{{"type":"layers","diff_ids":[{many}]}}"#),
        "names 501, more than the 500",
    );
}

#[test]
fn unknown_fields_survive() {
    let text = format!(
        r#"{{"architecture":"arm64","variant":"v8","os":"linux","config":{{"Hostname":"h","Tty":false,"Env":["A=b"]}},"container_config":{{"Cmd":null}},"docker_version":"1","moby.buildkit.buildinfo.v1":"x","rootfs":{{"type":"layers","diff_ids":["{A}"],"y":0}},"history":[{{"created_by":"c","z":[1]}}]}}"#
    );
    let read = ImageConfig::parse(text.as_bytes()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
    assert_eq!(read.platform().to_string(), "linux/arm64/v8");
    assert_eq!(read.chain_id().unwrap().digest().as_str(), A);
}

#[test]
fn counts_must_agree() {
    let rootfs = format!(r#""rootfs":{{"type":"layers","diff_ids":["{A}"]}}"#);
    let history = |entries: &str| {
        config(&format!(r#"{rootfs},"history":[{entries}]"#))
            .unwrap()
            .check_history()
    };
    assert_eq!(history(""), Ok(()));
    assert_eq!(
        history(r#"{"created_by":"a"},{"empty_layer":true}"#),
        Ok(())
    );
    let error = history("{},{}").unwrap_err();
    assert_eq!(
        error,
        DocumentError::HistoryLength {
            history: 2,
            layers: 1
        }
    );
    assert!(error.to_string().contains("2 entries") && error.to_string().contains("1 layers"));

    let config = config(&rootfs).unwrap();
    let layer = crate::Descriptor::new("a/b", Digest::of(b""), 0);
    let manifest = |layers| Manifest::new(layer.clone(), vec![layer.clone(); layers]);
    assert_eq!(config.check_layers(&manifest(1)), Ok(()));
    assert_eq!(
        config.check_layers(&manifest(0)),
        Err(DocumentError::LayersLength {
            manifest: 0,
            config: 1
        })
    );
}

proptest! {
    #[test]
    fn reads_back_what_it_writes(
        env in prop::collection::vec("[A-Z]{1,5}=.{0,10}", 0..4),
        cmd in prop::option::of(prop::collection::vec(".{0,10}", 0..3)),
        ports in prop::collection::btree_set("[0-9]{1,5}/(tcp|udp)", 0..3),
        labels in prop::collection::btree_map(".{0,8}", ".{0,8}", 0..4),
        layers in 0_usize..5,
    ) {
        let mut config = ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            config: ContainerConfig { env, cmd, exposed_ports: ports, labels, ..ContainerConfig::default() },
            ..ImageConfig::default()
        };
        config.rootfs.diff_ids = (0..layers).map(|n| Digest::of(&[n as u8]).into()).collect();
        let bytes = serde_json::to_vec(&config).unwrap();
        prop_assert_eq!(ImageConfig::parse(&bytes).unwrap(), config);
    }

    #[test]
    fn never_panics(text in "[\\[\\]{}\",:0-9a-zA-Z ]{0,80}") {
        let _ = config(&text);
        let _ = ImageConfig::parse(text.as_bytes());
    }
}
