//! What has to be made anew, though little has changed: the order of instructions decides what the
//! cache is good for.

use shiplap_model::dockerfile::{Kind, Transfer, TransferSource};

use super::call::{Call, Manager};
use super::{File, Step, View};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};

pub(super) static GUIDES: &[&Guide] = &[&SOURCES_FIRST, &VOLATILE, &WHOLE];

static SOURCES_FIRST: Guide = Guide {
    name: "SourcesBeforeDependencies",
    family: Family::Order,
    severity: Severity::Warning,
    codes: &[],
    wants: "Dependencies are to be installed before the program's sources are copied",
    reason: "A `COPY` of everything changes with each line of the program, and all that follows is made anew: here \
             the dependencies, which did not change. Copy the file that lists them, install, then copy the rest.",
    is_mended: false,
    bad: "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nRUN pip install --no-cache-dir -r requirements.txt\n",
    good: "FROM python:3.12-slim\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install --no-cache-dir -r requirements.txt\nCOPY . .\n",
};

static VOLATILE: Guide = Guide {
    name: "VolatileArgumentEarly",
    family: Family::Order,
    severity: Severity::Info,
    codes: &[],
    wants: "Arguments that change with each build are to be declared where they are used",
    reason: "An `ARG` is part of each `RUN` behind it: a date or a commit there makes all of them run anew in each build. \
             Declare it straight before what uses it, at the end if possible.",
    is_mended: false,
    bad: "FROM debian:12\nARG GIT_COMMIT\nRUN make\nLABEL commit=$GIT_COMMIT\n",
    good: "FROM debian:12\nRUN make\nARG GIT_COMMIT\nLABEL commit=$GIT_COMMIT\n",
};

static WHOLE: Guide = Guide {
    name: "WholeContextCopied",
    family: Family::Order,
    severity: Severity::Info,
    codes: &[],
    wants: "A context that is copied whole is to have a `.dockerignore`",
    reason: "`COPY . .` takes what lies around: `.git`, `node_modules`, logs, `.env`. `ignore suggest` writes a \
             `.dockerignore` from what is there.",
    is_mended: false,
    bad: "FROM debian:12\nCOPY . /app\n",
    good: "FROM debian:12\nCOPY src /app\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for view in &file.stages {
        sources_first(file, view, found);
        volatile(file, view, found);
        for step in &view.steps {
            let whole = transfer(step)
                .filter(|_| file.has_no_ignore)
                .and_then(whole);
            if let Some(source) = whole {
                let detail =
                    "the whole context is copied, and no .dockerignore leaves anything out"
                        .to_owned();
                found.push(step.note_word(file, &WHOLE, source, detail));
            }
        }
    }
}

fn transfer<'f>(step: &Step<'f>) -> Option<&'f Transfer> {
    match step.kind {
        Kind::Copy(transfer) | Kind::Add(transfer) if transfer.from.is_none() => Some(transfer),
        _ => None,
    }
}

/// The source that is the context itself.
fn whole(transfer: &Transfer) -> Option<&str> {
    transfer.sources.iter().find_map(|source| match source {
        TransferSource::Path(path) if matches!(path.as_str(), "." | "./" | "/" | "*" | "./*") => {
            Some(path.as_str())
        }
        _ => None,
    })
}

fn sources_first(file: &File<'_>, view: &View<'_>, found: &mut Vec<Finding>) {
    let mut copied: Option<&Step<'_>> = None;
    for step in &view.steps {
        if transfer(step)
            .is_some_and(|transfer| whole(transfer).is_some() && transfer.excludes.is_empty())
        {
            copied = copied.or(Some(step));
        }
        let Some(first) = copied else {
            continue;
        };
        for (at, script) in &step.scripts {
            let dependency = Call::all(script).find(|call| is_dependency(call));
            if let Some(call) = dependency {
                let line = first.span().first;
                let detail = format!(
                    "each change of any file makes this run anew, since line {line} copies them all"
                );
                found.push(step.note(file, &SOURCES_FIRST, Some(call.part(*at)), detail));
                return;
            }
        }
    }
}

/// It installs what files of the context list, and nothing of the program itself.
fn is_dependency(call: &Call<'_>) -> bool {
    match call.manager {
        Manager::Pip => {
            let takes_list = call.command.has_option(&["--requirement"], &['r']);
            call.installs() && takes_list && !call.command.has_option(&["--editable"], &['e'])
        }
        Manager::Npm => {
            matches!(call.does(), "ci" | "install" | "i")
                && call.operands.is_empty()
                && !call.command.has_option(&["--global"], &['g'])
        }
        Manager::Yarn => call.does() == "install" && call.operands.is_empty(),
        Manager::Go => {
            call.does() == "mod"
                && call
                    .operands
                    .first()
                    .is_some_and(|word| word.is("download"))
        }
        Manager::Apt
        | Manager::AptGet
        | Manager::Apk
        | Manager::Dnf
        | Manager::Yum
        | Manager::Microdnf
        | Manager::Zypper => {
            call.installs()
                && call
                    .operands
                    .iter()
                    .all(|word| word.literal().is_some_and(|name| !name.contains('/')))
        }
        Manager::Gem | Manager::Cargo => false,
    }
}

fn volatile(file: &File<'_>, view: &View<'_>, found: &mut Vec<Finding>) {
    for (number, step) in view.steps.iter().enumerate() {
        let Kind::Arg(args) = step.kind else {
            continue;
        };
        for arg in args.iter().filter(|arg| is_volatile(&arg.name)) {
            let later = || view.steps.iter().skip(number + 1);
            let uses = |step: &Step<'_>| step.joined.text.contains(&arg.name);
            let runs = |step: &&Step<'_>| matches!(step.kind, Kind::Run(_));
            // Only what runs before anything uses it is made anew for nothing.
            let in_vain = later().take_while(|step| !uses(step)).find(runs);
            if let Some(in_vain) = in_vain {
                let line = in_vain.span().first;
                let detail = format!(
                    "{} changes with each build, and then line {line} runs anew, which does not use it",
                    arg.name
                );
                found.push(step.note_word(file, &VOLATILE, &arg.name, detail));
            }
        }
    }
}

/// Names of arguments whose value is another one in each build.
fn is_volatile(name: &str) -> bool {
    const NAMES: [&str; 15] = [
        "BUILD_DATE",
        "BUILD_TIME",
        "BUILD_TIMESTAMP",
        "BUILD_NUMBER",
        "BUILD_ID",
        "VCS_REF",
        "GIT_COMMIT",
        "GIT_SHA",
        "GIT_REV",
        "GIT_REVISION",
        "COMMIT",
        "COMMIT_SHA",
        "COMMIT_HASH",
        "SOURCE_COMMIT",
        "REVISION",
    ];
    let name = name.to_ascii_uppercase();
    NAMES.contains(&name.as_str())
}
