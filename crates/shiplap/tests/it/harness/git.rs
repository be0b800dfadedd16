//! A git server on a loopback port: git's own `http-backend`, called for each request of a double.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::double::{Double, Reply};
use super::http::Message;
use super::judge;

/// Repositories below a folder, served.
pub(crate) struct GitServer {
    pub(crate) double: Double,
    folder: PathBuf,
    git: PathBuf,
}

impl GitServer {
    /// `None` where there is no git.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let git = judge::program("git")?;
        std::fs::create_dir_all(folder).unwrap();
        let double = Double::start();
        let (program, root) = (git.clone(), folder.to_owned());
        double.answer(move |request| {
            let is_git = request.path().contains(".git/");
            is_git.then(|| answer(&program, &root, request))
        });
        Some(Self {
            double,
            folder: folder.to_owned(),
            git,
        })
    }

    /// Calls git in a work tree; what it says.
    #[track_caller]
    pub(crate) fn git(&self, tree: &Path, line: &[&str]) -> String {
        let mut command = Command::new(&self.git);
        command
            .current_dir(tree)
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(line)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_DATE", "1600000000 +0000")
            .env("GIT_COMMITTER_DATE", "1600000000 +0000");
        judge::ask(&mut command).trim_end().to_owned()
    }

    /// A repository of that name with these files on `main`, served as `NAME.git`: its work tree.
    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let tree = self.folder.join(name);
        super::scene::files(&tree, files);
        self.git(&tree, &["init", "-q", "-b", "main"]);
        self.git(&tree, &["add", "-A"]);
        self.commit(&tree, "first");
        std::os::unix::fs::symlink(tree.join(".git"), self.folder.join(format!("{name}.git")))
            .unwrap();
        tree
    }

    /// Commits what is added; the commit.
    pub(crate) fn commit(&self, tree: &Path, words: &str) -> String {
        self.git(tree, &["commit", "-q", "-m", words]);
        self.git(tree, &["rev-parse", "HEAD"])
    }

    /// The address of a repository.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.double.address())
    }
}

/// What `git http-backend` says to a request.
fn answer(git: &Path, root: &Path, request: &Message) -> Reply {
    let target = request.target();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new(git)
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REQUEST_METHOD", request.method())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env(
            "CONTENT_TYPE",
            request.header("content-type").unwrap_or_default(),
        )
        .env(
            "HTTP_CONTENT_ENCODING",
            request.header("content-encoding").unwrap_or_default(),
        )
        .env(
            "GIT_PROTOCOL",
            request.header("git-protocol").unwrap_or_default(),
        )
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = backend.stdin.take().unwrap();
    let body = request.body.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&body).ok());
    let output = backend.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    let end = output
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers: Vec<(&str, &str)> = headers.collect();
    let status = headers.iter().find(|(name, _)| *name == "Status");
    let status = status.map_or(200, |(_, value)| value[..3].parse().unwrap());
    let reply = Reply::new(status, &output[end + 4..]);
    let headers = headers.into_iter().filter(|(name, _)| *name != "Status");
    headers.fold(reply, |reply, (name, value)| reply.header(name, value))
}
