//! A proposal for an ignore file: what lies in the context that builds hardly ever need, each line
//! with what it saves today.

use std::fmt::Write as _;

use shiplap_model::dockerfile::{Kind, TransferSource};
use shiplap_model::ignore::Patterns;
use shiplap_model::{path, units};

use super::walk::order;
use super::{Found, Survey, Tally};
use crate::context::entry::join;

/// A line that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The pattern.
    pub pattern: &'static str,
    /// What it is about.
    pub reason: &'static str,
    /// What it leaves out that is sent today.
    pub saves: Tally,
}

/// What builds hardly ever need. Of two lines for the same file the first one counts.
const KNOWN: [(&str, &str); 62] = [
    ("**/.git", "version control"),
    ("**/.svn", "version control"),
    ("**/.hg", "version control"),
    ("**/.gitignore", "version control"),
    ("**/.gitattributes", "version control"),
    ("**/.gitmodules", "version control"),
    ("**/.env", "secrets"),
    ("**/.env.*", "secrets"),
    ("**/*.pem", "secrets"),
    ("**/*.key", "secrets"),
    ("**/*.p12", "secrets"),
    ("**/*.pfx", "secrets"),
    ("**/id_rsa*", "secrets"),
    ("**/id_ed25519*", "secrets"),
    ("**/.netrc", "secrets"),
    ("**/.npmrc", "secrets"),
    ("**/.pypirc", "secrets"),
    ("**/.aws", "secrets"),
    ("**/.ssh", "secrets"),
    ("**/node_modules", "installed packages"),
    ("**/bower_components", "installed packages"),
    ("**/.venv", "installed packages"),
    ("**/venv", "installed packages"),
    ("**/.bundle", "installed packages"),
    ("**/__pycache__", "made by running"),
    ("**/*.pyc", "made by running"),
    ("**/.pytest_cache", "made by running"),
    ("**/.mypy_cache", "made by running"),
    ("**/.ruff_cache", "made by running"),
    ("**/.tox", "made by running"),
    ("**/.nox", "made by running"),
    ("**/.ipynb_checkpoints", "made by running"),
    ("**/*.egg-info", "made by running"),
    ("**/.coverage", "made by running"),
    ("**/htmlcov", "made by running"),
    ("**/coverage", "made by running"),
    ("**/.nyc_output", "made by running"),
    ("**/.cache", "made by running"),
    ("**/target", "built"),
    ("**/dist", "built"),
    ("**/build", "built"),
    ("**/out", "built"),
    ("**/.next", "built"),
    ("**/.nuxt", "built"),
    ("**/.gradle", "built"),
    ("**/*.o", "built"),
    ("**/.terraform", "state of tools"),
    ("**/*.tfstate*", "state of tools"),
    ("**/*.log", "logs and leftovers"),
    ("**/logs", "logs and leftovers"),
    ("**/tmp", "logs and leftovers"),
    ("**/*.swp", "logs and leftovers"),
    ("**/*~", "logs and leftovers"),
    ("**/.DS_Store", "logs and leftovers"),
    ("**/Thumbs.db", "logs and leftovers"),
    ("**/.idea", "editors"),
    ("**/.vscode", "editors"),
    ("**/.github", "how it is built"),
    ("**/.gitlab-ci.yml", "how it is built"),
    ("**/compose*.y*ml", "how it is built"),
    ("**/docker-compose*.y*ml", "how it is built"),
    ("**/*Dockerfile*", "how it is built"),
];

/// The ignore file itself: it is read before anything is sent.
const OWN: (&str, &str) = (".dockerignore", "how it is built");

impl Survey {
    /// Lines that would leave out what is sent today, in the order of an ignore file. What the Dockerfile
    /// copies by its name stays.
    #[must_use]
    pub fn suggest(&self) -> Vec<Suggestion> {
        let wanted = self.copied();
        let known: Vec<(&'static str, &'static str, Patterns)> = KNOWN
            .into_iter()
            .chain([OWN])
            .filter_map(|(text, reason)| Some((text, reason, Patterns::new([text]).ok()?)))
            .collect();
        let mut saves = vec![(Tally::default(), false); known.len()];
        // Entries are in order, so what lies in a directory follows it.
        let mut within: Option<(&[u8], usize)> = None;
        for found in self.entries.iter().filter(|found| !found.is_out) {
            let by_directory = within.filter(|(directory, _)| is_below(&found.path, directory));
            let number = match by_directory {
                Some((_, number)) => Some(number),
                None => {
                    let name = found
                        .path
                        .rsplit(|byte| *byte == b'/')
                        .next()
                        .unwrap_or_default();
                    let number = may_match(name)
                        .then(|| {
                            known
                                .iter()
                                .position(|(text, _, patterns)| self.is_it(found, text, patterns))
                        })
                        .flatten();
                    number.filter(|_| !wanted.iter().any(|path| touches(path, &found.path)))
                }
            };
            let Some(number) = number else {
                continue;
            };
            if found.is_directory && by_directory.is_none() {
                within = Some((&found.path, number));
            }
            if let Some((tally, is_used)) = saves.get_mut(number) {
                tally.add(found);
                *is_used = true;
            }
        }
        let lines = known
            .into_iter()
            .zip(saves)
            .filter(|(_, (_, is_used))| *is_used);
        lines
            .map(|((pattern, reason, _), (saves, _))| Suggestion {
                pattern,
                reason,
                saves,
            })
            .collect()
    }

