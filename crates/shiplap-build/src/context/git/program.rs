//! Calls of `git`, each with an environment of its own: nothing of the user's configuration, nothing that
//! a repository could have run, and bounds on what it says.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use shiplap_model::limits;

use super::{GitError, Needs};

/// How much of git's complaints is shown.
const MESSAGE_BYTES: usize = 4 << 10;

/// Settings of each call, above all others.
const SETTINGS: &[&str] = &[
    // Only what the network brings: a submodule must not be a path of this machine, nor a program.
    "protocol.allow=never",
    "protocol.git.allow=always",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "core.autocrlf=false",
    "core.fileMode=true",
    "core.logAllRefUpdates=false",
    "init.defaultBranch=main",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "credential.helper=",
    // A server that says nothing for a minute is given up.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
];

/// Git, for one repository.
pub(super) struct Git {
    program: PathBuf,
    git_dir: PathBuf,
    work_tree: PathBuf,
    environment: Vec<(OsString, OsString)>,
    /// The repository as it may be shown.
    remote: String,
}

impl Git {
    /// Finds git, for the repository in `git_dir` with its files in `work_tree`.
    pub(super) fn find(
        needs: Needs<'_>,
        remote: String,
        git_dir: PathBuf,
        work_tree: PathBuf,
    ) -> Result<Self, GitError> {
        let settings = needs.ops.settings();
        let Some(program) = settings.containers.find_program("git") else {
            return Err(GitError::Missing { remote });
        };
        let search_path = std::env::join_paths(&settings.containers.search_path);
        let mut environment: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), search_path.unwrap_or_default()),
            ("LC_ALL".into(), "C".into()),
            ("HOME".into(), "/dev/null".into()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("GIT_CONFIG_SYSTEM".into(), "/dev/null".into()),
            ("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()),
            ("GIT_ATTR_NOSYSTEM".into(), "1".into()),
            ("GIT_NO_REPLACE_OBJECTS".into(), "1".into()),
            ("GIT_LFS_SKIP_SMUDGE".into(), "1".into()),
            ("GIT_TERMINAL_PROMPT".into(), "0".into()),
            ("GIT_PROTOCOL_FROM_USER".into(), "0".into()),
            ("GIT_SSH_COMMAND".into(), "ssh -o BatchMode=yes".into()),
        ];
        let proxies = settings.containers.proxies.iter();
        environment.extend(proxies.map(|(name, value)| (name.into(), value.into())));
        let certificates = settings.containers.certificates.iter();
        environment.extend(certificates.map(|file| ("GIT_SSL_CAINFO".into(), file.into())));
        let agent = needs.agent.iter();
        environment.extend(agent.map(|socket| ("SSH_AUTH_SOCK".into(), socket.into())));
        Ok(Self {
            program,
            git_dir,
            work_tree,
            environment,
            remote,
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("GIT_DIR", &self.git_dir);
        command.current_dir(&self.work_tree);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Makes the repository.
    pub(super) fn start(&self, arguments: &[&str]) -> Result<(), GitError> {
        let command = self.command(arguments);
        self.finish("set up", command, |_| Ok(()))
    }

    /// Runs one command for what it does.
    pub(super) fn run(&self, step: &'static str, arguments: &[&str]) -> Result<(), GitError> {
        self.each_record(step, arguments, |_| Ok(()))
    }

    /// Runs one command for the line that it says.
    pub(super) fn line(&self, step: &'static str, arguments: &[&str]) -> Result<String, GitError> {
        let output = self.output(step, arguments)?;
        Ok(output.trim_end().to_owned())
    }

    /// Runs one command for what it says, which is bounded.
    pub(super) fn output(
        &self,
        step: &'static str,
        arguments: &[&str],
    ) -> Result<String, GitError> {
        let mut text = Vec::new();
        let command = self.with_tree(arguments);
        self.finish(step, command, |output| {
            let limit = limits::GIT_OUTPUT_BYTES;
            match output.take(limit + 1).read_to_end(&mut text) {
                Ok(count) if count as u64 <= limit => Ok(()),
                Ok(_) => Err(self.failed(step, "it says more than any repository has to")),
                Err(source) => Err(self.failed(step, &source.to_string())),
            }
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs one command and gives `each` what it says, piece by piece, as NUL separates them.
    pub(super) fn each_record(
        &self,
        step: &'static str,
        arguments: &[&str],
        mut each: impl FnMut(&[u8]) -> Result<(), GitError>,
    ) -> Result<(), GitError> {
        let command = self.with_tree(arguments);
        self.finish(step, command, |output| {
            let mut output = BufReader::new(output);
            let mut record = Vec::new();
            loop {
                record.clear();
                let longest = 2 * limits::PATH_BYTES as u64;
                let read = output.by_ref().take(longest).read_until(0, &mut record);
                match read {
                    Ok(0) => return Ok(()),
                    Ok(_) => each(record.strip_suffix(b"\0").unwrap_or(&record))?,
                    Err(source) => return Err(self.failed(step, &source.to_string())),
                }
            }
        })
    }

    fn with_tree(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("GIT_WORK_TREE", &self.work_tree);
        command
    }

    /// Waits for a command, while `read` takes what it says; ends it if that fails.
    fn finish(
        &self,
        step: &'static str,
        mut command: Command,
        read: impl FnOnce(&mut dyn Read) -> Result<(), GitError>,
    ) -> Result<(), GitError> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| GitError::Start {
            remote: self.remote.clone(),
            source,
        })?;
        let complaints = child.stderr.take();
        let listener = thread::spawn(move || complaints.map(last_words).unwrap_or_default());
        let taken = match child.stdout.take() {
            Some(mut output) => read(&mut output),
            None => Ok(()),
        };
        if taken.is_err() {
            end(&mut child);
        }
        let status = child.wait().map_err(|source| GitError::Start {
            remote: self.remote.clone(),
            source,
        });
        let message = listener.join().unwrap_or_default();
        taken?;
        if status?.success() {
            return Ok(());
        }
        Err(self.failed(step, &message))
    }

    fn failed(&self, step: &'static str, message: &str) -> GitError {
        GitError::Failed {
            step,
            remote: self.remote.clone(),
            message: without_password(message.trim()),
        }
    }

    /// Whether a file of the repository's own is there.
    pub(super) fn has_file(&self, name: &str) -> bool {
        let path: &Path = &self.work_tree.join(name);
        path.symlink_metadata().is_ok_and(|facts| facts.is_file())
    }

    /// Removes git's note of where it fetched from, which has the whole address.
    pub(super) fn remove_fetch_head(&self) -> Result<(), GitError> {
        match std::fs::remove_file(self.git_dir.join("FETCH_HEAD")) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(GitError::Files {
                remote: self.remote.clone(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

fn end(child: &mut Child) {
    // It may be gone already.
    let _ = child.kill();
}

/// The end of what a program complains of, all of it read so that it never waits.
fn last_words(mut complaints: impl Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = complaints.read(&mut buffer)
        && count > 0
    {
        kept.extend_from_slice(&buffer[..count]);
        if kept.len() > 2 * MESSAGE_BYTES {
            kept.drain(..kept.len() - MESSAGE_BYTES);
        }
    }
    let start = kept.len().saturating_sub(MESSAGE_BYTES);
    String::from_utf8_lossy(&kept[start..]).into_owned()
}

/// Git repeats addresses with what stands before `@` in them.
fn without_password(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace())
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rfind('@') {
            Some(at) => {
                shown.push_str("xxxxx");
                shown.push_str(&authority[at..]);
            }
            None => shown.push_str(authority),
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_no_password() {
        fn check(message: &str, wanted: &str) {
            assert_eq!(without_password(message), wanted);
        }
        check(
            "fatal: unable to access 'https://me:secret@h/r.git/': no",
            "fatal: unable to access 'https://xxxxx@h/r.git/': no",
        );
        check(
            "https://h/a@b and ssh://git@h/x",
            "https://h/a@b and ssh://xxxxx@h/x",
        );
        check("nothing: to hide", "nothing: to hide");
    }

    #[test]
    fn keeps_the_end_of_much() {
        let text = "x".repeat(100_000) + "end";
        let kept = last_words(text.as_bytes());
        assert_eq!(kept.len(), MESSAGE_BYTES);
        assert!(kept.ends_with("xend"));
    }
}
