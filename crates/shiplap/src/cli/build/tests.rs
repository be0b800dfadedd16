//! Command lines of `build` and the options they come to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use clap::Parser;
use shiplap_build::options::{BuildNetwork, Output, SecretSource, SshAgent};

use super::*;

/// A verb with these flags.
#[derive(Debug, Parser)]
struct Verb {
    #[command(flatten)]
    build: Build,
}

fn lookup(name: &str) -> Option<String> {
    let value = match name {
        "TOKEN" => "secret of the environment",
        "FOO" => "foo of the environment",
        "SOURCE_DATE_EPOCH" => "1700000000",
        _ => return None,
    };
    Some(value.to_owned())
}

fn build(line: &str) -> Build {
    let words = std::iter::once("build").chain(line.split(' '));
    match Verb::try_parse_from(words) {
        Ok(verb) => verb.build,
        Err(error) => panic!("{line}: {error}"),
    }
}

#[track_caller]
fn call(line: &str) -> Call {
    match build(line).into_call(&lookup, false) {
        Ok(call) => call,
        Err(error) => panic!("{line}: {error}"),
    }
}

#[track_caller]
fn refused(line: &str, want: &str) {
    match build(line).into_call(&lookup, true) {
        Ok(call) => panic!("{line}: {call:?}"),
        Err(error) => assert!(error.to_string().contains(want), "{line}: {error}"),
    }
}

#[test]
fn takes_what_docker_takes() {
    for line in [
        ".",
        "-",
        "https://github.com/user/app.git#main:sub",
        "-t app -t registry.example/app:1 --file Dockerfile.dev .",
        "--build-arg A=b --build-arg FOO --label a=b --no-cache --pull --target builder .",
        "--pull=true --no-cache .",
        "--rm --force-rm --compress --isolation default --disable-content-trust .",
        "--platform linux/amd64,linux/arm64 --push -t x/y .",
        "--provenance=false --sbom=false --builder mine --load .",
        "--attest type=provenance,disabled=true .",
        "--cache-from type=registry,ref=x/y --cache-from x/y:z --cache-to type=inline .",
        "--network host --add-host a:10.0.0.1 --shm-size 128m --ulimit nofile=1024 .",
        "--iidfile /nonexistent/id --metadata-file /nonexistent/meta --progress plain .",
        "--progress=tty --allow network.host,security.insecure .",
        "-q --no-cache-filter a,b .",
        "-m 512m -c 2 --cpu-quota 1 --cpuset-cpus 0 .",
        "-D --squash --output type=local,dest=x,platform-split=false .",
        "--file a --file b .",
        "--check .",
        "--call check,format=json .",
        "--call=outline .",
        "--call=targets,format=json .",
        "--print outline .",
        "--explain --reproducible --jobs 4 --host-certs .",
    ] {
        call(line);
    }
}

#[test]
fn input_and_values() {
    let options = call(
        "-f D --target t --pull --build-context base=docker-image://alpine \
         --build-context alpine:latest=/x --platform linux/amd64 --platform linux/arm64,linux/amd64 \
         --build-arg A=b=c --build-arg FOO --build-arg NONE --build-arg EMPTY= --label k=v dir",
    )
    .options;
    let input = options.input;
    assert_eq!(input.context, "dir");
    assert_eq!(input.file.as_deref(), Some("D"));
    assert_eq!(input.target.as_deref(), Some("t"));
    assert!(input.pull);
    let contexts: Vec<_> = input.named_contexts.into_iter().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        contexts,
        [pair("alpine", "/x"), pair("base", "docker-image://alpine")]
    );
    let platforms: Vec<_> = input.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let args: Vec<_> = options.values.build_args.into_iter().collect();
    let some = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    assert_eq!(
        args,
        [
            some("A", "b=c"),
            some("EMPTY", ""),
            some("FOO", "foo of the environment"),
            ("NONE".to_owned(), None),
            some("SOURCE_DATE_EPOCH", "1700000000"),
        ]
    );
    assert_eq!(options.values.labels, [pair("k", "v")]);
    assert_eq!(options.values.source_date_epoch, Some(1_700_000_000));
    let epoch = |line: &str| call(line).options.values.source_date_epoch;
    assert_eq!(epoch("--build-arg SOURCE_DATE_EPOCH=7 ."), Some(7));
    assert_eq!(epoch("--build-arg SOURCE_DATE_EPOCH= ."), None);
    assert_eq!(epoch("--build-arg SOURCE_DATE_EPOCH=context ."), None);
    refused("--build-arg =x .", "no name");
    refused("--platform l/i/n/u/x .", "--platform");
    refused("--build-context base .", "name=value");
    refused("--annotation a .", "key=value");
    let annotations = call("--annotation a=b --annotation index:c=d=e .").options;
    assert_eq!(
        annotations.values.annotations,
        [pair("a", "b"), pair("index:c", "d=e")]
    );
}

