//! The shell's traps: failures that go unnoticed, words that are split, what only bash knows.

use shiplap_model::dockerfile::{Kind, MountType};

use super::{File, Look, Shell};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};
use crate::lint::shell::{Command, Expansion, Joint, Subject, Word};

pub(super) static GUIDES: &[&Guide] = &[
    &IGNORED, &SWALLOWED, &PIPEFAIL, &BASH, &REPLACED, &EMPTY, &UNQUOTED, &BACKTICKS, &DIRECTORY,
    &POINTLESS, &BOTH, &PROGRESS,
];

static IGNORED: Guide = Guide {
    name: "FailureIgnored",
    family: Family::Shell,
    severity: Severity::Warning,
    codes: &["SC2164"],
    wants: "A command that fails is to fail its `RUN`",
    reason: "Behind `;` or a line's end the shell goes on whatever happened, and only the last command decides. Join \
             commands with `&&`, or begin with `set -e`.",
    is_mended: false,
    bad: "FROM debian:12\nRUN cd /src; make install\n",
    good: "FROM debian:12\nRUN cd /src && make install\n",
};

static SWALLOWED: Guide = Guide {
    name: "FailureSwallowed",
    family: Family::Shell,
    severity: Severity::Info,
    codes: &["SC2015"],
    wants: "`|| true` is to hold for one command",
    reason: "In `a && b || true` a failing `a` is taken for success, too. Put what may fail in parentheses: `a && (b || true)`.",
    is_mended: false,
    bad: "FROM debian:12\nRUN make && make install && rm -r build || true\n",
    good: "FROM debian:12\nRUN make && make install && (rm -r build || true)\n",
};

static PIPEFAIL: Guide = Guide {
    name: "PipefailMissing",
    family: Family::Shell,
    severity: Severity::Warning,
    codes: &["DL4006"],
    wants: "A download that breaks off in a pipe is to fail its `RUN`",
    reason: "Of a pipe the last program decides. `SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]` before, or `set -o pipefail` \
             where the shell knows it (bash, and `sh` of Alpine), lets each part count.",
    is_mended: false,
    bad: "FROM debian:12\nRUN curl -fsSL https://example.com/a.tar.gz | tar -xz -C /opt\n",
    good: "FROM debian:12\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN curl -fsSL https://example.com/a.tar.gz | tar -xz -C /opt\n",
};

static BASH: Guide = Guide {
    name: "BashInSh",
    family: Family::Shell,
    severity: Severity::Warning,
    codes: &[
        "SC2039", "SC3001", "SC3003", "SC3010", "SC3011", "SC3020", "SC3030", "SC3040", "SC3043",
        "SC3044", "SC3046", "SC3051",
    ],
    wants: "What only bash knows is to be run by bash",
    reason: "`RUN` uses `/bin/sh`, which is dash in Debian and Ubuntu: `[[`, `source`, arrays or `&>` fail there, or mean \
             something else. Write it for `sh`, or say `SHELL [\"/bin/bash\", \"-c\"]` before.",
    is_mended: false,
    bad: "FROM debian:12\nRUN if [[ -f /etc/passwd ]]; then touch /there; fi\n",
    good: "FROM debian:12\nRUN if [ -f /etc/passwd ]; then touch /there; fi\n",
};

static REPLACED: Guide = Guide {
    name: "ShellReplaced",
    family: Family::Shell,
    severity: Severity::Warning,
    codes: &["DL4005"],
    wants: "The shell of later `RUN`s is to be chosen by `SHELL`",
    reason: "A link in the place of `/bin/sh` changes it for all programs of the image, not only for the build.",
    is_mended: false,
    bad: "FROM debian:12\nRUN ln -sf /bin/bash /bin/sh\n",
    good: "FROM debian:12\nSHELL [\"/bin/bash\", \"-c\"]\n",
};

static EMPTY: Guide = Guide {
    name: "RemovesRootIfEmpty",
    family: Family::Shell,
    severity: Severity::Info,
    codes: &["SC2115"],
    wants: "`rm -r \"$directory/…\"` is not to remove the root's",
    reason: "If the variable is empty, the path begins at the root. `\"${directory:?}/…\"` fails instead.",
    is_mended: false,
    bad: "FROM debian:12\nRUN rm -rf \"$BUILD_ROOT\"/*\n",
    good: "FROM debian:12\nRUN rm -rf \"${BUILD_ROOT:?}\"/*\n",
};

