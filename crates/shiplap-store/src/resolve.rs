//! From what a user writes to an image, by Docker's rules: a whole ID, else a tag or repository
//! digest, else the beginning of an ID. Names win over short IDs. The digest of an index means its image for
//! this machine.

use shiplap_model::reference::{AnyReference, Reference, ReferenceError};
use shiplap_model::{Digest, ImageId, Platform};

use crate::database::Tx;
use crate::error::StoreError;
use crate::record::RepoDigest;
use crate::store::Store;

/// Most candidates that an ambiguous ID is reported with.
const CANDIDATES: u32 = 10;

/// Why a name leads to no image.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The store's own failures.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing has this name.
    #[error("find image: No such image: {name}")]
    NotFound {
        /// What the user wrote.
        name: String,
    },
    /// Several IDs begin so.
    #[error("find image {prefix}: several IDs begin so: {}", listed(candidates))]
    Ambiguous {
        /// What the user wrote.
        prefix: String,
        /// The first ten of the images meant.
        candidates: Vec<ImageId>,
    },
    /// What has this name is for another platform.
    #[error(
        "find image {name}: image with reference {name} was found but its platform ({found}) \
         does not match the specified platform ({wanted})"
    )]
    Platform {
        /// What the user wrote.
        name: String,
        /// What was asked for.
        wanted: Box<Platform>,
        /// What there is.
        found: Box<Platform>,
    },
    /// It can be no name.
    #[error("find image {name}: {source}")]
    Invalid {
        /// What the user wrote.
        name: String,
        /// Why it can't.
        source: ReferenceError,
    },
}

fn listed(candidates: &[ImageId]) -> String {
    let short = candidates
        .iter()
        .map(|id| id.hex().chars().take(12).collect::<String>());
    short.collect::<Vec<_>>().join(", ")
}

/// An image and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The image.
    pub id: ImageId,
    /// How it was named.
    pub by: ResolvedBy,
}

/// What led to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolvedBy {
    /// Its ID, or the beginning of it.
    Id,
    /// A tag.
    Tag(Reference),
    /// A repository digest.
    RepoDigest(RepoDigest),
}

impl Resolved {
    /// An image named by its ID.
    #[must_use]
    pub fn by_id(id: ImageId) -> Self {
        Self {
            id,
            by: ResolvedBy::Id,
        }
    }
}

