//! Who a container's process is: `user[:group]` looked up in the texts of the image's
//! `/etc/passwd` and `/etc/group`.
//!
//! The rules are those of runc and Docker (`github.com/moby/sys/user`): a number is an id and
//! never a name, the first line that fits wins, lines nobody understands are forgiven. It opens no
//! file and never asks who a user is outside.

use shiplap_model::limits::USER_FILE_BYTES;

/// Highest id that is taken: runc's and Docker's bound, for 32-bit systems.
const ID_MAX: i64 = i32::MAX as i64;

/// Whom a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecUser {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// More groups, in the order of the group file.
    pub additional_gids: Vec<u32>,
    /// Home directory, a path in the container; empty if the user's line has none.
    pub home: String,
}

impl Default for ExecUser {
    /// The user of an image that names none.
    fn default() -> Self {
        Self {
            uid: 0,
            gid: 0,
            additional_gids: Vec::new(),
            home: "/".to_owned(),
        }
    }
}

/// A user or group that can't be found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// No line of the passwd file has the name.
    #[error("find user {name}: no matching entries in passwd file")]
    User {
        /// As asked for.
        name: String,
    },
    /// No line of the group file has the name.
    #[error("find group {name}: no matching entries in group file")]
    Group {
        /// As asked for.
        name: String,
    },
    /// An id beyond the range, asked for or found in a file.
    #[error("use {id} as an id: uids and gids must be in range 0-{ID_MAX}")]
    Range {
        /// As asked for or found.
        id: String,
    },
    /// A file too long to be honest.
    #[error("read the {file} file: it has {bytes} bytes, more than {USER_FILE_BYTES}")]
    TooLong {
        /// `passwd` or `group`.
        file: &'static str,
        /// Its length.
        bytes: usize,
    },
}

/// The user that `user` (`""`, `user`, `user:group`, names or numbers) means where the files have
/// the texts given (`None`: there is no such file). What neither says is as in `defaults`.
///
/// The user's further groups are found only when no group is asked for.
///
/// # Errors
/// [`UserError`] for a name that isn't there, an id out of range, and a file beyond
/// [`USER_FILE_BYTES`].
pub fn lookup(
    user: &str,
    passwd: Option<&str>,
    group: Option<&str>,
    defaults: &ExecUser,
) -> Result<ExecUser, UserError> {
    let mut found = defaults.clone();
    let (user, group_wanted) = user.split_once(':').unwrap_or((user, ""));
    let user = Wanted::parse(user)?;
    let group_wanted = Wanted::parse(group_wanted)?;

    let entry = passwd_entries(passwd)?.find(|entry| match &user {
        None => entry.uid == i64::from(defaults.uid),
        Some(wanted) => wanted.is(entry.name, entry.uid),
    });
    match (&entry, user) {
        (Some(entry), _) => {
            found.uid = id(entry.uid)?;
            found.gid = id(entry.gid)?;
            entry.home.clone_into(&mut found.home);
        }
        (None, Some(Wanted::Id(uid))) => found.uid = uid,
        (None, Some(Wanted::Name(name))) => return Err(UserError::User { name }),
        (None, None) => {}
    }

    let name = entry.map_or("", |entry| entry.name);
    match group_wanted {
        Some(wanted) => found.gid = find_group(&wanted, group)?,
        None if !name.is_empty() => {
            let gids = group_entries(group)?
                .filter(|entry| entry.members.split(',').any(|member| member == name))
                .map(|entry| id(entry.gid))
                .collect::<Result<Vec<_>, _>>()?;
            if !gids.is_empty() {
                found.additional_gids = gids;
            }
        }
        None => {}
    }
    Ok(found)
}

/// The ids of `groups`, names or numbers, each once and in the order asked for.
///
/// # Errors
/// [`UserError`] for a name that isn't there, an id out of range, and a file beyond
/// [`USER_FILE_BYTES`].
pub fn additional_groups(groups: &[String], group: Option<&str>) -> Result<Vec<u32>, UserError> {
    let mut gids = Vec::new();
    for name in groups {
        let wanted = Wanted::parse(name)?.unwrap_or_else(|| Wanted::Name(name.clone()));
        let gid = find_group(&wanted, group)?;
        if !gids.contains(&gid) {
            gids.push(gid);
        }
    }
    Ok(gids)
}

fn find_group(wanted: &Wanted, group: Option<&str>) -> Result<u32, UserError> {
    let entry = group_entries(group)?.find(|entry| wanted.is(entry.name, entry.gid));
    match (entry, wanted) {
        (Some(entry), _) => id(entry.gid),
        (None, Wanted::Id(gid)) => Ok(*gid),
        (None, Wanted::Name(name)) => Err(UserError::Group { name: name.clone() }),
    }
}

/// A user or group as asked for.
enum Wanted {
    Id(u32),
    Name(String),
}

impl Wanted {
    fn parse(text: &str) -> Result<Option<Self>, UserError> {
        if text.is_empty() {
            return Ok(None);
        }
        match number(text) {
            None => Ok(Some(Self::Name(text.to_owned()))),
            Some(number) => Ok(Some(Self::Id(id(number)?))),
        }
    }

    fn is(&self, name: &str, number: i64) -> bool {
        match self {
            Self::Id(wanted) => i64::from(*wanted) == number,
            Self::Name(wanted) => wanted == name,
        }
    }
}

/// The text as a number, as Go's `Atoi` has it: beyond 64 bits it is the nearest end.
fn number(text: &str) -> Option<i64> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    match text.parse::<i64>() {
        Ok(number) => Some(number),
        Err(error) if *error.kind() == PosOverflow => Some(i64::MAX),
        Err(error) if *error.kind() == NegOverflow => Some(i64::MIN),
        Err(_) => None,
    }
}

fn id(number: i64) -> Result<u32, UserError> {
    u32::try_from(number)
        .ok()
        .filter(|_| number <= ID_MAX)
        .ok_or_else(|| UserError::Range {
            id: number.to_string(),
        })
}

struct PasswdEntry<'t> {
    name: &'t str,
    uid: i64,
    gid: i64,
    home: &'t str,
}

struct GroupEntry<'t> {
    name: &'t str,
    gid: i64,
    members: &'t str,
}

/// `name:password:uid:gid:gecos:home:shell`; what is missing is empty or 0.
fn passwd_entries(text: Option<&str>) -> Result<impl Iterator<Item = PasswdEntry<'_>>, UserError> {
    Ok(lines("passwd", text)?.map(|line| {
        let mut fields = line.split(':');
        let mut field = || fields.next().unwrap_or("");
        let name = field();
        field();
        let uid = number(field()).unwrap_or(0);
        let gid = number(field()).unwrap_or(0);
        field();
        PasswdEntry {
            name,
            uid,
            gid,
            home: field(),
        }
    }))
}

/// `name:password:gid:member,member`; what is missing is empty or 0.
fn group_entries(text: Option<&str>) -> Result<impl Iterator<Item = GroupEntry<'_>>, UserError> {
    Ok(lines("group", text)?
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split(':');
            let mut field = || fields.next().unwrap_or("");
            let name = field();
            field();
            let gid = number(field()).unwrap_or(0);
            GroupEntry {
                name,
                gid,
                members: field(),
            }
        }))
}

fn lines<'t>(
    file: &'static str,
    text: Option<&'t str>,
) -> Result<impl Iterator<Item = &'t str>, UserError> {
    let text = text.unwrap_or("");
    if text.len() as u64 > USER_FILE_BYTES {
        return Err(UserError::TooLong {
            file,
            bytes: text.len(),
        });
    }
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()))
}

#[cfg(test)]
mod tests;
