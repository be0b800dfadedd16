//! Labels: keys that tools take, and values of the kind that their keys promise.

use shiplap_model::dockerfile::{Kind, Pair};
use shiplap_ops::packages::{Licence, licence};

use super::{File, Step};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};

pub(super) static GUIDES: &[&Guide] = &[&KEY, &VALUE];

static KEY: Guide = Guide {
    name: "LabelKey",
    family: Family::Form,
    severity: Severity::Style,
    codes: &["DL3048"],
    wants: "A label's key is to be of lower-case letters, digits, `.`, `-` and `_`",
    reason: "So that tools that read labels agree on it. Keys without a dot are for people at the command line.",
    is_mended: false,
    bad: "FROM debian:12\nLABEL Vendor\\ Name=me\n",
    good: "FROM debian:12\nLABEL com.example.vendor=me\n",
};

static VALUE: Guide = Guide {
    name: "LabelValue",
    family: Family::Form,
    severity: Severity::Info,
    codes: &["DL3051", "DL3052", "DL3053", "DL3054"],
    wants: "A label of the OCI image specification is to have a value of its kind",
    reason: "Registries and scanners read `org.opencontainers.image.*`: `created` is a time of RFC 3339, `licenses` an SPDX \
             expression, `url`, `source` and `documentation` are addresses. What is none of that is passed over.",
    is_mended: false,
    bad: "FROM debian:12\nLABEL org.opencontainers.image.licenses=\"Apache License\"\n",
    good: "FROM debian:12\nLABEL org.opencontainers.image.licenses=\"Apache-2.0\"\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for (_, step) in file.steps() {
        if let Kind::Label(pairs) = step.kind {
            for pair in pairs {
                key(file, step, pair, found);
                value(file, step, pair, found);
            }
        }
    }
}

fn bare(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

fn key(file: &File<'_>, step: &Step<'_>, pair: &Pair, found: &mut Vec<Finding>) {
    let name = bare(&pair.name);
    let is_part = |char: char| {
        char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_' | '/' | '$' | '{' | '}')
    };
    let is_good = name.chars().all(is_part)
        && name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '$')
        && !name.ends_with(['.', '-', '_'])
        && !name.contains("..");
    if !is_good {
        let detail = format!("{name} is no key that all tools take");
        found.push(step.note_word(file, &KEY, &pair.name, detail));
    }
}

fn value(file: &File<'_>, step: &Step<'_>, pair: &Pair, found: &mut Vec<Finding>) {
    let Some(kind) = bare(&pair.name).strip_prefix("org.opencontainers.image.") else {
        return;
    };
    let value = bare(&pair.value);
    // What a variable puts in, nobody knows.
    if value.contains('$') {
        return;
    }
    let is_address = || value.contains("://") && !value.contains(char::is_whitespace);
    let (code, wanted) = match kind {
        _ if value.is_empty() => ("DL3051", "something: it is empty"),
        "url" | "source" | "documentation" if !is_address() => {
            ("DL3052", "an address, as https://example.com/app")
        }
        "created" if value.parse::<jiff::Timestamp>().is_err() => {
            ("DL3053", "a time of RFC 3339, as 2026-11-28T09:00:00Z")
        }
        "licenses" if matches!(licence(value), Licence::Name(_)) => {
            ("DL3054", "an SPDX expression, as Apache-2.0 OR MIT")
        }
        _ => return,
    };
    let detail = format!("{} wants {wanted}", bare(&pair.name));
    let finding = step.note_word(file, &VALUE, &pair.name, detail);
    found.push(finding.known_as(code));
}
