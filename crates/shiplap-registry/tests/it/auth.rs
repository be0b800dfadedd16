//! Authentication: who is asked, what is sent, and to whom nothing is sent.

use std::sync::Arc;

use serde_json::json;
use shiplap_model::digest::Digest;
use shiplap_model::reference::Repository;
use shiplap_registry::{Credential, Error, ManifestName, RegistryRule, Secret};

use crate::double::{Asked, Double, Reply};
use crate::{client, client_knowing, client_knowing_with, client_with, content, read, repository};

const TAG: ManifestName<'static> = ManifestName::Tag("t");

fn challenge(value: &str) -> Reply {
    Reply::new(401).header("WWW-Authenticate", value)
}

/// A registry that wants tokens of itself and calls them `t0`, `t1`, …; `good` says which it
/// takes.
fn token_registry(good: impl Fn(&Asked, &str) -> bool + Send + Sync + 'static) -> Double {
    Double::start(move |asked| {
        if asked.path.starts_with("/token") {
            let number = asked.before;
            return Reply::ok(
                json!({"token": format!("t{number}"), "expires_in": 300}).to_string(),
            );
        }
        match asked
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
        {
            Some(token) if good(asked, token) => Reply::ok("{}"),
            _ => {
                let host = asked.header("host").unwrap();
                challenge(&format!(
                    "Bearer realm=\"http://{host}/token\",service=\"s p\""
                ))
            }
        }
    })
}

fn tokens(double: &Double) -> Vec<Asked> {
    double
        .asked()
        .into_iter()
        .filter(|asked| asked.path.starts_with("/token"))
        .collect()
}

#[test]
fn anonymous_tokens_are_fetched_once_for_each_scope() {
    let double = token_registry(|_, _| true);
    let client = client();
    for path in ["a/b", "a/b", "c"] {
        client.manifest(&repository(&double, path), TAG).unwrap();
    }
    let asked: Vec<_> = tokens(&double).iter().map(Asked::line).collect();
    assert_eq!(
        asked,
        [
            "GET /token?service=s+p&scope=repository%3Aa%2Fb%3Apull",
            "GET /token?service=s+p&scope=repository%3Ac%3Apull",
        ]
    );
    assert_eq!(
        double.asked().len(),
        6,
        "the second repository needs no challenge"
    );
}

#[test]
fn tokens_are_shared_by_threads() {
    let double = Arc::new(token_registry(|_, _| true));
    let client = client();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| client.manifest(&repository(&double, "a"), TAG).unwrap());
        }
    });
    assert_eq!(tokens(&double).len(), 1);
}

#[test]
fn a_token_that_is_refused_is_replaced() {
    let double = token_registry(|asked, token| {
        if asked.path.contains("/b/") {
            token == "t1"
        } else {
            true
        }
    });
    let client = client();
    client.manifest(&repository(&double, "a"), TAG).unwrap();
    client.manifest(&repository(&double, "b"), TAG).unwrap();
    let double = token_registry(|_, _| false);
    let error = client.manifest(&repository(&double, "a"), TAG).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert_eq!(tokens(&double).len(), 2, "no endless dance");
}

