//! The words of a container's options, and files of variables: what is understood can be done.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::container::{mount, port, tmpfs, variable, volume};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(variables) = variable::parse_file(bytes, &|_| None) {
        for text in variables {
            assert!(text.contains('=') && !text.contains(['\0', '\n']));
            assert_eq!(variable::check(&text).as_ref(), Ok(&text));
        }
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(mappings) = port::publish(text) {
        assert!(!mappings.is_empty());
        assert!(mappings.iter().all(|mapping| mapping.container_port != 0));
    }
    if let Ok(ports) = port::expose(text) {
        assert!(!ports.is_empty());
    }
    for parse in [mount::parse, tmpfs::parse, volume::parse] {
        if let Ok(mount) = parse(text) {
            assert!(mount.target.starts_with('/'), "{mount:?}");
        }
    }
});
