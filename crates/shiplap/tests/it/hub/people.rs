//! Who may do what, and what is found.

use serde_json::{Value, json};

use super::login;
use crate::harness::Store;
use crate::harness::http;
use crate::harness::hub::{Hub, PASSWORD};
use crate::harness::image::{recipe, small};
use crate::harness::judge::Podman;
use crate::harness::tar::Entry;
use crate::push::load;

/// Status of a request by each of nobody, `other`, `ship` and `admin`.
fn statuses(hub: &Hub, method: &str, target: &str, body: &[u8]) -> [u16; 4] {
    ["", "other", "ship", "admin"].map(|user| hub.ask(user, method, target, &[], body).status())
}

#[test]
fn everybody_sees_what_is_public_and_nobody_what_is_private() {
    let hub = Hub::start();
    hub.fill("ship/app:1", &small("x"));
    let manifest = "/v2/ship/app/manifests/1";
    assert_eq!(statuses(&hub, "GET", manifest, b""), [200, 200, 200, 200]);
    let upload = "/v2/ship/app/blobs/uploads/";
    assert_eq!(statuses(&hub, "POST", upload, b""), [401, 403, 202, 202]);

    hub.verb(&["repo", "set", "--private", "true", "ship/app"])
        .assert_ok();
    assert_eq!(statuses(&hub, "GET", manifest, b""), [401, 404, 200, 200]);
    // What is not there looks the same, word for word.
    let absent = "/v2/ship/none/manifests/1";
    for user in ["", "other"] {
        let told = |target: &str| {
            let reply = hub.ask(user, "GET", target, &[], b"");
            let challenge = reply.header("www-authenticate").map(str::to_owned);
            let challenge = challenge.map(|text| text.replace("none", "app"));
            (reply.status(), reply.body.clone(), challenge)
        };
        assert_eq!(told(manifest), told(absent), "{user:?}");
    }
    let catalog = |user: &str| {
        let reply = hub.ask(user, "GET", "/v2/_catalog", &[], b"");
        serde_json::from_slice::<Value>(&reply.body).unwrap()["repositories"].clone()
    };
    assert_eq!(catalog(""), json!([]));
    assert_eq!(catalog("other"), json!([]));
    assert_eq!(catalog("ship"), json!(["ship/app"]));
    assert_eq!(catalog("admin"), json!(["ship/app"]));
}

#[test]
fn official_images_are_pushed_by_who_runs_it() {
    let hub = Hub::start();
    let upload = "/v2/library/python/blobs/uploads/";
    assert_eq!(statuses(&hub, "POST", upload, b""), [401, 403, 403, 202]);
    // As on Docker Hub, a name without a slash is an official image's.
    let upload = "/v2/python/blobs/uploads/";
    assert_eq!(statuses(&hub, "POST", upload, b""), [401, 403, 403, 202]);
    let store = Store::new();
    login(&store, &hub, "admin");
    let name = hub.reference("python:3");
    load(&store, &name, &small("python"));
    store.ok(&["push", &name]);
    Store::new().ok(&["pull", &hub.reference("library/python:3")]);
}

#[test]
fn organisations_have_roles() {
    let hub = Hub::start();
    let upload = "/v2/team/app/blobs/uploads/";
    assert_eq!(statuses(&hub, "POST", upload, b"")[2..], [403, 403]);
    hub.verb(&["org", "add", "team"]).assert_ok();
    hub.verb(&["org", "add", "ship"]).assert_refused();
    hub.verb(&["org", "set", "team", "ship", "writer"])
        .assert_ok();
    hub.verb(&["org", "set", "team", "other", "reader"])
        .assert_ok();
    hub.verb(&["org", "set", "team", "other", "king"])
        .assert_refused();
    hub.fill("team/app:1", &small("x"));
    hub.verb(&["repo", "set", "--private", "true", "team/app"])
        .assert_ok();
    let manifest = "/v2/team/app/manifests/1";
    assert_eq!(statuses(&hub, "GET", manifest, b""), [401, 200, 200, 200]);
    assert_eq!(statuses(&hub, "POST", upload, b""), [401, 403, 202, 202]);
    let change = br#"{"description":"ours"}"#;
    let repository = "/v2/repositories/team/app";
    assert_eq!(
        statuses(&hub, "PATCH", repository, change),
        [401, 403, 403, 200]
    );
    hub.verb(&["org", "set", "team", "other", "none"])
        .assert_ok();
    assert_eq!(statuses(&hub, "GET", manifest, b""), [401, 404, 200, 200]);
    let members = hub.verb(&["org", "members", "team"]);
    members.assert_says(&["ship", "writer"]);
    hub.verb(&["org", "rm", "team"]).assert_refused();
}

