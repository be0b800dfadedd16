//! The distribution API by itself, request by request: what the OCI conformance program asks, and
//! some more. Nothing of the product's client is used.

use serde_json::{Value, json};

use crate::harness::hub::Hub;
use crate::harness::image::{OCI_MANIFEST, digest, noise, small};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// SHA-512 of `{}`.
const EMPTY_512: &str = "sha512:27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9a33c2046ef60fd2a7878d378e29fec851806bbd9a67878f3a9f1cda4830763fd";

/// The body's first error code.
fn code(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["errors"][0]["code"].as_str().unwrap_or("").to_owned()
}

#[test]
fn blobs_come_in_every_way() {
    let hub = Hub::start();
    let blob = noise(1, 5000);
    let name = digest(&blob);
    let uploads = "/v2/ship/app/blobs/uploads/";
    let target = format!("/v2/ship/app/blobs/{name}");
    let finish = |place: &str| format!("{place}?digest={name}");
    let begin = || {
        let begun = hub.expect("POST", uploads, &[], b"", 202);
        begun.header("location").unwrap().to_owned()
    };
    let there = |way: &str| {
        let got = hub.expect("GET", &target, &[], b"", 200);
        assert_eq!(got.body, blob, "{way}");
        assert_eq!(
            got.header("docker-content-digest"),
            Some(name.as_str()),
            "{way}"
        );
        let head = hub.expect("HEAD", &target, &[], b"", 200);
        assert_eq!(head.header("content-length"), Some("5000"), "{way}");
        hub.expect("DELETE", &target, &[], b"", 202);
        let gone = hub.expect("GET", &target, &[], b"", 404);
        assert_eq!(code(&gone.body), "BLOB_UNKNOWN", "{way}");
    };
    hub.expect("POST", &format!("{uploads}?digest={name}"), &[], &blob, 201);
    there("one POST");
    hub.expect("PUT", &finish(&begin()), &[], &blob, 201);
    there("POST and PUT");
    let place = begin();
    hub.expect("PATCH", &place, &[], &blob, 202);
    hub.expect("PUT", &finish(&place), &[], b"", 201);
    there("one PATCH");
    let place = begin();
    for (number, chunk) in blob.chunks(2000).enumerate() {
        let start = number * 2000;
        let range = format!("{start}-{}", start + chunk.len() - 1);
        let headers = [("content-range", range.as_str())];
        if start == 4000 {
            hub.expect("PUT", &finish(&place), &headers, chunk, 201);
        } else {
            let sent = hub.expect("PATCH", &place, &headers, chunk, 202);
            let end = format!("0-{}", start + chunk.len() - 1);
            assert_eq!(sent.header("range"), Some(end.as_str()));
        }
    }
    there("chunks");
    hub.expect(
        "POST",
        &format!("{uploads}?digest={EMPTY_512}"),
        &[],
        b"{}",
        201,
    );
    let place = begin();
    hub.expect("PATCH", &place, &[], b"{", 202);
    hub.expect(
        "PUT",
        &format!("{place}?digest={EMPTY_512}"),
        &[],
        b"}",
        201,
    );
    let target = format!("/v2/ship/app/blobs/{EMPTY_512}");
    assert_eq!(hub.expect("GET", &target, &[], b"", 200).body, b"{}");
}

#[test]
fn uploads_are_held_to_their_word() {
    let hub = Hub::start();
    let uploads = "/v2/ship/app/blobs/uploads/";
    let begin = || {
        let begun = hub.expect("POST", uploads, &[], b"", 202);
        begun.header("location").unwrap().to_owned()
    };
    let name = digest(b"right");
    let target = format!("{uploads}?digest={name}");
    assert_eq!(
        code(&hub.expect("POST", &target, &[], b"wrong", 400).body),
        "DIGEST_INVALID"
    );
    let place = begin();
    hub.expect("PATCH", &place, &[], b"wro", 202);
    let finish = format!("{place}?digest={name}");
    assert_eq!(
        code(&hub.expect("PUT", &finish, &[], b"ng", 400).body),
        "DIGEST_INVALID"
    );
    hub.expect("GET", &place, &[], b"", 404);
    let place = begin();
    for (range, status) in [("1-5", 416), ("0-9", 400), ("x", 400), ("5-0", 416)] {
        hub.expect(
            "PATCH",
            &place,
            &[("content-range", range)],
            b"right",
            status,
        );
    }
    hub.expect("PUT", &place, &[], b"right", 400);
    for odd in ["sha256:x", "md5:0123", "", "sha256:"] {
        hub.expect("PUT", &format!("{place}?digest={odd}"), &[], b"right", 400);
    }
    hub.expect("PUT", &format!("{place}?digest={name}"), &[], b"right", 201);
    let place = begin();
    hub.expect("DELETE", &place, &[], b"", 204);
    let gone = hub.expect("PATCH", &place, &[], b"x", 404);
    assert_eq!(code(&gone.body), "BLOB_UPLOAD_UNKNOWN");
    // Nobody else's, and of no other repository.
    let place = begin();
    assert_eq!(hub.ask("admin", "PATCH", &place, &[], b"x").status(), 404);
    hub.expect(
        "PATCH",
        &place.replace("ship/app", "ship/other"),
        &[],
        b"x",
        404,
    );
}

