//! Hubs whose database is PostgreSQL and whose blobs are in a bucket: that all holds there, on
//! several replicas, and while either of the two is gone.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::mirror::asked;
use crate::harness::Store;
use crate::harness::bucket::{Bucket, Moto};
use crate::harness::http::{self, Message};
use crate::harness::hub::{Hub, PASSWORD, Start, WORLD, World};
use crate::harness::image::{digest, noise, recipe, small, usual};
use crate::harness::judge;
use crate::harness::postgres::{self, Postgres};
use crate::harness::tar::Entry;

/// A server and a bucket, with hubs on them.
pub(super) struct Sea {
    pub(super) postgres: Postgres,
    pub(super) bucket: Bucket,
    world: World,
}

impl Sea {
    pub(super) fn new() -> Option<Self> {
        let postgres = Postgres::start()?;
        let bucket = Bucket::start();
        let database = postgres.database("hub");
        let world = World::of(Some(&database), Some(&bucket.place("here")));
        Some(Self {
            postgres,
            bucket,
            world,
        })
    }

    pub(super) fn hub(&self, is_second: bool, arguments: &[&str]) -> Hub {
        Hub::begin(&Start {
            world: self.world.clone(),
            is_second,
            arguments,
            ..Start::default()
        })
    }
}

/// Tests that look at what lies in a hub's folder, or need no hub's own place.
const OF_FOLDERS: &[&str] = &[
    "hub::elsewhere",
    "hub::replicas",
    "hub::power",
    "hub::it_is_checked_and_mended",
    "hub::hostile::it_listens_beyond_this_machine_only_when_told",
];

/// Everything that is tested of a hub in a folder is tested of one elsewhere: this test runs them
/// again, by this same program.
#[test]
fn all_of_it_holds_there() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let bucket = Bucket::start();
    let database = postgres.url("hub{}");
    let world = World::of(Some(&database), Some(&bucket.place("{}")));
    let make = format!("MAKE={}\n", postgres.making("hub{}"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["hub::", "--test-threads", "2"])
        .args(OF_FOLDERS.iter().flat_map(|name| ["--skip", name]))
        .env(WORLD, make + &world.lines());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let passed = said.split(" passed").next().unwrap_or_default();
    let passed = passed.rsplit(' ').next().unwrap_or_default();
    let passed: u32 = passed.parse().unwrap();
    assert!(passed >= 25, "{said}");
    assert!(!bucket.files("").is_empty(), "nothing came into the bucket");
    let databases = postgres.sql("postgres", "SELECT count(*) FROM pg_database");
    assert!(
        databases.trim().parse::<u32>().unwrap() >= 25,
        "{databases}"
    );
}

fn offset(reply: &Message) -> usize {
    let range = reply.header("range").unwrap();
    let (_, end) = range.split_once('-').unwrap();
    end.parse::<usize>().unwrap() + 1
}