#[test]
fn tokens_do_no_more_than_they_may() {
    let hub = Hub::start();
    hub.fill("ship/app:1", &small("x"));
    hub.verb(&["repo", "set", "--private", "true", "ship/app"])
        .assert_ok();
    let made = hub.verb(&["token", "add", "--level", "read", "ship", "ci"]);
    made.assert_ok();
    let token = made.stdout.trim().to_owned();
    let with = |token: &str| Store::new().with("TOKEN", token);
    let store = with(&token);
    let arguments = ["login", "-u", "ship", "--password-stdin", hub.address()];
    store.run_with(&arguments, token.as_bytes()).assert_ok();
    let name = hub.reference("ship/app:1");
    store.ok(&["pull", &name]);
    let second = hub.reference("ship/app:2");
    store.ok(&["tag", &name, &second]);
    store.refused(&["push", &second]);
    // Nobody else's.
    let arguments = ["login", "-u", "other", "--password-stdin", hub.address()];
    let other = with(&token).run_with(&arguments, token.as_bytes());
    other.assert_refused();
    let listed = hub.verb(&["token", "ls", "ship", "--format", "{{.ID}} {{.Label}}"]);
    let number = listed.stdout.split_whitespace().next().unwrap().to_owned();
    hub.verb(&["token", "rm", "ship", &number]).assert_ok();
    store.ok(&["rmi", &name, &second]);
    store.refused(&["pull", &name]);
}

#[test]
fn users_come_change_and_go() {
    let hub = Hub::start();
    let ping = |user: &str, password: &str| {
        let store = Store::new();
        let arguments = ["login", "-u", user, "--password-stdin", hub.address()];
        store.run_with(&arguments, password.as_bytes()).code == Some(0)
    };
    assert!(ping("ship", PASSWORD) && !ping("ship", "wrong") && !ping("nobody", PASSWORD));
    let words = ["user", "passwd", "--password-stdin", "ship"];
    hub.verb_with(&words, b"another-one").assert_ok();
    assert!(!ping("ship", PASSWORD) && ping("ship", "another-one"));
    hub.verb(&["user", "set", "--disabled", "true", "ship"])
        .assert_ok();
    assert!(!ping("ship", "another-one"));
    let words = ["user", "add", "--password-stdin", "new"];
    hub.verb_with(&words, b"short").assert_refused();
    for name in ["library", "search", "A", "a/b", "", "ship"] {
        let words = ["user", "add", "--password-stdin", name];
        hub.verb_with(&words, PASSWORD.as_bytes()).assert_refused();
    }
    let file = hub.data().join("htpasswd");
    let line = "imported:$2b$04$Uo21IxhafXUeKE2ql0jkfum52xlfVK.A1rwXK3NZrNJlEbCNuwiu2\n";
    std::fs::write(&file, line).unwrap();
    hub.verb(&["user", "import", file.to_str().unwrap()])
        .assert_ok();
    assert!(ping("imported", PASSWORD));
    hub.verb(&["user", "rm", "imported"]).assert_ok();
    assert!(!ping("imported", PASSWORD));
    let listed = hub.verb(&["user", "ls", "--format", "{{.Name}} {{.Role}} {{.State}}"]);
    let listed: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(
        listed,
        [
            "admin admin active",
            "other user active",
            "ship user disabled"
        ]
    );
}

