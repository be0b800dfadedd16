//! Credential helpers: programs that keep credentials (`docker-credential-NAME get|store|erase`).
//!
//! The request goes to their standard input, never to their arguments, which others can see.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use shiplap_model::limits;

use super::{Credential, CredentialError, Secret};
use crate::answer::clean;

/// The user name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    username: String,
    secret: String,
}

/// Asks a helper for the credential of a server.
pub(super) fn get(
    helper: &str,
    directories: &[PathBuf],
    server: &str,
) -> Result<Option<Credential>, CredentialError> {
    let answer = match run(helper, directories, "get", server.as_bytes())? {
        Ok(answer) => answer,
        // The words of docker-credential-helpers' protocol, with and without "native".
        Err(words) if words.contains("credentials not found") => return Ok(None),
        Err(words) => {
            return Err(CredentialError::Helper {
                helper: helper.to_owned(),
                cause: clean(&words),
            });
        }
    };
    let entry: Entry = serde_json::from_slice(&answer).map_err(|_| CredentialError::Helper {
        helper: helper.to_owned(),
        cause: "its answer is not the expected JSON".to_owned(),
    })?;
    let Entry {
        username, secret, ..
    } = entry;
    let secret = Secret::new(secret);
    Ok(match username.as_str() {
        "" if secret.expose().is_empty() => None,
        TOKEN_USER => Some(Credential::IdentityToken {
            username: String::new(),
            token: secret,
        }),
        _ => Some(Credential::Password {
            username,
            password: secret,
        }),
    })
}

/// Gives a helper a credential to keep.
pub(super) fn store(
    helper: &str,
    directories: &[PathBuf],
    server: &str,
    credential: &Credential,
) -> Result<(), CredentialError> {
    let (username, secret) = match credential {
        Credential::Password { username, password } => (username.as_str(), password),
        Credential::IdentityToken { token, .. } | Credential::RegistryToken(token) => {
            (TOKEN_USER, token)
        }
    };
    let entry = Entry {
        server_url: server.to_owned(),
        username: username.to_owned(),
        secret: secret.expose().to_owned(),
    };
    let failed = |cause: String| CredentialError::Helper {
        helper: helper.to_owned(),
        cause,
    };
    let input =
        serde_json::to_vec(&entry).map_err(|_| failed("the credential is no JSON".to_owned()))?;
    run(helper, directories, "store", &input)?
        .map(drop)
        .map_err(|words| failed(clean(&words)))
}

/// Makes a helper forget a credential.
pub(super) fn erase(
    helper: &str,
    directories: &[PathBuf],
    server: &str,
) -> Result<(), CredentialError> {
    let failed = |words: String| CredentialError::Helper {
        helper: helper.to_owned(),
        cause: clean(&words),
    };
    run(helper, directories, "erase", server.as_bytes())?
        .map(drop)
        .map_err(failed)
}

/// Runs a helper; the inner error is what it said when it failed.
fn run(
    helper: &str,
    directories: &[PathBuf],
    verb: &str,
    input: &[u8],
) -> Result<Result<Vec<u8>, String>, CredentialError> {
    let missing = || CredentialError::HelperMissing {
        helper: clean(helper),
    };
    let program = find(helper, directories).ok_or_else(missing)?;
    let failed = |error: io::Error| CredentialError::Helper {
        helper: helper.to_owned(),
        cause: error.to_string(),
    };
    let mut child = Command::new(program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input) {
            // It may know enough without reading.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed(error)),
            _ => {}
        }
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(limits::CREDENTIAL_BYTES)
            .read_to_end(&mut output)
            .map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    Ok(if status.success() {
        Ok(output)
    } else {
        Err(String::from_utf8_lossy(&output).into_owned())
    })
}

/// The helper's program. Its name comes from a file, so it may name nothing but a program in one
/// of the directories.
fn find(helper: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    let plain = !helper.is_empty()
        && helper
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let candidates = directories
        .iter()
        .filter(|directory| directory.is_absolute());
    let program = |directory: &PathBuf| directory.join(format!("docker-credential-{helper}"));
    candidates
        .map(program)
        .find(|program| plain && Path::is_file(program))
}
