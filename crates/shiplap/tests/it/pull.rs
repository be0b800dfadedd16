//! `pull`: what arrives is what was served, however it was packed, and only once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Store;
use crate::harness::double::{Double, Reply};
use crate::harness::image::{
    Compression, DOCKER_LIST, Family, Image, OCI_INDEX, digest, index, noise, recipe, small, usual,
};
use crate::harness::registry::{PASSWORD, Registry, USER};
use crate::harness::tar::Entry;

/// The store holds the image with all its layers, by the digests that we computed ourselves.
#[track_caller]
fn assert_holds(store: &Store, name: &str, image: &Image) {
    assert_eq!(store.field(name, "{{.Id}}"), image.id());
    let layers = store.json(&["inspect", "--format", "{{json .RootFS.Layers}}", name]);
    assert_eq!(layers, json!(image.diff_ids()));
    store.assert_sound();
}

#[test]
fn every_packing_arrives_the_same() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let cases = [
        ("oci-gzip", Family::Oci, Compression::Gzip),
        ("oci-zstd", Family::Oci, Compression::Zstd),
        ("oci-plain", Family::Oci, Compression::None),
        ("docker-gzip", Family::Docker, Compression::Gzip),
        ("docker-plain", Family::Docker, Compression::None),
    ];
    for (tag, family, compression) in cases {
        let image = usual().family(family).compression(compression).make();
        registry.fill(&format!("library/usual:{tag}"), &image);
        let store = Store::new();
        let name = registry.reference(&format!("library/usual:{tag}"));
        let ran = store.run(&["pull", &name]);
        ran.assert_ok();
        ran.assert_says(&[
            &format!("{tag}: Pulling from library/usual"),
            &format!("Digest: {}", image.manifest_digest()),
            &format!("Status: Downloaded newer image for {name}"),
        ]);
        assert_eq!(ran.stdout.lines().last(), Some(name.as_str()));
        assert_holds(&store, &name, &image);
        assert_eq!(
            store.ok(&["image", "cat", &name, "/etc/hostname"]),
            "shiplap\n"
        );
        store.refused(&["image", "cat", &name, "/etc/gone"]);
    }
}

#[test]
fn quiet_says_only_the_name() {
    let double = Double::start();
    double.fill("a/b:1", &small("x"));
    let store = Store::new();
    let ran = store.run(&["pull", "-q", &double.reference("a/b:1")]);
    ran.assert_ok();
    assert_eq!(ran.stdout, format!("{}\n", double.reference("a/b:1")));
    assert_eq!(ran.stderr, "");
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let double = Double::start();
    let image = usual().make();
    double.fill("app:1", &image);
    double.fill("app:2", &image);
    let store = Store::new();
    let name = double.reference("app:1");
    store.ok(&["pull", &name]);
    let fetched = double.count("GET", "/blobs/");
    assert_eq!(
        fetched,
        image.blobs.len() + 1,
        "each layer and the config once"
    );

    let again = store.run(&["pull", &name]);
    again.assert_ok();
    again.assert_says(&[&format!("Status: Image is up to date for {name}")]);
    store.ok(&["pull", &double.reference("app:2")]);
    assert_eq!(double.count("GET", "/blobs/"), fetched);
}

#[test]
fn shared_layers_come_once() {
    let double = Double::start();
    let base = [Entry::file("base", &noise(1, 50_000))];
    let one = recipe(&[&base, &[Entry::file("one", b"1")]]).make();
    let two = recipe(&[&base, &[Entry::file("two", b"2")]]).make();
    double.fill("one:1", &one);
    double.fill("two:1", &two);
    let store = Store::new();
    store.ok(&["pull", &double.reference("one:1")]);
    store.ok(&["pull", &double.reference("two:1")]);
    assert_eq!(double.count("GET", &digest(&one.blobs[0])), 1);
    assert_eq!(double.count("GET", &digest(&two.blobs[1])), 1);
}

#[test]
fn platforms_are_chosen_from_an_index() {
    let double = Double::start();
    let [amd, arm, armv7] = ["amd64", "arm64", "arm"].map(|architecture| {
        recipe(&[&[Entry::file("arch", architecture.as_bytes())]])
            .extra(json!({ "architecture": architecture }))
            .make()
    });
    let images = [
        ("linux/amd64", &amd),
        ("linux/arm64/v8", &arm),
        ("linux/arm/v7", &armv7),
    ];
    for image in [&amd, &arm, &armv7] {
        double.fill("multi:parts", image);
    }
    for (tag, family, media_type) in [
        ("oci", Family::Oci, OCI_INDEX),
        ("docker", Family::Docker, DOCKER_LIST),
    ] {
        let bytes = index(family, &images);
        double.put_manifest("multi", tag, media_type, &bytes);
        let name = double.reference(&format!("multi:{tag}"));
        for (platform, image) in [
            (Some("linux/arm64"), &arm),
            (Some("linux/arm64/v8"), &arm),
            (Some("linux/arm/v7"), &armv7),
            (Some("linux/amd64"), &amd),
        ] {
            let store = Store::new();
            let mut arguments = vec!["pull", &name];
            arguments.extend(
                platform
                    .iter()
                    .flat_map(|platform| ["--platform", platform]),
            );
            let ran = store.run(&arguments);
            ran.assert_ok();
            ran.assert_says(&[&format!("Digest: {}", digest(&bytes))]);
            assert_holds(&store, &name, image);
        }
        let store = Store::new();
        let ran = store.run(&["pull", "--platform", "linux/s390x", &name]);
        ran.assert_refused();
        ran.assert_says(&["linux/s390x"]);
        assert_eq!(store.names(), Vec::<String>::new());
    }
}

