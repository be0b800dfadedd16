//! Layer indexes from a disk that rotted or was tampered with: every walk ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_layer::erofs::LayerIndex;

fuzz_target!(|bytes: &[u8]| {
    let Ok(index) = LayerIndex::from_bytes(bytes.to_vec()) else {
        return;
    };
    let _ = index.verify();
    let _ = index.lookup(index.root(), b"etc");
    let _ = index.to_tree();
});
