//! `COPY` and `ADD` as steps: what they select, what decides their layer, and the copy itself.

use std::sync::Arc;

use shiplap_model::git_reference::GitReference;
use shiplap_model::ignore::Patterns;
use shiplap_store::LayerRecord;

use super::around::{Around, Place, glance_at};
use super::copy::{CopyError, CopyJob, Given, Owner, copy, find_owner};
use super::facts;
use super::failure::Problem;
use super::files::Files;
use super::selection::{Selected, of_layers};
use super::stage::{Broken, Work};
use crate::context::{ContentDigest, Counting, Recall, RemoteError, fetch_git, fetch_url};
use crate::explain::Manifest;
use crate::key::{CopyFacts, KeyInputs, OwnerId, RootFacts, SourceFacts};
use crate::plan::{self, Chmod, Item};
use crate::report::Vertex;

pub(super) struct CopyWork<'s, 'a> {
    around: Around<'s, 'a>,
    copy: &'s plan::Copy,
    excludes: Patterns,
    /// What items that lie in layers are selected from.
    layers: Option<Vec<shiplap_model::DiffId>>,
    sources: Vec<Found>,
    owner: Option<Option<Owner>>,
}

/// One item, as far as it is known.
enum Found {
    /// It lies in layers, and nobody looked yet.
    InLayers(String),
    /// It is there.
    Given(Given, Vec<SourceFacts>),
}

impl<'s, 'a> CopyWork<'s, 'a> {
    pub(super) fn new(around: Around<'s, 'a>, copy: &'s plan::Copy) -> Self {
        Self {
            around,
            copy,
            excludes: Patterns::default(),
            layers: None,
            sources: Vec::new(),
            owner: None,
        }
    }

