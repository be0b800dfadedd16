//! Paths by their letters alone, as Go's `path.Clean` makes them. Nothing here looks at a file
//! system, so a `..` after a symbolic link is taken literally.

/// The shortest path that says the same: no empty names, no `.`, no `..` but leading ones of a
/// relative path; `.` for nothing.
#[must_use]
pub fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if names.last().is_some_and(|last| *last != b"..") => {
                names.pop();
            }
            b".." if rooted => {}
            name => names.push(name),
        }
    }
    let joined = names.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// [`clean`] of a text, counted from `/` if it does not begin there.
#[must_use]
pub fn absolute(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// A path counted from a root that nothing leads out of: clean, without leading `/` and `..`,
/// empty for the root itself.
#[must_use]
pub fn beneath(path: &[u8]) -> Vec<u8> {
    let mut cleaned = clean(&[b"/", path].concat());
    cleaned.remove(0);
    cleaned
}

/// Parent and last name of a clean path without leading `/`; the parent is empty at the top.
#[must_use]
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests;
