//! Blobs from a registry that cuts, lies, redirects and stalls.

use std::io::{ErrorKind, Read};

use shiplap_model::digest::{Digest, DigestError};
use shiplap_model::reference::Repository;
use shiplap_registry::{Error, ProtocolFault, RegistryRule, Warning};

use crate::double::{Asked, Double, Reply};
use crate::{client, client_with, content, read, repository};

const SIZE: usize = 3_000_000;

/// From where on a request wants the blob.
fn from(asked: &Asked) -> Option<usize> {
    asked
        .header("range")?
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

fn partial(whole: &[u8], start: usize) -> Reply {
    let range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
    Reply::new(206)
        .header("Content-Range", range)
        .body(&whole[start..])
}

/// Reads a blob of [`SIZE`] bytes from a registry that answers with `reply`, and tells what it
/// was asked.
fn check(
    reply: impl Fn(&Asked, &[u8]) -> Reply + Send + Sync + 'static,
) -> (Result<(), String>, Vec<Asked>) {
    let blob = content(SIZE);
    let digest = Digest::of(&blob);
    let served = blob.clone();
    let double = Double::start(move |asked| reply(asked, &served));
    let got = read(&client(), &repository(&double, "a/b"), &digest, SIZE);
    let got = got.map(|bytes| assert!(bytes == blob, "other bytes than the blob's"));
    (got, double.asked())
}

#[test]
fn comes_whole() {
    let (got, asked) = check(|_, blob| Reply::ok(blob));
    assert_eq!(got, Ok(()));
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
    assert_eq!(check(|_, blob| Reply::new(200).chunked(blob)).0, Ok(()));
}

#[test]
fn goes_on_where_it_was_cut() {
    let (got, asked) = check(|asked, blob| match from(asked) {
        None => Reply::ok([]).header("ETag", "\"tag\"").cut(blob, 1_200_000),
        Some(start) if asked.before == 1 => {
            let range = format!("bytes {start}-{}/*", blob.len() - 1);
            Reply::new(206)
                .header("Content-Range", range)
                .cut(&blob[start..], 700_000)
        }
        Some(start) => partial(blob, start),
    });
    assert_eq!(got, Ok(()));
    let starts: Vec<_> = asked.iter().map(from).collect();
    assert_eq!(starts, [None, Some(1_200_000), Some(1_900_000)]);
    assert_eq!(asked[1].header("if-range"), Some("\"tag\""));
}

#[test]
fn survives_ranges_served_wrong() {
    type Wrong = fn(&[u8], usize) -> Reply;
    let cases: [(&str, Wrong); 5] = [
        ("range ignored", |blob, _| Reply::ok(blob)),
        ("other start", |blob, start| partial(blob, start + 1)),
        ("no Content-Range", |blob, start| {
            Reply::new(206).body(&blob[start..])
        }),
        ("other size", |blob, start| {
            Reply::new(206)
                .header("Content-Range", format!("bytes {start}-99/100"))
                .body(&blob[start..])
        }),
        ("416", |_, _| Reply::new(416)),
    ];
    for (name, wrong) in cases {
        let (got, _) = check(move |asked, blob| match from(asked) {
            None if asked.before == 0 => Reply::ok([]).cut(blob, 1_500_000),
            None => Reply::ok(blob),
            Some(start) => wrong(blob, start),
        });
        assert_eq!(got, Ok(()), "{name}");
    }
}

#[test]
fn gives_up_on_a_blob_that_does_not_get_on() {
    let (got, asked) = check(|asked, blob| match from(asked) {
        None => Reply::ok([]).cut(blob, 1000),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
            Reply::new(206)
                .header("Content-Range", range)
                .cut(&blob[start..], 10)
        }
    });
    assert!(got.is_err());
    assert_eq!(
        asked.len(),
        4,
        "one request and as many again as the settings allow"
    );
}