    /// Finds what is known without reading layers.
    fn gather(&mut self) -> Result<(), Problem> {
        if !self.sources.is_empty() {
            return Ok(());
        }
        let excludes = self.copy.excludes.iter();
        self.excludes = Patterns::new(excludes).map_err(CopyError::Pattern)?;
        for item in &self.copy.items {
            let found = self.item(item)?;
            self.sources.push(found);
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<Found, Problem> {
        let add = self.copy.add.as_ref();
        match item {
            Item::Path(path) => match self.around.place(&self.copy.from)? {
                Place::Layers(layers) => {
                    self.layers = Some(layers);
                    Ok(Found::InLayers(path.clone()))
                }
                Place::Context(context) => {
                    let (excludes, parents) = (&self.excludes, self.copy.parents);
                    let selected = self.around.select(&context, path, excludes, parents)?;
                    Ok(self.selected(selected, self.unpacks_files()))
                }
            },
            Item::Inline { name, content } => {
                let facts = SourceFacts {
                    name: name.clone().into_bytes(),
                    content: ContentDigest::of(content.as_bytes()),
                    is_directory: false,
                    unpacks: false,
                };
                let given = Given::Inline {
                    name: name.clone(),
                    content: Arc::from(content.as_bytes()),
                };
                Ok(Found::Given(given, vec![facts]))
            }
            Item::Url(address) => {
                let checksum = add.and_then(|add| add.checksum.as_deref());
                let around = self.around.session.surroundings();
                let fetched = fetch_url(address, checksum, Recall::Enough, around)?;
                let unpacks = add.is_some_and(|add| add.unpack == Some(true));
                let facts = SourceFacts {
                    name: fetched.name.clone().into_bytes(),
                    content: fetched.content,
                    is_directory: false,
                    unpacks,
                };
                let given = Given::Fetched {
                    file: fetched.open().map_err(CopyError::Stage)?.map(Arc::new),
                    size_bytes: fetched.size_bytes,
                    modified_secs: fetched.modified,
                    name: fetched.name,
                    unpacks,
                };
                Ok(Found::Given(given, vec![facts]))
            }
            Item::Git(reference) => {
                let parsed = GitReference::parse(reference)?;
                let parsed = parsed.ok_or_else(|| CopyError::NotFound {
                    path: reference.clone().into_bytes(),
                })?;
                let checksum = add.and_then(|add| add.checksum.as_deref());
                let keeps = add.is_some_and(|add| add.keep_git_dir == Some(true));
                let around = self.around.session.surroundings();
                let fetched = fetch_git(&parsed, checksum, keeps, around)?;
                let context = Arc::new(fetched.context);
                let selected = self.around.select(&context, "/", &self.excludes, false)?;
                Ok(self.selected(selected, false))
            }
        }
    }

    fn selected(&self, selected: Vec<Arc<Selected>>, unpacks: bool) -> Found {
        let counting = self.counting();
        let facts = selected.iter().map(|selected| SourceFacts {
            name: selected.name.clone(),
            content: selected.tree.digest(counting),
            is_directory: selected.is_directory,
            unpacks: unpacks && !selected.is_directory,
        });
        let facts = facts.collect();
        Found::Given(Given::Selected { selected, unpacks }, facts)
    }

    /// `ADD` unpacks local archives unless it is told not to.
    fn unpacks_files(&self) -> bool {
        let add = self.copy.add.as_ref();
        add.is_some_and(|add| add.unpack != Some(false))
    }

    fn counting(&self) -> Counting {
        Counting {
            modes: !matches!(self.copy.chmod, Some(Chmod::Octal(_))),
            owners: self.copy.chown.is_none(),
        }
    }

    /// Selects what lies in layers.
    fn look(&mut self) -> Result<(), Problem> {
        self.gather()?;
        let Some(layers) = &self.layers else {
            return Ok(());
        };
        let files = self.around.session.layers.files(layers)?;
        for number in 0..self.sources.len() {
            let Some(Found::InLayers(path)) = self.sources.get(number) else {
                continue;
            };
            let found = of_layers(&files, path, &self.excludes, self.copy.parents)?;
            let mut selected = Vec::with_capacity(found.len());
            for mut found in found {
                found.fill_digests()?;
                selected.push(Arc::new(found));
            }
            let found = self.selected(selected, self.unpacks_files());
            self.sources[number] = found;
        }
        Ok(())
    }

    /// Brings the files of the web that are as they were, so that nobody brought them yet.
    fn bring(&mut self) -> Result<(), Problem> {
        for (item, source) in self.copy.items.iter().zip(&mut self.sources) {
            let Item::Url(address) = item else { continue };
            let Found::Given(Given::Fetched { file, .. }, facts) = source else {
                continue;
            };
            if file.is_some() {
                continue;
            }
            let add = self.copy.add.as_ref();
            let checksum = add.and_then(|add| add.checksum.as_deref());
            let around = self.around.session.surroundings();
            let fetched = fetch_url(address, checksum, Recall::Never, around)?;
            if facts.iter().any(|facts| facts.content != fetched.content) {
                let address = address.split(['?', '#']).next().unwrap_or_default();
                return Err(RemoteError::Changed {
                    address: address.to_owned(),
                }
                .into());
            }
            *file = fetched.open().map_err(CopyError::Stage)?.map(Arc::new);
        }
        Ok(())
    }

    fn owner(&mut self, root: &Files) -> Result<Option<Owner>, Problem> {
        if let Some(owner) = self.owner {
            return Ok(owner);
        }
        let owner = match &self.copy.chown {
            None => None,
            Some(text) => {
                let reporter = self.around.session.reporter;
                let mut unknown = |error: shiplap_run::users::UserError| {
                    reporter.warn(&format!(
                        "--chown={text}: {error}; root owns what is copied"
                    ));
                };
                Some(find_owner(text, root, &mut unknown)?)
            }
        };
        self.owner = Some(owner);
        Ok(owner)
    }

    fn of(&self, root: RootFacts, sources: Vec<SourceFacts>, owner: Option<Owner>) -> KeyInputs {
        let facts = CopyFacts {
            root,
            sources,
            owner: owner.map(|owner| OwnerId {
                uid: owner.uid,
                gid: owner.gid,
            }),
            at_most_secs: self.around.session.key_secs,
        };
        KeyInputs::of_copy(self.copy, facts)
    }
}

impl Work for CopyWork<'_, '_> {
    fn glance(&mut self) -> Result<Option<KeyInputs>, Problem> {
        self.gather()?;
        let mut root = RootFacts::new();
        // Even a linked copy asks the root for names of owners.
        if !self.copy.link || self.copy.chown.is_some() {
            root.insert("/".to_owned(), facts::of_layers(&self.around.root));
        }
        if let Some(chown) = &self.copy.chown {
            root.insert("chown".to_owned(), chown.clone());
        }
        let mut sources = Vec::new();
        for source in &self.sources {
            match source {
                Found::Given(_, facts) => sources.extend(facts.iter().cloned()),
                Found::InLayers(path) => {
                    let layers = self.layers.as_deref().unwrap_or_default();
                    sources.push(SourceFacts {
                        name: path.clone().into_bytes(),
                        content: glance_at(layers, path, &self.copy.excludes),
                        is_directory: false,
                        unpacks: self.unpacks_files(),
                    });
                }
            }
        }
        Ok(Some(self.of(root, sources, None)))
    }

    fn inputs(&mut self) -> Result<(KeyInputs, Manifest), Problem> {
        self.look()?;
        let root = self.around.root_files()?;
        let owner = self.owner(&root)?;
        let counting = self.counting();
        let mut sources = Vec::new();
        let mut names = Vec::new();
        let given: Vec<&Given> = self
            .sources
            .iter()
            .filter_map(|source| match source {
                Found::Given(given, facts) => {
                    sources.extend(facts.iter().cloned());
                    Some(given)
                }
                Found::InLayers(_) => None,
            })
            .collect();
        for given in &given {
            name_all(given, counting, &mut names);
        }
        let facts = if self.copy.link {
            RootFacts::new()
        } else {
            facts::of_copy(&root, &self.around.root, &self.copy.destination, given)?
        };
        let manifest = Manifest::new(names.iter().map(|(path, digest)| (path.as_slice(), digest)));
        Ok((self.of(facts, sources, owner), manifest))
    }

    fn execute(&mut self, _: &Vertex<'_, '_>) -> Result<LayerRecord, Broken> {
        self.look()?;
        self.bring()?;
        let root = self.around.root_files()?;
        let owner = self.owner(&root)?;
        let session = self.around.session;
        let given = std::mem::take(&mut self.sources);
        let given = given.into_iter().filter_map(|source| match source {
            Found::Given(given, _) => Some(given),
            Found::InLayers(_) => None,
        });
        let given: Vec<Given> = given.collect();
        let job = CopyJob {
            root: &root,
            given: &given,
            destination: &self.copy.destination,
            owner,
            chmod: self.copy.chmod.as_ref(),
            link: self.copy.link,
            times: self.around.times,
        };
        Ok(copy(session.lease, &job, session.cancel)?)
    }
}

/// Names and short digests of what is copied, to explain the next miss.
fn name_all(given: &Given, counting: Counting, names: &mut Vec<(Vec<u8>, ContentDigest)>) {
    match given {
        Given::Selected { selected, .. } => {
            for selected in selected {
                for entry in &selected.tree.entries {
                    let path = match (selected.is_directory, entry.path.is_empty()) {
                        (true, true) => continue,
                        (true, false) => entry.path.clone(),
                        (false, _) => selected.name.clone(),
                    };
                    names.push((path, selected.tree.leaf(entry, counting)));
                }
            }
        }
        Given::Fetched { name, .. } => {
            names.push((name.clone().into_bytes(), ContentDigest::default()));
        }
        Given::Inline { name, content } => {
            names.push((name.clone().into_bytes(), ContentDigest::of(content)));
        }
    }
}
