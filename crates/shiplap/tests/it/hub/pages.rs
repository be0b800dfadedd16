//! Pages as a browser without scripts gets them: what they show, to whom, and what forms do.

use serde_json::json;

use crate::harness::http;
use crate::harness::hub::{Hub, PASSWORD};
use crate::harness::image::{Family, Image, OCI_INDEX, index, noise, recipe, small, usual};
use crate::harness::tar::Entry;
use crate::harness::visitor::{Visitor, text};

/// An image of some layers of different sizes, with the history of a Dockerfile.
pub(crate) fn layered(word: &str) -> Image {
    let file = |length: usize| {
        let bytes = noise(length as u64, length);
        Entry::file(word, &bytes)
    };
    let (base, packages, app) = (file(300_000), file(500_000), file(90_000));
    let history = json!([
        { "created": "2023-11-14T22:13:20Z", "created_by": "/bin/sh -c #(nop) ADD file:0123 in / " },
        { "created": "2023-11-14T22:13:21Z", "created_by": "/bin/sh -c #(nop)  CMD [\"bash\"]", "empty_layer": true },
        { "created": "2023-11-14T22:13:22Z",
          "created_by": "RUN /bin/sh -c set -eux; apt-get update; apt-get install -y --no-install-recommends ca-certificates netbase tzdata; rm -rf /var/lib/apt/lists/* # buildkit" },
        { "created": "2023-11-14T22:13:23Z", "created_by": "ENV PYTHON_VERSION=3.13.1", "empty_layer": true },
        { "created": "2023-11-14T22:13:24Z", "created_by": "COPY . /app # buildkit" },
        { "created": "2023-11-14T22:13:25Z", "created_by": "ENTRYPOINT [\"python3\" \"-m\" \"app\"]", "empty_layer": true },
    ]);
    let config = json!({
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "PYTHON_VERSION=3.13.1"],
        "Entrypoint": ["python3", "-m", "app"],
        "Cmd": ["--port", "8000"],
        "WorkingDir": "/app",
        "User": "app:app",
        "ExposedPorts": { "8000/tcp": {} },
        "Volumes": { "/var/lib/app": {} },
        "StopSignal": "SIGTERM",
        "Labels": {
            "org.opencontainers.image.title": word,
            "org.opencontainers.image.source": "https://code.example/app",
        },
    });
    recipe(&[&[base], &[packages], &[app]])
        .config(config)
        .extra(json!({ "history": history }))
        .make()
}

/// A hub with something of everything.
pub(crate) fn furnished() -> Hub {
    let hub = Hub::start();
    hub.fill_as("admin", "library/python:3.13", &layered("python"));
    hub.fill_as("admin", "library/python:latest", &layered("python"));
    hub.fill_as("admin", "library/debian:bookworm", &small("debian"));
    let (one, two) = (layered("amd"), layered("arm"));
    hub.fill("ship/app:amd64", &one);
    hub.fill("ship/app:arm64", &two);
    let both = index(
        Family::Oci,
        &[("linux/amd64", &one), ("linux/arm64/v8", &two)],
    );
    let headers = [("content-type", OCI_INDEX)];
    hub.expect("PUT", "/v2/ship/app/manifests/1.4", &headers, &both, 201);
    hub.fill_as("other", "other/tool:1", &small("tool"));
    hub.fill("ship/secret:1", &small("secret"));
    let set = |words: &[&str]| hub.verb(&[&["repo", "set"], words].concat()).assert_ok();
    set(&["--description", "The language, with pip", "library/python"]);
    set(&["--description", "Small and stable", "library/debian"]);
    set(&["--description", "An app of many platforms", "ship/app"]);
    set(&["--private", "true", "ship/secret"]);
    hub.verb(&["org", "add", "team"]).assert_ok();
    hub.verb(&["org", "set", "team", "ship", "owner"])
        .assert_ok();
    hub.fill("team/shared:1", &small("shared"));
    hub
}

fn assert_shows(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part:?} not in {page}");
    }
}

