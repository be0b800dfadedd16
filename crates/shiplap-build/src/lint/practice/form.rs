//! Instructions that can't do what they seem to, or that have a better one beside them.

use shiplap_model::Reference;
use shiplap_model::dockerfile::{Kind, Pair, Transfer, TransferSource};
use shiplap_model::git_reference::GitReference;

use super::{File, Step, View};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};

pub(super) static GUIDES: &[&Guide] = &[&ADD, &ITSELF, &NOWHERE, &KEY, &REGISTRY, &UNKNOWN];

static ADD: Guide = Guide {
    name: "AddInsteadOfCopy",
    family: Family::Form,
    severity: Severity::Warning,
    codes: &["DL3020"],
    wants: "Plain files are to be copied by `COPY`",
    reason: "`ADD` unpacks archives and fetches addresses; whoever reads it must ask whether that is meant. `COPY` copies.",
    is_mended: true,
    bad: "FROM debian:12\nADD entrypoint.sh /\n",
    good: "FROM debian:12\nCOPY entrypoint.sh /\n",
};

static ITSELF: Guide = Guide {
    name: "EnvUsesItself",
    family: Family::Form,
    severity: Severity::Error,
    codes: &["DL3044"],
    wants: "An `ENV` is not to use what it sets itself",
    reason: "All values of one `ENV` are expanded with what was set before it. Use two.",
    is_mended: false,
    bad: "FROM debian:12\nENV APP=/srv/app DATA=$APP/data\n",
    good: "FROM debian:12\nENV APP=/srv/app\nENV DATA=$APP/data\n",
};

static NOWHERE: Guide = Guide {
    name: "CopyWithoutWorkdir",
    family: Family::Form,
    severity: Severity::Info,
    codes: &["DL3045"],
    wants: "A relative destination is to have a `WORKDIR` before it",
    reason: "Where it ends depends on the base image, and moves when that does.",
    is_mended: false,
    bad: "FROM debian:12\nCOPY app.py .\n",
    good: "FROM debian:12\nWORKDIR /app\nCOPY app.py .\n",
};

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

static REGISTRY: Guide = Guide {
    name: "RegistryNotTrusted",
    family: Family::Form,
    severity: Severity::Error,
    codes: &["DL3026"],
    wants: "Base images are to come from registries that are trusted",
    reason: "Found only where `--trusted-registry` says which ones are.",
    is_mended: false,
    bad: "FROM example.com/team/base:1\n",
    good: "FROM docker.io/library/debian:12\n",
};

pub(in crate::lint) static UNKNOWN: Guide = Guide {
    name: "UnknownRuleIgnored",
    family: Family::Form,
    severity: Severity::Info,
    codes: &["DL1001"],
    wants: "A comment that ignores a rule is to name one",
    reason: "A misspelt name ignores nothing. The names are on this page.",
    is_mended: false,
    bad: "FROM debian:12\n# shiplap ignore=AptListKept\nCMD [\"bash\"]\n",
    good: "FROM debian:12\n# shiplap ignore=AptListsKept\nCMD [\"bash\"]\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for view in &file.stages {
        registry(file, view, found);
        for step in &view.steps {
            match step.kind {
                Kind::Add(transfer) => {
                    add(file, step, transfer, found);
                    nowhere(file, view, step, transfer, found);
                }
                Kind::Copy(transfer) => nowhere(file, view, step, transfer, found),
                Kind::Env(pairs) => itself(file, view, step, pairs, found),
                Kind::Label(pairs) => keys(file, step, pairs, found),
                _ => {}
            }
        }
    }
}

fn registry(file: &File<'_>, view: &View<'_>, found: &mut Vec<Finding>) {
    let trusted = file.wishes.trusted_registries;
    let Some(base) = view
        .base
        .as_deref()
        .filter(|base| *base != "scratch" && view.parent.is_none())
    else {
        return;
    };
    let Ok(reference) = Reference::parse(base) else {
        return;
    };
    let registry = reference.repository().registry();
    if !trusted.is_empty() && !trusted.iter().any(|own| own == registry) {
        let detail = format!("{registry} is none of the registries that are trusted");
        found.push(view.note(file, &REGISTRY, &view.stage.from.image, detail));
    }
}

/// How a source of `ADD` is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// `ADD` does more with it than `COPY`, or may.
    Special,
    /// Likely a directory or a plain file.
    Likely,
    /// `COPY` does the same.
    Plain,
}

