//! The table of challenges that registries send.

use serde_json::{Map, Value, json};

use super::*;

/// The table's two readings: all challenges or an error, and the first as far as it goes, where
/// only Bearer's parameters count.
fn check(case: &Value) {
    let input = case["input"].as_str().unwrap();
    let expect = &case["expect"];
    match case["op"].as_str().unwrap() {
        "www_authenticate" if expect["error"] == true => {
            assert!(parse(input).is_err(), "{input:?}: {:?}", parse(input));
        }
        "www_authenticate" => {
            let shown: Vec<Value> = parse(input).unwrap().iter().map(shown).collect();
            assert_eq!(Value::from(shown), expect["challenges"], "{input:?}");
        }
        "www_authenticate_first" => {
            let first = parse_leniently(input)
                .into_iter()
                .next()
                .unwrap_or_default();
            let bearer = first.scheme == "bearer";
            let scheme = if bearer || first.scheme == "basic" {
                &first.scheme
            } else {
                "unknown"
            };
            let params = if bearer {
                first.params.clone()
            } else {
                BTreeMap::new()
            };
            assert_eq!(
                json!({"scheme": scheme, "params": params}),
                *expect,
                "{input:?}"
            );
        }
        other => panic!("unknown op {other}"),
    }
}

fn shown(challenge: &Challenge) -> Value {
    let params: Map<String, Value> = challenge
        .params
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    json!({"scheme": challenge.scheme, "params": params})
}

#[test]
fn table() {
    let table: Value = serde_json::from_str(include_str!(
        "../../../../testdata/registry-auth-challenge.json"
    ))
    .unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    cases.iter().for_each(check);
}

#[test]
fn beyond_the_table() {
    for (input, want) in [
        ("Negotiate", "negotiate"),
        (
            "Negotiate a87421000492aa874209af8bc028==, Basic realm=\"x\"",
            "negotiate | basic realm=x",
        ),
        (
            r#"Bearer realm="a\"b\\c", service="s,t""#,
            r#"bearer realm=a"b\c service=s,t"#,
        ),
        ("Basic , Bearer realm=r", "basic | bearer realm=r"),
        (",, Basic realm=r ,", "basic realm=r"),
        (
            "Bearer realm=https://auth.test/token?x=y,service=s",
            "bearer realm=https://auth.test/token?x=y service=s",
        ),
        ("Bearer realm=a, realm=b", "bearer realm=a"),
        ("Bearer =", "error"),
        ("Bearer realm", "error"),
        ("=x", "error"),
        (r#"Bearer realm="open"#, "error"),
        (r#"Bearer realm="a"b"#, "error"),
    ] {
        let shown = parse(input).map_or_else(
            |_| "error".to_owned(),
            |challenges| {
                let one = |challenge: &Challenge| {
                    let params = challenge
                        .params
                        .iter()
                        .map(|(name, value)| format!(" {name}={value}"));
                    params.fold(challenge.scheme.clone(), |all, param| all + &param)
                };
                challenges.iter().map(one).collect::<Vec<_>>().join(" | ")
            },
        );
        assert_eq!(shown, want, "{input:?}");
    }
}

proptest::proptest! {
    #[test]
    fn never_panics_and_agrees(input in "[ -~\u{e9}\\t]{0,60}") {
        if let Ok(challenges) = parse(&input) {
            assert_eq!(parse_leniently(&input), challenges);
        }
    }
}