#[test]
fn pages_show_what_is_here() {
    let hub = furnished();
    let mut visitor = Visitor::new(&hub);
    let home = visitor.page("/");
    assert_shows(
        &home,
        &[
            "Official images",
            "/r/python",
            "The language",
            "/r/ship/app",
            "other/tool",
        ],
    );
    assert!(!home.contains("secret"), "{home}");
    let found = visitor.page("/search?q=platforms");
    assert_shows(&found, &["1 image", "ship/app", "An app of many platforms"]);
    assert_shows(&visitor.page("/search?q=nothing-such"), &["Nothing fits"]);

    let app = visitor.page("/r/ship/app");
    assert_shows(
        &app,
        &[
            "ship/app",
            "1.4",
            "There is no README",
            "shiplap pull",
            "docker pull",
        ],
    );
    let official = visitor.page("/r/python");
    assert_shows(
        &official,
        &[
            "Official",
            &format!("docker pull {}/python:latest", hub.address()),
        ],
    );
    assert_eq!(
        visitor.page("/r/library/python").len(),
        official.len() + 2 * "library%2F".len()
    );

    let tags = visitor.page("/r/ship/app/-/tags");
    assert_shows(
        &tags,
        &["3 tags", "amd64", "arm64", "1.4", "linux/arm64/v8"],
    );
    let tags = visitor.page("/r/ship/app/-/tags?name=arm");
    assert_shows(&tags, &["1 tag", "arm64"]);
    assert!(!tags.contains("/tags/amd64"), "{tags}");

    let tag = visitor.page("/r/python/-/tags/3.13");
    assert_shows(
        &tag,
        &[
            "<b>RUN</b> set -eux; apt-get update",
            "<b>COPY</b> . /app",
            "/app",
            "8000/tcp",
            "PYTHON_VERSION",
            "https://code.example/app",
            &layered("python").manifest_digest(),
        ],
    );
    let chosen = visitor.page("/r/ship/app/-/tags/1.4?platform=linux%2Farm64%2Fv8");
    assert_shows(
        &chosen,
        &[
            "--platform linux/arm64/v8",
            "aria-current=\"true\">linux/arm64/v8",
        ],
    );
    assert_shows(&visitor.page("/u/ship"), &["ship/app", "1 image"]);
    assert_shows(
        &visitor.page("/u/library"),
        &["Official images", "/r/debian"],
    );
    assert_eq!(visitor.get("/r/python/-/tags/none").status(), 404);
}

#[test]
fn layers_are_drawn_to_scale() {
    let hub = furnished();
    let tag = Visitor::new(&hub).page("/r/python/-/tags/3.13");
    let (_, drawing) = tag.split_once("<svg class=\"whole\"").unwrap();
    let drawing = drawing.split("</svg>").next().unwrap();
    let widths: Vec<u64> = drawing
        .split("width=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect();
    let sizes: Vec<usize> = layered("python").blobs.iter().map(Vec::len).collect();
    let whole: usize = sizes.iter().sum();
    assert_eq!(widths.len(), sizes.len());
    assert_eq!(widths.iter().sum::<u64>(), 1000);
    for (width, size) in widths.iter().zip(&sizes) {
        let want = (size * 1000 / whole) as u64;
        assert!(width.abs_diff(want) <= 1, "{width} for {want}");
    }
}

#[test]
fn artifacts_and_odd_images_have_pages() {
    let hub = Hub::start();
    // A config that tells of other layers than there are.
    let odd = usual().extra(json!({ "history": [{ "created_by": "one" }] }));
    hub.fill("ship/odd:1", &odd.make());
    let blob = hub.upload("ship/odd", b"{}");
    let artifact = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.example.sbom",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": blob, "size": 2 },
        "layers": [{ "mediaType": "text/plain", "digest": blob, "size": 2 }],
    });
    let artifact = serde_json::to_vec(&artifact).unwrap();
    let headers = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
    hub.expect(
        "PUT",
        "/v2/ship/odd/manifests/sbom",
        &headers,
        &artifact,
        201,
    );
    let mut visitor = Visitor::new(&hub);
    let page = visitor.page("/r/ship/odd/-/tags/1");
    assert_shows(&page, &["layer <span class=\"digest\">", "Layers"]);
    let page = visitor.page("/r/ship/odd/-/tags/sbom");
    assert_shows(&page, &["application/vnd.example.sbom"]);
    assert_shows(&visitor.page("/r/ship/odd/-/tags"), &["sbom"]);
}

