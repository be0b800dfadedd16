//! Git repositories as build contexts and sources of `ADD`: `https://host/repository.git#ref:directory`,
//! `git@host:path`, `ssh://`, `git://`, `github.com/owner/name`, and BuildKit's query form
//! (`?branch=`, `?tag=`, `?ref=`, `?subdir=`, `?checksum=`, …).
//!
//! Nothing is fetched here, and nothing is looked up: a name that is a directory, too, is the
//! caller's to decide.

#[cfg(test)]
mod tests;
mod url;

pub use url::{GitUrl, GitUrlError};

/// A place in a git repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitReference {
    /// The repository as it was written, without what is behind `?` and `#`.
    pub remote: String,
    /// What its directory would be called.
    pub name: String,
    /// A branch, a tag, a full ref or a commit; `None`: the repository's default branch. Never
    /// begins with `-`.
    pub reference: Option<String>,
    /// The directory within the repository; `None`: all of it. It may begin with `/`, and is to be
    /// resolved beneath the repository's root.
    pub subdirectory: Option<String>,
    /// The commit that the reference must be, or its first digits.
    pub checksum: Option<String>,
    /// Whether `.git` is kept.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are fetched.
    pub submodules: Option<bool>,
    /// The times of the files.
    pub mtime: Option<GitTime>,
    /// Fetch the commit `checksum`, whatever the reference is at.
    pub fetch_by_commit: bool,
    /// It comes over a connection that anybody may change: `http://`, `git://`.
    pub is_unencrypted: bool,
    /// It is written like a path: `github.com/owner/name`. Only a build context may be.
    pub looks_local: bool,
}

/// Which times files of a repository get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitTime {
    /// That of the check-out.
    Checkout,
    /// That of the commit.
    Commit,
}

/// Why something that is meant as a git repository can't be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitReferenceError {
    /// A part that has no meaning.
    #[error("parse git reference {remote}: unexpected query {key:?}")]
    Unknown {
        /// The repository.
        remote: String,
        /// The part.
        key: String,
    },
    /// A part that says nothing.
    #[error("parse git reference {remote}: query {key:?} has no value")]
    NoValue {
        /// The repository.
        remote: String,
        /// The part.
        key: String,
    },
    /// A part that is there twice.
    #[error("parse git reference {remote}: query {key:?} has multiple values")]
    Repeated {
        /// The repository.
        remote: String,
        /// The part.
        key: String,
    },
    /// A part with a value that it can't have.
    #[error("parse git reference {remote}: invalid {key} value: {value:?}{hint}")]
    Value {
        /// The repository.
        remote: String,
        /// The part.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        hint: &'static str,
    },
    /// Two parts that say different things.
    #[error("parse git reference {remote}: {what} conflicts: {one:?} vs {other:?}")]
    Conflict {
        /// The repository.
        remote: String,
        /// What they say.
        what: &'static str,
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// Both a branch and a tag.
    #[error("parse git reference {remote}: branch conflicts with tag")]
    BranchAndTag {
        /// The repository.
        remote: String,
    },
    /// What git would take for an option.
    #[error("parse git reference {remote}: {value:?} begins with a dash")]
    Dash {
        /// The repository.
        remote: String,
        /// The part.
        value: String,
    },
}

impl GitReference {
    /// Reads a reference; `None` if it is not one, so that it may be a path or another URL: those of
    /// `http` and `https` need a path that ends in `.git`.
    ///
    /// # Errors
    /// [`GitReferenceError`].
    pub fn parse(text: &str) -> Result<Option<Self>, GitReferenceError> {
        if text.starts_with("./") || text.starts_with("../") {
            return Ok(None);
        }
        let looks_local = text.starts_with("github.com/");
        let parsed = if looks_local {
            GitUrl::parse(&format!("https://{text}"))
        } else {
            GitUrl::parse(text)
        };
        let Ok(url) = parsed else {
            return Ok(None);
        };
        let is_web = matches!(url.scheme.as_str(), "http" | "https");
        if is_web && !looks_local && !url.path.ends_with(".git") {
            return Ok(None);
        }
        let remote = match url.remote.strip_prefix("https://") {
            Some(remote) if looks_local => remote.to_owned(),
            _ => url.remote.clone(),
        };
        let last = remote.rsplit('/').next().unwrap_or(&remote);
        let mut found = Self {
            name: last.strip_suffix(".git").unwrap_or(last).to_owned(),
            reference: url.reference.clone(),
            subdirectory: url.subdirectory.clone(),
            is_unencrypted: matches!(url.scheme.as_str(), "http" | "git"),
            looks_local,
            remote,
            ..Self::default()
        };
        found.take_query(&url.query)?;
        let host_and_user = url.user.iter().chain([&url.host]);
        let mut words = host_and_user.chain(&found.reference).chain(&found.checksum);
        let dash = words.find(|word| word.starts_with('-')).cloned();
        drop(words);
        match dash {
            Some(value) => Err(GitReferenceError::Dash {
                remote: found.remote,
                value,
            }),
            None => Ok(Some(found)),
        }
    }

