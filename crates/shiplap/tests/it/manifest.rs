//! `manifest` and `buildx imagetools`: indexes of what registries have, judged by docker's own client.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::image::{DOCKER_LIST, Family, Image, OCI_INDEX, digest, recipe};
use crate::harness::registry::Registry;
use crate::harness::tar::Entry;
use crate::harness::{Store, judge};

/// An image for an architecture, with a file of its own.
fn image(architecture: &str, family: Family) -> Image {
    let file = Entry::file("architecture", architecture.as_bytes());
    recipe(&[&[file]])
        .family(family)
        .extra(json!({ "architecture": architecture }))
        .make()
}

/// A registry with `team/app:amd64` and `team/app:arm64`.
fn filled(family: Family) -> Option<(Registry, [Image; 2])> {
    let registry = Registry::start()?;
    let images = ["amd64", "arm64"].map(|architecture| {
        let image = image(architecture, family);
        registry.fill(&format!("team/app:{architecture}"), &image);
        image
    });
    Some((registry, images))
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Architectures and digests of an index's entries.
fn entries(index: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = index["manifests"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let architecture = text(&entry["platform"]["architecture"]);
            (architecture, text(&entry["digest"]))
        })
        .collect()
}

fn both([amd64, arm64]: &[Image; 2]) -> Vec<(String, String)> {
    vec![
        ("amd64".to_owned(), amd64.manifest_digest()),
        ("arm64".to_owned(), arm64.manifest_digest()),
    ]
}

#[test]
fn a_list_is_made_here_and_pushed() {
    for (family, media_type) in [(Family::Oci, OCI_INDEX), (Family::Docker, DOCKER_LIST)] {
        let Some((registry, images)) = filled(family) else {
            return;
        };
        let store = Store::new();
        let name = |tag: &str| registry.reference(&format!("team/app:{tag}"));
        let (list, amd64, arm64) = (name("1"), name("amd64"), name("arm64"));
        let created = store.ok(&["manifest", "create", &list, &amd64]);
        assert_eq!(created, format!("Created manifest list {list}\n"));
        let again = store.refused(&["manifest", "create", &list, &arm64]);
        assert!(again.contains("no --amend flag"), "{again}");
        store.ok(&["manifest", "create", "--amend", &list, &arm64]);
        assert_eq!(
            entries(&store.json(&["manifest", "inspect", &list])),
            both(&images)
        );
        let pushed = store.ok(&["manifest", "push", "--purge", &list]);
        let (index, found) = registry.manifest("team/app", "1");
        assert_eq!(found, media_type);
        assert_eq!(pushed.trim(), digest(&index));
        assert_eq!(entries(&parsed(&index)), both(&images));
        // Purged, so the registry's is meant by the name from now on.
        let gone = store.refused(&["manifest", "push", &list]);
        assert!(gone.contains("no such manifest list"), "{gone}");
        assert_eq!(store.json(&["manifest", "inspect", &list]), parsed(&index));
        // It is an image like any other.
        store.ok(&["pull", "--platform=linux/arm64", &list]);
        assert_eq!(store.ok(&["image", "cat", &list, "/architecture"]), "arm64");
        store.assert_sound();
    }
}

#[test]
fn docker_says_the_same_of_a_list() {
    let Some((registry, _)) = filled(Family::Docker) else {
        return;
    };
    let Some(docker) = judge::program("docker") else {
        return;
    };
    let store = Store::new();
    let (ours, theirs) = (
        registry.reference("team/app:ours"),
        registry.reference("team/app:theirs"),
    );
    let (amd64, arm64) = (
        registry.reference("team/app:amd64"),
        registry.reference("team/app:arm64"),
    );
    let docker = |line: &[&str]| {
        let mut command = Command::new(&docker);
        command
            .args(["manifest"])
            .args(line)
            .env("DOCKER_CONFIG", store.path("docker"))
            .env("DOCKER_CLI_EXPERIMENTAL", "enabled");
        judge::ask(&mut command)
    };
    docker(&["create", "--insecure", &theirs, &amd64, &arm64]);
    let line = ["--os=linux", "--arch=arm64", "--variant=v8"];
    docker(&[&["annotate"], &line[..], &[&theirs, &arm64]].concat());
    docker(&["push", "--insecure", &theirs]);
    store.ok(&["manifest", "create", &ours, &amd64, &arm64]);
    store.ok(&[&["manifest", "annotate"], &line[..], &[&ours, &arm64]].concat());
    // As it is here, as it was pushed, and what is there.
    let same = |ours: &str, theirs: &str| {
        let seen = docker(&["inspect", "--insecure", theirs]);
        let shown = store.ok(&["manifest", "inspect", ours]);
        assert_eq!(parsed(shown.as_bytes()), parsed(seen.as_bytes()), "{ours}");
        let seen = parsed(docker(&["inspect", "--insecure", "-v", theirs]).as_bytes());
        let shown = store.json(&["manifest", "inspect", "-v", ours]);
        let part = |told: &Value, key: &str| {
            let told = told.get(0).unwrap_or(told);
            told.get(key).cloned().unwrap_or_default()
        };
        for key in ["Ref", "Descriptor", "SchemaV2Manifest"] {
            assert_eq!(part(&shown, key), part(&seen, key), "{ours} {key}");
        }
    };
    same(&ours, &theirs);
    store.ok(&["manifest", "push", "--purge", &ours]);
    let pushed = parsed(&registry.manifest("team/app", "theirs").0);
    assert_eq!(parsed(&registry.manifest("team/app", "ours").0), pushed);
    assert_eq!(pushed["manifests"][1]["platform"]["variant"], "v8");
    same(&ours, &ours);
    same(&amd64, &amd64);
}

