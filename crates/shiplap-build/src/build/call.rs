//! `build --call`: what is asked of a Dockerfile beside building it: its checks, its targets, what one of
//! them takes. With what is known of base images that are here; nothing is fetched but the context, nothing
//! is built.

use std::io::Read;

use shiplap_model::dockerfile::{self, Dockerfile, SyntaxErrors};

use super::error::{BuildError, Cause};
use super::loading::Loading;
use crate::agents::Agents;
use crate::context::{self, Loaded};
use crate::images::{self, ROUNDS};
use crate::lint::{self, Findings, Subject};
use crate::options::BuildOptions;
use crate::outline::{self, Outline, Targets};
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
    let agents = Agents::start(ops, &lease, &options.execution.ssh)?;
    let Loaded {
        context,
        dockerfile: file,
    } = Loading::new(ops, &lease, options, &agents).load(stdin)?;
    let reading = dockerfile::read(&file.text);
    let platform = options.input.platforms.first();
    let input = PlanInput::new(options, platform, &ops.settings().platform);
    let resolved = here(ops, &reading.file, &input, Breadth::All)?;
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

/// The targets of a Dockerfile. A context called `-` is read from `stdin`.
///
/// # Errors
/// [`BuildError`] if there is none, or it can't be read.
pub fn targets(
    ops: &shiplap_ops::Context,
    options: &BuildOptions,
    stdin: &mut (dyn Read + Send),
) -> Result<Targets, BuildError> {
    let lease = ops.store()?.lease()?;
    let agents = Agents::start(ops, &lease, &options.execution.ssh)?;
    let Loaded { dockerfile, .. } = Loading::new(ops, &lease, options, &agents).load(stdin)?;
    let file = parsed(&dockerfile)?;
    Ok(outline::targets(&file, &dockerfile.text))
}

/// What the target that is wanted takes. A context called `-` is read from `stdin`.
///
/// # Errors
/// [`BuildError`] if there is no Dockerfile, or it can't be read or planned.
pub fn outline(
    ops: &shiplap_ops::Context,
    options: &BuildOptions,
    stdin: &mut (dyn Read + Send),
) -> Result<Outline, BuildError> {
    let lease = ops.store()?.lease()?;
    let agents = Agents::start(ops, &lease, &options.execution.ssh)?;
    let Loaded { dockerfile, .. } = Loading::new(ops, &lease, options, &agents).load(stdin)?;
    let file = parsed(&dockerfile)?;
    let platform = options.input.platforms.first();
    let input = PlanInput::new(options, platform, &ops.settings().platform);
    let resolved = here(ops, &file, &input, Breadth::Target)?;
    let told = outline::outline(&file, &dockerfile.text, &input, &resolved);
    told.map_err(|error| BuildError::in_file(error.into(), &dockerfile.name, &dockerfile.text))
}

/// The file, if nothing in it is wrong.
fn parsed(dockerfile: &context::Dockerfile) -> Result<Dockerfile, BuildError> {
    let reading = dockerfile::read(&dockerfile.text);
    if reading.errors.is_empty() {
        return Ok(reading.file);
    }
    let errors = SyntaxErrors(reading.errors);
    let cause = Cause::Syntax(errors);
    Err(BuildError::in_file(
        cause,
        &dockerfile.name,
        &dockerfile.text,
    ))
}

/// The base images that are here. One that is not, or whose place the Dockerfile does not say well,
/// is for the checks to tell.
fn here(
    ops: &shiplap_ops::Context,
    file: &Dockerfile,
    input: &PlanInput,
    breadth: Breadth,
) -> Result<Resolved, Cause> {
    let mut resolved = Resolved::default();
    for _ in 0..ROUNDS {
        let Ok(needs) = plan::needs_of(file, input, &resolved, breadth) else {
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
