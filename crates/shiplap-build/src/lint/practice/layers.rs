//! What a layer keeps although a later one removes or changes it, and what never had to be in one.

use shiplap_model::dockerfile::{Kind, TransferSource};

use super::call::Call;
use super::script::{append, is_plain, remove};
use super::{File, Look, Step};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};
use crate::lint::shell::{self, Joint, Script, Word};

pub(super) static GUIDES: &[&Guide] = &[
    &DELETED, &CHANGED, &ARCHIVE, &UNPACKED, &HISTORY, &TOOLS, &RUNS,
];

static DELETED: Guide = Guide {
    name: "DeletedInLaterLayer",
    family: Family::Size,
    severity: Severity::Warning,
    codes: &[],
    wants: "What is removed is to be removed in the layer that made it",
    reason: "A layer can't make the one below smaller: the file is hidden, and still pulled by everybody. Remove it \
             in the same `RUN`; what is copied only to be used once belongs into `RUN --mount=type=bind`, or into \
             another stage.",
    is_mended: true,
    bad: "FROM busybox:1.36\nRUN dd if=/dev/zero of=/tmp/big bs=1M count=10 && gzip -k /tmp/big\nRUN rm /tmp/big\n",
    good: "FROM busybox:1.36\nRUN dd if=/dev/zero of=/tmp/big bs=1M count=10 && gzip -k /tmp/big && rm /tmp/big\n",
};

static CHANGED: Guide = Guide {
    name: "ChangedInLaterLayer",
    family: Family::Size,
    severity: Severity::Warning,
    codes: &[],
    wants: "Copied files are to be copied with their owner and mode",
    reason: "`chown` and `chmod` in a `RUN` put each file into another layer once more, so the image has it twice. \
             Say `COPY --chown=USER:GROUP` or `--chmod=MODE`.",
    is_mended: false,
    bad: "FROM debian:12\nCOPY app /srv/app\nRUN chown -R www-data:www-data /srv/app\n",
    good: "FROM debian:12\nCOPY --chown=www-data:www-data app /srv/app\n",
};

static ARCHIVE: Guide = Guide {
    name: "DownloadedArchiveKept",
    family: Family::Size,
    severity: Severity::Warning,
    codes: &[],
    wants: "A downloaded archive is to be removed once it is unpacked",
    reason: "Otherwise the image has everything twice. Remove it in the same `RUN`, or do not write it to a file at \
             all: `curl … | tar xz`.",
    is_mended: false,
    bad: "FROM debian:12\nRUN curl -fsSLo /tmp/go.tar.gz https://example.com/go.tar.gz && tar -C /usr/local -xzf /tmp/go.tar.gz\n",
    good: "FROM debian:12\nRUN curl -fsSLo /tmp/go.tar.gz https://example.com/go.tar.gz && tar -C /usr/local -xzf /tmp/go.tar.gz && rm /tmp/go.tar.gz\n",
};

static UNPACKED: Guide = Guide {
    name: "ArchiveCopied",
    family: Family::Size,
    severity: Severity::Info,
    codes: &["DL3010"],
    wants: "A local archive is to be unpacked by `ADD`",
    reason: "`COPY` puts the archive itself into a layer, and unpacking it in a `RUN` puts its files into another one. \
             `ADD archive.tar.gz /dir/` unpacks it while it copies.",
    is_mended: false,
    bad: "FROM debian:12\nCOPY app.tar.gz /tmp/\nRUN tar -xzf /tmp/app.tar.gz -C /opt\n",
    good: "FROM debian:12\nADD app.tar.gz /opt/\n",
};

static HISTORY: Guide = Guide {
    name: "GitHistoryKept",
    family: Family::Size,
    severity: Severity::Info,
    codes: &[],
    wants: "A cloned repository is not to bring its history",
    reason: "The history is often larger than the files. Clone with `--depth 1`, or let `ADD` fetch the repository: \
             it leaves `.git` out.",
    is_mended: false,
    bad: "FROM debian:12\nRUN git clone --branch v1.2 https://example.com/tool.git /src\n",
    good: "FROM debian:12\nRUN git clone --depth 1 --branch v1.2 https://example.com/tool.git /src\n",
};

