//! Calls of package managers: which one, what it is to do, with which packages.

use crate::lint::shell::{Command, Script, Word};

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Apt,
    AptGet,
    Apk,
    Dnf,
    Yum,
    Microdnf,
    Zypper,
    Pip,
    Npm,
    Yarn,
    Gem,
    Go,
    Cargo,
}

/// One call of it.
#[derive(Debug, Clone)]
pub(super) struct Call<'c> {
    pub(super) manager: Manager,
    pub(super) command: &'c Command,
    /// `install`, `update` …
    pub(super) verb: &'c Word,
    /// What follows the verb and is no option.
    pub(super) operands: Vec<&'c Word>,
}

impl Manager {
    fn of(program: &str) -> Option<Self> {
        let is_pip = |rest: &str| {
            rest.chars()
                .all(|char| char.is_ascii_digit() || char == '.')
        };
        Some(match program {
            "apt" => Self::Apt,
            "apt-get" => Self::AptGet,
            "apk" => Self::Apk,
            "dnf" => Self::Dnf,
            "yum" => Self::Yum,
            "microdnf" => Self::Microdnf,
            "zypper" => Self::Zypper,
            "npm" => Self::Npm,
            "yarn" => Self::Yarn,
            "gem" => Self::Gem,
            "go" => Self::Go,
            "cargo" => Self::Cargo,
            _ if program.strip_prefix("pip").is_some_and(is_pip) => Self::Pip,
            _ => return None,
        })
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::AptGet => "apt-get",
            Self::Apk => "apk",
            Self::Dnf => "dnf",
            Self::Yum => "yum",
            Self::Microdnf => "microdnf",
            Self::Zypper => "zypper",
            Self::Pip => "pip",
            Self::Npm => "npm",
            Self::Yarn => "yarn",
            Self::Gem => "gem",
            Self::Go => "go",
            Self::Cargo => "cargo",
        }
    }

    /// It is `apt-get` or `apt`.
    pub(super) fn is_apt(self) -> bool {
        matches!(self, Self::Apt | Self::AptGet)
    }

    /// It is one of those for RPMs that keep their caches in `/var/cache`.
    pub(super) fn is_dnf(self) -> bool {
        matches!(self, Self::Dnf | Self::Yum | Self::Microdnf)
    }

    /// Its options that have a value behind them, with blanks between.
    fn valued(self) -> &'static str {
        match self {
            Self::Apt | Self::AptGet => {
                "-o --option -t --target-release --default-release -c --config-file -a \
                 --host-architecture -P"
            }
            Self::Apk => {
                "-t --virtual -X --repository -p --root --keys-dir --repositories-file \
                 --arch --cache-dir --wait"
            }
            Self::Dnf | Self::Yum | Self::Microdnf => {
                "-c --config -x --exclude --installroot --releasever --enablerepo \
                 --disablerepo --repo --setopt --forcearch"
            }
            Self::Zypper => {
                "-R --root -r --repo -t --type --from -D --reposd-dir -p --plus-repo \
                 -C --cache-dir"
            }
            Self::Pip => {
                "-r --requirement -c --constraint -e --editable -i --index-url \
                 --extra-index-url -f --find-links -t --target --prefix --root \
                 --trusted-host --cache-dir --python-version --platform --only-binary \
                 --no-binary --progress-bar --timeout --retries --src --global-option \
                 --install-option --log --proxy --python --config-settings -C \
                 --implementation --abi --group --report"
            }
            Self::Npm => {
                "--prefix -C --registry --loglevel --cache --userconfig --globalconfig \
                 --tag --omit --include -w --workspace --fetch-retries --fetch-timeout \
                 --network-timeout --unsafe-perm --python"
            }
            Self::Yarn => {
                "--cwd --registry --network-timeout --cache-folder --modules-folder \
                 --network-concurrency --mutex"
            }
            Self::Gem => {
                "-v --version -i --install-dir -n --bindir -P --trust-policy -s \
                 --source -p --http-proxy --config-file --platform -g --file"
            }
            Self::Go => {
                "-ldflags -tags -o -mod -gcflags -asmflags -p -C -buildmode -pkgdir \
                 -modfile -overlay -compiler -toolexec"
            }
            Self::Cargo => {
                "--version --vers --git --branch --tag --rev --path --root --features \
                 -F --target --index --registry --bin --example --profile -j --jobs \
                 --target-dir --color --config -Z"
            }
        }
    }
}

impl<'c> Call<'c> {
    /// The calls in a script, in order.
    pub(super) fn all(script: &'c Script) -> impl Iterator<Item = Self> {
        script.commands.iter().filter_map(Self::of)
    }

    fn of(command: &'c Command) -> Option<Self> {
        let program = command.program()?;
        let arguments = command.arguments();
        // `python -m pip …`
        let is_module = program.starts_with("python")
            && matches!(arguments, [flag, name, ..] if flag.is("-m") && name.is("pip"));
        let manager = match is_module {
            true => Manager::Pip,
            false => Manager::of(program)?,
        };
        let mut operands = command.operands(manager.valued());
        if is_module {
            // `-m` is an option without value here; its value is the first operand.
            operands.retain(|word| !word.is("pip"));
        }
        let verb = operands.first().copied()?;
        operands.remove(0);
        Some(Self {
            manager,
            command,
            verb,
            operands,
        })
    }

    /// What it is to do; empty if that is not certain.
    pub(super) fn does(&self) -> &'c str {
        self.verb.literal().unwrap_or_default()
    }

    /// It installs what its operands, or files, name.
    pub(super) fn installs(&self) -> bool {
        match self.manager {
            Manager::Apt
            | Manager::AptGet
            | Manager::Pip
            | Manager::Gem
            | Manager::Go
            | Manager::Cargo => self.does() == "install",
            Manager::Apk => self.does() == "add",
            Manager::Dnf | Manager::Yum | Manager::Microdnf => {
                matches!(
                    self.does(),
                    "install" | "groupinstall" | "localinstall" | "reinstall"
                )
            }
            Manager::Zypper => matches!(self.does(), "install" | "in"),
            Manager::Npm => matches!(self.does(), "install" | "i" | "add" | "ci"),
            Manager::Yarn => matches!(self.does(), "install" | "add" | "global"),
        }
    }

    /// It fetches lists of packages.
    pub(super) fn updates(&self) -> bool {
        match self.manager {
            Manager::Apt | Manager::AptGet | Manager::Apk => self.does() == "update",
            Manager::Zypper => matches!(self.does(), "refresh" | "ref"),
            _ => false,
        }
    }

    /// Where the call stands.
    pub(super) fn part(&self, from: usize) -> std::ops::Range<usize> {
        // Program and verb are what people look for.
        let start = self
            .command
            .program_word()
            .map_or(self.command.start, |word| word.start);
        from + start..from + self.verb.end
    }

    /// Some names of packages, for people.
    pub(super) fn names(words: &[&Word]) -> String {
        let mut names: Vec<&str> = words
            .iter()
            .take(3)
            .map(|word| word.value.as_str())
            .collect();
        if words.len() > 3 {
            names.push("…");
        }
        names.join(", ")
    }
}
