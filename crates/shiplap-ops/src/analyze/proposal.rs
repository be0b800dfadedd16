//! What to change so that an image gets smaller: the findings of one kind that one step made,
//! with the bytes that go, the step, and what to write instead. Best first.
//!
//! Nothing is estimated: a saving is the size of the very files that would not be there, and of a smaller base
//! the difference of two sizes that are known.

mod advice;
mod smaller;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use super::origin::Base;
use super::paths::{EntryId, Paths};
use super::rules::WasteKind;
use super::steps::Step;
use super::waste::Finding;
use crate::base::Suggestion;
use advice::Written;

/// What a change is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProposalKind {
    /// To be rid of waste.
    Waste(WasteKind),
    /// To stand on less. What is told of the base is told once more with it.
    SmallerBase,
}

impl ProposalKind {
    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Waste(kind) => kind.title(),
            Self::SmallerBase => "a smaller base",
        }
    }
}

impl Serialize for ProposalKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Waste(kind) => kind.name(),
            Self::SmallerBase => "smaller-base",
        })
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// What it is for.
    pub kind: ProposalKind,
    /// Whose waste it is: `apt`, `pip`, `compilers`, …
    pub tool: Option<&'static str>,
    /// Bytes that the image gets smaller by.
    pub saves_bytes: u64,
    /// Files that go.
    pub files: usize,
    /// Whether the image as it runs can't miss them.
    pub certain: bool,
    /// The image below that brings the bytes, if they are none of the image's own layers'.
    pub base: Option<String>,
    /// Number of the layer that holds the bytes, 0 is the lowest; of a base's the topmost one.
    pub layer: usize,
    /// The instruction that made that layer; of a base `FROM` it.
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

/// Makes proposals of findings, and of a smaller base if there is one. Findings in a base's layers are taken together.
#[must_use]
pub fn proposals(
    paths: &Paths,
    findings: &[Finding],
    steps: &[Step],
    base: Option<&Base>,
    suggestion: Option<&Suggestion>,
) -> Vec<Proposal> {
    let base_layers = base.map_or(0, |base| base.layers);
    let is_of_base = |layer: u16| usize::from(layer) < base_layers;
    let mut groups: BTreeMap<Key, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let (mut layer, mut by) = (finding.layer, finding.by);
        if is_of_base(layer) {
            layer = u16::try_from(base_layers - 1).unwrap_or(layer);
            by = by.filter(|by| !is_of_base(*by));
        }
        let key = (finding.kind, finding.tool, layer, by);
        groups.entry(key).or_default().push(finding);
    }
    let smaller = suggestion.and_then(|suggestion| smaller::choose(suggestion, base));
    let making = Making {
        paths,
        steps,
        smaller: smaller.as_ref().map(|found| found.name.as_str()),
    };
    let mut proposals: Vec<_> = groups
        .into_iter()
        .map(|(key, group)| making.proposal(key, group, base.filter(|_| is_of_base(key.2))))
        .collect();
    proposals.extend(smaller.map(|found| found.proposal));
    proposals.sort_by(|a, b| {
        let order = b.saves_bytes.cmp(&a.saves_bytes);
        order.then_with(|| (a.layer, a.kind, a.tool).cmp(&(b.layer, b.kind, b.tool)))
    });
    proposals
}

/// What proposals are made of.
struct Making<'a> {
    paths: &'a Paths,
    steps: &'a [Step],
    /// A smaller form of the base.
    smaller: Option<&'a str>,
}

impl Making<'_> {
    fn step_of(&self, layer: u16) -> Option<&Step> {
        let is_it = |step: &&Step| step.layer == Some(layer.into());
        self.steps.iter().find(is_it)
    }

    fn proposal(&self, key: Key, mut group: Vec<&Finding>, base: Option<&Base>) -> Proposal {
        let (kind, tool, layer, by) = key;
        let made = self.step_of(layer).filter(|_| base.is_none());
        let made_by = match base {
            Some(base) => format!("FROM {}", base.name),
            None => made.map_or_else(String::new, |step| step.instruction.clone()),
        };
        let hidden = by.and_then(|by| self.step_of(by));
        let hidden_by = hidden.map(|step| step.instruction.as_str());
        let written = Written {
            tool,
            made: &made_by,
            hidden: hidden_by.unwrap_or(""),
            base: base.map(|base| base.name.as_str()),
            smaller: self.smaller,
        };
        let (advice, instead) = written.advice(kind, &differences(self.paths, &group));
        group.sort_by_key(|finding| (std::cmp::Reverse(finding.bytes), finding.entry));
        Proposal {
            kind: ProposalKind::Waste(kind),
            tool: tool.filter(|tool| *tool != kind.title()),
            saves_bytes: group.iter().map(|finding| finding.bytes).sum(),
            files: group.len(),
            certain: kind.is_certain(),
            base: base.map(|base| base.name.clone()),
            layer: layer.into(),
            line: made.and_then(|step| step.line),
            hidden_in_layer: by.map(usize::from),
            hidden_by: hidden_by.map(str::to_owned),
            hidden_line: hidden.and_then(|step| step.line),
            advice,
            instead,
            paths: (group.iter().take(SHOWN_PATHS))
                .map(|finding| shown(self.paths, finding))
                .collect(),
            made_by,
        }
    }
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

fn differences(paths: &Paths, group: &[&Finding]) -> Differences {
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

#[cfg(test)]
mod tests;
