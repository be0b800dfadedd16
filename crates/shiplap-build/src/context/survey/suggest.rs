//! A proposal for an ignore file: what lies in the context that builds hardly ever need, each line
//! with what it saves today.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use shiplap_model::dockerfile::{Dockerfile as File, Kind, TransferSource};
use shiplap_model::expansion;
use shiplap_model::ignore::Patterns;
use shiplap_model::{path, units};

use super::walk::order;
use super::{Found, Survey, Tally};
use crate::context::entry::join;

/// What is proposed to be left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Its lines: one for all of the kind; or each of them, where the one would leave out something else, too.
    pub patterns: Vec<String>,
    /// What it is about.
    pub reason: &'static str,
    /// What it leaves out that is sent today.
    pub saves: Tally,
}

/// What builds hardly ever need. Of two lines for the same file the first one counts.
const KNOWN: [(&str, &str); 74] = [
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
    ("**/.git-credentials", "secrets"),
    ("**/.htpasswd", "secrets"),
    ("**/.pgpass", "secrets"),
    ("**/*.kdbx", "secrets"),
    ("**/credentials.json", "secrets"),
    ("**/service-account*.json", "secrets"),
    ("**/.aws", "secrets"),
    ("**/.azure", "secrets"),
    ("**/.gnupg", "secrets"),
    ("**/.kube", "secrets"),
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
    ("**/mlruns", "made by running"),
    ("**/wandb", "made by running"),
    ("**/lightning_logs", "made by running"),
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

/// From this size on something is worth a question.
const HEAVY_BYTES: u64 = 1_000_000;

/// Files for programs' environments, and samples of them.
const ENVIRONMENTS: &str = "**/.env.*";

/// What a line would leave out.
#[derive(Debug, Clone, Default)]
struct Heap<'h> {
    /// All of it.
    tally: Tally,
    /// What is of its kind: files, and directories without what is in them.
    tops: Vec<&'h [u8]>,
    /// What its pattern matches, though it is no secret.
    samples: Vec<&'h [u8]>,
    /// Its pattern would leave out something that is to stay.
    spares: bool,
}

impl Heap<'_> {
    fn lines(&self, pattern: &str) -> Vec<String> {
        if self.spares {
            return self.tops.iter().map(|path| exactly(path)).collect();
        }
        let samples = self
            .samples
            .iter()
            .map(|path| format!("!{}", exactly(path)));
        std::iter::once(pattern.to_owned()).chain(samples).collect()
    }
}

