//! How package managers are called: without questions, with fresh lists, without what nobody asked
//! for.

use super::call::{Call, Manager};
use super::script::{is_plain, remove};
use super::{File, Step, View};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};
use crate::lint::sheet::Edit;
use crate::lint::shell::{Joint, Script};

pub(super) static GUIDES: &[&Guide] = &[&ASKS, &APT, &ALONE, &UPGRADE, &RECOMMENDS, &CLEAN_INSTALL];

static ASKS: Guide = Guide {
    name: "InstallAsks",
    family: Family::Packages,
    severity: Severity::Warning,
    codes: &["DL3014", "DL3030", "DL3038", "DL3034"],
    wants: "An installation is not to ask",
    reason: "Nobody is there to answer during a build: the package manager gives up. Say `-y` (`zypper -n`).",
    is_mended: true,
    bad: "FROM debian:12\nRUN apt-get update && apt-get install --no-install-recommends curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
};

static APT: Guide = Guide {
    name: "AptInScript",
    family: Family::Packages,
    severity: Severity::Info,
    codes: &["DL3027"],
    wants: "`apt-get` is for scripts, `apt` for people",
    reason: "`apt` says itself that its command line may change and is not to be used in scripts. `apt-get` and \
             `apt-cache` do the same and stay as they are.",
    is_mended: true,
    bad: "FROM debian:12\nRUN apt update && apt install -y --no-install-recommends curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
};

static ALONE: Guide = Guide {
    name: "AptUpdateAlone",
    family: Family::Packages,
    severity: Severity::Warning,
    codes: &[],
    wants: "`apt-get update` is to stand in the `RUN` that installs",
    reason: "By itself it is in the cache: months later packages are installed by lists that name versions which \
             are gone, and the lists stay in a layer of their own. Write `RUN apt-get update && apt-get install …`.",
    is_mended: true,
    bad: "FROM debian:12\nRUN apt-get update\nRUN apt-get install -y --no-install-recommends curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
};

static UPGRADE: Guide = Guide {
    name: "DistributionUpgrade",
    family: Family::Packages,
    severity: Severity::Info,
    codes: &["DL3005", "DL3017", "DL3031", "DL3035", "DL3039"],
    wants: "The base image is to be renewed by whoever makes it",
    reason: "An upgrade keeps both the old files (in the base's layers) and the new ones, and makes something else \
             every day. Take a newer base image: `build --pull`.",
    is_mended: false,
    bad: "FROM alpine:3.20\nRUN apk upgrade --no-cache\n",
    good: "FROM alpine:3.21\n",
};

static RECOMMENDS: Guide = Guide {
    name: "AptRecommends",
    family: Family::Packages,
    severity: Severity::Info,
    codes: &["DL3015"],
    wants: "`apt-get install` is to bring what was asked for",
    reason: "Debian's packages recommend others that are nice to have on a desk. `--no-install-recommends` leaves them \
             away; if the program then lacks one, name it.",
    is_mended: true,
    bad: "FROM debian:12\nRUN apt-get update && apt-get install -y curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
};

static CLEAN_INSTALL: Guide = Guide {
    name: "NpmInstallUnlocked",
    family: Family::Packages,
    severity: Severity::Info,
    codes: &[],
    wants: "What `package-lock.json` says is to be installed",
    reason: "`npm install` may bring newer versions than the lock file has, and rewrite it. `npm ci` installs exactly \
             what it says, or fails.",
    is_mended: false,
    bad: "FROM node:22-slim\nWORKDIR /app\nCOPY package.json package-lock.json ./\nRUN npm install && npm cache clean --force\n",
    good: "FROM node:22-slim\nWORKDIR /app\nCOPY package.json package-lock.json ./\nRUN npm ci && npm cache clean --force\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for view in &file.stages {
        for (number, step) in view.steps.iter().enumerate() {
            for (at, script) in &step.scripts {
                for call in Call::all(script) {
                    asks(file, step, *at, &call, script, found);
                    apt(file, step, *at, &call, found);
                    upgrade(file, step, *at, &call, found);
                    recommends(file, step, *at, script, &call, found);
                    unlocked(file, view, step, *at, &call, found);
                }
                alone(file, view, number, *at, script, found);
            }
        }
    }
}

