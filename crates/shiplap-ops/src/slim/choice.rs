//! What goes and what stays: the user's wishes, and the plan that they and the waste that was found come to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use shiplap_layer::stack::{Facts, StackError, Xattrs};
use shiplap_model::ignore::{IgnoreError, Patterns};

use super::{KeptBecause, Saving, SlimError, SlimOptions, marking};
use crate::analyze::paths::{EntryId, PathId, Paths};
use crate::analyze::rules::WasteKind;
use crate::analyze::waste::Finding;
use crate::snapshot::OpenLayers;

/// A kind of files that may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One that is known as waste.
    Waste(WasteKind),
    /// Documentation and manuals, but for licences.
    Docs,
    /// Translations of messages.
    Locales,
}

/// Files that are the same.
const DUPLICATE: Kind = Kind::Waste(WasteKind::Duplicate);

/// A wish: a kind by its name, or a pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// All of a kind.
    Kind(Kind),
    /// What the pattern means, and all below it.
    Paths(String),
}

/// A wish that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// A word that is no kind and no path.
    #[error(
        "understand {word:?}: it is no pattern of paths (those have a slash or a *), and no kind; there are {}",
        Kind::names()
    )]
    Unknown {
        /// The word.
        word: String,
    },
    /// A pattern that can't be read.
    #[error("understand {word:?}: {source}")]
    Pattern {
        /// The pattern.
        word: String,
        /// Why.
        source: IgnoreError,
    },
}

impl Kind {
    const ALL: [(&str, Self); 10] = [
        ("package-lists", Self::Waste(WasteKind::PackageLists)),
        ("language-cache", Self::Waste(WasteKind::LanguageCache)),
        ("log", Self::Waste(WasteKind::Log)),
        ("temporary", Self::Waste(WasteKind::Temporary)),
        ("version-control", Self::Waste(WasteKind::VersionControl)),
        ("duplicate", Self::Waste(WasteKind::Duplicate)),
        ("build-tools", Self::Waste(WasteKind::BuildTools)),
        ("pycache", Self::Waste(WasteKind::ByteCode)),
        ("docs", Self::Docs),
        ("locales", Self::Locales),
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, kind)| *kind == self);
        match (known, self) {
            (Some((name, _)), _) => name,
            (None, Self::Waste(kind)) => kind.name(),
            (None, Self::Docs | Self::Locales) => "",
        }
    }

    /// All names, as a sentence has them.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }

    /// Whether it goes without being asked for.
    pub(super) fn is_default(self) -> bool {
        matches!(self, Self::Waste(kind) if kind.is_certain() || kind == WasteKind::Duplicate)
    }
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(word: &str) -> Result<Self, ChoiceError> {
        if let Some((_, kind)) = Kind::ALL.iter().find(|(name, _)| *name == word) {
            return Ok(Self::Kind(*kind));
        }
        if !word.contains(['/', '*']) || word.starts_with('!') {
            let word = word.to_owned();
            return Err(ChoiceError::Unknown { word });
        }
        match Patterns::new([word.trim_start_matches('/')]) {
            Ok(_) => Ok(Self::Paths(word.to_owned())),
            Err(source) => Err(ChoiceError::Pattern {
                word: word.to_owned(),
                source,
            }),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => f.write_str(kind.name()),
            Self::Paths(pattern) => f.write_str(pattern),
        }
    }
}

/// The wishes, made ready.
pub(super) struct Wishes {
    pub(super) kinds: HashSet<Kind>,
    pub(super) drop: Patterns,
    pub(super) keep: Patterns,
}

impl Wishes {
    fn new(options: &SlimOptions) -> Result<Self, ChoiceError> {
        let mut kinds: HashSet<Kind> = Kind::ALL.iter().map(|(_, kind)| *kind).collect();
        kinds.retain(|kind| kind.is_default());
        kinds.extend(options.drop.iter().filter_map(Choice::kind));
        for kind in options.keep.iter().filter_map(Choice::kind) {
            kinds.remove(&kind);
        }
        Ok(Self {
            kinds,
            drop: patterns(&options.drop)?,
            keep: patterns(&options.keep)?,
        })
    }

