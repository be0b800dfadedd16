#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::{Choice, Kind};
use crate::analyze::rules::WasteKind;

#[test]
fn wishes() {
    let check = |word: &str, expected: Option<Choice>| {
        let choice = word.parse::<Choice>();
        assert_eq!(choice.clone().ok(), expected, "{word} {choice:?}");
        if let Ok(choice) = choice {
            assert_eq!(choice.to_string(), word);
        }
    };
    let paths = |pattern: &str| Some(Choice::Paths(pattern.to_owned()));
    check("docs", Some(Choice::Kind(Kind::Docs)));
    check("locales", Some(Choice::Kind(Kind::Locales)));
    check("log", Some(Choice::Kind(Kind::Waste(WasteKind::Log))));
    check(
        "pycache",
        Some(Choice::Kind(Kind::Waste(WasteKind::ByteCode))),
    );
    check("/srv/data", paths("/srv/data"));
    check("**/*.md", paths("**/*.md"));
    check("*", paths("*"));
    check("docz", None);
    check("deleted", None);
    check("!/srv", None);
    check("a/[", None);
    check("", None);
}

#[test]
fn what_goes_unasked_is_what_runs_without_it() {
    let check = |kind: Kind, expected: bool| assert_eq!(kind.is_default(), expected, "{kind:?}");
    check(Kind::Waste(WasteKind::PackageLists), true);
    check(Kind::Waste(WasteKind::Log), true);
    check(Kind::Waste(WasteKind::Duplicate), true);
    check(Kind::Waste(WasteKind::BuildTools), false);
    check(Kind::Waste(WasteKind::ByteCode), false);
    check(Kind::Docs, false);
    check(Kind::Locales, false);
}
