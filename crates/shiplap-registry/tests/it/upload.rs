//! Pushes to a registry that forgets, breaks off and refuses.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use shiplap_model::digest::Digest;
use shiplap_registry::{Error, ManifestName, UploadMode};

use crate::double::{Asked, Double, Reply};
use crate::{client, content, repository};

/// A registry that takes uploads, with a fault at will.
struct Taking {
    /// Digest by which the blob was committed, and its bytes.
    taken: Mutex<Option<(String, Vec<u8>)>>,
    /// What arrived so far.
    arrived: Mutex<Vec<u8>>,
}

impl Taking {
    fn start(
        appetite: impl Fn(&Asked) -> usize + Send + Sync + 'static,
        fault: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
    ) -> (Arc<Self>, Double) {
        let taking = Arc::new(Self {
            taken: Mutex::default(),
            arrived: Mutex::default(),
        });
        let kept = taking.clone();
        let double = Double::hungry(appetite, move |asked| {
            fault(asked).unwrap_or_else(|| kept.take(asked))
        });
        (taking, double)
    }

    fn take(&self, asked: &Asked) -> Reply {
        let mut arrived = self.arrived.lock().unwrap();
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let digest = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("digest="));
        let range = |arrived: &[u8]| format!("0-{}", arrived.len().max(1) - 1);
        match (asked.method.as_str(), path) {
            ("POST", _) if digest.is_none() => {
                arrived.clear();
                Reply::new(202)
                    .header("Location", "/v2/up/1?state=a%2Fb&n=0")
                    .header("OCI-Chunk-Min-Length", 1000)
            }
            ("PATCH", _) => {
                let start = asked
                    .header("content-range")
                    .and_then(|range| range.split('-').next()?.parse().ok());
                if start.is_some_and(|start: usize| start != arrived.len()) {
                    return Reply::new(416).header("Range", range(&arrived));
                }
                arrived.extend(&asked.body);
                let next = format!(
                    "http://{}/v2/up/1?state=a%2Fb&n=1",
                    asked.header("host").unwrap()
                );
                Reply::new(202)
                    .header("Location", next)
                    .header("Range", range(&arrived))
            }
            ("GET", _) => Reply::new(204)
                .header("Location", "1?state=a%2Fb&n=2")
                .header("Range", range(&arrived)),
            ("PUT" | "POST", _) => {
                arrived.extend(&asked.body);
                let digest = digest.unwrap().replace("%3A", ":");
                *self.taken.lock().unwrap() = Some((digest, arrived.clone()));
                Reply::new(201)
            }
            _ => Reply::new(204),
        }
    }
}

/// Pushes 20,000 bytes and returns the requests' lines.
fn check(
    mode: UploadMode,
    appetite: impl Fn(&Asked) -> usize + Send + Sync + 'static,
    fault: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
) -> Vec<Asked> {
    let blob = content(20_000);
    let digest = Digest::of(&blob);
    let (taking, double) = Taking::start(appetite, fault);
    client()
        .upload(&repository(&double, "a"), &digest, 20_000, &blob, mode)
        .unwrap();
    let (named, bytes) = taking.taken.lock().unwrap().take().unwrap();
    assert_eq!(named, digest.to_string());
    assert!(bytes == blob, "{} bytes arrived", bytes.len());
    double.asked()
}

fn no_fault(_: &Asked) -> Option<Reply> {
    None
}

fn all(_: &Asked) -> usize {
    usize::MAX
}

