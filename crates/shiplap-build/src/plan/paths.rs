//! Paths in a root, by their text alone: nothing here knows what lies there.

use shiplap_model::path::absolute;

/// `path` seen from `directory`, as `WORKDIR` takes it: an absolute one stays as it is written.
pub(super) fn joined(directory: &str, path: &str) -> String {
    match path {
        "" if directory.is_empty() => "/".to_owned(),
        "" => joined("/", directory),
        path if path.starts_with('/') => path.to_owned(),
        path => absolute(&format!("{directory}/{path}")),
    }
}

/// `path` seen from `directory`, as a destination: ends with `/` or `/.` if it was written so, or
/// means the directory itself.
pub(super) fn destination(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let path = if matches!(path, "" | ".") { "./" } else { path };
    let joined = joined(directory, path);
    if path.ends_with('/') && !joined.ends_with('/') {
        format!("{joined}/")
    } else if path.ends_with("/.") {
        format!("{}/.", joined.trim_end_matches('/'))
    } else {
        joined
    }
}

/// Its last part.
pub(super) fn base_name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