/// Images that were chosen from one index are found under its one name.
#[test]
fn a_name_means_the_image_for_the_platform_asked_for() {
    let double = Double::start();
    let [amd, arm] = ["amd64", "arm64"].map(|architecture| {
        recipe(&[&[Entry::file("arch", architecture.as_bytes())]])
            .extra(json!({ "architecture": architecture }))
            .make()
    });
    for image in [&amd, &arm] {
        double.fill("multi:parts", image);
    }
    let list = index(Family::Oci, &[("linux/amd64", &amd), ("linux/arm64", &arm)]);
    double.put_manifest("multi", "1", OCI_INDEX, &list);
    let store = Store::new();
    let name = double.reference("multi:1");
    for platform in ["linux/arm64", "linux/amd64"] {
        store.ok(&["pull", "--platform", platform, &name]);
    }
    for (platform, image) in [("linux/arm64", &arm), ("amd64", &amd)] {
        let found = [
            store.ok(&[
                "image",
                "inspect",
                "-f",
                "{{.Id}}",
                "--platform",
                platform,
                &name,
            ]),
            store.ok(&["history", "-q", "--no-trunc", "--platform", platform, &name]),
        ];
        for found in found {
            assert_eq!(found.lines().next(), Some(&*image.id()), "{platform}");
        }
        let archive = store.path("saved.tar");
        let archive = archive.to_str().unwrap();
        store.ok(&["save", "--platform", platform, "-o", archive, &name]);
        let other = Store::new();
        other.ok(&["load", "-i", archive]);
        assert_eq!(other.field(&name, "{{.Id}}"), image.id());
        let refused = other.refused(&["load", "-i", archive, "--platform", "linux/s390x"]);
        assert!(refused.contains("linux/s390x"), "{refused}");
    }
    for verb in [&["history"][..], &["image", "inspect"], &["save"], &["rmi"]] {
        let asked = [verb, &["--platform", "linux/s390x", &name]].concat();
        let refused = store.refused(&asked);
        assert!(
            refused.contains("does not match the specified platform"),
            "{refused}"
        );
    }
    let said = store.ok(&["rmi", "--platform", "linux/arm64", &name]);
    assert!(said.contains(&arm.id()), "{said}");
    assert_eq!(store.field(&name, "{{.Id}}"), amd.id());
    store.ok(&["rmi", "--platform", "linux/amd64", &name]);
    store.assert_prunes_to_nothing();
}

#[test]
fn digests_name_exactly_one_image() {
    let double = Double::start();
    let (one, two) = (small("one"), small("two"));
    double.fill("app:1", &one);
    double.fill("app:2", &two);
    let store = Store::new();
    let name = double.reference(&format!("app@{}", one.manifest_digest()));
    store.ok(&["pull", &name]);
    assert_holds(&store, &name, &one);
    let digests = store.ok(&["images", "--digests", "--format", "{{.Tag}} {{.Digest}}"]);
    assert_eq!(digests, format!("<none> {}\n", one.manifest_digest()));

    // A registry that answers a digest with something else is refused.
    let path = format!("/v2/app/manifests/{}", two.manifest_digest());
    let other = double.document(&format!("/v2/app/manifests/{}", one.manifest_digest()));
    double.answer(move |request| (request.path() == path).then(|| other.clone()));
    let name = double.reference(&format!("app@{}", two.manifest_digest()));
    let ran = store.run(&["pull", &name]);
    ran.assert_refused();
    ran.assert_says(&[&two.manifest_digest()]);
}

#[test]
fn all_tags_of_a_repository() {
    let Some(registry) = Registry::start() else {
        return;
    };
    for word in ["one", "two", "three"] {
        registry.fill(&format!("team/app:{word}"), &small(word));
    }
    let store = Store::new();
    store.ok(&["pull", "--all-tags", &registry.reference("team/app")]);
    let expected: Vec<String> = ["one", "three", "two"]
        .map(|word| registry.reference(&format!("team/app:{word}")))
        .to_vec();
    assert_eq!(store.names(), expected);
}

