//! `RUN --mount=…`: a line of comma-separated `key=value`.
//!
//! Read twice: when the file is parsed, with variables as they stand, and when the build is
//! planned, with what they are.

use super::ast::{Mount, MountType};
use super::suggestion::Meant;
use crate::csv::{self, QuoteError};
use crate::expansion::ExpansionError;
use crate::units::{self, SizeBase};

/// Why a mount is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountFault {
    /// Quotes that can't be understood.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// A value that can't be expanded.
    #[error(transparent)]
    Expansion(#[from] ExpansionError),
    /// A field without `=`.
    #[error("invalid field '{0}' must be a key=value pair")]
    Field(String),
    /// No such key.
    #[error("unexpected key '{key}' in '{field}'{meant}")]
    Key {
        /// In lower case.
        key: String,
        /// The whole field.
        field: String,
        /// What may have been meant.
        meant: Meant,
    },
    /// A key that the type does not have.
    #[error("unexpected key '{key}' for mount type '{kind}'")]
    KeyOfType {
        /// The key.
        key: &'static str,
        /// The type.
        kind: MountType,
    },
    /// A value that the key does not take.
    #[error("invalid value for {key}: {value}")]
    Value {
        /// The key.
        key: String,
        /// As given.
        value: String,
    },
    /// No such type.
    #[error("unsupported mount type {kind:?}{meant}")]
    Type {
        /// As given.
        kind: String,
        /// What may have been meant.
        meant: Meant,
    },
    /// No such way to share.
    #[error("unsupported sharing value {sharing:?}{meant}")]
    Sharing {
        /// As given.
        sharing: String,
        /// What may have been meant.
        meant: Meant,
    },
    /// A variable in `from`: stages are known before variables are.
    #[error("'from' doesn't support variable expansion, define alias stage instead")]
    FromVariable(String),
    /// `mode`, `uid` or `gid` of a type that takes none.
    #[error("{key} not allowed for {kind} type mounts")]
    Owner {
        /// The key.
        key: &'static str,
        /// The type.
        kind: MountType,
    },
    /// `from` of a secret.
    #[error("secret mount should not have a from")]
    SecretFrom,
    /// `sharing` of something that is no cache.
    #[error("invalid cache sharing set for {0} mount")]
    SharingOfType(MountType),
    /// A secret without a name.
    #[error("invalid secret mount. one of source, target required")]
    SecretName,
    /// A secret with two names.
    #[error("both source and id can't be set")]
    SecretNames,
}

impl MountFault {
    pub(super) fn word(&self) -> Option<&str> {
        Some(match self {
            Self::Field(word)
            | Self::Key { key: word, .. }
            | Self::Type { kind: word, .. }
            | Self::Sharing { sharing: word, .. }
            | Self::FromVariable(word)
            | Self::Value { value: word, .. } => word,
            Self::KeyOfType { key, .. } | Self::Owner { key, .. } => key,
            _ => return None,
        })
    }
}

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

const TYPES: [(&str, MountType); 5] = [
    ("bind", MountType::Bind),
    ("cache", MountType::Cache),
    ("tmpfs", MountType::Tmpfs),
    ("secret", MountType::Secret),
    ("ssh", MountType::Ssh),
];

const SHARINGS: [&str; 3] = ["shared", "private", "locked"];