#[test]
fn an_upload_goes_on_at_another_replica() {
    let Some(sea) = Sea::new() else { return };
    let mut first = sea.hub(false, &["--access-log", "none"]);
    let second = sea.hub(true, &["--access-log", "none"]);
    // Over two parts, and what is shorter than one.
    for (seed, length, cut) in [
        (1, 21_000_000, 9_500_000),
        (2, 300_000, 100_000),
        (3, 9_000_000, 1),
    ] {
        let blob = noise(seed, length);
        let begun = first.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
        let place = begun.header("location").unwrap().to_owned();
        let reply = first.expect("PATCH", &place, &[], &blob[..cut], 202);
        assert_eq!(offset(&reply), cut);
        assert_eq!(offset(&second.expect("GET", &place, &[], b"", 204)), cut);
        let wrong = [("content-range", "0-9")];
        second.expect("PATCH", &place, &wrong, &blob[..10], 416);
        let middle = cut + (length - cut) / 2;
        second.expect("PATCH", &place, &[], &blob[cut..middle], 202);
        let finish = format!("{place}?digest={}", digest(&blob));
        let done = first.expect("PUT", &finish, &[], &blob[middle..], 201);
        let target = done.header("location").unwrap();
        assert_eq!(second.expect("GET", target, &[], b"", 200).body, blob);
        second.expect("GET", &place, &[], b"", 404);
        first.expect("PUT", &finish, &[], b"", 404);
    }
    // By an algorithm that it was not begun with; by nothing at all.
    let blob = noise(4, 17_000_000);
    let begun = first.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    second.expect("PATCH", &place, &[], &blob, 202);
    let wanted = format!("sha512:{}", sha512(&blob));
    let finish = format!("{place}?digest={wanted}");
    first.expect("PUT", &finish, &[], b"", 201);
    let target = format!("/v2/ship/app/blobs/{wanted}");
    assert_eq!(second.expect("GET", &target, &[], b"", 200).body, blob);
    second.upload("ship/app", b"");

    // A replica that dies takes nothing with it but what it did not answer.
    let blob = noise(5, 30_000_000);
    let begun = first.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    first.expect("PATCH", &place, &[], &blob[..1_000_000], 202);
    let mut going = begin_patch(&first, &place, blob.len() - 1_000_000);
    going.write_all(&blob[1_000_000..25_000_000]).unwrap();
    first.kill();
    let there = offset(&second.expect("GET", &place, &[], b"", 204));
    assert!((1_000_000..=25_000_000).contains(&there), "{there}");
    second.expect("PATCH", &place, &[], &blob[there..], 202);
    let finish = format!("{place}?digest={}", digest(&blob));
    let done = second.expect("PUT", &finish, &[], b"", 201);
    let target = done.header("location").unwrap();
    assert_eq!(second.expect("GET", target, &[], b"", 200).body, blob);
    second.verb(&["check"]).assert_ok();
    // What served uploads is cleared away.
    let begun = Instant::now();
    while !sea.bucket.files("here/uploads").is_empty() {
        let left = sea.bucket.files("here/uploads");
        assert!(begun.elapsed() < Duration::from_secs(30), "{left:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn sha512(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha512::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A PATCH whose body is still to be sent.
fn begin_patch(hub: &Hub, place: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(hub.address()).unwrap();
    let credentials = hub.basic("ship");
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nhost: hub\r\nauthorization: {credentials}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn of_two_who_send_one_waits() {
    let Some(sea) = Sea::new() else { return };
    let (first, second) = (sea.hub(false, &[]), sea.hub(true, &[]));
    let blob = noise(6, 12_000_000);
    let begun = first.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    let mut going = begin_patch(&first, &place, blob.len());
    going.write_all(&blob[..9_000_000]).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let range = [("content-range", "0-9")];
            second.ask("ship", "PATCH", &place, &range, &blob[..10])
        });
        going.write_all(&blob[9_000_000..]).unwrap();
        let reply = http::read(&mut BufReader::new(&going), false).unwrap();
        assert_eq!(reply.status(), 202, "{reply:?}");
        // Whoever comes second finds the upload longer than it thought; or comes first.
        assert_eq!(waiting.join().unwrap().status(), 416);
    });
    let finish = format!("{place}?digest={}", digest(&blob));
    second.expect("PUT", &finish, &[], b"", 201);
}

