//! `--mount`: a mount as a line of `key=value` fields (Docker's `opts.MountOpt`), and what holds
//! for every mount.
//!
//! What a path is on the host, whoever mounts it finds out.

use super::volume::check_volume_name;
use super::{Mount, MountSource, memory, name::NameError};
use crate::csv::{self, QuoteError};
use crate::units::UnitError;

/// How mounts below a bind mount pass through it.
const PROPAGATIONS: [&str; 6] = [
    "private", "rprivate", "rshared", "rslave", "shared", "slave",
];

/// Why a text is no mount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// Quotes that can't be understood.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// A field without `=`.
    #[error("invalid field '{0}' must be a key=value pair")]
    Field(String),
    /// A key that Docker doesn't know either.
    #[error("unexpected key '{key}' in '{field}'")]
    Key {
        /// Which.
        key: String,
        /// Where.
        field: String,
    },
    /// A key of Docker's that is not to be had here.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// A value that its key can't have.
    #[error("invalid value for {key}: {value}")]
    Value {
        /// Which key.
        key: String,
        /// What it was given.
        value: String,
    },
    /// A size that is none.
    #[error("invalid value for {key}: {source}")]
    Size {
        /// Which key.
        key: String,
        /// Why it is none.
        source: UnitError,
    },
    /// A kind that can't be mounted.
    #[error("mount type {0:?} is not supported: there are bind, volume and tmpfs")]
    Type(String),
    /// Options of another kind of mount.
    #[error("cannot mix '{options}-*' options with mount type '{kind}'")]
    Mixed {
        /// Whose options.
        options: &'static str,
        /// Which kind it is.
        kind: String,
    },
    /// Nowhere to mount it.
    #[error("target is required")]
    NoTarget,
    /// A bind mount of nothing.
    #[error("source is required for a bind mount")]
    NoSource,
    /// A source where none can be.
    #[error("a tmpfs has no source")]
    Source,
    /// A target that depends on the working directory.
    #[error("invalid mount path: '{0}' mount path must be absolute")]
    Relative(String),
    /// The root itself.
    #[error("destination can't be '/'")]
    Root,
    /// A volume's name that can't be one.
    #[error("{source}; to mount a directory of the host, write its path with a '/'")]
    Name {
        /// Why.
        source: NameError,
    },
    /// A `-v` that is not well-formed.
    #[error("invalid spec: {spec}: {fault}")]
    Spec {
        /// The whole.
        spec: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// A word behind the last colon of a `-v` or `--tmpfs`.
    #[error("invalid mode: {0}")]
    Mode(String),
}

/// Reads `type=bind,source=/a,target=/b,readonly`.
///
/// # Errors
/// [`MountError`].
pub fn parse(spec: &str) -> Result<Mount, MountError> {
    let mut fields = Fields::default();
    for field in csv::fields(spec)? {
        fields.take(&field)?;
    }
    fields.mount()
}

/// What the fields say, before it is known of which kind the mount is.
#[derive(Debug, Default)]
struct Fields {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    propagation: Option<String>,
    create: bool,
    no_copy: bool,
    size_bytes: Option<u64>,
    mode: Option<u32>,
    /// Kinds that have options of their own here.
    options_of: Vec<&'static str>,
}

impl Fields {
    fn take(&mut self, field: &str) -> Result<(), MountError> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let key = key.to_ascii_lowercase();
        let switches = [
            "readonly",
            "ro",
            "volume-nocopy",
            "bind-nonrecursive",
            "bind-create-src",
        ];
        let value = match value {
            Some(value) => value,
            None if switches.contains(&key.as_str()) => "true",
            None => return Err(MountError::Field(field.to_owned())),
        };
        for kind in ["bind", "volume", "tmpfs"] {
            if key
                .strip_prefix(kind)
                .is_some_and(|rest| rest.starts_with('-'))
            {
                self.options_of.push(kind);
            }
        }
        let text = || Some(value.to_owned());
        let wrong = || MountError::Value {
            key: key.clone(),
            value: value.to_owned(),
        };
        match key.as_str() {
            "type" => self.kind = Some(value.to_ascii_lowercase()),
            "source" | "src" => self.source = text(),
            "target" | "dst" | "destination" => self.target = text(),
            "readonly" | "ro" => self.read_only = switch(value).ok_or_else(wrong)?,
            // They only ever meant something to Docker Desktop.
            "consistency" => {}
            "bind-propagation" if PROPAGATIONS.contains(&value) => self.propagation = text(),
            "bind-propagation" => return Err(wrong()),
            "bind-create-src" => self.create = switch(value).ok_or_else(wrong)?,
            "bind-recursive" if value == "enabled" => {}
            "bind-nonrecursive" if switch(value) == Some(false) => {}
            "volume-nocopy" => self.no_copy = switch(value).ok_or_else(wrong)?,
            "volume-driver" if value == "local" => {}
            "tmpfs-size" => {
                let size = memory::parse(value);
                let size = size.map_err(|source| MountError::Size {
                    key: key.clone(),
                    source,
                })?;
                self.size_bytes = Some(size).filter(|bytes| *bytes > 0);
            }
            "tmpfs-mode" => self.mode = Some(parse_mode(value).ok_or_else(wrong)?),
            "bind-recursive" | "bind-nonrecursive" | "volume-driver" | "volume-opt"
            | "volume-label" | "volume-subpath" | "image-subpath" => {
                return Err(MountError::Unsupported(field.to_owned()));
            }
            _ => {
                return Err(MountError::Key {
                    key,
                    field: field.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn mount(self) -> Result<Mount, MountError> {
        let kind = self.kind.unwrap_or_else(|| "volume".to_owned());
        if let Some(options) = self.options_of.iter().find(|options| **options != kind) {
            return Err(MountError::Mixed { options, kind });
        }
        let target = self.target.filter(|target| !target.is_empty());
        let target = target.ok_or(MountError::NoTarget)?;
        check_target(&target)?;
        let path = self.source.filter(|source| !source.is_empty());
        let source = match kind.as_str() {
            "bind" => MountSource::Bind {
                path: path.ok_or(MountError::NoSource)?,
                create: self.create,
                propagation: self.propagation,
            },
            "volume" => {
                if let Some(name) = &path {
                    check_volume_name(name)?;
                }
                MountSource::Volume {
                    name: path,
                    copy: !self.no_copy,
                }
            }
            "tmpfs" if path.is_some() => return Err(MountError::Source),
            "tmpfs" => MountSource::Tmpfs {
                size_bytes: self.size_bytes,
                mode: self.mode,
                options: Vec::new(),
            },
            _ => return Err(MountError::Type(kind)),
        };
        Ok(Mount {
            source,
            target,
            read_only: self.read_only,
        })
    }
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Permissions in octal.
pub(super) fn parse_mode(text: &str) -> Option<u32> {
    let mode = u32::from_str_radix(text, 8).ok()?;
    (mode <= 0o7777 && !text.starts_with('+')).then_some(mode)
}

pub(super) fn is_propagation(word: &str) -> bool {
    PROPAGATIONS.contains(&word)
}

/// Whether something can be mounted there at all.
pub(super) fn check_target(target: &str) -> Result<(), MountError> {
    if !target.starts_with('/') {
        return Err(MountError::Relative(target.to_owned()));
    }
    if target.split('/').all(|part| matches!(part, "" | ".")) {
        return Err(MountError::Root);
    }
    Ok(())
}
