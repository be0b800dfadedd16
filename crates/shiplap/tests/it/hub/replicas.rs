//! Several hubs on one database and one bucket, working through the same queues: nothing is done twice,
//! and nothing is taken that somebody needs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::elsewhere::Sea;
use super::webhooks::listener;
use crate::harness::hub::Hub;
use crate::harness::image::{Image, digest, noise, recipe, small};
use crate::harness::tar::Entry;

#[test]
fn each_push_is_told_once() {
    let Some(sea) = Sea::new() else { return };
    let arguments = ["--inner-webhooks", "--access-log", "none"];
    let hubs = [sea.hub(false, &arguments), sea.hub(true, &arguments)];
    let (address, messages) = listener(&[200; 64]);
    hubs[0]
        .verb(&["webhook", "add", "ship", &address])
        .assert_ok();
    let mut wanted = BTreeMap::new();
    for number in 0..12 {
        let name = format!("ship/app:v{number}");
        hubs[number % 2].fill(&name, &small(&name));
        wanted.insert(format!("v{number}"), 1);
    }
    let mut heard: BTreeMap<String, u32> = BTreeMap::new();
    let begun = Instant::now();
    while heard.len() < wanted.len() {
        let left = Duration::from_secs(60).saturating_sub(begun.elapsed());
        let message = messages.recv_timeout(left).expect("a push is not told");
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        let tag = body["push_data"]["tag"].as_str().unwrap().to_owned();
        *heard.entry(tag).or_default() += 1;
    }
    // Both look every ten seconds; what is told again is told by then.
    let again = messages.recv_timeout(Duration::from_secs(12));
    assert!(again.is_err(), "told again: {again:?}");
    assert_eq!(heard, wanted);
}

/// Both hubs collect without any grace while clients push the same blobs again and again: whatever
/// manifest was acknowledged has all its parts, at either hub.
#[test]
fn nothing_is_collected_that_is_needed() {
    let Some(sea) = Sea::new() else { return };
    let hubs = [
        sea.hub(false, &["--access-log", "none"]),
        sea.hub(true, &["--access-log", "none"]),
    ];
    let shared = Entry::file("shared", &noise(20, 30_000));
    let image = recipe(&[&[shared]]).make();
    // So often a manifest must be acknowledged, however long that takes.
    const WANTED: u32 = 24;
    let (acknowledged, begun) = (AtomicU32::new(0), Instant::now());
    let goes_on = || {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{acknowledged:?} in two minutes"
        );
        acknowledged.load(Ordering::Relaxed) < WANTED
    };
    std::thread::scope(|scope| {
        let (hubs, image, goes_on, acknowledged) = (&hubs, &image, &goes_on, &acknowledged);
        scope.spawn(|| {
            while goes_on() {
                no_grace(&sea);
            }
        });
        for client in 0..4 {
            scope.spawn(move || {
                while goes_on() {
                    let went = churn(&hubs[client % 2], hubs, client, image);
                    acknowledged.fetch_add(u32::from(went), Ordering::Relaxed);
                }
            });
        }
    });
    // What nobody needs any longer is gone in the end, in the bucket, too.
    let begun = Instant::now();
    loop {
        no_grace(&sea);
        if sea.bucket.files("here/blobs").is_empty() {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "blobs stay for ever"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    hubs[0].verb(&["check"]).assert_ok();
}

/// Makes everything old, and wants all of it looked at.
fn no_grace(sea: &Sea) {
    for sql in [
        "UPDATE repository_blobs SET linked_us = 0",
        "UPDATE repository_reviews SET due_us = 0",
        "UPDATE blob_reviews SET due_us = 0",
    ] {
        sea.postgres.disturb("hub", sql);
    }
}

/// Pushes an image, and takes it away again if it was acknowledged; whether it was.
fn churn(hub: &Hub, hubs: &[Hub; 2], client: usize, image: &Image) -> bool {
    let repository = format!("ship/churn{client}");
    for (digest, blob) in image.all_blobs() {
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let reply = hub.ask("ship", "POST", &target, &[], &blob);
        assert_eq!(reply.status(), 201, "{reply:?}");
    }
    let target = format!("/v2/{repository}/manifests/1");
    let headers = [("content-type", image.media_type.as_str())];
    let reply = hub.ask("ship", "PUT", &target, &headers, &image.manifest);
    // A blob may have been collected before the manifest needed it: there is no grace.
    if reply.status() == 404 || reply.status() == 400 {
        return false;
    }
    assert_eq!(reply.status(), 201, "{reply:?}");
    // Nobody else takes it away: it is whole, wherever it is asked for.
    for hub in hubs {
        assert_eq!(hub.ask("ship", "GET", &target, &[], b"").status(), 200);
        for digest in image.all_blobs().into_keys() {
            let target = format!("/v2/{repository}/blobs/{digest}");
            assert_eq!(hub.ask("ship", "GET", &target, &[], b"").status(), 200);
        }
    }
    let whole = format!("/v2/{repository}/manifests/{}", digest(&image.manifest));
    let gone = hub.ask("ship", "DELETE", &whole, &[], b"");
    assert_eq!(gone.status(), 202, "{gone:?}");
    true
}
