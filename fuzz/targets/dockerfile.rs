//! Dockerfiles: whatever the bytes are, reading them ends, and places lie in the file; words of
//! them expand within their bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::dockerfile::{Kind, excerpt, parse, parse_trigger};
use shiplap_model::{expansion, limits};

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split(|byte| *byte == b'\n').count() as u32;
    match parse(bytes) {
        Ok(file) => {
            assert!(!file.stages.is_empty());
            for instruction in file.stages.iter().flat_map(|stage| &stage.instructions) {
                let span = instruction.span;
                assert!(0 < span.first && span.first <= span.last && span.last <= lines);
                if let Kind::Onbuild { text, .. } = &instruction.kind {
                    let _ = parse_trigger(text);
                }
            }
        }
        Err(errors) => {
            for error in &errors.0 {
                assert!(error.span.last <= lines);
                let _ = excerpt("Dockerfile", bytes, error.span, error.place);
            }
        }
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for escape in ['\\', '`'] {
        if let Ok(expansion) = expansion::expand(text, &|_| Some("a b"), escape) {
            assert!(expansion.text.len() <= limits::EXPANSION_BYTES);
            assert!(expansion.unset.is_empty());
        }
    }
});
