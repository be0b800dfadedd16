//! `hub`: what peers push, pull and find, who may do what, and what survives its end.

mod distribution;
mod elsewhere;
mod hostile;
mod mirror;
mod openapi;
mod pages;
mod pages_in_browser;
mod people;
mod power;
mod replicas;
mod webhooks;

use serde_json::Value;

use crate::harness::Store;
use crate::harness::hub::{Hub, PASSWORD};
use crate::harness::image::{Family, OCI_INDEX, digest, index, noise, recipe, small, usual};
use crate::harness::judge::{self, Podman};
use crate::harness::tar::Entry;
use crate::push::load;

/// Logs a store in as a user.
pub(crate) fn login(store: &Store, hub: &Hub, user: &str) {
    let arguments = ["login", "-u", user, "--password-stdin", hub.address()];
    store.run_with(&arguments, PASSWORD.as_bytes()).assert_ok();
}

#[test]
fn what_is_pushed_is_pulled() {
    let hub = Hub::start();
    let image = usual().make();
    let (store, name) = (Store::new(), hub.reference("ship/usual:1"));
    load(&store, &name, &image);
    let refused = store.run(&["push", &name]);
    refused.assert_refused();
    login(&store, &hub, "ship");
    store.ok(&["push", &name]);
    let again = store.run(&["push", &name]);
    again.assert_ok();
    again.assert_says(&["already exists"]);

    // Whoever pulls it has the same image, without an account.
    let other = Store::new();
    other.ok(&["pull", &name]);
    assert_eq!(other.field(&name, "{{.Id}}"), image.id());
    if let Some(podman) = Podman::new() {
        podman.ask(&["pull", "-q", &name]);
        let id = podman.ask(&["inspect", "--format", "{{.Id}}", &name]);
        assert_eq!(id.trim(), &image.id()[7..]);
    }
}

#[test]
fn peers_push_to_it() {
    let hub = Hub::start();
    let image = usual().make();
    let folder = tempfile::TempDir::new().unwrap();
    let layout = folder.path().join("layout");
    std::fs::create_dir(&layout).unwrap();
    image.write_layout(&layout, "1");
    let source = format!("oci:{}:1", layout.display());
    let name = hub.reference("ship/skopeo:1");
    let credentials = format!("ship:{PASSWORD}");
    if let Some(mut skopeo) = judge::skopeo() {
        judge::ask(skopeo.args([
            "copy",
            "--dest-tls-verify=false",
            "--dest-creds",
            &credentials,
            &source,
            &format!("docker://{name}"),
        ]));
        let mut skopeo = judge::skopeo().unwrap();
        let raw = judge::ask(skopeo.args([
            "inspect",
            "--raw",
            "--tls-verify=false",
            &format!("docker://{name}"),
        ]));
        assert_eq!(raw.into_bytes(), image.manifest);
        let mut skopeo = judge::skopeo().unwrap();
        let listed = judge::ask(skopeo.args([
            "list-tags",
            "--tls-verify=false",
            &format!("docker://{}", hub.reference("ship/skopeo")),
        ]));
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["Tags"], serde_json::json!(["1"]));
        let mut skopeo = judge::skopeo().unwrap();
        judge::ask(skopeo.args([
            "delete",
            "--tls-verify=false",
            "--creds",
            &credentials,
            &format!("docker://{name}"),
        ]));
        let gone = hub.ask("", "GET", "/v2/ship/skopeo/manifests/1", &[], b"");
        assert_eq!(gone.status(), 404);
    }
    if let Some(podman) = Podman::new() {
        let archive = folder.path().join("archive.tar");
        std::fs::write(&archive, image.docker_archive(&["localhost/x:1"])).unwrap();
        podman.ask(&["load", "-q", "-i", archive.to_str().unwrap()]);
        let target = hub.reference("ship/podman:1");
        let login = ["login", "--tls-verify=false", "-u", "ship", "-p", PASSWORD];
        let login: Vec<&str> = login.into_iter().chain([hub.address()]).collect();
        podman.ask(&login);
        podman.ask(&["push", "-q", "--tls-verify=false", "localhost/x:1", &target]);
        let store = Store::new();
        store.ok(&["pull", &target]);
        assert_eq!(store.field(&target, "{{.Id}}"), image.id());
    }
}

#[test]
fn all_platforms_are_kept() {
    let hub = Hub::start();
    let (one, two) = (small("one"), small("two"));
    hub.fill("ship/app:one", &one);
    hub.fill("ship/app:two", &two);
    let both = index(Family::Oci, &[("linux/amd64", &one), ("linux/arm64", &two)]);
    let headers = [("content-type", OCI_INDEX)];
    hub.expect("PUT", "/v2/ship/app/manifests/all", &headers, &both, 201);
    // What an index needs stays.
    let part = format!("/v2/ship/app/manifests/{}", one.manifest_digest());
    hub.expect("DELETE", &part, &[], b"", 405);
    let store = Store::new();
    store.ok(&[
        "pull",
        "--platform",
        "linux/arm64",
        &hub.reference("ship/app:all"),
    ]);
    assert_eq!(
        store.field(&hub.reference("ship/app:all"), "{{.Id}}"),
        two.id()
    );
    let table = store.ok(&["tags", &hub.reference("ship/app")]);
    for part in ["all", "one", "two", "linux/arm64"] {
        assert!(table.contains(part), "{part:?} not in {table}");
    }
}

