#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "tests may stop at the first surprise"
)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::table::{self, same};

fn config(json: &Value) -> ContainerConfig {
    serde_json::from_value(json.clone()).unwrap()
}

/// What the changes make of a config, as JSON.
fn changed(base: &Value, changes: &[&str]) -> Value {
    let mut config = config(base);
    apply_all(&mut config, changes).unwrap_or_else(|error| panic!("{changes:?}: {error}"));
    serde_json::to_value(config).unwrap()
}

/// The config that an image of a container gets, as JSON without empty fields. A container takes
/// all of its image's config but the triggers.
fn committed(container: &Value, over: &Value, changes: &Value) -> Value {
    let changes: Vec<String> = serde_json::from_value(changes.clone()).unwrap();
    let over = config(over);
    let over = Some(&over).filter(|over| **over != ContainerConfig::default());
    let committed = commit(&config(container), over, &changes);
    serde_json::to_value(committed.unwrap_or_else(|error| panic!("{changes:?}: {error}"))).unwrap()
}

#[test]
fn agrees_with_docker() {
    table::run("commit-config", |case| {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let base = json!({"Env": [path], "Cmd": ["sh"]});
        let image = committed(&base, &case["config"], &case["changes"]);
        same(&image, &case["expect"]["config"])?;
        let Some(changes) = case.get("then_changes") else {
            return Ok(());
        };
        let derived = committed(&image, &case["then_config"], changes);
        same(&derived, &case["expect"]["derived_config_result"])
    });
}

#[test]
fn commits_what_the_container_left_open() {
    let check = |container: Value, over: Value, changes: &[&str], wanted: Value| {
        let found = committed(&container, &over, &json!(changes));
        assert_eq!(found, wanted, "{container} {over} {changes:?}");
    };
    let both = json!({"Entrypoint": ["e"], "Cmd": ["c"]});
    check(both.clone(), json!({}), &[], both.clone());
    check(both.clone(), json!({}), &["ENTRYPOINT []"], json!({}));
    check(
        both.clone(),
        json!({}),
        &["CMD []"],
        json!({"Entrypoint": ["e"], "Cmd": []}),
    );
    check(
        json!({"Cmd": ["c"]}),
        json!({}),
        &["CMD []"],
        json!({"Cmd": []}),
    );
    check(
        both.clone(),
        json!({"Cmd": ["d"]}),
        &[],
        json!({"Entrypoint": ["e"], "Cmd": ["d"]}),
    );
    check(
        both,
        json!({"Entrypoint": ["f"]}),
        &[],
        json!({"Entrypoint": ["f"]}),
    );
    check(
        json!({"Healthcheck": {"Test": ["CMD", "a"], "Retries": 3}, "StopSignal": "TERM"}),
        json!({}),
        &["HEALTHCHECK --interval=1s CMD b", "STOPSIGNAL INT"],
        json!({
            "Healthcheck": {
                "Test": ["CMD-SHELL", "b"], "Interval": 1_000_000_000, "Retries": 3,
            },
            "StopSignal": "INT",
        }),
    );
    check(
        json!({"Env": ["A=1", "B=2"], "Volumes": {"/v": {}}, "ExposedPorts": {"1/tcp": {}}}),
        json!({"Env": ["B=3"], "Volumes": {"/w": {}}, "ExposedPorts": {"2/tcp": {}}}),
        &["ENV C=$B"],
        json!({
            "Env": ["B=3", "C=3", "A=1"], "Volumes": set(&["/v", "/w"]),
            "ExposedPorts": set(&["1/tcp", "2/tcp"]),
        }),
    );
}

fn check(base: Value, changes: &[&str], wanted: Value) {
    assert_eq!(changed(&base, changes), wanted, "{changes:?}");
}

fn set(keys: &[&str]) -> Value {
    keys.iter().map(|key| (*key, json!({}))).collect()
}