#[test]
fn parts_come_from_other_repositories() {
    let Some((registry, images)) = filled(Family::Oci) else {
        return;
    };
    let store = Store::new();
    let other = registry.reference("other/place:1");
    let sources = ["amd64", "arm64"].map(|tag| registry.reference(&format!("team/app:{tag}")));
    store.ok(&["manifest", "create", &other, &sources[0], &sources[1]]);
    store.ok(&["manifest", "push", &other]);
    let index = parsed(&registry.manifest("other/place", "1").0);
    assert_eq!(entries(&index), both(&images));
    for image in &images {
        registry.manifest("other/place", &image.manifest_digest());
        for blob in image.all_blobs().keys() {
            assert!(registry.has_blob("other/place", blob));
        }
    }
    // An index among the sources gives what it names, with attestations and all.
    let third = registry.reference("third:1");
    store.ok(&["manifest", "create", &third, &other]);
    let kept = store.json(&["manifest", "inspect", &third]);
    let mut wanted = both(&images);
    let mut found = entries(&kept);
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
    store.ok(&["manifest", "rm", &third, &other]);
    let twice = store.refused(&["manifest", "rm", &third]);
    assert!(twice.contains("no such manifest list"), "{twice}");
}

#[test]
fn what_is_not_there_is_told_apart() {
    let Some((registry, _)) = filled(Family::Oci) else {
        return;
    };
    let store = Store::new();
    let name = |tag: &str| registry.reference(&format!("team/app:{tag}"));
    let (amd64, list) = (name("amd64"), name("1"));
    let missing = store.refused(&["manifest", "inspect", &name("none")]);
    assert!(missing.contains("no such manifest"), "{missing}");
    // An image here that was not pushed.
    store.ok(&["pull", "-q", &amd64]);
    store.ok(&["tag", &amd64, &name("here")]);
    let unpushed = store.refused(&["manifest", "create", &list, &amd64, &name("here")]);
    assert!(unpushed.contains("push it first"), "{unpushed}");
    // Nothing is kept of what failed.
    store.refused(&["manifest", "rm", &list]);
    store.ok(&["manifest", "create", &list, &amd64]);
    let line = ["manifest", "annotate", "--arch=arm", &list, &name("arm64")];
    let stranger = store.refused(&line);
    assert!(stranger.contains("does not exist in"), "{stranger}");
    let stranger = store.refused(&["manifest", "inspect", &list, &name("arm64")]);
    assert!(stranger.contains("does not exist in"), "{stranger}");
    let entry = store.json(&["manifest", "inspect", "-v", &list, &amd64]);
    assert_eq!(entry["Descriptor"]["platform"]["architecture"], "amd64");
    assert_eq!(entry["OCIManifest"]["schemaVersion"], 2);
}