#[test]
fn what_one_replica_knows_the_others_know() {
    let Some(sea) = Sea::new() else { return };
    let (first, second) = (sea.hub(false, &[]), sea.hub(true, &[]));
    let image = usual().make();
    first.fill("ship/app:1", &image);
    let store = Store::new();
    store.ok(&["pull", &second.reference("ship/app:1")]);
    assert_eq!(
        store.field(&second.reference("ship/app:1"), "{{.Id}}"),
        image.id()
    );
    // A token of one is good at the other; what is made private at one is hidden by the other.
    second
        .verb(&["repo", "set", "--private", "true", "ship/app"])
        .assert_ok();
    let scope = "/token?scope=repository:ship/app:pull";
    let token = first.ask("ship", "GET", scope, &[], b"");
    let token: serde_json::Value = serde_json::from_slice(&token.body).unwrap();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let target = "/v2/ship/app/manifests/1";
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(second.ask("", "GET", target, &headers, b"").status(), 200);
    assert_eq!(first.ask("", "GET", target, &[], b"").status(), 401);
    // The same tag pushed by many at both: the last one stands, none is lost half-way.
    let images: Vec<_> = (0..8)
        .map(|number| small(&format!("number {number}")))
        .collect();
    std::thread::scope(|scope| {
        for (number, image) in images.iter().enumerate() {
            let hub = if number % 2 == 0 { &first } else { &second };
            scope.spawn(move || hub.fill("ship/busy:latest", image));
        }
    });
    let stands = first.expect("GET", "/v2/ship/busy/manifests/latest", &[], b"", 200);
    assert!(images.iter().any(|image| image.manifest == stands.body));
    let other = second.expect("GET", "/v2/ship/busy/manifests/latest", &[], b"", 200);
    assert_eq!(other.body, stands.body);
    first.verb(&["check"]).assert_ok();
    // Neither the password of the database nor the bucket's is told to anybody.
    for hub in [&first, &second] {
        for line in hub.lines() {
            assert!(
                !line.contains(postgres::PASSWORD) && !line.contains("lap-bucket-secret"),
                "{line}"
            );
        }
    }
}