static UNQUOTED: Guide = Guide {
    name: "Unquoted",
    family: Family::Shell,
    severity: Severity::Style,
    codes: &["SC2086", "SC2046"],
    wants: "Paths from variables and commands are to be quoted",
    reason: "Without quotes the shell splits the value at blanks and looks for files that match it. Write `\"$path\"`.",
    is_mended: false,
    bad: "FROM debian:12\nRUN target=$(mktemp -d) && cp /a $target\n",
    good: "FROM debian:12\nRUN target=$(mktemp -d) && cp /a \"$target\"\n",
};

static BACKTICKS: Guide = Guide {
    name: "Backticks",
    family: Family::Shell,
    severity: Severity::Style,
    codes: &["SC2006"],
    wants: "What a command writes is to be taken by `$(…)`",
    reason: "Backticks are hard to see, and can't lie within one another.",
    is_mended: true,
    bad: "FROM debian:12\nRUN echo `uname -m` > /arch\n",
    good: "FROM debian:12\nRUN echo $(uname -m) > /arch\n",
};

static DIRECTORY: Guide = Guide {
    name: "CdInsteadOfWorkdir",
    family: Family::Shell,
    severity: Severity::Style,
    codes: &["DL3003"],
    wants: "The directory is to be changed by `WORKDIR`",
    reason: "`cd` holds for its `RUN` alone. `WORKDIR` holds from there on, and makes the directory.",
    is_mended: false,
    bad: "FROM debian:12\nRUN cd /src && make\n",
    good: "FROM debian:12\nWORKDIR /src\nRUN make\n",
};

static POINTLESS: Guide = Guide {
    name: "PointlessProgram",
    family: Family::Shell,
    severity: Severity::Info,
    codes: &["DL3001"],
    wants: "A build is not to call what needs a running machine",
    reason: "There are no services, no terminal and no other processes in a build; what is started ends with its `RUN`.",
    is_mended: false,
    bad: "FROM debian:12\nRUN service nginx start\nCMD [\"bash\"]\n",
    good: "FROM debian:12\nCMD [\"nginx\", \"-g\", \"daemon off;\"]\n",
};

static BOTH: Guide = Guide {
    name: "BothDownloaders",
    family: Family::Shell,
    severity: Severity::Style,
    codes: &["DL4001"],
    wants: "Either `curl` or `wget` is to be used",
    reason: "Each brings libraries of its own. One is enough.",
    is_mended: false,
    bad: "FROM debian:12\nRUN curl -fsSLo /a https://example.com/a\nRUN wget -q https://example.com/b\n",
    good: "FROM debian:12\nRUN curl -fsSLo /a https://example.com/a\nRUN curl -fsSLo /b https://example.com/b\n",
};

static PROGRESS: Guide = Guide {
    name: "WgetProgress",
    family: Family::Shell,
    severity: Severity::Style,
    codes: &["DL3047"],
    wants: "`wget` is not to draw its progress into a log",
    reason: "In a log each step of the bar is a line. `-q`, `-nv` or `--progress=dot:giga` keep it short.",
    is_mended: false,
    bad: "FROM debian:12\nRUN wget https://example.com/b\n",
    good: "FROM debian:12\nRUN wget -nv https://example.com/b\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for view in &file.stages {
        let mut downloaders: Vec<&str> = Vec::new();
        for look in view.looks(file) {
            look.failures(found);
            look.pipes(found);
            look.bash(found);
            for command in &look.script.commands {
                look.command(command, found);
                look.words(command, found);
                look.downloader(command, &mut downloaders, found);
            }
            look.directory(found);
        }
    }
}

/// `set -e`, alone or joined: `set -euxo pipefail`.
fn ends_at_failure(command: &Command) -> bool {
    let is_it = |word: &Word| {
        let letters = word
            .value
            .strip_prefix('-')
            .filter(|letters| !letters.starts_with('-'));
        letters.is_some_and(|letters| letters.contains('e')) || word.is("errexit")
    };
    command.program() == Some("set") && command.arguments().iter().any(is_it)
}

