//! `build --check`: the checks of a Dockerfile, with what is known of base images that are here.
//! Nothing is fetched but the context, nothing is built.

use std::io::Read;
use std::path::Path;

use shiplap_model::dockerfile::{self, Reading};

use super::error::{BuildError, Cause};
use super::prepare::MEMORIES;
use crate::context::{self, ContextSource, Loaded, Surroundings};
use crate::images::{self, ROUNDS};
use crate::lint::{self, Findings, Subject};
use crate::options::BuildOptions;
use crate::plan::{self, Breadth, PlanInput, Resolved};

/// What the checks of a Dockerfile found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What it is called.
    pub name: String,
    /// Its text.
    pub text: Vec<u8>,
    /// What was found.
    pub findings: Findings,
}

impl Checked {
    /// The same to be told.
    #[must_use]
    pub fn report(&self) -> lint::Report<'_> {
        lint::Report {
            name: &self.name,
            source: &self.text,
            findings: &self.findings,
        }
    }
}

/// Checks a Dockerfile with all its stages. A context called `-` is read from `stdin`.
///
/// # Errors
/// [`BuildError`] if there is nothing to check, or it is not said well which checks are wanted.
pub fn check(
    ops: &shiplap_ops::Context,
    options: &BuildOptions,
    stdin: &mut (dyn Read + Send),
) -> Result<Checked, BuildError> {
    let store = ops.store()?;
    let lease = store.lease()?;
    let memories = store.root().join(MEMORIES);
    let agent = options.execution.ssh.get("default");
    let around = Surroundings {
        ops,
        lease: &lease,
        memories: Some(&memories),
        agent: agent.map(|socket| -> &Path { socket }),
    };
    let source = ContextSource::parse(&options.input.context).map_err(Cause::from)?;
    let file = options.input.file.as_deref();
    let Loaded {
        context,
        dockerfile: file,
    } = context::load(&source, file, stdin, around).map_err(Cause::from)?;
    let reading = dockerfile::read(&file.text);
    let platform = options.input.platforms.first();
    let input = PlanInput::new(options, platform, &ops.settings().platform);
    let resolved = here(ops, &reading, &input)?;
    let subject = Subject {
        reading: &reading,
        input: &input,
        resolved: &resolved,
        ignored: Some(context.ignore()),
        breadth: Breadth::All,
    };
    let findings = lint::check(&subject).map_err(Cause::from)?;
    Ok(Checked {
        name: file.name,
        text: file.text,
        findings,
    })
}

/// The base images that are here. One that is not, or whose place the Dockerfile does not say well,
/// is for the checks to tell.
fn here(
    ops: &shiplap_ops::Context,
    reading: &Reading,
    input: &PlanInput,
) -> Result<Resolved, Cause> {
    let mut resolved = Resolved::default();
    for _ in 0..ROUNDS {
        let Ok(needs) = plan::needs_of(&reading.file, input, &resolved, Breadth::All) else {
            break;
        };
        let known = resolved.images.len();
        for needed in needs.images {
            if let Some(image) = images::find_here(ops, &needed)? {
                resolved.images.insert(needed.key, image);
            }
        }
        if resolved.images.len() == known {
            break;
        }
    }
    Ok(resolved)
}
