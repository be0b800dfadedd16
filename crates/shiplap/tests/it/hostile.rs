//! Registries and layers that mean harm: each is refused in words, and nothing of it stays.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Store;
use crate::harness::double::{Double, Reply};
use crate::harness::image::{
    Compression, Family, Image, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, compress, descriptor, digest,
    index, noise, recipe, small, usual,
};
use crate::harness::judge;
use crate::harness::tar::{Entry, tar};

/// The pull fails by its own decision, in time, and leaves neither name nor byte.
#[track_caller]
fn assert_pull_refused(double: &Double, case: &str) {
    let store = Store::new();
    let start = Instant::now();
    let ran = store.run(&["pull", &double.reference("app:1")]);
    assert!(ran.code.is_some_and(|code| code != 0), "{case}: {ran:?}");
    ran.assert_refused();
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{case} took {:?}",
        start.elapsed()
    );
    assert_eq!(store.names(), Vec::<String>::new(), "{case}");
    store.ok(&["image", "prune", "--all", "--force"]);
    assert_eq!(store.kept_files(), Vec::<PathBuf>::new(), "{case}");
    store.assert_sound();
}

/// The image's manifest with one thing changed, served as if nothing were wrong.
fn bent(image: &Image, bend: impl Fn(&mut Value)) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    bend(&mut manifest);
    serde_json::to_vec(&manifest).unwrap()
}

#[test]
fn manifests_that_lie() {
    let image = usual().make();
    let text = String::from_utf8(image.manifest.clone()).unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("no JSON", b"<html>not found</html>".to_vec()),
        (
            "cut short",
            image.manifest[..image.manifest.len() - 5].to_vec(),
        ),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        (
            "a duplicate key",
            text.replacen("{\"config\"", "{\"config\":{},\"config\"", 1)
                .into_bytes(),
        ),
        (
            "nested without end",
            format!("{{\"schemaVersion\":2,\"x\":{deep}}}").into_bytes(),
        ),
        (
            "schema version 1",
            bent(&image, |m| m["schemaVersion"] = json!(1)),
        ),
        (
            "manifest and index at once",
            bent(&image, |m| m["manifests"] = json!([])),
        ),
        (
            "another media type inside",
            bent(&image, |m| m["mediaType"] = json!(OCI_INDEX)),
        ),
        (
            "layers of another kind",
            bent(&image, |m| m["layers"] = json!("all")),
        ),
        (
            "a negative size",
            bent(&image, |m| m["layers"][0]["size"] = json!(-1)),
        ),
        (
            "a size beyond all bounds",
            bent(&image, |m| m["layers"][0]["size"] = json!(u64::MAX)),
        ),
        (
            "a digest that is a path",
            bent(&image, |m| {
                m["layers"][0]["digest"] = json!("sha256:../../../../../../etc/passwd");
            }),
        ),
        (
            "a short digest",
            bent(&image, |m| m["layers"][0]["digest"] = json!("sha256:12")),
        ),
        (
            "an unknown algorithm",
            bent(&image, |m| {
                m["layers"][0]["digest"] = json!("crc32:01234567");
            }),
        ),
        (
            "fewer layers than DiffIDs",
            bent(&image, |m| {
                m["layers"].as_array_mut().unwrap().pop();
            }),
        ),
        (
            "a layer size that is too small",
            bent(&image, |m| m["layers"][1]["size"] = json!(10)),
        ),
        (
            "a layer size that is too large",
            bent(&image, |m| {
                m["layers"][1]["size"] = json!(image.blobs[1].len() + 1);
            }),
        ),
        (
            "a config that is a layer",
            bent(&image, |m| m["config"] = m["layers"][0].clone()),
        ),
        (
            "layers in another order",
            bent(&image, |m| m["layers"].as_array_mut().unwrap().reverse()),
        ),
        (
            "ten thousand layers",
            bent(&image, |m| {
                let layer = m["layers"][0].clone();
                m["layers"] = Value::from(vec![layer; 10_000]);
            }),
        ),
    ];
    for (case, manifest) in cases {
        let double = Double::start();
        double.fill("app:0", &image);
        double.put_manifest("app", "1", OCI_MANIFEST, &manifest);
        assert_pull_refused(&double, case);
    }
}