#[test]
fn a_mount_asks_for_both_repositories() {
    let double =
        Double::start(
            |asked| match (asked.method.as_str(), asked.header("authorization")) {
                ("GET", _) => Reply::ok(r#"{"access_token":"both"}"#),
                (_, Some("Bearer both")) => Reply::new(201),
                _ => challenge(&format!(
                    "Bearer realm=\"http://{}/token\"",
                    asked.header("host").unwrap()
                )),
            },
        );
    let digest = Digest::of(b"x");
    assert!(
        client()
            .mount(
                &repository(&double, "to"),
                &repository(&double, "from/x"),
                &digest
            )
            .unwrap()
    );
    assert_eq!(
        tokens(&double)[0].path,
        "/token?scope=repository%3Afrom%2Fx%3Apull&scope=repository%3Ato%3Apull%2Cpush"
    );
    let mount = double
        .asked()
        .into_iter()
        .find(|asked| asked.method == "POST")
        .unwrap();
    assert_eq!(
        mount.path,
        format!(
            "/v2/to/blobs/uploads/?mount=sha256%3A{}&from=from%2Fx",
            digest.encoded()
        )
    );
}

#[test]
fn basic_goes_to_the_registry_that_asks() {
    let double = Double::start(|asked| match asked.header("authorization") {
        Some("Basic bWU6czpjcmV0") => Reply::ok("{}"),
        Some(other) => panic!("{other}"),
        None => challenge("Basic realm=\"x\""),
    });
    let (known, _directory) = client_knowing(&json!({double.host(): {"auth": "bWU6czpjcmV0"}}));
    known.manifest(&repository(&double, "a"), TAG).unwrap();
    known.manifest(&repository(&double, "a"), TAG).unwrap();
    assert_eq!(double.asked().len(), 3, "asked once without");
    let stranger = client().manifest(&repository(&double, "a"), TAG);
    assert!(matches!(stranger, Err(Error::Unauthorized { .. })));
}

#[test]
fn passwords_and_identity_tokens_buy_tokens() {
    for (entry, method, authorization, body) in [
        (
            json!({"auth": "bWU6cHc="}),
            "GET",
            Some("Basic bWU6cHc="),
            "",
        ),
        (
            json!({"auth": "bWU6", "identitytoken": "refresh&me"}),
            "POST",
            None,
            "grant_type=refresh_token&client_id=shiplap&refresh_token=refresh%26me&service=s+p&scope=repository%3Aa%3Apull",
        ),
    ] {
        let double = token_registry(|_, _| true);
        let (client, _directory) = client_knowing(&json!({double.host(): entry}));
        client.manifest(&repository(&double, "a"), TAG).unwrap();
        let asked = &tokens(&double)[0];
        assert_eq!(
            (asked.method.as_str(), asked.header("authorization")),
            (method, authorization)
        );
        assert_eq!(String::from_utf8_lossy(&asked.body), body);
    }
    let double = Double::start(|asked| match asked.header("authorization") {
        Some("Bearer known") => Reply::ok("{}"),
        _ => challenge("Bearer realm=\"http://127.0.0.1:1/\""),
    });
    let (client, _directory) = client_knowing(&json!({double.host(): {"registrytoken": "known"}}));
    client.manifest(&repository(&double, "a"), TAG).unwrap();
}

#[test]
fn credentials_stay_with_the_registry_they_are_for() {
    // Redirected elsewhere: no header, and a challenge from there is not answered.
    let blob = content(100);
    let digest = Digest::of(&blob);
    let thief = Arc::new(Double::start(|_| challenge("Basic realm=\"give\"")));
    let to = format!("http://{}/cdn", thief.host());
    let double = Double::start(move |asked| match asked.header("authorization") {
        Some(_) => Reply::new(307).header("Location", &to),
        None => challenge("Basic realm=\"x\""),
    });
    let auths = json!({double.host(): {"auth": "bWU6cHc="}, thief.host(): {"auth": "bWU6cHc="}});
    let (client, _directory) = client_knowing(&auths);
    let error = client
        .open_blob(&repository(&double, "a"), &digest, 100)
        .unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert_eq!(thief.asked().len(), 1);
    assert!(thief.asked()[0].header("authorization").is_none());

    // A token server that redirects: not followed, as the request holds the password.
    let to = format!("http://{}/token", thief.host());
    let double = Double::start(move |asked| match asked.path.starts_with("/token") {
        true => Reply::new(307).header("Location", &to),
        false => challenge(&challenge_with(&format!(
            "http://{}/token",
            asked.header("host").unwrap()
        ))),
    });
    let (client, _directory) = client_knowing(&json!({double.host(): {"auth": "bWU6cHc="}}));
    assert!(client.manifest(&repository(&double, "a"), TAG).is_err());
    assert_eq!(thief.asked().len(), 1, "nothing more than before");
}

/// A token server that gives `named` for the password and `anybody` for nothing, if `open`.
fn token_server(open: bool) -> Double {
    Double::start(move |asked| {
        let known = asked.header("authorization") == Some("Basic bWU6cHc=")
            || String::from_utf8_lossy(&asked.body).contains("refresh_token=keep");
        match known {
            true => Reply::ok(r#"{"token":"named"}"#),
            false if open => Reply::ok(r#"{"token":"anybody"}"#),
            false => Reply::new(401),
        }
    })
}

/// A registry that names `tokens` as its token server. Anybody may read `public`.
fn registry_of(tokens: &Double) -> Double {
    let realm = challenge_with(&format!("http://{}/token", tokens.host()));
    Double::start(move |asked| match asked.header("authorization") {
        Some("Bearer named") => Reply::ok("{}"),
        Some("Bearer anybody") if asked.path.contains("/public/") => Reply::ok("{}"),
        Some("Bearer anybody") if asked.path.contains("/denied/") => Reply::new(403),
        _ => challenge(&realm),
    })
}

fn naming(registry: &Double, token_server: &str) -> Vec<RegistryRule> {
    vec![RegistryRule {
        prefix: registry.host(),
        token_servers: vec![token_server.to_owned()],
        ..RegistryRule::default()
    }]
}

/// Nothing that could be a credential came in.
fn assert_anonymous(double: &Double) {
    for asked in double.asked() {
        assert_eq!(asked.header("authorization"), None, "{asked:?}");
        assert_eq!((asked.method.as_str(), asked.body.len()), ("GET", 0));
        assert!(!asked.path.contains("account="), "{asked:?}");
    }
}

#[test]
fn a_token_server_at_another_port_is_asked_without_credentials() {
    for entry in [
        json!({"auth": "bWU6cHc="}),
        json!({"auth": "bWU6", "identitytoken": "keep"}),
    ] {
        for (open, path, status) in [
            (true, "public", None),
            (true, "private", Some(401)),
            (true, "denied", Some(403)),
            (false, "private", Some(401)),
        ] {
            let tokens = token_server(open);
            let registry = registry_of(&tokens);
            let (client, _directory) = client_knowing(&json!({registry.host(): entry}));
            let got = client.manifest(&repository(&registry, path), TAG);
            assert_anonymous(&tokens);
            assert!(!tokens.asked().is_empty(), "{path}");
            let Some(status) = status else {
                assert!(got.is_ok(), "{path}: {got:?}");
                continue;
            };
            let error = got.unwrap_err();
            assert!(matches!(error, Error::Withheld { .. }), "{error:?}");
            assert_eq!(error.refusal().unwrap().status, status, "{error:?}");
            let words = format!(
                "the credentials for {} were not sent to the token server http://{}; \
                 `token_servers` of the registry's rule allows it: HTTP status {status}",
                registry.host(),
                tokens.host()
            );
            assert!(error.to_string().ends_with(&words), "{error}");
        }
    }
    // Without credentials nothing is withheld.
    let tokens = token_server(true);
    let registry = registry_of(&tokens);
    let error = client().manifest(&repository(&registry, "private"), TAG);
    assert!(
        matches!(error, Err(Error::Unauthorized { .. })),
        "{error:?}"
    );
}

#[test]
fn a_token_server_that_the_rule_names_gets_credentials() {
    for entry in [
        json!({"auth": "bWU6cHc="}),
        json!({"auth": "bWU6", "identitytoken": "keep"}),
    ] {
        let tokens = token_server(false);
        let registry = registry_of(&tokens);
        let rules = naming(&registry, &format!("http://{}", tokens.host()));
        let (client, _directory) = client_knowing_with(&json!({registry.host(): entry}), rules);
        client
            .manifest(&repository(&registry, "private"), TAG)
            .unwrap();
    }
    // Another one, or one by another scheme, is not that one.
    let (tokens, other) = (token_server(true), token_server(true));
    let registry = registry_of(&tokens);
    for server in [
        format!("http://{}", other.host()),
        format!("https://{}", tokens.host()),
    ] {
        let auths = json!({registry.host(): {"auth": "bWU6cHc="}});
        let (client, _directory) = client_knowing_with(&auths, naming(&registry, &server));
        let error = client.manifest(&repository(&registry, "private"), TAG);
        assert!(matches!(error, Err(Error::Withheld { .. })), "{error:?}");
        assert_anonymous(&tokens);
    }
}

#[test]
fn login_asks_no_token_server_that_gets_no_credentials() {
    let tokens = token_server(true);
    let registry = registry_of(&tokens);
    let error = client()
        .login(&registry.host(), &password("pw"))
        .unwrap_err();
    assert!(matches!(error, Error::Withheld { .. }), "{error:?}");
    let words = format!(
        "access {0}: the credentials for {0} were not sent to the token server http://{1}; \
         `token_servers` of the registry's rule allows it",
        registry.host(),
        tokens.host()
    );
    assert_eq!(error.to_string(), words);
    assert!(tokens.asked().is_empty());

    let rules = naming(&registry, &format!("http://{}", tokens.host()));
    let kept = client_with(rules)
        .0
        .login(&registry.host(), &password("pw"));
    assert_eq!(kept.unwrap(), password("pw"));
}

fn challenge_with(realm: &str) -> String {
    format!("Bearer realm=\"{realm}\",service=\"x\"")
}

#[test]
fn a_redirect_within_the_registry_keeps_the_token() {
    let blob = content(100);
    let (digest, served) = (Digest::of(&blob), blob.clone());
    let double = Double::start(move |asked| match asked.header("authorization") {
        None => challenge("Basic realm=\"x\""),
        Some(_) if asked.path == "/data" => Reply::ok(&served),
        Some(_) => Reply::new(302).header("Location", "/data"),
    });
    let (client, _directory) = client_knowing(&json!({double.host(): {"auth": "bWU6cHc="}}));
    assert!(read(&client, &repository(&double, "a"), &digest, 100).unwrap() == blob);
}

#[test]
fn challenges_that_make_no_sense() {
    for (header, words) in [
        ("Bearer service=x", "no realm"),
        ("Bearer realm=\"no address\"", "no address"),
        ("Bearer realm=\"ftp://127.0.0.1/\"", "not an http"),
        ("Digest realm=x", "401"),
        ("%%%", "401"),
    ] {
        let double = Double::start(move |_| challenge(header));
        let error = client()
            .manifest(&repository(&double, "a"), TAG)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{header}: {error}");
    }
    let double = Double::start(|asked| match asked.path.as_str() {
        "/token?service=x&scope=repository%3Aa%3Apull" => Reply::ok(r#"{"token":""}"#),
        _ => challenge(&challenge_with(&format!(
            "http://{}/token",
            asked.header("host").unwrap()
        ))),
    });
    let error = client()
        .manifest(&repository(&double, "a"), TAG)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no token"), "{error}");
}

fn password(password: &str) -> Credential {
    Credential::Password {
        username: "me".to_owned(),
        password: Secret::new(password),
    }
}

#[test]
fn login_proves_and_returns_what_to_keep() {
    let double = Double::start(|asked| match asked.header("authorization") {
        Some("Basic bWU6cHc=") => Reply::ok("{}"),
        _ => challenge("Basic realm=x"),
    });
    assert_eq!(
        client().login(&double.host(), &password("pw")).unwrap(),
        password("pw")
    );
    let wrong = client().login(&double.host(), &password("no"));
    assert!(
        matches!(wrong, Err(Error::Unauthorized { .. })),
        "{wrong:?}"
    );

    let double = Double::start(|asked| {
        match (
            asked.path.starts_with("/token"),
            asked.header("authorization"),
        ) {
            (true, Some("Basic bWU6cHc=")) => {
                Reply::ok(r#"{"token":"t","refresh_token":"keep me"}"#)
            }
            (true, _) => Reply::new(401).body(r#"{"details":"incorrect username or password"}"#),
            (false, Some("Bearer t")) => Reply::ok("{}"),
            (false, _) => challenge(&challenge_with(&format!(
                "http://{}/token",
                asked.header("host").unwrap()
            ))),
        }
    });
    let kept = client().login(&double.host(), &password("pw")).unwrap();
    let token = Secret::new("keep me");
    assert_eq!(
        kept,
        Credential::IdentityToken {
            username: "me".to_owned(),
            token
        }
    );
    assert!(
        tokens(&double)[0]
            .path
            .contains("account=me&client_id=shiplap&offline_token=true")
    );
    let wrong = client().login(&double.host(), &password("no")).unwrap_err();
    assert!(matches!(wrong, Error::Unauthorized { .. }), "{wrong:?}");
    assert!(wrong.to_string().contains("incorrect username or password"));
    assert!(client().ping(&double.host()).is_err());
}

#[test]
fn nothing_secret_is_shown() {
    let double = token_registry(|_, _| false);
    let (client, _directory) =
        client_knowing(&json!({double.host(): {"auth": "bWU6aHVudGVyMg=="}}));
    let error = client.manifest(&repository(&double, "a"), TAG).unwrap_err();
    let shown = format!("{error} {error:?} {client:?} {:?}", password("hunter2"));
    for secret in ["hunter2", "bWU6aHVudGVyMg", "t0", "t1"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn a_registry_that_wants_https_says_so() {
    // What web servers answer to plain http on a TLS port; https is tried, and is not spoken here.
    let double = Double::start(|_| {
        Reply::new(400).body("Client sent an HTTP request to an HTTPS server.\n")
    });
    let name = Repository::parse(&format!("{}/a", double.host())).unwrap();
    let error = client().manifest(&name, TAG).unwrap_err();
    assert_eq!(
        error.refusal().map(|refusal| refusal.status),
        Some(400),
        "{error:?}"
    );
}
