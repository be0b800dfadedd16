//! `inspect`, `info`, `version` and Go templates: Docker's fields by Docker's names.

use serde_json::{Value, json};

use crate::harness::Store;
use crate::harness::image::{digest, recipe, small, usual};
use crate::harness::registry::Registry;
use crate::harness::tar::Entry;
use crate::push::load;

/// An image with every field that a config may have.
fn full() -> crate::harness::image::Recipe {
    recipe(&[&[Entry::file("a", b"a")]])
        .config(json!({
            "User": "1000:1000",
            "ExposedPorts": { "80/tcp": {}, "53/udp": {} },
            "Env": ["PATH=/bin", "EMPTY=", "WITH=two=signs"],
            "Entrypoint": ["/bin/tool", "--flag"],
            "Cmd": ["serve", "a b"],
            "Volumes": { "/data": {} },
            "WorkingDir": "/srv",
            "Labels": { "maintainer": "ann", "word": "x y" },
            "StopSignal": "SIGQUIT",
            "Healthcheck": { "Test": ["CMD", "true"], "Interval": 30_000_000_000u64 },
            "Shell": ["/bin/bash", "-c"],
            "OnBuild": ["RUN true"],
        }))
        .extra(json!({ "author": "Ann", "variant": "v2", "docker_version": "20.10.24" }))
}

#[test]
fn inspect_is_dockers_json() {
    let store = Store::new();
    let image = full().make();
    load(&store, "team/app:1", &image);
    store.ok(&["tag", "team/app:1", "other:2"]);
    let shown = store.json(&["inspect", "team/app:1"]);
    let shown = &shown.as_array().unwrap()[0];
    assert_eq!(shown["Id"], image.id());
    assert_eq!(shown["RepoTags"], json!(["other:2", "team/app:1"]));
    assert_eq!(shown["Created"], "2023-11-14T22:13:20Z");
    assert_eq!(shown["Author"], "Ann");
    assert_eq!(shown["Architecture"], "amd64");
    assert_eq!(shown["Variant"], "v2");
    assert_eq!(shown["Os"], "linux");
    assert_eq!(shown["Size"], 1);
    assert_eq!(
        shown["RootFS"],
        json!({ "Type": "layers", "Layers": image.diff_ids() })
    );
    let config: Value = serde_json::from_slice(&image.config).unwrap();
    for (key, value) in config["config"].as_object().unwrap() {
        assert_eq!(&shown["Config"][key], value, "{key}");
    }
    assert_eq!(
        store.ok(&["image", "inspect", "team/app:1"]),
        store.ok(&["inspect", "team/app:1"])
    );
}

#[test]
fn several_and_missing() {
    let store = Store::new();
    load(&store, "one:1", &small("one"));
    load(&store, "two:1", &small("two"));
    let both = store.json(&["inspect", "one:1", "two:1"]);
    assert_eq!(both.as_array().map(Vec::len), Some(2));
    let ran = store.run(&["inspect", "one:1", "nothing:1"]);
    ran.assert_refused();
    ran.assert_says(&["No such object: nothing:1"]);
    let ran = store.run(&["inspect", "nope"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(1), "[]\n", "shiplap: No such object: nope\n")
    );
    store
        .run(&["inspect", "No/Name"])
        .assert_says(&["No such object: No/Name"]);
    for (kind, words) in [
        ("image", "No such image: nope"),
        ("container", "No such container: nope"),
        ("volume", "No such volume: nope"),
    ] {
        store.run(&[kind, "inspect", "nope"]).assert_says(&[words]);
        store
            .run(&["inspect", "--type", kind, "nope"])
            .assert_says(&[words]);
    }
    let ran = store.run(&["inspect", "one:1", "nothing:1"]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        found.as_array().map(Vec::len),
        Some(1),
        "what is there is shown"
    );
}

#[test]
fn repo_digests_follow_pull_and_push() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let image = usual().make();
    registry.fill("app:1", &image);
    let store = Store::new();
    store.ok(&["pull", &registry.reference("app:1")]);
    let digests = store.json(&[
        "inspect",
        "--format",
        "{{json .RepoDigests}}",
        &image.short_id(),
    ]);
    assert_eq!(
        digests,
        json!([format!(
            "{}@{}",
            registry.reference("app"),
            image.manifest_digest()
        )])
    );
    // The name by digest is good everywhere.
    let name = format!("{}@{}", registry.reference("app"), image.manifest_digest());
    assert_eq!(store.field(&name, "{{.Id}}"), image.id());
}

