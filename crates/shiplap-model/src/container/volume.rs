//! `-v`: `[source:]target[:options]` (Docker's `volumespec`, and what its daemon takes of it).
//!
//! A source with a `/` at its begin, or a `.` or `~`, is a path, and kept as it is; any other is a
//! volume's name.

use super::mount::{MountError, check_target, is_propagation};
use super::{Mount, MountSource, name};

/// Reads `/data`, `name:/data`, `./here:/data:ro`.
///
/// # Errors
/// [`MountError`].
pub fn parse(spec: &str) -> Result<Mount, MountError> {
    let wrong = |fault| MountError::Spec {
        spec: spec.to_owned(),
        fault,
    };
    let parts: Vec<&str> = spec.split(':').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(wrong("empty section between colons"));
    }
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(wrong("too many colons")),
    };
    check_target(target)?;
    let is_path = source.is_some_and(|source| source.starts_with(['/', '.', '~']));
    let options = Options::parse(options, is_path)?;
    let source = match source {
        Some(path) if is_path => MountSource::Bind {
            path: path.to_owned(),
            // Where `~` was not expanded, a directory of that name is not what is meant.
            create: !path.starts_with('~'),
            propagation: options.propagation,
        },
        name => {
            if let Some(name) = name {
                check_volume_name(name)?;
            }
            MountSource::Volume {
                name: name.map(ToOwned::to_owned),
                copy: !options.no_copy,
            }
        }
    };
    Ok(Mount {
        source,
        target: target.to_owned(),
        read_only: options.read_only,
    })
}

#[derive(Debug, Default)]
struct Options {
    read_only: bool,
    no_copy: bool,
    propagation: Option<String>,
}

impl Options {
    fn parse(text: &str, is_path: bool) -> Result<Self, MountError> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let group = match word {
                "ro" | "rw" => {
                    options.read_only = word == "ro";
                    "access"
                }
                // There is no SELinux label to give.
                "z" | "Z" => "label",
                // They only ever meant something to Docker Desktop.
                "consistent" | "cached" | "delegated" => "consistency",
                "nocopy" if !is_path => {
                    options.no_copy = true;
                    "copy"
                }
                word if is_path && is_propagation(word) => {
                    options.propagation = Some(word.to_owned());
                    "propagation"
                }
                _ => return Err(MountError::Mode(text.to_owned())),
            };
            if seen.contains(&group) {
                return Err(MountError::Mode(text.to_owned()));
            }
            seen.push(group);
        }
        Ok(options)
    }
}

pub(super) fn check_volume_name(volume: &str) -> Result<(), MountError> {
    name::check(volume).map_err(|source| MountError::Name { source })
}
