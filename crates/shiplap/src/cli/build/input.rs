//! Flags that decide what is built from what.

use std::collections::BTreeMap;

use clap::{ArgAction, Args};
use shiplap_build::options::Input;
use shiplap_model::{Platform, Reference};

use super::FlagError;

#[derive(Debug, Args)]
#[command(next_help_heading = "Input Options")]
pub(super) struct InputFlags {
    /// Additional build contexts (e.g., name=path)
    #[arg(long, value_name = "name=path")]
    build_context: Vec<String>,
    /// Name of the Dockerfile (default: "PATH/Dockerfile")
    #[arg(short, long, value_name = "string")]
    file: Option<String>,
    /// Set target platform for build; several make an index
    #[arg(long, value_name = "string")]
    platform: Vec<String>,
    /// Always attempt to pull all referenced images
    #[arg(long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pull: bool,
    /// Set the target build stage to build
    #[arg(long, value_name = "string")]
    target: Option<String>,
}

impl InputFlags {
    pub(super) fn into_options(self, context: String) -> Result<Input, FlagError> {
        Ok(Input {
            context,
            file: self.file.filter(|file| !file.is_empty()),
            named_contexts: named_contexts(&self.build_context)?,
            target: self.target.filter(|target| !target.is_empty()),
            platforms: platforms(&self.platform)?,
            pull: self.pull,
        })
    }
}

fn named_contexts(flags: &[String]) -> Result<BTreeMap<String, String>, FlagError> {
    let mut contexts = BTreeMap::new();
    for flag in flags.iter().filter(|flag| !flag.is_empty()) {
        let (name, value) = flag
            .split_once('=')
            .ok_or_else(|| FlagError::Context(flag.clone()))?;
        let reference = Reference::parse(name).map_err(|source| FlagError::ContextName {
            name: name.to_owned(),
            source,
        })?;
        let name = reference.familiar();
        let name = name.strip_suffix(":latest").unwrap_or(&name);
        contexts.insert(name.to_owned(), value.to_owned());
    }
    Ok(contexts)
}

/// The platforms in order, each once.
fn platforms(flags: &[String]) -> Result<Vec<Platform>, FlagError> {
    let mut platforms = Vec::new();
    for text in flags.iter().flat_map(|flag| flag.split(',')) {
        let text = text.trim();
        let platform: Platform = match text {
            "" => continue,
            "local" => Platform::host(),
            text => text.parse().map_err(|source| FlagError::Platform {
                text: text.to_owned(),
                source,
            })?,
        };
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}