#[test]
fn sets_commands() {
    check(
        json!({}),
        &[r#"CMD ["a", "b c"]"#],
        json!({"Cmd": ["a", "b c"]}),
    );
    check(
        json!({}),
        &["cmd echo $HOME"],
        json!({"Cmd": ["/bin/sh", "-c", "echo $HOME"]}),
    );
    check(
        json!({}),
        &["CMD [a]"],
        json!({"Cmd": ["/bin/sh", "-c", "[a]"]}),
    );
    check(json!({}), &["CMD []"], json!({"Cmd": []}));
    check(
        json!({"Shell": ["ash", "-ec"]}),
        &["CMD x"],
        json!({"Shell": ["ash", "-ec"], "Cmd": ["ash", "-ec", "x"]}),
    );

    let old = json!({"Cmd": ["old"]});
    check(
        old.clone(),
        &[r#"ENTRYPOINT ["e"]"#],
        json!({"Entrypoint": ["e"]}),
    );
    let both = json!({"Entrypoint": ["e"], "Cmd": ["c"]});
    check(
        old.clone(),
        &[r#"CMD ["c"]"#, r#"ENTRYPOINT ["e"]"#],
        both.clone(),
    );
    check(
        old.clone(),
        &[r#"ENTRYPOINT ["e"]"#, r#"CMD ["c"]"#],
        both.clone(),
    );
    check(both, &["ENTRYPOINT []"], json!({}));
}

#[test]
fn sets_variables_and_labels() {
    check(
        json!({"Env": ["A=1", "B=2"]}),
        &[
            r#"ENV B="two words" C=x\ y D='$A' E="$A-${Z:-z}""#,
            "ENV A=$C$A",
        ],
        json!({"Env": ["A=x y1", "B=two words", "C=x y", "D=$A", "E=1-z"]}),
    );
    check(json!({}), &["ENV A=1 B=$A"], json!({"Env": ["A=1", "B="]}));
    check(json!({}), &["ENV A  b  c=d"], json!({"Env": ["A=b  c=d"]}));
    check(
        json!({}),
        &["ENV A=1 \\\n# why\n\n  B=2\n"],
        json!({"Env": ["A=1", "B=2"]}),
    );
    check(json!({}), &["  # why\n\tenv\tA="], json!({"Env": ["A="]}));

    let labels = json!({"Labels": {"a": "1", "b c": "d e", "f": ""}});
    check(
        json!({"Labels": {"a": "0"}}),
        &[r#"LABEL a=1 "b c"="d e" f="#],
        labels,
    );
    check(json!({}), &["LABEL a b c"], json!({"Labels": {"a": "b c"}}));
}

#[test]
fn sets_ports_paths_and_signals() {
    check(
        json!({"Env": ["P=80 443/UDP"], "ExposedPorts": {"1/tcp": {}}}),
        &["EXPOSE $P 7000-7002 8:9/sctp"],
        json!({"Env": ["P=80 443/UDP"], "ExposedPorts": set(&[
            "1/tcp", "80/tcp", "443/udp", "7000/tcp", "7001/tcp", "7002/tcp", "9/sctp",
        ])}),
    );
    check(json!({}), &["USER a:b"], json!({"User": "a:b"}));
    check(json!({}), &["USER ${U:-nobody}"], json!({"User": "nobody"}));
    check(
        json!({}),
        &["VOLUME /a /b"],
        json!({"Volumes": set(&["/a", "/b"])}),
    );
    check(
        json!({"Volumes": {"/z": {}}}),
        &[r#"VOLUME ["/a b", " /c "]"#],
        json!({"Volumes": set(&["/z", "/a b", "/c"])}),
    );

    check(
        json!({}),
        &["WORKDIR /a", "WORKDIR b/../c"],
        json!({"WorkingDir": "/a/c"}),
    );
    check(json!({}), &["WORKDIR ../.."], json!({"WorkingDir": "/"}));
    check(json!({}), &["WORKDIR a b"], json!({"WorkingDir": "/a b"}));
    for signal in ["SIGTERM", "term", "9", "SIGRTMIN+3", "RTMAX-14"] {
        let instruction = format!("STOPSIGNAL {signal}");
        check(json!({}), &[&instruction], json!({"StopSignal": signal}));
    }
    check(
        json!({"OnBuild": ["USER a"]}),
        &["onbuild run  x $Y"],
        json!({"OnBuild": ["USER a", "run  x $Y"]}),
    );
}

#[test]
fn reads_healthchecks() {
    let check = |change: &str, wanted: Value| {
        let base = json!({"Healthcheck": {"Test": ["CMD", "old"], "Retries": 9}});
        assert_eq!(changed(&base, &[change])["Healthcheck"], wanted, "{change}");
    };
    check("HEALTHCHECK NONE", json!({"Test": ["NONE"]}));
    check(
        "HEALTHCHECK cmd a || b",
        json!({"Test": ["CMD-SHELL", "a || b"]}),
    );
    check(r#"HEALTHCHECK CMD ["a"]"#, json!({"Test": ["CMD", "a"]}));
    check(
        "HEALTHCHECK --interval=1m30s --timeout='1s' --start-period=2s --start-interval=1ms \
         --retries=3 CMD x --interval=5s",
        json!({
            "Test": ["CMD-SHELL", "x --interval=5s"], "Interval": 90_000_000_000_i64,
            "Timeout": 1_000_000_000, "StartPeriod": 2_000_000_000, "StartInterval": 1_000_000,
            "Retries": 3,
        }),
    );
    check(
        "HEALTHCHECK --interval=0s --timeout= -- CMD x",
        json!({"Test": ["CMD-SHELL", "x"]}),
    );
}

/// Refused with these words, and the config is as before.
fn refuse(change: &str, wanted: &str) {
    let before = config(&json!({"Cmd": ["sh"], "Env": ["A=1"]}));
    let mut after = before.clone();
    let error = apply_all(&mut after, &["ENV A=2", change]).expect_err(change);
    let message = error.to_string();
    assert!(message.contains(wanted), "{change:?}: {message}");
    assert_eq!(after, before, "{change:?}");
}

#[test]
fn refuses_what_is_no_change() {
    for blank in ["", " \n\t", "# ENV a=b", "\\"] {
        refuse(blank, "no instruction");
    }
    refuse("ENV a=b\nENV c=d", "more than one instruction");
    refuse(
        r#"SHELL ["a"]"#,
        "apply change \"SHELL\": it is not a valid change command; valid are CMD, ENTRYPOINT, ENV",
    );
    for word in [
        "RUN x",
        "FROM a",
        "COPY a b",
        "ARG a",
        "MAINTAINER a",
        "FOO",
        "CMD[",
    ] {
        refuse(word, "is not a valid change command");
    }
}

#[test]
fn refuses_wrong_arguments() {
    for word in [
        "ENV",
        "LABEL",
        "EXPOSE",
        "VOLUME",
        "VOLUME []",
        "ONBUILD",
        "HEALTHCHECK",
    ] {
        refuse(word, "requires at least one argument");
    }
    for word in ["USER", "WORKDIR", "STOPSIGNAL"] {
        refuse(word, "requires exactly one argument");
    }
    for word in [
        "CMD --a=1 b",
        "ENTRYPOINT --a b",
        "ENV --a b=c",
        "HEALTHCHECK --a=b CMD x",
    ] {
        refuse(word, "unknown flag: --a");
    }
    refuse(
        "CMD [1]",
        "apply change CMD: when using JSON array syntax, arrays must be comprised of strings only",
    );
    refuse("VOLUME [null]", "strings only");
    refuse(r#"VOLUME [" "]"#, "can not be an empty string");
    refuse("WORKDIR $NONE", "an empty path");
    refuse("ENV a", "ENV must have two arguments");
    refuse("ENV a=b c", "can't find = in \"c\"");
    refuse("ENV =b", "blank");
    refuse("LABEL \"\"=b", "blank");
    refuse("ENV a='b", "looking for matching '");
    refuse("USER ${A", "matching }");
    refuse("USER ${A!x}", "unsupported modifier");
    refuse("USER ${B:?say who}", "B: say who");
    for port in [
        "x",
        "80/icmp",
        "80/tcp/udp",
        "70000",
        "2-1",
        "-1",
        "+1",
        "8080:",
        "x:80",
        "1.2.3:1:80",
        "1-2:1-3",
        "/tcp",
        "1-2-3",
        "1-",
    ] {
        refuse(&format!("EXPOSE {port}"), "is no port");
    }
    for signal in ["FOO", "0", "65", "SIG9", "RTMIN+16", "RTMAX-0", "-9"] {
        refuse(&format!("STOPSIGNAL {signal}"), "invalid signal");
    }
    refuse("ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger");
    refuse("ONBUILD ONBUILD RUN x", "Chaining ONBUILD");
}

#[test]
fn refuses_wrong_healthchecks() {
    refuse("HEALTHCHECK NONE x", "NONE takes no arguments");
    refuse("HEALTHCHECK CMD", "Missing command");
    refuse("HEALTHCHECK CMD []", "Missing command");
    refuse("HEALTHCHECK x", "Unknown type \"x\"");
    refuse(
        "HEALTHCHECK --interval CMD x",
        "missing a value on flag: --interval",
    );
    refuse(
        "HEALTHCHECK --retries=1 --retries=1 CMD x",
        "duplicate flag specified: --retries",
    );
    refuse("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be");
    refuse("HEALTHCHECK --interval=1 CMD x", "parse duration \"1\"");
    refuse(
        "HEALTHCHECK --timeout=50ns CMD x",
        "Interval \"timeout\" cannot be less than 1ms",
    );
    refuse(
        "HEALTHCHECK --timeout=-1s CMD x",
        "Interval \"timeout\" cannot be less than 1ms",
    );
}

proptest! {
    #[test]
    fn takes_any_line(
        word in prop::sample::select(NAMES.to_vec()),
        rest in "[-$#{}:/\\[\\]=,'\"\\\\ \\na1é]{0,40}",
    ) {
        let _ = apply(&mut ContainerConfig::default(), &format!("{word} {rest}"));
    }
}
