//! Who gets credentials.
//!
//! Credentials belong to one registry, by scheme, host and port. They leave this process in three
//! ways only:
//!
//! 1. As Basic authentication to that registry, if it asks for it itself. A host that was reached
//!    by a redirect, or by an address that the registry gave for an upload, gets nothing and its
//!    challenges are not answered (CVE-2020-15157).
//! 2. To the token server that the registry names (`realm`), by this rule:
//!    - The registry was reached by https with a verified certificate: any https token server.
//!      That is how `registry-1.docker.io` names `auth.docker.io`. A plain-http token server is
//!      refused, even without credentials: the token itself would be seen.
//!    - Otherwise (plain http, or a certificate that nobody verified) whoever sits between could
//!      have named the token server. It gets credentials if it is the registry itself (same
//!      scheme, host and port), or if the user named it in `token_servers` of the registry's
//!      rule ([`crate::RegistryRule`]). Any other, be it another port of the same host or of this
//!      machine, is asked without credentials: public images still come, and a refusal tells that
//!      credentials were withheld ([`crate::Error::Withheld`]).
//!    - An address with a user name, or of another scheme, is refused.
//! 3. To the registry's own login, when the user logs in: by the same two ways. A token server
//!    that gets no credentials proves none: it is not asked at all.
//!
//! A token goes only to the registry it was got for. Redirects of a token server are not followed.

use url::{Origin, Url};

/// What a token server may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// The registry's credentials.
    Credentials,
    /// A request without credentials.
    Anonymous,
}

/// Whether and how a token server may be asked.
///
/// `trusted`: the registry was reached by https with a verified certificate. `token_servers`:
/// those that the registry's rule names.
///
/// # Errors
/// The rule that forbids it.
pub(crate) fn permit(
    registry: &Url,
    trusted: bool,
    token_servers: &[Origin],
    realm: &Url,
) -> Result<Leave, &'static str> {
    if !matches!(realm.scheme(), "http" | "https") || realm.host_str().is_none() {
        return Err("not an http or https address");
    }
    if !realm.username().is_empty() || realm.password().is_some() {
        return Err("an address with a user name in it, which is refused");
    }
    if trusted {
        return match realm.scheme() {
            "https" => Ok(Leave::Credentials),
            _ => Err("plain http for an https registry, which is refused"),
        };
    }
    let origin = realm.origin();
    Ok(
        if origin == registry.origin() || token_servers.contains(&origin) {
            Leave::Credentials
        } else {
            Leave::Anonymous
        },
    )
}

#[cfg(test)]
mod tests;
