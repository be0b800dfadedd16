#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::collections::BTreeSet;

use super::*;
use crate::lint::{Finding, Reviewer, Wishes};

/// Rules whose finding needs more than a text.
const WITHOUT_SAMPLE: [&str; 4] = [
    "TooLongToJudge",
    "InvalidBaseImagePlatform",
    "CopyIgnoredFile",
    "InvalidDefinitionDescription",
];

fn trusted() -> Vec<String> {
    vec!["docker.io".to_owned()]
}

fn with_reviewer<T>(registries: &[String], ask: impl FnOnce(&Reviewer<'_>) -> T) -> T {
    let wishes = Wishes {
        knows_context: true,
        trusted_registries: registries,
    };
    crate::lint::tests::with_reviewer(wishes, ask)
}

fn names(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.guide.name).collect()
}

#[test]
fn finds_in_each_bad_sample_and_in_no_good_one() {
    let trusted = trusted();
    let mut wrong = Vec::new();
    for guide in all().filter(|guide| !WITHOUT_SAMPLE.contains(&guide.name)) {
        let registries = if guide.name == "RegistryNotTrusted" {
            trusted.as_slice()
        } else {
            &[]
        };
        with_reviewer(registries, |reviewer| {
            let bad = names(&reviewer.review(guide.bad.as_bytes()).unwrap());
            if !bad.contains(&guide.name) {
                wrong.push(format!("{}: not found, but {bad:?}", guide.name));
            }
            let good = names(&reviewer.review(guide.good.as_bytes()).unwrap());
            if good.contains(&guide.name) {
                wrong.push(format!("{}: found in what is good", guide.name));
            }
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mends_each_bad_sample_that_it_says_it_mends() {
    let mut wrong = Vec::new();
    for guide in all().filter(|guide| !WITHOUT_SAMPLE.contains(&guide.name)) {
        with_reviewer(&[], |reviewer| {
            let only = |finding: &Finding| finding.guide.name == guide.name;
            let mended = reviewer.mend(guide.bad.as_bytes(), &only).unwrap();
            let text = String::from_utf8(mended.text).unwrap();
            let wanted = if guide.is_mended {
                guide.good
            } else {
                guide.bad
            };
            if text != wanted {
                wrong.push(format!("{}: {text}instead of: {wanted}", guide.name));
            }
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_stable_and_known() {
    let mut seen = BTreeSet::new();
    for guide in all() {
        assert!(seen.insert(guide.name), "{} twice", guide.name);
        for code in guide.codes {
            assert_eq!(
                find(code).unwrap().name,
                guide.name,
                "{code} means two rules"
            );
        }
        assert!(
            !guide.wants.is_empty() && !guide.reason.is_empty(),
            "{}",
            guide.name
        );
        assert_eq!(find(&guide.name.to_lowercase()).unwrap().name, guide.name);
    }
    for rule in crate::lint::Rule::ALL {
        assert_eq!(of_check(rule).name, rule.name());
    }
    assert!(find("DL9999").is_none() && find("").is_none());
}

/// `docs/lint.md` is what the table says; `SHIPLAP_WRITE_DOCS=1` writes it anew.
#[test]
fn the_page_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lint.md");
    let text = std::fs::read_to_string(path).unwrap();
    let page = page();
    let begin = page.lines().next().unwrap();
    let (head, rules) = text.split_once(begin).unwrap();
    if std::env::var_os("SHIPLAP_WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{head}{page}")).unwrap();
        return;
    }
    assert!(
        format!("{begin}{rules}") == page,
        "docs/lint.md is not what the rules say: SHIPLAP_WRITE_DOCS=1 cargo test -p shiplap-build guide"
    );
}
