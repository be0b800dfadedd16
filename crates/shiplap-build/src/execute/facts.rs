//! What a step's key must know of the root it works in, without all of the root counting: what is
//! on the way to the destination, and whatever is in the way of what is copied.
//!
//! Two roots with the same facts get the same layer from the same sources. A place where nothing
//! is, or where what is there makes no difference, leaves no fact.

use shiplap_layer::root::resolve_in_root;
use shiplap_layer::stack::{Found, StackError, Type};
use shiplap_model::{DiffId, Digest, path};

use super::copy::{CopyError, Given, join};
use super::files::Files;
use super::selection::Selected;
use crate::context::Kind;
use crate::key::RootFacts;

/// What matters of the root for a copy.
///
/// # Errors
/// A root that can't be read.
pub fn of_copy(
    root: &Files,
    layers: &[DiffId],
    destination: &str,
    given: Vec<&Given>,
) -> Result<RootFacts, CopyError> {
    let mut facts = Facts {
        root,
        facts: RootFacts::new(),
    };
    if given.iter().any(|given| may_unpack(given)) {
        // An archive may lead anywhere in the root.
        facts.facts.insert("/".to_owned(), of_layers(layers));
    }
    let place = facts.place(destination.as_bytes())?;
    let below = root.find(&place)?;
    for given in given {
        let names: Vec<&[u8]> = match given {
            Given::Selected { selected, .. } => {
                let mut files = Vec::new();
                for selected in selected {
                    if selected.is_directory {
                        if let Some(directory) = &below {
                            facts.tree(selected, directory)?;
                        }
                    } else {
                        files.push(&*selected.name);
                    }
                }
                files
            }
            Given::Fetched { name, .. } | Given::Inline { name, .. } => vec![name.as_bytes()],
        };
        for name in names {
            if let Some(directory) = below.as_ref().filter(|found| found.is_directory()) {
                facts.leaf(directory, name)?;
            }
        }
    }
    Ok(facts.facts)
}

/// What matters of the root for a directory that is to be there.
///
/// # Errors
/// A root that can't be read.
pub fn of_directory(root: &Files, path: &str) -> Result<RootFacts, CopyError> {
    let mut facts = Facts {
        root,
        facts: RootFacts::new(),
    };
    facts.place(path.as_bytes())?;
    Ok(facts.facts)
}

/// All of the root, by its layers.
#[must_use]
pub fn of_layers(layers: &[DiffId]) -> String {
    let names: Vec<&str> = layers.iter().map(|layer| layer.digest().as_str()).collect();
    format!("layers {}", Digest::of(names.join(" ").as_bytes()))
}

/// Whether something may be an archive that is unpacked.
fn may_unpack(given: &Given) -> bool {
    match given {
        Given::Selected { selected, unpacks } => {
            *unpacks && selected.iter().any(|selected| !selected.is_directory)
        }
        Given::Fetched { unpacks, .. } => *unpacks,
        Given::Inline { .. } => false,
    }
}

struct Facts<'a> {
    root: &'a Files,
    facts: RootFacts,
}

impl Facts<'_> {
    /// Where a path leads, with facts of all that is on the way.
    fn place(&mut self, path: &[u8]) -> Result<Vec<u8>, StackError> {
        let stack = &self.root.stack;
        let mut seen = Vec::new();
        let place = resolve_in_root(path, |part| match stack.resolve(part, false) {
            Ok(found) => {
                let target = match found.facts.kind {
                    Type::Symlink => Some(stack.read_link(&found)?),
                    _ => None,
                };
                seen.push(found);
                Ok(target)
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        })??;
        for found in seen {
            self.add(&found)?;
        }
        Ok(place)
    }

    fn add(&mut self, found: &Found) -> Result<(), StackError> {
        let words = self.words(found)?;
        self.facts.insert(text(&found.path), words);
        Ok(())
    }

    /// All that a layer says of something that is there.
    fn words(&self, found: &Found) -> Result<String, StackError> {
        let facts = found.facts;
        if facts.kind == Type::Symlink {
            let target = self.root.stack.read_link(found)?;
            return Ok(format!("link {}", text(&target)));
        }
        if !found.is_directory() {
            return Ok("file".to_owned());
        }
        let mut words = format!(
            "dir {:04o} {}:{} {}.{:09}",
            facts.mode, facts.uid, facts.gid, facts.mtime_secs, facts.mtime_nanos
        );
        for (name, value) in self.root.stack.xattrs(found)? {
            words.push_str(&format!(" {}={}", text(&name), Digest::of(&value)));
        }
        Ok(words)
    }

    /// A directory that is in the way of a file.
    fn leaf(&mut self, directory: &Found, name: &[u8]) -> Result<(), StackError> {
        if let Some(found) = self.root.stack.lookup(directory, name)?
            && found.is_directory()
        {
            self.facts.insert(text(&found.path), "dir".to_owned());
        }
        Ok(())
    }

    /// What is in the way of a directory's content in `place`.
    fn tree(&mut self, selected: &Selected, place: &Found) -> Result<(), StackError> {
        // Directories that are there, with their paths in the tree.
        let mut open = vec![(Vec::new(), place.clone())];
        for entry in selected.tree.entries.iter().skip(1) {
            let (parent, name) = path::split(&entry.path);
            while open
                .last()
                .is_some_and(|(path, _)| !is_within(parent, path))
            {
                open.pop();
            }
            let Some((at, directory)) = open.last() else {
                break;
            };
            if at != parent || !directory.is_directory() {
                // Nothing is there that it could meet.
                continue;
            }
            let directory = directory.clone();
            if entry.kind != Kind::Directory {
                self.leaf(&directory, name)?;
                continue;
            }
            let Some(found) = self.root.stack.lookup(&directory, name)? else {
                continue;
            };
            if !found.is_directory() {
                self.facts.insert(text(&found.path), "file".to_owned());
                continue;
            }
            if !entry.is_wanted {
                self.add(&found)?;
            }
            open.push((join(parent, name), found));
        }
        Ok(())
    }
}

/// Whether `path` is `directory` or lies in it.
fn is_within(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Bytes as a text that no other bytes make.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\\') => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests;
