//! Names of variables that hold secrets, likely.

const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// What makes a name harmless all the same: `PUBLIC_KEY`, `TOKEN_FILE`.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

/// Whether a part of the name between underscores says that its value is secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let has = |words: &[&str]| name.split('_').any(|part| words.contains(&part));
    has(&SECRET) && !has(&HARMLESS)
}