#[test]
fn it_is_searched_as_docker_hub_is() {
    let hub = Hub::start();
    hub.fill("ship/python-tools:1", &small("tools"));
    let labelled = recipe(&[&[Entry::file("x", b"x")]]);
    let labelled = labelled.extra(json!({ "config": { "Labels": { "about": "astronomy" } } }));
    hub.fill("ship/stars:1", &labelled.make());
    hub.fill("ship/secret-python:1", &small("secret"));
    let set = |words: &[&str]| hub.verb(&[&["repo", "set"], words].concat()).assert_ok();
    set(&["--description", "The language", "library/python"]);
    set(&["--description", "Tools for it", "ship/python-tools"]);
    set(&["--private", "true", "ship/secret-python"]);
    let star = "/v2/repositories/ship/python-tools/star";
    assert_eq!(hub.ask("other", "PUT", star, &[], b"").status(), 204);
    assert_eq!(hub.ask("", "PUT", star, &[], b"").status(), 401);

    let store = Store::new();
    let found = |term: &str| {
        let term = hub.reference(term);
        let format = "{{.Name}} {{.StarCount}} {{.IsOfficial}}";
        store.ok(&["search", "--format", format, &term])
    };
    assert_eq!(found("python"), "python 0 [OK]\nship/python-tools 1 \n");
    assert_eq!(found("pyth"), found("python"));
    assert_eq!(found("astronomy"), "ship/stars 0 \n");
    assert_eq!(found("nothing-such"), "");
    let table = store.ok(&["search", &hub.reference("language")]);
    assert!(table.contains("The language"), "{table}");
    for odd in ["%22", "*", "a%20OR%20b", "%27%3B--", "%00"] {
        let target = format!("/v1/search?q={odd}");
        assert_eq!(hub.ask("", "GET", &target, &[], b"").status(), 200, "{odd}");
    }
    let mine = hub.ask("ship", "GET", "/v1/search?q=secret", &[], b"");
    let mine: Value = serde_json::from_slice(&mine.body).unwrap();
    assert_eq!(mine["results"][0]["name"], "ship/secret-python");
    if let Some(podman) = Podman::new() {
        let term = hub.reference("python");
        let format = "{{.Name}} {{.Stars}}";
        let listed = podman.ask(&["search", "--tls-verify=false", "--format", format, &term]);
        assert!(listed.contains("ship/python-tools 1"), "{listed}");
        assert!(!listed.contains("secret"), "{listed}");
    }
}

#[test]
fn repositories_are_told_in_docker_hubs_shape() {
    let hub = Hub::start();
    for tag in ["1", "2", "latest"] {
        hub.fill(&format!("ship/app:{tag}"), &small(tag));
    }
    let get = |target: &str| {
        let reply = hub.ask("", "GET", target, &[], b"");
        assert_eq!(reply.status(), 200, "{target}");
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    let tags = get("/v2/repositories/ship/app/tags?page_size=2");
    assert_eq!(tags["count"], 3);
    assert_eq!(tags["results"].as_array().unwrap().len(), 2);
    assert!(tags["next"].as_str().unwrap().contains("page=2"), "{tags}");
    let tag = get("/v2/repositories/ship/app/tags/latest");
    assert_eq!(tag["images"][0]["os"], "linux");
    assert_eq!(tag["digest"], small("latest").manifest_digest());
    assert!(tag["full_size"].as_u64().unwrap() > 0);
    let body = json!({ "description": "an app", "full_description": "# App" }).to_string();
    hub.expect(
        "PATCH",
        "/v2/repositories/ship/app/",
        &[],
        body.as_bytes(),
        200,
    );
    let told = get("/v2/repositories/ship/app/");
    assert_eq!(told["description"], "an app");
    assert_eq!(told["full_description"], "# App");
    assert_eq!(get("/v2/repositories/ship/")["count"], 1);
}

#[test]
fn tokens_of_the_hub_are_asked_for_as_dockers() {
    let hub = Hub::start();
    hub.fill("ship/app:1", &small("x"));
    hub.verb(&["repo", "set", "--private", "true", "ship/app"])
        .assert_ok();
    let refused = hub.ask("", "GET", "/v2/ship/app/manifests/1", &[], b"");
    let challenge = refused.header("www-authenticate").unwrap().to_owned();
    let realm = format!("Bearer realm=\"http://{}/token\"", hub.address());
    assert!(challenge.starts_with(&realm), "{challenge}");
    assert!(
        challenge.contains("scope=\"repository:ship/app:pull\""),
        "{challenge}"
    );
    let token = |user: &str, scope: &str| {
        let reply = hub.ask(user, "GET", &format!("/token?scope={scope}"), &[], b"");
        assert_eq!(reply.status(), 200);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        format!("Bearer {}", body["token"].as_str().unwrap())
    };
    let pull = |token: &str| {
        let headers = [("authorization", token)];
        let target = "/v2/ship/app/manifests/1";
        let reply = http::request(hub.address(), "GET", target, &headers, b"");
        reply.unwrap().status()
    };
    assert_eq!(pull(&token("ship", "repository:ship/app:pull")), 200);
    assert_eq!(pull(&token("ship", "repository:ship/other:pull")), 401);
    assert_eq!(pull(&token("other", "repository:ship/app:pull,push")), 404);
    assert_eq!(pull(&token("", "repository:ship/app:pull")), 401);
    // A user who is kept out is out at once.
    let good = token("ship", "repository:ship/app:pull");
    hub.verb(&["user", "set", "--disabled", "true", "ship"])
        .assert_ok();
    assert_eq!(pull(&good), 401);
}
