#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use super::*;
use crate::authorization::{Caller, Decision, Grant, Level, Place, Role, User, decide};

/// What a route does to a repository, or asks otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Everybody,
    Credential,
    Account,
    Site,
    Pull,
    Push,
    Delete,
    Star,
    Administer,
    Own,
}
use Class::*;

/// A row for every route: a route without one fails.
const ROWS: &[(&str, &str, Class)] = &[
    ("GET", "/health/live", Everybody),
    ("GET", "/health/ready", Everybody),
    ("GET", "/metrics", Site),
    ("GET", "/token", Everybody),
    ("POST", "/token", Everybody),
    ("GET", "/v1/_ping", Everybody),
    ("GET", "/v1/search", Everybody),
    ("POST", "/v2/users/login", Everybody),
    ("GET", "/v2/search/repositories", Everybody),
    ("GET", "/v2/access-tokens", Account),
    ("POST", "/v2/access-tokens", Account),
    ("DELETE", "/v2/access-tokens/{token}", Account),
    ("GET", "/v2/repositories/{namespace}", Everybody),
    ("GET", "/v2/repositories/{name}/tags", Pull),
    ("GET", "/v2/repositories/{name}/tags/{tag}", Pull),
    ("PUT", "/v2/repositories/{name}/star", Star),
    ("DELETE", "/v2/repositories/{name}/star", Star),
    ("GET", "/v2/repositories/{name}", Pull),
    ("PATCH", "/v2/repositories/{name}", Administer),
    ("DELETE", "/v2/repositories/{name}", Administer),
    ("GET", "/v2", Credential),
    ("HEAD", "/v2", Credential),
    ("GET", "/v2/_catalog", Everybody),
    ("GET", "/v2/{name}/tags/list", Pull),
    ("GET", "/v2/{name}/referrers/{digest}", Pull),
    ("GET", "/v2/{name}/manifests/{reference}", Pull),
    ("HEAD", "/v2/{name}/manifests/{reference}", Pull),
    ("PUT", "/v2/{name}/manifests/{reference}", Push),
    ("DELETE", "/v2/{name}/manifests/{reference}", Delete),
    ("POST", "/v2/{name}/blobs/uploads", Push),
    ("GET", "/v2/{name}/blobs/uploads/{upload}", Push),
    ("PATCH", "/v2/{name}/blobs/uploads/{upload}", Push),
    ("PUT", "/v2/{name}/blobs/uploads/{upload}", Push),
    ("DELETE", "/v2/{name}/blobs/uploads/{upload}", Push),
    ("GET", "/v2/{name}/blobs/{digest}", Pull),
    ("HEAD", "/v2/{name}/blobs/{digest}", Pull),
    ("DELETE", "/v2/{name}/blobs/{digest}", Delete),
    ("GET", "/openapi.json", Everybody),
    ("GET", "/", Everybody),
    ("GET", "/search", Everybody),
    ("GET", "/assets/{asset}", Everybody),
    ("GET", "/sign-in", Everybody),
    ("POST", "/sign-in", Everybody),
    ("POST", "/sign-out", Everybody),
    ("GET", "/account", Account),
    ("GET", "/account/stars", Account),
    ("GET", "/account/organisations", Account),
    ("POST", "/account/organisations", Site),
    ("GET", "/account/password", Account),
    ("POST", "/account/password", Account),
    ("GET", "/account/tokens", Account),
    ("POST", "/account/tokens", Account),
    ("POST", "/account/tokens/{token}/revoke", Account),
    ("GET", "/u/{namespace}", Everybody),
    ("POST", "/u/{namespace}/-/members", Own),
    ("GET", "/r/{name}/-/tags", Pull),
    ("GET", "/r/{name}/-/tags/{tag}", Pull),
    ("GET", "/r/{name}/-/settings", Administer),
    ("POST", "/r/{name}/-/settings", Administer),
    ("POST", "/r/{name}/-/remove", Administer),
    ("POST", "/r/{name}/-/star", Star),
    ("GET", "/r/{name}", Pull),
];

