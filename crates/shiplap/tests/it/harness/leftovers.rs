//! What something that is over may have left: processes, mounts, files in flight, bytes in files.

use std::fs;
use std::path::{Path, PathBuf};

use super::Store;
use super::container::{processes_of, until};

/// Nothing of a build is left: neither a process nor a mount, whoever might see it.
#[track_caller]
pub(crate) fn assert_no_processes(store: &Store) {
    until("no process is left", || {
        processes_of(store.root()).is_empty()
    });
    until("no mount is left", || mounts_of(store.root()).is_empty());
}

/// Nor a file in flight, which is asked only where the build ended by itself, or another one came after.
#[track_caller]
pub(crate) fn assert_none(store: &Store) {
    assert_no_processes(store);
    assert_eq!(staged(store), Vec::<PathBuf>::new());
}

/// What lies in the store and is nobody's yet.
pub(crate) fn staged(store: &Store) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.root().join("staging"));
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Mounts below a path in any process's eyes.
fn mounts_of(root: &Path) -> Vec<String> {
    let root = root.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mounts =
        processes.filter_map(|entry| fs::read_to_string(entry.path().join("mountinfo")).ok());
    mounts
        .flat_map(|mounts| {
            let lines = mounts.lines().filter(|line| line.contains(root));
            lines.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    super::files_below(folder, &mut files);
    files
}

/// Files below a folder that hold these bytes.
pub(crate) fn holding(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut files = files(folder);
    let holds = |file: &PathBuf| {
        // Pipes and sockets hold nothing, and some are not to be opened.
        let is_file = file.symlink_metadata().is_ok_and(|facts| facts.is_file());
        let content = if is_file {
            fs::read(file).unwrap_or_default()
        } else {
            Vec::new()
        };
        content.windows(bytes.len()).any(|window| window == bytes)
    };
    files.retain(holds);
    files
}
