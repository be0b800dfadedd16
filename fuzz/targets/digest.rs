//! Digests as text: what parses is lowercase hex of its algorithm's length, so it names no path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::Digest;

fuzz_target!(|text: &str| {
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        assert!(!text.contains(['/', '\0', '.']));
    }
});