#[test]
fn a_manifest_of_100_megabytes() {
    let double = Double::start();
    let huge = vec![b' '; 100 << 20];
    double.put_manifest("app", "1", OCI_MANIFEST, &huge);
    assert_pull_refused(&double, "a manifest of spaces");
    // Nor when the length is not said before.
    let double = Double::start();
    let reply = Reply::new(200, &[b' '; 20 << 20]).header("content-type", OCI_MANIFEST);
    double.put("/v2/app/manifests/1", reply.claims_length(1 << 40));
    assert_pull_refused(&double, "a manifest that claims a terabyte");
}

#[test]
fn blobs_that_lie() {
    let image = usual().make();
    let layer = digest(&image.blobs[1]);
    let good = &image.blobs[1];
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let cases: Vec<(&str, Reply)> = vec![
        ("one flipped bit", Reply::new(200, &flipped)),
        (
            "cut short, and says so",
            Reply::new(200, &good[..good.len() - 3]),
        ),
        ("too long", Reply::new(200, &[&good[..], b"more"].concat())),
        ("empty", Reply::new(200, b"")),
        ("an error page with status 200", Reply::new(200, b"<html>")),
        ("gone", Reply::error(404, "BLOB_UNKNOWN")),
        ("forbidden", Reply::error(403, "DENIED")),
        (
            "a redirect to nowhere",
            Reply::new(307, b"").header("location", "http://127.0.0.1:1/x"),
        ),
        (
            "a redirect to a file",
            Reply::new(307, b"").header("location", "file:///etc/passwd"),
        ),
        ("a redirect without a place", Reply::new(307, b"")),
    ];
    for (case, reply) in cases {
        let double = Double::start();
        double.fill("app:1", &image);
        double.put(&format!("/v2/app/blobs/{layer}"), reply);
        assert_pull_refused(&double, case);
    }
    let double = Double::start();
    double.fill("app:1", &image);
    let circle = format!("/v2/app/blobs/{layer}");
    double.put(&circle, Reply::new(307, b"").header("location", &circle));
    assert_pull_refused(&double, "a redirect in a circle");
}

#[test]
fn layers_that_are_not_what_the_config_says() {
    let (one, two) = (small("one"), small("two"));
    let manifest = bent(&one, |m| {
        m["layers"][0] = descriptor(&format!("{OCI_LAYER}+gzip"), &two.blobs[0]);
    });
    let double = Double::start();
    double.fill("app:0", &one);
    double.fill("app:2", &two);
    double.put_manifest("app", "1", OCI_MANIFEST, &manifest);
    assert_pull_refused(&double, "a wrong DiffID");
}

/// An image whose only layer is these bytes, sent as they are.
fn image_of_blob(blob: &[u8], tar_digest: &str) -> Image {
    let mut image = recipe(&[])
        .raw_layer(blob.to_vec())
        .compression(Compression::None)
        .make();
    let mut config: Value = serde_json::from_slice(&image.config).unwrap();
    config["rootfs"]["diff_ids"] = json!([tar_digest]);
    image.config = serde_json::to_vec(&config).unwrap();
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["config"] = descriptor("application/vnd.oci.image.config.v1+json", &image.config);
    manifest["layers"][0]["mediaType"] = json!(format!("{OCI_LAYER}+gzip"));
    image.manifest = serde_json::to_vec(&manifest).unwrap();
    image
}

