//! Builds for several platforms: one name, one index, all images; as files, as archives, and in a registry.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::image::{OCI_INDEX, digest};
use crate::harness::registry::Registry;
use crate::harness::untar::{self, Raw};
use crate::harness::{Store, base, judge, scene};

const BOTH: &str = "--platform=linux/amd64,linux/arm64";

/// The architecture of this machine and the other one.
fn architectures() -> (&'static str, &'static str) {
    match std::env::consts::ARCH {
        "aarch64" => ("arm64", "amd64"),
        _ => ("amd64", "arm64"),
    }
}

/// A context of which each platform takes another file.
fn context(store: &Store) -> PathBuf {
    let context = store.path("app");
    scene::files(
        &context,
        &[
            (
                "Dockerfile",
                "FROM scratch\nARG TARGETARCH\nCOPY shared /\nCOPY app-$TARGETARCH /app\nCMD [\"/app\"]\n",
            ),
            (
                "Apart",
                "FROM scratch\nARG TARGETARCH\nCOPY app-$TARGETARCH /\n",
            ),
            ("shared", "shared\n"),
            ("app-amd64", "for amd64\n"),
            ("app-arm64", "for arm64\n"),
        ],
    );
    context
}

fn build<'a>(store: &Store, context: &'a str, more: &[&'a str]) -> String {
    let line = [&["build", BOTH], more, &[context]].concat();
    store.ok(&line)
}

/// Files of a tar by their names.
fn members(tar: &[u8]) -> BTreeMap<String, Raw> {
    let entries = untar::entries(tar).into_iter();
    entries
        .map(|entry| (entry.path.trim_matches('/').to_owned(), entry))
        .collect()
}

#[test]
fn one_name_stands_for_all_of_them() {
    let store = Store::new();
    let context = context(&store);
    let context = context.to_str().unwrap();
    let (own, other) = architectures();
    build(&store, context, &["-t", "app"]);
    assert_eq!(store.names(), ["app:latest"]);
    assert_eq!(store.field("app", "{{.Architecture}}"), own);
    let platform = format!("--platform=linux/{other}");
    let line = [
        "image",
        "inspect",
        &platform,
        "--format={{.Architecture}}",
        "app",
    ];
    assert_eq!(store.ok(&line).trim(), other);
    assert_eq!(
        store.ok(&["image", "cat", "app", "/app"]),
        format!("for {own}\n")
    );
    assert_eq!(store.ok(&["images", "-q"]).lines().count(), 1);
    assert_eq!(store.ok(&["images", "-aq"]).lines().count(), 2);

    // Nothing of it dangles.
    store.ok(&["image", "prune", "--force"]);
    assert_eq!(store.ok(&["images", "-aq"]).lines().count(), 2);
    store.refused(&["rmi", "--platform", &format!("linux/{other}"), "app"]);

    // Another name is another name for all of it.
    store.ok(&["tag", "app", "again"]);
    store.ok(&["rmi", "app"]);
    let line = [
        "image",
        "inspect",
        &platform,
        "--format={{.Architecture}}",
        "again",
    ];
    assert_eq!(store.ok(&line).trim(), other);

    // Built again without a change, it is the same; for one platform, it is that alone.
    let index = build(&store, context, &["-q", "-t", "again"]);
    assert_eq!(build(&store, context, &["-q", "-t", "again"]), index);
    assert_eq!(store.field(index.trim(), "{{.Architecture}}"), own);
    store.ok(&["build", "-t", "again", context]);
    store.refused(&["image", "inspect", &platform, "again"]);
    build(&store, context, &["-t", "again"]);
    let removed = store.ok(&["rmi", "again"]);
    assert_eq!(removed.matches("Untagged: again:latest").count(), 1);
    assert_eq!(store.ok(&["images", "-aq"]), "");
    store.assert_sound();
    store.ok(&["build", "prune", "--all", "--force"]);
    store.assert_prunes_to_nothing();
}