fn sets_pipefail(command: &Command) -> bool {
    command.program() == Some("set") && command.arguments().iter().any(|word| word.is("pipefail"))
}

/// What it writes comes over the network.
fn downloads(command: &Command) -> bool {
    match command.program() {
        Some("curl" | "wget" | "aws" | "gsutil") => true,
        Some("git") => {
            let asks = |word: &Word| word.is("ls-remote") || word.is("archive");
            command.arguments().iter().any(asks)
        }
        _ => false,
    }
}

impl<'l> Look<'l, '_> {
    fn note(&self, guide: &'static Guide, start: usize, end: usize, detail: String) -> Finding {
        self.step.note(
            self.file,
            guide,
            Some(self.at + start..self.at + end),
            detail,
        )
    }

    fn shell(&self) -> &'l Shell {
        &self.step.shell
    }

    fn failures(&self, found: &mut Vec<Finding>) {
        const HARMLESS: [&str; 14] = [
            "echo", "export", "set", ":", "true", "unset", "ulimit", "umask", "printf", "local",
            "alias", "trap", "shift", "cat",
        ];
        let commands: Vec<&Command> = self.script.top().collect();
        let is_set = self.script.commands.iter().any(ends_at_failure);
        let by_shell = self.shell_ends_at_failure();
        for (number, command) in commands.iter().enumerate() {
            let goes_on = matches!(command.after, Joint::Semicolon | Joint::Newline);
            let is_last = number + 1 == commands.len() && self.script.end <= command.end + 2;
            let has_program = command
                .program()
                .is_some_and(|program| !HARMLESS.contains(&program));
            if !self.script.is_sound || is_set || by_shell || !goes_on || is_last || !has_program {
                continue;
            }
            let program = command.program().unwrap_or_default();
            let detail = format!("if {program} fails, the next command is run as if it had not");
            found.push(self.note(&IGNORED, command.start, command.end, detail));
            break;
        }
        for trio in commands.windows(3) {
            let [first, second, last] = trio else {
                continue;
            };
            let is_pass = matches!(last.program(), Some("true" | ":")) && last.before == Joint::Or;
            if is_pass
                && second.before == Joint::And
                && first.after == Joint::And
                && second.after == Joint::Or
            {
                let detail = "whatever fails before it, this makes it a success".to_owned();
                found.push(self.note(&SWALLOWED, last.start, last.end, detail));
            }
        }
    }

    fn shell_ends_at_failure(&self) -> bool {
        let steps = self
            .view
            .steps
            .iter()
            .take_while(|step| !std::ptr::eq(*step, self.step));
        let shell = steps.filter_map(|step| match step.kind {
            Kind::Shell(words) => Some(words),
            _ => None,
        });
        shell.last().is_some_and(|words| {
            words.iter().skip(1).any(|word| {
                word.strip_prefix('-')
                    .is_some_and(|letters| !letters.starts_with('-') && letters.contains('e'))
            })
        })
    }

    fn pipes(&self, found: &mut Vec<Finding>) {
        if self.shell().has_pipefail || self.script.commands.iter().any(sets_pipefail) {
            return;
        }
        let pipe = self.script.commands.iter().find(|command| {
            downloads(command) && command.after == Joint::Pipe && command.depth == 0
        });
        if let Some(command) = pipe {
            let program = command.program().unwrap_or_default();
            let detail = format!("if {program} fails, the pipe goes on with what it got");
            found.push(self.note(&PIPEFAIL, command.start, command.end, detail));
        }
    }

    fn bash(&self, found: &mut Vec<Finding>) {
        if self.shell().is_bash != Some(false) {
            return;
        }
        // What bash is called for by the text itself is its own.
        let first = self.script.bashisms.first();
        if let Some(bashism) = first {
            let detail = format!("sh need not know {}", bashism.name);
            found.push(self.note(&BASH, bashism.start, bashism.end, detail));
            return;
        }
        let foreign = self.script.commands.iter().find_map(|command| {
            let name = command.program().filter(|name| {
                matches!(
                    *name,
                    "source"
                        | "pushd"
                        | "popd"
                        | "declare"
                        | "typeset"
                        | "shopt"
                        | "mapfile"
                        | "readarray"
                )
            });
            let name = name.or(sets_pipefail(command).then_some("set -o pipefail"));
            let equals = matches!(command.program(), Some("[" | "test"))
                && command.arguments().iter().any(|word| word.is("=="));
            name.or(equals.then_some("== in [ … ]"))
                .map(|name| (command, name))
        });
        // Where it may fail, or is asked for first, it is meant.
        if let Some((command, name)) =
            foreign.filter(|(command, _)| !command.is_guarded && command.after != Joint::Or)
        {
            found.push(self.note(
                &BASH,
                command.start,
                command.end,
                format!("sh need not know {name}"),
            ));
        }
    }

    fn command(&self, command: &Command, found: &mut Vec<Finding>) {
        let Some(program) = command.program() else {
            return;
        };
        let arguments = command.arguments();
        match program {
            "ln" => {
                let ends_as_shell = arguments.last().is_some_and(|word| word.is("/bin/sh"));
                if ends_as_shell && arguments.iter().any(|word| word.value.ends_with("bash")) {
                    let detail = "the image gets another sh for the sake of the build".to_owned();
                    found.push(self.note(&REPLACED, command.start, command.end, detail));
                }
            }
            "service" | "systemctl" | "shutdown" | "reboot" | "top" | "free" | "ps" | "mount"
            | "ifconfig" | "vim" | "nano" => {
                // It may only be asked about, or prepared for later.
                let is_asked = arguments.iter().any(|word| {
                    matches!(
                        word.value.as_str(),
                        "--version" | "enable" | "mask" | "disable" | "unmask" | "set-default"
                    )
                });
                let is_insecure = matches!(self.step.kind, Kind::Run(run) if run.security != shiplap_model::dockerfile::Security::Sandbox);
                let has_agent = matches!(self.step.kind, Kind::Run(run) if run.mounts.iter().any(|mount| mount.kind == MountType::Ssh));
                if !is_asked && !is_insecure && !has_agent {
                    let detail = format!("{program} has nothing to do in a build");
                    found.push(self.note(&POINTLESS, command.start, command.end, detail));
                }
            }
            "rm" if command.has_option(&["--recursive"], &['r', 'R']) => {
                for word in arguments {
                    self.empty(command, word, found);
                }
            }
            _ => {}
        }
    }

    /// `"$directory"/*`
    fn empty(&self, command: &Command, word: &Word, found: &mut Vec<Finding>) {
        let Some(expansion) = word.expansions.first() else {
            return;
        };
        let Subject::Variable {
            name,
            has_default: false,
            is_plain: true,
        } = &expansion.subject
        else {
            return;
        };
        let behind = word
            .value
            .strip_prefix(&format!("${name}"))
            .or_else(|| word.value.strip_prefix(&format!("${{{name}}}")));
        let is_root = behind.is_some_and(|rest| rest.starts_with('/') && rest.len() > 1);
        let is_set = self
            .file
            .variable(self.view, self.step, name)
            .is_some_and(|value| !value.is_empty());
        let earlier = self
            .script
            .commands
            .iter()
            .take_while(|earlier| earlier.start < command.start);
        let is_assigned = earlier
            .flat_map(|earlier| earlier.assignments.iter().chain(&earlier.words))
            .any(|word| word.assignment().is_some_and(|(own, _)| own == name));
        let is_known = matches!(name.as_str(), "HOME" | "PWD" | "TMPDIR" | "GNUPGHOME")
            || self.step.joined.text.contains(&format!("for {name} in"));
        if is_root
            && !is_set
            && !is_assigned
            && !is_known
            && !name.starts_with(|char: char| char.is_ascii_digit())
        {
            let detail = format!("if {name} is empty, this removes from the root");
            found.push(self.note(&EMPTY, word.start, word.end, detail));
        }
    }

    fn words(&self, command: &Command, found: &mut Vec<Finding>) {
        const OF_PATHS: [&str; 7] = ["cp", "mv", "cd", "mkdir", "chown", "chmod", "ln"];
        let takes_paths = command
            .program()
            .is_some_and(|program| OF_PATHS.contains(&program));
        let mut is_told = false;
        for word in command
            .assignments
            .iter()
            .chain(&command.words)
            .chain(command.redirects.iter().map(|redirect| &redirect.target))
        {
            for expansion in &word.expansions {
                if expansion.subject == Subject::Backticks {
                    self.backticks(expansion.start, expansion.end, found);
                }
            }
            let split = word.expansions.iter().find(|expansion| {
                let may_have_blanks = match &expansion.subject {
                    Subject::Variable { name, .. } => {
                        !matches!(name.as_str(), "?" | "#" | "@") && !self.is_one_word(name)
                    }
                    Subject::Command => true,
                    Subject::Backticks | Subject::Arithmetic => false,
                };
                !expansion.is_quoted && may_have_blanks
            });
            let is_argument = command
                .words
                .iter()
                .skip(1)
                .any(|own| std::ptr::eq(own, word));
            if takes_paths
                && is_argument
                && !is_told
                && let Some(Expansion { start, end, .. }) = split
            {
                let detail = "its value is split at blanks".to_owned();
                found.push(self.note(&UNQUOTED, *start, *end, detail));
                is_told = true;
            }
        }
    }

    /// The Dockerfile gives the variable a value that no shell splits.
    fn is_one_word(&self, name: &str) -> bool {
        let value = self.file.variable(self.view, self.step, name);
        let value = value.map(|value| value.trim_matches(['"', '\'']));
        value.is_some_and(|value| !value.contains([' ', '\t', '*', '?', '[', '$', '\\']))
    }

    fn backticks(&self, start: usize, end: usize, found: &mut Vec<Finding>) {
        let (from, to) = (self.at + start, self.at + end);
        let inner = self
            .step
            .joined
            .text
            .get(from + 1..to.saturating_sub(1))
            .unwrap_or_default();
        let finding = self.note(
            &BACKTICKS,
            start,
            end,
            "what this writes is hard to see".to_owned(),
        );
        // Within, a backslash means something else.
        found.push(match inner.contains(['\\', '`']) || inner.is_empty() {
            true => finding,
            false => finding.mend([
                self.step.replace(&(from..from + 1), "$("),
                self.step.replace(&(to - 1..to), ")"),
            ]),
        });
    }

    fn directory(&self, found: &mut Vec<Finding>) {
        let Some(first) = self
            .script
            .commands
            .first()
            .filter(|first| first.program() == Some("cd"))
        else {
            return;
        };
        let [word] = first.arguments() else {
            return;
        };
        if word.literal().is_some() && first.depth == 0 && first.after == Joint::And {
            let detail = "this could be a WORKDIR before".to_owned();
            found.push(self.note(&DIRECTORY, first.start, first.end, detail));
        }
    }

    fn downloader(&self, command: &Command, seen: &mut Vec<&'l str>, found: &mut Vec<Finding>) {
        let program = match command.program() {
            Some("curl") => "curl",
            Some("wget") => "wget",
            _ => return,
        };
        if !seen.contains(&program) {
            if seen.len() == 1 {
                let other = seen.first().copied().unwrap_or_default();
                let detail = format!("{program} is used here, {other} before");
                found.push(self.note(&BOTH, command.start, command.end, detail));
            }
            seen.push(program);
        }
        let is_quiet = command.has_option(
            &["--quiet", "--no-verbose", "--progress", "--spider"],
            &['q'],
        ) || command
            .arguments()
            .iter()
            .any(|word| word.value.starts_with("-nv") || word.value.contains("wgetrc"));
        let to_log = command
            .redirects
            .iter()
            .any(|redirect| redirect.operator.starts_with('>'));
        if program == "wget"
            && !is_quiet
            && !to_log
            && command.after != Joint::Pipe
            && self.shell().is_bash.is_some()
        {
            let detail = "its progress fills the log".to_owned();
            found.push(self.note(&PROGRESS, command.start, command.end, detail));
        }
    }
}