    pub(super) fn wants(&self, kind: WasteKind) -> bool {
        self.kinds.contains(&Kind::Waste(kind))
    }
}

impl Choice {
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Kind(kind) => Some(*kind),
            Self::Paths(_) => None,
        }
    }
}

fn patterns(choices: &[Choice]) -> Result<Patterns, ChoiceError> {
    let words: Vec<&str> = choices
        .iter()
        .filter_map(|choice| match choice {
            Choice::Paths(pattern) => Some(pattern.trim_start_matches('/')),
            Choice::Kind(_) => None,
        })
        .collect();
    let word = words.join(", ");
    Patterns::new(words).map_err(|source| ChoiceError::Pattern { word, source })
}

/// Why something goes: a number in the plan's list of reasons.
pub(super) type Reason = usize;

/// What goes, entry by entry.
pub(super) struct Plan {
    reasons: Vec<String>,
    /// Reasons that were asked for by the user.
    pub(super) asked: HashSet<Reason>,
    /// Layers with something that was asked for: files without bytes, links and directories count, too.
    pub(super) asked_layers: HashSet<usize>,
    /// Entries of the image as it runs that go, each name of a file by itself.
    pub(super) gone: HashMap<EntryId, Reason>,
    /// Directories that go with all that was in them.
    pub(super) directories: HashSet<PathId>,
    /// Files that become links to another of their layer, which is the same.
    links: HashMap<EntryId, EntryId>,
    /// Files that others become links to.
    firsts: HashSet<EntryId>,
    /// Files whose bytes go.
    items: Vec<Item>,
}

/// A file whose bytes go.
struct Item {
    entry: EntryId,
    layer: usize,
    reason: Reason,
    bytes: u64,
}

impl Plan {
    /// Decides for all layers.
    pub(super) fn new(
        paths: &Paths,
        open: &OpenLayers,
        findings: &[Finding],
        options: &SlimOptions,
    ) -> Result<Self, SlimError> {
        let wishes = Wishes::new(options)?;
        let mut plan = Self {
            reasons: Vec::new(),
            asked: HashSet::new(),
            asked_layers: HashSet::new(),
            gone: HashMap::new(),
            directories: HashSet::new(),
            links: HashMap::new(),
            firsts: HashSet::new(),
            items: Vec::new(),
        };
        marking::mark(&mut plan, paths, &wishes, &options.drop, findings);
        plan.count(paths, findings);
        if wishes.wants(WasteKind::Duplicate) {
            let is_asked = options
                .drop
                .iter()
                .any(|choice| choice.kind() == Some(DUPLICATE));
            plan.link(paths, open, findings, is_asked)?;
        }
        Ok(plan)
    }

    /// The reason of a kind.
    pub(super) fn kind(&mut self, kind: Kind, is_asked: bool) -> Reason {
        let reason = self.reason(kind.name());
        if is_asked {
            self.asked.insert(reason);
        }
        reason
    }

    pub(super) fn reason(&mut self, words: &str) -> Reason {
        let known = self.reasons.iter().position(|known| known == words);
        known.unwrap_or_else(|| {
            self.reasons.push(words.to_owned());
            self.reasons.len() - 1
        })
    }

    /// Finds the files whose bytes go: those that nobody sees, and those of which each name goes.
    fn count(&mut self, paths: &Paths, findings: &[Finding]) {
        for finding in findings.iter().filter(|finding| finding.by.is_some()) {
            let reason = self.reason(finding.kind.name());
            self.items.push(Item {
                entry: finding.entry,
                layer: finding.layer.into(),
                reason,
                bytes: finding.bytes,
            });
        }
        for (id, entry) in paths.entries() {
            let is_asked = |id| {
                self.gone
                    .get(id)
                    .is_some_and(|why| self.asked.contains(why))
            };
            if entry.own_bytes == 0 && (paths.first(id) != id || !is_asked(&id)) {
                continue;
            }
            let mut live = paths
                .names_of(id)
                .filter(|name| paths.entry(*name).is_live())
                .map(|name| self.gone.get(&name).copied())
                .peekable();
            let Some(Some(reason)) = live.peek().copied() else {
                continue;
            };
            if live.all(|reason| reason.is_some()) {
                self.items.push(Item {
                    entry: id,
                    layer: entry.layer.into(),
                    reason,
                    bytes: entry.own_bytes,
                });
            }
        }
    }