/// What becomes of each caller's request: `+` done, `c` asked for a credential, `d` denied, `h`
/// answered as if nothing were there. Callers in the order of [`callers`], places in that of
/// [`places`]. What is private and what is absent must be the same.
fn expected(class: Class) -> [&'static str; 5] {
    match class {
        Everybody => ["+++++++++"; 5],
        Credential => ["c++++++++"; 5],
        Account => ["cc++++dc+"; 5],
        Site => ["ccdddddc+"; 5],
        Pull => [
            "+++++++++",
            "cch++++c+",
            "cch++++c+",
            "cchhhhhhh",
            "+++++++++",
        ],
        Push => [
            "ccdd++dc+",
            "ccdd++dc+",
            "ccdd++dc+",
            "ccddddddd",
            "ccddddddd",
        ],
        Delete => [
            "ccdd++dc+",
            "cchd++dc+",
            "cchd++dc+",
            "cchhhhhhh",
            "ccdddddd+",
        ],
        Star => [
            "cc++++dc+",
            "cch+++dc+",
            "cch+++dc+",
            "cchhhhhhh",
            "cc++++dc+",
        ],
        Administer => [
            "ccddd+dc+",
            "cchdd+dc+",
            "cchdd+dc+",
            "cchhhhhhh",
            "ccdddddd+",
        ],
        Own => [
            "cchdd+dc+",
            "cchdd+dc+",
            "cchdd+dc+",
            "cchhhhhch",
            "cchhhhhc+",
        ],
    }
}

/// Each caller, and its role in the namespace.
fn callers() -> Vec<(Caller, Option<Role>)> {
    let user = |is_admin: bool, level: Level, grants: Option<Vec<Grant>>| Caller {
        user: Some(User {
            id: 1,
            name: "someone".to_owned(),
            is_admin,
            level,
        }),
        has_credential: true,
        grants,
    };
    let anonymous = Caller {
        user: None,
        has_credential: true,
        grants: Some(Vec::new()),
    };
    let other = Grant {
        repository: "team/other".to_owned(),
        actions: ["pull", "push", "delete"].map(str::to_owned).to_vec(),
    };
    let password = |is_admin| user(is_admin, Level::Admin, None);
    vec![
        (Caller::default(), None),
        (anonymous, None),
        (password(false), None),
        (password(false), Some(Role::Reader)),
        (password(false), Some(Role::Writer)),
        (password(false), Some(Role::Owner)),
        (user(false, Level::Read, None), Some(Role::Owner)),
        (
            user(false, Level::Admin, Some(vec![other])),
            Some(Role::Owner),
        ),
        (password(true), Some(Role::Owner)),
    ]
}

/// A public repository, a private one, one that is not there, one whose namespace is not there, and
/// one of another registry, where only who runs the hub has a role.
fn places(role: Option<Role>, is_admin: bool) -> [Place; 5] {
    let place = |repository: Option<i64>, is_private: bool, has_namespace: bool| Place {
        name: "team/app".to_owned(),
        repository,
        is_private,
        role: role.filter(|_| has_namespace),
        has_namespace,
        is_mirror: false,
    };
    [
        place(Some(1), false, true),
        place(Some(1), true, true),
        place(None, false, true),
        place(None, false, false),
        Place {
            role: role.filter(|_| is_admin),
            is_mirror: true,
            ..place(None, false, true)
        },
    ]
}

#[test]
fn every_route_has_its_row() {
    for route in ROUTES {
        let found = ROWS
            .iter()
            .filter(|(method, pattern, _)| {
                *method == route.method.as_str() && *pattern == route.pattern
            })
            .count();
        assert_eq!(found, 1, "{} {}", route.method, route.pattern);
    }
    assert_eq!(ROWS.len(), ROUTES.len());
}

#[test]
fn everybody_may_what_the_matrix_says() {
    for (method, pattern, class) in ROWS {
        let route = ROUTES
            .iter()
            .find(|route| route.method.as_str() == *method && route.pattern == *pattern)
            .unwrap();
        for (number, (caller, role)) in callers().iter().enumerate() {
            let is_admin = caller.user.as_ref().is_some_and(|user| user.is_admin);
            for (place, row) in places(*role, is_admin).iter().zip(expected(*class)) {
                let want = row.as_bytes()[number] as char;
                let found = match decide(caller, route.need, Some(place)) {
                    Decision::Allow => '+',
                    Decision::Challenge => 'c',
                    Decision::Deny => 'd',
                    Decision::Hide => 'h',
                };
                assert_eq!(found, want, "{method} {pattern}: {caller:?} {place:?}");
            }
        }
    }
}

#[test]
fn private_and_absent_look_the_same() {
    for class in [Pull, Push, Delete, Star, Administer] {
        let [_, private, absent, _, _] = expected(class);
        assert_eq!(private, absent, "{class:?}");
    }
}

