//! Digests as text: what parses is shown as it was, either part can be a name in a path, and that
//! of a registered algorithm is lowercase hex of its length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::Digest;

fuzz_target!(|text: &str| {
    let Ok(digest) = text.parse::<Digest>() else {
        return;
    };
    assert_eq!(digest.to_string(), text);
    let encoded = digest.encoded();
    for part in [digest.algorithm_name(), encoded] {
        assert!(!part.is_empty() && !part.starts_with('.'));
        assert!(!part.contains(['/', '\0']));
    }
    if let Some(algorithm) = digest.algorithm() {
        assert_eq!(encoded.len(), algorithm.hex_len());
        assert!(
            encoded
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        );
    }
});
