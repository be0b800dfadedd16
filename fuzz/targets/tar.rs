//! Layer tars: the tree is the same however the bytes come in pieces, and whatever it is can be
//! written as an index that is read back.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use shiplap_layer::erofs::{self, LayerIndex};
use shiplap_layer::tar::TreeBuilder;

fuzz_target!(|input: (u16, &[u8])| {
    let (piece, bytes) = input;
    let read = |piece: usize| {
        let mut builder = TreeBuilder::default();
        for part in bytes.chunks(piece) {
            builder.push(part).ok()?;
        }
        builder.finish().ok()
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(whole, read(usize::from(piece).max(1)));
    let Some(contents) = whole else { return };
    let mut index = Cursor::new(Vec::new());
    if erofs::write(&contents.tree, contents.tar_bytes, bytes, &mut index).is_ok() {
        let index = LayerIndex::from_bytes(index.into_inner());
        index
            .expect("because we wrote it")
            .to_tree()
            .expect("because we wrote it");
    }
});
