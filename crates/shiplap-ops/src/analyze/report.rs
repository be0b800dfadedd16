//! An analysis as data for other programs: the schema of `analyze --json`, told in
//! `docs/analyze.md`. Fields are added, never renamed.

use serde::{Serialize, Serializer};
use shiplap_layer::stack::Type;

use super::Analysis;
use super::origin::Base;
use super::paths::{Change, Entry, Paths};
use super::proposal::Proposal;
use super::score::Score;
use super::steps::Step;
use super::waste::WasteKind;
use crate::base::Suggestion;

/// The name of the schema.
pub const SCHEMA: &str = "shiplap-analyze/1";

/// Paths that are named in a list of inefficient ones, and largest files of a layer.
const SHOWN_PATHS: usize = 20;

/// An analysis.
#[derive(Serialize)]
pub struct Report<'a> {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What was asked for.
    pub image: &'a str,
    /// Digest of the config.
    pub id: String,
    /// For which platform it is.
    pub platform: String,
    /// When it was made, as it says.
    pub created: Option<&'a str>,
    /// The image it was built on, if the store has that.
    pub base: Option<&'a Base>,
    /// Smaller forms of it, as far as they are known.
    pub suggestion: Option<&'a Suggestion>,
    /// Sizes of all files in bytes, as `inspect` has it.
    pub size_bytes: u64,
    /// Length of all tars in bytes.
    pub tar_bytes: u64,
    /// dive's score.
    pub score: &'a Score,
    /// Bytes of all findings.
    pub waste_bytes: u64,
    /// Bytes of findings that the image can't miss.
    pub certain_waste_bytes: u64,
    /// Findings by kind, the largest first.
    pub waste: Vec<WasteSum>,
    /// Steps, oldest first.
    pub steps: &'a [Step],
    /// Layers, base first.
    pub layers: Vec<LayerReport<'a>>,
    /// Proposals, best first.
    pub proposals: &'a [Proposal],
    /// Paths that several layers have, the largest first, at most 20.
    pub inefficient: Vec<InefficientPath>,
    /// Every entry of every layer, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<AllFiles<'a>>,
}

/// Every entry of every layer. They are put into words one after another: there may be millions.
pub struct AllFiles<'a>(&'a Paths);

impl Serialize for AllFiles<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.entries();
        serializer.collect_seq(entries.map(|(_, entry)| file(self.0, entry)))
    }
}

/// All waste of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct WasteSum {
    /// Which.
    pub kind: WasteKind,
    /// The kind in words.
    pub title: &'static str,
    /// Bytes.
    pub bytes: u64,
    /// Files.
    pub files: usize,
    /// Whether the image can't miss them.
    pub certain: bool,
}

/// A layer.
#[derive(Debug, Serialize)]
pub struct LayerReport<'a> {
    /// Its number; 0 is the base.
    pub layer: usize,
    /// Digest of its tar.
    pub diff_id: String,
    /// Sizes of its files in bytes.
    pub size_bytes: u64,
    /// Length of its tar in bytes.
    pub tar_bytes: u64,
    /// Entries of its tar.
    pub entries: u64,
    /// The instruction that made it.
    pub instruction: &'a str,
    /// Its line in the Dockerfile.
    pub line: Option<u32>,
    /// What it adds.
    pub added: Count,
    /// What it changes.
    pub changed: Count,
    /// What it removes; bytes are those that were hidden.
    pub removed: Count,
    /// Bytes of findings that lie in it.
    pub waste_bytes: u64,
    /// Its largest files, at most 20.
    pub largest: Vec<FileReport>,
}

/// Paths and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many.
    pub paths: u64,
    /// Their sizes, in bytes.
    pub bytes: u64,
}

/// A path that several layers have.
#[derive(Debug, Serialize)]
pub struct InefficientPath {
    /// Which, with leading slash.
    pub path: String,
    /// How many layers have it.
    pub layers: u32,
    /// Sizes in all of them, in bytes.
    pub bytes: u64,
}

/// An entry of a layer.
#[derive(Debug, Serialize)]
pub struct FileReport {
    /// Which, with leading slash.
    pub path: String,
    /// Number of the layer.
    pub layer: u16,
    /// `file`, `directory`, `symlink`, `device`, `fifo` or `whiteout`.
    pub kind: &'static str,
    /// What the layer does to it; absent for directories that it passes through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// Bytes that the layer holds for it.
    pub bytes: u64,
    /// Permission bits, as a number.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Whether it is in the image as it runs.
    pub live: bool,
}