#[test]
fn compressed_data_that_breaks() {
    let layer = tar(&[Entry::file("noise", &noise(8, 100_000))]);
    let good = compress(&layer, Compression::Gzip);
    let mut crc = good.clone();
    let end = crc.len();
    crc[end - 6] ^= 1;
    let mut inside = good.clone();
    inside[good.len() / 2] ^= 0x55;
    let cases = [
        ("gzip cut short", good[..good.len() / 2].to_vec()),
        ("gzip with a wrong sum", crc),
        ("gzip broken inside", inside),
        ("garbage", noise(1, 5000)),
        (
            "garbage after gzip",
            [&good[..], &noise(2, 100)[..]].concat(),
        ),
    ];
    for (case, blob) in cases {
        let double = Double::start();
        double.fill("app:1", &image_of_blob(&blob, &digest(&layer)));
        assert_pull_refused(&double, case);
    }
}

#[test]
fn bombs_are_stopped() {
    // 64 GiB of zeros in a few kilobytes: zstd frames of a run each.
    let frame = zstd::encode_all(&vec![0; 64 << 20][..], 1).unwrap();
    let mut bomb = zstd::encode_all(
        &tar(&[Entry::file("zeros", b"").claims_size(64 << 30)])[..512],
        1,
    )
    .unwrap();
    for _ in 0..1024 {
        bomb.extend(&frame);
    }
    let double = Double::start();
    double.fill("app:1", &image_of_blob(&bomb, &digest(b"never reached")));
    assert_pull_refused(&double, "a layer that inflates without end");
}

#[test]
fn tars_that_lie() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no tar", noise(3, 4096)),
        (
            "a size beyond the end",
            tar(&[Entry::file("x", b"").claims_size(1 << 30)]),
        ),
        (
            "a size beyond all bounds",
            tar(&[Entry::file("x", b"").pax("size", b"99999999999999999999")]),
        ),
        (
            "a negative size",
            tar(&[Entry::file("x", b"").pax("size", b"-1")]),
        ),
        (
            "a PAX record without length",
            tar(&[Entry::file("x", b"").raw_pax(
                b"key=value
",
            )]),
        ),
        (
            "a PAX record that ends beyond its header",
            tar(&[Entry::file("x", b"").raw_pax(
                b"99999 key=value
",
            )]),
        ),
        (
            "a name of 300 bytes",
            tar(&[Entry::file(&"n".repeat(300), b"")]),
        ),
        (
            "a path of 10,000 bytes",
            tar(&[Entry::file(&"n/".repeat(5000), b"")]),
        ),
        (
            "an xattr of a megabyte",
            tar(&[Entry::file("x", b"").xattr("user.x", &vec![b'x'; 1 << 20])]),
        ),
    ];
    for (case, layer) in cases {
        let double = Double::start();
        double.fill("app:1", &recipe(&[]).raw_layer(layer).make());
        assert_pull_refused(&double, case);
    }
}

