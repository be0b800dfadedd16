//! One credential file: read whole, changed in place, written anew. What isn't known here stays.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Map, Value};
use shiplap_model::limits;

use super::{Credential, CredentialError, Secret, canonical, server_address};

/// Docker and podman write padding; other tools don't.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A credential file's content; its entries hold secrets, so it has no `Debug`.
pub(super) struct AuthFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl AuthFile {
    /// Reads `path`; an absent or empty file has no entries.
    pub(super) fn read(path: &Path) -> Result<Self, CredentialError> {
        let failed = |source| CredentialError::File {
            path: path.to_owned(),
            source,
        };
        let mut text = Vec::new();
        match File::open(path) {
            Ok(file) => {
                file.take(limits::CREDENTIAL_BYTES)
                    .read_to_end(&mut text)
                    .map_err(failed)?;
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(failed(error)),
        }
        let content = if text.trim_ascii().is_empty() {
            Map::new()
        } else {
            // The parser's own message could quote a secret; line and column do not.
            serde_json::from_slice(&text).map_err(|error| CredentialError::Format {
                path: path.to_owned(),
                cause: format!(
                    "no JSON object (line {}, column {})",
                    error.line(),
                    error.column()
                ),
            })?
        };
        Ok(Self {
            path: path.to_owned(),
            content,
        })
    }

    /// The helper for exactly this registry.
    pub(super) fn helper_for(&self, name: &str) -> Option<&str> {
        let helpers = self.content.get("credHelpers")?.as_object()?;
        let (_, helper) = helpers.iter().find(|(key, _)| canonical(key) == name)?;
        helper.as_str().filter(|helper| !helper.is_empty())
    }

    /// The helper for all registries that have none of their own.
    pub(super) fn default_helper(&self) -> Option<&str> {
        self.content
            .get("credsStore")?
            .as_str()
            .filter(|helper| !helper.is_empty())
    }

    /// The credential under this name.
    pub(super) fn credential(&self, name: &str) -> Result<Option<Credential>, CredentialError> {
        let Some(auths) = self.content.get("auths").and_then(Value::as_object) else {
            return Ok(None);
        };
        let entries = auths.iter().filter(|(key, _)| canonical(key) == name);
        for (_, entry) in entries {
            if let Some(credential) = self.entry(name, entry)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    fn entry(&self, name: &str, entry: &Value) -> Result<Option<Credential>, CredentialError> {
        let text = |key: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let mut username = text("username").unwrap_or_default().to_owned();
        let mut password = text("password").unwrap_or_default().to_owned();
        if let Some(auth) = text("auth") {
            let pair = LENIENT
                .decode(auth.trim())
                .ok()
                .and_then(|pair| String::from_utf8(pair).ok());
            let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
            let (name_part, password_part) = pair.ok_or_else(|| CredentialError::Format {
                path: self.path.clone(),
                cause: format!("the auth of {name} is no base64 of name:password"),
            })?;
            username = name_part.to_owned();
            // Docker pads old entries with NUL.
            password = password_part.trim_end_matches('\0').to_owned();
        }
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Credential::IdentityToken {
                username,
                token: Secret::new(token),
            }));
        }
        if let Some(token) = text("registrytoken") {
            return Ok(Some(Credential::RegistryToken(Secret::new(token))));
        }
        if username.is_empty() && password.is_empty() {
            return Ok(None);
        }
        Ok(Some(Credential::Password {
            username,
            password: Secret::new(password),
        }))
    }

    /// Puts an entry, in place of those under other spellings of the name.
    pub(super) fn insert(
        &mut self,
        name: &str,
        credential: Option<&Credential>,
    ) -> Result<(), CredentialError> {
        self.remove(name);
        let mut entry = Map::new();
        let mut put = |key: &str, value: String| entry.insert(key.to_owned(), Value::String(value));
        match credential {
            None => {}
            Some(Credential::Password { username, password }) => {
                put(
                    "auth",
                    STANDARD.encode(format!("{username}:{}", password.expose())),
                );
            }
            Some(Credential::IdentityToken { username, token }) => {
                put("auth", STANDARD.encode(format!("{username}:")));
                put("identitytoken", token.expose().to_owned());
            }
            Some(Credential::RegistryToken(token)) => {
                put("registrytoken", token.expose().to_owned());
            }
        }
        let auths = self
            .content
            .entry("auths")
            .or_insert_with(|| Value::Object(Map::new()));
        if auths.is_null() {
            *auths = Value::Object(Map::new());
        }
        let auths = auths
            .as_object_mut()
            .ok_or_else(|| CredentialError::Format {
                path: self.path.clone(),
                cause: "its auths are no object".to_owned(),
            })?;
        auths.insert(server_address(name), Value::Object(entry));
        Ok(())
    }

    /// Removes all entries under this name. `false` if there was none.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let Some(auths) = self.content.get_mut("auths").and_then(Value::as_object_mut) else {
            return false;
        };
        let before = auths.len();
        auths.retain(|key, _| canonical(key) != name);
        auths.len() != before
    }

    /// Writes the file: for the user alone, and whole or not at all. A symbolic link stays one.
    pub(super) fn write(&self) -> Result<(), CredentialError> {
        let failed = |source| CredentialError::File {
            path: self.path.clone(),
            source,
        };
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(failed)?;
        let mut text =
            serde_json::to_string_pretty(&self.content).map_err(|error| failed(error.into()))?;
        text.push('\n');
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let staged = directory.join(name);
        let written = stage(&staged, text.as_bytes()).and_then(|()| fs::rename(&staged, &path));
        written.map_err(|error| {
            // The first error is the one to tell.
            let _left_over = fs::remove_file(&staged);
            failed(error)
        })?;
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed)
    }
}

fn stage(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // Also where a file of that name was left over.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text)?;
    file.sync_all()
}
