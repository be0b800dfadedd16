//! Files of a git repository, by the machine's `git`: the commit that is meant, fetched alone where
//! the server allows it, checked out into a directory of the build's lease.
//!
//! The repository is not trusted. Git is called with no configuration but ours, no hooks, no protocol but
//! those of the network (so no submodule is a path of this machine), and no terminal to ask at; it checks
//! out by plumbing that runs nothing. Files then get git's two modes, whatever the umask, and the time of
//! the commit; what git itself left among them (`.git` of submodules, which name this machine's paths) is
//! removed unless it was asked for.

mod program;

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use shiplap_layer::root::Root;
use shiplap_model::git_reference::{GitReference, GitTime};
use shiplap_model::{limits, path};
use shiplap_store::{Lease, StagedDirectory, StoreError};

use program::Git;

/// Why files of a repository can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no git.
    #[error(
        "fetch {remote}: no git found on this machine: install it, or name a directory or an archive"
    )]
    Missing {
        /// The repository, without a password.
        remote: String,
    },
    /// Git can't be started.
    #[error("fetch {remote}: run git: {source}")]
    Start {
        /// The repository, without a password.
        remote: String,
        /// Why not.
        source: io::Error,
    },
    /// Git failed.
    #[error("{step} {remote}: {message}")]
    Failed {
        /// What it was to do.
        step: &'static str,
        /// The repository, without a password.
        remote: String,
        /// The end of what it said.
        message: String,
    },
    /// It has no such branch, tag or commit.
    #[error("fetch {remote}: repository does not contain ref {reference}")]
    Reference {
        /// The repository, without a password.
        remote: String,
        /// What was asked for.
        reference: String,
    },
    /// The reference is at another commit than it must be.
    #[error("fetch {remote}: expected checksum to match {expected}, got {found}")]
    Checksum {
        /// The repository, without a password.
        remote: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A checksum that is no commit.
    #[error("fetch {remote}: invalid checksum {checksum} for Git URL, expected hex commit hash")]
    NoChecksum {
        /// The repository, without a password.
        remote: String,
        /// As it was written.
        checksum: String,
    },
    /// It has no such directory.
    #[error("fetch {remote}: it has no directory {directory:?}: {source}")]
    Directory {
        /// The repository, without a password.
        remote: String,
        /// What was asked for.
        directory: String,
        /// Why not.
        source: io::Error,
    },
    /// It is larger than any layer.
    #[error("fetch {remote}: its files are more, or larger together, than a layer may hold")]
    TooLarge {
        /// The repository, without a password.
        remote: String,
    },
    /// Its files can't be set right.
    #[error("set up files of {remote}: {source}")]
    Files {
        /// The repository, without a password.
        remote: String,
        /// Why not.
        source: io::Error,
    },
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was checked out.
#[derive(Debug)]
pub(super) struct Checkout {
    /// The directory that was asked for.
    pub(super) root: Root,
    /// Where it is.
    pub(super) directory: PathBuf,
    /// Full ID of the commit.
    pub(super) commit: String,
    /// When it was made, in seconds since 1970.
    pub(super) commit_time: i64,
    /// Keeps the files.
    pub(super) staged: StagedDirectory,
}

/// What git needs of its surroundings.
#[derive(Clone, Copy)]
pub(super) struct Needs<'a> {
    pub(super) ops: &'a shiplap_ops::Context,
    pub(super) lease: &'a Lease,
    /// Socket of the agent that has keys for `ssh`.
    pub(super) agent: Option<&'a Path>,
    /// `.git` is kept.
    pub(super) keep_git_dir: bool,
}

