//! Images for the tests of this verb, made by hand.

use std::fs::File;
use std::io::Seek as _;

use shiplap_layer::erofs::LayerIndex;
use shiplap_layer::ingest;
use shiplap_layer::tar::{Metadata, Writer};

use super::paths::Paths;

/// An entry of a layer.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    Directory(&'a str),
    File(&'a str, &'a [u8]),
    /// A file with mode, owner and group.
    Owned(&'a str, &'a [u8], u16, u32),
    /// Of so many bytes, all the same.
    Sized(&'a str, usize),
    HardLink(&'a str, &'a str),
    Gone(&'a str),
    Opaque(&'a str),
}

/// An image's paths, and its tars.
pub(super) struct Made {
    pub(super) paths: Paths,
    tars: Vec<File>,
}

impl Made {
    pub(super) fn tars(&self) -> Vec<&File> {
        self.tars.iter().collect()
    }

    pub(super) fn path(&self, of: super::paths::EntryId) -> String {
        let path = self.paths.full(self.paths.entry(of).path);
        String::from_utf8(path).unwrap()
    }
}

pub(super) fn image(layers: &[&[Item<'_>]]) -> Made {
    let mut paths = Paths::new();
    let mut tars = Vec::new();
    for items in layers {
        let (tar, index) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let bytes = write(items);
        ingest::ingest(&bytes[..], &tar, &index, &|_| ()).unwrap();
        (&index).rewind().unwrap();
        paths.add(&LayerIndex::open(index).unwrap()).unwrap();
        tars.push(tar);
    }
    Made { paths, tars }
}

fn write(items: &[Item<'_>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let file = Metadata {
        mode: 0o644,
        ..Metadata::default()
    };
    let directory = Metadata {
        mode: 0o755,
        ..Metadata::default()
    };
    let put =
        |writer: &mut Writer<Vec<u8>>, path: &str, metadata: &Metadata, mut content: &[u8]| {
            let size = content.len() as u64;
            writer
                .file(path.as_bytes(), metadata, size, &mut content)
                .unwrap();
        };
    let whiteout = |path: &str| match path.rsplit_once('/') {
        Some((directory, name)) => format!("{directory}/.wh.{name}"),
        None => format!(".wh.{path}"),
    };
    for item in items {
        match *item {
            Item::Directory(path) => writer.directory(path.as_bytes(), &directory).unwrap(),
            Item::File(path, content) => put(&mut writer, path, &file, content),
            Item::Owned(path, content, mode, uid) => {
                let metadata = Metadata {
                    mode,
                    uid,
                    gid: uid,
                    ..Metadata::default()
                };
                put(&mut writer, path, &metadata, content);
            }
            Item::Sized(path, size) => put(&mut writer, path, &file, &vec![b'x'; size]),
            Item::HardLink(path, target) => writer
                .hard_link(path.as_bytes(), &file, target.as_bytes())
                .unwrap(),
            Item::Gone(path) => put(&mut writer, &whiteout(path), &file, b""),
            Item::Opaque(path) => put(&mut writer, &format!("{path}/.wh..wh..opq"), &file, b""),
        }
    }
    writer.finish().unwrap()
}