impl Store {
    /// Finds the image that `name` means.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub fn resolve(&self, name: &str) -> Result<Resolved, ResolveError> {
        let not_found = || ResolveError::NotFound {
            name: name.to_owned(),
        };
        let invalid = |source| ResolveError::Invalid {
            name: name.to_owned(),
            source,
        };
        match AnyReference::parse(name).map_err(invalid)? {
            AnyReference::Digest(digest) => {
                let id = ImageId::from(digest);
                if self.image(&id)?.is_some() {
                    return Ok(Resolved::by_id(id));
                }
                let image = self.image_of_index(id.digest())?;
                image.map(Resolved::by_id).ok_or_else(not_found)
            }
            AnyReference::Named(reference) => self.read("find image", |tx| {
                if let Some(found) = find_named(tx, &reference)? {
                    return Ok(found);
                }
                let mut candidates = find_by_prefix(tx, name)?;
                match (candidates.pop(), candidates.is_empty()) {
                    (None, _) => Err(not_found()),
                    (Some(id), true) => Ok(Resolved::by_id(id)),
                    (Some(last), false) => {
                        candidates.push(last);
                        Err(ResolveError::Ambiguous {
                            prefix: name.to_owned(),
                            candidates,
                        })
                    }
                }
            }),
        }
    }

    /// Finds the image that `name` means for a platform: what has the name, or what is of the index that has
    /// it, or was chosen from the same one. Without a platform it is [`Store::resolve`].
    ///
    /// # Errors
    /// [`ResolveError`].
    pub fn resolve_for(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<Resolved, ResolveError> {
        let resolved = self.resolve(name)?;
        let Some(wanted) = platform else {
            return Ok(resolved);
        };
        let Some(image) = self.image(&resolved.id)? else {
            let name = name.to_owned();
            return Err(ResolveError::NotFound { name });
        };
        if wanted.runs(&image.platform()) {
            return Ok(resolved);
        }
        if let ResolvedBy::Tag(tag) = &resolved.by
            && let Some(index) = self.named_index(tag)?
        {
            for id in self.index_images(&index)? {
                let part = self.image(&id)?;
                if part.is_some_and(|part| wanted.runs(&part.platform())) {
                    return Ok(Resolved::by_id(id));
                }
            }
        }
        for repo_digest in &image.repo_digests {
            for id in self.known_as(repo_digest)? {
                let other = self.image(&id)?;
                if other.is_some_and(|other| wanted.runs(&other.platform())) {
                    let by = ResolvedBy::RepoDigest(repo_digest.clone());
                    return Ok(Resolved { id, by });
                }
            }
        }
        Err(ResolveError::Platform {
            name: name.to_owned(),
            wanted: Box::new(wanted.clone()),
            found: Box::new(image.platform()),
        })
    }

    /// The image of an index that is for this machine, or else any.
    fn image_of_index(&self, index: &Digest) -> Result<Option<ImageId>, StoreError> {
        let images = self.index_images(index)?;
        let host = Platform::host();
        for id in &images {
            let image = self.image(id)?;
            if image.is_some_and(|image| host.runs(&image.platform())) {
                return Ok(Some(id.clone()));
            }
        }
        Ok(images.into_iter().next())
    }

    /// Images that a repository knows by this digest: one of each platform that was pulled, if it is
    /// an index's.
    fn known_as(&self, repo_digest: &RepoDigest) -> Result<Vec<ImageId>, StoreError> {
        self.read("find images", |tx| {
            tx.rows(
                "SELECT image FROM repo_digests WHERE repository = ?1 AND digest = ?2",
                (
                    repo_digest.repository.to_string(),
                    repo_digest.digest.as_str(),
                ),
                |cells| cells.parsed(0, "repo_digests.image"),
            )
        })
    }

    /// The image a tag or repository digest names; unlike [`Store::resolve`], never by ID.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn find(&self, reference: &Reference) -> Result<Option<ImageId>, StoreError> {
        self.read("find image", |tx| {
            Ok(find_named(tx, reference)?.map(|found| found.id))
        })
    }
}

fn find_named(tx: &Tx<'_>, reference: &Reference) -> Result<Option<Resolved>, StoreError> {
    if let Some(digest) = reference.digest() {
        let repository = reference.repository().clone();
        // An index is the digest of one image for each platform pulled: the last one counts.
        return tx.row(
            "SELECT r.image FROM repo_digests r JOIN images i ON i.id = r.image
             WHERE r.repository = ?1 AND r.digest = ?2 ORDER BY i.stored_us DESC, i.id LIMIT 1",
            (repository.to_string(), digest.as_str()),
            |cells| {
                let repo_digest = RepoDigest {
                    repository: repository.clone(),
                    digest: digest.clone(),
                };
                Ok(Resolved {
                    id: cells.parsed(0, "repo_digests.image")?,
                    by: ResolvedBy::RepoDigest(repo_digest),
                })
            },
        );
    }
    let tag = reference.or_latest();
    tx.row(
        "SELECT image FROM tags WHERE reference = ?1",
        [tag.to_string()],
        |cells| {
            Ok(Resolved {
                id: cells.parsed(0, "tags.image")?,
                by: ResolvedBy::Tag(tag.clone()),
            })
        },
    )
}

fn find_by_prefix(tx: &Tx<'_>, name: &str) -> Result<Vec<ImageId>, StoreError> {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    let is_hex = !hex.is_empty()
        && hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hex {
        return Ok(Vec::new());
    }
    tx.rows(
        "SELECT id FROM images WHERE id >= 'sha256:' || ?1 AND id < 'sha256:' || ?1 || 'g' ORDER BY id LIMIT ?2",
        (hex, CANDIDATES),
        |cells| cells.parsed(0, "images.id"),
    )
}
