//! What contexts from elsewhere need in tests: a store, a web server and a git server on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use shiplap_model::Platform;
use shiplap_ops::{ContainerSettings, Settings};
use shiplap_store::{Access, Lease, Store};
use tempfile::TempDir;

use crate::context::Surroundings;

/// A store of its own, and what contexts are made with.
pub(crate) struct World {
    pub(crate) temp: TempDir,
    ops: shiplap_ops::Context,
    lease: Lease,
    memories: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::with_programs(std::env::split_paths(&path).collect())
    }

    /// One where programs are in these directories only.
    pub(crate) fn with_programs(search_path: Vec<PathBuf>) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("store");
        let memories = temp.path().join("memories");
        std::fs::create_dir(&memories).unwrap();
        let settings = Settings {
            root: root.clone(),
            layer_backend: None,
            keep_compressed: false,
            parallel_layers: 1,
            platform: Platform::new("linux", "amd64"),
            registries: shiplap_ops::RegistrySettings::default(),
            credentials: shiplap_ops::CredentialFiles::default(),
            containers: ContainerSettings {
                search_path,
                ..ContainerSettings::default()
            },
        };
        Self {
            ops: shiplap_ops::Context::new(settings, Arc::new(|_: &str| {})),
            lease: Store::open(&root, Access::Write).unwrap().lease().unwrap(),
            memories,
            temp,
        }
    }

    pub(crate) fn around(&self) -> Surroundings<'_> {
        Surroundings {
            ops: &self.ops,
            lease: &self.lease,
            memories: Some(&self.memories),
            agent: None,
        }
    }

    /// What a shell makes of `script` in a new directory.
    pub(crate) fn made(&self, name: &str, script: &str) -> PathBuf {
        let directory = self.temp.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        shell(&directory, script);
        directory
    }
}

/// Runs `script`, with a user for git.
pub(crate) fn shell(directory: &Path, script: &str) {
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "3")
        .env("GIT_CONFIG_KEY_0", "init.defaultBranch")
        .env("GIT_CONFIG_VALUE_0", "main")
        .env("GIT_CONFIG_KEY_1", "user.name")
        .env("GIT_CONFIG_VALUE_1", "Somebody")
        .env("GIT_CONFIG_KEY_2", "user.email")
        .env("GIT_CONFIG_VALUE_2", "somebody@example.org")
        .env("GIT_AUTHOR_DATE", "1700000000 +0100")
        .env("GIT_COMMITTER_DATE", "1700000000 +0100")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {errors}");
}

/// What a shell says to `script`.
pub(crate) fn said(directory: &Path, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn serve(each: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let each = Arc::clone(&each);
            thread::spawn(move || each(stream));
        }
    });
    address
}

/// Serves files by their paths, until the test ends; gives the address up to the first path.
pub(crate) fn web(files: BTreeMap<String, Vec<u8>>) -> String {
    let address = serve(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        let mut header = String::new();
        while reader.read_line(&mut header).unwrap() > 2 {
            header.clear();
        }
        let path = first.split([' ', '?']).nth(1).unwrap_or_default();
        let found = files.get(path.trim_start_matches('/'));
        let (status, body) = match found {
            Some(body) => ("200 OK", body.as_slice()),
            None => ("404 Not Found", b"".as_slice()),
        };
        let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
        write!(head, "last-modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n").unwrap();
        head.push_str("connection: close\r\n\r\n");
        let mut stream = stream;
        // A client may have heard enough.
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(body);
    });
    format!("http://{address}")
}

/// Serves the repositories in `directory` by git's own protocol; gives the address up to the first
/// path.
pub(crate) fn git_server(directory: &Path) -> String {
    let directory = directory.to_owned();
    let address = serve(move |stream| {
        let daemon = Command::new("git")
            .args(["-c", "safe.directory=*"])
            .args(["daemon", "--inetd", "--export-all"])
            .arg(format!("--base-path={}", directory.display()))
            .arg(&directory)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::from(OwnedFd::from(stream.try_clone().unwrap())))
            .stdout(Stdio::from(OwnedFd::from(stream)))
            .stderr(Stdio::null())
            .spawn();
        daemon.unwrap().wait().unwrap();
    });
    format!("git://{address}")
}