#[test]
fn ranges_are_sent() {
    let hub = Hub::start();
    let blob = noise(2, 600_000);
    let target = format!("/v2/ship/app/blobs/{}", hub.upload("ship/app", &blob));
    let check = |range: &str, start: usize, end: usize| {
        let got = hub.expect("GET", &target, &[("range", range)], b"", 206);
        assert_eq!(got.body, blob[start..=end], "{range}");
        let want = format!("bytes {start}-{end}/600000");
        assert_eq!(got.header("content-range"), Some(want.as_str()));
    };
    check("bytes=500-1499", 500, 1499);
    check("bytes=100-", 100, 599_999);
    check("bytes=-500", 599_500, 599_999);
    check("bytes=599999-700000", 599_999, 599_999);
    for range in ["bytes=500-0", "bytes=600000-"] {
        hub.expect("GET", &target, &[("range", range)], b"", 416);
    }
    let etag = hub.expect("HEAD", &target, &[], b"", 200);
    let etag = etag.header("etag").unwrap().to_owned();
    hub.expect("GET", &target, &[("if-none-match", &etag)], b"", 304);
}

#[test]
fn manifests_are_held_to_their_word() {
    let hub = Hub::start();
    let image = small("x");
    let put = |reference: &str, media_type: &str, body: &[u8], status: u16| {
        let target = format!("/v2/ship/app/manifests/{reference}");
        let reply = hub.expect(
            "PUT",
            &target,
            &[("content-type", media_type)],
            body,
            status,
        );
        (status >= 400).then(|| code(&reply.body))
    };
    let own = &image.media_type;
    assert_eq!(
        put("1", own, &image.manifest, 400).unwrap(),
        "MANIFEST_BLOB_UNKNOWN"
    );
    for blob in image.all_blobs().values() {
        hub.upload("ship/app", blob);
    }
    put("1", own, &image.manifest, 201);
    let other = digest(b"other");
    assert_eq!(
        put(&other, own, &image.manifest, 400).unwrap(),
        "DIGEST_INVALID"
    );
    assert_eq!(
        put("sha256:bad", own, &image.manifest, 400).unwrap(),
        "DIGEST_INVALID"
    );
    assert_eq!(put("2", own, b"{", 400).unwrap(), "MANIFEST_INVALID");
    assert_eq!(put("2", own, b"[]", 400).unwrap(), "MANIFEST_INVALID");
    assert_eq!(
        put("2", OCI_INDEX, &image.manifest, 400).unwrap(),
        "MANIFEST_INVALID"
    );
    assert_eq!(
        put("2", "text/x", &image.manifest, 400).unwrap(),
        "MANIFEST_INVALID"
    );
    put("-bad-tag", own, &image.manifest, 400);
    let mut document: Value = serde_json::from_slice(&image.manifest).unwrap();
    document["config"]["size"] = 5.into();
    let lying = document.to_string();
    assert_eq!(
        put("2", own, lying.as_bytes(), 400).unwrap(),
        "MANIFEST_INVALID"
    );
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(4 << 20));
    put("2", own, long.as_bytes(), 413);
    // Any number of names in one request.
    let target = format!(
        "/v2/ship/app/manifests/{}?tag=a&tag=b",
        image.manifest_digest()
    );
    let reply = hub.expect(
        "PUT",
        &target,
        &[("content-type", own)],
        &image.manifest,
        201,
    );
    let tags = reply.headers.iter().filter(|(name, _)| name == "oci-tag");
    assert_eq!(tags.count(), 2);
    let got = hub.expect("GET", "/v2/ship/app/manifests/b", &[], b"", 200);
    assert_eq!(got.body, image.manifest);
    assert_eq!(got.header("content-type"), Some(own.as_str()));
    // A tag goes alone; a manifest takes its tags along, and its blobs may go then.
    let blob = format!("/v2/ship/app/blobs/{}", digest(&image.config));
    hub.expect("DELETE", &blob, &[], b"", 405);
    hub.expect("DELETE", "/v2/ship/app/manifests/a", &[], b"", 202);
    hub.expect("GET", "/v2/ship/app/manifests/a", &[], b"", 404);
    let target = format!("/v2/ship/app/manifests/{}", image.manifest_digest());
    hub.expect("DELETE", &target, &[], b"", 202);
    let gone = hub.expect("GET", "/v2/ship/app/manifests/b", &[], b"", 404);
    assert_eq!(code(&gone.body), "MANIFEST_UNKNOWN");
    hub.expect("DELETE", &blob, &[], b"", 202);
}

