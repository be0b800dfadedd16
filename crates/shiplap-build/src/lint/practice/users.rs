//! Who runs what is in the image, and who may write to it.

use shiplap_model::dockerfile::Kind;

use super::{File, Step, View};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};
use crate::lint::shell::{Command, Script};

pub(super) static GUIDES: &[&Guide] = &[&ROOT, &SUDO, &HUGE, &WRITABLE];

static ROOT: Guide = Guide {
    name: "RootUser",
    family: Family::Users,
    severity: Severity::Warning,
    codes: &["DL3002"],
    wants: "The last `USER` is not to be root",
    reason: "A program that is broken into, and is root, has all of the container and better chances beyond it. Become \
             another user once everything is installed.",
    is_mended: false,
    bad: "FROM debian:12\nUSER root\nCMD [\"/app\"]\n",
    good: "FROM debian:12\nUSER root\nRUN useradd app\nUSER app\nCMD [\"/app\"]\n",
};

static SUDO: Guide = Guide {
    name: "SudoUsed",
    family: Family::Users,
    severity: Severity::Warning,
    codes: &["DL3004"],
    wants: "`sudo` is not to be used in a build",
    reason: "Commands are root's already, unless `USER` said otherwise, and `sudo` handles signals and terminals in its own way. \
             Say `USER root` before, and the other user behind.",
    is_mended: false,
    bad: "FROM debian:12\nRUN sudo mkdir /data\n",
    good: "FROM debian:12\nRUN mkdir /data\n",
};

static HUGE: Guide = Guide {
    name: "HugeUserId",
    family: Family::Users,
    severity: Severity::Warning,
    codes: &["DL3046"],
    wants: "`useradd` with a large ID is to have `--no-log-init`",
    reason: "`/var/log/lastlog` has a place for each ID up to this one: a sparse file that becomes gigabytes in a layer's tar.",
    is_mended: true,
    bad: "FROM debian:12\nRUN useradd -u 1234567890 app\n",
    good: "FROM debian:12\nRUN useradd --no-log-init -u 1234567890 app\n",
};

static WRITABLE: Guide = Guide {
    name: "WorldWritable",
    family: Family::Users,
    severity: Severity::Warning,
    codes: &[],
    wants: "Files are not to be writable for everybody",
    reason: "With mode 777 each user of the container can change the program that others run. Give the files to the user \
             that needs them (`COPY --chown`), with 755 or 644.",
    is_mended: false,
    bad: "FROM debian:12\nRUN mkdir /app && chmod -R 777 /app\n",
    good: "FROM debian:12\nRUN mkdir /app && chmod -R 755 /app\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    if let Some(view) = file.stages.last() {
        let last = view
            .steps
            .iter()
            .rev()
            .find(|step| matches!(step.kind, Kind::User(_)) && !step.is_trigger());
        if let Some((step, Kind::User(user))) = last.map(|step| (step, step.kind))
            && matches!(user.split(':').next(), Some("root" | "0"))
        {
            let detail = "what the image runs is run by root".to_owned();
            found.push(step.note_word(file, &ROOT, user, detail));
        }
    }
    for (view, step) in file.steps() {
        for (at, script) in &step.scripts {
            for command in &script.commands {
                one(file, view, step, (*at, script), command, found);
            }
        }
        if let Kind::Copy(transfer) | Kind::Add(transfer) = step.kind
            && view.is_shipped
            && let Some(mode @ ("777" | "0777" | "a+rwx" | "ugo+rwx")) = transfer.chmod.as_deref()
        {
            let detail = format!("with {mode} everybody may change these files");
            found.push(step.note_word(file, &WRITABLE, mode, detail));
        }
    }
}

fn one(
    file: &File<'_>,
    view: &View<'_>,
    step: &Step<'_>,
    (at, script): (usize, &Script),
    command: &Command,
    found: &mut Vec<Finding>,
) {
    let first = command.words.first();
    if let Some(word) = first.filter(|word| word.is("sudo")) {
        let detail = "commands of a build need no sudo".to_owned();
        found.push(step.note(file, &SUDO, Some(at + word.start..at + word.end), detail));
    }
    match command.program() {
        Some("useradd") => huge(file, step, at, command, found),
        Some("chmod") if view.is_shipped => {
            // A directory for everybody has the sticky bit: 1777.
            let is_open = |text: &str| {
                matches!(
                    text,
                    "777" | "0777" | "a+rwx" | "ugo+rwx" | "a=rwx" | "666" | "0666"
                )
            };
            let word = command
                .arguments()
                .iter()
                .find(|word| !word.value.starts_with('-'));
            let word = word.filter(|_| !is_removed(script, command));
            if let Some(word) = word.filter(|word| is_open(&word.value)) {
                let detail = format!("with {} everybody may change these files", word.value);
                found.push(step.note(
                    file,
                    &WRITABLE,
                    Some(at + word.start..at + word.end),
                    detail,
                ));
            }
        }
        _ => {}
    }
}

/// All that a `chmod` opens is removed by the same script: a directory for the time of the build.
fn is_removed(script: &Script, chmod: &Command) -> bool {
    let later = { script.commands.iter() }
        .filter(|command| command.start > chmod.start && command.program() == Some("rm"));
    let removed: Vec<&str> = later
        .flat_map(|command| command.operands(""))
        .map(|word| word.value.as_str())
        .collect();
    let opened = chmod.operands("--reference");
    // The first one is the mode.
    opened.len() > 1
        && opened
            .iter()
            .skip(1)
            .all(|word| removed.contains(&word.value.as_str()))
}

fn huge(file: &File<'_>, step: &Step<'_>, at: usize, command: &Command, found: &mut Vec<Finding>) {
    if command.has_option(&["--no-log-init"], &['l']) {
        return;
    }
    let arguments = command.arguments();
    let id = arguments.iter().enumerate().find_map(|(number, word)| {
        let joined = word.value.strip_prefix("--uid=");
        let next = matches!(word.value.as_str(), "-u" | "--uid").then(|| arguments.get(number + 1));
        joined.or(next.flatten().map(|word| word.value.as_str()))
    });
    // Below, the file is some 30 MB at most.
    let is_huge = |id: &str| id.parse::<u64>().is_ok_and(|id| id > 99_999);
    let Some(program) = command.program_word() else {
        return;
    };
    if id.is_some_and(is_huge) {
        let detail = "the log of logins gets a place for each ID below".to_owned();
        let finding = step.note(
            file,
            &HUGE,
            Some(at + program.start..at + command.end),
            detail,
        );
        found.push(finding.mend([step.put_behind(at + program.end, " --no-log-init")]));
    }
}
