//! Other readers of EROFS on the same index: erofs-utils and the crate `erofs-rs`.

use std::fs;
use std::process::Command;

use erofs_rs::EroFS;
use erofs_rs::backend::SliceImage;

use super::*;

/// fsck.erofs of 1.6 or later: earlier ones know blocks of 4 KiB only.
fn judge(name: &str) -> Option<String> {
    let name =
        std::env::var("EROFS_UTILS").map_or(name.to_owned(), |path| format!("{path}/{name}"));
    let Ok(output) = Command::new(&name).arg("-V").output() else {
        eprintln!("skipped: {name} is not installed");
        return None;
    };
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    let version = words
        .split_whitespace()
        .find(|word| word.starts_with("1."))
        .unwrap_or_default();
    let minor = version
        .split(['.', '-'])
        .nth(1)
        .and_then(|minor| minor.parse().ok());
    if minor.unwrap_or(0) < 6 {
        eprintln!("skipped: {name} {version} knows no blocks of 512 bytes; 1.6 or later does");
        return None;
    }
    Some(name)
}

#[test]
fn fsck_accepts_every_byte() {
    let (Some(fsck), Some(dump)) = (judge("fsck.erofs"), judge("dump.erofs")) else {
        return;
    };
    for layer in [Layer::new(), sample(), crowded(3000)] {
        let room = tempfile::tempdir().unwrap();
        let (index, tar) = (room.path().join("index"), room.path().join("tar"));
        fs::write(&index, layer.index()).unwrap();
        fs::write(&tar, &layer.tar).unwrap();
        let device = format!("--device={}", tar.display());
        let output = Command::new(&fsck)
            .args(["--extract", &device])
            .arg(&index)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let output = Command::new(&dump)
            .args(["-s", "-S", &device])
            .arg(&index)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// One directory with many names.
pub(super) fn crowded(count: u32) -> Layer {
    let mut layer = Layer::new();
    let file = layer.file("first", b"one content for all");
    let Kind::File(data) = layer.tree.nodes[file.0 as usize].kind.clone() else {
        return layer;
    };
    for number in 0..count {
        layer.add(
            &format!("f{}", number.wrapping_mul(2_654_435_761)),
            node(Kind::File(data.clone())),
        );
    }
    layer
}

#[test]
fn erofs_rs_reads_the_same() {
    let layer = sample();
    let bytes = layer.index();
    let mut tar = layer.tar.clone();
    tar.resize(tar.len().next_multiple_of(512), 0);
    let devices = vec![SliceImage::new(&tar)];
    let image = EroFS::new_with_devices(SliceImage::new(&bytes), devices).unwrap();
    let mut files = 0;
    let mut stack = vec![(String::new(), NodeId(0))];
    while let Some((path, id)) = stack.pop() {
        match &layer.tree.nodes[id.0 as usize].kind {
            Kind::Directory(directory) => {
                for (name, &child) in &directory.children {
                    stack.push((format!("{path}/{}", str::from_utf8(name).unwrap()), child));
                }
            }
            Kind::File(data) => {
                let file = image.open(&path).unwrap();
                assert_eq!(file.size() as u64, data.size_bytes, "{path}");
                let mut content = vec![0; data.size_bytes as usize];
                let mut done = 0;
                while done < content.len() {
                    let read = file.read_at(&mut content[done..], done as u64).unwrap();
                    assert!(read > 0, "{path} ends at {done}");
                    done += read;
                }
                assert!(content == layer.content(data), "{path} differs");
                files += 1;
            }
            _ => {}
        }
    }
    assert!(files > 1500);
}