/// Fetches and checks out what `reference` means.
pub(super) fn check_out(reference: &GitReference, needs: Needs<'_>) -> Result<Checkout, GitError> {
    let files = needs.lease.directory()?;
    let keeps = needs.keep_git_dir && reference.subdirectory.is_none();
    let bare = (!keeps).then(|| needs.lease.directory()).transpose()?;
    let git_dir = match &bare {
        Some(bare) => bare.path().to_owned(),
        None => files.path().join(".git"),
    };
    let git = Git::find(needs, reference.shown(), git_dir, files.path().to_owned())?;
    let job = Job {
        git: &git,
        reference,
        keeps,
    };
    let commit = job.fetch()?;
    job.measure(&commit)?;
    let commit_time = job.commit_time(&commit)?;
    git.run("check out", &["read-tree", "--reset", "-u", &commit])?;
    if reference.submodules != Some(false) {
        job.submodules()?;
    }
    if keeps {
        job.finish_git_dir(&commit)?;
    }
    let time = (reference.mtime != Some(GitTime::Checkout)).then_some(commit_time);
    let failed = |source: io::Error| GitError::Files {
        remote: reference.shown(),
        source,
    };
    let root = Root::open(files.path()).map_err(|error| failed(error.into()))?;
    settle(&root, time, keeps).map_err(|error| failed(error.into()))?;
    let (root, directory) = job.enter(root, files.path())?;
    Ok(Checkout {
        root,
        directory,
        commit,
        commit_time,
        staged: files,
    })
}

/// A branch or tag as the server has it.
struct Advertised {
    /// Its full name.
    name: String,
    /// What it is at: a commit, or a tag's object.
    object: String,
    /// The commit that an annotated tag means.
    peeled: Option<String>,
}

struct Job<'a> {
    git: &'a Git,
    reference: &'a GitReference,
    keeps: bool,
}