    /// Makes files of one layer that are the same one file: those that can't be told apart, where files are not
    /// written in place; if they were asked for, all with the same rights.
    fn link(
        &mut self,
        paths: &Paths,
        open: &OpenLayers,
        findings: &[Finding],
        is_asked: bool,
    ) -> Result<(), SlimError> {
        let mut groups: BTreeMap<EntryId, Vec<EntryId>> = BTreeMap::new();
        for finding in findings {
            if let (WasteKind::Duplicate, Some(twin)) = (finding.kind, finding.twin) {
                groups.entry(twin).or_insert(vec![twin]).push(finding.entry);
            }
        }
        for group in groups.values() {
            let mut same: HashMap<Face, EntryId> = HashMap::new();
            for id in group {
                let Some(name) = self.staying_name(paths, *id) else {
                    continue;
                };
                let path = paths.full(paths.entry(name).path);
                if !is_asked && is_written(&path) {
                    continue;
                }
                let face = Face::of(open, &path, is_asked)?;
                let first = *same.entry(face).or_insert(*id);
                if first == *id {
                    continue;
                }
                let reason = self.kind(DUPLICATE, is_asked);
                let entry = paths.entry(*id);
                if is_asked {
                    self.asked_layers.insert(entry.layer.into());
                }
                self.links.insert(*id, first);
                self.firsts.insert(first);
                self.items.push(Item {
                    entry: *id,
                    layer: entry.layer.into(),
                    reason,
                    bytes: entry.own_bytes,
                });
            }
        }
        Ok(())
    }

    /// A name of the file, in its own layer, that stays.
    fn staying_name(&self, paths: &Paths, file: EntryId) -> Option<EntryId> {
        let layer = paths.entry(file).layer;
        paths.names_of(file).find(|name| {
            let entry = paths.entry(*name);
            entry.layer == layer && entry.is_live() && !self.gone.contains_key(name)
        })
    }

    /// Bytes that go from a layer.
    pub(super) fn gone_bytes(&self, layer: usize) -> u64 {
        let items = self.items.iter().filter(|item| item.layer == layer);
        items.map(|item| item.bytes).sum()
    }

    /// Whether the user asked for something that goes from the layer.
    pub(super) fn is_asked(&self, layer: usize) -> bool {
        self.asked_layers.contains(&layer)
    }

    /// Patterns of the user's that nothing goes for.
    pub(super) fn idle(&self, drop: &[Choice]) -> Vec<String> {
        let is_idle = |pattern: &&str| {
            let read = Patterns::new([pattern.trim_start_matches('/')]).unwrap_or_default();
            let mut read = read.as_slice().iter();
            let is_reason = |words: &[u8]| self.reasons.iter().any(|why| why.as_bytes() == words);
            !read.any(|pattern| is_reason(pattern.as_bytes()))
        };
        let patterns = drop.iter().filter_map(|choice| match choice {
            Choice::Paths(pattern) => Some(pattern.as_str()),
            Choice::Kind(_) => None,
        });
        patterns.filter(is_idle).map(str::to_owned).collect()
    }

