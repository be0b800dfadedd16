//! What the words of Docker's options mean: its own tests' facts, and one table of ours.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use serde_json::{Value, json};

use super::*;
use crate::table;
use crate::units::{self, SizeBase};

fn told<T>(result: Result<T, impl std::fmt::Display>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn json_of(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// What the environment of whoever calls holds.
fn environment(of: Value) -> impl Fn(&str) -> Option<String> {
    move |name| Some(of[name].as_str()?.to_owned())
}

/// The meaning of an option's value, as the options hold it.
fn meaning(option: &str, text: &str) -> Result<Value, String> {
    let nothing = environment(json!({}));
    Ok(match option {
        "publish" => json_of(told(port::publish(text))?),
        "expose" => json_of(told(port::expose(text))?),
        "volume" => json_of(told(volume::parse(text))?),
        "mount" => json_of(told(mount::parse(text))?),
        "tmpfs" => json_of(told(tmpfs::parse(text))?),
        "env" => json_of(told(variable::check(text))?),
        "env-file" => json_of(told(variable::parse_file(text.as_bytes(), &nothing))?),
        "label" => json_of(told(label::parse(text))?),
        "memory" => json_of(told(memory::parse(text))?),
        "memory-swap" => json_of(told(memory::parse_swap(text))?),
        "cpus" => json_of(told(cpu::parse_nano(text))?),
        "cpuset-cpus" => json_of(told(cpu::parse_set(text))?),
        "ulimit" => json_of(told(ulimit::parse(text))?),
        "device" => json_of(told(device::parse(text))?),
        "restart" => {
            let policy = told(restart::parse(text))?;
            told(policy.check())?;
            json!([policy.name, policy.max_retries])
        }
        "network" => json_of(told(network::parse(text))?),
        "security-opt" => json!(format!("{:?}", told(security::parse(text))?)),
        "add-host" => json_of(told(host::parse_add_host(text))?),
        "dns" => json_of(told(host::parse_dns(text))?),
        "dns-search" => json_of(told(host::parse_word(text))?),
        "hostname" => json_of(told(host::parse_hostname(text))?),
        "sysctl" => json_of(told(sysctl::parse(text))?),
        "signal" => json_of(told(signal::parse(text))?),
        "detach-keys" => json_of(told(keys::parse(text))?),
        "name" => json_of(told(name::check(text))?),
        _ => panic!("no option {option}"),
    })
}

/// A `null` in what is wanted stands for what is not said.
fn says(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| says(found, wanted))),
        _ => found == wanted,
    }
}

#[test]
fn means_what_docker_means() {
    let rows = include_str!("options.txt");
    let mut failures = Vec::new();
    let mut count = 0;
    for row in rows
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'))
    {
        let (call, wanted) = row.split_once(" => ").unwrap();
        let (option, text) = call.split_once(' ').unwrap_or((call, ""));
        let text = text
            .replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\0", "\0");
        let found = meaning(option, &text);
        let is_right = match (&found, wanted.strip_prefix("error: ")) {
            (Err(error), Some(wanted)) => error.contains(wanted),
            (Ok(found), None) => says(found, &serde_json::from_str(wanted).unwrap()),
            _ => false,
        };
        if !is_right {
            failures.push(format!("{row}\n  found {found:?}"));
        }
        count += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 150, "{count}");
}

