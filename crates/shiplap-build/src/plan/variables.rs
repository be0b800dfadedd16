//! Variables of a stage while its instructions are read: `ENV` and `ARG` set the same ones, the
//! later wins; and the arguments that the Dockerfile's first lines know.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use shiplap_model::Platform;
use shiplap_model::dockerfile::{Instruction, Kind};
use shiplap_model::expansion::{self, ExpansionError};

use super::PlanInput;
use super::budget::Budget;
use super::epoch;
use super::error::{Fault, PlanError};

/// Names and values, in the order in which they were set last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables {
    /// By the turn in which they were set.
    entries: BTreeMap<u64, (Rc<str>, String)>,
    /// In which turn each was set.
    turns: HashMap<Rc<str>, u64>,
    /// The turn of what is set next.
    next: u64,
    /// Whatever is expanded is taken from it.
    pub(super) budget: Budget,
}

impl Variables {
    /// Those of `NAME=value`s.
    pub(super) fn of(pairs: &[String], budget: &Budget) -> Self {
        let mut variables = Self {
            budget: budget.clone(),
            ..Self::default()
        };
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            variables.set(name, value);
        }
        variables
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.entries.get(self.turns.get(name)?)?;
        Some(value)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        let name: Rc<str> = name.into();
        self.turns.insert(Rc::clone(&name), self.next);
        self.entries.insert(self.next, (name, value.to_owned()));
        self.next += 1;
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(turn) = self.turns.remove(name) {
            self.entries.remove(&turn);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .values()
            .map(|(name, value)| (&**name, value.as_str()))
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

/// `ARG`s in scope, in the order in which they were declared first, with their values if they have one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    entries: Vec<(String, Option<String>)>,
    places: HashMap<String, usize>,
}

impl Arguments {
    pub(super) fn declare(&mut self, name: &str, value: Option<String>) {
        let known = self.places.get(name).copied();
        match known.and_then(|place| self.entries.get_mut(place)) {
            Some((_, old)) => *old = value,
            None => {
                self.places.insert(name.to_owned(), self.entries.len());
                self.entries.push((name.to_owned(), value));
            }
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let entries = self.entries.iter();
        entries.map(|(name, value)| (name.as_str(), value.as_deref()))
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