fn kind_of(source: &TransferSource) -> Source {
    let TransferSource::Path(path) = source else {
        return Source::Plain;
    };
    let is_remote = path.contains("://") || matches!(GitReference::parse(path), Ok(Some(_)));
    let name = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    const ARCHIVES: [&str; 15] = [
        ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst",
        ".tar.lz", ".gz", ".bz2", ".xz", ".zst", ".lzma",
    ];
    let is_archive = ARCHIVES.iter().any(|end| name.ends_with(end));
    if is_remote
        || is_archive
        || path.contains('$')
        || name.contains(['*', '?', '[']) && !name.contains('.')
    {
        return Source::Special;
    }
    let is_directory = path.ends_with('/') || matches!(name, "" | "." | "..");
    let has_ending = name.trim_start_matches('.').contains('.') && !name.ends_with(['*', '?']);
    match is_directory || has_ending {
        true => Source::Plain,
        false => Source::Likely,
    }
}

fn add(file: &File<'_>, step: &Step<'_>, transfer: &Transfer, found: &mut Vec<Finding>) {
    let kinds: Vec<Source> = transfer.sources.iter().map(kind_of).collect();
    let asks_more =
        transfer.checksum.is_some() || transfer.keep_git_dir.is_some() || transfer.unpack.is_some();
    if asks_more || kinds.contains(&Source::Special) {
        return;
    }
    let word = &step.instruction.word;
    let head = 0..word.len();
    let detail = "COPY does the same without surprises".to_owned();
    let finding = step.note(file, &ADD, Some(head.clone()), detail);
    let replacement = if word == "add" { "copy" } else { "COPY" };
    let is_certain = kinds.iter().all(|kind| *kind == Source::Plain) && !step.is_trigger();
    found.push(match is_certain {
        true => finding.mend([step.replace(&head, replacement)]),
        false => finding,
    });
}

fn nowhere(
    file: &File<'_>,
    view: &View<'_>,
    step: &Step<'_>,
    transfer: &Transfer,
    found: &mut Vec<Finding>,
) {
    let destination = &transfer.destination;
    let is_relative = !destination.starts_with(['/', '$', '\\', '"']) && !destination.contains(':');
    if is_relative
        && !view.is_windows
        && file.directory(view, step).is_none()
        && !says_workdir(file, view, step)
    {
        let detail = "where this ends is the base image's to say".to_owned();
        found.push(step.note_word(file, &NOWHERE, destination, detail));
    }
}

/// A `WORKDIR` stands before it, wherever that leads.
fn says_workdir(file: &File<'_>, view: &View<'_>, step: &Step<'_>) -> bool {
    let own = view
        .steps
        .iter()
        .take_while(|before| !std::ptr::eq(*before, step));
    let says = |step: &Step<'_>| matches!(step.kind, Kind::Workdir(_));
    let mut own = own.filter(|step| says(step));
    let parent = view.parent.and_then(|parent| file.stages.get(parent));
    own.next().is_some()
        || parent.is_some_and(|parent| {
            parent
                .steps
                .last()
                .is_some_and(|last| says(last) || says_workdir(file, parent, last))
        })
}

fn itself(
    file: &File<'_>,
    view: &View<'_>,
    step: &Step<'_>,
    pairs: &[Pair],
    found: &mut Vec<Finding>,
) {
    for (number, pair) in pairs.iter().enumerate() {
        let earlier = pairs.iter().take(number);
        let used = earlier
            .map(|pair| &pair.name)
            .find(|name| uses(&pair.value, name));
        let Some(used) = used else {
            continue;
        };
        let is_set = file.variable(view, step, used).is_some() || matches!(used.as_str(), "PATH");
        let detail = match is_set {
            true => format!(
                "{} gets the value that {used} had before this line",
                pair.name
            ),
            false => format!("{used} is not set yet when {} is", pair.name),
        };
        let finding = step.note_word(file, &ITSELF, &pair.value, detail);
        let severity = if is_set {
            Severity::Warning
        } else {
            finding.severity
        };
        found.push(Finding {
            severity,
            ..finding
        });
    }
}

/// Whether a value has `$NAME` or `${NAME…}` in it.
fn uses(value: &str, name: &str) -> bool {
    if value.starts_with('\'') {
        return false;
    }
    value.match_indices('$').any(|(at, _)| {
        let is_escaped = value.get(..at).is_some_and(|before| before.ends_with('\\'));
        let rest = value.get(at + 1..).unwrap_or_default();
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let behind = rest.strip_prefix(name);
        let is_whole = behind.is_some_and(|behind| {
            !behind.starts_with(|char: char| char.is_ascii_alphanumeric() || char == '_')
        });
        is_whole && !is_escaped
    })
}

fn keys(file: &File<'_>, step: &Step<'_>, pairs: &[Pair], found: &mut Vec<Finding>) {
    for pair in pairs {
        let name = pair.name.trim_matches(['"', '\'']);
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
}
