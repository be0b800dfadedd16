//! Namespaces: what stands before the first slash of a repository's name, and who has a role in it.

use std::fmt;
use std::str::FromStr;

use shiplap_model::limits;
use shiplap_model::reference::grammar;

use super::now_us;
use crate::authorization::{Place, Role, User};
use crate::database::{DatabaseError, Tx};
use crate::values;

/// The namespace of official images.
pub const OFFICIAL: &str = "library";

/// Names with which paths of Docker Hub's API begin below `/v2/`, so that no user or organisation may
/// have them.
const RESERVED: &[&str] = &[
    OFFICIAL,
    "access-tokens",
    "auth",
    "namespaces",
    "orgs",
    "repositories",
    "search",
    "user",
    "users",
];

/// Why a name can't be a user's or an organisation's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not lowercase letters and digits that `.`, `_` or dashes join.
    #[error(
        "use the name {name:?}: it may have lowercase letters and digits, joined by '.', '_' or '-'"
    )]
    Form {
        /// The name.
        name: String,
    },
    /// Too long.
    #[error("use the name {name:?}: it has more than {limit} characters")]
    Long {
        /// The name.
        name: String,
        /// The bound.
        limit: usize,
    },
    /// A word of the hub's own.
    #[error("use the name {name:?}: the hub uses it itself")]
    Reserved {
        /// The name.
        name: String,
    },
}

/// What a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The official images.
    Official,
    /// One user's.
    User,
    /// Several users'.
    Organisation,
    /// Another registry's.
    Mirror,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Official => "official",
            Self::User => "user",
            Self::Organisation => "organisation",
            Self::Mirror => "mirror",
        })
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "official" => Ok(Self::Official),
            "user" => Ok(Self::User),
            "organisation" => Ok(Self::Organisation),
            "mirror" => Ok(Self::Mirror),
            _ => Err(()),
        }
    }
}

/// Checks the name of a new user or organisation.
///
/// # Errors
/// [`NameError`].
pub fn check_name(name: &str) -> Result<(), NameError> {
    let shown = || name.chars().take(100).collect();
    if name.contains('/') || grammar::check_path(name).is_err() {
        return Err(NameError::Form { name: shown() });
    }
    if name.len() > limits::NAMESPACE_BYTES {
        return Err(NameError::Long {
            name: shown(),
            limit: limits::NAMESPACE_BYTES,
        });
    }
    if RESERVED.contains(&name) {
        return Err(NameError::Reserved { name: shown() });
    }
    Ok(())
}

/// Makes a namespace; false if the name is taken.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn add(tx: &dyn Tx, name: &str, kind: Kind) -> Result<bool, DatabaseError> {
    let sql = "INSERT INTO namespaces (name, kind, created_us) VALUES (?1, ?2, ?3)
      ON CONFLICT DO NOTHING";
    let added = tx.execute(sql, values![name, kind.to_string(), now_us()])?;
    Ok(added > 0)
}

/// What a namespace is, if it is there.
///
/// # Errors
/// As [`add`].
pub fn kind(tx: &dyn Tx, name: &str) -> Result<Option<Kind>, DatabaseError> {
    let sql = "SELECT kind FROM namespaces WHERE name = ?1";
    let row = tx.row(sql, values![name])?;
    row.map(|row| row.parsed(0, "a kind of namespace"))
        .transpose()
}

/// What a user is in a namespace, `given` being the role in it that was given.
#[must_use]
pub fn role(kind: Kind, name: &str, given: Option<Role>, user: Option<&User>) -> Option<Role> {
    let user = user?;
    let is_own = kind == Kind::User && user.name == name;
    if is_own || user.is_admin {
        return Some(Role::Owner);
    }
    given
}

