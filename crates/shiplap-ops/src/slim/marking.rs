//! The walk over an image's tree that marks what goes: by wishes, by the places that rules know, by the
//! kinds that only a name tells.

use std::collections::HashSet;

use super::choice::{Choice, Kind, Plan, Reason, Wishes};
use crate::analyze::paths::{Entry, EntryId, PathId, Paths};
use crate::analyze::rules::{Rules, WasteKind};
use crate::analyze::waste::{self, Finding};

/// Where documentation is.
const DOCS: [&[u8]; 9] = [
    b"usr/share/doc",
    b"usr/share/man",
    b"usr/share/info",
    b"usr/share/gtk-doc",
    b"usr/share/help",
    b"usr/share/doc-base",
    b"usr/share/lintian",
    b"usr/local/share/doc",
    b"usr/local/share/man",
];

/// Where translations are.
const LOCALES: [&[u8]; 2] = [b"usr/share/locale", b"usr/local/share/locale"];

/// What has to be passed on with a program: licences.
const LICENCES: [&[u8]; 5] = [b"copyright", b"LICENSE", b"LICENCE", b"COPYING", b"NOTICE"];

/// Marks in the plan all entries of the image as it runs that go, and the directories that go with them.
pub(super) fn mark(
    plan: &mut Plan,
    paths: &Paths,
    wishes: &Wishes,
    drop: &[Choice],
    findings: &[Finding],
) {
    Marking {
        plan,
        paths,
        wishes,
        asked: drop.iter().filter_map(Choice::kind).collect(),
        rules: Rules::new(),
        byte_code: byte_code(paths, findings, wishes),
        open: Vec::new(),
        visited: Vec::new(),
    }
    .mark();
}

/// Names of byte code that goes.
fn byte_code(paths: &Paths, findings: &[Finding], wishes: &Wishes) -> HashSet<EntryId> {
    let wanted = findings
        .iter()
        .filter(|finding| finding.kind == WasteKind::ByteCode && wishes.wants(finding.kind));
    wanted
        .flat_map(|finding| paths.names_of(finding.entry))
        .collect()
}

/// The walk that marks what goes.
struct Marking<'a> {
    plan: &'a mut Plan,
    paths: &'a Paths,
    wishes: &'a Wishes,
    /// Kinds that were asked for.
    asked: HashSet<Kind>,
    rules: Rules,
    byte_code: HashSet<EntryId>,
    open: Vec<Open>,
    /// Directories that may go, a directory before those in it, and whether they were asked for.
    visited: Vec<(PathId, bool)>,
}

/// A path still to be looked at: what holds for it, and how long the path of its directory is.
struct Open {
    path: PathId,
    mark: Mark,
    prefix: usize,
}

/// What holds for a path and all below it.
#[derive(Clone, Copy)]
enum Mark {
    Nothing,
    Stays,
    /// It goes.
    Goes(Reason, Reach),
}

/// What of a path and all below it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Regular files.
    Files,
    /// All but directories.
    Entries,
    /// All.
    All,
}