#[test]
fn pushed_is_the_index_with_its_images() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let store = Store::new();
    let context = context(&store);
    let context = context.to_str().unwrap();
    let (own, other) = architectures();
    let name = registry.reference("team/app:1");
    let more = [
        "--push",
        "--annotation=index:all=yes",
        "--annotation=each=yes",
        "-t",
        &name,
    ];
    build(&store, context, &more);
    let (index, media_type) = registry.manifest("team/app", "1");
    assert_eq!(media_type, OCI_INDEX);
    let told: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(told["annotations"]["all"], "yes");
    let entries = told["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for (entry, architecture) in entries.iter().zip(["amd64", "arm64"]) {
        assert_eq!(entry["platform"]["architecture"], architecture);
        let (manifest, _) = registry.manifest("team/app", entry["digest"].as_str().unwrap());
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["annotations"]["each"], "yes");
        for layer in manifest["layers"].as_array().unwrap() {
            assert!(layer["mediaType"].as_str().unwrap().ends_with("tar+gzip"));
            assert!(registry.has_blob("team/app", layer["digest"].as_str().unwrap()));
        }
    }
    // Each machine takes its own.
    for architecture in [own, other] {
        let taker = Store::new();
        let platform = format!("--platform=linux/{architecture}");
        taker.ok(&["pull", &platform, &name]);
        let app = taker.ok(&["image", "cat", &name, "/app"]);
        assert_eq!(app, format!("for {architecture}\n"));
    }
    if let Some(mut skopeo) = judge::skopeo() {
        let architecture = format!("--override-arch={other}");
        let place = format!("docker://{name}");
        let line = [&*architecture, "inspect", "--tls-verify=false", &place];
        let seen: Value = serde_json::from_str(&judge::ask(skopeo.args(line))).unwrap();
        assert_eq!(seen["Architecture"], other);
    }
    // It is there already; and known here by what it is there.
    let again = store.run(&["push", &name]);
    again.assert_ok();
    again.assert_says(&["already exists", &digest(&index)]);
    assert!(
        store
            .field(&name, "{{.RepoDigests}}")
            .contains(&digest(&index))
    );
    assert_eq!(store.ok(&["images", "-q"]).lines().count(), 1);

    // The same under another name, by the verb.
    let copy = registry.reference("team/copy:1");
    store.ok(&["tag", &name, &copy]);
    store.ok(&["push", &copy]);
    assert_eq!(registry.manifest("team/copy", "1").0, index);

    // An image of it that is gone can't be pushed any more.
    let id = store.field(&name, "{{.Id}}");
    let ids = store.ok(&["images", "-aq", "--no-trunc"]);
    let part = ids.lines().find(|line| *line != id).unwrap().to_owned();
    store.refused(&["rmi", &part]);
    store.ok(&["rmi", "--force", &part]);
    store.ok(&["push", &name]);
    assert_ne!(registry.manifest("team/app", "1").1, OCI_INDEX);
    store.assert_sound();
}

#[test]
fn files_of_each_platform_lie_apart() {
    let store = Store::new();
    let context = context(&store);
    let context = context.to_str().unwrap();
    let out = store.path("out");
    build(&store, context, &["-o", out.to_str().unwrap()]);
    for architecture in ["amd64", "arm64"] {
        let app = fs::read_to_string(out.join(format!("linux_{architecture}/app")));
        assert_eq!(app.unwrap(), format!("for {architecture}\n"));
    }
    let tar = store.path("out.tar");
    build(
        &store,
        context,
        &["-o", &format!("type=tar,dest={}", tar.display())],
    );
    let found = members(&fs::read(&tar).unwrap());
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let wanted = [
        "linux_amd64",
        "linux_amd64/app",
        "linux_amd64/shared",
        "linux_arm64",
        "linux_arm64/app",
        "linux_arm64/shared",
    ];
    assert_eq!(names, wanted);
    assert_eq!(found["linux_arm64/app"].content, b"for arm64\n");

    // Together only if nothing is in the way of anything.
    let together = format!(
        "type=local,dest={},platform-split=false",
        store.path("x").display()
    );
    let line = ["build", BOTH, "-o", &together, context];
    let ran = store.run(&line);
    ran.assert_refused();
    ran.assert_says(&[
        "cannot overwrite",
        "linux/amd64",
        "linux/arm64",
        "platform-split",
    ]);
    let apart = format!("--file={context}/Apart");
    build(&store, context, &[&apart, "-o", &together]);
    for name in ["app-amd64", "app-arm64"] {
        assert!(store.path("x").join(name).is_file(), "{name}");
    }
    let alone = format!(
        "type=local,dest={},platform-split=true",
        store.path("y").display()
    );
    store.ok(&["build", "--platform=linux/arm64", "-o", &alone, context]);
    assert!(store.path("y/linux_arm64/app").is_file());
    assert_eq!(
        store.ok(&["images", "-aq"]),
        "",
        "nobody asked for an image"
    );
}

