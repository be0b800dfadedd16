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
//!      have named the token server. It gets credentials if it is on the registry's own host (any
//!      port), or if both are on this machine; another one is asked without credentials, and never
//!      if there are credentials to give.
//!    - An address with a user name, or of another scheme, is refused.
//! 3. To the registry's own login, when the user logs in: by the same two ways.
//!
//! A token goes only to the registry it was got for. Redirects of a token server are not followed.

use url::Url;

use crate::place::is_loopback;

/// Whether and how a token server may be asked.
///
/// `trusted`: the registry was reached by https with a verified certificate. `secret`: credentials
/// would be sent.
///
/// # Errors
/// The rule that forbids it.
pub(crate) fn permit(
    registry: &Url,
    trusted: bool,
    realm: &Url,
    secret: bool,
) -> Result<(), &'static str> {
    if !matches!(realm.scheme(), "http" | "https") || realm.host_str().is_none() {
        return Err("not an http or https address");
    }
    if !realm.username().is_empty() || realm.password().is_some() {
        return Err("an address with a user name in it, which is refused");
    }
    if trusted {
        return match realm.scheme() {
            "https" => Ok(()),
            _ => Err("plain http for an https registry, which is refused"),
        };
    }
    let on_this_machine = |url: &Url| is_loopback(url) == Some(true);
    let same_host = registry.host() == realm.host();
    if !secret || same_host || (on_this_machine(registry) && on_this_machine(realm)) {
        return Ok(());
    }
    Err(
        "on another host than a registry that is not reached by verified https, and gets no credentials",
    )
}

#[cfg(test)]
mod tests;
