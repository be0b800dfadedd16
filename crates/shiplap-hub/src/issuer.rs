//! Tokens that the hub makes and reads: signed, short-lived, for the rights that were asked for.
//!
//! The key is random, made once, and kept in the database. Only its algorithm is taken, whatever a
//! token says of itself. A token proves who asks and what for; what that user may do is asked anew
//! on every request.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::authorization::{Grant, Level};
use crate::database::{DatabaseError, Tx};
use crate::values;

/// The algorithm: nobody but the hub itself reads its tokens, so one secret suffices.
const ALGORITHM: Algorithm = Algorithm::HS256;

/// How long a token for repositories is good, in seconds. Docker's own number.
pub const TOKEN_SECONDS: u64 = 300;

/// How long a user stays signed in with a token for the whole API, in seconds.
pub const SESSION_SECONDS: u64 = 12 * 3600;

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// Number of the user; none is everybody.
    uid: Option<i64>,
    level: String,
    exp: u64,
    iat: u64,
    jti: String,
    /// As Docker's tokens say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<Vec<Access>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Access {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// What a good token means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The user, by number; none is everybody.
    pub user: Option<i64>,
    /// What it may do at most.
    pub level: Level,
    /// What it was made for; nothing said is the whole API.
    pub grants: Option<Vec<Grant>>,
}

/// Why a token can't be made.
#[derive(Debug, thiserror::Error)]
#[error("make a token: {message}")]
pub struct IssueError {
    message: String,
}

/// Makes and reads tokens.
pub struct Issuer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

const NAME: &str = "shiplap-hub";
const KEY: &str = "token-key";

impl Issuer {
    /// The issuer with the key of the database; makes one if there is none.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn load(tx: &dyn Tx) -> Result<Self, DatabaseError> {
        let fresh = crate::random::bytes::<32>().to_vec();
        let sql = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        tx.execute(sql, values![KEY, fresh])?;
        let row = tx.row("SELECT value FROM settings WHERE name = ?1", values![KEY])?;
        let key = row.map(|mut row| row.take_bytes(0)).transpose()?;
        Ok(Self::of(&key.unwrap_or_default()))
    }

    /// The issuer with this key.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let mut validation = Validation::new(ALGORITHM);
        validation.set_issuer(&[NAME]);
        validation.set_audience(&[NAME]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.leeway = 0;
        Self {
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
            validation,
        }
    }

    /// Makes a token that is good for `seconds` from `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(&self, bearer: &Bearer, now: u64, seconds: u64) -> Result<String, IssueError> {
        let access = |grant: &Grant| Access {
            kind: "repository".to_owned(),
            name: grant.repository.clone(),
            actions: grant.actions.clone(),
        };
        let claims = Claims {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            uid: bearer.user,
            level: bearer.level.to_string(),
            exp: now + seconds,
            iat: now,
            jti: crate::random::name(),
            access: bearer
                .grants
                .as_ref()
                .map(|grants| grants.iter().map(access).collect()),
        };
        jsonwebtoken::encode(&Header::new(ALGORITHM), &claims, &self.encoding).map_err(|error| {
            IssueError {
                message: error.to_string(),
            }
        })
    }

    /// What a token means, if it is one of ours and still good.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<Bearer> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).ok()?;
        let claims = data.claims;
        let grants = claims.access.map(|access| {
            let grant = |access: Access| Grant {
                repository: access.name,
                actions: access.actions,
            };
            access.into_iter().map(grant).collect()
        });
        Some(Bearer {
            user: claims.uid,
            level: claims.level.parse().ok()?,
            grants,
        })
    }
}

#[cfg(test)]
mod tests;
