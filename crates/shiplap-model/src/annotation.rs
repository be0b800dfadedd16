//! `--annotation [TYPE[PLATFORM],…:]NAME=VALUE`: what is said of an image in its manifest, its
//! index, or where those are named.

use std::collections::BTreeMap;

use crate::Platform;

#[cfg(test)]
mod tests;

/// What is said of the image of one platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// In its manifest.
    pub manifest: BTreeMap<String, String>,
    /// Where the index names it.
    pub descriptor: BTreeMap<String, String>,
}

/// An annotation of something that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// No such type.
    #[error(
        "read annotation {name:?}: {kind:?} is none of manifest, index, manifest-descriptor, index-descriptor"
    )]
    Type {
        /// As given.
        name: String,
        /// The word that is no type.
        kind: String,
    },
    /// Not a platform.
    #[error("read annotation {name:?}: {platform:?} is not a platform")]
    Platform {
        /// As given.
        name: String,
        /// The word that is none.
        platform: String,
    },
    /// No name.
    #[error("read annotation {0:?}: it has no name")]
    NoName(String),
}

/// For what an annotation is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Manifest(Option<Platform>),
    Descriptor(Option<Platform>),
    Index,
    /// Where an index is named: there is no such place but in an archive's own list, which has none.
    IndexDescriptor,
}

impl Annotations {
    /// Those of `given` (name with what stands before it, value) that are for `platform`.
    ///
    /// # Errors
    /// [`AnnotationError`].
    pub fn of(given: &[(String, String)], platform: &Platform) -> Result<Self, AnnotationError> {
        let fits = |wanted: &Option<Platform>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.normalize() == platform.normalize())
        };
        let mut annotations = Self::default();
        for (text, value) in given {
            let (subjects, name) = read(text)?;
            for subject in subjects {
                let place = match subject {
                    Subject::Manifest(wanted) if fits(&wanted) => &mut annotations.manifest,
                    Subject::Descriptor(wanted) if fits(&wanted) => &mut annotations.descriptor,
                    _ => continue,
                };
                place.insert(name.to_owned(), value.clone());
            }
        }
        Ok(annotations)
    }

    /// Those of `given` that are for the index.
    ///
    /// # Errors
    /// [`AnnotationError`].
    pub fn of_index(
        given: &[(String, String)],
    ) -> Result<BTreeMap<String, String>, AnnotationError> {
        let mut annotations = BTreeMap::new();
        for (text, value) in given {
            let (subjects, name) = read(text)?;
            if subjects.contains(&Subject::Index) {
                annotations.insert(name.to_owned(), value.clone());
            }
        }
        Ok(annotations)
    }
}

/// Whether an annotation (its name, with what stands before it) is for manifests themselves.
///
/// # Errors
/// [`AnnotationError`].
pub fn is_for_manifests(text: &str) -> Result<bool, AnnotationError> {
    let (subjects, _) = read(text)?;
    let is_manifest = |subject: &Subject| matches!(subject, Subject::Manifest(_));
    Ok(subjects.iter().any(is_manifest))
}

/// What stands before a name, and the name. A colon alone makes no type: names have them too.
fn read(text: &str) -> Result<(Vec<Subject>, &str), AnnotationError> {
    let (subjects, name) = match text.split_once(':') {
        Some((types, name)) if is_type_like(types) => {
            let subjects: Result<_, _> = types.split(',').map(|kind| subject(text, kind)).collect();
            (subjects?, name)
        }
        _ => (vec![Subject::Manifest(None)], text),
    };
    match name {
        "" => Err(AnnotationError::NoName(text.to_owned())),
        name => Ok((subjects, name)),
    }
}

/// Whether it begins like a type: then a wrong one is a mistake, not part of a name.
fn is_type_like(types: &str) -> bool {
    let first = types.split([',', '[']).next().unwrap_or_default();
    first.starts_with("manifest") || first.starts_with("index")
}

fn subject(text: &str, kind: &str) -> Result<Subject, AnnotationError> {
    let (kind, platform) = match kind.split_once('[') {
        Some((kind, rest)) => {
            let word = rest.strip_suffix(']').unwrap_or(rest);
            let platform = word.parse().map_err(|_| AnnotationError::Platform {
                name: text.to_owned(),
                platform: word.to_owned(),
            })?;
            (kind, Some(platform))
        }
        None => (kind, None),
    };
    Ok(match kind {
        "manifest" => Subject::Manifest(platform),
        "manifest-descriptor" => Subject::Descriptor(platform),
        "index" => Subject::Index,
        "index-descriptor" => Subject::IndexDescriptor,
        other => {
            return Err(AnnotationError::Type {
                name: text.to_owned(),
                kind: other.to_owned(),
            });
        }
    })
}