    /// Whether something is what a line is about; names that may mean anything need a sign.
    fn is_it(&self, found: &Found, text: &str, patterns: &Patterns) -> bool {
        let path = found.path.as_slice();
        if !patterns
            .as_slice()
            .iter()
            .any(|pattern| pattern.matches(path))
        {
            return false;
        }
        let (parent, name) = path::split(path);
        let beside = |name: &str| self.has(&join(parent, name.as_bytes()));
        let within = |name: &str| self.has(&join(path, name.as_bytes()));
        match text {
            "**/target" => {
                found.is_directory
                    && (beside("Cargo.toml") || beside("pom.xml") || beside("build.sbt"))
            }
            "**/venv" => found.is_directory && within("pyvenv.cfg"),
            "**/dist" | "**/build" | "**/out" => {
                let signs = [
                    "package.json",
                    "setup.py",
                    "pyproject.toml",
                    "build.gradle",
                    "build.gradle.kts",
                    "CMakeLists.txt",
                ];
                found.is_directory && signs.into_iter().any(beside)
            }
            "**/coverage" | "**/logs" | "**/tmp" | "**/.cache" => found.is_directory,
            "**/.env.*" => !matches!(
                name,
                b".env.example" | b".env.sample" | b".env.template" | b".env.dist"
            ),
            "**/*.pem" | "**/*.key" => !found.is_directory,
            "**/*Dockerfile*" => {
                !found.is_directory
                    && (name.starts_with(b"Dockerfile") || name.ends_with(b".Dockerfile"))
            }
            _ => true,
        }
    }

    fn has(&self, path: &[u8]) -> bool {
        let found = self
            .entries
            .binary_search_by(|found| order(&found.path, path));
        found.is_ok()
    }

    /// Paths that the Dockerfile takes from the context by their names.
    fn copied(&self) -> Vec<Vec<u8>> {
        let stages = self
            .dockerfile
            .iter()
            .flat_map(|reading| &reading.file.stages);
        let mut paths = Vec::new();
        for instruction in stages.flat_map(|stage| &stage.instructions) {
            match &instruction.kind {
                Kind::Copy(transfer) | Kind::Add(transfer) if transfer.from.is_none() => {
                    for source in &transfer.sources {
                        if let TransferSource::Path(path) = source {
                            paths.push(path.clone());
                        }
                    }
                }
                Kind::Run(run) => {
                    let mounts = run.mounts.iter().filter(|mount| mount.from.is_none());
                    paths.extend(mounts.filter_map(|mount| mount.source.clone()));
                }
                _ => {}
            }
        }
        let clean = paths.into_iter().map(|path| path::beneath(path.as_bytes()));
        clean
            .filter(|path| !path.is_empty() && path != b".")
            .collect()
    }
}

/// Most names begin with nothing that a line is about; they are not asked further.
fn may_match(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 13] = [
        b".pem",
        b".key",
        b".p12",
        b".pfx",
        b".pyc",
        b".egg-info",
        b".o",
        b".log",
        b".swp",
        b"~",
        b"ml",
        b".db",
        b"Dockerfile",
    ];
    const NAMES: [&[u8]; 13] = [
        b"node_modules",
        b"bower_components",
        b"venv",
        b"__pycache__",
        b"htmlcov",
        b"coverage",
        b"target",
        b"dist",
        b"build",
        b"out",
        b"logs",
        b"tmp",
        b"id_",
    ];
    name.starts_with(b".")
        || name.starts_with(b"id_")
        || name.starts_with(b"Dockerfile")
        || NAMES.contains(&name)
        || ENDS.iter().any(|end| name.ends_with(end))
        || name.windows(8).any(|part| part == b".tfstate")
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// Whether leaving `path` out would leave out something of `wanted`, which may have wildcards.
fn touches(wanted: &[u8], path: &[u8]) -> bool {
    let fixed = wanted
        .split(|byte| matches!(byte, b'*' | b'?' | b'['))
        .next()
        .unwrap_or_default();
    let is_pattern = fixed.len() < wanted.len();
    let directory = match is_pattern {
        true => fixed
            .iter()
            .rposition(|byte| *byte == b'/')
            .and_then(|at| fixed.get(..at))
            .unwrap_or_default(),
        false => wanted,
    };
    let matched =
        is_pattern && Patterns::new([wanted]).is_ok_and(|patterns| patterns.excludes(path));
    matched || directory == path || is_below(directory, path)
}

/// An ignore file of these lines.
#[must_use]
pub fn text(lines: &[Suggestion]) -> String {
    let mut text = String::new();
    let mut reason = "";
    for line in lines {
        if line.reason != reason {
            // A string takes whatever is written.
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}# {}", line.reason);
            reason = line.reason;
        }
        let size = units::human_size_with_digits(line.saves.size_bytes, 3);
        let files = match line.saves.files {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        let _ = writeln!(text, "# {size} in {files}\n{}", line.pattern);
    }
    text
}
