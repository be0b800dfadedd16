//! The flags of one instruction, checked against those it knows.

use super::error::Fault;
use super::suggestion::Meant;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, `true` or `false`.
    Boolean,
    /// One value.
    Value,
    /// One value, and it may come again.
    Values,
}

/// The flags that were given, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flags {
    given: Vec<(&'static str, String)>,
}

impl Flags {
    /// Checks `--name[=value]`s.
    pub(super) fn read(flags: &[String], known: &[(&'static str, Takes)]) -> Result<Self, Fault> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        for text in flags {
            let (flag, value) = match text.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (text.as_str(), None),
            };
            let name = flag.strip_prefix("--").unwrap_or(flag);
            let Some((name, takes)) = known.iter().copied().find(|(known, _)| *known == name)
            else {
                return Err(Fault::UnknownFlag {
                    flag: flag.to_owned(),
                    meant: Meant::among(name, known.iter().map(|(known, _)| *known)),
                });
            };
            if takes != Takes::Values && given.iter().any(|(given, _)| *given == name) {
                return Err(Fault::DuplicateFlag(flag.to_owned()));
            }
            let value = match (takes, value) {
                (Takes::Boolean, None) => "true",
                (Takes::Boolean, Some(value)) => boolean(flag, value)?,
                (_, Some(value)) => value,
                (_, None) => return Err(Fault::FlagWithoutValue(flag.to_owned())),
            };
            given.push((name, value.to_owned()));
        }
        Ok(Self { given })
    }

    /// The value given, even an empty one.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        let flag = self.given.iter().find(|(given, _)| *given == name);
        flag.map(|(_, value)| value.as_str())
    }

    /// The value given; an empty one is as good as none.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let value = self.given(name).filter(|value| !value.is_empty());
        value.map(str::to_owned)
    }

    /// All values given.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        let flags = self.given.iter().filter(|(given, _)| *given == name);
        flags.map(|(_, value)| value.clone()).collect()
    }

    /// What a boolean was set to.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.given(name).map(|value| value == "true")
    }
}

fn boolean(flag: &str, value: &str) -> Result<&'static str, Fault> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok("true"),
        "false" => Ok("false"),
        "" => Err(Fault::FlagWithoutValue(flag.to_owned())),
        _ => Err(Fault::FlagBoolean {
            flag: flag.to_owned(),
            value: value.to_owned(),
        }),
    }
}