#[test]
fn tags_are_listed_in_pages() {
    let hub = Hub::start();
    let image = small("x");
    hub.fill("ship/app:first", &image);
    let many: Vec<String> = (0..25).map(|number| format!("v{number}")).collect();
    let tags: Vec<String> = many.iter().map(|tag| format!("tag={tag}")).collect();
    let target = format!(
        "/v2/ship/app/manifests/{}?{}",
        image.manifest_digest(),
        tags.join("&")
    );
    let headers = [("content-type", image.media_type.as_str())];
    hub.expect("PUT", &target, &headers, &image.manifest, 201);
    let mut want = [many, vec!["first".to_owned()]].concat();
    want.sort();
    let page = |target: &str| {
        let reply = hub.expect("GET", target, &[], b"", 200);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let tags = body["tags"].as_array().unwrap().clone();
        let tags: Vec<String> = tags
            .iter()
            .map(|tag| tag.as_str().unwrap().to_owned())
            .collect();
        let next = reply.header("link").map(|link| {
            let (target, relation) = link[1..].split_once('>').unwrap();
            assert_eq!(relation, "; rel=\"next\"");
            target.to_owned()
        });
        (tags, next)
    };
    let list = "/v2/ship/app/tags/list";
    assert_eq!(page(list), (want.clone(), None));
    let (mut found, mut next) = page(&format!("{list}?n=10"));
    while let Some(target) = next {
        let (more, after) = page(&target);
        found.extend(more);
        next = after;
    }
    assert_eq!(found, want);
    assert_eq!(page(&format!("{list}?n=0")), (Vec::new(), None));
    assert_eq!(page(&format!("{list}?last=v8")).0, ["v9"]);
    hub.expect("GET", &format!("{list}?n=x"), &[], b"", 400);
    hub.expect("GET", &format!("{list}?n=-1"), &[], b"", 400);
    hub.expect("GET", "/v2/ship/none/tags/list", &[], b"", 404);
}

#[test]
fn referrers_are_listed() {
    let hub = Hub::start();
    let image = small("x");
    hub.fill("ship/app:1", &image);
    hub.upload("ship/app", b"{}");
    let empty = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2 });
    let push = |subject: &str, kind: &str, word: &str| {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind,
            "config": empty, "layers": [empty], "annotations": { "word": word },
            "subject": { "mediaType": OCI_MANIFEST, "digest": subject, "size": 1 },
        });
        let bytes = manifest.to_string().into_bytes();
        let target = format!("/v2/ship/app/manifests/{}", digest(&bytes));
        let reply = hub.expect(
            "PUT",
            &target,
            &[("content-type", OCI_MANIFEST)],
            &bytes,
            201,
        );
        assert_eq!(reply.header("oci-subject"), Some(subject));
        digest(&bytes)
    };
    let subject = image.manifest_digest();
    let mut both = vec![
        push(&subject, "application/x.one", "a"),
        push(&subject, "application/x.two", "b"),
    ];
    both.sort();
    let absent = digest(b"absent");
    push(&absent, "application/x.one", "c");
    let list = |subject: &str, query: &str, filtered: bool| {
        let target = format!("/v2/ship/app/referrers/{subject}{query}");
        let reply = hub.expect("GET", &target, &[], b"", 200);
        assert_eq!(reply.header("content-type"), Some(OCI_INDEX));
        assert_eq!(reply.header("oci-filters-applied").is_some(), filtered);
        let index: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(index["schemaVersion"], 2);
        index["manifests"].as_array().unwrap().clone()
    };
    let found = list(&subject, "", false);
    let digests: Vec<&str> = found
        .iter()
        .map(|it| it["digest"].as_str().unwrap())
        .collect();
    assert_eq!(digests, both);
    let one = list(&subject, "?artifactType=application/x.one", true);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["annotations"]["word"], "a");
    assert_eq!(one[0]["artifactType"], "application/x.one");
    assert_eq!(list(&absent, "", false).len(), 1);
    assert_eq!(list(&digest(b"nothing"), "", false).len(), 0);
    hub.expect("GET", "/v2/ship/app/referrers/sha256:x", &[], b"", 400);
    // Whoever may push to a repository that is not there yet learns that it has none.
    let target = format!("/v2/ship/new/referrers/{subject}");
    hub.expect("GET", &target, &[], b"", 200);
    assert_eq!(hub.ask("other", "GET", &target, &[], b"").status(), 404);
}