#[test]
fn a_database_that_starts_again_loses_nothing() {
    let Some(sea) = Sea::new() else { return };
    let hub = sea.hub(false, &["--access-log", "none"]);
    let (ended, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (acknowledged, strange) = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let (mut acknowledged, mut strange) = (Vec::new(), Vec::new());
            let mut number = 0;
            while !ended.load(Ordering::Relaxed) {
                let (tag, image) = (format!("v{number}"), small(&format!("image {number}")));
                match push(&hub, &tag, &image) {
                    None => {
                        acknowledged.push((tag, image));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(reply)
                        if reply.status() == 503 && reply.header("retry-after").is_some() => {}
                    Some(reply) => strange.push(reply),
                }
                number += 1;
            }
            (acknowledged, strange)
        });
        // Pushes go through before each end and after each start.
        let wait = || {
            let (before, begun) = (count.load(Ordering::Relaxed), Instant::now());
            while count.load(Ordering::Relaxed) < before + 2 && !pushing.is_finished() {
                assert!(
                    begun.elapsed() < Duration::from_secs(120),
                    "no push goes through"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        for round in 0..4 {
            wait();
            if round % 2 == 0 {
                sea.postgres.kill();
            } else {
                sea.postgres.end();
            }
            sea.postgres.go();
        }
        wait();
        ended.store(true, Ordering::Relaxed);
        pushing.join().unwrap()
    });
    assert!(strange.is_empty(), "{strange:?}");
    assert!(acknowledged.len() >= 10, "only {}", acknowledged.len());
    for (tag, image) in &acknowledged {
        let target = format!("/v2/ship/app/manifests/{tag}");
        assert_eq!(
            hub.expect("GET", &target, &[], b"", 200).body,
            image.manifest
        );
        for (digest, blob) in image.all_blobs() {
            let target = format!("/v2/ship/app/blobs/{digest}");
            assert_eq!(hub.expect("GET", &target, &[], b"", 200).body, blob);
        }
    }
    hub.verb(&["check", "--repair"]).assert_ok();
    hub.verb(&["check"]).assert_ok();

    // While it is gone, clients are told to come back, soon.
    sea.postgres.kill();
    let reply = hub.ask("", "GET", "/v2/ship/app/manifests/v0", &[], b"");
    assert_eq!(reply.status(), 503);
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert_eq!(hub.ask("", "GET", "/health/ready", &[], b"").status(), 503);
    assert_eq!(hub.ask("", "GET", "/health/live", &[], b"").status(), 200);
    sea.postgres.go();
    hub.expect("GET", "/health/ready", &[], b"", 200);
}

/// Pushes as `ship`; the first answer that was not a good one.
fn push(hub: &Hub, tag: &str, image: &crate::harness::image::Image) -> Option<Message> {
    for (digest, blob) in image.all_blobs() {
        let target = format!("/v2/ship/app/blobs/uploads/?digest={digest}");
        let reply = hub.ask("ship", "POST", &target, &[], &blob);
        if reply.status() != 201 {
            return Some(reply);
        }
    }
    let headers = [("content-type", image.media_type.as_str())];
    let target = format!("/v2/ship/app/manifests/{tag}");
    let reply = hub.ask("ship", "PUT", &target, &headers, &image.manifest);
    (reply.status() != 201).then_some(reply)
}

#[test]
fn a_bucket_that_goes_loses_nothing() {
    let Some(mut sea) = Sea::new() else { return };
    let hub = sea.hub(false, &["--access-log", "none"]);
    let image = recipe(&[&[Entry::file("big", &noise(8, 20_000_000))]]).make();
    hub.fill("ship/app:1", &image);
    let blob = noise(9, 19_000_000);
    let begun = hub.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    hub.expect("PATCH", &place, &[], &blob[..2_000_000], 202);
    // Gone in the middle of a request, and still gone at the next.
    let mut going = begin_patch(&hub, &place, blob.len() - 2_000_000);
    going.write_all(&blob[2_000_000..11_000_000]).unwrap();
    sea.bucket.kill();
    going.write_all(&blob[11_000_000..]).unwrap();
    let reply = http::read(&mut BufReader::new(&going), false).unwrap();
    assert_eq!(reply.status(), 503, "{reply:?}");
    assert_eq!(reply.header("retry-after"), Some("5"));
    let target = format!("/v2/ship/app/blobs/{}", digest(&image.blobs[0]));
    assert_eq!(hub.ask("", "GET", &target, &[], b"").status(), 503);
    // Manifests are in the database.
    hub.expect("GET", "/v2/ship/app/manifests/1", &[], b"", 200);
    assert!(push(&hub, "2", &small("not now")).is_some());
    assert_eq!(
        hub.ask("", "GET", "/v2/ship/app/manifests/2", &[], b"")
            .status(),
        404
    );
    sea.bucket.go();
    let there = offset(&hub.expect("GET", &place, &[], b"", 204));
    assert!(there >= 2_000_000, "{there}");
    hub.expect("PATCH", &place, &[], &blob[there..], 202);
    let finish = format!("{place}?digest={}", digest(&blob));
    hub.expect("PUT", &finish, &[], b"", 201);
    assert_eq!(
        hub.expect("GET", &target, &[], b"", 200).body,
        image.blobs[0]
    );
    assert!(push(&hub, "2", &small("now")).is_none());
    hub.verb(&["check"]).assert_ok();
}

#[test]
fn clients_are_sent_to_the_bucket() {
    let Some(sea) = Sea::new() else { return };
    let hub = sea.hub(false, &["--redirect"]);
    let image = usual().make();
    hub.fill("ship/app:1", &image);
    let blob = &image.blobs[0];
    let target = format!("/v2/ship/app/blobs/{}", digest(blob));
    hub.expect("HEAD", &target, &[], b"", 200);
    let sent = hub.expect("GET", &target, &[], b"", 307);
    let url = sent.header("location").unwrap();
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let reply = http::request(address, "GET", &format!("/{path}"), &[], b"").unwrap();
    assert_eq!((reply.status(), &reply.body), (200, blob));
    // The link is for this blob alone, and nobody gets it without it.
    let bare = path.split('?').next().unwrap();
    let reply = http::request(address, "GET", &format!("/{bare}"), &[], b"").unwrap();
    assert_eq!(reply.status(), 403);
    let store = Store::new();
    let name = hub.reference("ship/app:1");
    store.ok(&["pull", &name]);
    assert_eq!(store.field(&name, "{{.Id}}"), image.id());
    if let Some(mut skopeo) = judge::skopeo() {
        let folder = tempfile::TempDir::new().unwrap();
        let to = format!("dir:{}", folder.path().display());
        let from = format!("docker://{name}");
        judge::ask(skopeo.args(["copy", "--src-tls-verify=false", &from, &to]));
    }
}

#[test]
fn a_bucket_is_checked_and_mended() {
    let Some(sea) = Sea::new() else { return };
    let hub = sea.hub(false, &[]);
    let image = usual().make();
    hub.fill("ship/app:1", &image);
    hub.verb(&["check"]).assert_ok();
    let files = sea.bucket.files("here/blobs");
    let lost = files
        .iter()
        .find(|file| std::fs::read(file).unwrap() == image.blobs[0]);
    std::fs::remove_file(lost.unwrap()).unwrap();
    let damaged = files
        .iter()
        .find(|file| std::fs::read(file).is_ok_and(|it| it == image.config));
    std::fs::write(damaged.unwrap(), b"not this").unwrap();
    let found = hub.verb(&["check"]);
    assert_eq!(found.code, Some(1));
    assert!(
        found.stdout.contains("is not there") && found.stdout.contains("is damaged"),
        "{found:?}"
    );
    hub.verb(&["check", "--repair"]).assert_ok();
    hub.fill("ship/app:1", &image);
    hub.verb(&["check"]).assert_ok();
    let store = Store::new();
    store.ok(&["pull", &hub.reference("ship/app:1")]);
}

#[test]
fn moto_takes_blobs_too() {
    let Some(moto) = Moto::start() else { return };
    // A bucket goes with the database in the folder, too.
    let hub = Hub::begin(&Start {
        world: World::of(None, Some(&moto.place(""))),
        ..Start::default()
    });
    let image = recipe(&[&[Entry::file("big", &noise(10, 18_000_000))]]).make();
    hub.fill("ship/app:1", &image);
    let blob = noise(11, 20_000_000);
    let begun = hub.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    for piece in blob.chunks(7_000_000) {
        hub.expect("PATCH", &place, &[], piece, 202);
    }
    let finish = format!("{place}?digest={}", digest(&blob));
    let done = hub.expect("PUT", &finish, &[], b"", 201);
    let target = done.header("location").unwrap();
    assert_eq!(hub.expect("GET", target, &[], b"", 200).body, blob);
    let range = [("range", "bytes=8388600-8388615")];
    let part = hub.expect("GET", target, &range, b"", 206);
    assert_eq!(part.body, &blob[8_388_600..8_388_616]);
    let store = Store::new();
    store.ok(&["pull", &hub.reference("ship/app:1")]);
    hub.verb(&["check"]).assert_ok();
    // One upload that is given up leaves nothing.
    let begun = hub.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    hub.expect("PATCH", &place, &[], &blob[..9_000_000], 202);
    hub.expect("DELETE", &place, &[], b"", 204);
    hub.expect("GET", &place, &[], b"", 404);
}

#[test]
fn what_is_wrong_with_a_place_is_told() {
    let store = Store::new();
    let serve = |words: &[&str]| {
        let words: Vec<&str> = ["hub", "serve", "--address", "127.0.0.1:0"]
            .into_iter()
            .chain(words.iter().copied())
            .collect();
        store.refused(&words)
    };
    let check = |words: &[&str], wanted: &str| {
        let said = serve(words);
        assert!(said.contains(wanted), "{words:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    };
    check(
        &["--database", "mysql://hub:hunter2@x/y"],
        "does not begin with postgres://",
    );
    check(
        &["--database", "postgres://hub:hunter2@x/y?sslmode=maybe"],
        "sslmode=maybe",
    );
    check(
        &["--database", "postgres://hub:hunter2@localhost"],
        "names no database",
    );
    check(&["--storage", "http://x"], "does not begin with s3://");
    check(&["--storage", "s3://x?colour=red"], "colour is not one of");
    let port = postgres::free_port();
    let nobody = format!("postgres://hub:hunter2@127.0.0.1:{port}/hub");
    check(
        &["--database", &nobody],
        &format!("reach the database postgres://127.0.0.1:{port}/hub"),
    );
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.database("hub");
    let wrong = url.replace("hub@", "hub:hunter2@");
    check(&["--database", &wrong], "password authentication failed");
    let known = url.replace("hub@", &format!("hub:{}@", postgres::PASSWORD));
    check(&["--database", &format!("{known}our")], "hubour");
    let sealed = format!("{known}?sslmode=require");
    check(&["--database", &sealed], "TLS");
    let data = store.path("data");
    let bucket = format!("s3://x?endpoint=http://127.0.0.1:{port}");
    let words = ["--data", data.to_str().unwrap(), "--storage", &bucket];
    let said = serve(&words);
    let wanted = ["failed to reach the storage s3://x: ", "AWS_ACCESS_KEY_ID"];
    assert!(wanted.iter().all(|words| said.contains(words)), "{said}");
}

#[test]
fn the_password_goes_by_whatever_way() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.database("hub");
    let with = url.replace("hub@", &format!("hub:{}@", postgres::PASSWORD));
    let store = Store::new();
    let words = [
        "hub",
        "user",
        "add",
        "--password-stdin",
        "--database",
        &with,
        "one",
    ];
    store.run_with(&words, PASSWORD.as_bytes()).assert_ok();
    let store = Store::new().with("PGPASSWORD", postgres::PASSWORD);
    let listed = store.ok(&[
        "hub",
        "user",
        "ls",
        "--database",
        &url,
        "--format",
        "{{.Name}}",
    ]);
    assert_eq!(listed, "one\n");
}

#[test]
fn of_replicas_one_asks_the_upstream() {
    let Some(sea) = Sea::new() else { return };
    let upstream = Hub::start();
    let image = recipe(&[&[Entry::file("big", &noise(13, 9_000_000))]]).make();
    upstream.fill("ship/app:1", &image);
    let origin = format!("up.example=http://{}", upstream.address());
    let arguments = ["--mirror", origin.as_str()];
    let (first, second) = (sea.hub(false, &arguments), sea.hub(true, &arguments));
    let target = format!("/v2/up.example/ship/app/blobs/{}", digest(&image.blobs[0]));
    std::thread::scope(|scope| {
        for number in 0..8 {
            let hub = if number % 2 == 0 { &first } else { &second };
            let (target, blob) = (&target, &image.blobs[0]);
            scope.spawn(move || {
                assert_eq!(hub.ask("", "GET", target, &[], b"").body, *blob);
            });
        }
    });
    assert_eq!(asked(&first) + asked(&second), 1);
    let store = Store::new();
    store.ok(&["pull", &second.reference("up.example/ship/app:1")]);
}

#[test]
fn the_database_is_reached_by_tls() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.database("hub");
    let Some(certificate) = postgres.seal() else {
        return;
    };
    let store = Store::new().with("PGPASSWORD", postgres::PASSWORD);
    let users = |mode: &str| {
        let url = format!("{url}?sslmode={mode}");
        store.run(&["hub", "user", "ls", "--database", &url])
    };
    let named = format!("verify-full&sslrootcert={}", certificate.display());
    users(&named).assert_ok();
    users("require").assert_ok();
    users("prefer").assert_ok();
    // Nobody on this machine vouches for it; and where there is no TLS, nothing goes without.
    let refused = users("verify-full");
    refused.assert_refused();
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
    let by_name = url.replace("127.0.0.1", "localhost");
    let words = [
        "hub",
        "user",
        "ls",
        "--database",
        &format!("{by_name}?sslmode={named}"),
    ];
    store.refused(&words);
}