impl std::fmt::Display for MountType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = TYPES.iter().find(|(_, kind)| kind == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// Expands a value.
type Expand<'e> = dyn FnMut(&str) -> Result<String, ExpansionError> + 'e;

impl Mount {
    /// Reads the flag's value, each value in it expanded.
    ///
    /// # Errors
    /// [`MountFault`].
    pub fn read(text: &str, expand: &mut Expand<'_>) -> Result<Self, MountFault> {
        let mut mount = Self::empty(text);
        for field in csv::fields(text)? {
            mount.take(&field, expand)?;
        }
        mount.check()?;
        Ok(mount)
    }

    /// This mount with its values expanded.
    ///
    /// # Errors
    /// [`MountFault`].
    pub fn expanded(&self, expand: &mut Expand<'_>) -> Result<Self, MountFault> {
        Self::read(&self.text, expand)
    }

    /// The mount as written. What a variable may still change is not judged.
    pub(super) fn written(text: &str) -> Result<Self, MountFault> {
        let mut mount = Self::empty(text);
        let mut is_open = false;
        for field in csv::fields(text)? {
            let (key, value) = field.split_once('=').unwrap_or((&field, ""));
            let has_variable = value.contains('$');
            if has_variable && key.eq_ignore_ascii_case("from") && !value.ends_with('$') {
                return Err(MountFault::FromVariable(value.to_owned()));
            }
            match mount.take(&field, &mut |value| Ok(value.to_owned())) {
                Err(_) if has_variable => is_open = true,
                taken => taken?,
            }
        }
        if !is_open {
            mount.check()?;
        }
        Ok(mount)
    }

    fn empty(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            kind: MountType::Bind,
            from: None,
            source: None,
            target: None,
            read_only: None,
            id: None,
            sharing: None,
            required: false,
            env: None,
            mode: None,
            uid: None,
            gid: None,
            size: None,
        }
    }

    fn take(&mut self, field: &str, expand: &mut Expand<'_>) -> Result<(), MountFault> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let key = key.to_ascii_lowercase();
        let Some(value) = value else {
            match key.as_str() {
                "readonly" | "ro" => self.read_only = Some(true),
                "readwrite" | "rw" => self.read_only = Some(false),
                "required" => self.required = true,
                _ => return Err(MountFault::Field(field.to_owned())),
            }
            return Ok(());
        };
        let value = expand(value)?;
        match key.as_str() {
            "type" => self.kind = kind(&value)?,
            "from" => self.from = filled(value),
            "source" | "src" => self.source = filled(value),
            "target" | "dst" | "destination" => self.target = filled(value),
            "readonly" | "ro" => self.read_only = Some(boolean(&key, &value)?),
            "readwrite" | "rw" => self.read_only = Some(!boolean(&key, &value)?),
            "required" => self.required = boolean(&key, &value)?,
            "size" => self.size = Some(checked(&key, value, is_size)?),
            "id" => self.id = filled(value),
            "sharing" => self.sharing = Some(sharing(&value)?),
            "mode" => self.mode = Some(checked(&key, value, |text| is_number(text, 8))?),
            "uid" => self.uid = Some(checked(&key, value, |text| is_number(text, 10))?),
            "gid" => self.gid = Some(checked(&key, value, |text| is_number(text, 10))?),
            "env" => self.env = Some(value),
            _ => {
                return Err(MountFault::Key {
                    meant: Meant::among(&key, KEYS),
                    key,
                    field: field.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Judges what the type allows.
    fn check(&self) -> Result<(), MountFault> {
        let kind = self.kind;
        let is_secret = matches!(kind, MountType::Secret | MountType::Ssh);
        if self.required && !is_secret {
            let key = "required";
            return Err(MountFault::KeyOfType { key, kind });
        }
        if self.size.is_some() && kind != MountType::Tmpfs {
            return Err(MountFault::KeyOfType { key: "size", kind });
        }
        if !is_secret && kind != MountType::Cache {
            let keys = [("mode", &self.mode), ("uid", &self.uid), ("gid", &self.gid)];
            if let Some((key, _)) = keys.into_iter().find(|(_, value)| value.is_some()) {
                return Err(MountFault::Owner { key, kind });
            }
        }
        if self.sharing.is_some() && kind != MountType::Cache {
            return Err(MountFault::SharingOfType(kind));
        }
        if kind == MountType::Secret {
            match self {
                Self { from: Some(_), .. } => return Err(MountFault::SecretFrom),
                Self {
                    source: None,
                    target: None,
                    id: None,
                    ..
                } => return Err(MountFault::SecretName),
                Self {
                    source: Some(_),
                    id: Some(_),
                    ..
                } => return Err(MountFault::SecretNames),
                _ => {}
            }
        }
        Ok(())
    }
}

fn filled(value: String) -> Option<String> {
    (!value.is_empty()).then_some(value)
}

fn kind(value: &str) -> Result<MountType, MountFault> {
    let known = TYPES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(value));
    known
        .map(|(_, kind)| *kind)
        .ok_or_else(|| MountFault::Type {
            kind: value.to_owned(),
            meant: Meant::among(value, TYPES.map(|(name, _)| name)),
        })
}

fn sharing(value: &str) -> Result<String, MountFault> {
    let lower = value.to_ascii_lowercase();
    if SHARINGS.contains(&lower.as_str()) {
        return Ok(lower);
    }
    Err(MountFault::Sharing {
        sharing: value.to_owned(),
        meant: Meant::among(value, SHARINGS),
    })
}

/// A boolean as Go's `strconv` reads it.
pub(super) fn boolean_of(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, MountFault> {
    boolean_of(value).ok_or_else(|| MountFault::Value {
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

fn checked(
    key: &str,
    value: String,
    is_right: impl Fn(&str) -> bool,
) -> Result<String, MountFault> {
    if is_right(&value) {
        return Ok(value);
    }
    Err(MountFault::Value {
        key: key.to_owned(),
        value,
    })
}

fn is_size(value: &str) -> bool {
    units::parse_size(value, SizeBase::Binary).is_ok()
}

fn is_number(value: &str, radix: u32) -> bool {
    !value.starts_with('+') && u32::from_str_radix(value, radix).is_ok()
}