impl Job<'_> {
    fn remote(&self) -> String {
        self.reference.shown()
    }

    /// Gets the commit that is meant, and says which it is.
    fn fetch(&self) -> Result<String, GitError> {
        let url = self.reference.url();
        if let Some(checksum) = &self.reference.checksum
            && !is_hex(checksum)
        {
            return Err(GitError::NoChecksum {
                remote: self.remote(),
                checksum: checksum.clone(),
            });
        }
        self.git.start(if self.keeps {
            &["init", "--quiet", "--template="]
        } else {
            &["init", "--quiet", "--template=", "--bare"]
        })?;
        self.git
            .run("set up", &["config", "remote.origin.url", &url])?;
        let asked = self.reference.reference.as_deref();
        let by_commit = self.reference.checksum.as_deref();
        let by_commit = by_commit.filter(|_| self.reference.fetch_by_commit);
        if let Some(commit) = by_commit.or(asked.filter(|asked| is_commit(asked))) {
            if !is_commit(commit) {
                return Err(GitError::NoChecksum {
                    remote: self.remote(),
                    checksum: commit.to_owned(),
                });
            }
            self.check(&[commit])?;
            return self.fetch_commit(&url, commit);
        }
        let advertised = self.look_up(&url, asked)?;
        let wanted = format!("+{}:{}", advertised.name, advertised.name);
        self.fetch_shallow(&url, &wanted)?;
        let peel = format!("{}^{{commit}}", advertised.name);
        let commit = self.git.line("find", &["rev-parse", "--verify", &peel])?;
        // What came may be newer than what was advertised.
        let object = self
            .git
            .line("find", &["rev-parse", "--verify", &advertised.name])?;
        let mut fits = vec![commit.as_str(), object.as_str()];
        if let Some(peeled) = &advertised.peeled
            && object == advertised.object
        {
            fits.push(peeled);
        }
        self.check(&fits)?;
        Ok(commit)
    }

    /// The checksum must begin one of these.
    fn check(&self, found: &[&str]) -> Result<(), GitError> {
        match &self.reference.checksum {
            Some(expected) if !found.iter().any(|id| starts_with_hex(id, expected)) => {
                Err(GitError::Checksum {
                    remote: self.remote(),
                    expected: expected.clone(),
                    found: found.first().copied().unwrap_or_default().to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The branch or tag that `asked` means: a full name, else a branch, else a tag.
    fn look_up(&self, url: &str, asked: Option<&str>) -> Result<Advertised, GitError> {
        let missing = |reference: &str| GitError::Reference {
            remote: self.remote(),
            reference: reference.to_owned(),
        };
        let name = match asked {
            Some(asked) => asked.to_owned(),
            None => {
                let lines = self
                    .git
                    .output("look up", &["ls-remote", "--symref", "--", url, "HEAD"])?;
                let head = lines.lines().find_map(|line| {
                    let target = line.strip_prefix("ref: ")?.strip_suffix("\tHEAD")?;
                    Some(target.to_owned())
                });
                head.ok_or_else(|| missing("HEAD"))?
            }
        };
        let peeled = format!("{name}^{{}}");
        let lines = self
            .git
            .output("look up", &["ls-remote", "--", url, &name, &peeled])?;
        let find = |wanted: &str| {
            let mut lines = lines.lines().filter_map(|line| line.split_once('\t'));
            let found = lines.find(|(id, name)| *name == wanted && is_commit(id));
            found.map(|(id, _)| id.to_owned())
        };
        let full = |prefix: &str| format!("{prefix}{}", name.strip_prefix(prefix).unwrap_or(&name));
        for name in [full("refs/"), full("refs/heads/"), full("refs/tags/")] {
            if let Some(object) = find(&name) {
                return Ok(Advertised {
                    peeled: find(&format!("{name}^{{}}")),
                    object,
                    name,
                });
            }
        }
        Err(missing(&name))
    }

    /// Fetches one reference or commit without its history, or with it where the server can't.
    fn fetch_shallow(&self, url: &str, wanted: &str) -> Result<(), GitError> {
        let shallow = [
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--",
            url,
            wanted,
        ];
        match self.git.run("fetch", &shallow) {
            Err(GitError::Failed { message, .. })
                if message.contains("shallow") || message.contains("--depth") =>
            {
                let whole = ["fetch", "--quiet", "--no-tags", "--", url, wanted];
                self.git.run("fetch", &whole)
            }
            result => result,
        }
    }

    /// Fetches a commit: alone, or, from a server that gives branches and tags only, with all.
    fn fetch_commit(&self, url: &str, commit: &str) -> Result<String, GitError> {
        if self.fetch_shallow(url, commit).is_err() {
            let all = [
                "fetch",
                "--quiet",
                "--tags",
                "--",
                url,
                "+refs/heads/*:refs/remotes/origin/*",
            ];
            self.git.run("fetch", &all)?;
        }
        let peel = format!("{commit}^{{commit}}");
        match self
            .git
            .line("find", &["rev-parse", "--verify", "--quiet", &peel])
        {
            Err(GitError::Failed { .. }) => Err(GitError::Reference {
                remote: self.remote(),
                reference: commit.to_owned(),
            }),
            result => result,
        }
    }

    /// Refuses what would fill the disk, before it does.
    fn measure(&self, commit: &str) -> Result<(), GitError> {
        let (mut files, mut bytes) = (0u64, 0u64);
        let list = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit];
        self.git.each_record("list", &list, |record| {
            // mode, type, object, size, then a tab and the path.
            let facts = record
                .split(|byte| *byte == b'\t')
                .next()
                .unwrap_or_default();
            let size = facts
                .rsplit(|byte| *byte == b' ')
                .next()
                .unwrap_or_default();
            let size = std::str::from_utf8(size)
                .ok()
                .and_then(|size| size.parse().ok());
            files += 1;
            bytes = bytes.saturating_add(size.unwrap_or(0));
            if files > limits::LAYER_ENTRIES || bytes > limits::LAYER_BYTES {
                return Err(GitError::TooLarge {
                    remote: self.remote(),
                });
            }
            Ok(())
        })
    }

    fn commit_time(&self, commit: &str) -> Result<i64, GitError> {
        let shown = [
            "show",
            "--no-patch",
            "--no-show-signature",
            "--format=%ct",
            commit,
        ];
        let line = self.git.line("date", &shown)?;
        line.parse().map_err(|_| GitError::Failed {
            step: "date",
            remote: self.remote(),
            message: format!("git told the time {line:?}"),
        })
    }

    fn submodules(&self) -> Result<(), GitError> {
        if !self.git.has_file(".gitmodules") {
            return Ok(());
        }
        let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
        let shallow = [update.as_slice(), &["--depth=1"]].concat();
        match self.git.run("fetch submodules of", &shallow) {
            // A server may refuse to give a commit that no branch is at.
            Err(GitError::Failed { .. }) => self.git.run("fetch submodules of", &update),
            result => result,
        }
    }

    /// Leaves `.git` as of a fresh clone without a password in it.
    fn finish_git_dir(&self, commit: &str) -> Result<(), GitError> {
        let shown = self.remote();
        self.git
            .run("set up", &["config", "remote.origin.url", &shown])?;
        self.git
            .run("set up", &["update-ref", "--no-deref", "HEAD", commit])?;
        self.git
            .run("set up", &["reflog", "expire", "--all", "--expire=now"])?;
        self.git.remove_fetch_head()
    }

    /// The directory that was asked for, which no link may lead to.
    fn enter(&self, root: Root, top: &Path) -> Result<(Root, PathBuf), GitError> {
        let Some(directory) = &self.reference.subdirectory else {
            return Ok((root, top.to_owned()));
        };
        let path = path::beneath(directory.as_bytes());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = root.open_exact(&path, flags);
        let opened = opened.map_err(|error| GitError::Directory {
            remote: self.remote(),
            directory: directory.clone(),
            source: error.into(),
        })?;
        let name = String::from_utf8_lossy(&path).into_owned();
        Ok((Root::new(opened), top.join(name)))
    }
}

/// Gives all files git's modes and `time`, and removes what git left, unless `keeps` says that the
/// repository's own stays.
fn settle(root: &Root, time: Option<i64>, keeps: bool) -> Result<(), Errno> {
    let mut directories = vec![Vec::new()];
    let mut next = 0;
    while let Some(path) = directories.get(next).cloned() {
        next += 1;
        let directory = root.open_exact(&path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        for (name, _) in super::walk::names(directory.as_fd())? {
            if name == b".git" {
                if !(keeps && path.is_empty()) {
                    remove(root, &super::entry::join(&path, &name))?;
                }
                continue;
            }
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let stat = rustix::fs::statat(&directory, name.as_slice(), flags)?;
            let mode = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    directories.push(super::entry::join(&path, &name));
                    continue;
                }
                FileType::RegularFile if stat.st_mode & 0o100 != 0 => 0o755,
                FileType::RegularFile => 0o644,
                _ => {
                    set_time(directory.as_fd(), &name, time)?;
                    continue;
                }
            };
            let mode = Mode::from_raw_mode(mode);
            rustix::fs::chmodat(&directory, name.as_slice(), mode, AtFlags::empty())?;
            set_time(directory.as_fd(), &name, time)?;
        }
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o755))?;
    }
    // Directories last, the deepest first: what is done in one changes its time.
    for path in directories.iter().rev() {
        let directory = root.open_exact(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        set_time(directory.as_fd(), b".", time)?;
    }
    Ok(())
}

fn set_time(
    directory: std::os::fd::BorrowedFd<'_>,
    name: &[u8],
    time: Option<i64>,
) -> Result<(), Errno> {
    let Some(seconds) = time else {
        return Ok(());
    };
    let moment = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: moment,
        last_modification: moment,
    };
    rustix::fs::utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Removes `path` and all below it, links not followed.
fn remove(root: &Root, top: &[u8]) -> Result<(), Errno> {
    let mut open = vec![(top.to_vec(), false)];
    while let Some((path, is_emptied)) = open.pop() {
        let (parent, name) = path::split(&path);
        let parent = root.open_exact(parent, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let flags = if is_emptied {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        match rustix::fs::unlinkat(&parent, name, flags) {
            Ok(()) => {}
            Err(Errno::ISDIR) => {
                let directory = root.open_exact(&path, OFlags::RDONLY | OFlags::DIRECTORY)?;
                let names = super::walk::names(directory.as_fd())?;
                open.push((path.clone(), true));
                for (name, _) in names {
                    open.push((super::entry::join(&path, &name), false));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A full ID, of SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text)
}

fn starts_with_hex(id: &str, start: &str) -> bool {
    id.get(..start.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests;
