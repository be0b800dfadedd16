//! Names and rules to places.

use super::*;
use crate::settings::RegistryRule;

fn rule(prefix: &str, mirrors: &[&str], location: Option<&str>, insecure: bool) -> RegistryRule {
    RegistryRule {
        prefix: prefix.to_owned(),
        mirrors: mirrors.iter().map(ToString::to_string).collect(),
        location: location.map(str::to_owned),
        insecure,
        token_servers: Vec::new(),
    }
}

fn shown(place: &Place) -> String {
    let schemes: Vec<_> = place.schemes.iter().map(|scheme| scheme.name()).collect();
    format!(
        "{} {}/{}{} as {}",
        schemes.join(","),
        place.host,
        place.repository,
        if place.verified { "" } else { " unverified" },
        place.credential_name.as_deref().unwrap_or("nobody"),
    )
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn names_to_places() {
    let rules = vec![
        rule(
            "docker.io",
            &["mirror.test", "http://10.0.0.1:5000/hub/"],
            None,
            false,
        ),
        rule("docker.io/library", &[], Some("official.test/base"), false),
        rule("old.test", &[], Some("new.test:8443"), false),
        rule("lab.test", &["fast.lab.test"], None, true),
        rule("back.test", &[], Some("docker.io/someone"), false),
        rule("strict.test", &[], Some("https://localhost:5000"), false),
    ];
    let settings = Settings {
        rules,
        ..Settings::default()
    };
    for (registry, path, want) in [
        (
            "docker.io",
            "bitnami/redis",
            &[
                "https mirror.test/bitnami/redis as mirror.test/bitnami/redis",
                "http 10.0.0.1:5000/hub/bitnami/redis as 10.0.0.1:5000/hub/bitnami/redis",
                "https registry-1.docker.io/bitnami/redis as docker.io/bitnami/redis",
            ][..],
        ),
        (
            "docker.io",
            "library/python",
            &["https official.test/base/python as official.test/base/python"],
        ),
        (
            "docker.io",
            "libraryx/a",
            &[
                "https mirror.test/libraryx/a as mirror.test/libraryx/a",
                "http 10.0.0.1:5000/hub/libraryx/a as 10.0.0.1:5000/hub/libraryx/a",
                "https registry-1.docker.io/libraryx/a as docker.io/libraryx/a",
            ],
        ),
        (
            "old.test",
            "a",
            &["https new.test:8443/a as new.test:8443/a"],
        ),
        (
            "old.test:5000",
            "a",
            &["https old.test:5000/a as old.test:5000/a"],
        ),
        (
            "lab.test",
            "a",
            &[
                "https,http fast.lab.test/a unverified as fast.lab.test/a",
                "https,http lab.test/a unverified as lab.test/a",
            ],
        ),
        (
            "back.test",
            "a",
            &["https registry-1.docker.io/someone/a as docker.io/someone/a"],
        ),
        (
            "localhost:5000",
            "a",
            &["http,https localhost:5000/a unverified as localhost:5000/a"],
        ),
        (
            "127.3.2.1",
            "a",
            &["http,https 127.3.2.1/a unverified as 127.3.2.1/a"],
        ),
        (
            "[::1]:5000",
            "a",
            &["http,https [::1]:5000/a unverified as [::1]:5000/a"],
        ),
        (
            "strict.test",
            "a",
            &["https localhost:5000/a as localhost:5000/a"],
        ),
        (
            "localhost.test",
            "a",
            &["https localhost.test/a as localhost.test/a"],
        ),
    ] {
        let got: Vec<_> = places(&settings, registry, path)
            .unwrap()
            .iter()
            .map(shown)
            .collect();
        assert_eq!(got, want, "{registry}/{path}");
    }
}

#[test]
fn services_of_docker_hub() {
    let own_hub = vec![rule("docker.io", &[], Some("hub.test"), false)];
    let settings = [
        Settings::default(),
        Settings {
            rules: own_hub,
            ..Settings::default()
        },
    ];
    for (service, at_docker, at_own) in [
        (
            Service::Search,
            "https index.docker.io/ as docker.io",
            "https hub.test/ as hub.test",
        ),
        (
            Service::HubApi,
            "https hub.docker.com/ as nobody",
            "https hub.test/ as hub.test",
        ),
    ] {
        for (settings, want) in settings.iter().zip([at_docker, at_own]) {
            assert_eq!(
                shown(&registry_place(settings, "docker.io", "", service).unwrap()),
                want
            );
        }
    }
}

#[test]
fn token_servers_are_those_of_the_registrys_own_rule() {
    let named = |mut rule: RegistryRule, server: &str| {
        rule.token_servers = vec![server.to_owned()];
        rule
    };
    let settings = Settings {
        rules: vec![
            named(
                rule("reg.test", &["http://mirror.test:1/hub"], None, false),
                "https://a.test/",
            ),
            named(rule("reg.test/team", &[], None, false), "https://b.test"),
            named(rule("mirror.test:1", &[], None, false), "http://c.test:80"),
            named(
                rule("old.test", &[], Some("new.test"), false),
                "http://d.test:81",
            ),
        ],
        ..Settings::default()
    };
    for (registry, path, want) in [
        ("reg.test", "x", &["http://c.test", "https://a.test"][..]),
        ("reg.test", "", &["http://c.test", "https://a.test"]),
        ("reg.test", "team/x", &["https://b.test"]),
        ("old.test", "x", &["http://d.test:81"]),
        ("new.test", "x", &[]),
        ("mirror.test:1", "x", &["http://c.test"]),
        ("mirror.test", "x", &[]),
    ] {
        let places = places(&settings, registry, path).unwrap();
        let got = places.iter().flat_map(|place| &place.token_servers);
        let got: Vec<_> = got.map(Origin::ascii_serialization).collect();
        assert_eq!(got, want, "{registry}/{path}");
    }
    for server in [
        "",
        "a.test",
        "localhost:5001",
        "ftp://a.test",
        "http://",
        "http://me@a.test",
        "http://a.test/token",
        "http://a.test?x",
        "http://a.test#x",
    ] {
        let settings = Settings {
            rules: vec![named(rule("reg.test", &[], None, false), server)],
            ..Settings::default()
        };
        let refused = registry_place(&settings, "reg.test", "x", Service::Distribution);
        assert!(
            matches!(refused, Err(Error::TokenServer(_))),
            "{server:?}: {refused:?}"
        );
    }
}

#[test]
fn names_that_are_no_places() {
    for name in [
        "",
        "ftp://a.test",
        "user@a.test",
        "a b",
        "a.test?x",
        "a.test:port",
    ] {
        let refused = registry_place(&Settings::default(), name, "", Service::Distribution);
        assert!(
            matches!(refused, Err(Error::Address(_))),
            "{name:?}: {refused:?}"
        );
    }
}
