//! The hub as a mirror of another registry: another hub, and Debian's.

use crate::harness::Store;
use crate::harness::http;
use crate::harness::hub::Hub;
use crate::harness::image::{digest, noise, recipe, usual};
use crate::harness::registry::Registry;
use crate::harness::tar::Entry;

/// How often the mirror asked its upstream.
fn asked(mirror: &Hub) -> u64 {
    let text = mirror.ask("admin", "GET", "/metrics", &[], b"").body;
    let text = String::from_utf8(text).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("shiplap_hub_upstream_requests_total "));
    line.unwrap().parse().unwrap()
}

#[test]
fn what_is_asked_for_is_fetched_once_and_kept() {
    let mut upstream = Hub::start();
    upstream.verb(&["org", "add", "team"]).assert_ok();
    upstream
        .verb(&["org", "set", "team", "ship", "owner"])
        .assert_ok();
    let image = recipe(&[&[Entry::file("big", &noise(9, 2_000_000))]]).make();
    upstream.fill("team/app:1", &image);
    let origin = format!("up.example=http://{}", upstream.address());
    let mirror = Hub::start_with(&["--mirror", &origin]);

    // Many at once, one request.
    let blob = digest(&image.blobs[0]);
    let target = format!("/v2/up.example/team/app/blobs/{blob}");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let reply = http::request(mirror.address(), "GET", &target, &[], b"").unwrap();
                assert_eq!(reply.status(), 200);
                assert_eq!(reply.body, image.blobs[0]);
            });
        }
    });
    assert_eq!(asked(&mirror), 1);

    // By its namespace, by the registry that the client names, and by nothing at all.
    let pull = |name: &str| {
        let store = Store::new();
        let name = mirror.reference(name);
        store.ok(&["pull", &name]);
        assert_eq!(store.field(&name, "{{.Id}}"), image.id());
    };
    pull("up.example/team/app:1");
    pull("team/app:1");
    let named = mirror.ask(
        "",
        "GET",
        "/v2/team/app/manifests/1?ns=up.example",
        &[],
        b"",
    );
    assert_eq!(named.body, image.manifest);
    let before = asked(&mirror);
    pull("up.example/team/app:1");
    assert_eq!(asked(&mirror), before, "a fresh tag is not asked for again");
    let tags = mirror.ask("", "GET", "/v2/up.example/team/app/tags/list", &[], b"");
    assert!(String::from_utf8_lossy(&tags.body).contains("\"1\""));

    // Nobody pushes to it, and what the upstream hides or lacks is not there.
    let upload = "/v2/up.example/team/app/blobs/uploads/";
    assert_eq!(mirror.ask("admin", "POST", upload, &[], b"").status(), 403);
    for name in ["up.example/team/none", "none/none", "ship/none"] {
        let target = format!("/v2/{name}/manifests/1");
        assert_eq!(
            mirror.ask("ship", "GET", &target, &[], b"").status(),
            404,
            "{name}"
        );
    }
    // What is here will do when the upstream is gone.
    upstream.kill();
    pull("up.example/team/app:1");
    let target = "/v2/up.example/team/app/manifests/2";
    assert_eq!(mirror.ask("", "GET", target, &[], b"").status(), 502);
}

#[test]
fn a_mirror_serves_as_the_settings_mirror() {
    let Some(upstream) = Registry::start() else {
        return;
    };
    let image = usual().make();
    upstream.fill("library/app:1", &image);
    let origin = format!("docker.io=http://{}", upstream.address());
    let mirror = Hub::start_with(&["--mirror", &origin]);
    let address = mirror.address();
    let store = Store::new().configured(&format!(
        "[[registry]]\nprefix = \"docker.io\"\nmirrors = [\"http://{address}\"]\n"
    ));
    store.ok(&["pull", "app:1"]);
    assert_eq!(store.field("app:1", "{{.Id}}"), image.id());
    let own = mirror.ask("", "GET", "/v2/docker.io/app/manifests/1", &[], b"");
    assert_eq!(own.status(), 200);
}
