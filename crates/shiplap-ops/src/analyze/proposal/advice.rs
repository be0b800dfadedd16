//! What to do about waste, and what to write in the Dockerfile instead, by its kind and by who made it.

use super::super::rules::WasteKind;
use super::Differences;

/// What is known of who made it.
pub(super) struct Written<'a> {
    pub(super) tool: Option<&'static str>,
    pub(super) made: &'a str,
    pub(super) hidden: &'a str,
    /// The image below that brings it.
    pub(super) base: Option<&'a str>,
    /// A smaller form of that.
    pub(super) smaller: Option<&'a str>,
}

impl Written<'_> {
    fn is_copy(&self) -> bool {
        ["COPY ", "ADD "]
            .iter()
            .any(|word| self.made.starts_with(word))
    }

    /// What to do, and what to write instead.
    pub(super) fn advice(
        &self,
        kind: WasteKind,
        differences: &Differences,
    ) -> (String, Option<String>) {
        if let Some(base) = self.base {
            return self.of_base(kind, base);
        }
        match kind {
            WasteKind::Deleted => self.deleted(),
            WasteKind::Overwritten => self.overwritten(),
            WasteKind::Rewritten => self.rewritten(differences),
            WasteKind::PackageLists | WasteKind::LanguageCache => self.cache(),
            WasteKind::BuildTools => (
                format!(
                    "if only the build needs {}, build in a stage of its own and copy the result",
                    self.tool.unwrap_or("them")
                ),
                Some(
                    "FROM … AS build\nRUN … (compilers, headers, the build)\nFROM …-slim\nCOPY --from=build /app /app"
                        .to_owned(),
                ),
            ),
            WasteKind::Duplicate => (
                "keep one and link to it, or copy each file once".to_owned(),
                Some("RUN ln -f FIRST SECOND   # in the instruction that makes them".to_owned()),
            ),
            WasteKind::Log => (
                "remove logs in the instruction that writes them".to_owned(),
                Some(self.ended("find /var/log -type f -delete")),
            ),
            WasteKind::VersionControl => (
                "keep the repository's history out of the build context".to_owned(),
                Some("# .dockerignore\n**/.git".to_owned()),
            ),
            WasteKind::ByteCode => (
                "let Python compile when it runs; that start takes longer".to_owned(),
                Some("ENV PYTHONDONTWRITEBYTECODE=1\nRUN pip install --no-compile …".to_owned()),
            ),
            WasteKind::Temporary => (
                "remove temporary files in the instruction that makes them, or give it a /tmp of its own"
                    .to_owned(),
                Some(match self.is_copy() {
                    true => "# .dockerignore: what need not be copied".to_owned(),
                    false => format!("RUN --mount=type=tmpfs,target=/tmp {}", self.command()),
                }),
            ),
        }
    }

    fn of_base(&self, kind: WasteKind, base: &str) -> (String, Option<String>) {
        let hidden = word_of(self.hidden);
        match kind {
            WasteKind::BuildTools => (
                format!(
                    "the base brings {}: build on it in a stage of its own, and run on {}",
                    self.tool.unwrap_or("them"),
                    self.smaller.unwrap_or("a smaller one (-slim, -alpine)")
                ),
                Some(format!(
                    "FROM {base} AS build\n…\nFROM {}\nCOPY --from=build /app /app",
                    self.smaller.unwrap_or("SMALLER")
                )),
            ),
            WasteKind::Rewritten if !self.hidden.is_empty() => (
                format!(
                    "files of the base are copied whole when a {hidden} changes owner or mode: leave them out of it"
                ),
                None,
            ),
            _ if !self.hidden.is_empty() => (
                format!(
                    "files of the base stay, whatever a {hidden} does: take a base without them"
                ),
                None,
            ),
            _ => (
                "the base brings it: take a smaller or newer one, or rewrite the image (slim)"
                    .to_owned(),
                None,
            ),
        }
    }

    fn deleted(&self) -> (String, Option<String>) {
        if self.is_copy() {
            return (
                "a layer keeps what a later one deletes: don't copy it, or mount it where it is needed"
                    .to_owned(),
                Some(format!(
                    "RUN --mount=type=bind,source=SOURCE,target=TARGET {}",
                    command_of(self.hidden)
                )),
            );
        }
        (
            "a layer keeps what a later one deletes: delete in the instruction that makes the files"
                .to_owned(),
            self.joined(),
        )
    }

    fn overwritten(&self) -> (String, Option<String>) {
        let advice = "both versions are kept: write the files once, or in one instruction";
        let instead = if self.is_copy() { None } else { self.joined() };
        (advice.to_owned(), instead)
    }

    fn rewritten(&self, differences: &Differences) -> (String, Option<String>) {
        let mut flags = Vec::new();
        if let Some((uid, gid)) = differences.owner.first() {
            let is_one = differences.owner.len() == 1;
            flags.push(match is_one {
                true => format!("--chown={uid}:{gid}"),
                false => "--chown=USER:GROUP".to_owned(),
            });
        }
        if let Some(mode) = differences.mode.first() {
            flags.push(match differences.mode.len() {
                1 => format!("--chmod={mode:o}"),
                _ => "--chmod=MODE".to_owned(),
            });
        }
        if flags.is_empty() {
            let advice = "the same bytes are kept twice: write the files in one instruction only";
            return (advice.to_owned(), None);
        }
        match self.made.split_once(' ') {
            Some((word @ ("COPY" | "ADD"), rest)) => (
                format!("set owner and mode where the files are copied, not in a later {}", word_of(self.hidden)),
                Some(format!("{word} {} {rest}", flags.join(" "))),
            ),
            _ => (
                "set owner and mode in the instruction that makes the files: a change in a later one copies them"
                    .to_owned(),
                self.joined(),
            ),
        }
    }

    fn cache(&self) -> (String, Option<String>) {
        let tool = self.tool.unwrap_or_default();
        let (clean, mounts) = clean_up(tool);
        let advice = format!("keep what {tool} leaves for the next time out of the layer");
        let mut instead = Vec::new();
        if !clean.is_empty() {
            instead.push(match clean.strip_prefix('+') {
                Some(flag) => format!("RUN {flag}"),
                None => self.ended(clean),
            });
        }
        if !mounts.is_empty() {
            let mounts: Vec<_> = mounts
                .iter()
                .map(|target| format!("--mount=type=cache,target={target}"))
                .collect();
            instead.push(format!("RUN {} {}", mounts.join(" "), self.command()));
        }
        (
            advice,
            Some(instead.join("\nor\n")).filter(|text| !text.is_empty()),
        )
    }

    /// The instruction with one more command at its end.
    fn ended(&self, command: &str) -> String {
        format!("RUN {} && {command}", self.command())
    }

    /// Both instructions as one.
    fn joined(&self) -> Option<String> {
        let is_run = |text: &str| text.starts_with("RUN ");
        let both = is_run(self.made) && is_run(self.hidden);
        both.then(|| format!("RUN {} && {}", self.command(), command_of(self.hidden)))
    }

    fn command(&self) -> &str {
        command_of(self.made)
    }
}