#[test]
fn layers_are_mounted_from_another_repository() {
    let hub = Hub::start();
    let image = recipe(&[&[Entry::file("big", &noise(3, 300_000))]]).make();
    hub.fill("ship/base:1", &image);
    let store = Store::new();
    login(&store, &hub, "other");
    store.ok(&["pull", &hub.reference("ship/base:1")]);
    let derived = hub.reference("other/derived:1");
    store.ok(&["tag", &hub.reference("ship/base:1"), &derived]);
    let ran = store.run(&["push", &derived]);
    ran.assert_ok();
    ran.assert_says(&["Mounted from ship/base"]);
    // From what one may not see, nothing is mounted, though it is there.
    hub.verb(&["repo", "set", "--private", "true", "ship/base"])
        .assert_ok();
    let blob = digest(&image.blobs[0]);
    let target = format!("/v2/other/more/blobs/uploads/?mount={blob}&from=ship/base");
    let reply = hub.ask("other", "POST", &target, &[], b"");
    assert_eq!(reply.status(), 202);
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let mut hub = Hub::start_with(&["--access-log", "none"]);
    let image = usual().make();
    hub.fill("ship/app:1", &image);
    hub.restart();
    let store = Store::new();
    store.ok(&["pull", &hub.reference("ship/app:1")]);
    assert_eq!(
        store.field(&hub.reference("ship/app:1"), "{{.Id}}"),
        image.id()
    );
}

#[test]
fn uploads_go_on_after_a_kill() {
    let mut hub = Hub::start_with(&["--access-log", "none"]);
    let blob = noise(5, 700_000);
    let (first, rest) = blob.split_at(300_000);
    let begun = hub.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    hub.expect("PATCH", &place, &[], first, 202);
    hub.restart();
    let status = hub.expect("GET", &place, &[], b"", 204);
    assert_eq!(status.header("range"), Some("0-299999"));
    let wrong = [("content-range", "1-400000")];
    hub.expect("PATCH", &place, &wrong, rest, 416);
    let right = [("content-range", "300000-699999")];
    hub.expect("PATCH", &place, &right, rest, 202);
    let finish = format!("{place}?digest={}", digest(&blob));
    let done = hub.expect("PUT", &finish, &[], b"", 201);
    let reply = hub.expect("GET", done.header("location").unwrap(), &[], b"", 200);
    assert_eq!(reply.body, blob);
}

#[test]
fn it_ends_in_order() {
    let mut hub = Hub::start();
    hub.fill("ship/app:1", &small("x"));
    for _ in 0..3 {
        hub.expect("GET", "/v2/ship/app/manifests/1", &[], b"", 200);
    }
    assert_eq!(hub.terminate(), Some(0));
    // Pulls are counted though nobody waited for it.
    let listed = hub.verb(&["repo", "ls", "--format", "{{.Name}} {{.Pulls}}"]);
    assert_eq!(listed.stdout.trim(), "ship/app 3");
}

#[test]
fn it_is_checked_and_mended() {
    let hub = Hub::start();
    let image = recipe(&[&[Entry::file("big", &noise(4, 100_000))]]).make();
    hub.fill("ship/app:1", &image);
    let sound = hub.verb(&["check"]);
    sound.assert_ok();
    sound.assert_says(&["Checked blobs: 2"]);
    let layer = digest(&image.blobs[0]);
    let file = hub
        .files()
        .into_iter()
        .find(|file| file.to_string_lossy().contains(&layer[7..]))
        .unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[50_000] ^= 1;
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    std::fs::write(hub.data().join("blobs/stranger"), "x").unwrap();
    let damaged = hub.verb(&["check"]);
    assert_eq!(damaged.code, Some(1));
    damaged.assert_says(&["damaged", &layer, "ship/app", "stranger"]);
    hub.verb(&["check", "--repair"]).assert_ok();
    let blob = format!("/v2/ship/app/blobs/{layer}");
    hub.expect("HEAD", &blob, &[], b"", 404);
    // Whoever pushes it again makes the image whole.
    hub.upload("ship/app", &image.blobs[0]);
    std::fs::remove_file(hub.data().join("blobs/stranger")).unwrap();
    hub.verb(&["check"]).assert_ok();
    let store = Store::new();
    store.ok(&["pull", &hub.reference("ship/app:1")]);
}

#[test]
fn quotas_hold() {
    let hub = Hub::start();
    hub.verb(&["org", "quota", "ship", "100kB"]).assert_ok();
    hub.upload("ship/app", &noise(1, 60_000));
    let more = noise(2, 60_000);
    let target = format!("/v2/ship/app/blobs/uploads/?digest={}", digest(&more));
    let refused = hub.expect("POST", &target, &[], &more, 403);
    assert!(String::from_utf8_lossy(&refused.body).contains("DENIED"));
    hub.expect(
        "HEAD",
        &format!("/v2/ship/app/blobs/{}", digest(&more)),
        &[],
        b"",
        404,
    );
    hub.verb(&["org", "quota", "ship", "none"]).assert_ok();
    hub.expect("POST", &target, &[], &more, 201);
}
