//! Instructions that can't do what they seem to, or that have a better one beside them.

use shiplap_model::dockerfile::{Command, Dockerfile, Kind, Pair, Transfer, TransferSource};
use shiplap_model::git_reference::GitReference;
use shiplap_model::{Reference, limits};

use super::{File, Step, View};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};

pub(super) static GUIDES: &[&Guide] = &[&JSON, &ADD, &ITSELF, &NOWHERE, &REGISTRY, &LONG, &UNKNOWN];

pub(in crate::lint) static JSON: Guide = Guide {
    name: "BrokenJson",
    family: Family::Form,
    severity: Severity::Error,
    codes: &[],
    wants: "What begins like a JSON array is to be one",
    reason: "Strings are in double quotes, with commas between. If they are not, it is no JSON, and the shell gets the line as it \
             stands: it looks for a program that is called `[python,`.",
    is_mended: true,
    bad: "FROM debian:12\nCMD ['python', 'app.py']\n",
    good: "FROM debian:12\nCMD [\"python\", \"app.py\"]\n",
};

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

static LONG: Guide = Guide {
    name: "TooLongToJudge",
    family: Family::Form,
    severity: Severity::Info,
    codes: &[],
    wants: "A Dockerfile is to be short enough to be read",
    reason: "With more than 1000 instructions, or 256 KiB of commands, only BuildKit's checks are made. Generate it in parts, or put \
             commands into scripts that are copied.",
    is_mended: false,
    bad: "",
    good: "",
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

/// The finding about a file that rules would take too long for; `None`: they look at it.
pub(super) fn too_long(file: &Dockerfile) -> Option<Finding> {
    let all = || file.stages.iter().flat_map(|stage| &stage.instructions);
    let commands = all().map(|instruction| match &instruction.kind {
        Kind::Run(run) => {
            let bodies = run.heredocs.iter().map(|heredoc| heredoc.raw.len());
            instruction.text.len() + bodies.sum::<usize>()
        }
        _ => 0,
    });
    let is_long = all().count() > limits::LINTED_INSTRUCTIONS
        || commands.sum::<usize>() > limits::LINTED_COMMAND_BYTES;
    let detail = "it is too long for more than BuildKit's checks".to_owned();
    is_long.then(|| {
        Finding::new(
            &LONG,
            file.stages
                .first()
                .map_or_else(Default::default, |stage| stage.span),
            detail,
        )
    })
}

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for view in &file.stages {
        registry(file, view, found);
        for step in &view.steps {
            json(file, step, found);
            match step.kind {
                Kind::Add(transfer) => {
                    add(file, step, transfer, found);
                    nowhere(file, view, step, transfer, found);
                }
                Kind::Copy(transfer) => nowhere(file, view, step, transfer, found),
                Kind::Env(pairs) => itself(file, view, step, pairs, found),
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

/// `['a', 'b']` and the like, where a JSON array is an instruction's other form.
fn json(file: &File<'_>, step: &Step<'_>, found: &mut Vec<Finding>) {
    let command = match step.kind {
        Kind::Cmd(command) | Kind::Entrypoint(command) => Some(command),
        Kind::Run(run) => Some(&run.command),
        Kind::Copy(_) | Kind::Add(_) | Kind::Volume(_) => None,
        _ => return,
    };
    let is_shell = command.is_none_or(|command| matches!(command, Command::Shell(_)));
    let head = step.joined.text.get(..step.joined.head).unwrap_or_default();
    // Behind the instruction, its trigger and flags.
    let mut words = head.split_inclusive(char::is_whitespace);
    let before: usize = words
        .by_ref()
        .take_while(|word| !word.starts_with('['))
        .map(str::len)
        .sum();
    let names = head.get(..before).unwrap_or_default().split_whitespace();
    let mut names = names.filter(|name| !name.eq_ignore_ascii_case("onbuild"));
    let is_direct = names.next().is_some() && names.all(|name| name.starts_with("--"));
    let array = head.get(before..).unwrap_or_default();
    if !is_shell || !is_direct || !is_broken(array) {
        return;
    }
    let detail = "this is no JSON, so it is taken as the words it is made of".to_owned();
    let part = before..step.joined.head;
    let finding = step.note(file, &JSON, Some(part.clone()), detail);
    let single = array.replace('\'', "\"");
    let is_mended = !array.contains(['"', '\\', '$'])
        && step.joined.lines() == 1
        && serde_json::from_str::<Vec<String>>(&single).is_ok();
    found.push(match is_mended {
        true => finding.mend([step.replace(&part, single)]),
        false => finding,
    });
}

/// Whether a text is meant as a JSON array, and is none. `[ "$a" = b ]` is a test of the shell.
fn is_broken(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[') else {
        return false;
    };
    if serde_json::from_str::<Vec<String>>(text).is_ok() {
        return false;
    }
    let first = inner.trim_start();
    let Some(quote) = first
        .chars()
        .next()
        .filter(|char| matches!(char, '"' | '\''))
    else {
        return false;
    };
    let behind = first.get(1..).and_then(|rest| rest.split_once(quote));
    let goes_on = behind.is_some_and(|(_, rest)| rest.trim_start().starts_with([',', ']']));
    // A test has a blank behind its bracket.
    first.len() == inner.len() || goes_on
}