impl Marking<'_> {
    fn mark(mut self) {
        let mut path = Vec::new();
        self.enter(self.paths.root(), Mark::Nothing, 0);
        while let Some(next) = self.open.pop() {
            let Some(id) = self.paths.live(next.path) else {
                continue;
            };
            path.truncate(next.prefix);
            if next.prefix > 0 {
                path.push(b'/');
            }
            path.extend(self.paths.name(next.path));
            let entry = self.paths.entry(id);
            let mark = self.mark_of(&next, entry, &path);
            if entry.kind.is_directory() {
                let is_cache = self.paths.name(next.path) == b"__pycache__";
                match mark {
                    Mark::Goes(reason, Reach::All) => {
                        let is_asked = self.plan.asked.contains(&reason);
                        self.visited.push((next.path, is_asked));
                    }
                    _ if is_cache => self.visited.push((next.path, false)),
                    _ => {}
                }
                self.enter(next.path, mark, path.len());
            } else if let Mark::Goes(reason, reach) = mark {
                if reach != Reach::Files || entry.is_file() {
                    self.go(id, entry, reason);
                }
            } else if self.byte_code.contains(&id) && !matches!(mark, Mark::Stays) {
                let reason = self.kind(Kind::Waste(WasteKind::ByteCode));
                self.go(id, entry, reason);
            }
        }
        self.mark_directories();
    }

    fn go(&mut self, id: EntryId, entry: &Entry, reason: Reason) {
        self.plan.gone.insert(id, reason);
        if self.plan.asked.contains(&reason) {
            self.plan.asked_layers.insert(entry.layer.into());
        }
    }

    fn enter(&mut self, directory: PathId, mark: Mark, prefix: usize) {
        let children = self.paths.children(directory).iter();
        self.open.extend(children.map(|path| Open {
            path: *path,
            mark,
            prefix,
        }));
    }

    fn mark_of(&mut self, here: &Open, entry: &Entry, path: &[u8]) -> Mark {
        let keeps = self.wishes.keep.as_slice();
        if matches!(here.mark, Mark::Stays) || keeps.iter().any(|keep| keep.matches(path)) {
            return Mark::Stays;
        }
        let drops = self.wishes.drop.as_slice();
        if let Some(asked) = drops.iter().find(|drop| drop.matches(path)) {
            let words = String::from_utf8_lossy(asked.as_bytes()).into_owned();
            let reason = self.plan.reason(&words);
            self.plan.asked.insert(reason);
            return Mark::Goes(reason, Reach::All);
        }
        if let Mark::Goes(..) = here.mark {
            return here.mark;
        }
        if let Some(kind) = self.kind_of(path) {
            let reach = match kind {
                Kind::Locales => Reach::All,
                _ => Reach::Entries,
            };
            return Mark::Goes(self.kind(kind), reach);
        }
        let Some(class) = self.rules.of(path) else {
            return Mark::Nothing;
        };
        let is_meant = class.kind != WasteKind::VersionControl
            || entry.kind.is_directory() && waste::is_repository(self.paths, here.path);
        if !is_meant || !self.wishes.wants(class.kind) {
            return Mark::Nothing;
        }
        // Programs look for the directories of their logs, and links there lead to a terminal.
        let reach = match class.kind {
            WasteKind::Log => Reach::Files,
            _ => Reach::All,
        };
        Mark::Goes(self.kind(Kind::Waste(class.kind)), reach)
    }

    /// The reason of a kind.
    fn kind(&mut self, kind: Kind) -> Reason {
        self.plan.kind(kind, self.asked.contains(&kind))
    }

    /// Documentation or translations, if they are to go.
    fn kind_of(&self, path: &[u8]) -> Option<Kind> {
        let is_in = |places: &[&[u8]]| {
            places.iter().any(|place| {
                path.strip_prefix(*place)
                    .is_some_and(|rest| rest.starts_with(b"/"))
            })
        };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if self.wishes.kinds.contains(&Kind::Docs) && is_in(&DOCS) {
            // Only a file's own name tells whether it is a licence, so directories are entered.
            let is_licence = LICENCES.iter().any(|start| name.starts_with(start));
            let is_directory = self.paths.find(path).and_then(|at| self.paths.live(at));
            let is_directory =
                is_directory.is_some_and(|id| self.paths.entry(id).kind.is_directory());
            return (!is_licence && !is_directory).then_some(Kind::Docs);
        }
        let is_list = name == b"locale.alias";
        (self.wishes.kinds.contains(&Kind::Locales) && is_in(&LOCALES) && !is_list)
            .then_some(Kind::Locales)
    }

    /// A directory that may go does so if nothing in it stays; those in it come first.
    fn mark_directories(self) {
        let paths = self.paths;
        for (directory, is_asked) in self.visited.into_iter().rev() {
            let mut live = self.paths.children(directory).iter().filter_map(|child| {
                let id = self.paths.live(*child)?;
                Some((*child, id))
            });
            let goes = |(child, id): (PathId, EntryId)| {
                self.plan.gone.contains_key(&id) || self.plan.directories.contains(&child)
            };
            if !live.all(goes) {
                continue;
            }
            self.plan.directories.insert(directory);
            if is_asked && let Some(newest) = paths.newest(directory) {
                let all = std::iter::once(newest).chain(paths.older(newest));
                let layers = all.map(|id| usize::from(paths.entry(id).layer));
                self.plan.asked_layers.extend(layers);
            }
        }
    }
}