fn methods(asked: &[Asked]) -> String {
    asked
        .iter()
        .map(|asked| asked.method.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn in_one_piece() {
    for mode in [UploadMode::Auto, UploadMode::Monolithic] {
        let asked = check(mode, all, no_fault);
        assert_eq!(methods(&asked), "POST PUT");
        assert_eq!(asked[0].header("content-length"), Some("0"));
        assert!(
            asked[1]
                .path
                .starts_with("/v2/up/1?state=a%2Fb&n=0&digest=sha256%3A"),
            "{}",
            asked[1].path
        );
        assert_eq!(asked[1].header("content-length"), Some("20000"));
    }
    assert_eq!(
        methods(&check(UploadMode::SinglePost, all, no_fault)),
        "POST"
    );
    let begins = |asked: &Asked| {
        (asked.method == "POST").then(|| Reply::new(202).header("Location", "/v2/up/1"))
    };
    assert_eq!(
        methods(&check(UploadMode::SinglePost, all, begins)),
        "POST PUT"
    );
    let breaks = |asked: &Asked| {
        if asked.method == "PUT" && asked.path.contains("n=0") {
            5000
        } else {
            usize::MAX
        }
    };
    let blob = content(20_000);
    let (_, double) = Taking::start(breaks, no_fault);
    let failed = client().upload(
        &repository(&double, "a"),
        &Digest::of(&blob),
        20_000,
        &blob,
        UploadMode::Auto,
    );
    assert!(matches!(failed, Err(Error::Network { .. })), "{failed:?}");
    assert_eq!(
        methods(&double.asked()),
        ["POST PUT"; 4].join(" "),
        "as often as the settings allow"
    );
}

#[test]
fn in_chunks() {
    let asked = check(UploadMode::Chunked { bytes: 8000 }, all, no_fault);
    assert_eq!(methods(&asked), "POST PATCH PATCH PATCH PUT");
    let ranges: Vec<_> = asked
        .iter()
        .filter_map(|asked| asked.header("content-range"))
        .collect();
    assert_eq!(ranges, ["0-7999", "8000-15999", "16000-19999"]);
    assert!(
        asked[2].path.ends_with("n=1"),
        "the location moves: {}",
        asked[2].path
    );
    let asked = check(UploadMode::Chunked { bytes: 1 }, all, no_fault);
    assert_eq!(asked.len(), 22, "chunks of the registry's minimum");
}

#[test]
fn chunks_go_on_where_they_broke() {
    // The second chunk breaks off: nothing of it was taken.
    let broken = Mutex::new(0);
    let breaks = move |asked: &Asked| {
        let second = asked.header("content-range") == Some("8000-15999");
        let mut broken = broken.lock().unwrap();
        *broken += usize::from(second);
        if second && *broken == 1 {
            100
        } else {
            usize::MAX
        }
    };
    let ignore_broken = |asked: &Asked| (asked.body.len() == 100).then(|| Reply::new(500));
    let asked = check(UploadMode::Chunked { bytes: 8000 }, breaks, ignore_broken);
    assert_eq!(methods(&asked), "POST PATCH PATCH GET PATCH PATCH PUT");
    assert!(asked[4].path.ends_with("n=2"));

    // A part of the second chunk was taken.
    let broken = Mutex::new(0);
    let breaks = move |asked: &Asked| {
        let second = asked.header("content-range") == Some("8000-15999");
        let mut broken = broken.lock().unwrap();
        *broken += usize::from(second);
        if second && *broken == 1 {
            100
        } else {
            usize::MAX
        }
    };
    let asked = check(UploadMode::Chunked { bytes: 8000 }, breaks, no_fault);
    let ranges: Vec<_> = asked
        .iter()
        .filter_map(|asked| asked.header("content-range"))
        .collect();
    assert_eq!(
        ranges,
        ["0-7999", "8000-15999", "8100-16099", "16100-19999"]
    );
}

#[test]
fn a_forgotten_upload_begins_again() {
    let lost = |asked: &Asked| match (asked.method.as_str(), asked.before) {
        ("PATCH", 0) if asked.path.ends_with("n=1") => Some(Reply::new(500)),
        ("GET", _) => Some(Reply::new(404)),
        _ => None,
    };
    let asked = check(UploadMode::Chunked { bytes: 10_000 }, all, lost);
    assert_eq!(methods(&asked), "POST PATCH PATCH GET POST PATCH PATCH PUT");
}

#[test]
fn registries_without_chunks_get_one_stream() {
    for status in [400, 404, 405, 411, 501] {
        let refuse = move |asked: &Asked| {
            asked.header("content-range").is_some().then(|| {
                Reply::new(status).header("Docker-Distribution-Api-Version", "registry/2.0")
            })
        };
        let asked = check(UploadMode::Chunked { bytes: 8000 }, all, refuse);
        assert_eq!(
            methods(&asked),
            "POST PATCH DELETE POST PATCH PUT",
            "{status}"
        );
        assert_eq!(asked[4].header("content-length"), Some("20000"));
    }
}

#[test]
fn large_blobs_are_streamed_and_taken_up_again() {
    let size = 9_000_000;
    let blob = content(size);
    let digest = Digest::of(&blob);
    let breaks = |asked: &Asked| {
        let first = asked.method == "PATCH" && asked.header("content-range").is_none();
        if first { 3_000_000 } else { usize::MAX }
    };
    let (taking, double) = Taking::start(breaks, no_fault);
    client()
        .upload(
            &repository(&double, "a"),
            &digest,
            size as u64,
            &blob,
            UploadMode::Auto,
        )
        .unwrap();
    assert!(taking.taken.lock().unwrap().take().unwrap() == (digest.to_string(), blob));
    let asked = double.asked();
    assert_eq!(methods(&asked), "POST PATCH GET PATCH PUT");
    assert_eq!(asked[3].header("content-range"), Some("3000000-8999999"));
}

#[test]
fn of_unknown_length() {
    for size in [0, 1, 700_000] {
        let blob = content(size);
        let (taking, double) = Taking::start(all, no_fault);
        let uploaded = client()
            .upload_stream(&repository(&double, "a"), &mut blob.as_slice())
            .unwrap();
        assert_eq!(
            (uploaded.digest.clone(), uploaded.size_bytes),
            (Digest::of(&blob), size as u64)
        );
        assert!(
            taking.taken.lock().unwrap().take().unwrap() == (uploaded.digest.to_string(), blob)
        );
        let asked = double.asked();
        assert_eq!(methods(&asked), "POST PATCH PUT");
        assert_eq!(asked[1].header("transfer-encoding"), Some("chunked"));
    }
}

#[test]
fn streams_that_fail() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(1)
                .ok_or_else(|| io::Error::other("disk on fire"))?;
            Ok(buffer.len())
        }
    }
    let (taking, double) = Taking::start(all, no_fault);
    let failed = client()
        .upload_stream(&repository(&double, "a"), &mut Failing(3))
        .unwrap_err();
    assert!(failed.to_string().contains("disk on fire"), "{failed}");
    assert!(taking.taken.lock().unwrap().is_none());

    let short = client().upload(
        &repository(&double, "a"),
        &Digest::of(b""),
        10,
        &b"short".to_vec(),
        UploadMode::Auto,
    );
    assert!(matches!(short, Err(Error::Source { .. })), "{short:?}");

    // An endless source, and a registry that answers before it is at its end.
    let (_, double) = Taking::start(
        |asked| {
            if asked.method == "PATCH" {
                1_000_000
            } else {
                usize::MAX
            }
        },
        no_fault,
    );
    let failed = client()
        .upload_stream(&repository(&double, "a"), &mut io::repeat(0))
        .unwrap_err();
    assert!(matches!(failed, Error::Network { .. }), "{failed:?}");
}

