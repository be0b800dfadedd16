//! Seccomp profiles in Docker's format: what they come to comes to itself again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_run::capabilities::default_set;
use shiplap_run::seccomp::{Facts, from_docker_profile};

fuzz_target!(|text: &str| {
    let facts = Facts {
        capabilities: &default_set(),
        architecture: "x86_64",
        kernel: (6, 1),
    };
    if let Ok(Some(profile)) = from_docker_profile(text, &facts) {
        let shown = serde_json::to_string(&profile).expect("because its keys are text");
        let again = from_docker_profile(&shown, &facts);
        assert_eq!(
            again.expect("because we wrote it"),
            Some(profile),
            "{shown}"
        );
    }
});