/// What authorisation needs to know of a namespace for this user.
///
/// # Errors
/// As [`add`].
pub fn place(tx: &dyn Tx, name: &str, user: Option<&User>) -> Result<Place, DatabaseError> {
    let sql = "SELECT n.kind, m.role FROM namespaces n
      LEFT JOIN members m ON m.organisation = n.name AND m.user_id = ?2 WHERE n.name = ?1";
    let row = tx.row(sql, values![name, user.map(|user| user.id)])?;
    let mut place = Place {
        name: name.to_owned(),
        repository: None,
        is_private: false,
        role: None,
        has_namespace: row.is_some(),
        is_mirror: false,
    };
    if let Some(row) = row {
        let kind: Kind = row.parsed(0, "a kind of namespace")?;
        let given = row.maybe_text(1)?.map(|_| row.parsed(1, "a role"));
        place.role = role(kind, name, given.transpose()?, user);
        place.is_mirror = kind == Kind::Mirror;
    }
    Ok(place)
}

/// Every organisation, and how many members each has.
///
/// # Errors
/// As [`add`].
pub fn organisations(tx: &dyn Tx) -> Result<Vec<(String, u64)>, DatabaseError> {
    let sql = "SELECT name, (SELECT count(*) FROM members WHERE organisation = name)
      FROM namespaces WHERE kind = 'organisation' ORDER BY name";
    let rows = tx.rows(sql, &[])?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, row.size(1)?)))
        .collect()
}

/// Removes an organisation without repositories; false if it has some or is none.
///
/// # Errors
/// As [`add`].
pub fn remove_organisation(tx: &dyn Tx, name: &str) -> Result<bool, DatabaseError> {
    let sql = "DELETE FROM namespaces WHERE name = ?1 AND kind = 'organisation'
      AND NOT EXISTS (SELECT 1 FROM repositories WHERE namespace = ?1)";
    Ok(tx.execute(sql, values![name])? > 0)
}

/// The members of an organisation with their roles.
///
/// # Errors
/// As [`add`].
pub fn members(tx: &dyn Tx, organisation: &str) -> Result<Vec<(String, Role)>, DatabaseError> {
    let sql = "SELECT u.name, m.role FROM members m JOIN users u ON u.id = m.user_id
      WHERE m.organisation = ?1 ORDER BY u.name";
    let rows = tx.rows(sql, values![organisation])?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, row.parsed(1, "a role")?)))
        .collect()
}

/// Gives a user a role in an organisation, or takes it away.
///
/// # Errors
/// As [`add`].
pub fn set_member(
    tx: &dyn Tx,
    organisation: &str,
    user: i64,
    role: Option<Role>,
) -> Result<bool, DatabaseError> {
    let changed = match role {
        Some(role) => tx.execute(
            "INSERT INTO members (organisation, user_id, role) VALUES (?1, ?2, ?3)
              ON CONFLICT (organisation, user_id) DO UPDATE SET role = excluded.role",
            values![organisation, user, role.to_string()],
        )?,
        None => tx.execute(
            "DELETE FROM members WHERE organisation = ?1 AND user_id = ?2",
            values![organisation, user],
        )?,
    };
    Ok(changed > 0)
}

/// Sets the most bytes that a namespace's repositories may hold together; none is no bound.
///
/// # Errors
/// As [`add`].
pub fn set_quota(tx: &dyn Tx, name: &str, bytes: Option<u64>) -> Result<bool, DatabaseError> {
    let sql = "UPDATE namespaces SET quota_bytes = ?2 WHERE name = ?1";
    Ok(tx.execute(sql, values![name, bytes])? > 0)
}

/// Bytes that a namespace's repositories hold, and the most they may.
///
/// # Errors
/// As [`add`].
pub fn usage(tx: &dyn Tx, name: &str) -> Result<(u64, Option<u64>), DatabaseError> {
    let sql = "SELECT quota_bytes, (SELECT CAST(coalesce(sum(used_bytes), 0) AS BIGINT)
      FROM repositories WHERE namespace = ?1) FROM namespaces WHERE name = ?1";
    let Some(row) = tx.row(sql, values![name])? else {
        return Ok((0, None));
    };
    let quota = row.maybe_integer(0)?;
    Ok((
        row.size(1)?,
        quota.and_then(|bytes| u64::try_from(bytes).ok()),
    ))
}
