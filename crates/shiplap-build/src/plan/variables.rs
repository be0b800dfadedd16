//! Variables of a stage while its instructions are read: `ENV` and `ARG` set the same ones, the
//! later wins; and the arguments that the Dockerfile's first lines know.

use std::collections::BTreeMap;

use shiplap_model::Platform;
use shiplap_model::dockerfile::{Instruction, Kind};
use shiplap_model::expansion::{self, ExpansionError};

use super::PlanInput;
use super::budget::Budget;
use super::epoch;
use super::error::{Fault, PlanError};

/// Names and values, in the order in which they were set last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    entries: Vec<(String, String)>,
    /// Whatever is expanded is taken from it.
    pub(super) budget: Budget,
}

impl Variables {
    /// Those of `NAME=value`s.
    pub(super) fn of(pairs: &[String], budget: &Budget) -> Self {
        let mut variables = Self {
            entries: Vec::new(),
            budget: budget.clone(),
        };
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            variables.set(name, value);
        }
        variables
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let entry = self.entries.iter().rev().find(|(own, _)| own == name);
        entry.map(|(_, value)| value.as_str())
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.entries.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.entries.retain(|(own, _)| own != name);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `NAME=value` of each.
    pub(super) fn pairs(&self) -> Vec<String> {
        self.iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// The word with these in it.
    pub(super) fn expand(&self, word: &str, escape: char) -> Result<String, Fault> {
        let expanded = expansion::expand_word(word, &|name| self.get(name), escape);
        self.taken(expanded.map_err(wrong(word))?)
    }

    /// The words into which blanks split it.
    pub(super) fn expand_words(&self, word: &str, escape: char) -> Result<Vec<String>, Fault> {
        let expanded = expansion::expand_words(word, &|name| self.get(name), escape);
        let words = expanded.map_err(wrong(word))?;
        self.budget.take(words.iter().map(String::len).sum())?;
        Ok(words)
    }

    /// The content of a heredoc with these in it.
    pub(super) fn expand_content(&self, content: &str) -> Result<String, Fault> {
        let expanded = expansion::expand_content(content, &|name| self.get(name));
        self.taken(expanded.map_err(wrong(content))?.text)
    }

    fn taken(&self, text: String) -> Result<String, Fault> {
        self.budget.take(text.len())?;
        Ok(text)
    }
}

/// Puts the word, or its beginning, before what is wrong with it.
pub(super) fn wrong(word: &str) -> impl Fn(ExpansionError) -> Fault + '_ {
    move |source| Fault::Expansion {
        word: word.chars().take(200).collect(),
        source,
    }
}

/// Arguments that `FROM` knows, and that an `ARG` without a value takes up: the platforms', and
/// those declared before the first `FROM`.
pub(super) fn global(
    declared: &[Instruction],
    escape: char,
    target: &str,
    input: &PlanInput,
) -> Result<Variables, PlanError> {
    let mut variables = predefined(target, input);
    for instruction in declared {
        let Kind::Arg(arguments) = &instruction.kind else {
            continue;
        };
        for argument in arguments {
            let value = match (input.build_args.get(&argument.name), &argument.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(
                    variables
                        .expand(default, escape)
                        .map_err(|fault| fault.at(instruction.span))?,
                ),
                (None, None) => None,
            };
            if let Some(value) = value {
                variables.set(&argument.name, &value);
            }
        }
    }
    Ok(variables)
}

fn predefined(target: &str, input: &PlanInput) -> Variables {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (build, wanted) = (&input.build_platform, input.target_platform());
    let without_version = Platform {
        os_version: None,
        ..build.clone()
    };
    let values: [(&str, String); 11] = [
        ("BUILDPLATFORM", without_version.to_string()),
        ("BUILDOS", build.os.clone()),
        ("BUILDOSVERSION", text(&build.os_version)),
        ("BUILDARCH", build.architecture.clone()),
        ("BUILDVARIANT", text(&build.variant)),
        ("TARGETPLATFORM", wanted.to_string()),
        ("TARGETOS", wanted.os.clone()),
        ("TARGETOSVERSION", text(&wanted.os_version)),
        ("TARGETARCH", wanted.architecture.clone()),
        ("TARGETVARIANT", text(&wanted.variant)),
        ("TARGETSTAGE", target.to_owned()),
    ];
    let mut variables = Variables::default();
    for (name, value) in values {
        variables.set(name, input.build_args.get(name).unwrap_or(&value));
    }
    variables
}

/// Whether an argument means something without being declared.
pub(super) fn is_predefined(name: &str) -> bool {
    const FRONTEND: &str = "BUILDKIT_";
    let platform = name
        .strip_prefix("BUILD")
        .or_else(|| name.strip_prefix("TARGET"))
        .is_some_and(|rest| {
            ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT", "STAGE"].contains(&rest)
        });
    let proxy = PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy));
    platform || proxy || name == epoch::NAME || name.starts_with(FRONTEND)
}

const PROXIES: [&str; 5] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
];

/// Proxies for commands: those of the build arguments, in both spellings, whether declared or not.
pub(super) fn proxies(build_args: &BTreeMap<String, String>) -> Vec<String> {
    let mut pairs = Vec::new();
    for name in PROXIES {
        let given = build_args
            .iter()
            .rfind(|(own, _)| own.eq_ignore_ascii_case(name));
        if let Some((_, value)) = given.filter(|(_, value)| !value.is_empty()) {
            pairs.push(format!("{}={value}", name.to_ascii_uppercase()));
            pairs.push(format!("{name}={value}"));
        }
    }
    pairs
}
