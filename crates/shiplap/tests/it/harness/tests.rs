//! The harness judged by the peers: what it makes and serves is what they take it for.

use std::process::Command;

use super::Store;
use super::double::Double;
use super::image::{Compression, Family, digest, usual};
use super::judge;
use super::registry::Registry;

#[test]
fn skopeo_takes_what_is_served() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let double = Double::start();
    let store = Store::new();
    for (tag, family, compression) in [
        ("gzip", Family::Oci, Compression::Gzip),
        ("zstd", Family::Oci, Compression::Zstd),
        ("docker", Family::Docker, Compression::Gzip),
    ] {
        let image = usual().family(family).compression(compression).make();
        let name = format!("team/app:{tag}");
        registry.fill(&name, &image);
        double.fill(&name, &image);
        for (number, source) in [registry.reference(&name), double.reference(&name)]
            .iter()
            .enumerate()
        {
            let Some(mut skopeo) = judge::skopeo() else {
                return;
            };
            let layout = store.path(&format!("{tag}-{number}"));
            let target = format!("oci:{}:1", layout.display());
            skopeo.args([
                "copy",
                "--quiet",
                "--preserve-digests",
                "--src-tls-verify=false",
            ]);
            if family == Family::Docker {
                // A layout has no place for Docker's types: into a directory as it is.
                skopeo
                    .arg(format!("docker://{source}"))
                    .arg(format!("dir:{}", layout.display()));
                judge::ask(&mut skopeo);
                let manifest = std::fs::read(layout.join("manifest.json")).unwrap();
                assert_eq!(digest(&manifest), image.manifest_digest());
            } else {
                judge::ask(skopeo.arg(format!("docker://{source}")).arg(target));
                let blob = layout
                    .join("blobs/sha256")
                    .join(&image.manifest_digest()[7..]);
                assert!(blob.is_file());
            }
        }
    }
}

#[test]
fn umoci_and_tar_take_what_is_written() {
    let image = usual().make();
    let store = Store::new();
    let layout = store.path("layout");
    image.write_layout(&layout, "1");
    if judge::is_root()
        && let Some(root) = judge::umoci_unpack(&layout, "1", &store.path("bundle"))
    {
        assert!(root.join("etc/new").is_file());
        assert!(!root.join("etc/gone").exists());
    }
    for archive in [image.docker_archive(&["app:1"]), image.oci_archive("app:1")] {
        let file = store.path("archive.tar");
        std::fs::write(&file, archive).unwrap();
        judge::ask(Command::new("tar").arg("-tf").arg(&file));
    }
    let Some(mut skopeo) = judge::skopeo() else {
        return;
    };
    let file = store.path("docker.tar");
    std::fs::write(&file, image.docker_archive(&["app:1"])).unwrap();
    let source = format!("docker-archive:{}", file.display());
    let config = judge::ask(skopeo.args(["inspect", "--config", "--raw", &source]));
    assert_eq!(config.into_bytes(), image.config);
}
