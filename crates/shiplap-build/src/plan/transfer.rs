//! `COPY` and `ADD`.

use shiplap_model::Digest;
use shiplap_model::dockerfile::{Transfer, TransferSource};
use shiplap_model::git_reference::GitReference;

use super::draft::{Done, Draft};
use super::error::Fault;
use super::{Action, Add, Chmod, Copy, Item, Source, graph, paths};

impl Draft<'_> {
    pub(super) fn transfer(&mut self, transfer: &Transfer, is_add: bool) -> Result<Done, Fault> {
        let from = match graph::copy_from(transfer)? {
            Some(from) => self.source(&self.graph.origin(from)?, from)?,
            None => Source::Context,
        };
        let chown = self.expanded(transfer.chown.as_deref())?;
        let chmod = self.expanded(transfer.chmod.as_deref())?;
        let checksum = self.expanded(transfer.checksum.as_deref())?;
        let mut words = vec![if is_add { "ADD" } else { "COPY" }.to_owned()];
        if transfer.parents {
            words.push("--parents".to_owned());
        }
        words.extend(chown.iter().map(|chown| format!("--chown={chown}")));
        words.extend(chmod.iter().map(|chmod| format!("--chmod={chmod}")));
        let items = self.items(transfer, is_add, &mut words)?;
        let add = is_add.then_some(Add {
            checksum,
            keep_git_dir: transfer.keep_git_dir,
            unpack: transfer.unpack,
        });
        if let Some(add) = &add {
            check_add(add, &items)?;
        }
        let destination = self.expand(&transfer.destination)?;
        words.push(destination.clone());
        Ok(Done {
            created_by: format!("{} # buildkit", words.join(" ")),
            action: Action::Copy(Copy {
                from,
                items,
                destination: paths::destination(self.state.directory(), &destination),
                chown,
                chmod: chmod.as_deref().map(Chmod::parse).transpose()?,
                link: transfer.link,
                parents: transfer.parents,
                excludes: transfer.excludes.clone(),
                add,
            }),
            name: None,
        })
    }

    fn expanded(&self, word: Option<&str>) -> Result<Option<String>, Fault> {
        let expanded = word.map(|word| self.expand(word)).transpose()?;
        Ok(expanded.filter(|word| !word.is_empty()))
    }

    /// What is copied: files first, then what the Dockerfile itself holds. Their names go to `words`.
    fn items(
        &self,
        transfer: &Transfer,
        is_add: bool,
        words: &mut Vec<String>,
    ) -> Result<Vec<Item>, Fault> {
        let (mut items, mut inline) = (Vec::new(), Vec::new());
        for source in &transfer.sources {
            match source {
                TransferSource::Path(path) => {
                    let path = self.expand(path)?;
                    words.push(path.clone());
                    items.push(item(path, is_add)?);
                }
                TransferSource::Heredoc(heredoc) => {
                    let content = match heredoc.expands {
                        true => self.state.variables.expand_content(&heredoc.content)?,
                        false => heredoc.content.clone(),
                    };
                    inline.push(Item::Inline {
                        name: heredoc.name.clone(),
                        content,
                    });
                }
            }
        }
        for item in inline {
            if let Item::Inline { name, .. } = &item {
                words.push(format!("<<{name}"));
            }
            items.push(item);
        }
        Ok(items)
    }
}

pub(super) fn item(path: String, is_add: bool) -> Result<Item, Fault> {
    match GitReference::parse(&path)? {
        Some(reference) if !reference.looks_local => match is_add {
            true => Ok(Item::Git(path)),
            false => Err(Fault::CopyGit),
        },
        _ if path.starts_with("http://") || path.starts_with("https://") => match is_add {
            true => Ok(Item::Url(path)),
            false => Err(Fault::CopyUrl),
        },
        _ => Ok(Item::Path(path)),
    }
}

/// Checks what the flags of an `ADD` say against its sources.
fn check_add(add: &Add, items: &[Item]) -> Result<(), Fault> {
    for item in items {
        let Item::Git(text) = item else {
            continue;
        };
        let reference = GitReference::parse(text)?.unwrap_or_default();
        if let (Some(one), Some(other)) = (add.keep_git_dir, reference.keep_git_dir)
            && one != other
        {
            return Err(Fault::KeepGitDir);
        }
        if let (Some(one), Some(other)) = (&add.checksum, &reference.checksum)
            && one != other
        {
            return Err(Fault::Checksums(one.clone(), other.clone()));
        }
    }
    match items {
        _ if add.checksum.is_none() => Ok(()),
        [Item::Url(_)] => {
            let checksum = add.checksum.as_deref().unwrap_or_default();
            checksum.parse::<Digest>()?;
            Ok(())
        }
        [Item::Git(_)] => Ok(()),
        [_] => Err(Fault::ChecksumOfFiles),
        _ => Err(Fault::ChecksumOfSeveral),
    }
}