#[test]
fn execution() {
    let execution = call(
        "--network none --shm-size 1m --ulimit nofile=1 --ulimit nofile=2:3 --add-host a:1.2.3.4 \
         -m 64m --memory-swap -1 --cpu-quota 50000 --cpu-shares 7 --cpuset-cpus 0 \
         --allow security.insecure --jobs 3 --reproducible .",
    )
    .options
    .execution;
    assert_eq!(execution.network, BuildNetwork::None);
    assert_eq!(execution.shm_bytes, Some(1 << 20));
    assert_eq!(execution.limits.ulimits.len(), 1);
    assert_eq!(
        (
            execution.limits.ulimits[0].soft,
            execution.limits.ulimits[0].hard
        ),
        (2, 3)
    );
    let limits = execution.limits;
    assert_eq!(limits.memory_bytes, Some(64 << 20));
    assert_eq!(limits.memory_swap_bytes, Some(-1));
    assert_eq!(
        (limits.nano_cpus, limits.cpu_shares),
        (Some(500_000_000), Some(7))
    );
    assert_eq!(limits.cpuset.as_deref(), Some("0"));
    refused("-m 64m --memory-swap 32m .", "memory");
    assert!(execution.allow_insecure && execution.reproducible);
    assert_eq!(execution.jobs.map(std::num::NonZeroUsize::get), Some(3));
    refused("--allow everything .", "--allow everything");
    refused("--cgroup-parent x .", "--cgroup-parent=x");
    refused("--ssh default .", "SSH_AUTH_SOCK");
    refused("--ssh key=/etc .", "files of private keys");
    let agents = call("--ssh key=/etc/passwd,/etc/group .")
        .options
        .execution
        .ssh;
    let keys = ["/etc/passwd", "/etc/group"].map(PathBuf::from);
    assert_eq!(agents["key"], SshAgent::Keys(keys.to_vec()));
    refused("--ssh key=/nonexistent .", "/nonexistent");
}

#[test]
fn secrets() {
    let check = |flag: &str, id: &str, want: &SecretSource| {
        let call = call(&format!("--secret {flag} ."));
        let [secret] = &call.options.execution.secrets[..] else {
            panic!("{flag}: {call:?}");
        };
        assert_eq!(secret.id, id, "{flag}");
        assert!(secret.source == *want, "{flag}");
        let shown = format!("{call:?}");
        assert!(!shown.contains("secret of the environment"), "{shown}");
    };
    let file = SecretSource::File("/etc/passwd".into());
    let value = SecretSource::Value("secret of the environment".into());
    check("id=a,src=/etc/passwd", "a", &file);
    check("type=file,id=a,source=/etc/passwd", "a", &file);
    check("id=/etc/passwd", "/etc/passwd", &file);
    check("id=a,env=TOKEN", "a", &value);
    check("id=a,type=env,src=TOKEN", "a", &value);
    check("id=TOKEN", "TOKEN", &value);
    check("id=a,env=UNSET", "a", &SecretSource::Value(String::new()));
    let twice = call("--secret id=a,env=UNSET --secret id=a,src=/etc/passwd .");
    assert_eq!(twice.options.execution.secrets.len(), 1);
    refused("--secret src=/etc/passwd .", "no id");
    refused("--secret id .", "key=value");
    refused("--secret id=a,foo=b .", "its keys are");
    refused("--secret id=a,type=vault .", "its type is");
    refused("--secret id=a,src=/nonexistent .", "/nonexistent");
}

