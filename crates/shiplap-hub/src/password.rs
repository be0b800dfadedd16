//! Passwords: argon2id for those set here, bcrypt for those that come from an htpasswd file.
//!
//! Checking one is slow by design, so whoever asks with the same good password again within some
//! minutes is known by a keyed hash of it, in memory alone; and few checks run at once, since each
//! takes memory. Never logs or keeps a password.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use shiplap_model::limits;

use crate::lock::lock;

/// How long a password that was good is believed without a new check.
const BELIEVED: Duration = Duration::from_secs(5 * 60);

/// Most passwords that are believed at a time.
const KEPT: usize = 10_000;

/// Checks that run at once: each takes 19 MiB.
const AT_ONCE: usize = 2;

/// Checks that wait at most; more are turned away.
const WAITING: usize = 64;

/// Why a password can't be set.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too easily guessed.
    #[error("set the password: it has {characters} characters, fewer than {least}")]
    Short {
        /// How many it has.
        characters: usize,
        /// How many it needs.
        least: usize,
    },
    /// Longer than is hashed.
    #[error("set the password: it has {bytes} bytes, more than {limit}")]
    Long {
        /// How long it is.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The hash could not be made.
    #[error("hash the password: {message}")]
    Hash {
        /// Why.
        message: String,
    },
}

/// Fewest characters of a password.
pub const LEAST_CHARACTERS: usize = 8;

/// The text that is kept of a new password.
///
/// # Errors
/// [`PasswordError`].
pub fn hash(password: &str) -> Result<String, PasswordError> {
    let characters = password.chars().count();
    if characters < LEAST_CHARACTERS {
        return Err(PasswordError::Short {
            characters,
            least: LEAST_CHARACTERS,
        });
    }
    if password.len() > limits::PASSWORD_BYTES {
        return Err(PasswordError::Long {
            bytes: password.len(),
            limit: limits::PASSWORD_BYTES,
        });
    }
    let salt = crate::random::bytes::<16>();
    Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| PasswordError::Hash {
            message: error.to_string(),
        })
}

/// Whether `kept` is a hash that can be checked here.
#[must_use]
pub fn is_known(kept: &str) -> bool {
    is_bcrypt(kept) || (kept.starts_with("$argon2") && PasswordHash::new(kept).is_ok())
}

fn is_bcrypt(kept: &str) -> bool {
    ["$2a$", "$2b$", "$2x$", "$2y$"]
        .iter()
        .any(|start| kept.starts_with(start))
        && kept.parse::<bcrypt::HashParts>().is_ok()
}

/// Whether `password` is the one that `kept` is of. Takes some ten milliseconds.
#[must_use]
pub fn is_right(password: &str, kept: &str) -> bool {
    if is_bcrypt(kept) {
        return bcrypt::verify(password, kept).unwrap_or(false);
    }
    PasswordHash::new(kept).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The password is right.
    Right,
    /// It is not.
    Wrong,
    /// Too many checks are waiting.
    Busy,
}

/// Checks passwords, few at a time, and remembers the good ones for a while.
pub struct Checker {
    key: [u8; 32],
    believed: Mutex<HashMap<[u8; 32], Instant>>,
    turns: std::sync::Arc<Semaphore>,
    waiting: Semaphore,
    /// A hash of nobody's password, so that an unknown user takes as long as a known one.
    nobody: String,
}

impl Checker {
    /// A checker that remembers nothing yet.
    ///
    /// # Errors
    /// [`PasswordError::Hash`].
    pub fn new() -> Result<Self, PasswordError> {
        Ok(Self {
            key: crate::random::bytes(),
            believed: Mutex::new(HashMap::new()),
            turns: std::sync::Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(WAITING),
            nobody: hash(&crate::random::name())?,
        })
    }

    /// Checks `password` against what is kept of a user's, or against nothing.
    pub async fn check(&self, password: &str, kept: Option<&str>) -> Checked {
        if password.len() > limits::PASSWORD_BYTES {
            return Checked::Wrong;
        }
        let name = self.name(password, kept.unwrap_or(""));
        if kept.is_some() && self.is_believed(&name) {
            return Checked::Right;
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Checked::Busy;
        };
        let Ok(turn) = std::sync::Arc::clone(&self.turns).acquire_owned().await else {
            return Checked::Busy;
        };
        let (of, against) = (password.to_owned(), kept.unwrap_or(&self.nobody).to_owned());
        let checking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            is_right(&of, &against)
        });
        if !checking.await.unwrap_or(false) || kept.is_none() {
            return Checked::Wrong;
        }
        self.believe(name);
        Checked::Right
    }

    fn name(&self, password: &str, kept: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update((password.len() as u64).to_le_bytes());
        hash.update(password);
        hash.update(kept);
        hash.finalize().into()
    }

    fn is_believed(&self, name: &[u8; 32]) -> bool {
        let believed = lock(&self.believed);
        believed
            .get(name)
            .is_some_and(|since| since.elapsed() < BELIEVED)
    }

    fn believe(&self, name: [u8; 32]) {
        let mut believed = lock(&self.believed);
        if believed.len() >= KEPT {
            believed.retain(|_, since| since.elapsed() < BELIEVED);
        }
        if believed.len() < KEPT {
            believed.insert(name, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
