//! Flags that decide what the Dockerfile sees, and what is written beside it.

use std::collections::BTreeMap;

use clap::Args;
use shiplap_build::options::Values;
use shiplap_model::container::label;

use super::{FlagError, Lookup};

/// The time that stands for now, in builds that are to be repeated
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

#[derive(Debug, Args)]
#[command(next_help_heading = "Value Options")]
pub(super) struct ValueFlags {
    /// Add annotation to the image
    #[arg(long, value_name = "key=value")]
    annotation: Vec<String>,
    /// Set build-time variables; without a value, that of the environment
    #[arg(long, value_name = "name[=value]")]
    build_arg: Vec<String>,
    /// Set metadata for an image
    #[arg(long, value_name = "key=value", value_parser = label::parse)]
    label: Vec<(String, String)>,
}

impl ValueFlags {
    pub(super) fn into_options(self, lookup: Lookup) -> Result<Values, FlagError> {
        let mut build_args = BTreeMap::new();
        for flag in self.build_arg.iter().filter(|flag| !flag.is_empty()) {
            let (name, value) = match flag.split_once('=') {
                Some(("", _)) => return Err(FlagError::BuildArg(flag.clone())),
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag.as_str(), lookup(flag)),
            };
            build_args.insert(name.to_owned(), value);
        }
        if !build_args.contains_key(SOURCE_DATE_EPOCH)
            && let Some(value) = lookup(SOURCE_DATE_EPOCH).filter(|value| !value.is_empty())
        {
            build_args.insert(SOURCE_DATE_EPOCH.to_owned(), Some(value));
        }
        let epoch = build_args.get(SOURCE_DATE_EPOCH).cloned().flatten();
        // What else it may say, as `context`, is the build's to know.
        let source_date_epoch = epoch.and_then(|value| value.parse().ok());
        Ok(Values {
            build_args,
            labels: self.label,
            annotations: annotations(&self.annotation)?,
            source_date_epoch,
        })
    }
}

/// What a key is for, as `manifest:` before it, is the build's to know.
fn annotations(flags: &[String]) -> Result<Vec<(String, String)>, FlagError> {
    let given = flags.iter().filter(|flag| !flag.is_empty());
    let pairs = given.map(|flag| match flag.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(FlagError::Annotation(flag.clone())),
    });
    pairs.collect()
}
