//! `WORKDIR`: the directory, made if it is missing. It is a layer either way, as BuildKit has it.

use shiplap_store::LayerRecord;

use super::around::Around;
use super::copy::{Owner, find_owner, make_directory};
use super::facts;
use super::failure::Problem;
use super::stage::{Broken, Work};
use crate::explain::Manifest;
use crate::key::{KeyInputs, OwnerId, RootFacts, WorkdirFacts};
use crate::plan;
use crate::report::Vertex;

pub(super) struct WorkdirWork<'s, 'a> {
    around: Around<'s, 'a>,
    workdir: &'s plan::Workdir,
    /// Who it is made for, as the config says it.
    user: &'s str,
}

impl<'s, 'a> WorkdirWork<'s, 'a> {
    pub(super) fn new(around: Around<'s, 'a>, workdir: &'s plan::Workdir, user: &'s str) -> Self {
        Self {
            around,
            workdir,
            user,
        }
    }

    fn owner(&self) -> Result<Option<Owner>, Problem> {
        if self.user.is_empty() {
            return Ok(None);
        }
        let root = self.around.root_files()?;
        let reporter = self.around.session.reporter;
        let mut unknown = |error: shiplap_run::users::UserError| {
            reporter.warn(&format!(
                "WORKDIR {}: {error}; root owns it",
                self.workdir.path
            ));
        };
        Ok(Some(find_owner(self.user, &root, &mut unknown)?))
    }

    fn of(&self, root: RootFacts, owner: Owner) -> KeyInputs {
        let facts = WorkdirFacts {
            root,
            owner: OwnerId {
                uid: owner.uid,
                gid: owner.gid,
            },
            at_most_secs: self.around.session.key_secs,
        };
        KeyInputs::of_workdir(self.workdir, facts)
    }
}

impl Work for WorkdirWork<'_, '_> {
    fn glance(&mut self) -> Result<Option<KeyInputs>, Problem> {
        let facts = RootFacts::from([
            ("/".to_owned(), facts::of_layers(&self.around.root)),
            ("user".to_owned(), self.user.to_owned()),
        ]);
        Ok(Some(self.of(facts, Owner::default())))
    }

    fn inputs(&mut self) -> Result<(KeyInputs, Manifest), Problem> {
        let root = self.around.root_files()?;
        let facts = facts::of_directory(&root, &self.workdir.path)?;
        let owner = self.owner()?.unwrap_or_default();
        Ok((self.of(facts, owner), Manifest::default()))
    }

    fn execute(&mut self, _: &Vertex<'_, '_>) -> Result<LayerRecord, Broken> {
        let Around { session, times, .. } = &self.around;
        let root = self.around.root_files()?;
        let owner = self.owner()?;
        let path = &self.workdir.path;
        Ok(make_directory(
            session.lease,
            &root,
            path,
            owner,
            *times,
            session.cancel,
        )?)
    }
}
