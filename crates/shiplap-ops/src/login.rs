//! `login` and `logout`: credentials proved and kept, or forgotten.

use shiplap_model::reference::DOCKER_HUB;
use shiplap_registry::CredentialError;
pub use shiplap_registry::{Credential, Kept, Secret};

use crate::context::Context;

/// Why credentials are not kept or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The registry does not take them, or can't be asked.
    #[error(transparent)]
    Registry(#[from] shiplap_registry::Error),
    /// They can't be written or read.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

/// Proves `credential` at `registry` and keeps it; where.
///
/// # Errors
/// [`LoginError`]; then nothing is kept.
pub fn login(
    context: &Context,
    registry: Option<&str>,
    credential: &Credential,
) -> Result<Kept, LoginError> {
    let registry = registry_name(registry);
    let keep = context.client().login(registry, credential)?;
    Ok(context.credentials().save(registry, &keep)?)
}

/// What is kept for `registry`, if anything.
///
/// # Errors
/// [`LoginError`].
pub fn kept(context: &Context, registry: Option<&str>) -> Result<Option<Credential>, LoginError> {
    Ok(context.credentials().lookup(registry_name(registry))?)
}

/// Forgets what is kept for `registry`; whether there was anything.
///
/// # Errors
/// [`LoginError`].
pub fn logout(context: &Context, registry: Option<&str>) -> Result<bool, LoginError> {
    Ok(context.credentials().erase(registry_name(registry))?)
}

/// The registry as references name it: users also write Docker Hub's address, or a scheme.
#[must_use]
pub fn registry_name(registry: Option<&str>) -> &str {
    let Some(registry) = registry else {
        return DOCKER_HUB;
    };
    let bare = registry
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let bare = bare.trim_end_matches('/');
    match bare {
        "" | "docker.io" | "index.docker.io" | "index.docker.io/v1" | "registry-1.docker.io" => {
            DOCKER_HUB
        }
        other => other,
    }
}
