//! Git references from command lines and Dockerfiles: nothing that git would take for an option
//! comes out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::git_reference::GitReference;

fuzz_target!(|text: &str| {
    if let Ok(Some(found)) = GitReference::parse(text) {
        assert!(!found.url().starts_with('-'), "{text:?}");
        assert!(
            !found.reference.unwrap_or_default().starts_with('-'),
            "{text:?}"
        );
        assert!(
            !found.checksum.unwrap_or_default().starts_with('-'),
            "{text:?}"
        );
    }
});