fn asks(
    file: &File<'_>,
    step: &Step<'_>,
    at: usize,
    call: &Call<'_>,
    script: &Script,
    found: &mut Vec<Finding>,
) {
    let (code, is_quiet, flag) = match call.manager {
        Manager::Apt | Manager::AptGet => {
            let long = [
                "--yes",
                "--assume-yes",
                "--force-yes",
                "--assume-no",
                "--download-only",
                "--print-uris",
                "--simulate",
            ];
            let is_quiet = call.command.has_option(&long, &['y', 's', 'd'])
                || call.command.has_option(&["--qq"], &[])
                || quiet_twice(call);
            let says = call
                .command
                .arguments()
                .iter()
                .any(|word| word.value.contains("Assume-Yes"));
            ("DL3014", is_quiet || says, " -y")
        }
        Manager::Yum => (
            "DL3030",
            call.command.has_option(&["--assumeyes"], &['y']),
            " -y",
        ),
        Manager::Dnf | Manager::Microdnf => (
            "DL3038",
            call.command.has_option(&["--assumeyes"], &['y']),
            " -y",
        ),
        Manager::Zypper => {
            let long = ["--non-interactive", "--no-confirm"];
            ("DL3034", call.command.has_option(&long, &['n', 'y']), " -y")
        }
        _ => return,
    };
    // Somebody may answer through a pipe: `yes | apt-get install`.
    let is_answered = call.command.before == Joint::Pipe
        || call
            .command
            .redirects
            .iter()
            .any(|redirect| redirect.operator.starts_with('<'));
    let wants_answer = call.installs()
        || matches!(
            call.does(),
            "remove" | "purge" | "autoremove" | "upgrade" | "dist-upgrade" | "build-dep" | "erase"
        );
    if is_quiet || is_answered || !wants_answer || says_yes(script, call.manager) {
        return;
    }
    if call.operands.iter().any(|word| !word.expansions.is_empty()) && call.operands.len() == 1 {
        // The variable may bring the option.
        return;
    }
    let name = call.manager.name();
    let detail = format!("{name} {} asks, and nobody answers", call.does());
    let finding = step
        .note(file, &ASKS, Some(call.part(at)), detail)
        .known_as(code);
    // It asks only if there is something to remove.
    let severity = match call.does() {
        "autoremove" => Severity::Info,
        _ => finding.severity,
    };
    let finding = Finding {
        severity,
        ..finding
    };
    found.push(finding.mend([step.put_behind(at + call.verb.end, flag)]));
}

/// `-qq`, or `-q -q`: implies yes.
fn quiet_twice(call: &Call<'_>) -> bool {
    let letters = call.command.arguments().iter().filter_map(|word| {
        let letters = word.value.strip_prefix('-')?;
        (!letters.starts_with('-')).then(|| letters.matches('q').count())
    });
    letters.sum::<usize>() >= 2
}

/// A setting of the manager says so for all calls.
fn says_yes(script: &Script, manager: Manager) -> bool {
    let is_setting = |text: &str| match manager.is_apt() {
        true => text.contains("Assume-Yes") || text.contains("assume-yes"),
        false => text.contains("assumeyes"),
    };
    script
        .commands
        .iter()
        .any(|command| command.words.iter().any(|word| is_setting(&word.value)))
}

fn apt(file: &File<'_>, step: &Step<'_>, at: usize, call: &Call<'_>, found: &mut Vec<Finding>) {
    const SAME: [&str; 10] = [
        "update",
        "install",
        "remove",
        "purge",
        "autoremove",
        "upgrade",
        "clean",
        "autoclean",
        "source",
        "build-dep",
    ];
    if call.manager != Manager::Apt || !SAME.contains(&call.does()) {
        return;
    }
    let Some(word) = call.command.program_word() else {
        return;
    };
    let part = at + word.start..at + word.end;
    let detail = "apt is for people at a terminal".to_owned();
    let finding = step.note(file, &APT, Some(part.clone()), detail);
    // Packages that are files, and releases, are `apt`'s and `apt-get`'s alike.
    let edit = word
        .is("apt")
        .then(|| step.replace(&part, "apt-get"))
        .flatten();
    found.push(finding.mend([edit]));
}

fn upgrade(file: &File<'_>, step: &Step<'_>, at: usize, call: &Call<'_>, found: &mut Vec<Finding>) {
    let code = match (call.manager, call.does()) {
        (Manager::Apt | Manager::AptGet, "dist-upgrade" | "full-upgrade" | "upgrade") => "DL3005",
        (Manager::Apk, "upgrade") => "DL3017",
        (Manager::Yum, "update" | "upgrade") if call.operands.is_empty() => "DL3031",
        (Manager::Zypper, "dist-upgrade" | "dup" | "update" | "up") if call.operands.is_empty() => {
            "DL3035"
        }
        (Manager::Dnf | Manager::Microdnf, "update" | "upgrade") if call.operands.is_empty() => {
            "DL3039"
        }
        _ => return,
    };
    let detail = format!(
        "{} {} renews the base image",
        call.manager.name(),
        call.does()
    );
    found.push(
        step.note(file, &UPGRADE, Some(call.part(at)), detail)
            .known_as(code),
    );
}

