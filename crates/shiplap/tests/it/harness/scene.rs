//! Build contexts as the tables tell them: operations that make a directory, with modes, owners, times
//! and xattrs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags, setxattr, utimensat};
use serde_json::Value;

/// Makes the directory. It has the times it is told only when all is in it.
#[track_caller]
pub(crate) fn make(folder: &Path, operations: &Value) {
    fs::create_dir_all(folder).unwrap();
    let mut times: Vec<(PathBuf, i64)> = Vec::new();
    for operation in operations.as_array().unwrap() {
        let path = folder.join(operation["path"].as_str().unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match operation["op"].as_str().unwrap() {
            "write" => fs::write(&path, content(operation)).unwrap(),
            "mkdir" => fs::create_dir_all(&path).unwrap(),
            "symlink" => symlink(operation["target"].as_str().unwrap(), &path).unwrap(),
            "socket" => drop(UnixListener::bind(&path).unwrap()),
            other => panic!("{other}"),
        }
        let is_link = path.is_symlink();
        if let Some(uid) = operation["uid"].as_u64() {
            let uid = Some(u32::try_from(uid).unwrap());
            let gid = Some(u32::try_from(operation["gid"].as_u64().unwrap()).unwrap());
            match is_link {
                true => lchown(&path, uid, gid).unwrap(),
                false => chown(&path, uid, gid).unwrap(),
            }
        }
        if let Some(mode) = operation["mode"].as_str() {
            let digits = mode.trim_start_matches("0o");
            let mode = u32::from_str_radix(digits, 8).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for (name, value) in operation["xattrs"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap().as_bytes();
            setxattr(&path, name, value, XattrFlags::empty()).unwrap();
        }
        if let Some(mtime) = operation["mtime"].as_i64() {
            times.push((path, mtime));
        }
    }
    for (path, mtime) in times.iter().rev() {
        set_mtime(path, *mtime);
    }
}

/// Makes a directory with these files.
pub(crate) fn files(folder: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Sets the time of a path itself.
pub(crate) fn set_mtime(path: &Path, mtime: i64) {
    let time = Timespec {
        tv_sec: mtime,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn content(operation: &Value) -> Vec<u8> {
    match operation["content_base64"].as_str() {
        Some(text) => base64(text),
        None => operation["content"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = alphabet.iter().position(|known| *known == letter).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}
