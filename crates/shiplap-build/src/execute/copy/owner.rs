//! `--chown`, and whose directories `WORKDIR` makes: `user[:group]`, names looked up in the
//! root's own files.
//!
//! As BuildKit has it, a number is its own group unless one is given, and a name that the root
//! does not know means root; here that is told.

use shiplap_model::limits::USER_FILE_BYTES;
use shiplap_run::users::{self, ExecUser, UserError};

use crate::execute::files::{Files, FilesError};

/// User and group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Finds the owner that `text` means in `root`; names that are unknown there are given to
/// `unknown`.
///
/// # Errors
/// A root that can't be read.
pub fn find_owner(
    text: &str,
    root: &Files,
    unknown: &mut dyn FnMut(UserError),
) -> Result<Owner, FilesError> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let mut owner = Owner::default();
    if let Some(uid) = number(user) {
        owner = Owner { uid, gid: uid };
    } else {
        let passwd = read(root, b"etc/passwd")?;
        match users::lookup(user, passwd.as_deref(), None, &ExecUser::default()) {
            Ok(found) => {
                owner = Owner {
                    uid: found.uid,
                    gid: found.gid,
                }
            }
            Err(error) => unknown(error),
        }
    }
    let Some(group) = group else {
        return Ok(owner);
    };
    if let Some(gid) = number(group) {
        owner.gid = gid;
        return Ok(owner);
    }
    let groups = read(root, b"etc/group")?;
    match users::additional_groups(&[group.to_owned()], groups.as_deref()) {
        Ok(found) => owner.gid = found.first().copied().unwrap_or(owner.gid),
        Err(error) => unknown(error),
    }
    Ok(owner)
}

fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn read(root: &Files, path: &[u8]) -> Result<Option<String>, FilesError> {
    let text = root.read_short(path, USER_FILE_BYTES)?;
    Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
}
