//! Lists of manifests that a user makes here, entry by entry, before they are pushed as an index.
//!
//! A list is a directory `manifests/<hex>` of the store, by the SHA-256 of its name; an entry is a file in it, by that
//! of its own. So two commands that add to one list never undo each other's work, and each file is whole or not there.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shiplap_model::{Descriptor, Digest, Document, Index, Platform, Reference};

use super::join::index_of;
use super::{JoinOptions, ManifestError, Part, described, find, join, parts, publish};
use crate::context::Context;
use crate::progress::Progress;

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What it was named by.
    pub reference: Reference,
    /// What the index will say of it.
    pub descriptor: Descriptor,
}

/// What to say of an entry; what is not said stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Architecture.
    pub architecture: Option<String>,
    /// Operating system.
    pub os: Option<String>,
    /// Its version.
    pub os_version: Option<String>,
    /// Features of it that are needed, beside those that are said already.
    pub os_features: Vec<String>,
    /// Variant of the architecture.
    pub variant: Option<String>,
}

/// Makes a list of what `members` name in their registries, or with `amend` adds it to one that is there. An index among
/// them gives what it names.
///
/// # Errors
/// [`ManifestError`]; nothing is kept then of what is new.
pub fn create(
    context: &Context,
    list: &Reference,
    members: &[Reference],
    amend: bool,
) -> Result<(), ManifestError> {
    let list = list.or_latest();
    if !amend && members_of(context, &list)?.is_some() {
        return Err(ManifestError::Exists { list });
    }
    let mut entries = Vec::new();
    for member in members {
        let found = find(context, member)?;
        let is_index = matches!(found.document, Document::Index(_));
        for part in parts(context, &found)? {
            let reference = if is_index {
                part.by_digest()
            } else {
                found.reference.clone()
            };
            entries.push(Member {
                reference,
                descriptor: described(context, &part)?,
            });
        }
    }
    for entry in &entries {
        keep(context, &list, entry)?;
    }
    Ok(())
}

/// Says more of an entry.
///
/// # Errors
/// [`ManifestError`].
pub fn annotate(
    context: &Context,
    list: &Reference,
    member: &Reference,
    facts: &Facts,
) -> Result<(), ManifestError> {
    let (list, reference) = (list.or_latest(), member.or_latest());
    let mut member = member_of(context, &list, &reference)?;
    let platform = member.descriptor.platform.take();
    let mut platform = platform.unwrap_or_else(|| Platform::new("", ""));
    let set = |field: &mut String, said: &Option<String>| {
        if let Some(said) = said {
            field.clone_from(said);
        }
    };
    set(&mut platform.architecture, &facts.architecture);
    set(&mut platform.os, &facts.os);
    for (field, said) in [
        (&mut platform.os_version, &facts.os_version),
        (&mut platform.variant, &facts.variant),
    ] {
        if said.is_some() {
            field.clone_from(said);
        }
    }
    for feature in &facts.os_features {
        if !platform.os_features.contains(feature) {
            platform.os_features.push(feature.clone());
        }
    }
    member.descriptor.platform = Some(platform);
    keep(context, &list, &member)
}

/// The entries of a list, by their names; `None` if there is no such list.
///
/// # Errors
/// [`ManifestError::Kept`] if it can't be read.
pub fn members_of(
    context: &Context,
    list: &Reference,
) -> Result<Option<Vec<Member>>, ManifestError> {
    let directory = directory(context, list)?;
    let files = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        files => files.map_err(failed(list))?,
    };
    let mut members = Vec::new();
    for file in files {
        let path = file.map_err(failed(list))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let bytes = fs::read(&path).map_err(failed(list))?;
            let member: Member =
                serde_json::from_slice(&bytes).map_err(|error| failed(list)(error.into()))?;
            members.push(member);
        }
    }
    members.sort_by(|one, other| one.reference.cmp(&other.reference));
    Ok(Some(members))
}

/// The index that a list would be pushed as.
#[must_use]
pub fn index(members: &[Member]) -> Index {
    let descriptors = members.iter().map(|member| member.descriptor.clone());
    index_of(descriptors.collect())
}

/// One entry of a list.
///
/// # Errors
/// [`ManifestError::NoList`] and [`ManifestError::NoMember`].
pub fn member_of(
    context: &Context,
    list: &Reference,
    reference: &Reference,
) -> Result<Member, ManifestError> {
    let members = members_of(context, list)?;
    let members = members.ok_or_else(|| ManifestError::NoList { list: list.clone() })?;
    let mut members = members.into_iter();
    let member = members.find(|member| member.reference == *reference);
    member.ok_or_else(|| ManifestError::NoMember {
        list: list.clone(),
        member: reference.clone(),
    })
}

/// Pushes a list as an index to its own name; the index's digest. `purge` forgets the list then.
///
/// # Errors
/// [`ManifestError`].
pub fn push(
    context: &Context,
    list: &Reference,
    purge: bool,
    progress: &dyn Progress,
) -> Result<Digest, ManifestError> {
    let list = list.or_latest();
    let members = members_of(context, &list)?;
    let members = members.ok_or_else(|| ManifestError::NoList { list: list.clone() })?;
    let mut sources = Vec::with_capacity(members.len());
    for member in members {
        let platform = member
            .descriptor
            .platform
            .filter(|platform| !platform.os.is_empty() && !platform.architecture.is_empty());
        let platform = platform.ok_or_else(|| ManifestError::NoPlatform {
            reference: member.reference.clone(),
        })?;
        let repository = member.reference.repository();
        sources.push(Part {
            platform: Some(platform),
            ..Part::new(repository.at(member.descriptor.digest))
        });
    }
    let options = JoinOptions {
        sources,
        prefer_index: true,
        ..JoinOptions::default()
    };
    let joined = join(context, &options)?;
    publish(context, &joined, std::slice::from_ref(&list), progress)?;
    if purge {
        remove(context, &list)?;
    }
    Ok(joined.document.digest)
}

/// Forgets a list.
///
/// # Errors
/// [`ManifestError::NoList`], and [`ManifestError::Kept`] if it can't be removed.
pub fn remove(context: &Context, list: &Reference) -> Result<(), ManifestError> {
    let list = list.or_latest();
    match fs::remove_dir_all(directory(context, &list)?) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ManifestError::NoList { list })
        }
        result => result.map_err(failed(&list)),
    }
}

fn keep(context: &Context, list: &Reference, member: &Member) -> Result<(), ManifestError> {
    let directory = directory(context, list)?;
    let name = format!("{}.json", hex(&member.reference));
    let write = || -> io::Result<()> {
        fs::create_dir_all(&directory)?;
        let mut file = tempfile::NamedTempFile::new_in(&directory)?;
        file.write_all(&serde_json::to_vec(member)?)?;
        file.as_file().sync_all()?;
        file.persist(directory.join(name))?;
        Ok(())
    };
    write().map_err(failed(list))
}

fn directory(context: &Context, list: &Reference) -> Result<PathBuf, ManifestError> {
    Ok(context.store()?.root().join("manifests").join(hex(list)))
}

fn hex(reference: &Reference) -> String {
    Digest::of(reference.to_string().as_bytes())
        .encoded()
        .to_owned()
}

fn failed(list: &Reference) -> impl Fn(io::Error) -> ManifestError {
    let list = list.clone();
    move |source| ManifestError::Kept {
        list: list.clone(),
        source,
    }
}