    /// The repository as git takes it.
    #[must_use]
    pub fn url(&self) -> String {
        if self.looks_local {
            format!("https://{}", self.remote)
        } else {
            self.remote.clone()
        }
    }

    /// The repository without a password that is part of it.
    #[must_use]
    pub fn shown(&self) -> String {
        let Some((scheme, rest)) = self.remote.split_once("://") else {
            return self.remote.clone();
        };
        let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
        match authority.rfind('@') {
            Some(at) => format!("{scheme}://xxxxx{}", &rest[at..]),
            None => self.remote.clone(),
        }
    }

    fn take_query(&mut self, query: &[(String, String)]) -> Result<(), GitReferenceError> {
        let (mut tag, mut branch) = (None, None);
        let remote = || self.remote.clone();
        for (index, (key, value)) in query.iter().enumerate() {
            if query[..index].iter().any(|(earlier, _)| earlier == key) {
                let (remote, key) = (remote(), key.clone());
                return Err(GitReferenceError::Repeated { remote, key });
            }
            let is_flag = matches!(
                key.as_str(),
                "submodules" | "keep-git-dir" | "fetch-by-commit"
            );
            if value.is_empty() && !is_flag {
                let (remote, key) = (remote(), key.clone());
                return Err(GitReferenceError::NoValue { remote, key });
            }
        }
        for (key, value) in query {
            match key.as_str() {
                "ref" => self.settle_reference(value.clone())?,
                "tag" => tag = Some(with_prefix("refs/tags/", value)),
                "branch" => branch = Some(with_prefix("refs/heads/", value)),
                "subdir" => match &self.subdirectory {
                    Some(other) if other != value => {
                        return Err(self.conflict("subdir", other, value));
                    }
                    _ => self.subdirectory = Some(value.clone()),
                },
                "checksum" | "commit" => self.checksum = Some(value.clone()),
                "keep-git-dir" => self.keep_git_dir = Some(self.flag("keep-git-dir", value)?),
                "submodules" => self.submodules = Some(self.flag("submodules", value)?),
                "fetch-by-commit" => self.fetch_by_commit = self.flag("fetch-by-commit", value)?,
                "mtime" => self.mtime = Some(self.time(value)?),
                _ => {
                    return Err(GitReferenceError::Unknown {
                        remote: self.remote.clone(),
                        key: key.clone(),
                    });
                }
            }
        }
        if tag.is_some() && branch.is_some() {
            let remote = self.remote.clone();
            return Err(GitReferenceError::BranchAndTag { remote });
        }
        match tag.or(branch) {
            Some(reference) => self.settle_reference(reference),
            None => Ok(()),
        }
    }

    fn settle_reference(&mut self, reference: String) -> Result<(), GitReferenceError> {
        match &self.reference {
            Some(other) if *other != reference => Err(self.conflict("ref", other, &reference)),
            _ => {
                self.reference = Some(reference);
                Ok(())
            }
        }
    }

    fn conflict(&self, what: &'static str, one: &str, other: &str) -> GitReferenceError {
        GitReferenceError::Conflict {
            remote: self.remote.clone(),
            what,
            one: one.to_owned(),
            other: other.to_owned(),
        }
    }

    /// A truth value as Go reads it; present without one is true.
    fn flag(&self, key: &'static str, value: &str) -> Result<bool, GitReferenceError> {
        match value {
            "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(self.value(key, value, "")),
        }
    }

    fn time(&self, value: &str) -> Result<GitTime, GitReferenceError> {
        match value {
            "checkout" => Ok(GitTime::Checkout),
            "commit" => Ok(GitTime::Commit),
            _ => Err(self.value("mtime", value, " (must be \"checkout\" or \"commit\")")),
        }
    }

    fn value(&self, key: &'static str, value: &str, hint: &'static str) -> GitReferenceError {
        GitReferenceError::Value {
            remote: self.remote.clone(),
            key,
            value: value.to_owned(),
            hint,
        }
    }
}

fn with_prefix(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) {
        name.to_owned()
    } else {
        format!("{prefix}{name}")
    }
}