impl Analysis {
    /// The analysis as data; with `files` every entry.
    #[must_use]
    pub fn report(&self, files: bool) -> Report<'_> {
        let layers: Vec<_> = (0..self.image.layers.len())
            .map(|layer| self.layer_report(layer))
            .collect();
        let (waste_bytes, certain_waste_bytes) = self.waste_bytes();
        let config = &self.image.config;
        Report {
            schema: SCHEMA,
            image: &self.image.name,
            id: self.image.id.to_string(),
            platform: config.platform().to_string(),
            created: config.created.as_deref(),
            base: self.base.as_ref(),
            suggestion: self.suggestion.as_ref(),
            size_bytes: self.score.size_bytes,
            tar_bytes: layers.iter().map(|layer| layer.tar_bytes).sum(),
            score: &self.score,
            waste_bytes,
            certain_waste_bytes,
            waste: self.waste(),
            steps: &self.steps,
            layers,
            proposals: &self.proposals,
            inefficient: (self.score.inefficient.iter().take(SHOWN_PATHS))
                .map(|one| InefficientPath {
                    path: shown(&self.paths.full(one.path)),
                    layers: one.layers,
                    bytes: one.bytes,
                })
                .collect(),
            files: files.then_some(AllFiles(&self.paths)),
        }
    }

    /// Bytes of all findings, and of those that the image can't miss.
    #[must_use]
    pub fn waste_bytes(&self) -> (u64, u64) {
        let sum = |certain_only: bool| {
            let counted = |kind: WasteKind| !certain_only || kind.is_certain();
            let findings = self.findings.iter().filter(|one| counted(one.kind));
            findings.map(|finding| finding.bytes).sum()
        };
        (sum(false), sum(true))
    }

    /// Findings by kind, the largest first.
    #[must_use]
    pub fn waste(&self) -> Vec<WasteSum> {
        let mut sums: Vec<_> = (WasteKind::ALL.into_iter())
            .map(|kind| {
                let of_kind = || self.findings.iter().filter(move |one| one.kind == kind);
                WasteSum {
                    kind,
                    title: kind.title(),
                    bytes: of_kind().map(|finding| finding.bytes).sum(),
                    files: of_kind().count(),
                    certain: kind.is_certain(),
                }
            })
            .filter(|sum| sum.files > 0)
            .collect();
        sums.sort_by_key(|sum| std::cmp::Reverse(sum.bytes));
        sums
    }

    /// The step that made a layer.
    #[must_use]
    pub fn step_of(&self, layer: usize) -> Option<&Step> {
        self.steps.iter().find(|step| step.layer == Some(layer))
    }

    /// What is told of one layer.
    #[must_use]
    pub fn layer_report(&self, layer: usize) -> LayerReport<'_> {
        let step = self.step_of(layer);
        let record = &self.image.layers[layer].record;
        let mut counts = [Count::default(); 3];
        let mut size_bytes: u64 = 0;
        let mut largest: Vec<&Entry> = Vec::new();
        for (_, entry) in self.paths.layer_entries(layer) {
            size_bytes += entry.own_bytes;
            let hidden = || entry.before.map_or(0, |old| self.hidden_bytes(old));
            let (count, bytes) = match self.paths.change(entry) {
                Some(Change::Added) => (0, entry.own_bytes),
                Some(Change::Changed) => (1, entry.own_bytes),
                Some(Change::Removed) => (2, hidden()),
                None => continue,
            };
            counts[count].paths += 1;
            counts[count].bytes += bytes;
            if entry.own_bytes > 0 {
                largest.push(entry);
            }
        }
        largest.sort_by_key(|entry| (std::cmp::Reverse(entry.own_bytes), entry.path));
        // Findings are in the order of entries, and so of layers.
        let start = (self.findings).partition_point(|finding| usize::from(finding.layer) < layer);
        let waste = self.findings.iter().skip(start);
        let waste = waste.take_while(|finding| usize::from(finding.layer) == layer);
        LayerReport {
            layer,
            diff_id: record.diff_id.to_string(),
            size_bytes,
            tar_bytes: record.tar_bytes,
            entries: record.entries,
            instruction: step.map_or("", |step| &step.instruction),
            line: step.and_then(|step| step.line),
            added: counts[0],
            changed: counts[1],
            removed: counts[2],
            waste_bytes: waste.map(|finding| finding.bytes).sum(),
            largest: (largest.into_iter().take(SHOWN_PATHS))
                .map(|entry| file(&self.paths, entry))
                .collect(),
        }
    }

    /// Bytes that a layer hid by removing this entry, and all below it with the same layer.
    fn hidden_bytes(&self, removed: super::paths::EntryId) -> u64 {
        let entry = self.paths.entry(removed);
        let mut bytes = 0;
        let mut open = vec![entry.path];
        while let Some(path) = open.pop() {
            let newest = self.paths.newest(path);
            let all = newest
                .into_iter()
                .chain(newest.into_iter().flat_map(|id| self.paths.older(id)));
            let all = all.map(|id| self.paths.entry(id));
            let hidden = all.filter(|old| old.is_file() && old.end == entry.end);
            bytes += hidden.map(|old| old.own_bytes).sum::<u64>();
            if entry.kind.is_directory() {
                open.extend(self.paths.children(path));
            }
        }
        bytes
    }
}

fn file(paths: &Paths, entry: &Entry) -> FileReport {
    FileReport {
        path: shown(&paths.full(entry.path)),
        layer: entry.layer,
        kind: match entry.kind {
            Type::Directory { .. } => "directory",
            Type::File { .. } => "file",
            Type::Symlink => "symlink",
            Type::CharDevice { .. } | Type::BlockDevice { .. } => "device",
            Type::Fifo => "fifo",
            Type::Whiteout => "whiteout",
        },
        change: paths.change(entry),
        bytes: entry.own_bytes,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        live: entry.is_live(),
    }
}

fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