#[test]
fn outputs() {
    let check = |flag: &str, want: Output| {
        let call = call(&format!("-t app --output {flag} ."));
        assert_eq!(call.options.result.outputs, [want], "{flag}");
    };
    let image = |names: &[&str], push| Output::Image {
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        push,
    };
    let local = |split| Output::Local {
        directory: "out".into(),
        split,
    };
    let tar = |file: Option<&str>, split| Output::Tar {
        file: file.map(Into::into),
        split,
    };
    check("out", local(None));
    check("-", tar(None, None));
    check("type=local,dest=out", local(None));
    check(
        "type=local,dest=out,platform-split=false,mode=copy",
        local(Some(false)),
    );
    check("type=tar", tar(None, None));
    check("type=tar,dest=-", tar(None, None));
    check("type=tar,dest=x.tar", tar(Some("x.tar"), None));
    check(
        "type=tar,dest=x.tar,platform-split=1",
        tar(Some("x.tar"), Some(true)),
    );
    refused("--output type=local,dest=out,mode=delete .", "mode=delete");
    check("type=docker", image(&[], false));
    check(
        "type=docker,dest=x.tar",
        Output::Docker(Some("x.tar".into())),
    );
    check("type=docker,dest=-", Output::Docker(None));
    check(
        "type=oci,dest=x.tar",
        Output::Oci {
            destination: Some("x.tar".into()),
            is_archive: true,
        },
    );
    check(
        "type=oci,dest=x,tar=false",
        Output::Oci {
            destination: Some("x".into()),
            is_archive: false,
        },
    );
    check("type=image", image(&[], false));
    check("type=image,push=true", image(&[], true));
    check("type=registry", image(&[], true));
    check(
        "\"type=image\",\"name=a/b,c:d\"",
        image(&["docker.io/a/b:latest", "docker.io/library/c:d"], false),
    );
    check("type=cacheonly", Output::CacheOnly);
    refused("--output - .", "refusing to write it to a terminal");
    refused("--output type=oci .", "refusing to write it to a terminal");
    refused("--output type=local .", "needs a destination");
    refused("--output type=oci,tar=false .", "needs a destination");
    refused("--output dest=x,push=true .", "no type");
    refused("--output type=moon .", "type=moon");
    refused("--output type=image,nope=1 .", "nope=1");
    refused("--output type=image,push .", "key=value");
    refused("--output type=image,push=maybe .", "push=maybe");
    refused("--output out --iidfile x .", "--iidfile");
}

#[test]
fn results() {
    let result = call("-t app -t app:latest -t docker.io/library/app .")
        .options
        .result;
    assert_eq!(result.tags.len(), 1);
    assert!(call("-t a --push .").options.result.push);
    let loaded = call("-t a -o out --load .").options.result.outputs;
    assert_eq!(loaded.len(), 2);
    assert!(call("--load .").options.result.outputs.is_empty());
    refused("--push .", "needs a name");
    refused("--output type=registry .", "needs a name");
    refused("-t UPPER .", "UPPER");
    refused(
        "-t a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 .",
        "can't have a digest",
    );
    let call = call("-o type=image,rewrite-timestamp=true,annotation.a=b,compression=zstd .");
    assert!(call.options.execution.reproducible);
    assert_eq!(call.options.values.annotations.len(), 1);
    assert_eq!(call.warnings.len(), 1);
}

#[test]
fn what_has_no_effect_is_told() {
    let check = |line: &str, want: &[&str]| {
        let found = call(line).warnings;
        assert_eq!(found.len(), want.len(), "{line}: {found:?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.starts_with(want), "{found}");
        }
    };
    check("--rm --builder x --provenance=false .", &[]);
    check(
        "--cpuset-mems 0 --squash .",
        &["--cpuset-mems has no effect"],
    );
    check("--provenance=mode=max .", &["--provenance has no effect"]);
}

#[test]
fn cache() {
    let cache = call("--no-cache --no-cache-filter a,b --cache-from x --cache-to y .")
        .options
        .cache;
    assert!(cache.ignore);
    assert_eq!(cache.ignored_stages, ["a", "b"]);
    assert_eq!((cache.from, cache.to), (vec!["x".into()], vec!["y".into()]));
    let inline = call("--build-arg BUILDKIT_INLINE_CACHE=1 .").options.cache;
    assert_eq!(inline.to, ["type=inline"]);
}

#[test]
fn progress() {
    let check = |line: &str, variable: Option<&str>, want: Option<Progress>| {
        let lookup = |_: &str| variable.map(str::to_owned);
        assert_eq!(build(line).progress(&lookup).ok(), want, "{line}");
    };
    check(".", None, Some(Progress::Auto));
    check(".", Some("plain"), Some(Progress::Plain));
    check(".", Some("moon"), None);
    check("--progress tty .", Some("plain"), Some(Progress::Tty));
    check("-q .", Some("plain"), Some(Progress::Quiet));
    check("-q --progress auto .", None, Some(Progress::Quiet));
    check("-q --progress plain .", None, None);
    check("--progress quiet .", None, Some(Progress::Quiet));
    check("--progress none .", None, Some(Progress::None));
}