#[test]
fn paths_stay_inside() {
    // Refused or kept inside, as the entry may be: what must never be is a file outside.
    let outside = tempfile::TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "untouched").unwrap();
    let up = "../".repeat(20);
    let target = outside
        .path()
        .to_str()
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    let entries: Vec<Vec<Entry>> = vec![
        vec![Entry::file(&format!("{up}{target}/planted"), b"x")],
        vec![Entry::file(&format!("/{target}/planted"), b"x")],
        vec![
            Entry::symlink("link", outside.path().to_str().unwrap()),
            Entry::file("link/planted", b"x"),
        ],
        vec![
            Entry::symlink("link", &format!("{up}{target}")),
            Entry::file("link/planted", b"x"),
        ],
        vec![
            Entry::hard_link("secret", &format!("{up}{target}/secret")),
            Entry::file("secret", b"x"),
        ],
        vec![Entry::hard_link("secret", &format!("/{target}/secret"))],
        vec![Entry::whiteout(&format!("{up}{target}"), "secret")],
        vec![Entry::file(".wh...", b"")],
        vec![Entry::file(".wh..", b"")],
        vec![Entry::file("a/.wh.", b"")],
        vec![
            Entry::symlink("link", outside.path().to_str().unwrap()),
            Entry::whiteout("link", "secret"),
        ],
        vec![
            Entry::symlink("link", outside.path().to_str().unwrap()),
            Entry::opaque("link"),
        ],
        vec![Entry::directory(".."), Entry::directory(&up).mode(0o777)],
    ];
    for (number, entries) in entries.iter().enumerate() {
        let double = Double::start();
        double.fill("app:1", &recipe(&[entries]).make());
        let store = Store::new();
        let name = double.reference("app:1");
        if store.run(&["pull", &name]).code == Some(0) && judge::is_root() {
            let tree = store.path("copied");
            store.run(&["image", "cp", &name, "/", tree.to_str().unwrap()]);
            let mount = store.path("mount");
            std::fs::create_dir(&mount).unwrap();
            let mount = mount.to_str().unwrap();
            if store
                .run(&["--layer-backend", "tree", "mount", &name, mount])
                .code
                == Some(0)
            {
                store.ok(&["umount", mount]);
            }
        }
        let names: Vec<_> = std::fs::read_dir(outside.path())
            .unwrap()
            .flatten()
            .collect();
        assert_eq!(names.len(), 1, "case {number} planted something: {names:?}");
        assert_eq!(
            std::fs::read_to_string(&secret).unwrap(),
            "untouched",
            "case {number}"
        );
        store.assert_sound();
    }
}

#[test]
fn indexes_without_end() {
    let double = Double::start();
    // Each index holds only the next, and the last the first: by tag, since no digest can do it.
    let image = small("x");
    double.fill("app:0", &image);
    let mut inner = index(Family::Oci, &[("linux/amd64", &image)]);
    for _ in 0..50 {
        double.put_manifest("app", "inner", OCI_INDEX, &inner);
        inner = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(OCI_INDEX, &inner)],
        }))
        .unwrap();
    }
    double.put_manifest("app", "1", OCI_INDEX, &inner);
    assert_pull_refused(&double, "indexes within indexes");

    let double = Double::start();
    let entry = descriptor(OCI_MANIFEST, &image.manifest);
    let wide =
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": vec![entry; 20_000] });
    double.put_manifest("app", "1", OCI_INDEX, wide.to_string().as_bytes());
    assert_pull_refused(&double, "an index of 20,000");

    let double = Double::start();
    let empty = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] });
    double.put_manifest("app", "1", OCI_INDEX, empty.to_string().as_bytes());
    assert_pull_refused(&double, "an empty index");
}

#[test]
fn what_a_registry_says_does_not_steer_the_terminal() {
    let double = Double::start();
    double.answer(|request| {
        let body = json!({ "errors": [{ "code": "DENIED", "message": "\u{1b}]0;owned\u{7}\u{1b}[2Jbye" }] });
        request.path().contains("/manifests/").then(|| {
            Reply::new(403, body.to_string().as_bytes()).header("content-type", "application/json")
        })
    });
    let ran = Store::new().run(&["pull", &double.reference("app:1")]);
    ran.assert_refused();
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn memory_is_bounded() {
    let Some(time) = judge::program("time") else {
        return;
    };
    let image = recipe(&[&[Entry::file("zeros", &vec![0; 256 << 20])]]).make();
    let double = Double::start();
    double.fill("app:1", &image);
    let store = Store::new();
    let plain = store.command(&["pull", "-q", &double.reference("app:1")]);
    let mut timed = Command::new(time);
    timed
        .args(["-f", "%M"])
        .arg(plain.get_program())
        .args(plain.get_args());
    timed.env_clear().envs(
        plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let output = timed.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let peak_kib: u64 = stderr.lines().last().unwrap().trim().parse().unwrap();
    assert!(
        peak_kib < 120 << 10,
        "{peak_kib} KiB for a layer of 256 MiB"
    );
}
