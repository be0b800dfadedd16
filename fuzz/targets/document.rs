//! Manifests and indexes from a registry: refused or read, never both kinds, never without bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::Document;

fuzz_target!(|bytes: &[u8]| {
    for media_type in [
        None,
        Some("application/vnd.oci.image.manifest.v1+json"),
        Some("application/vnd.oci.image.index.v1+json"),
        Some("application/vnd.docker.distribution.manifest.v2+json"),
    ] {
        let _ = Document::parse(bytes, media_type);
    }
});