fn recommends(
    file: &File<'_>,
    step: &Step<'_>,
    at: usize,
    script: &Script,
    call: &Call<'_>,
    found: &mut Vec<Finding>,
) {
    if !call.manager.is_apt() || !call.installs() || call.operands.is_empty() {
        return;
    }
    let is_said = |text: &str| {
        text.contains("no-install-recommends")
            || text.contains("install-suggests")
            || text.contains("Install-Recommends")
    };
    if script.commands.iter().any(|command| {
        let own = std::ptr::eq(command, call.command)
            || command
                .program()
                .is_some_and(|program| !program.starts_with("apt"));
        own && command.words.iter().any(|word| is_said(&word.value))
    }) {
        return;
    }
    let detail = "packages that are only recommended come along".to_owned();
    let finding = step.note(file, &RECOMMENDS, Some(call.part(at)), detail);
    // Behind `-y`, where people write it.
    let behind = match call.command.arguments().iter().find(|word| word.is("-y")) {
        Some(word) if word.start > call.verb.end && word.start - call.verb.end <= 2 => word.end,
        _ => call.verb.end,
    };
    found.push(finding.mend([step.put_behind(at + behind, " --no-install-recommends")]));
}

/// Whether apt needs its lists for that.
fn uses_lists(call: &Call<'_>) -> bool {
    matches!(
        call.does(),
        "install"
            | "upgrade"
            | "dist-upgrade"
            | "full-upgrade"
            | "build-dep"
            | "source"
            | "download"
            | "satisfy"
    ) || call.does().is_empty()
}

fn alone(
    file: &File<'_>,
    view: &View<'_>,
    number: usize,
    at: usize,
    script: &Script,
    found: &mut Vec<Finding>,
) {
    let Some(step) = view.steps.get(number) else {
        return;
    };
    let calls: Vec<Call<'_>> = Call::all(script)
        .filter(|call| call.manager.is_apt())
        .collect();
    // Another program may install, too: a script, or `apt-file`.
    let harmless = [
        "apt-get",
        "apt",
        "set",
        "rm",
        "echo",
        "mkdir",
        "sed",
        "true",
        ":",
        "dpkg",
        "apt-key",
        "add-apt-repository",
        "printf",
        "cat",
        "tee",
        "touch",
        "export",
    ];
    let others = script.commands.iter().any(|command| {
        !command
            .program()
            .is_some_and(|program| harmless.contains(&program))
    });
    let update = calls.iter().find(|call| call.updates());
    if let Some(update) = update.filter(|_| !others && !calls.iter().any(uses_lists)) {
        let detail = "the lists are fetched here, and used by another RUN, if at all".to_owned();
        let finding = step.note(file, &ALONE, Some(update.part(at)), detail);
        let next = view.steps.get(number + 1);
        found.push(
            match next.and_then(|next| moved(file, step, script, next)) {
                Some(edits) => finding.mend(edits.map(Some)),
                None => finding,
            },
        );
    }
}

/// Puts a `RUN` before the commands of the next one, if those are apt's and none of them would run although it failed.
fn moved(file: &File<'_>, step: &Step<'_>, script: &Script, next: &Step<'_>) -> Option<[Edit; 2]> {
    let (at, _) = step.scripts.first()?;
    let (begins, commands) = next.scripts.first()?;
    let is_chain = |script: &Script| {
        let mut top = script.commands.iter().filter(|command| command.depth == 0);
        let is_and = |joint: &Joint| matches!(joint, Joint::None | Joint::And);
        script.is_sound
            && matches!(script.last, Joint::None | Joint::Newline)
            && top.all(|command| is_and(&command.before) && is_and(&command.after))
    };
    let is_movable = [step, next]
        .iter()
        .all(|step| is_plain(step) && step.joined.bodies.is_empty() && step.scripts.len() == 1);
    let wants = Call::all(commands).any(|call| call.manager.is_apt() && uses_lists(&call));
    let is_short = step.joined.lines() <= 1;
    if !(is_movable && wants && is_short && is_chain(script) && is_chain(commands)) {
        return None;
    }
    let text = step.joined.text.get(*at..at + script.end)?;
    Some([
        remove(file, step)?,
        next.put_behind(*begins, format!("{text} && "))?,
    ])
}

fn unlocked(
    file: &File<'_>,
    view: &View<'_>,
    step: &Step<'_>,
    at: usize,
    call: &Call<'_>,
    found: &mut Vec<Finding>,
) {
    let installs = call.manager == Manager::Npm && matches!(call.does(), "install" | "i");
    let is_global = call.command.has_option(&["--global", "--location"], &['g']);
    if !installs || is_global || !call.operands.is_empty() {
        return;
    }
    // Only where a lock file is known to be there.
    let has_lock = view
        .steps
        .iter()
        .take_while(|before| !std::ptr::eq(*before, step))
        .any(|before| {
            before.joined.text.contains("package-lock.json")
                || before.joined.text.contains("npm-shrinkwrap.json")
        });
    if has_lock {
        let detail = "npm install may take other versions than the lock file says".to_owned();
        found.push(step.note(file, &CLEAN_INSTALL, Some(call.part(at)), detail));
    }
}
