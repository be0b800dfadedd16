//! Who asks: from the `Authorization` header to a [`Caller`].
//!
//! Basic with a password or an access token, or Bearer with a token of the hub's own; for pages, the
//! cookie of a browser that is signed in, and nothing else. Says nothing of what the caller may do.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::{self, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::authorization::{Caller, Level, User};
use crate::database::{DatabaseError, Durability, Tx};
use crate::hub::Hub;
use crate::password::Checked;
use crate::records::users::{self, Account};
use crate::records::{sessions, tokens};
use crate::refusal::Refusal;

/// What a request shows of its caller.
pub(crate) enum Shown {
    /// Nothing.
    Nothing,
    /// A name, and a password or access token.
    Basic { name: String, secret: String },
    /// A token of the hub's own.
    Bearer(String),
    /// The secret of a browser that is signed in.
    Session(String),
    /// What can't be read.
    Garbage,
}

impl Shown {
    /// Reads the headers.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Self::Nothing;
        };
        Self::of(value).unwrap_or(Self::Garbage)
    }

    fn of(value: &HeaderValue) -> Option<Self> {
        let (scheme, rest) = value.to_str().ok()?.trim().split_once(' ')?;
        let rest = rest.trim();
        // Docker Hub's own API calls its tokens JWT.
        if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("jwt") {
            return Some(Self::Bearer(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (name, secret) = text.split_once(':')?;
        Some(Self::Basic {
            name: name.to_owned(),
            secret: secret.to_owned(),
        })
    }
}

/// Finds out who asks. A credential that is no good is refused, never taken for none; a session that
/// has ended is none, for the browser did not choose to show it.
pub(crate) async fn caller(hub: &Arc<Hub>, shown: Shown) -> Result<Caller, Known> {
    match shown {
        Shown::Nothing => Ok(Caller::default()),
        Shown::Garbage => Err(Known::Nobody),
        Shown::Basic { name, secret } => {
            let user = sign_in(hub, &name, &secret).await?;
            Ok(Caller {
                user: Some(user),
                has_credential: true,
                grants: None,
            })
        }
        Shown::Session(secret) => {
            let reading = hub.database.read(move |tx| session(tx, &secret));
            let user = reading.await?;
            Ok(Caller {
                has_credential: user.is_some(),
                user,
                grants: None,
            })
        }
        Shown::Bearer(token) => {
            let bearer = hub.issuer.read(&token).ok_or(Known::Nobody)?;
            let user = match bearer.user {
                None => None,
                Some(id) => {
                    let reading = hub
                        .database
                        .read(move |tx| users::by_id(tx, id).map_err(Known::from));
                    let account = reading.await?.filter(|account| !account.is_disabled);
                    Some(account.ok_or(Known::Nobody)?.user(bearer.level))
                }
            };
            Ok(Caller {
                user,
                has_credential: true,
                grants: bearer.grants,
            })
        }
    }
}

fn session(tx: &dyn Tx, secret: &str) -> Result<Option<User>, Known> {
    let Some(known) = sessions::find(tx, secret)? else {
        return Ok(None);
    };
    let account = users::by_id(tx, known.user)?.filter(|account| !account.is_disabled);
    Ok(account.map(|account| account.user(known.level)))
}

/// Why nobody is known by a credential.
pub(crate) enum Known {
    /// It is no good.
    Nobody,
    /// It could not be looked at.
    Failed(Refusal),
}

impl From<DatabaseError> for Known {
    fn from(error: DatabaseError) -> Self {
        Self::Failed(error.into())
    }
}

/// The user of a name and a password or access token.
pub(crate) async fn sign_in(hub: &Arc<Hub>, name: &str, secret: &str) -> Result<User, Known> {
    let found = if secret.starts_with(tokens::PREFIX) {
        by_token(hub, name, secret).await
    } else {
        by_password(hub, name, secret).await
    };
    if matches!(found, Err(Known::Nobody)) {
        hub.metrics.failed_login();
    }
    found
}

/// The user of a name and a password; an access token is none.
pub(crate) async fn by_password(hub: &Arc<Hub>, name: &str, password: &str) -> Result<User, Known> {
    let wanted = name.to_owned();
    let account = hub.database.read(move |tx| find(tx, &wanted)).await?;
    let kept = account.as_ref().map(|account| account.password.as_str());
    match (hub.passwords.check(password, kept).await, account) {
        (Checked::Right, Some(account)) => Ok(account.user(Level::Admin)),
        (Checked::Busy, _) => Err(Known::Failed(Refusal::Busy)),
        _ => Err(Known::Nobody),
    }
}

fn find(tx: &dyn Tx, name: &str) -> Result<Option<Account>, Known> {
    let account = users::by_name(tx, name)?;
    Ok(account.filter(|account| !account.is_disabled))
}

async fn by_token(hub: &Arc<Hub>, name: &str, token: &str) -> Result<User, Known> {
    let (name, token) = (name.to_owned(), token.to_owned());
    let read = hub.database.read(move |tx| {
        let Some(known) = tokens::find(tx, &token)? else {
            return Err(Known::Nobody);
        };
        let account = users::by_id(tx, known.user)?;
        let account = account.filter(|account| account.name == name && !account.is_disabled);
        Ok((account.ok_or(Known::Nobody)?, known))
    });
    let (account, known) = read.await?;
    if known.is_stale {
        let id = known.id;
        let note = hub
            .database
            .write(Durability::Lazy, move |tx| tokens::note_use(tx, id));
        if let Err(error) = note.await {
            tracing::warn!("failed to {error}");
        }
    }
    Ok(account.user(known.level))
}
