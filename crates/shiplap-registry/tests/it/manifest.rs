//! Manifests: bounds, digests, repetition, mirrors.

use std::time::{Duration, Instant};

use shiplap_model::digest::Digest;
use shiplap_model::limits;
use shiplap_model::media_type::OCI_MANIFEST;
use shiplap_model::reference::{Reference, Repository};
use shiplap_registry::{Error, ManifestName, RegistryRule, Warning};

use crate::double::{Asked, Double, Reply};
use crate::{client, client_with, repository};

const MANIFEST: &[u8] = b"{\"schemaVersion\":2}";

fn typed(reply: Reply) -> Reply {
    reply.header(
        "Content-Type",
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
    )
}

fn get(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Result<Digest, Error>, Double) {
    let double = Double::start(reply);
    let fetched = client().manifest(&repository(&double, "a/b"), ManifestName::Tag("1.0"));
    let fetched = fetched.map(|manifest| {
        assert_eq!(manifest.bytes, MANIFEST);
        assert_eq!(manifest.host, double.host());
        manifest.digest
    });
    (fetched, double)
}

#[test]
fn is_kept_as_received() {
    let double = Double::start(|_| typed(Reply::ok(MANIFEST)));
    let fetched = client()
        .manifest(&repository(&double, "a/b"), ManifestName::Tag("1.0"))
        .unwrap();
    assert_eq!(fetched.digest, Digest::of(MANIFEST));
    assert_eq!(fetched.media_type.as_deref(), Some(OCI_MANIFEST));
    let asked = &double.asked()[0];
    assert_eq!(asked.line(), "GET /v2/a/b/manifests/1.0");
    for media_type in shiplap_model::media_type::ACCEPTED_MANIFESTS {
        assert!(
            asked
                .header("accept")
                .unwrap()
                .split(", ")
                .any(|accepted| accepted == media_type)
        );
    }
}

#[test]
fn every_digest_is_checked() {
    let (right, wrong) = (Digest::of(MANIFEST), Digest::of(b"other"));
    let by_tag = ManifestName::Tag("t");
    let sha512 = {
        let mut hasher =
            shiplap_model::digest::Hasher::new(shiplap_model::digest::Algorithm::Sha512);
        hasher.update(MANIFEST);
        hasher.finish()
    };
    for (asked, named, want) in [
        (by_tag, None, Some(&right)),
        (by_tag, Some(&right), Some(&right)),
        (by_tag, Some(&sha512), Some(&sha512)),
        (by_tag, Some(&wrong), None),
        (ManifestName::Digest(&right), None, Some(&right)),
        (ManifestName::Digest(&right), Some(&sha512), Some(&right)),
        (ManifestName::Digest(&sha512), None, Some(&sha512)),
        (ManifestName::Digest(&wrong), None, None),
        (ManifestName::Digest(&wrong), Some(&wrong), None),
    ] {
        let header = named.map(ToString::to_string);
        let double = Double::start(move |_| match &header {
            Some(digest) => Reply::ok(MANIFEST).header("Docker-Content-Digest", digest),
            None => Reply::ok(MANIFEST),
        });
        let got = client().manifest(&repository(&double, "a"), asked);
        match want {
            Some(digest) => assert_eq!(got.unwrap().digest, *digest, "{asked:?} {named:?}"),
            None => assert!(
                matches!(got, Err(Error::Content { .. })),
                "{asked:?} {named:?}"
            ),
        }
    }
}

#[test]
fn larger_than_the_bound_is_refused_while_it_is_read() {
    let (got, _) = get(|_| Reply::ok([]).declared(100_000_000));
    assert!(
        matches!(
            got,
            Err(Error::TooLarge {
                limit_bytes: limits::MANIFEST_BYTES,
                ..
            })
        ),
        "{got:?}"
    );
    let (got, _) = get(|_| Reply::new(200).endless(&[b' '; 65536]));
    assert!(matches!(got, Err(Error::TooLarge { .. })), "{got:?}");
}

#[test]
fn a_manifest_that_stalls_is_given_up() {
    let (got, _) = get(|_| Reply::ok([]).stalled(MANIFEST, 5));
    assert!(matches!(got, Err(Error::Network { .. })), "{got:?}");
}

#[test]
fn head_tells_the_digest_or_fetches() {
    let says = |asked: &Asked| {
        assert_eq!(asked.method, "HEAD");
        typed(Reply::new(200))
            .header("Docker-Content-Digest", Digest::of(MANIFEST))
            .header("Content-Length", 19)
    };
    let silent = |asked: &Asked| {
        if asked.method == "HEAD" {
            Reply::new(200)
        } else {
            typed(Reply::ok(MANIFEST))
        }
    };
    let refuses = |asked: &Asked| {
        if asked.method == "HEAD" {
            Reply::new(405)
        } else {
            typed(Reply::ok(MANIFEST))
        }
    };
    for double in [
        Double::start(says),
        Double::start(silent),
        Double::start(refuses),
    ] {
        let head = client()
            .head_manifest(&repository(&double, "a"), ManifestName::Tag("t"))
            .unwrap();
        assert_eq!(head.digest, Digest::of(MANIFEST));
        assert_eq!(
            (head.media_type.as_deref(), head.size_bytes),
            (Some(OCI_MANIFEST), Some(19))
        );
    }
}