#[test]
fn options_of_dockers_own_tests() {
    table::run("run-options", |case| {
        let wanted = &case["expect"];
        // The upstream test wants an error here, which the table has lost: a variable without a
        // name can't be passed to any program.
        if case["id"] == "run-options-0093" {
            return match variable::check("=") {
                Err(variable::VariableError::NoName(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            };
        }
        let found = fact(case);
        let fault = ["error", "error_contains"].map(|key| &wanted[key]);
        match (&found, fault.into_iter().find(|fault| !fault.is_null())) {
            (Err(error), Some(Value::String(fault))) if error.contains(fault) => Ok(()),
            (Err(_), Some(Value::Bool(true))) => Ok(()),
            (Ok(found), None) => table::same(found, wanted),
            _ => Err(format!("found {found:?}")),
        }
    });
}

/// What is found for a case, in the table's form.
fn fact(case: &Value) -> Result<Value, String> {
    let input = case["input"].as_str().unwrap_or_default();
    let size = |base| Ok(json!({ "bytes": told(units::parse_size(input, base))? }));
    match table::text(case, "op") {
        "parse_size_1000" => size(SizeBase::Decimal),
        "parse_size_1024" => size(SizeBase::Binary),
        "parse_port_range" => {
            let range = told(port::parse_range(input))?;
            Ok(json!({ "begin": range.first, "end": range.last }))
        }
        "split_port_proto" => {
            let (port, protocol) = port::split_protocol(input);
            Ok(json!({ "proto": protocol, "port": port }))
        }
        "publish" => {
            let mut bindings = Vec::new();
            for spec in case["input"].as_array().unwrap() {
                let mappings = told(port::publish(spec.as_str().unwrap()))?;
                bindings.extend(mappings.iter().map(binding));
            }
            Ok(json!({ "bindings": bindings }))
        }
        "expose_flag" => Ok(json!({ "ports": told(port::expose(input))? })),
        "env_flag" => Ok(json!({ "result": told(variable::check(input))? })),
        "label_flag" => {
            let (name, value) = told(label::parse(input))?;
            let whole = if input.contains('=') {
                format!("{name}={value}")
            } else {
                name
            };
            Ok(json!({ "result": whole }))
        }
        "normalize_capability" => Ok(json!({ "result": capability::normalize(input) })),
        "env_file" => {
            let lookup = environment(case["environment"].clone());
            let content = table::text(case, "content").as_bytes();
            Ok(json!({ "lines": told(variable::parse_file(content, &lookup))? }))
        }
        "restart_flag" => {
            let policy = told(restart::parse(input))?;
            // The table has the names of Go's constants.
            let name = match policy.name.as_str() {
                "no" => "Disabled",
                "always" => "Always",
                "on-failure" => "OnFailure",
                "unless-stopped" => "UnlessStopped",
                other => other,
            };
            Ok(json!({ "name": name, "max_retries": policy.max_retries }))
        }
        "volume_flag" => volume_fact(input),
        op => Err(format!("no such op: {op}")),
    }
}

fn binding(mapping: &PortMapping) -> Value {
    let host_port = match mapping.host_port {
        0 => String::new(),
        port => port.to_string(),
    };
    json!({
        "port": format!("{}/{}", mapping.container_port, mapping.protocol),
        "host_ip": mapping.host_ip.map_or_else(String::new, |ip| ip.to_string()),
        "host_port": host_port,
    })
}

fn volume_fact(spec: &str) -> Result<Value, String> {
    let mount = told(volume::parse(spec))?;
    let (kind, source) = match mount.source {
        MountSource::Bind { path, .. } => ("bind", Some(path)),
        MountSource::Volume { name, .. } => ("volume", name),
        MountSource::Tmpfs { .. } => ("tmpfs", None),
    };
    let mut fact = json!({ "type": kind, "target": mount.target });
    if let Some(source) = source {
        fact["source"] = source.into();
    }
    if mount.read_only {
        fact["read_only"] = true.into();
    }
    Ok(fact)
}

#[test]
fn variables_come_from_whoever_calls() {
    let lookup = environment(json!({"HERE": "a=b", "EMPTY": ""}));
    let check = |text: &str, wanted: &str| {
        assert_eq!(variable::resolve(text.to_owned(), &lookup), wanted);
    };
    check("HERE", "HERE=a=b");
    check("EMPTY", "EMPTY=");
    check("GONE", "GONE");
    check("HERE=x", "HERE=x");
}

#[test]
fn a_file_of_variables_in_no_encoding() {
    let parse = |content: &[u8]| variable::parse_file(content, &|_| None);
    let wanted = Err(variable::FileError::Encoding(2));
    assert_eq!(parse(b"A=1\nB=\xff\n"), wanted);
    assert_eq!(parse(b"\xef\xbb\xbfA=1\r\n"), Ok(vec!["A=1".to_owned()]));
}

#[test]
fn capabilities_both_ways() {
    let check = |add: &[&str], drop: &[&str], wanted: (&[&str], &[&str])| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (add, drop): (Vec<String>, Vec<String>) = (owned(add), owned(drop));
        let (added, dropped) = capability::effective(&add, &drop);
        assert_eq!((added, dropped), (owned(wanted.0), owned(wanted.1)));
    };
    check(&[], &[], (&[], &[]));
    check(
        &["net_admin", "CAP_NET_ADMIN"],
        &["chown"],
        (&["CAP_NET_ADMIN"], &["CAP_CHOWN"]),
    );
    check(&["all", "chown"], &["kill"], (&["ALL"], &["CAP_KILL"]));
    check(&["chown"], &["ALL", "kill"], (&["CAP_CHOWN"], &["ALL"]));
    check(
        &["chown"],
        &["chown", "kill"],
        (&["CAP_CHOWN"], &["CAP_KILL"]),
    );
    check(&["ALL"], &["ALL"], (&["ALL"], &[]));
}

#[test]
fn limits_of_memory_fit() {
    use memory::MemoryError as Error;
    let check = |memory: u64, swap: i64, wanted: Result<(), Error>| {
        assert_eq!(memory::check(memory, swap), wanted, "{memory} {swap}");
    };
    check(0, 0, Ok(()));
    check(6 << 20, 0, Ok(()));
    check((6 << 20) - 1, 0, Err(Error::TooSmall));
    check(8 << 20, 8 << 20, Ok(()));
    check(8 << 20, -1, Ok(()));
    check(0, -1, Ok(()));
    check(8 << 20, 7 << 20, Err(Error::SwapBelowMemory));
    check(0, 8 << 20, Err(Error::SwapAlone));
}

#[test]
fn new_names_are_names() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..=u16::MAX {
        let [a, b] = seed.to_be_bytes();
        let name = name::generate([b, a, a, b]);
        assert_eq!(name::check(&name), Ok(()), "{name}");
        seen.insert(name);
    }
    assert!(seen.len() > 10_000, "{}", seen.len());
    assert_eq!(name::generate([0; 4]), "able_albatross");
}
