//! `COPY` and `ADD`: what is easily lost, or comes along unasked, on the way into an image.

use shiplap_model::dockerfile::{Kind, Transfer, TransferSource};
use shiplap_model::path;

use super::{File, Step, View};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};

pub(super) static GUIDES: &[&Guide] = &[&SEVERAL, &STAGE];

static SEVERAL: Guide = Guide {
    name: "SeveralIntoOneFile",
    family: Family::Form,
    severity: Severity::Warning,
    codes: &["DL3021"],
    wants: "Several files are to be copied to a path that ends with `/`",
    reason: "If there is no such directory yet, a path without `/` is a file: each source is written over the one before, and the \
             last one is all that stays.",
    is_mended: false,
    bad: "FROM debian:12\nCOPY app.py lib.py /srv/app\n",
    good: "FROM debian:12\nCOPY app.py lib.py /srv/app/\n",
};

static STAGE: Guide = Guide {
    name: "WholeStageCopied",
    family: Family::Size,
    severity: Severity::Info,
    codes: &["DL3067"],
    wants: "Only what is needed is to be copied from another stage",
    reason: "`COPY --from=build / /` brings all of it: the base image once more, compilers, caches, and what was secret \
             there. Name the directories that the program needs.",
    is_mended: false,
    bad: "FROM debian:12 AS build\nRUN make -C /src install\nFROM debian:12-slim\nCOPY --from=build / /\n",
    good: "FROM debian:12 AS build\nRUN make -C /src install\nFROM debian:12-slim\nCOPY --from=build /usr/local /usr/local\n",
};

/// Directories that each base image has.
const EVERYWHERE: [&str; 22] = [
    "/",
    "/bin",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/sbin",
    "/usr/share",
    "/var",
];

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for (view, step) in file.steps() {
        if let Kind::Copy(transfer) | Kind::Add(transfer) = step.kind {
            several(file, view, step, transfer, found);
            stage(file, view, step, transfer, found);
        }
    }
}

fn several(
    file: &File<'_>,
    view: &View<'_>,
    step: &Step<'_>,
    transfer: &Transfer,
    found: &mut Vec<Finding>,
) {
    let destination = &transfer.destination;
    let is_directory = destination.ends_with('/')
        || matches!(destination.rsplit('/').next(), Some("." | ".."))
        || destination.contains(['$', '\\']);
    let many = transfer.sources.len() > 1
        || matches!(transfer.sources.as_slice(), [TransferSource::Path(path)] if path.contains('*'));
    // Directories are merged: then the destination is one, too.
    if is_directory || !many || view.is_windows || !transfer.sources.iter().all(is_file) {
        return;
    }
    let path = file.absolute(view, step, destination);
    if path
        .as_deref()
        .is_some_and(|path| is_there(file, view, step, path))
    {
        return;
    }
    let detail = format!("if {destination} is no directory yet, only the last file stays");
    found.push(step.note_word(file, &SEVERAL, destination, detail));
}

/// A source is a file, by its name.
fn is_file(source: &TransferSource) -> bool {
    let TransferSource::Path(path) = source else {
        return true;
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let end = name
        .rsplit_once('.')
        .map(|(before, end)| (before.is_empty(), end));
    matches!(end, Some((false, end)) if !end.is_empty() && !end.contains('*') && !path.contains("://"))
}

/// A directory is there before a step: in each base image, or made by the file.
fn is_there(file: &File<'_>, view: &View<'_>, step: &Step<'_>, path: &str) -> bool {
    let is_it = |other: &str| other == path || other.starts_with(&format!("{path}/"));
    let before = { view.steps.iter() }.take_while(|before| !std::ptr::eq(*before, step));
    let makes = |before: &Step<'_>| {
        let names = |word: &str| is_it(&path::absolute(word));
        match before.kind {
            Kind::Workdir(_) => file.directory(view, before).is_some_and(|at| is_it(&at)),
            Kind::Copy(transfer) | Kind::Add(transfer) => {
                let to = &transfer.destination;
                to.ends_with('/') && file.absolute(view, before, to).is_some_and(|to| is_it(&to))
            }
            Kind::Volume(volumes) => volumes.iter().any(|volume| names(volume)),
            _ => { before.scripts.iter() }.any(|(_, script)| {
                let mut words = { script.commands.iter() }.flat_map(|command| &command.words);
                words.any(|word| names(&word.value))
            }),
        }
    };
    let is_inherited = { view.parent.and_then(|parent| file.stages.get(parent)) }
        .is_some_and(|parent| parent.steps.iter().any(&makes));
    EVERYWHERE.contains(&path)
        || file.directory(view, step).is_some_and(|at| is_it(&at))
        || is_inherited
        || before.into_iter().any(makes)
}

fn stage(
    file: &File<'_>,
    view: &View<'_>,
    step: &Step<'_>,
    transfer: &Transfer,
    found: &mut Vec<Finding>,
) {
    let is_root = |path: &str| matches!(path, "/" | "/." | "/*" | "/./");
    let takes_all = { transfer.sources.iter() }
        .any(|source| matches!(source, TransferSource::Path(path) if is_root(path)));
    let Some(from) = transfer
        .from
        .as_deref()
        .filter(|_| takes_all && is_root(&transfer.destination))
    else {
        return;
    };
    let number = file.find(from).or_else(|| from.parse().ok());
    let Some(other) = number.and_then(|number| file.stages.get(number)) else {
        return;
    };
    // Into nothing it makes one layer of all of them, and that is meant; what runs nothing is an image that was
    // made to be copied, by another name.
    let is_empty = |view: &View<'_>| view.base.as_deref() == Some("scratch");
    let is_made = { other.steps.iter() }.any(|step| matches!(step.kind, Kind::Run(_)));
    if is_made && !is_empty(view) && !is_empty(other) {
        let detail = format!("all of the stage {from} comes along");
        found.push(step.note_word(file, &STAGE, from, detail));
    }
}