#[test]
fn the_digest_of_a_reference_wins() {
    let digest = Digest::of(MANIFEST);
    let reference = Reference::parse(&format!("a.test/b:tag@{digest}")).unwrap();
    assert_eq!(ManifestName::of(&reference), ManifestName::Digest(&digest));
    assert_eq!(
        ManifestName::of(&Reference::parse("a.test/b").unwrap()),
        ManifestName::Tag("latest")
    );
}

#[test]
fn transient_refusals_are_asked_again() {
    for (name, failing, times, retry_after) in [
        ("429", 429, 2, Some("0")),
        ("503", 503, 3, None),
        ("500", 500, 1, None),
        (
            "a date in the past",
            503,
            1,
            Some("Wed, 21 Oct 2015 07:28:00 GMT"),
        ),
    ] {
        let (got, double) = get(move |asked| match retry_after {
            _ if asked.before >= times => Reply::ok(MANIFEST),
            Some(value) => Reply::new(failing).header("Retry-After", value),
            None => Reply::new(failing),
        });
        assert!(got.is_ok(), "{name}: {got:?}");
        assert_eq!(double.asked().len(), times + 1, "{name}");
    }
    let (got, double) = get(|asked| {
        if asked.before < 2 {
            Reply::nothing()
        } else {
            Reply::ok(MANIFEST)
        }
    });
    assert!(got.is_ok(), "closed connections: {got:?}");
    assert_eq!(double.asked().len(), 3);
}

#[test]
fn retry_after_is_waited_for_but_not_for_ever() {
    let start = Instant::now();
    let (got, _) = get(|asked| match asked.before {
        0 => Reply::new(429).header("Retry-After", 1),
        _ => Reply::ok(MANIFEST),
    });
    assert!(got.is_ok() && start.elapsed() >= Duration::from_secs(1));
    let (got, double) = get(|_| {
        Reply::new(429)
            .header("Retry-After", 3600)
            .body(r#"{"message":"pull limit"}"#)
    });
    let Err(Error::RateLimited {
        retry_after,
        refusal,
        ..
    }) = got
    else {
        panic!("{got:?}")
    };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(refusal.errors[0].message, "pull limit");
    assert_eq!(double.asked().len(), 1);
    let (got, double) = get(|_| Reply::new(429).header("Retry-After", 0));
    assert!(matches!(got, Err(Error::RateLimited { .. })));
    assert_eq!(double.asked().len(), 4);
}

#[test]
fn refusals_keep_their_kind() {
    type Kind = fn(&Error) -> bool;
    let cases: [(u16, &str, Kind); 6] = [
        (
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#,
            |error| matches!(error, Error::NotFound { .. }),
        ),
        (401, "", |error| matches!(error, Error::Unauthorized { .. })),
        (403, "<html>", |error| matches!(error, Error::Denied { .. })),
        (400, r#"{"errors":[{"code":"DENIED"}]}"#, |error| {
            matches!(error, Error::Denied { .. })
        }),
        (403, r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#, |error| {
            matches!(error, Error::RateLimited { .. })
        }),
        (418, "{}", |error| matches!(error, Error::Refused { .. })),
    ];
    for (status, body, kind) in cases {
        // A registry's header: a bare 400 could come from a server that wants https.
        let (got, _) = get(move |_| {
            Reply::new(status)
                .header("Docker-Distribution-Api-Version", "registry/2.0")
                .body(body)
        });
        let error = got.unwrap_err();
        assert!(kind(&error), "{status} {body}: {error:?}");
        assert_eq!(error.refusal().unwrap().status, status);
    }
}

#[test]
fn mirrors_are_asked_in_order_and_the_registry_at_last() {
    let unknown = Double::start(|_| Reply::new(404));
    let broken = Double::start(|_| Reply::new(500));
    let lying =
        Double::start(|_| Reply::ok(MANIFEST).header("Docker-Content-Digest", Digest::of(b"x")));
    let down = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let registry = Double::start(|_| Reply::ok(MANIFEST));
    let mirrors = vec![
        unknown.host(),
        broken.host(),
        lying.host(),
        down.to_string(),
    ];
    let rule = RegistryRule {
        prefix: "reg.test".to_owned(),
        mirrors: mirrors.clone(),
        location: Some(registry.host()),
        ..RegistryRule::default()
    };
    let (client, warnings) = client_with(vec![rule]);
    let repository = Repository::parse("reg.test/a").unwrap();
    assert_eq!(
        client
            .manifest(&repository, ManifestName::Tag("t"))
            .unwrap()
            .host,
        registry.host()
    );
    let warned: Vec<_> = warnings
        .lock()
        .unwrap()
        .iter()
        .filter_map(|warning| match warning {
            Warning::Mirror {
                mirror, registry, ..
            } if registry == "reg.test" => Some(mirror.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(warned, mirrors);
    assert_eq!(broken.asked().len(), 1, "a mirror is not asked twice");
}
