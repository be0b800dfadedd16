//! What lies beneath a hub: disks that fill, power that fails, connections that others hear.

use std::process::Command;

use crate::crash::SmallDisk;
use crate::harness::Store;
use crate::harness::hub::{Hub, PASSWORD, Start};
use crate::harness::image::{digest, noise, small, usual};
use crate::harness::judge;

/// The order in which a push reaches the disk, as the kernel saw it: the blob's bytes, its name, the
/// folder, the record, and only then the answer.
#[test]
fn an_answer_comes_after_the_disk_has_it() {
    let Some(strace) = judge::program("strace") else {
        return;
    };
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("trace");
    let within = [
        strace.to_str().unwrap(),
        "-D",
        "-f",
        "-y",
        "-s",
        "40",
        "-e",
        "trace=fsync,fdatasync,rename,renameat,renameat2,write,writev,sendto",
        "-o",
        log.to_str().unwrap(),
    ];
    let hub = Hub::begin(&Start {
        within: &within,
        arguments: &["--access-log", "none"],
        ..Start::default()
    });
    let before = std::fs::read_to_string(&log).unwrap().lines().count();
    let blob = noise(7, 400_000);
    let name = digest(&blob);
    hub.upload("ship/app", &blob);
    let trace = std::fs::read_to_string(&log).unwrap();
    let calls: Vec<&str> = trace.lines().skip(before).collect();
    let position = |what: &str, from: usize, fits: &dyn Fn(&str) -> bool| {
        let found = calls.iter().skip(from).position(|call| fits(call));
        let found = found.unwrap_or_else(|| panic!("no {what} after {from}:\n{trace}"));
        from + found
    };
    let is_sync = |call: &str| call.contains("fsync(") || call.contains("fdatasync(");
    let bytes = position("sync of the bytes", 0, &|call| {
        is_sync(call) && call.contains("/uploads/")
    });
    let named = position("rename", bytes, &|call| {
        call.contains("rename") && call.contains(&name[7..])
    });
    let folder = position("sync of the folder", named, &|call| {
        is_sync(call) && call.contains(&format!("/blobs/sha256/{}>", &name[7..9]))
    });
    let record = position("sync of the record", folder, &|call| {
        is_sync(call) && call.contains("hub.db-wal")
    });
    let answer = position("answer", 0, &|call| call.contains("HTTP/1.1 201"));
    assert!(record < answer, "answered too early:\n{trace}");

    // A manifest is a record alone.
    let image = small("x");
    for blob in image.all_blobs().values() {
        hub.upload("ship/app", blob);
    }
    let before = std::fs::read_to_string(&log).unwrap().lines().count();
    let headers = [("content-type", image.media_type.as_str())];
    let target = "/v2/ship/app/manifests/1";
    hub.expect("PUT", target, &headers, &image.manifest, 201);
    let trace = std::fs::read_to_string(&log).unwrap();
    let calls: Vec<&str> = trace.lines().skip(before).collect();
    let record = calls
        .iter()
        .position(|call| is_sync(call) && call.contains("hub.db-wal"));
    let answer = calls.iter().position(|call| call.contains("HTTP/1.1 201"));
    assert!(record.is_some() && record < answer, "{trace}");
}

#[test]
fn a_full_disk_loses_nothing() {
    let Some(disk) = SmallDisk::new(8) else {
        return;
    };
    let hub = Hub::begin(&Start {
        data: Some(disk.path()),
        ..Start::default()
    });
    let image = usual().make();
    hub.fill("ship/app:1", &image);
    let big = noise(3, 20_000_000);
    let target = format!("/v2/ship/app/blobs/uploads/?digest={}", digest(&big));
    let refused = hub.ask("ship", "POST", &target, &[], &big);
    assert_eq!(refused.status(), 507, "{refused:?}");
    // In chunks, too; what there was room for is given up with the upload.
    let begun = hub.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    assert_eq!(hub.ask("ship", "PATCH", &place, &[], &big).status(), 507);
    hub.expect("DELETE", &place, &[], b"", 204);
    // All that was acknowledged is there, and more is taken.
    hub.fill("ship/app:2", &small("x"));
    let store = Store::new();
    store.ok(&["pull", &hub.reference("ship/app:1")]);
    assert_eq!(
        store.field(&hub.reference("ship/app:1"), "{{.Id}}"),
        image.id()
    );
    hub.verb(&["check"]).assert_ok();
    drop(hub);
}

#[test]
fn it_speaks_tls() {
    let Some(openssl) = judge::program("openssl") else {
        return;
    };
    let folder = tempfile::TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (at("ca.crt"), at("key.pem"));
    judge::ask(Command::new(openssl).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=hub",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]));
    let hub = Hub::start_with(&["--tls-certificate", &certificate, "--tls-key", &key]);
    let layout = folder.path().join("layout");
    std::fs::create_dir(&layout).unwrap();
    usual().make().write_layout(&layout, "1");
    let source = format!("oci:{}:1", layout.display());
    let name = hub.reference("ship/app:1");
    let store = Store::new().with("SSL_CERT_FILE", &certificate);
    let login = ["login", "-u", "ship", "--password-stdin", hub.address()];
    store.run_with(&login, PASSWORD.as_bytes()).assert_ok();
    store.ok(&["copy", &source, &name]);
    if let Some(mut skopeo) = judge::skopeo() {
        let certificates = folder.path().to_str().unwrap();
        let shown = judge::ask(skopeo.args([
            "inspect",
            "--raw",
            "--cert-dir",
            certificates,
            &format!("docker://{name}"),
        ]));
        assert_eq!(shown.into_bytes(), usual().make().manifest);
    }
}