#[test]
fn a_grant_is_for_its_repository_and_its_rights_alone() {
    let (mut caller, role) = callers().into_iter().nth(5).unwrap();
    let grant = |repository: &str, action: &str| {
        Some(vec![Grant {
            repository: repository.to_owned(),
            actions: vec![action.to_owned()],
        }])
    };
    let [public, private, absent, _, _] = places(role, false);
    let mut check = |grants, right: Right, place: &Place, want: Decision| {
        caller.grants = grants;
        let found = decide(&caller, Need::Repository(right), Some(place));
        assert_eq!(found, want, "{:?} {right:?}", caller.grants);
    };
    check(
        grant("team/app", "pull"),
        Right::Pull,
        &private,
        Decision::Allow,
    );
    check(
        grant("team/app", "push"),
        Right::Push,
        &absent,
        Decision::Allow,
    );
    check(
        grant("team/app", "pull"),
        Right::Push,
        &private,
        Decision::Challenge,
    );
    check(
        grant("team/app", "push"),
        Right::Delete,
        &public,
        Decision::Challenge,
    );
    check(
        grant("team/ap", "push"),
        Right::Push,
        &public,
        Decision::Challenge,
    );
    check(
        grant("team/other", "pull"),
        Right::Pull,
        &public,
        Decision::Allow,
    );
}

/// Checks which route a path finds, and what its parameters are then.
#[track_caller]
fn check_path(method: &Method, path: &str, want: Option<(&str, &[(&str, &str)])>) {
    let found = find(method, path).ok();
    let found = found.map(|(route, parameters)| (route.pattern, parameters));
    match (found, want) {
        (None, None) => {}
        (Some((pattern, parameters)), Some((wanted, values))) => {
            assert_eq!(pattern, wanted, "{method} {path}");
            for (name, value) in values {
                assert_eq!(parameters.get(name), *value, "{method} {path}: {name}");
            }
        }
        (found, want) => panic!("{method} {path}: {found:?} instead of {want:?}"),
    }
}

#[test]
fn paths_find_their_routes() {
    let check = |method: Method, path: &str, want: Option<(&str, &[(&str, &str)])>| {
        check_path(&method, path, want);
    };
    let blob = "/v2/{name}/blobs/{digest}";
    let upload = "/v2/{name}/blobs/uploads/{upload}";
    check(Method::GET, "/v2/", Some(("/v2", &[])));
    check(Method::GET, "/v2", Some(("/v2", &[])));
    check(
        Method::GET,
        "/v2/a/b/c/blobs/sha256:0",
        Some((blob, &[("name", "a/b/c"), ("digest", "sha256:0")])),
    );
    check(
        Method::GET,
        "/v2/blobs/blobs/blobs/sha256:0",
        Some((blob, &[("name", "blobs/blobs")])),
    );
    check(
        Method::POST,
        "/v2/a/blobs/uploads/",
        Some(("/v2/{name}/blobs/uploads", &[("name", "a")])),
    );
    check(
        Method::PATCH,
        "/v2/a/b/blobs/uploads/x",
        Some((upload, &[("name", "a/b"), ("upload", "x")])),
    );
    check(
        Method::GET,
        "/v2/a/manifests/b/manifests/latest",
        Some((
            "/v2/{name}/manifests/{reference}",
            &[("name", "a/manifests/b"), ("reference", "latest")],
        )),
    );
    check(
        Method::GET,
        "/v2/a%2Fb/tags/list",
        Some(("/v2/{name}/tags/list", &[("name", "a/b")])),
    );
    check(
        Method::GET,
        "/v2/repositories/library/python/tags/",
        Some((
            "/v2/repositories/{name}/tags",
            &[("name", "library/python")],
        )),
    );
    check(Method::GET, "/v2/a/blobs/uploads/x/y", None);
    check(Method::GET, "/v2/blobs/x", None);
    check(Method::POST, "/v2/a/b/tags/list", None);
    check(Method::GET, "/v2/%ff/tags/list", None);
}

#[test]
fn paths_of_pages_find_their_routes() {
    let check = |method: Method, path: &str, want: Option<(&str, &[(&str, &str)])>| {
        check_path(&method, path, want);
    };
    check(Method::GET, "/", Some(("/", &[])));
    check(Method::HEAD, "/", Some(("/", &[])));
    check(Method::HEAD, "/v1/search", None);
    let page = "/r/{name}";
    check(Method::GET, "/r/a/b/c", Some((page, &[("name", "a/b/c")])));
    check(Method::GET, "/r/tags", Some((page, &[("name", "tags")])));
    check(
        Method::GET,
        "/r/a/tags/-/tags/1",
        Some((
            "/r/{name}/-/tags/{tag}",
            &[("name", "a/tags"), ("tag", "1")],
        )),
    );
    check(Method::POST, "/r/a/b", None);
    check(Method::GET, "/r", None);
}
