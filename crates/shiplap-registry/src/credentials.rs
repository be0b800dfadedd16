//! Who the user is at a registry: Docker's `config.json`, podman's `auth.json`, credential helpers.
//!
//! Both files have one form: `auths`, `credsStore`, `credHelpers`; podman's may name paths within
//! a registry (`ghcr.io/org`), and the longest match holds. Files are read at the first request
//! that a registry challenges, never before. Secrets don't appear in `Debug`, messages or logs.

use std::fmt;
use std::io;
use std::path::PathBuf;

use shiplap_model::reference::DOCKER_HUB;

use self::file::AuthFile;

mod file;
mod helper;

/// Docker Hub's key in Docker's files and helpers.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// A password or token: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for the wire and the credential file only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What proves who the user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Name and password (or personal access token).
    Password {
        /// The user's name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token for the registry's token server (Docker's `identitytoken`).
    IdentityToken {
        /// The user's name, if it is known.
        username: String,
        /// The token.
        token: Secret,
    },
    /// A token that the registry itself takes (Docker's `registrytoken`).
    RegistryToken(Secret),
}

impl Credential {
    /// The user's name, where it is known.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => Some(username),
            Self::IdentityToken { username, .. } => Some(username)
                .filter(|name| !name.is_empty())
                .map(String::as_str),
            Self::RegistryToken(_) => None,
        }
    }
}

/// Where credentials are kept.
#[derive(Debug, Clone, Default)]
pub struct CredentialFiles {
    /// Docker's `config.json` or podman's `auth.json`, in the order in which they are asked. The
    /// first is the one that is written to; any may be absent.
    pub files: Vec<PathBuf>,
    /// Directories to look for `docker-credential-*` programs in (the caller's `PATH`).
    pub helper_directories: Vec<PathBuf>,
}

/// Where a credential was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In this file, unencrypted.
    File(PathBuf),
    /// With `docker-credential-NAME`.
    Helper(String),
}

/// Why credentials could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// There is no file to write to.
    #[error("keep credentials: no credential file is set")]
    NoFile,
    /// The file could not be read or written.
    #[error("use credential file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not the JSON it should be.
    #[error("use credential file {path}: {cause}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why, without any of the content.
        cause: String,
    },
    /// A helper that isn't there.
    #[error("find docker-credential-{helper}")]
    HelperMissing {
        /// Its name.
        helper: String,
    },
    /// A helper that failed.
    #[error("run docker-credential-{helper}: {cause}")]
    Helper {
        /// Its name.
        helper: String,
        /// Its own words, trimmed.
        cause: String,
    },
}

/// Reads and writes credentials.
#[derive(Debug, Clone, Default)]
pub struct CredentialStore {
    files: CredentialFiles,
}

impl CredentialStore {
    /// A store over `files`; nothing is read yet.
    #[must_use]
    pub fn new(files: CredentialFiles) -> Self {
        Self { files }
    }

    /// The credential for a registry (`docker.io`) or a repository (`ghcr.io/org/app`): from the
    /// first file that has one for it or for a path above it.
    ///
    /// A helper that is not there counts as one that has nothing: files are carried from machine
    /// to machine, and what is public needs no helper.
    ///
    /// # Errors
    /// [`CredentialError`]. A registry without a credential is `None`.
    pub fn lookup(&self, name: &str) -> Result<Option<Credential>, CredentialError> {
        let name = canonical(name);
        for path in &self.files.files {
            let file = AuthFile::read(path)?;
            let mut candidate = name.as_str();
            loop {
                if let Some(credential) = self.lookup_exactly(&file, candidate)? {
                    return Ok(Some(credential));
                }
                let Some((above, _)) = candidate.rsplit_once('/') else {
                    break;
                };
                candidate = above;
            }
        }
        Ok(None)
    }

    fn lookup_exactly(
        &self,
        file: &AuthFile,
        name: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        let is_registry = !name.contains('/');
        let helper = file
            .helper_for(name)
            .or_else(|| file.default_helper().filter(|_| is_registry));
        if let Some(helper) = helper {
            match helper::get(
                helper,
                &self.files.helper_directories,
                &server_address(name),
            ) {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) | Err(CredentialError::HelperMissing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        file.credential(name)
    }

    /// Keeps a credential for a registry: with the helper that the first file names, else in it.
    ///
    /// # Errors
    /// [`CredentialError`]; then nothing has changed.
    pub fn save(&self, registry: &str, credential: &Credential) -> Result<Kept, CredentialError> {
        let path = self.files.files.first().ok_or(CredentialError::NoFile)?;
        let name = canonical(registry);
        let mut file = AuthFile::read(path)?;
        let helper = file
            .helper_for(&name)
            .or_else(|| file.default_helper())
            .map(str::to_owned);
        match helper {
            Some(helper) => {
                helper::store(
                    &helper,
                    &self.files.helper_directories,
                    &server_address(&name),
                    credential,
                )?;
                // An entry without content says that the helper has it, as Docker does.
                file.insert(&name, None)?;
                file.write()?;
                Ok(Kept::Helper(helper))
            }
            None => {
                file.insert(&name, Some(credential))?;
                file.write()?;
                Ok(Kept::File(path.clone()))
            }
        }
    }

    /// Forgets the credential for a registry, in the first file and its helper. `false` if there
    /// was none.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn erase(&self, registry: &str) -> Result<bool, CredentialError> {
        let Some(path) = self.files.files.first() else {
            return Ok(false);
        };
        let name = canonical(registry);
        let mut file = AuthFile::read(path)?;
        let mut erased = false;
        if let Some(helper) = file.helper_for(&name).or_else(|| file.default_helper()) {
            let (directories, server) = (&self.files.helper_directories, server_address(&name));
            if helper::get(helper, directories, &server)?.is_some() {
                helper::erase(helper, directories, &server)?;
                erased = true;
            }
        }
        if file.remove(&name) {
            file.write()?;
            erased = true;
        }
        Ok(erased)
    }
}

/// The one name of a registry or repository: Docker Hub has many.
fn canonical(name: &str) -> String {
    let bare = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"))
        .unwrap_or(name);
    let had_scheme = bare.len() != name.len();
    let bare = bare.trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    };
    // Docker's keys have a scheme and an API version; podman's have neither, and may have a path.
    if had_scheme || path.is_empty() || matches!(path, "v1" | "v2") {
        return host.to_ascii_lowercase();
    }
    format!("{}/{path}", host.to_ascii_lowercase())
}

/// How Docker's files and helpers call a registry.
fn server_address(name: &str) -> String {
    if name == DOCKER_HUB {
        DOCKER_HUB_KEY.to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests;