#[test]
fn an_oci_archive_holds_the_index() {
    let store = Store::new();
    let context = context(&store);
    let context = context.to_str().unwrap();
    let archive = store.path("app.tar");
    let output = format!("type=oci,dest={}", archive.display());
    build(&store, context, &["-t", "app:1", "-o", &output]);
    let found = members(&fs::read(&archive).unwrap());
    let blob = |digest: &str| &found[&format!("blobs/{}", digest.replace(':', "/"))].content;
    let index: Value = serde_json::from_slice(&found["index.json"].content).unwrap();
    let top = &index["manifests"][0];
    assert_eq!(top["mediaType"], OCI_INDEX);
    assert_eq!(top["annotations"]["org.opencontainers.image.ref.name"], "1");
    let inner: Value = serde_json::from_slice(blob(top["digest"].as_str().unwrap())).unwrap();
    for (entry, architecture) in inner["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["amd64", "arm64"])
    {
        assert_eq!(entry["platform"]["architecture"], architecture);
        let manifest: Value =
            serde_json::from_slice(blob(entry["digest"].as_str().unwrap())).unwrap();
        let config = blob(manifest["config"]["digest"].as_str().unwrap());
        let config: Value = serde_json::from_slice(config).unwrap();
        assert_eq!(config["architecture"], architecture);
        let layers = manifest["layers"].as_array().unwrap();
        let top = blob(layers.last().unwrap()["digest"].as_str().unwrap());
        assert_eq!(
            members(top)["app"].content,
            format!("for {architecture}\n").as_bytes()
        );
    }
    let (own, other) = architectures();
    let loader = Store::new();
    loader.ok(&["load", "-i", archive.to_str().unwrap()]);
    assert_eq!(loader.field("app:1", "{{.Architecture}}"), own);
    if let Some(mut skopeo) = judge::skopeo() {
        let layout = store.path("copied");
        let line = ["copy", "--all", "--quiet"];
        let (from, to) = (
            format!("oci-archive:{}:1", archive.display()),
            format!("oci:{}:1", layout.display()),
        );
        judge::ask(skopeo.args(line).args([&from, &to]));
    }
    // So does what is saved of its name.
    let saved = store.path("saved.tar");
    let index = build(&store, context, &["-q", "-t", "app:1"]);
    store.ok(&[
        "save",
        "--format=oci",
        "-o",
        saved.to_str().unwrap(),
        "app:1",
    ]);
    let found = members(&fs::read(&saved).unwrap());
    let told: Value = serde_json::from_slice(&found["index.json"].content).unwrap();
    assert_eq!(told["manifests"][0]["digest"], index.trim());
    let one = [
        "save",
        "--format=oci",
        "--platform",
        &format!("linux/{other}"),
        "app:1",
    ];
    let found = members(&store.command(&one).output().unwrap().stdout);
    let told: Value = serde_json::from_slice(&found["index.json"].content).unwrap();
    assert_ne!(told["manifests"][0]["mediaType"], OCI_INDEX);

    // As a directory, the same.
    let directory = store.path("layout");
    let output = format!("type=oci,tar=false,dest={}", directory.display());
    build(&store, context, &["-t", "app:1", "-o", &output]);
    let place = format!("oci:{}:1", directory.display());
    let target = format!("oci-archive:{}", store.path("one.tar").display());
    store.ok(&[
        "copy",
        "--platform",
        &format!("linux/{other}"),
        &place,
        &target,
    ]);

    // Docker's archive holds one.
    let output = format!("type=docker,dest={}", store.path("docker.tar").display());
    let ran = store.run(&["build", BOTH, "-o", &output, context]);
    ran.assert_refused();
    ran.assert_says(&["manifest lists", "type=oci"]);
    assert!(!store.path("docker.tar").exists());
}

#[test]
fn commands_of_another_platform_run_where_the_machine_can() {
    let (_, other) = architectures();
    let Some(store) = base::store() else { return };
    let platform = format!("--platform=linux/{other}");
    // The stand-in is of this machine, whatever it is told to be: only what it is asked for matters.
    let text = "FROM --platform=$BUILDPLATFORM busybox AS build\nARG TARGETARCH\nRUN echo $TARGETARCH > /out\n\
                FROM scratch\nCOPY --from=build /out /\n";
    let ran = store.run_with(&["build", &platform, "-t", "cross", "-"], text.as_bytes());
    ran.assert_ok();
    let line = ["image", "cat", "cross", "/out"];
    assert_eq!(store.ok(&line), format!("{other}\n"));
    assert_eq!(store.field("cross", "{{.Architecture}}"), other);

    // A program of the other one, which does nothing: this machine runs it, or says what is missing.
    let context = store.path("foreign");
    scene::files(
        &context,
        &[("Dockerfile", "FROM scratch\nCOPY sh /bin/sh\nRUN true\n")],
    );
    let program = context.join("sh");
    fs::write(&program, nothing(other)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let ran = store.run(&["build", &platform, context.to_str().unwrap()]);
    if ran.code != Some(0) {
        ran.assert_refused();
        ran.assert_says(&[&format!("linux/{other}"), "binfmt", "Dockerfile:3"]);
    }
}

/// An ELF program for an architecture: its header and one system call, `exit(0)`.
fn nothing(architecture: &str) -> Vec<u8> {
    let (machine, code): (u16, &[u8]) = match architecture {
        "arm64" => (
            0xb7,
            &[0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4],
        ),
        _ => (0x3e, &[0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05]),
    };
    const HEADERS: u64 = 64 + 56;
    const BASE: u64 = 0x0040_0000;
    let length = HEADERS + code.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    for half in [2, machine] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1_u32.to_le_bytes());
    for word in [BASE + HEADERS, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for word in [1_u32, 5] {
        bytes.extend(word.to_le_bytes());
    }
    for word in [0, BASE, BASE, length, length, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}