#[test]
fn hub_names_come_from_a_mirror() {
    let (mirror, broken) = (Double::start(), Double::start());
    let image = small("python");
    mirror.fill("library/python:3.11", &image);
    broken.answer(|_| Some(Reply::error(500, "UNKNOWN")));
    let store = Store::new().configured(&format!(
        "[[registry]]\nprefix = \"docker.io\"\nmirrors = [\"http://{}\", \"http://{}\"]\n",
        broken.address(),
        mirror.address()
    ));
    store.ok(&["pull", "python:3.11"]);
    assert_eq!(store.names(), ["python:3.11"]);
    for name in [
        "python:3.11",
        "library/python:3.11",
        "docker.io/library/python:3.11",
    ] {
        assert_holds(&store, name, &image);
    }
}

#[test]
fn a_prefix_can_live_elsewhere() {
    let double = Double::start();
    let image = small("moved");
    double.fill("inner/team/app:1", &image);
    let store = Store::new().configured(&format!(
        "[[registry]]\nprefix = \"registry.example/team\"\nlocation = \"{}/inner/team\"\ninsecure = true\n",
        double.address()
    ));
    store.ok(&["pull", "registry.example/team/app:1"]);
    assert_eq!(store.names(), ["registry.example/team/app:1"]);
}

#[test]
fn a_cut_connection_goes_on_where_it_was() {
    let double = Double::start();
    let image = recipe(&[&[Entry::file("noise", &noise(7, 600_000))]]).make();
    double.fill("app:1", &image);
    let path = format!("/v2/app/blobs/{}", digest(&image.blobs[0]));
    let whole = double.document(&path);
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    double.answer(move |request| {
        if request.method() != "GET" || request.path() != path {
            return None;
        }
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Some(whole.clone().cut_after(200_000)),
            1 => Some(whole.clone().ranged(request).cut_after(150_000)),
            _ => None,
        }
    });
    let store = Store::new();
    let name = double.reference("app:1");
    store.ok(&["pull", &name]);
    assert_holds(&store, &name, &image);
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let ranges: Vec<_> = double
        .log()
        .iter()
        .filter_map(|request| request.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    assert!(!ranges.contains(&"bytes=0-".to_owned()), "{ranges:?}");
}

#[test]
fn a_busy_registry_is_asked_again_when_it_says() {
    for (status, code) in [(429, "TOOMANYREQUESTS"), (503, "UNAVAILABLE")] {
        let double = Double::start();
        let image = small("busy");
        double.fill("app:1", &image);
        let tries = Arc::new(AtomicUsize::new(0));
        double.answer(move |request| {
            let busy =
                request.path().contains("/blobs/") && tries.fetch_add(1, Ordering::SeqCst) == 0;
            busy.then(|| Reply::error(status, code).header("retry-after", "1"))
        });
        let store = Store::new();
        let start = Instant::now();
        store.ok(&["pull", &double.reference("app:1")]);
        assert!(
            start.elapsed() >= Duration::from_secs(1),
            "came back too soon after {status}"
        );
        assert_holds(&store, &double.reference("app:1"), &image);
    }
}

#[test]
fn layers_come_at_the_same_time() {
    let double = Double::start();
    let image = recipe(&[&[Entry::file("a", b"a")], &[Entry::file("b", b"b")]]).make();
    double.fill("app:1", &image);
    let layers: Vec<String> = image.blobs.iter().map(|blob| digest(blob)).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    // Each layer is sent only when both were asked for; alone, none would ever come.
    double.answer(move |request| {
        if layers.iter().any(|layer| request.path().ends_with(layer)) && request.method() == "GET" {
            asked.fetch_add(1, Ordering::SeqCst);
            let deadline = Instant::now() + Duration::from_secs(10);
            while asked.load(Ordering::SeqCst) < 2 {
                if Instant::now() > deadline {
                    return Some(Reply::error(400, "ONE_AT_A_TIME"));
                }
                std::thread::yield_now();
            }
        }
        None
    });
    Store::new().ok(&["pull", &double.reference("app:1")]);
}

#[test]
fn accounts_let_in_who_logged_in() {
    let Some(registry) = Registry::start_with_accounts() else {
        return;
    };
    let store = Store::new();
    let name = registry.reference("team/app:1");
    let ran = store.run(&["pull", &name]);
    ran.assert_refused();
    ran.assert_says(&["login"]);

    let wrong = store.run_with(
        &["login", "-u", USER, "--password-stdin", registry.address()],
        b"wrong",
    );
    wrong.assert_refused();
    assert!(
        !wrong.stderr.contains("wrong"),
        "a password is never shown: {wrong:?}"
    );
    let login = ["login", "-u", USER, "--password-stdin", registry.address()];
    let ran = store.run_with(&login, PASSWORD.as_bytes());
    ran.assert_ok();
    ran.assert_says(&["Login Succeeded"]);
    let file = store.home().join(".docker/config.json");
    let mode = std::os::unix::fs::MetadataExt::mode(&file.metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);

    let archive = store.path("small.tar");
    std::fs::write(&archive, small("secret").docker_archive(&[&name])).unwrap();
    store.ok(&["load", "-i", archive.to_str().unwrap()]);
    store.ok(&["push", &name]);
    store.ok(&["rmi", &name]);
    store.ok(&["pull", &name]);

    store.ok(&["logout", registry.address()]);
    store.ok(&["rmi", &name]);
    store.refused(&["pull", &name]);
}