#[test]
fn refuses_what_is_not_the_blob() {
    type Lie = fn(&Asked, &[u8]) -> Reply;
    let cases: [(&str, Lie, &str); 6] = [
        (
            "other content",
            |_, blob| Reply::ok(vec![7; blob.len()]),
            "verify content",
        ),
        (
            "longer by its length",
            |_, blob| Reply::ok([blob, b"x"].concat()),
            "3000001 bytes instead of 3000000",
        ),
        (
            "shorter by its length",
            |_, blob| Reply::ok(&blob[1..]),
            "2999999 bytes instead of 3000000",
        ),
        (
            "longer without saying so",
            |_, blob| Reply::new(200).chunked(&[blob, b"x"].concat()),
            "instead of 3000000",
        ),
        (
            "endless",
            |_, _| Reply::new(200).endless(&[0; 65536]),
            "instead of 3000000",
        ),
        (
            "shorter without saying so",
            |asked, blob| match from(asked) {
                None => Reply::new(200).chunked(&blob[1..]),
                Some(_) => {
                    Reply::new(416).header("Content-Range", format!("bytes */{}", blob.len() - 1))
                }
            },
            "2999999 bytes instead of 3000000",
        ),
    ];
    for (name, lie, words) in cases {
        let (got, _) = check(lie);
        let error = got.expect_err(name);
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn wrong_content_is_invalid_data() {
    let digest = Digest::of(b"right");
    let double = Double::start(|_| Reply::ok("wrong"));
    let mut reader = client()
        .open_blob(&repository(&double, "a"), &digest, 5)
        .unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let inner = error.get_ref().unwrap().downcast_ref::<DigestError>();
    assert!(
        matches!(inner, Some(DigestError::Mismatch { .. })),
        "{inner:?}"
    );
}

#[test]
fn bytes_are_verified_as_sent() {
    // Says gzip and is not: who decoded it would fail.
    let (got, _) = check(|_, blob| Reply::ok(blob).header("Content-Encoding", "gzip"));
    assert_eq!(got, Ok(()));
}

#[test]
fn stalls_are_cut_short() {
    let (got, asked) = check(|asked, blob| match from(asked) {
        None => Reply::ok([]).stalled(blob, 2_000_000),
        Some(start) => partial(blob, start),
    });
    assert_eq!(got, Ok(()));
    assert_eq!(asked.len(), 2);
    let (got, _) = check(|_, blob| Reply::ok([]).stalled(blob, 10));
    assert!(got.unwrap_err().contains("time limit"));
}

#[test]
fn redirects() {
    let blob = content(1000);
    let digest = Digest::of(&blob);
    let served = blob.clone();
    let elsewhere = Double::start(move |_| Reply::ok(&served));
    for (location, expected) in [
        (
            format!("http://{}/cdn?signature=x", elsewhere.host()),
            Ok(()),
        ),
        (format!("//{}/cdn", elsewhere.host()), Ok(())),
        ("ftp://cdn.test/x".to_owned(), Err("a redirect to ftp")),
        ("file:///etc/passwd".to_owned(), Err("a redirect to file")),
        ("/v2/again".to_owned(), Err("more than 10 redirects")),
        ("http://[".to_owned(), Err("no usable Location")),
    ] {
        let to = location.clone();
        let double = Double::start(move |_| Reply::new(307).header("Location", &to));
        let got = read(&client(), &repository(&double, "a"), &digest, blob.len()).map(drop);
        match expected {
            Ok(()) => assert_eq!(got, Ok(()), "{location}"),
            Err(words) => assert!(got.unwrap_err().contains(words), "{location}"),
        }
    }
}

#[test]
fn missing_blobs_are_not_found() {
    let double = Double::start(|_| {
        Reply::new(404)
            .body(r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"no \u001b[31msuch\n blob"}]}"#)
    });
    let repository = repository(&double, "a/b");
    let digest = Digest::of(b"");
    let error = client().open_blob(&repository, &digest, 0).unwrap_err();
    let Error::NotFound { refusal, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(refusal.has_code("BLOB_UNKNOWN"));
    assert_eq!(refusal.errors[0].message, "no  [31msuch  blob");
    assert!(matches!(
        client().blob_exists(&repository, &digest),
        Ok(None)
    ));
}

#[test]
fn small_blobs_are_bounded_and_verified() {
    let digest = Digest::of(b"config");
    for (reply, want) in [
        ("config", "config"),
        ("confix", "verify content"),
        ("config-and-more", "instead of 6"),
        ("con", "instead of 6"),
    ] {
        let double = Double::start(move |_| Reply::ok(reply));
        let got = client().blob_bytes(&repository(&double, "a"), &digest, 6, 100);
        let shown = got.map_or_else(
            |error| error.to_string(),
            |bytes| String::from_utf8(bytes).unwrap(),
        );
        assert!(shown.contains(want), "{reply}: {shown}");
    }
    let double = Double::start(|_| Reply::ok(""));
    let got = client().blob_bytes(&repository(&double, "a"), &digest, 101, 100);
    assert!(matches!(
        got,
        Err(Error::TooLarge {
            limit_bytes: 100,
            ..
        })
    ));
    assert!(double.asked().is_empty());
}

fn mirrored(mirrors: &[&Double], registry: &Double) -> Vec<RegistryRule> {
    let mirrors = mirrors
        .iter()
        .map(|double| format!("http://{}/cache", double.host()))
        .collect();
    let location = Some(format!("http://{}", registry.host()));
    vec![RegistryRule {
        prefix: "reg.test".to_owned(),
        mirrors,
        location,
        ..RegistryRule::default()
    }]
}

#[test]
fn a_mirror_that_breaks_off_is_continued_by_the_registry() {
    let blob = content(SIZE);
    let digest = Digest::of(&blob);
    let (half, whole) = (blob.clone(), blob.clone());
    let mirror = Double::start(move |asked| match asked.before {
        0 => Reply::ok([]).cut(&half, 1_000_000),
        _ => Reply::new(500),
    });
    let registry = Double::start(move |asked| partial(&whole, from(asked).unwrap()));
    let (client, warnings) = client_with(mirrored(&[&mirror], &registry));
    let repository = Repository::parse("reg.test/a/b").unwrap();
    assert!(read(&client, &repository, &digest, SIZE).unwrap() == blob);
    assert!(mirror.lines()[0].starts_with("GET /v2/cache/a/b/blobs/sha256:"));
    assert!(registry.lines()[0].starts_with("GET /v2/a/b/blobs/sha256:"));
    let warnings = warnings.lock().unwrap();
    assert!(
        warnings
            .iter()
            .any(|warning| matches!(warning, Warning::Mirror { .. })),
        "{warnings:?}"
    );
}

#[test]
fn a_mirror_that_lies_is_passed_over_the_next_time() {
    let blob = content(1000);
    let digest = Digest::of(&blob);
    let mirror = Double::start(|_| Reply::ok([9; 1000]));
    let registry = Double::start(move |_| Reply::ok(&blob));
    let (client, _) = client_with(mirrored(&[&mirror], &registry));
    let repository = Repository::parse("reg.test/a").unwrap();
    assert!(read(&client, &repository, &digest, 1000).is_err());
    assert!(read(&client, &repository, &digest, 1000).is_ok());
    assert_eq!((mirror.asked().len(), registry.asked().len()), (1, 1));
}

#[test]
fn faults_are_told_by_kind() {
    let double = Double::start(|_| Reply::new(302));
    let error = client()
        .open_blob(&repository(&double, "a"), &Digest::of(b""), 0)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Protocol {
                fault: ProtocolFault::Location,
                ..
            }
        ),
        "{error:?}"
    );
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = Repository::parse(&format!("{unused}/a")).unwrap();
    let error = client()
        .open_blob(&nobody, &Digest::of(b""), 0)
        .unwrap_err();
    assert!(
        matches!(error, Error::Network { attempts: 1, .. }),
        "{error:?}"
    );
}