/// A pattern that matches this path alone.
fn exactly(path: &[u8]) -> String {
    let mut pattern = String::new();
    for char in String::from_utf8_lossy(path).chars() {
        let is_special = matches!(char, '*' | '?' | '[' | '\\');
        if is_special || pattern.is_empty() && matches!(char, '#' | '!') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern
}

impl Survey {
    /// Lines that would leave out what is sent today, in the order of an ignore file. What the Dockerfile
    /// copies by its name stays.
    #[must_use]
    pub fn suggest(&self) -> Vec<Suggestion> {
        let wanted = self.copied();
        let named = self.named(&wanted);
        let known: Vec<(&'static str, &'static str, Patterns)> = KNOWN
            .into_iter()
            .chain([OWN])
            .filter_map(|(text, reason)| Some((text, reason, Patterns::new([text]).ok()?)))
            .collect();
        let mut heaps = vec![Heap::default(); known.len()];
        // What is copied by its name may be not there yet.
        for (heap, (.., patterns)) in heaps.iter_mut().zip(&known) {
            heap.spares |= wanted.iter().any(|path| patterns.excludes(fixed(path).0));
        }
        // Entries are in order, so what lies in a directory follows it.
        let mut within: Option<(&[u8], usize)> = None;
        for found in self.entries.iter().filter(|found| !found.is_out) {
            if let Some((_, number)) = within.filter(|(top, _)| is_below(&found.path, top)) {
                if let Some(heap) = heaps.get_mut(number) {
                    heap.tally.add(found);
                }
                continue;
            }
            if !may_match(path::split(&found.path).1) {
                continue;
            }
            let is_wanted = wanted.iter().any(|path| touches(path, &found.path))
                || named.iter().any(|path| is_below(path, &found.path));
            let number = { known.iter() }
                .position(|(text, _, patterns)| self.is_it(found, text, patterns))
                .filter(|_| !is_wanted);
            let Some(number) = number else {
                for (heap, (text, _, patterns)) in heaps.iter_mut().zip(&known) {
                    if patterns.excludes(&found.path) {
                        let is_sample = *text == ENVIRONMENTS && is_sample(&found.path);
                        match is_sample {
                            true => heap.samples.push(&found.path),
                            false => heap.spares = true,
                        }
                    }
                }
                continue;
            };
            if found.is_directory {
                within = Some((&found.path, number));
            }
            if let Some(heap) = heaps.get_mut(number) {
                heap.tally.add(found);
                heap.tops.push(&found.path);
            }
        }
        let lines = { known.into_iter().zip(heaps) }.filter(|(_, heap)| !heap.tops.is_empty());
        lines
            .map(|((pattern, reason, _), heap)| Suggestion {
                patterns: heap.lines(pattern),
                reason,
                saves: heap.tally,
            })
            .collect()
    }

    /// What weighs most of what these lines leave, and nobody names: whether an image needs it, people know. At
    /// most three names of the context's root, directories with `/` behind.
    #[must_use]
    pub fn heavy(&self, lines: &[Suggestion]) -> Vec<(Vec<u8>, Tally)> {
        let patterns = lines.iter().flat_map(|line| &line.patterns);
        let Ok(patterns) = Patterns::new(patterns.map(String::as_bytes)) else {
            return Vec::new();
        };
        let wanted = self.copied();
        let named = self.named(&wanted);
        let mut sums: BTreeMap<Vec<u8>, Tally> = BTreeMap::new();
        for found in self.entries.iter().filter(|found| !found.is_out) {
            let top = found.path.split(|byte| *byte == b'/').next();
            let top = top.unwrap_or_default();
            let is_wanted = wanted.iter().any(|path| touches(path, top))
                || named.iter().any(|path| *path == top || is_below(path, top));
            if !is_wanted && !patterns.excludes(&found.path) {
                let is_directory = found.is_directory || top.len() < found.path.len();
                let end: &[u8] = if is_directory { b"/" } else { b"" };
                sums.entry([top, end].concat()).or_default().add(found);
            }
        }
        let all: u64 = sums.values().map(|tally| tally.size_bytes).sum();
        let is_heavy =
            |tally: &Tally| tally.size_bytes >= HEAVY_BYTES && tally.size_bytes >= all / 10;
        let mut heavy: Vec<(Vec<u8>, Tally)> = sums
            .into_iter()
            .filter(|(_, tally)| is_heavy(tally))
            .collect();
        heavy.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.size_bytes));
        heavy.truncate(3);
        heavy
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
            "**/coverage" => {
                let signs = [
                    "package.json",
                    "pyproject.toml",
                    "setup.py",
                    "go.mod",
                    "composer.json",
                ];
                found.is_directory && signs.into_iter().any(beside)
            }
            "**/logs" | "**/tmp" => found.is_directory && !self.has_sources(path),
            "**/.cache" => found.is_directory,
            ENVIRONMENTS => !is_sample(path),
            "**/*.pem" | "**/*.key" => !found.is_directory,
            "**/*Dockerfile*" => {
                !found.is_directory
                    && (name.starts_with(b"Dockerfile") || name.ends_with(b".Dockerfile"))
            }
            _ => true,
        }
    }

    /// Something is in a directory that people write as a program.
    fn has_sources(&self, directory: &[u8]) -> bool {
        const ENDS: [&[u8]; 16] = [
            b".c", b".cc", b".cpp", b".cs", b".go", b".h", b".java", b".js", b".jsx", b".kt",
            b".php", b".py", b".rb", b".rs", b".ts", b".tsx",
        ];
        let start = self
            .entries
            .partition_point(|found| order(&found.path, directory).is_lt());
        let own = self.entries.get(start..).unwrap_or_default().iter().skip(1);
        { own.take_while(|found| is_below(&found.path, directory)) }
            .any(|found| !found.is_directory && ENDS.iter().any(|end| found.path.ends_with(end)))
    }

    fn has(&self, path: &[u8]) -> bool {
        let found = self
            .entries
            .binary_search_by(|found| order(&found.path, path));
        found.is_ok()
    }

    /// What is there of paths with wildcards.
    fn named(&self, wanted: &[Vec<u8>]) -> Vec<&[u8]> {
        let wild = wanted.iter().filter(|path| fixed(path).1);
        let patterns: Vec<Patterns> = wild.filter_map(|path| Patterns::new([path]).ok()).collect();
        let is_named = |found: &&Found| patterns.iter().any(|own| own.excludes(&found.path));
        { self.entries.iter() }
            .filter(is_named)
            .map(|found| found.path.as_slice())
            .collect()
    }

    /// A path with what its variables are in the Dockerfile; what they are not there may be anything.
    fn expanded(&self, path: String) -> String {
        let Some(file) = self.dockerfile.as_ref().map(|reading| &reading.file) else {
            return path;
        };
        let lookup = |name: &str| Some(value_of(file, name).unwrap_or("*"));
        match expansion::expand(&path, &lookup, file.escape) {
            Ok(expanded) => expanded.text,
            Err(_) => path,
        }
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
        let expanded = paths.into_iter().map(|path| self.expanded(path));
        let clean = expanded.map(|path| path::beneath(path.as_bytes()));
        clean
            .filter(|path| !path.is_empty() && path != b".")
            .collect()
    }
}

