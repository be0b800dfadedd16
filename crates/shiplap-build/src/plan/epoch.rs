//! `SOURCE_DATE_EPOCH`: seconds since 1970, or where they are to be taken from: `context`, a named
//! context, or a stage that is nothing but one `ADD` from elsewhere.

use shiplap_model::dockerfile::{self, Kind, TransferSource};

use super::error::{Fault, PlanError};
use super::graph::Graph;
use super::variables::Variables;
use super::{Item, transfer};

/// The argument's name.
pub(super) const NAME: &str = "SOURCE_DATE_EPOCH";

/// Where the seconds come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Epoch {
    /// They are here.
    Seconds(i64),
    /// The build context: its commit's time. Of files there is none.
    Context,
    /// A named context, likewise.
    Named(String),
    /// What an `ADD` takes from elsewhere: a commit's time, a file's, or that of the newest file
    /// of an archive.
    Remote(Item),
}

/// What the argument, or the Dockerfile's own default of it, says.
pub(super) fn of(graph: &Graph<'_>) -> Result<Option<Epoch>, PlanError> {
    let given = graph.input.build_args.get(NAME).map(String::as_str);
    let text = given.or_else(|| graph.globals.get(NAME));
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if let Ok(seconds) = text.parse() {
        return Ok(Some(Epoch::Seconds(seconds)));
    }
    if text == "context" {
        return Ok(Some(Epoch::Context));
    }
    if let Some((name, _)) = graph.input.named_context(text) {
        return Ok(Some(Epoch::Named(name)));
    }
    let stages = graph.file.stages.iter();
    let mut named = stages.filter(|stage| {
        let name = stage.from.name.as_deref();
        name.is_some_and(|name| name.eq_ignore_ascii_case(text))
    });
    let Some(stage) = named.next() else {
        return Err(PlanError {
            span: None,
            fault: Fault::SourceDateEpoch(text.to_owned()),
        });
    };
    match remote(graph, stage) {
        Ok(item) => Ok(Some(Epoch::Remote(item))),
        Err(fault) => Err(fault.at(stage.span)),
    }
}

/// The one thing that a stage takes from elsewhere.
fn remote(graph: &Graph<'_>, stage: &dockerfile::Stage) -> Result<Item, Fault> {
    let escape = graph.file.escape;
    let mut variables = graph.globals.clone();
    variables.remove(NAME);
    if variables.expand(&stage.from.image, escape)? != "scratch" {
        return Err(Fault::EpochStage);
    }
    let mut found = None;
    for instruction in &stage.instructions {
        match &instruction.kind {
            Kind::Arg(arguments) => {
                for argument in arguments {
                    set(graph, &mut variables, argument)?;
                }
            }
            Kind::Add(add) if found.is_none() => {
                let [TransferSource::Path(source)] = add.sources.as_slice() else {
                    return Err(Fault::EpochStage);
                };
                let source = variables.expand(source, escape)?;
                found = Some(match transfer::item(source, true)? {
                    Item::Path(_) | Item::Inline { .. } => return Err(Fault::EpochStage),
                    item => item,
                });
            }
            _ => return Err(Fault::EpochStage),
        }
    }
    found.ok_or(Fault::EpochStage)
}

fn set(
    graph: &Graph<'_>,
    variables: &mut Variables,
    argument: &dockerfile::ArgDeclaration,
) -> Result<(), Fault> {
    let given = graph.input.build_args.get(&argument.name);
    let value = match (given, &argument.default) {
        (Some(given), _) => Some(given.clone()),
        (None, Some(default)) => Some(variables.expand(default, graph.file.escape)?),
        (None, None) => None,
    };
    if let Some(value) = value {
        variables.set(&argument.name, &value);
    }
    Ok(())
}
