//! What a user can do about a failure, where the failure itself can't say: the verbs and settings
//! that help are the face's.

use std::error::Error;

use shiplap_ops::{
    RegistryFailure, acquire::AcquireError, search::SearchError, transport::TransportError,
};

/// Advice for the error or for what caused it.
pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(failure) = from_registry(error) {
            return advise(failure);
        }
        cause = error.source();
    }
    None
}

/// The registry's part in an error; an error that is shown as its cause hides that cause.
fn from_registry<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e RegistryFailure> {
    if let Some(AcquireError::Transport(TransportError::Registry(failure))) = error.downcast_ref() {
        return Some(failure);
    }
    if let Some(TransportError::Registry(failure)) = error.downcast_ref() {
        return Some(failure);
    }
    if let Some(SearchError::Registry(failure)) = error.downcast_ref() {
        return Some(failure);
    }
    error.downcast_ref()
}

fn advise(failure: &RegistryFailure) -> Option<String> {
    match failure {
        RegistryFailure::Unauthorized { target, .. } | RegistryFailure::Denied { target, .. } => {
            Some(format!(
                "check the name; if the repository is private, log in first: login {}",
                target.registry
            ))
        }
        RegistryFailure::NotFound { target, .. } if !target.repository.is_empty() => Some(format!(
            "what there is: tags {}/{}",
            target.registry, target.repository
        )),
        RegistryFailure::RateLimited { target, .. } => Some(format!(
            "log in ({}), or set a mirror of it in config.toml",
            target.registry
        )),
        RegistryFailure::Tls { target, .. } => Some(format!(
            "if {} speaks plain http or has a certificate of its own, set insecure = true for it in config.toml",
            target.registry
        )),
        _ => None,
    }
}