/// A double that wants a bearer token from its own token service, for `user` if there is one.
fn bearer(realm: &str, user: Option<&str>) -> Double {
    let double = Double::start();
    let realm = if realm.is_empty() {
        format!("http://{}/token", double.address())
    } else {
        realm.to_owned()
    };
    let user = user.map(str::to_owned);
    double.answer(move |request| {
        let authorization = request.header("authorization").unwrap_or("");
        if request.path() == "/token" {
            let good = user
                .as_ref()
                .is_none_or(|basic| authorization == format!("Basic {basic}"));
            return Some(if good {
                Reply::new(200, br#"{"token":"let-me-in","expires_in":60}"#)
                    .header("content-type", "application/json")
            } else {
                Reply::error(401, "UNAUTHORIZED")
            });
        }
        (authorization != "Bearer let-me-in").then(|| {
            Reply::error(401, "UNAUTHORIZED").header(
                "www-authenticate",
                &format!(
                    "Bearer realm=\"{realm}\",service=\"double\",scope=\"repository:app:pull\""
                ),
            )
        })
    });
    double
}

/// base64 of `ship:lap-secret`.
const BASIC: &str = "c2hpcDpsYXAtc2VjcmV0";

#[test]
fn bearer_tokens_are_fetched() {
    let anonymous = bearer("", None);
    anonymous.fill("app:1", &small("public"));
    Store::new().ok(&["pull", &anonymous.reference("app:1")]);

    let private = bearer("", Some(BASIC));
    private.fill("app:1", &small("private"));
    Store::new().refused(&["pull", &private.reference("app:1")]);
    let store = Store::new();
    log_in(&store, private.address());
    store.ok(&["pull", &private.reference("app:1")]);
}

/// Credentials in `~/.docker/config.json`, as another tool left them.
fn log_in(store: &Store, address: &str) {
    let folder = store.home().join(".docker");
    std::fs::create_dir_all(&folder).unwrap();
    let config = json!({ "auths": { address: { "auth": BASIC } } });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn credentials_stay_with_their_host() {
    // Another port's token service gets no password from a registry that anyone could have played.
    let tokens = bearer("", Some(BASIC));
    let realm = format!("http://{}", tokens.address());
    let registry = bearer(&format!("{realm}/token"), Some(BASIC));
    registry.fill("app:1", &small("x"));
    let store = Store::new();
    log_in(&store, registry.address());
    let ran = store.run(&["pull", &registry.reference("app:1")]);
    ran.assert_refused();
    ran.assert_says(&[&realm, "were not sent", "token_servers"]);
    for request in tokens.log() {
        assert_eq!(request.header("authorization"), None, "{request:?}");
    }

    // Nor does the host a blob is redirected to.
    let registry = bearer("", Some(BASIC));
    let image = small("moved");
    registry.fill("app:1", &image);
    let storage = Double::start();
    storage.fill("app:1", &image);
    let target = storage.address().to_owned();
    registry.answer(move |request| {
        let moved = request.path().contains("/blobs/") && request.header("authorization").is_some();
        moved.then(|| {
            let location = format!("http://{target}{}", request.path());
            Reply::new(307, b"").header("location", &location)
        })
    });
    let store = Store::new();
    log_in(&store, registry.address());
    store.ok(&["pull", &registry.reference("app:1")]);
    assert!(storage.count("GET", "/blobs/") > 0);
    for request in storage.log() {
        assert_eq!(request.header("authorization"), None, "{request:?}");
    }
}

#[test]
fn errors_name_the_thing() {
    let double = Double::start();
    let store = Store::new();
    let cases = [
        (double.reference("nothing/here:1"), "nothing/here"),
        (double.reference("UPPER:1"), "UPPER"),
        ("127.0.0.1:1/app:1".to_owned(), "127.0.0.1:1"),
        ("app@sha256:12".to_owned(), "sha256:12"),
        (String::new(), "reference"),
    ];
    for (name, part) in cases {
        let ran = store.run(&["pull", &name]);
        ran.assert_refused();
        ran.assert_says(&[part]);
    }
    assert_eq!(store.names(), Vec::<String>::new());
}
