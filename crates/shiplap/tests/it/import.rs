//! `import` of a tar from the web: what arrives is what a file gives, and of a server that fails
//! or means harm nothing stays.

use std::path::PathBuf;

use crate::harness::Store;
use crate::harness::double::{Double, Reply};
use crate::harness::image::{Compression, compress, noise};
use crate::harness::tar::{Entry, tar};

fn rootfs() -> Vec<u8> {
    tar(&[
        Entry::directory("etc"),
        Entry::file("etc/hostname", b"imported\n"),
        Entry::file("noise", &noise(1, 300_000)),
    ])
}

fn redirect(to: &str) -> Reply {
    Reply::new(302, b"").header("location", to)
}

#[test]
fn a_tar_of_the_web_is_what_a_file_is() {
    let rootfs = rootfs();
    let double = Double::start();
    let elsewhere = Double::start();
    double.put("/plain.tar", Reply::new(200, &rootfs));
    for (name, compression) in [("gzip", Compression::Gzip), ("zstd", Compression::Zstd)] {
        let packed = compress(&rootfs, compression);
        elsewhere.put(&format!("/{name}"), Reply::new(200, &packed));
        let to = format!("http://{}/{name}", elsewhere.address());
        double.put(&format!("/moved/{name}"), redirect(&to));
    }
    let store = Store::new();
    let file = store.path("root.tar");
    std::fs::write(&file, &rootfs).unwrap();
    store.ok(&["import", file.to_str().unwrap(), "base:file"]);
    let layers = store.field("base:file", "{{json .RootFS.Layers}}");
    for path in ["plain.tar", "moved/gzip", "moved/zstd"] {
        let address = format!("http://{}/{path}", double.address());
        let asked = format!("{address}?token=secret");
        let id = store.ok(&["import", &asked, "base:web"]);
        assert_eq!(id.trim(), store.field("base:web", "{{.Id}}"));
        assert_eq!(store.field("base:web", "{{json .RootFS.Layers}}"), layers);
        // A signed address is not written into an image that others will read.
        assert_eq!(
            store.field("base:web", "{{.Comment}}"),
            format!("Imported from {address}")
        );
    }
    store.assert_sound();
    assert!(double.log()[0].target().ends_with("?token=secret"));
}

#[test]
fn no_server_gets_credentials() {
    let double = Double::start();
    double.put("/root.tar", Reply::new(200, &rootfs()));
    let store = Store::new();
    // The registry of this name has some.
    store
        .run_with(
            &["login", "-u", "me", "--password-stdin", double.address()],
            b"secret",
        )
        .assert_ok();
    let said = double.log().len();
    store.ok(&["import", &format!("http://{}/root.tar", double.address())]);
    let address = format!("http://me:secret@{}/root.tar", double.address());
    let words = store.refused(&["import", &address]);
    assert!(!words.contains("secret"), "{words}");
    let log = double.log();
    assert_eq!(log.len(), said + 1);
    assert_eq!(log[said].header("authorization"), None);
}

#[test]
fn nothing_stays_of_a_failure() {
    let rootfs = rootfs();
    let packed = compress(&rootfs, Compression::Gzip);
    let double = Double::start();
    let base = format!("http://{}", double.address());
    let cut = |bytes: &[u8]| Reply::new(200, bytes).cut_after(bytes.len() / 2);
    double.put("/cut", cut(&rootfs));
    double.put("/cut.gz", cut(&packed));
    double.put("/loop", redirect("/loop"));
    double.put("/file", redirect("file:///etc/passwd"));
    double.put("/nowhere", Reply::new(302, b""));
    double.put("/denied", Reply::new(403, b""));
    double.put(
        "/endless",
        Reply::new(200, &rootfs).claims_length((1 << 40) + 1),
    );
    double.put("/page", Reply::new(200, b"<html>not a tar</html>"));
    let gone = "http://127.0.0.1:1";
    for (address, words) in [
        (format!("{base}/nothing"), &["find", "404"][..]),
        (format!("{base}/denied"), &["denied", "403"]),
        (format!("{base}/cut"), &["reach"]),
        (format!("{base}/cut.gz"), &["reach"]),
        (format!("{base}/loop"), &["more than 10 redirects"]),
        (format!("{base}/file"), &["redirect to file:"]),
        (format!("{base}/nowhere"), &["Location"]),
        (format!("{base}/endless"), &["larger than"]),
        (format!("{base}/page"), &["import"]),
        (format!("{gone}/x"), &["reach"]),
    ] {
        let store = Store::new();
        let ran = store.run(&["import", &address, "base:web"]);
        ran.assert_refused();
        ran.assert_says(&[&[address.as_str()], words].concat());
        assert_eq!(ran.stdout, "", "{address}");
        assert_eq!(store.names(), Vec::<String>::new(), "{address}");
        assert_eq!(store.kept_files(), Vec::<PathBuf>::new(), "{address}");
        store.assert_sound();
    }
    assert_eq!(double.count("GET", "/loop"), 11);
}
