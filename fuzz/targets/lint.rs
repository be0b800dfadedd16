//! Linting: whatever the text is, it ends; what is told lies in the file; what is rewritten can be read
//! still, and rewriting it again changes nothing.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use shiplap_build::BuildOptions;
use shiplap_build::lint::{Reviewer, Wishes, format};
use shiplap_build::plan::{PlanInput, Resolved};
use shiplap_model::{Platform, dockerfile};

static INPUT: LazyLock<PlanInput> = LazyLock::new(|| {
    let platform = Platform::new("linux", "amd64");
    PlanInput::new(&BuildOptions::default(), None, &platform)
});

fuzz_target!(|bytes: &[u8]| {
    let resolved = Resolved::default();
    let reviewer = Reviewer {
        input: &INPUT,
        resolved: &resolved,
        ignored: None,
        wishes: Wishes::default(),
    };
    let Ok(findings) = reviewer.review(bytes) else {
        return;
    };
    let lines = bytes.split(|byte| *byte == b'\n').count() as u32;
    for finding in &findings {
        assert!((1..=lines).contains(&finding.line()), "{finding:?}");
        for edit in &finding.edits {
            assert!(
                edit.start <= edit.end && edit.end <= bytes.len(),
                "{finding:?}"
            );
        }
    }
    let errors = dockerfile::read(bytes).errors.len();
    let mended = reviewer
        .mend(bytes, &|_| true)
        .expect("because it was reviewed");
    let again = reviewer
        .mend(&mended.text, &|_| true)
        .expect("because it was reviewed");
    assert_eq!(again.text, mended.text, "rewritten twice");
    assert!(dockerfile::read(&mended.text).errors.len() <= errors);
    let reviewed = [format::Reviewed {
        name: String::from("Dockerfile"),
        text: bytes.to_vec(),
        findings,
    }];
    let _ = format::text(&reviewed);
    let _ = format::sarif(&reviewed, "0");
});