    /// Leaves alone what is in layers that stay as they are.
    pub(super) fn leave(&mut self, paths: &Paths, kept: &[Option<KeptBecause>]) {
        let stays = |layer: u16| kept.get(usize::from(layer)).is_some_and(Option::is_some);
        self.gone.retain(|id, _| !stays(paths.entry(*id).layer));
        let gone = &self.gone;
        let links = &mut self.links;
        links.retain(|id, _| !stays(paths.entry(*id).layer));
        self.items.retain(|item| {
            let is_gone = |name: EntryId| !paths.entry(name).is_live() || gone.contains_key(&name);
            !stays(paths.entry(item.entry).layer)
                && (links.contains_key(&item.entry) || paths.names_of(item.entry).all(is_gone))
        });
        // A directory stays with whatever stays in it, or if a layer that stays has it.
        let mut staying: Vec<PathId> = Vec::new();
        for (id, entry) in paths.entries() {
            let is_left =
                entry.is_live() && !entry.kind.is_directory() && !self.gone.contains_key(&id);
            if is_left || entry.kind.is_directory() && stays(entry.layer) {
                staying.push(entry.path);
            }
        }
        for path in staying {
            let mut here = path;
            while self.directories.remove(&here) || here == path {
                let above = paths.parent(here);
                if above == here {
                    break;
                }
                here = above;
            }
        }
    }

    /// Whether the entry goes though the image shows it.
    pub(super) fn is_gone(&self, id: EntryId) -> bool {
        self.gone.contains_key(&id)
    }

    /// Whether the directory goes.
    pub(super) fn is_gone_directory(&self, path: PathId) -> bool {
        self.directories.contains(&path)
    }

    /// Whether what the image has at the path goes.
    pub(super) fn goes(&self, paths: &Paths, path: PathId) -> bool {
        self.is_gone_directory(path) || paths.live(path).is_some_and(|id| self.is_gone(id))
    }

    /// The file that it becomes a link to; itself if it stays one.
    pub(super) fn one_of(&self, file: EntryId) -> EntryId {
        self.links.get(&file).copied().unwrap_or(file)
    }

    /// Whether the file becomes a link.
    pub(super) fn is_linked(&self, file: EntryId) -> bool {
        self.links.contains_key(&file) || self.firsts.contains(&file)
    }

    /// What goes by reason, the most bytes first.
    pub(super) fn savings(&self) -> Vec<Saving> {
        let mut by_reason: BTreeMap<Reason, (u64, u64)> = BTreeMap::new();
        for item in &self.items {
            let (files, bytes) = by_reason.entry(item.reason).or_default();
            *files += 1;
            *bytes += item.bytes;
        }
        let mut savings: Vec<_> = by_reason
            .into_iter()
            .filter_map(|(reason, (files, bytes))| {
                let kind = self.reasons.get(reason)?.clone();
                Some(Saving { kind, files, bytes })
            })
            .collect();
        savings.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.kind.cmp(&b.kind)));
        savings
    }
}

/// Where people and programs write into files that are there. Where a container's files are not on an overlay, both
/// names of a file would change.
const WRITTEN: [&[u8]; 6] = [b"etc", b"home", b"root", b"run", b"tmp", b"var"];

fn is_written(path: &[u8]) -> bool {
    let first = path.split(|byte| *byte == b'/').next();
    first.is_some_and(|first| WRITTEN.contains(&first))
}

/// What a link has in common with the other name of its file.
#[derive(PartialEq, Eq, Hash)]
struct Face {
    layer: usize,
    mode: u16,
    owner: (u32, u32),
    xattrs: Xattrs,
    /// If times count: byte code, for one, remembers that of its source.
    time: Option<(i64, u32)>,
}

impl Face {
    fn of(open: &OpenLayers, path: &[u8], is_asked: bool) -> Result<Self, StackError> {
        let found = open.stack.resolve(path, false)?;
        let Facts {
            mode,
            uid,
            gid,
            mtime_secs,
            mtime_nanos,
            ..
        } = found.facts;
        let counts = !is_asked || path.ends_with(b".py");
        Ok(Self {
            layer: found.layer,
            mode,
            owner: (uid, gid),
            xattrs: open.stack.xattrs(&found)?,
            time: counts.then_some((mtime_secs, mtime_nanos)),
        })
    }
}
