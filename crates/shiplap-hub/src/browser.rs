//! What a browser shows and sends: the cookie that says who is signed in, and forms with the token that
//! only pages of ours know.
//!
//! A form is taken only with the token that is made of the browser's own secret: the session's, or for
//! who is not signed in yet, that of a cookie which means nothing else. No other site can read either.

use axum::http::HeaderMap;
use axum::http::header;
use sha2::{Digest as _, Sha256};
use shiplap_model::limits;

use crate::call::{self, Call};
use crate::issuer::SESSION_SECONDS;
use crate::random;
use crate::records::sessions;
use crate::refusal::Refusal;

/// The field of a form that has the token.
const TOKEN: &str = "form_token";

/// The two cookies that a browser gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The secret of a session.
    Session,
    /// A secret for forms of who is not signed in.
    Visit,
}

impl Cookie {
    /// Its name. With TLS no neighbour of the hub's can set it.
    fn name(self, is_secure: bool) -> &'static str {
        match (self, is_secure) {
            (Self::Session, true) => "__Host-shiplap",
            (Self::Session, false) => "shiplap",
            (Self::Visit, true) => "__Host-shiplap-visit",
            (Self::Visit, false) => "shiplap-visit",
        }
    }

    /// What the browser has of it.
    pub(crate) fn read(self, headers: &HeaderMap, url: &str) -> Option<String> {
        let name = self.name(is_secure(url));
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(its, value)| *its == name && is_secret(value))
            .map(|(_, value)| value.to_owned())
    }

    /// The header that gives it to the browser.
    pub(crate) fn give(self, secret: &str, url: &str) -> String {
        self.header(secret, SESSION_SECONDS, url)
    }

    /// The header that takes it away.
    pub(crate) fn take(self, url: &str) -> String {
        self.header("", 0, url)
    }

    fn header(self, secret: &str, seconds: u64, url: &str) -> String {
        let is_secure = is_secure(url);
        let (name, secure) = (
            self.name(is_secure),
            if is_secure { "; Secure" } else { "" },
        );
        // A link from elsewhere finds its reader signed in; a form from elsewhere does not.
        format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }
}

fn is_secure(url: &str) -> bool {
    url.starts_with("https://")
}

/// Whether text can be a secret of ours; nothing else reaches the database or a page.
fn is_secret(text: &str) -> bool {
    let hex = text.strip_prefix(sessions::PREFIX).unwrap_or(text);
    (32..=40).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A new secret for forms of who is not signed in.
pub(crate) fn visit() -> String {
    random::name()
}

/// The token that forms of a browser with this secret have.
pub(crate) fn form_token(secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update("a form of the hub's, by ");
    hash.update(secret);
    random::hex(&hash.finalize())
}

/// The fields of a form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// A field's value; empty if there is no such field.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(its, _)| its == name);
        found.map_or("", |(_, value)| value)
    }

    /// A text of several lines: browsers send them with the line ends of mail.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).replace("\r\n", "\n")
    }
}

/// The form that a request brings, if a page of ours made it.
pub(crate) async fn form(call: &mut Call) -> Result<Form, Refusal> {
    let site = call.parts.headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(Refusal::Form);
    }
    let said = call.header(&header::CONTENT_TYPE).unwrap_or_default();
    if !said.starts_with("application/x-www-form-urlencoded") {
        return Err(Refusal::Form);
    }
    let bytes = call.bytes(limits::HUB_BODY_BYTES).await?;
    let form = Form(call::pairs(&String::from_utf8_lossy(&bytes)).collect());
    let secret = call.secret.as_deref().ok_or(Refusal::Form)?;
    // Hashes are compared, so that the time it takes tells nothing.
    let hash = |text: &str| Sha256::digest(text);
    if hash(&form_token(secret)) != hash(form.get(TOKEN)) {
        return Err(Refusal::Form);
    }
    Ok(form)
}

#[cfg(test)]
mod tests;
