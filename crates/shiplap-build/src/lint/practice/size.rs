//! What package managers leave behind: lists and caches that no running program reads.

use shiplap_model::dockerfile::Kind;

use super::call::{Call, Manager};
use super::script::append;
use super::{File, Look};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};
use crate::lint::shell::{Command, Script};

pub(super) static GUIDES: &[&Guide] = &[&APT, &APK, &DNF, &ZYPPER, &PIP, &NPM, &YARN];

static APT: Guide = Guide {
    name: "AptListsKept",
    family: Family::Size,
    severity: Severity::Warning,
    codes: &["DL3009"],
    wants: "The lists of `apt-get update` are to be removed in the same `RUN`",
    reason: "They are some 20 to 50 MB, old the day after, and no program reads them. What another `RUN` removes \
             stays in the layer below: end this one with `rm -rf /var/lib/apt/lists/*`, or keep them out with \
             `--mount=type=cache,target=/var/lib/apt`.",
    is_mended: true,
    bad: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl=8.1\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl=8.1 && rm -rf /var/lib/apt/lists/*\n",
};

static APK: Guide = Guide {
    name: "ApkCacheKept",
    family: Family::Size,
    severity: Severity::Warning,
    codes: &["DL3019"],
    wants: "`apk add` is not to keep its index",
    reason: "`--no-cache` fetches the index, uses it and leaves nothing, so that neither `apk update` before nor `rm` \
             behind is needed.",
    is_mended: true,
    bad: "FROM alpine:3.20\nRUN apk add curl=8.9\n",
    good: "FROM alpine:3.20\nRUN apk add --no-cache curl=8.9\n",
};

static DNF: Guide = Guide {
    name: "DnfCacheKept",
    family: Family::Size,
    severity: Severity::Warning,
    codes: &["DL3040", "DL3032"],
    wants: "What `dnf` or `yum` keep for the next time is to be removed in the same `RUN`",
    reason: "Metadata and packages in `/var/cache` are some 100 MB. End the `RUN` with `dnf clean all`.",
    is_mended: true,
    bad: "FROM fedora:41\nRUN dnf install -y curl-8.9.1\n",
    good: "FROM fedora:41\nRUN dnf install -y curl-8.9.1 && dnf clean all\n",
};

static ZYPPER: Guide = Guide {
    name: "ZypperCacheKept",
    family: Family::Size,
    severity: Severity::Warning,
    codes: &["DL3036"],
    wants: "What `zypper` keeps for the next time is to be removed in the same `RUN`",
    reason: "Metadata and packages in `/var/cache/zypp` are some 100 MB. End the `RUN` with `zypper clean --all`.",
    is_mended: true,
    bad: "FROM opensuse/leap:15.6\nRUN zypper install -y curl=8.0\n",
    good: "FROM opensuse/leap:15.6\nRUN zypper install -y curl=8.0 && zypper clean --all\n",
};

static PIP: Guide = Guide {
    name: "PipCacheKept",
    family: Family::Size,
    severity: Severity::Warning,
    codes: &["DL3042"],
    wants: "`pip install` is not to keep what it downloaded",
    reason: "Nobody installs it again in this image. Say `--no-cache-dir`, set `PIP_NO_CACHE_DIR=1`, or let \
             `--mount=type=cache,target=/root/.cache/pip` keep it out of the image and for the next build.",
    is_mended: true,
    bad: "FROM python:3.12-slim\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n",
    good: "FROM python:3.12-slim\nCOPY requirements.txt .\nRUN pip install --no-cache-dir -r requirements.txt\n",
};

static NPM: Guide = Guide {
    name: "NpmCacheKept",
    family: Family::Size,
    severity: Severity::Info,
    codes: &[],
    wants: "`npm` is not to keep what it downloaded",
    reason: "Its cache in `~/.npm` has every package once more. Run `npm cache clean --force` behind, or use \
             `--mount=type=cache,target=/root/.npm`.",
    is_mended: true,
    bad: "FROM node:22-slim\nWORKDIR /app\nCOPY package.json .\nRUN npm ci\n",
    good: "FROM node:22-slim\nWORKDIR /app\nCOPY package.json .\nRUN npm ci && npm cache clean --force\n",
};

static YARN: Guide = Guide {
    name: "YarnCacheKept",
    family: Family::Size,
    severity: Severity::Info,
    codes: &["DL3060"],
    wants: "`yarn` is not to keep what it downloaded",
    reason: "Its cache has every package once more. Run `yarn cache clean` behind, or use a cache mount.",
    is_mended: true,
    bad: "FROM node:22-slim\nWORKDIR /app\nCOPY package.json .\nRUN yarn install --frozen-lockfile\n",
    good: "FROM node:22-slim\nWORKDIR /app\nCOPY package.json .\nRUN yarn install --frozen-lockfile && yarn cache clean\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for view in file.stages.iter().filter(|view| view.is_shipped) {
        for look in view.looks(file) {
            look.apt(found);
            look.apk(found);
            look.dnf(found);
            look.pip(found);
            look.node(found);
        }
    }
}

impl Look<'_, '_> {
    fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        Call::all(self.script)
    }

    /// Something is mounted over a directory of this name, or one above it: nothing stays.
    fn is_mounted(&self, directories: &[&str]) -> bool {
        let Kind::Run(run) = self.step.kind else {
            return false;
        };
        run.mounts.iter().any(|mount| {
            let target = mount
                .target
                .as_deref()
                .or(mount.id.as_deref())
                .unwrap_or_default();
            directories
                .iter()
                .any(|directory| target.contains(directory))
        })
    }

    /// The script removes something in such a directory.
    fn removes(&self, directories: &[&str]) -> bool {
        removes(self.script, directories)
    }

    /// Puts a command behind; with `sudo` where the script's own have it, since it is another user's then.
    fn mend(&self, finding: Finding, command: &str) -> Finding {
        let is_lifted =
            |command: &Command| { command.words.first() }.is_some_and(|word| word.is("sudo"));
        let command = match self.script.commands.iter().any(is_lifted) {
            true => format!("sudo {command}"),
            false => command.to_owned(),
        };
        finding.mend([append(self.file, self.step, self.at, self.script, &command)])
    }

    /// The script may end without a program that it has now: it brings it, or removes it.
    fn may_lack(&self, names: &[&str]) -> bool {
        self.calls().any(|call| {
            let mut operands = call.operands.iter();
            let names_it = operands.any(|word| names.contains(&word.value.as_str()));
            let is_other = !matches!(call.manager, Manager::Npm | Manager::Yarn);
            is_other && names_it
        })
    }

    fn apt(&self, found: &mut Vec<Finding>) {
        let apt = || self.calls().filter(|call| call.manager.is_apt());
        let Some(update) = apt().find(Call::updates) else {
            return;
        };
        let uses = |call: &Call<'_>| {
            call.installs()
                || matches!(
                    call.does(),
                    "build-dep" | "source" | "upgrade" | "dist-upgrade"
                )
        };
        let is_clean = apt().any(|call| matches!(call.does(), "dist-clean" | "distclean"));
        if !apt().any(|call| uses(&call))
            || is_clean
            || self.removes(&["/var/lib/apt", "/var/lib/{apt"])
            || self.is_mounted(&["/var/lib/apt"])
        {
            return;
        }
        let detail = "the lists of packages stay in the layer".to_owned();
        let finding = self
            .step
            .note(self.file, &APT, Some(update.part(self.at)), detail);
        // Who installs further down relies on them, unless it fetches them again.
        let relies = self
            .view
            .steps
            .iter()
            .skip(self.number + 1)
            .flat_map(|step| &step.scripts)
            .any(|(_, script)| {
                let apt = || Call::all(script).filter(|call| call.manager.is_apt());
                apt().any(|call| uses(&call)) && !apt().any(|call| call.updates())
            });
        // Then that is what is told.
        let is_removed_later = self.view.steps.iter().skip(self.number + 1).any(|step| {
            let removes = |(_, script): &(usize, Script)| removes(script, &["/var/lib/apt"]);
            step.scripts.iter().any(removes)
        });
        if is_removed_later {
            return;
        }
        let is_parent = self.file.stages.iter().any(|view| {
            view.parent
                .and_then(|parent| self.file.stages.get(parent))
                .is_some_and(|parent| std::ptr::eq(parent, self.view))
        });
        found.push(match relies || is_parent || self.step.is_trigger() {
            true => finding,
            false => self.mend(finding, "rm -rf /var/lib/apt/lists/*"),
        });
    }

    fn apk(&self, found: &mut Vec<Finding>) {
        let directories = ["/var/cache/apk", "/etc/apk/cache", "/var/cache"];
        if self.removes(&directories) || self.is_mounted(&directories) {
            return;
        }
        for call in self
            .calls()
            .filter(|call| call.manager == Manager::Apk && call.installs())
        {
            // Without a network no index comes.
            let leaves_none = ["--no-cache", "--no-network"];
            if call.command.has_option(&leaves_none, &[]) {
                continue;
            }
            if call
                .operands
                .iter()
                .any(|word| !word.expansions.is_empty() && word.value.contains("APK_OPT"))
            {
                continue;
            }
            let detail = "apk's index stays in the layer".to_owned();
            let finding = self
                .step
                .note(self.file, &APK, Some(call.part(self.at)), detail);
            found
                .push(finding.mend([self.step.put_behind(self.at + call.verb.end, " --no-cache")]));
        }
    }

    fn dnf(&self, found: &mut Vec<Finding>) {
        let directories = ["/var/cache", "/var/lib/dnf"];
        if self.removes(&directories) || self.is_mounted(&directories) {
            return;
        }
        let is_clean = |call: &Call<'_>| matches!(call.does(), "clean" | "cc");
        let rpm = || {
            self.calls()
                .filter(|call| call.manager.is_dnf() || call.manager == Manager::Zypper)
        };
        if rpm().any(|call| is_clean(&call)) {
            return;
        }
        let Some(call) = rpm().find(Call::installs) else {
            return;
        };
        let name = call.manager.name();
        let detail = format!("what {name} keeps for the next time stays in the layer");
        let place = Some(call.part(self.at));
        let (guide, code, command) = match call.manager {
            Manager::Zypper => (&ZYPPER, "DL3036", "zypper clean --all".to_owned()),
            Manager::Yum => (&DNF, "DL3032", "yum clean all".to_owned()),
            _ => (&DNF, "DL3040", format!("{name} clean all")),
        };
        let finding = self
            .step
            .note(self.file, guide, place, detail)
            .known_as(code);
        found.push(self.mend(finding, &command));
    }

    fn pip(&self, found: &mut Vec<Finding>) {
        const NO_CACHE: &str = "PIP_NO_CACHE_DIR";
        let is_set = |word: &str| word.starts_with(NO_CACHE) || word.contains("no-cache-dir");
        let is_off =
            |value: &str| matches!(value.trim_matches(['"', '\'']), "" | "0" | "off" | "false");
        let by_environment = self
            .file
            .variable(self.view, self.step, NO_CACHE)
            .is_some_and(|value| !is_off(value));
        let by_script = self.script.commands.iter().any(|command| {
            let mut words = command.assignments.iter().chain(&command.words);
            let is_pip = command.words.iter().any(|word| word.is("install"));
            words.any(|word| is_set(&word.value)) && !is_pip
        });
        let directories = [".cache", "pip"];
        if by_environment
            || by_script
            || self.removes(&directories)
            || self.is_mounted(&directories)
        {
            return;
        }
        for call in self
            .calls()
            .filter(|call| call.manager == Manager::Pip && call.installs())
        {
            let is_said = call
                .command
                .assignments
                .iter()
                .chain(&call.command.words)
                .any(|word| is_set(&word.value));
            if is_said || call.command.has_option(&["--dry-run"], &[]) {
                continue;
            }
            let detail = "what pip downloaded stays in the layer".to_owned();
            let finding = self
                .step
                .note(self.file, &PIP, Some(call.part(self.at)), detail);
            found.push(
                finding.mend([self
                    .step
                    .put_behind(self.at + call.verb.end, " --no-cache-dir")]),
            );
        }
    }

    fn node(&self, found: &mut Vec<Finding>) {
        for (manager, guide, command) in [
            (Manager::Npm, &NPM, "npm cache clean --force"),
            (Manager::Yarn, &YARN, "yarn cache clean"),
        ] {
            let own = || self.calls().filter(move |call| call.manager == manager);
            let directories = [".npm", ".cache", "_cacache", "yarn", "/tmp"];
            let is_clean = own().any(|call| call.does() == "cache");
            if is_clean || self.removes(&directories) || self.is_mounted(&directories) {
                continue;
            }
            let Some(call) = own().find(Call::installs) else {
                continue;
            };
            let detail = format!("what {} downloaded stays in the layer", manager.name());
            let finding = self
                .step
                .note(self.file, guide, Some(call.part(self.at)), detail);
            let is_gone = self.may_lack(&["npm", "nodejs", "yarn", "node"]);
            found.push(match is_gone {
                true => finding,
                false => self.mend(finding, command),
            });
        }
    }
}

/// A script removes something in such a directory.
fn removes(script: &Script, directories: &[&str]) -> bool {
    script.commands.iter().any(|command| {
        let is_remover = matches!(
            command.program(),
            Some("rm" | "find" | "rmdir" | "truncate")
        );
        let names = |text: &str| directories.iter().any(|directory| text.contains(directory));
        is_remover && command.words.iter().any(|word| names(&word.value))
    })
}
