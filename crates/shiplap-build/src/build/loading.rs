//! Brings what a build is made from: the context, its Dockerfile, and contexts with names. The same for all
//! that is done with a Dockerfile, building or not.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use shiplap_store::Lease;

use super::error::Cause;
use crate::agents::Agents;
use crate::context::{self, Context, ContextSource, Loaded, Surroundings};
use crate::options::BuildOptions;
use crate::plan::{NamedContext, PlanInput};

/// What files of contexts were is remembered here, in the store's directory.
pub(super) const MEMORIES: &str = "contexts";

/// Forgets what files of contexts were that are gone, with `all` those of all contexts; how many
/// bytes that frees. What is asked for again is read again.
///
/// # Errors
/// A store that can't be opened, and failures to remove.
pub fn forget_contexts(context: &shiplap_ops::Context, all: bool) -> io::Result<u64> {
    let store = context.store().map_err(io::Error::other)?;
    context::prune_memories(&store.root().join(MEMORIES), all)
}

/// What it is brought with.
pub(super) struct Loading<'l> {
    pub(super) ops: &'l shiplap_ops::Context,
    pub(super) lease: &'l Lease,
    pub(super) options: &'l BuildOptions,
    agents: &'l Agents,
    memories: PathBuf,
}

impl<'l> Loading<'l> {
    pub(super) fn new(
        ops: &'l shiplap_ops::Context,
        lease: &'l Lease,
        options: &'l BuildOptions,
        agents: &'l Agents,
    ) -> Self {
        Self {
            ops,
            lease,
            options,
            agents,
            memories: lease.store().root().join(MEMORIES),
        }
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings {
            ops: self.ops,
            lease: self.lease,
            memories: Some(&self.memories),
            agent: self.agents.of_git(),
        }
    }

    /// The context and the Dockerfile. A context called `-` is read from `stdin`.
    pub(super) fn load(&self, stdin: &mut (dyn Read + Send)) -> Result<Loaded, Cause> {
        let input = &self.options.input;
        let source = ContextSource::parse(&input.context)?;
        let file = input.file.as_deref();
        Ok(context::load(&source, file, stdin, self.around())?)
    }

    /// Contexts with names, as far as they are wanted, by their short names.
    pub(super) fn named(&self, wanted: &[String]) -> Result<BTreeMap<String, Arc<Context>>, Cause> {
        let host = &self.ops.settings().platform;
        let input = PlanInput::new(self.options, None, host);
        let mut named = BTreeMap::new();
        for (name, text) in &self.options.input.named_contexts {
            if NamedContext::of(text) != NamedContext::Files {
                continue;
            }
            let Some((short, _)) = input.named_context(name) else {
                continue;
            };
            if !wanted.contains(&short) || named.contains_key(&short) {
                continue;
            }
            let source = ContextSource::parse_named(text)?;
            let context = context::load_named(&source, self.around())?;
            named.insert(short, Arc::new(context));
        }
        Ok(named)
    }
}