#[test]
fn templates_are_gos() {
    let store = Store::new();
    let image = full().make();
    load(&store, "app:1", &image);
    let cases = [
        ("{{.Architecture}}/{{.Os}}", "amd64/linux"),
        ("{{json .Config.Cmd}}", r#"["serve","a b"]"#),
        ("{{.Config.Cmd}}", "[serve a b]"),
        (
            "{{range .Config.Env}}{{.}};{{end}}",
            "PATH=/bin;EMPTY=;WITH=two=signs;",
        ),
        (
            "{{range $i, $e := .Config.Env}}{{$i}}={{$e}} {{end}}",
            "0=PATH=/bin 1=EMPTY= 2=WITH=two=signs ",
        ),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}},{{end}}",
            "maintainer:ann,word:x y,",
        ),
        ("{{index .Config.Labels \"word\"}}", "x y"),
        ("{{index .Config.Cmd 1}}", "a b"),
        ("{{len .Config.Env}}", "3"),
        ("{{if .Config.User}}yes{{else}}no{{end}}", "yes"),
        (
            "{{if eq .Os \"windows\"}}w{{else if eq .Os \"linux\"}}l{{end}}",
            "l",
        ),
        (
            "{{if and (gt (len .Config.Env) 2) (ne .Os \"x\")}}many{{end}}",
            "many",
        ),
        ("{{if not .Config.User}}a{{else}}b{{end}}", "b"),
        (
            "{{printf \"%s-%d-%q\" .Os (len .Config.Cmd) .Author}}",
            "linux-2-\"Ann\"",
        ),
        ("{{.Os | upper}}", "LINUX"),
        ("{{upper .Os | lower | printf \"%5s|\"}}", "linux|"),
        ("{{join .Config.Cmd \",\"}}", "serve,a b"),
        ("{{index (split .Config.User \":\") 0}}", "1000"),
        ("{{truncate .Author 2}}", "An"),
        ("{{println .Os}}x", "linux\nx"),
        ("{{with .Config.WorkingDir}}in {{.}}{{end}}", "in /srv"),
        ("{{- .Os -}} !", "linux!"),
        ("{{/* nothing */}}{{\"{{\"}}", "{{"),
        ("{{$x := .Os}}{{$x}}{{$x}}", "linuxlinux"),
        ("{{slice .Id 7 19}}", &image.short_id()),
        ("{{title .Os}}", "Linux"),
        ("{{pad .Os 1 2}}|", " linux  |"),
    ]
    .map(|(template, expected)| (template.to_owned(), expected.to_owned()));
    for (template, expected) in cases {
        let shown = store.ok(&["inspect", "--format", &template, "app:1"]);
        assert_eq!(shown, format!("{expected}\n"), "{template}");
    }
    for wrong in [
        "{{.Nothing}}",
        "{{",
        "{{nothing .Os}}",
        "{{index .Config.Cmd 9}}",
        "{{end}}",
        "{{if}}",
    ] {
        let ran = store.run(&["inspect", "--format", wrong, "app:1"]);
        ran.assert_refused();
        ran.assert_says(&["template"]);
    }
}

#[test]
fn tables_and_json_lines() {
    let store = Store::new();
    load(&store, "app:1", &small("x"));
    let table = store.ok(&["images", "--format", "table {{.Repository}}\t{{.Tag}}"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows, [["REPOSITORY", "TAG"], ["app", "1"]]);
    let line = store.json(&["images", "--format", "{{json .}}"]);
    assert_eq!(line["Repository"], "app");
    assert_eq!(line["Tag"], "1");
    assert_eq!(line["ID"], small("x").short_id());
    let line = store.json(&["images", "--format", "json"]);
    assert_eq!(line["Repository"], "app");
    let version = store.ok(&["version", "--format", "{{.Client.Version}}"]);
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
    assert!(store.ok(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
    let info = store.ok(&["info"]);
    assert!(info.contains(store.root().to_str().unwrap()), "{info}");
    let images = store.ok(&["info", "--format", "{{.Images}}"]);
    assert_eq!(images.trim(), "1");
}

#[test]
fn a_link_named_docker_is_docker() {
    let store = Store::new();
    load(&store, "app:1", &small("x"));
    let link = store.path("docker");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_shiplap"), &link).unwrap();
    let output = store.command_as(&link, &["images", "-q"]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        small("x").short_id()
    );
    let output = store.command_as(&link, &["--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("docker"));
}

#[test]
fn completions_and_man_pages() {
    let store = Store::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = store.ok(&["completion", shell]);
        assert!(
            script.contains("shiplap") && script.contains("history"),
            "{shell}"
        );
    }
    store.refused(&["completion", "tcl"]);
    store.refused(&["no-such-verb"]);
    store.refused(&["images", "--no-such-flag"]);
}

#[test]
fn image_files_are_read_without_a_mount() {
    let store = Store::new();
    load(&store, "app:1", &usual().make());
    let listed = store.ok(&[
        "image",
        "ls",
        "--format",
        "{{.Mode}} {{.Path}}",
        "app:1",
        "/etc",
    ]);
    assert_eq!(listed, "-rw-r--r-- /etc/hostname\n-rw-r--r-- /etc/new\n");
    assert_eq!(
        store.ok(&["image", "cat", "app:1", "/bin/tool"]),
        "#!/bin/sh\n"
    );
    let copied = store.path("copied");
    store.ok(&["image", "cp", "app:1", "/usr", copied.to_str().unwrap()]);
    let tool = std::fs::read(copied.join("bin/tool")).unwrap();
    assert_eq!(digest(&tool), digest(b"#!/bin/sh\n"));
    for path in ["/nothing", "/etc/hostname/x", "/etc"] {
        store.refused(&["image", "cat", "app:1", path]);
    }
}