#[test]
fn what_the_registry_says_of_the_content_is_believed() {
    let other = |asked: &Asked| {
        (asked.method == "PUT")
            .then(|| Reply::new(201).header("Docker-Content-Digest", Digest::of(b"other")))
    };
    let (_, double) = Taking::start(all, other);
    let repository = repository(&double, "a");
    let failed = client().upload(
        &repository,
        &Digest::of(b"x"),
        1,
        &b"x".to_vec(),
        UploadMode::Auto,
    );
    assert!(matches!(failed, Err(Error::Content { .. })), "{failed:?}");
    let failed = client().put_manifest(&repository, ManifestName::Tag("t"), "a/b", b"{}");
    assert!(matches!(failed, Err(Error::Content { .. })), "{failed:?}");
    let sent = double.asked().len();
    let failed = client().put_manifest(
        &repository,
        ManifestName::Digest(&Digest::of(b"x")),
        "a/b",
        b"{}",
    );
    assert!(matches!(failed, Err(Error::Content { .. })), "{failed:?}");
    assert_eq!(double.asked().len(), sent, "not even sent");
}

#[test]
fn mounts() {
    let digest = Digest::of(b"x");
    for (status, want) in [(201, true), (202, false), (404, false), (405, false)] {
        let double = Double::start(move |_| Reply::new(status).header("Location", "/v2/up/1"));
        let (to, from) = (repository(&double, "to"), repository(&double, "from"));
        assert_eq!(
            client().mount(&to, &from, &digest).unwrap(),
            want,
            "{status}"
        );
        let cancelled = double.lines().contains(&"DELETE /v2/up/1".to_owned());
        assert_eq!(cancelled, status == 202);
    }
    let (here, there) = (
        Double::start(|_| Reply::new(500)),
        Double::start(|_| Reply::new(500)),
    );
    assert!(
        !client()
            .mount(&repository(&here, "a"), &repository(&there, "a"), &digest)
            .unwrap()
    );
    assert!(here.asked().is_empty());
}

#[test]
fn locations_that_lead_nowhere_good() {
    for location in [
        None,
        Some("ftp://up.test/"),
        Some("http://user@up.test/"),
        Some("http://["),
    ] {
        let double = Double::start(move |_| {
            location.map_or_else(
                || Reply::new(202),
                |location| Reply::new(202).header("Location", location),
            )
        });
        let failed = client().upload(
            &repository(&double, "a"),
            &Digest::of(b"x"),
            1,
            &b"x".to_vec(),
            UploadMode::Auto,
        );
        assert!(
            matches!(failed, Err(Error::Protocol { .. })),
            "{location:?}: {failed:?}"
        );
    }
}