#[test]
fn imagetools_joins_where_images_are() {
    let Some((registry, images)) = filled(Family::Oci) else {
        return;
    };
    let store = Store::new();
    let name = |tag: &str| registry.reference(&format!("team/app:{tag}"));
    let create = ["buildx", "imagetools", "create"];
    let create = |more: &[&str]| store.run(&[&create[..], more].concat());

    // By name and by digest alone; under two names; nothing is pushed in a dry run.
    let digest_alone = images[1].manifest_digest();
    let (one, two) = (name("one"), registry.reference("else/app:two"));
    let dry = create(&["--dry-run", &name("amd64"), &digest_alone]);
    dry.assert_ok();
    assert_eq!(entries(&parsed(dry.stdout.as_bytes())), both(&images));
    let annotations = [
        "--annotation=index:a=b",
        "--annotation=manifest-descriptor[linux/arm64]:c=d",
    ];
    let tags = ["-t", &one, "--tag", &two];
    let (first, second) = (name("amd64"), format!("{}@{digest_alone}", name("arm64")));
    create(&[&annotations[..], &tags, &[&first, &second]].concat()).assert_ok();
    let (index, media_type) = registry.manifest("team/app", "one");
    assert_eq!(media_type, OCI_INDEX);
    assert_eq!(registry.manifest("else/app", "two").0, index);
    let index = parsed(&index);
    assert_eq!(entries(&index), both(&images));
    assert_eq!(index["annotations"], json!({ "a": "b" }));
    assert!(index["manifests"][0].get("annotations").is_none());
    assert_eq!(index["manifests"][1]["annotations"], json!({ "c": "d" }));

    // An image alone becomes an index, or stays what it is.
    create(&["-t", &name("single"), &first]).assert_ok();
    assert_eq!(registry.manifest("team/app", "single").1, OCI_INDEX);
    create(&["--prefer-index=false", "-t", &name("single"), &first]).assert_ok();
    assert_eq!(
        registry.manifest("team/app", "single").0,
        images[0].manifest
    );
    // It grows.
    create(&["--append", "-t", &name("single"), &name("arm64")]).assert_ok();
    let grown = parsed(&registry.manifest("team/app", "single").0);
    assert_eq!(entries(&grown), both(&images));
    // An index is taken as it is, or for some platforms.
    create(&["-t", &name("copy"), &one]).assert_ok();
    assert_eq!(parsed(&registry.manifest("team/app", "copy").0), index);
    create(&["--platform=linux/arm64", "-t", &name("arm"), &one]).assert_ok();
    let arm = parsed(&registry.manifest("team/app", "arm").0);
    assert_eq!(entries(&arm), both(&images)[1..]);

    let check = |line: &[&str], says: &str| create(line).assert_says(&[says]);
    check(&["-t", &one], "no sources specified");
    check(&[&first], "no tags specified");
    check(&["-t", &two, &first, &digest_alone], "names no repository");
    check(&["-t", &one, "{\"digest\": 1}"], "it is no descriptor");
    check(
        &["-t", &one, "--platform=linux/s390x", &one],
        "none of the sources",
    );
    check(&["-t", &one, "--annotation=a=b", &one], "taken as they are");
}

#[test]
fn imagetools_shows_what_is_there() {
    let Some((registry, images)) = filled(Family::Oci) else {
        return;
    };
    let store = Store::new();
    let name = |tag: &str| registry.reference(&format!("team/app:{tag}"));
    let both = name("both");
    let create = ["buildx", "imagetools", "create", "-t", &both];
    store.ok(&[&create[..], &[&name("amd64"), &name("arm64")]].concat());
    let inspect = |more: &[&str]| store.ok(&[&["buildx", "imagetools", "inspect"], more].concat());
    let (index, _) = registry.manifest("team/app", "both");
    assert_eq!(inspect(&["--raw", &both]).as_bytes(), index);
    let by_digest = |image: &Image| format!("{both}@{}", image.manifest_digest());
    let media_type = &images[0].media_type;
    let want = format!(
        "Name:      {both}\nMediaType: {OCI_INDEX}\nDigest:    {}\n           \nManifests: \n  \
         Name:        {}\n  MediaType:   {media_type}\n  Platform:    linux/amd64\n               \n  \
         Name:        {}\n  MediaType:   {media_type}\n  Platform:    linux/arm64\n",
        digest(&index),
        by_digest(&images[0]),
        by_digest(&images[1]),
    );
    assert_eq!(inspect(&[&both]), want);
    let single = name("arm64");
    for (name, format, want) in [
        (&both, "{{.Name}}", both.clone()),
        (&both, "{{.Manifest.Digest}}", digest(&index)),
        (
            &both,
            "{{json .Manifest.MediaType}}",
            format!("{OCI_INDEX:?}"),
        ),
        (&both, "{{len .Manifest.Manifests}}", "2".to_owned()),
        (
            &both,
            "{{range .Manifest.Manifests}}{{.Platform.OS}}/{{.Platform.Architecture}} {{end}}",
            "linux/amd64 linux/arm64 ".to_owned(),
        ),
        (
            &both,
            "{{(index .Image \"linux/arm64\").Config.Cmd}}",
            "[sh]".to_owned(),
        ),
        (&single, "{{.Image.Architecture}}", "arm64".to_owned()),
        (
            &single,
            "{{.Manifest.Size}}",
            images[1].manifest.len().to_string(),
        ),
    ] {
        let line = format!("--format={format}");
        assert_eq!(inspect(&[&line, name]), format!("{want}\n"), "{format}");
    }
    let json: Value = parsed(inspect(&["--format={{json .}}", &single]).as_bytes());
    assert_eq!(json["Manifest"]["digest"], images[1].manifest_digest());
    assert_eq!(json["Image"]["architecture"], "arm64");
    assert!(json["Image"].get("Architecture").is_none());
}