/// The command of a `RUN`, or what stands for one.
fn command_of(instruction: &str) -> &str {
    match instruction.strip_prefix("RUN ") {
        Some(command) => command.trim(),
        None => "…",
    }
}

fn word_of(instruction: &str) -> &str {
    instruction
        .split_whitespace()
        .next()
        .unwrap_or("instruction")
}

/// How a tool's cache is cleared (after a `+`, how it is not filled), and where to mount one.
fn clean_up(tool: &str) -> (&'static str, &'static [&'static str]) {
    match tool {
        "apt" => (
            "apt-get clean && rm -rf /var/lib/apt/lists/*",
            &[
                "/var/cache/apt,sharing=locked",
                "/var/lib/apt,sharing=locked",
            ],
        ),
        "apk" => ("+apk add --no-cache …", &["/var/cache/apk"]),
        "dnf" => ("dnf clean all", &["/var/cache/dnf", "/var/cache/libdnf5"]),
        "yum" => ("yum clean all", &["/var/cache/yum"]),
        "zypper" => ("zypper clean --all", &["/var/cache/zypp"]),
        "pacman" => ("pacman -Scc --noconfirm", &["/var/cache/pacman/pkg"]),
        "pip" => ("+pip install --no-cache-dir …", &["/root/.cache/pip"]),
        "uv" => ("+uv pip install --no-cache …", &["/root/.cache/uv"]),
        "poetry" => ("rm -rf ~/.cache/pypoetry", &["/root/.cache/pypoetry"]),
        "pipenv" => ("rm -rf ~/.cache/pipenv", &["/root/.cache/pipenv"]),
        "npm" => ("npm cache clean --force", &["/root/.npm"]),
        "yarn" => ("yarn cache clean", &["/usr/local/share/.cache"]),
        "pnpm" => ("pnpm store prune", &["/root/.local/share/pnpm/store"]),
        "bun" => ("rm -rf ~/.bun/install/cache", &["/root/.bun/install/cache"]),
        "conda" => ("conda clean -afy", &[]),
        "cargo" => (
            "rm -rf \"$CARGO_HOME/registry\" \"$CARGO_HOME/git\"",
            &["/usr/local/cargo/registry", "/usr/local/cargo/git"],
        ),
        "go" => (
            "go clean -cache -modcache",
            &["/root/.cache/go-build", "/go/pkg/mod"],
        ),
        "maven" => ("rm -rf ~/.m2/repository", &["/root/.m2"]),
        "gradle" => ("rm -rf ~/.gradle/caches", &["/root/.gradle"]),
        "composer" => ("composer clear-cache", &["/root/.composer/cache"]),
        "gem" => ("rm -rf /usr/local/bundle/cache", &[]),
        "nuget" => (
            "dotnet nuget locals all --clear",
            &["/root/.nuget/packages"],
        ),
        "ccache" => ("ccache -C", &["/root/.cache/ccache"]),
        _ => ("", &[]),
    }
}