static TOOLS: Guide = Guide {
    name: "BuildToolsShipped",
    family: Family::Size,
    severity: Severity::Info,
    codes: &[],
    wants: "Compilers are to stay in the stage that compiles",
    reason: "A compiler with its headers is 200 MB and more that the program does not need to run. Build in a stage of its \
             own and `COPY --from` what it made; or remove the compiler in the `RUN` that installs it.",
    is_mended: false,
    bad: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends build-essential=12.9 && rm -rf /var/lib/apt/lists/*\nCOPY . /src\nRUN make -C /src install\n",
    good: "FROM debian:12 AS build\nRUN apt-get update && apt-get install -y --no-install-recommends build-essential=12.9 && rm -rf /var/lib/apt/lists/*\nCOPY . /src\nRUN make -C /src install DESTDIR=/out\nFROM debian:12\nCOPY --from=build /out /\n",
};

static RUNS: Guide = Guide {
    name: "ConsecutiveRuns",
    family: Family::Size,
    severity: Severity::Style,
    codes: &["DL3059"],
    wants: "Small `RUN`s one after the other are to be one",
    reason: "Each makes a layer, and what one leaves behind the next can't take back. Join them with `&&`, unless the \
             first is slow and the second changes often: then the cache is worth the layer.",
    is_mended: false,
    bad: "FROM debian:12\nRUN mkdir -p /srv/app\nRUN touch /srv/app/log\n",
    good: "FROM debian:12\nRUN mkdir -p /srv/app && touch /srv/app/log\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for view in file.stages.iter().filter(|view| view.is_shipped) {
        for look in view.looks(file).filter(|look| !look.step.is_trigger()) {
            look.deleted(found);
            look.changed(found);
            look.archive(found);
            look.unpacked(found);
            look.history(found);
            look.tools(found);
            look.runs(found);
        }
    }
}

/// What made a path that is removed or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// A `COPY` or `ADD`.
    Copy,
    /// A `RUN`, by its place in the stage.
    Run(usize),
}

impl<'l, 'f> Look<'l, 'f> {
    fn before(&self) -> impl DoubleEndedIterator<Item = (usize, &'l Step<'f>)> {
        self.view.steps.iter().enumerate().take(self.number)
    }

    fn part(&self, word: &Word) -> Option<std::ops::Range<usize>> {
        Some(self.at + word.start..self.at + word.end)
    }

    fn deleted(&self, found: &mut Vec<Finding>) {
        for command in self
            .script
            .top()
            .filter(|command| command.program() == Some("rm"))
        {
            for word in command.operands("") {
                let Some(path) = word.literal().filter(|path| path.starts_with('/')) else {
                    continue;
                };
                if self.uses_before(command, path) {
                    continue;
                }
                let Some(maker) = self.maker(path) else {
                    continue;
                };
                let detail = match maker {
                    Maker::Copy => format!("{path} was copied into a layer below, and stays there"),
                    Maker::Run(_) => format!("{path} was made in a layer below, and stays there"),
                };
                let finding = self.step.note(self.file, &DELETED, self.part(word), detail);
                let advice = match maker {
                    Maker::Copy => {
                        "use the file by RUN --mount=type=bind, or copy it in another stage"
                    }
                    Maker::Run(_) => "remove it in the RUN that makes it",
                };
                found.push(self.joined(finding.advise(advice), maker));
                // The next paths are of the same command, and go with it.
                return;
            }
        }
    }

    /// The script itself made it, or made it anew, before it removes it.
    fn uses_before(&self, remover: &shell::Command, path: &str) -> bool {
        let bare = bare(path);
        let is_apt = bare.starts_with("/var/lib/apt/lists");
        let updates =
            |script: &Script| Call::all(script).any(|call| call.manager.is_apt() && call.updates());
        if is_apt && updates(self.script) {
            return true;
        }
        let earlier = self
            .script
            .commands
            .iter()
            .take_while(|command| command.start < remover.start);
        earlier.clone().any(|command| {
            let words = command
                .words
                .iter()
                .chain(command.redirects.iter().map(|redirect| &redirect.target));
            let mut words = words
                .filter(|_| !matches!(command.program(), Some("rm" | "tar" | "unzip" | "dpkg")));
            words.any(|word| word.value.contains(bare))
        })
    }

    /// What made a path, of the steps before.
    fn maker(&self, path: &str) -> Option<Maker> {
        let bare = bare(path);
        if bare.len() < 2 {
            return None;
        }
        self.before().rev().find_map(|(number, step)| {
            if let Kind::Copy(_) | Kind::Add(_) = step.kind {
                let made = self.file.copied(self.view, step);
                return made
                    .iter()
                    .any(|made| made == bare || made.starts_with(&format!("{bare}/")))
                    .then_some(Maker::Copy);
            }
            let makes = step.scripts.iter().any(|(_, script)| makes(script, bare));
            makes.then_some(Maker::Run(number))
        })
    }

    /// A `RUN` that only removes, straight behind the one that made it, can be part of that.
    fn joined(&self, finding: Finding, maker: Maker) -> Finding {
        let only_removes = self.script.commands.iter().all(|command| {
            let is_absolute =
                |word: &&Word| word.literal().is_some_and(|path| path.starts_with('/'));
            command.program() == Some("rm")
                && command.depth == 0
                && !command.is_guarded
                && command.redirects.is_empty()
                && matches!(command.before, Joint::None | Joint::And)
                && matches!(command.after, Joint::None | Joint::And)
                && command.operands("").iter().all(is_absolute)
        });
        let previous = self
            .number
            .checked_sub(1)
            .and_then(|number| self.view.steps.get(number));
        let (Some(previous), Maker::Run(number)) = (previous, maker) else {
            return finding;
        };
        let is_plain = is_plain(self.step)
            && is_plain(previous)
            && self.step.joined.bodies.is_empty()
            && previous.joined.bodies.is_empty();
        let Some((at, script)) = previous
            .scripts
            .first()
            .filter(|_| is_plain && only_removes && number + 1 == self.number)
        else {
            return finding;
        };
        let text = self
            .step
            .joined
            .text
            .get(self.at..self.at + self.script.end);
        let text = text.unwrap_or_default();
        let edits = [
            append(self.file, previous, *at, script, text),
            remove(self.file, self.step),
        ];
        finding.mend(edits)
    }

    fn changed(&self, found: &mut Vec<Finding>) {
        for command in self.script.top() {
            let Some(program @ ("chown" | "chmod" | "chgrp")) = command.program() else {
                continue;
            };
            let mut words = command.operands("--reference --from").into_iter();
            // The owner or the mode.
            let Some(wanted) = words.next() else {
                continue;
            };
            for word in words {
                let Some(path) = word
                    .literal()
                    .and_then(|path| self.file.absolute(self.view, self.step, path))
                else {
                    continue;
                };
                let is_deep = command.has_option(&["--recursive"], &['R']);
                let copied = self.before().any(|(_, step)| {
                    let made = self.file.copied(self.view, step);
                    made.iter().any(|made| {
                        *made == path
                            || is_deep
                                && (made.starts_with(&format!("{path}/"))
                                    || path.starts_with(&format!("{made}/")))
                    })
                });
                if !copied || path == "/" {
                    continue;
                }
                let flag = if program == "chmod" { "chmod" } else { "chown" };
                let detail =
                    format!("{program} copies what is in {path} into this layer once more");
                let finding = self.step.note(self.file, &CHANGED, self.part(word), detail);
                // Of a single file it is little.
                let severity = if is_deep {
                    finding.severity
                } else {
                    Severity::Info
                };
                let finding = Finding {
                    severity,
                    ..finding
                };
                let advice = match wanted.literal() {
                    Some(wanted) => format!("say it where it is copied: COPY --{flag}={wanted}"),
                    None => format!("say it where it is copied: COPY --{flag}=…"),
                };
                found.push(finding.advise(advice));
                break;
            }
        }
    }

    fn archive(&self, found: &mut Vec<Finding>) {
        for command in &self.script.commands {
            let Some(word) = download(command) else {
                continue;
            };
            let Some(path) = word.literal().filter(|path| is_archive(path)) else {
                continue;
            };
            let name = path.rsplit('/').next().unwrap_or(path);
            let unpacks = |command: &shell::Command| {
                matches!(
                    command.program(),
                    Some("tar" | "unzip" | "dpkg" | "rpm" | "bsdtar")
                ) && command
                    .arguments()
                    .iter()
                    .any(|word| word.value.ends_with(name))
            };
            let removes = |command: &shell::Command| {
                let is_remover = matches!(command.program(), Some("rm" | "mv" | "find" | "unlink"));
                is_remover
                    && command.arguments().iter().any(|word| {
                        word.value.contains(name)
                            || word.has_pattern
                            || !word.expansions.is_empty()
                            || path.starts_with(&format!("{}/", word.value.trim_end_matches('/')))
                            || !path.starts_with('/') && !word.value.starts_with('-')
                    })
            };
            let commands = &self.script.commands;
            if commands.iter().any(unpacks) && !commands.iter().any(removes) {
                let detail = format!("{name} stays in the layer beside what was in it");
                found.push(self.step.note(self.file, &ARCHIVE, self.part(word), detail));
            }
        }
    }

    fn unpacked(&self, found: &mut Vec<Finding>) {
        for (_, step) in self.before() {
            let Kind::Copy(transfer) = step.kind else {
                continue;
            };
            for source in transfer.sources.iter().filter(|_| transfer.from.is_none()) {
                let TransferSource::Path(source) = source else {
                    continue;
                };
                let name = source.rsplit('/').next().unwrap_or(source);
                let is_tar = [
                    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst",
                ]
                .iter()
                .any(|end| name.ends_with(end));
                let unpacks = self.script.commands.iter().find(|command| {
                    command.program() == Some("tar")
                        && command
                            .arguments()
                            .iter()
                            .any(|word| word.value.ends_with(name))
                });
                if let Some(command) = unpacks.filter(|_| is_tar && !name.contains('*')) {
                    let part = self.at + command.start..self.at + command.end;
                    let detail =
                        format!("{name} was copied as a whole, and is unpacked in another layer");
                    found.push(self.step.note(self.file, &UNPACKED, Some(part), detail));
                }
            }
        }
    }

    fn history(&self, found: &mut Vec<Finding>) {
        for command in self
            .script
            .commands
            .iter()
            .filter(|command| command.program() == Some("git"))
        {
            let arguments = command.arguments();
            let clones = arguments
                .iter()
                .find(|word| !word.value.starts_with('-'))
                .is_some_and(|word| word.is("clone"));
            let is_shallow = command.has_option(
                &[
                    "--depth",
                    "--shallow-since",
                    "--filter",
                    "--mirror",
                    "--bare",
                ],
                &[],
            );
            let removes = self.script.commands.iter().any(|command| {
                matches!(command.program(), Some("rm" | "find"))
                    && command.has_option(&["--recursive"], &['r', 'R', 'd'])
            });
            if clones && !is_shallow && !removes {
                let part = self.at + command.start..self.at + command.end;
                let detail = "all of the repository's history comes along".to_owned();
                found.push(self.step.note(self.file, &HISTORY, Some(part), detail));
            }
        }
    }

    fn tools(&self, found: &mut Vec<Finding>) {
        const COMPILERS: [&str; 12] = [
            "build-essential",
            "build-base",
            "gcc",
            "g++",
            "clang",
            "make",
            "cmake",
            "gcc-c++",
            "autoconf",
            "automake",
            "rustc",
            "musl-dev",
        ];
        let removes = |call: &Call<'_>| {
            matches!(
                call.does(),
                "purge" | "remove" | "autoremove" | "del" | "erase"
            )
        };
        if Call::all(self.script).any(|call| removes(&call)) {
            return;
        }
        for call in Call::all(self.script).filter(Call::installs) {
            let is_tool = |word: &&&Word| {
                word.literal()
                    .is_some_and(|name| COMPILERS.contains(&name.split('=').next().unwrap_or(name)))
            };
            if let Some(word) = call.operands.iter().find(is_tool) {
                let detail = format!("{} is in the image that is shipped", word.value);
                found.push(self.step.note(self.file, &TOOLS, self.part(word), detail));
            }
        }
    }

    fn runs(&self, found: &mut Vec<Finding>) {
        let previous = self
            .number
            .checked_sub(1)
            .and_then(|number| self.view.steps.get(number));
        let Some(previous) =
            previous.filter(|previous| !previous.scripts.is_empty() && !previous.is_trigger())
        else {
            return;
        };
        let is_small = |script: &Script| script.commands.len() <= 3;
        let are_small =
            is_small(self.script) && previous.scripts.iter().all(|(_, script)| is_small(script));
        if are_small
            && is_plain(self.step)
            && is_plain(previous)
            && self.step.instruction.comments.is_empty()
        {
            let detail = "it could be part of the RUN before".to_owned();
            found.push(self.step.note(self.file, &RUNS, None, detail));
        }
    }
}

/// `/dir/*` and `/dir/` as `/dir`.
fn bare(path: &str) -> &str {
    path.trim_end_matches(['*', '/'])
}

/// Whether a script makes a file or directory of this path, and does not remove it.
fn makes(script: &Script, path: &str) -> bool {
    if path.starts_with("/var/lib/apt/lists") {
        let removes = script.commands.iter().any(|command| {
            command.program() == Some("rm")
                && command
                    .words
                    .iter()
                    .any(|word| word.value.contains("/var/lib/apt"))
        });
        return Call::all(script).any(|call| call.manager.is_apt() && call.updates()) && !removes;
    }
    let names = |word: &Word| {
        let value = bare(&word.value);
        value == path
            || value.ends_with(&format!("={path}"))
            || value.starts_with(&format!("{path}/"))
    };
    // A directory weighs nothing; what is put into it does.
    let fills = |maker: &shell::Command| {
        maker.program() == Some("mkdir")
            && script.commands.iter().any(|command| {
                let is_light = matches!(
                    command.program(),
                    Some("mkdir" | "chown" | "chmod" | "chgrp" | "[" | "test" | "rm" | "ls")
                );
                let targets = command.redirects.iter().map(|redirect| &redirect.target);
                let mut words = command.words.iter().chain(targets);
                !is_light && words.any(|word| word.value.contains(path))
            })
    };
    let is_remover = |command: &shell::Command| {
        command.program() == Some("rm")
            && command.words.iter().any(|word| bare(&word.value) == path)
    };
    let is_maker = |command: &shell::Command| {
        let by_redirect = command
            .redirects
            .iter()
            .any(|redirect| redirect.operator.starts_with('>') && names(&redirect.target));
        let by_program = matches!(
            command.program(),
            Some(
                "curl"
                    | "wget"
                    | "cp"
                    | "mv"
                    | "dd"
                    | "git"
                    | "install"
                    | "tar"
                    | "unzip"
                    | "fallocate"
                    | "truncate"
            )
        );
        by_redirect || (by_program || fills(command)) && command.arguments().iter().any(names)
    };
    script.commands.iter().any(is_maker) && !script.commands.iter().any(is_remover)
}

/// The word that names the file a download goes to.
fn download(command: &shell::Command) -> Option<&Word> {
    let arguments = command.arguments();
    let flags: &[&str] = match command.program()? {
        "curl" => &["o", "--output"],
        "wget" => &["O", "--output-document"],
        _ => return None,
    };
    let is_flag = |word: &Word| {
        let text = word.value.as_str();
        let joined = text
            .strip_prefix('-')
            .is_some_and(|letters| !letters.starts_with('-') && letters.ends_with(flags[0]));
        joined || text == flags[1]
    };
    let at = arguments.iter().position(is_flag)?;
    arguments.get(at + 1)
}

fn is_archive(path: &str) -> bool {
    [
        ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".txz", ".zip", ".deb", ".rpm",
        ".tar.zst",
    ]
    .iter()
    .any(|end| path.ends_with(end))
}