#[test]
fn private_and_absent_pages_are_the_same() {
    let hub = furnished();
    for user in ["", "other"] {
        let mut visitor = match user {
            "" => Visitor::new(&hub),
            user => Visitor::signed_in(&hub, user),
        };
        for rest in ["", "/-/tags", "/-/tags/1", "/-/settings"] {
            let mut told = |name: &str| {
                let reply = visitor.get(&format!("/r/ship/{name}{rest}"));
                let place = reply.header("location").map(str::to_owned);
                let place = place.map(|place| place.replace("absent", "secret"));
                (reply.status(), text(&reply), place)
            };
            let private = told("secret");
            assert_eq!(private, told("absent"), "{user:?} {rest}");
            let want = if user.is_empty() && rest == "/-/settings" {
                303
            } else {
                404
            };
            assert_eq!(private.0, want, "{user:?} {rest}");
        }
        // Nor is there a page of a user of whom nothing is to be seen.
        assert_eq!(visitor.get("/u/admin").body, visitor.get("/u/nobody").body);
        assert_eq!(visitor.get("/u/admin").status(), 404);
    }
    let mut owner = Visitor::signed_in(&hub, "ship");
    assert_shows(&owner.page("/r/ship/secret"), &["Private"]);
    assert_shows(&owner.page("/u/ship"), &["ship/secret"]);
    assert_shows(&owner.page("/search?q=secret"), &["ship/secret"]);
}

