//! What to change so that an image gets smaller: the findings of one kind that one step made,
//! with the bytes that go, the step, and what to write instead. Best first.
//!
//! Nothing is estimated: a saving is the size of the very files that would not be there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::paths::{EntryId, Paths};
use super::rules::WasteKind;
use super::steps::Step;
use super::waste::Finding;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// What kind of waste it ends.
    pub kind: WasteKind,
    /// Whose waste it is: `apt`, `pip`, `compilers`, …
    pub tool: Option<&'static str>,
    /// Bytes that the image gets smaller by.
    pub saves_bytes: u64,
    /// Files that go.
    pub files: usize,
    /// Whether the image as it runs can't miss them.
    pub certain: bool,
    /// Number of the layer that holds the bytes; 0 is the base.
    pub layer: usize,
    /// The instruction that made that layer.
    pub made_by: String,
    /// Its line in the Dockerfile, if one was given.
    pub line: Option<u32>,
    /// Number of the layer that hides them.
    pub hidden_in_layer: Option<usize>,
    /// The instruction that made that one.
    pub hidden_by: Option<String>,
    /// Its line in the Dockerfile.
    pub hidden_line: Option<u32>,
    /// What to do.
    pub advice: String,
    /// What to write.
    pub instead: Option<String>,
    /// The largest of the files.
    pub paths: Vec<ProposedPath>,
}

/// A file that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProposedPath {
    /// Where it is, with leading slash.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where the same content stays, for duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twin: Option<String>,
}

/// Files that are named with a proposal.
const SHOWN_PATHS: usize = 10;

type Key = (WasteKind, Option<&'static str>, u16, Option<u16>);

/// Makes proposals of findings.
#[must_use]
pub fn proposals(paths: &Paths, findings: &[Finding], steps: &[Step]) -> Vec<Proposal> {
    let mut groups: BTreeMap<Key, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let key = (finding.kind, finding.tool, finding.layer, finding.by);
        groups.entry(key).or_default().push(finding);
    }
    let step_of = |layer: u16| {
        let is_it = |step: &&Step| step.layer == Some(layer.into());
        steps.iter().find(is_it)
    };
    let mut proposals: Vec<_> = groups
        .into_iter()
        .map(|((kind, tool, layer, by), mut group)| {
            let made = step_of(layer);
            let made_by = made.map_or("", |step| &step.instruction);
            let hidden = by.and_then(step_of);
            let hidden_by = hidden.map(|step| step.instruction.as_str());
            let written = Written {
                tool,
                made: made_by,
                hidden: hidden_by.unwrap_or(""),
            };
            let (advice, instead) = written.advice(kind, &owners(paths, &group));
            group.sort_by_key(|finding| (std::cmp::Reverse(finding.bytes), finding.entry));
            Proposal {
                kind,
                tool,
                saves_bytes: group.iter().map(|finding| finding.bytes).sum(),
                files: group.len(),
                certain: kind.is_certain(),
                layer: layer.into(),
                made_by: made_by.to_owned(),
                line: made.and_then(|step| step.line),
                hidden_in_layer: by.map(usize::from),
                hidden_by: hidden_by.map(str::to_owned),
                hidden_line: hidden.and_then(|step| step.line),
                advice,
                instead,
                paths: (group.iter().take(SHOWN_PATHS))
                    .map(|finding| shown(paths, finding))
                    .collect(),
            }
        })
        .collect();
    proposals.sort_by(|a, b| {
        let order = b.saves_bytes.cmp(&a.saves_bytes);
        order.then_with(|| (a.layer, a.kind, a.tool).cmp(&(b.layer, b.kind, b.tool)))
    });
    proposals
}

fn shown(paths: &Paths, finding: &Finding) -> ProposedPath {
    let path = |entry: EntryId| {
        let path = paths.full(paths.entry(entry).path);
        format!("/{}", String::from_utf8_lossy(&path))
    };
    let is_duplicate = finding.kind == WasteKind::Duplicate;
    ProposedPath {
        path: path(finding.entry),
        bytes: finding.bytes,
        twin: finding.twin.filter(|_| is_duplicate).map(path),
    }
}

/// How the copies of rewritten files differ from what they are copies of.
#[derive(Default)]
struct Differences {
    owner: BTreeSet<(u32, u32)>,
    mode: BTreeSet<u16>,
}

fn owners(paths: &Paths, group: &[&Finding]) -> Differences {
    let mut differences = Differences::default();
    for finding in group {
        let Some(twin) = finding.twin.map(|twin| paths.entry(twin)) else {
            continue;
        };
        let entry = paths.entry(finding.entry);
        if (entry.uid, entry.gid) != (twin.uid, twin.gid) {
            differences.owner.insert((twin.uid, twin.gid));
        }
        if entry.mode != twin.mode {
            differences.mode.insert(twin.mode);
        }
    }
    differences
}

/// What is known of who made it.
struct Written<'a> {
    tool: Option<&'static str>,
    made: &'a str,
    hidden: &'a str,
}

impl Written<'_> {
    fn is_copy(&self) -> bool {
        ["COPY ", "ADD "]
            .iter()
            .any(|word| self.made.starts_with(word))
    }

    fn advice(&self, kind: WasteKind, differences: &Differences) -> (String, Option<String>) {
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

#[cfg(test)]
mod tests;
