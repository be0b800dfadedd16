//! Which checks are wanted: `skip=A,B;error=true;experimental=all`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use shiplap_model::dockerfile;

use super::Rule;

/// Words that say no such thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not `skip=`, `error=` or `experimental=`.
    #[error("parse check options: invalid check option {0:?}")]
    Option(String),
    /// `error=` with something else than a boolean.
    #[error("parse check option {0:?}: want true or false")]
    Boolean(String),
}

/// Some rules, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rules {
    all: bool,
    names: BTreeSet<String>,
}

/// Which checks are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    skipped: Rules,
    experimental: Rules,
    /// Warnings fail the build.
    pub(super) is_error: bool,
}

impl Settings {
    pub(super) fn read(text: &str) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for part in text.trim().split(';').filter(|_| !text.trim().is_empty()) {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| SettingsError::Option(part.to_owned()))?;
            let value = value.trim();
            match key.trim() {
                "skip" => settings.skipped = Rules::read(value),
                "experimental" => settings.experimental = Rules::read(value),
                "error" => {
                    settings.is_error = match value {
                        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                        _ => return Err(SettingsError::Boolean(part.to_owned())),
                    }
                }
                key => return Err(SettingsError::Option(key.to_owned())),
            }
        }
        Ok(settings)
    }

    /// These, and what the comments before an instruction add to them for it.
    pub(super) fn within(&self, comments: &[String]) -> Cow<'_, Self> {
        let said = comments
            .iter()
            .find_map(|comment| dockerfile::check_of(comment));
        match said.map(|text| Self::read(&text)) {
            Some(Ok(said)) => Cow::Owned(Self {
                skipped: self.skipped.and(&said.skipped),
                experimental: self.experimental.and(&said.experimental),
                is_error: self.is_error,
            }),
            Some(Err(_)) | None => Cow::Borrowed(self),
        }
    }

    /// Whether a rule of this name is not wanted.
    pub(super) fn skips(&self, name: &str) -> bool {
        self.skipped.all || self.skipped.names.contains(name)
    }

    pub(super) fn want(&self, rule: Rule) -> bool {
        match rule.is_experimental() {
            true => self.experimental.have(rule),
            false => !self.skipped.have(rule),
        }
    }
}

impl Rules {
    fn read(value: &str) -> Self {
        if value == "all" {
            return Self {
                all: true,
                names: BTreeSet::new(),
            };
        }
        let names = value.split(',').map(|name| name.trim().to_owned());
        Self {
            all: false,
            names: names.collect(),
        }
    }

    fn have(&self, rule: Rule) -> bool {
        self.all || self.names.contains(rule.name())
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            all: self.all || other.all,
            names: self.names.union(&other.names).cloned().collect(),
        }
    }
}