#[test]
fn browsers_sign_in_and_out() {
    let hub = furnished();
    let mut visitor = Visitor::new(&hub);
    let refused = visitor.sign_in("ship", "wrong");
    assert_eq!(refused.status(), 401);
    assert_shows(&text(&refused), &["The name or the password is wrong"]);
    assert_eq!(visitor.cookie("shiplap"), None);
    let reply = visitor.sign_in("ship", PASSWORD);
    assert_eq!(
        (reply.status(), reply.header("location")),
        (303, Some("/account"))
    );
    let cookie = reply.header("set-cookie").unwrap().to_owned();
    for part in ["shiplap=sls_", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_shows(
        &visitor.page("/account"),
        &["ship/app", "ship/secret", "team/shared"],
    );
    let secret = visitor.cookie("shiplap").unwrap().to_owned();
    let out = visitor.submit("/account", "/sign-out", &[]);
    assert_eq!(out.status(), 303);
    assert_eq!(visitor.cookie("shiplap"), None);
    // A copy of the cookie is of no use then.
    visitor.steal("shiplap", &secret);
    let refused = visitor.get("/account");
    assert_eq!(refused.status(), 303);
    assert_eq!(refused.header("location"), Some("/sign-in?next=%2Faccount"));

    let mut ended = [
        Visitor::signed_in(&hub, "ship"),
        Visitor::signed_in(&hub, "other"),
    ];
    let words = ["user", "passwd", "--password-stdin", "ship"];
    hub.verb_with(&words, b"another-one").assert_ok();
    hub.verb(&["user", "set", "--disabled", "true", "other"])
        .assert_ok();
    for visitor in &mut ended {
        assert_eq!(visitor.get("/account").status(), 303);
    }
}

#[test]
fn signing_in_leads_to_pages_of_the_hub_alone() {
    let hub = Hub::start();
    for (next, want) in [
        ("/r/ship/app?x=1", "/r/ship/app?x=1"),
        ("//elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("/a\r\nx: y", "/"),
        ("", "/"),
    ] {
        let mut visitor = Visitor::new(&hub);
        let fields = [("name", "ship"), ("password", PASSWORD), ("next", next)];
        let reply = visitor.submit("/sign-in", "/sign-in", &fields);
        assert_eq!(reply.header("location"), Some(want), "{next:?}");
        assert_eq!(reply.header("x"), None);
    }
}

#[test]
fn cookies_are_for_pages_and_headers_for_programs() {
    let hub = furnished();
    let visitor = Visitor::signed_in(&hub, "ship");
    let secret = visitor.cookie("shiplap").unwrap().to_owned();
    let cookie = format!("shiplap={secret}");
    let ask = |target: &str, name: &str, value: &str| {
        let reply = http::request(hub.address(), "GET", target, &[(name, value)], b"");
        reply.unwrap().status()
    };
    assert_eq!(ask("/v2/access-tokens", "cookie", &cookie), 401);
    assert_eq!(ask("/v2/ship/secret/manifests/1", "cookie", &cookie), 401);
    assert_eq!(ask("/account", "cookie", &cookie), 200);
    // No session is a password or token, and no password or token a session.
    let bearer = format!("Bearer {secret}");
    assert_eq!(ask("/v2/access-tokens", "authorization", &bearer), 401);
    assert_eq!(hub.ask("ship", "GET", "/account", &[], b"").status(), 303);
    let made = hub.verb(&["token", "add", "--level", "admin", "ship", "ci"]);
    let token = format!("shiplap={}", made.stdout.trim());
    assert_eq!(ask("/account", "cookie", &token), 303);
    let listed = hub.verb(&["token", "ls", "ship", "--format", "{{.Label}}"]);
    assert_eq!(listed.stdout.trim(), "ci");
}

/// Every form of the hub, with fields that would do.
const FORMS: &[(&str, &[(&str, &str)])] = &[
    ("/sign-in", &[("name", "other"), ("password", PASSWORD)]),
    ("/sign-out", &[]),
    ("/account/organisations", &[("name", "fleet")]),
    (
        "/account/tokens",
        &[("label", "x"), ("level", "read"), ("days", "7")],
    ),
    ("/account/tokens/1/revoke", &[]),
    (
        "/account/password",
        &[
            ("old", PASSWORD),
            ("new", "another-secret"),
            ("again", "another-secret"),
        ],
    ),
    ("/u/team/-/members", &[("name", "other"), ("role", "owner")]),
    ("/r/ship/app/-/settings", &[("visibility", "private")]),
    ("/r/ship/app/-/remove", &[("confirm", "ship/app")]),
    ("/r/ship/app/-/star", &[("likes", "yes")]),
];

#[test]
fn forms_are_taken_from_pages_of_the_hub_alone() {
    let hub = furnished();
    hub.verb(&["org", "set", "team", "admin", "owner"])
        .assert_ok();
    let mut visitor = Visitor::signed_in(&hub, "admin");
    let token = visitor.form_token("/account");
    let foreign = Visitor::signed_in(&hub, "other").form_token("/account");
    for (action, fields) in FORMS {
        let with = |token| {
            let token = [("form_token", token)];
            fields.iter().copied().chain(token).collect::<Vec<_>>()
        };
        let mut refused = |fields: &[(&str, &str)], headers: &[(&str, &str)]| {
            let reply = visitor.post_with(action, fields, headers);
            assert_eq!(reply.status(), 403, "{action} {fields:?} {headers:?}");
            assert_shows(&text(&reply), &["Nothing was changed"]);
        };
        refused(fields, &[]);
        refused(&with(""), &[]);
        refused(&with(&foreign), &[]);
        refused(&with(&token), &[("sec-fetch-site", "cross-site")]);
        refused(&with(&token), &[("sec-fetch-site", "same-site")]);
    }
    let page = visitor.page("/r/ship/app");
    assert!(!page.contains("Starred") && !page.contains("Private"));
    assert_eq!(visitor.get("/u/fleet").status(), 404);
    let body = br#"{"likes":"yes"}"#;
    let json = [("content-type", "application/json")];
    let mut stranger = Visitor::new(&hub);
    assert_eq!(stranger.post("/r/ship/app/-/star", &[]).status(), 303);
    let reply = http::request(hub.address(), "POST", "/sign-in", &json, body).unwrap();
    assert_eq!(reply.status(), 403);
}

#[test]
fn owners_change_their_repositories() {
    let hub = furnished();
    let mut ship = Visitor::signed_in(&hub, "ship");
    let mut other = Visitor::signed_in(&hub, "other");
    let settings = "/r/ship/app/-/settings";
    let fields = [
        ("description", "Ours <b>now</b>"),
        ("readme", "# Use\r\n\r\n- it\r\n"),
        ("visibility", "public"),
    ];
    assert_eq!(ship.submit(settings, settings, &fields).status(), 303);
    let page = other.page("/r/ship/app");
    assert_shows(
        &page,
        &[
            "Ours &#60;b&#62;now&#60;/b&#62;",
            "<h2 id=\"readme-use\">Use</h2>",
            "<li>it</li>",
        ],
    );
    assert_shows(&ship.page(settings), &["# Use\n\n- it\n</textarea>"]);
    assert_eq!(other.get(settings).status(), 403);
    assert_eq!(other.submit("/account", settings, &fields).status(), 403);
    let long = "x".repeat(600);
    let refused = ship.submit(settings, settings, &[("description", &long)]);
    assert_eq!(refused.status(), 400);
    assert_shows(&text(&refused), &["The description is too long", &long]);
    let fields = [("visibility", "private")];
    assert_eq!(ship.submit(settings, settings, &fields).status(), 303);
    assert_eq!(other.get("/r/ship/app").status(), 404);

    let star = "/r/other/tool/-/star";
    assert_eq!(
        ship.submit("/r/other/tool", star, &[("likes", "yes")])
            .status(),
        303
    );
    assert_shows(&ship.page("/r/other/tool"), &["Starred <b>1</b>"]);
    assert_shows(&ship.page("/account/stars"), &["other/tool"]);
    assert_eq!(
        ship.submit("/r/other/tool", star, &[("likes", "no")])
            .status(),
        303
    );
    assert_shows(&ship.page("/account/stars"), &["No stars yet"]);
    let secret = "/r/ship/secret/-/star";
    assert_eq!(
        other
            .submit("/account", secret, &[("likes", "yes")])
            .status(),
        404
    );
}

#[test]
fn owners_remove_their_repositories() {
    let hub = furnished();
    let mut ship = Visitor::signed_in(&hub, "ship");
    let mut other = Visitor::signed_in(&hub, "other");
    let (settings, remove) = ("/r/ship/app/-/settings", "/r/ship/app/-/remove");
    let name = [("confirm", "ship/app")];
    assert_eq!(other.submit("/account", remove, &name).status(), 403);
    for wrong in ["", "app", "ship/secret"] {
        let refused = ship.submit(settings, remove, &[("confirm", wrong)]);
        assert_eq!(refused.status(), 400, "{wrong}");
        assert_shows(&text(&refused), &["that is not its name"]);
    }
    other.page("/r/ship/app");
    let removed = ship.submit(settings, remove, &name);
    assert_eq!(removed.status(), 303);
    assert_eq!(removed.header("location"), Some("/u/ship"));
    assert_eq!(ship.get("/r/ship/app").status(), 404);
    assert!(!ship.page("/account").contains("ship/app"));
    hub.verb(&["check"]).assert_ok();
}

#[test]
fn passwords_are_changed_by_who_knows_them() {
    let hub = furnished();
    let mut ship = Visitor::signed_in(&hub, "ship");
    let mut elsewhere = Visitor::signed_in(&hub, "ship");
    let page = "/account/password";
    let new = "another-secret";
    let token = hub.verb(&["token", "add", "--level", "admin", "ship", "all"]);
    let token = token.stdout.trim();
    let check = |visitor: &mut Visitor<'_>, fields: [&str; 3], says: &str| {
        let [old, new, again] = fields;
        let fields = [("old", old), ("new", new), ("again", again)];
        let refused = visitor.submit(page, page, &fields);
        assert_eq!(refused.status(), 400, "{fields:?}");
        assert_shows(&text(&refused), &[says]);
    };
    check(
        &mut ship,
        ["wrong-secret", new, new],
        "current password is wrong",
    );
    // A token is no password.
    check(&mut ship, [token, new, new], "current password is wrong");
    check(&mut ship, [PASSWORD, new, "another"], "not the same twice");
    check(&mut ship, [PASSWORD, "short", "short"], "fewer than 8");
    assert_eq!(elsewhere.get(page).status(), 200);
    let fields = [("old", PASSWORD), ("new", new), ("again", new)];
    let before = ship.cookie("shiplap").map(str::to_owned);
    let changed = ship.submit(page, page, &fields);
    assert_eq!(changed.status(), 303);
    // This browser goes on, with another secret; no other does.
    assert_ne!(ship.cookie("shiplap").map(str::to_owned), before);
    let told = ship.page(changed.header("location").unwrap());
    assert_shows(&told, &["The password is changed"]);
    assert_eq!(elsewhere.get(page).status(), 303);
    assert_eq!(Visitor::new(&hub).sign_in("ship", PASSWORD).status(), 401);
    assert_eq!(Visitor::new(&hub).sign_in("ship", new).status(), 303);
    assert_eq!(Visitor::new(&hub).sign_in("ship", token).status(), 303);
}

#[test]
fn tokens_are_made_shown_once_and_revoked() {
    let hub = furnished();
    let mut ship = Visitor::signed_in(&hub, "ship");
    let tokens = "/account/tokens";
    let fields = [("label", "build <ci>"), ("level", "read"), ("days", "30")];
    let made = ship.submit(tokens, tokens, &fields);
    assert_eq!(made.status(), 201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let page = text(&made);
    let token = page.split("<code>slp_").nth(1).unwrap();
    let token = format!("slp_{}", token.split('<').next().unwrap());
    let works = |token: &str| {
        let body = json!({ "username": "ship", "password": token }).to_string();
        let headers = [("content-type", "application/json")];
        let reply = hub.ask("", "POST", "/v2/users/login", &headers, body.as_bytes());
        reply.status() == 200
    };
    assert!(works(&token));
    let page = ship.page(tokens);
    assert!(!page.contains(&token));
    assert_shows(
        &page,
        &[
            "build &#60;ci&#62;",
            "used just now",
            "Firefox on Linux",
            "this one",
        ],
    );
    for wrong in [
        [("label", ""), ("level", "read"), ("days", "")],
        [("label", "x"), ("level", "king"), ("days", "")],
        [("label", "x"), ("level", "read"), ("days", "-1")],
    ] {
        assert_eq!(ship.submit(tokens, tokens, &wrong).status(), 400);
    }
    let (_, rest) = page.split_once("/account/tokens/").unwrap();
    let revoke = format!("{tokens}/{}/revoke", rest.split('/').next().unwrap());
    let mut other = Visitor::signed_in(&hub, "other");
    assert_eq!(other.submit(tokens, &revoke, &[]).status(), 404);
    assert!(works(&token));
    assert_eq!(ship.submit(tokens, &revoke, &[]).status(), 303);
    assert!(!works(&token));
    // Who signs in with a token may do on pages what the token may.
    let made = hub.verb(&["token", "add", "--level", "read", "ship", "look"]);
    let mut reader = Visitor::new(&hub);
    assert_eq!(reader.sign_in("ship", made.stdout.trim()).status(), 303);
    assert_shows(&reader.page("/r/ship/secret"), &["Private"]);
    assert_eq!(reader.get("/r/ship/app/-/settings").status(), 403);
    assert_eq!(reader.get(tokens).status(), 403);
}

#[test]
fn organisations_are_kept_by_their_owners() {
    let hub = furnished();
    let mut ship = Visitor::signed_in(&hub, "ship");
    let mut other = Visitor::signed_in(&hub, "other");
    let mut admin = Visitor::signed_in(&hub, "admin");
    let members = "/u/team/-/members";
    assert_shows(&ship.page("/account/organisations"), &["/u/team", "owner"]);
    assert!(!other.page("/u/team").contains("Members"));
    let set = |name, role| [("name", name), ("role", role)];
    assert_eq!(
        other
            .submit("/account", members, &set("other", "owner"))
            .status(),
        404
    );
    assert_eq!(
        ship.submit("/u/team", members, &set("other", "reader"))
            .status(),
        303
    );
    let page = other.page("/u/team");
    assert_shows(&page, &["Members", "other", "reader"]);
    assert!(!page.contains("Add a user"));
    assert_eq!(
        other
            .submit("/account", members, &set("other", "owner"))
            .status(),
        403
    );
    let refused = ship.submit("/u/team", members, &set("nobody", "reader"));
    assert_shows(&text(&refused), &["There is no user nobody"]);
    let refused = ship.submit("/u/team", members, &set("ship", "none"));
    assert_shows(&text(&refused), &["An organisation needs an owner"]);
    assert_eq!(
        ship.submit("/u/team", members, &set("other", "king"))
            .status(),
        400
    );
    // A user's own namespace has no members.
    assert_eq!(
        ship.submit("/u/team", "/u/ship/-/members", &set("other", "owner"))
            .status(),
        404
    );

    let path = "/account/organisations";
    assert_eq!(
        ship.submit("/account", path, &[("name", "fleet")]).status(),
        403
    );
    let made = admin.submit(path, path, &[("name", "fleet")]);
    assert_eq!(made.header("location"), Some("/u/fleet"));
    assert_shows(&admin.page("/u/fleet"), &["admin", "owner"]);
    assert_eq!(admin.submit(path, path, &[("name", "fleet")]).status(), 409);
    assert_eq!(
        admin.submit(path, path, &[("name", "search")]).status(),
        400
    );
}

#[test]
fn pages_have_headers_that_hold_browsers_back() {
    let hub = furnished();
    let mut visitor = Visitor::new(&hub);
    for target in [
        "/",
        "/search?q=x",
        "/r/ship/app",
        "/r/none",
        "/sign-in",
        "/nowhere",
    ] {
        let reply = visitor.get(target);
        let policy = reply.header("content-security-policy").unwrap_or("");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{target}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{target}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("x-frame-options"), Some("DENY"));
        assert_eq!(reply.header("referrer-policy"), Some("same-origin"));
        assert!(
            reply
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        let html = text(&reply);
        assert!(!html.contains(" style=") && !html.contains("<style"));
        for rest in html.split(" on").skip(1) {
            let word = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
            assert!(!word.starts_with('='), "{target}: on{rest}");
        }
        for script in html.split("<script").skip(1) {
            assert!(script.starts_with(" src=\"/assets/"), "{target}");
        }
    }
    let head = http::request(hub.address(), "HEAD", "/r/ship/app", &[], b"").unwrap();
    assert_eq!((head.status(), head.body.len()), (200, 0));
    // Programs are told as ever.
    let reply = http::request(hub.address(), "GET", "/nowhere", &[], b"").unwrap();
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let reply = visitor.get("/v2/none/none/tags/list");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let css = visitor
        .page("/")
        .split("/assets/hub.css")
        .nth(1)
        .unwrap()
        .to_owned();
    let version = css.split('"').next().unwrap();
    let css = visitor.get(&format!("/assets/hub.css{version}"));
    assert!(css.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(visitor.get("/assets/none.css").status(), 404);
    assert_eq!(visitor.get("/assets/..%2fCargo.toml").status(), 404);
}

#[test]
fn whoever_types_gets_results_alone() {
    let hub = furnished();
    let mut visitor = Visitor::new(&hub);
    let asked = |headers: &[(&str, &str)]| {
        let reply = http::request(hub.address(), "GET", "/search?q=app", headers, b"").unwrap();
        assert_eq!(reply.status(), 200);
        text(&reply)
    };
    let part = asked(&[("hx-request", "true")]);
    assert!(
        part.contains("ship/app") && !part.contains("<html"),
        "{part}"
    );
    let whole = asked(&[
        ("hx-request", "true"),
        ("hx-history-restore-request", "true"),
    ]);
    assert!(whole.contains("<html"));
    for number in 0..60 {
        hub.fill(&format!("ship/crowd-{number}:1"), &small("x"));
    }
    let page = visitor.page("/search?q=crowd");
    assert_shows(
        &page,
        &["60 images", "Page 1 of 3", "/search?q=crowd&#38;page=2"],
    );
    let last = visitor.page("/search?q=crowd&page=3");
    assert_eq!(last.matches("<li class=\"card\">").count(), 10);
    let long = "x".repeat(300);
    assert_eq!(visitor.get(&format!("/search?q={long}")).status(), 400);
    assert_eq!(visitor.get("/search?q=x&page=y").status(), 400);
    assert_eq!(visitor.get("/search?q=%00%ff%22%27").status(), 200);
}

/// Text that would run as a script wherever markup is made of it carelessly.
pub(crate) const HARM: &str =
    "\"'><script>window.harmed=1</script><img src=x onerror=\"window.harmed=1\">";

/// A hub where everything that a stranger may choose is harmful.
pub(crate) fn harmful() -> Hub {
    let hub = Hub::start();
    let image = usual()
        .config(json!({
            "Env": [format!("{HARM}={HARM}")],
            "Cmd": [HARM],
            "Entrypoint": [HARM],
            "WorkingDir": HARM,
            "User": HARM,
            "ExposedPorts": { HARM: {} },
            "Volumes": { HARM: {} },
            "StopSignal": HARM,
            "Healthcheck": { "Test": ["CMD", HARM] },
            "Labels": { HARM: HARM },
        }))
        .extra(json!({
            "author": HARM,
            "created": HARM,
            "history": [{ "created_by": HARM }, { "created_by": format!("RUN {HARM}") }],
        }));
    hub.fill("ship/harm:1", &image.make());
    let body = json!({ "description": HARM, "full_description": format!("{HARM}\n\n# {HARM}\n\n[x](javascript:window.harmed=1) ![{HARM}](https://x.example/{HARM})\n\n```{HARM}\n{HARM}\n```\n\n|a|\n|:-:|\n|{HARM}|\n") });
    let body = body.to_string();
    hub.expect(
        "PATCH",
        "/v2/repositories/ship/harm",
        &[],
        body.as_bytes(),
        200,
    );
    hub
}

#[test]
fn nothing_that_was_pushed_becomes_markup() {
    let hub = harmful();
    let mut visitor = Visitor::signed_in(&hub, "ship");
    let term = "%22%27%3E%3Cscript%3Ewindow.harmed%3D1%3C%2Fscript%3E";
    for target in [
        "/",
        "/search?q=harm",
        &format!("/search?q={term}"),
        "/r/ship/harm",
        "/r/ship/harm/-/tags",
        &format!("/r/ship/harm/-/tags?name={term}"),
        "/r/ship/harm/-/tags/1",
        &format!("/r/ship/harm/-/tags/1?platform={term}"),
        "/r/ship/harm/-/settings",
        "/u/ship",
        "/account",
    ] {
        let page = visitor.page(target);
        for part in ["<script>", "<img", "href=\"javascript"] {
            assert!(!page.contains(part), "{target}: {part} in {page}");
        }
    }
    for target in [
        format!("/r/{term}"),
        format!("/u/{term}"),
        format!("/sign-in?next={term}"),
    ] {
        let page = text(&Visitor::new(&hub).get(&target));
        assert!(!page.contains("<script>"), "{target}: {page}");
    }
}