/// The value that a Dockerfile gives a variable last.
fn value_of<'f>(file: &'f File, name: &str) -> Option<&'f str> {
    let own = file.stages.iter().flat_map(|stage| &stage.instructions);
    let mut values =
        file.global_args
            .iter()
            .chain(own)
            .filter_map(|instruction| match &instruction.kind {
                Kind::Arg(args) => {
                    let arg = args.iter().find(|arg| arg.name == name)?;
                    arg.default.as_deref()
                }
                Kind::Env(pairs) => {
                    Some(pairs.iter().find(|pair| pair.name == name)?.value.as_str())
                }
                _ => None,
            });
    values.next_back()
}

/// Most names begin with nothing that a line is about; they are not asked further.
fn may_match(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 15] = [
        b".json",
        b".kdbx",
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
    const NAMES: [&[u8]; 15] = [
        b"mlruns",
        b"wandb",
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
        b"lightning_logs",
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

/// A sample of an environment, which is to be filled in.
fn is_sample(path: &[u8]) -> bool {
    const SAMPLES: [&[u8]; 4] = [
        b".env.example",
        b".env.sample",
        b".env.template",
        b".env.dist",
    ];
    SAMPLES.contains(&path::split(path).1)
}

/// The part of a path before its first wildcard, as far as it names a directory or is all of the path; and
/// whether there is one.
fn fixed(wanted: &[u8]) -> (&[u8], bool) {
    let is_wild = |byte: &u8| matches!(byte, b'*' | b'?' | b'[');
    let Some(first) = wanted.iter().position(is_wild) else {
        return (wanted, false);
    };
    let before = wanted.get(..first).unwrap_or_default();
    let slash = before.iter().rposition(|byte| *byte == b'/');
    let directory = slash.and_then(|at| before.get(..at));
    (directory.unwrap_or_default(), true)
}

/// Whether leaving `path` out would leave out something of `wanted`, which may have wildcards.
fn touches(wanted: &[u8], path: &[u8]) -> bool {
    let (directory, is_pattern) = fixed(wanted);
    let matches = |pattern: &[u8]| Patterns::new([pattern]).is_ok_and(|own| own.excludes(path));
    (is_pattern && matches(wanted)) || directory == path || is_below(directory, path)
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
        let _ = match line.saves.files {
            0 => Ok(()),
            1 => writeln!(text, "# {size} in 1 file"),
            count => writeln!(text, "# {size} in {count} files"),
        };
        let _ = writeln!(text, "{}", line.patterns.join("\n"));
    }
    text
}
