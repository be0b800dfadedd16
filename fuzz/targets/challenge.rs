//! `WWW-Authenticate` headers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_registry::challenge;

fuzz_target!(|text: &str| {
    if let Ok(challenges) = challenge::parse(text) {
        assert_eq!(challenges, challenge::parse_leniently(text));
    }
});
