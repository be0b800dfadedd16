//! `WWW-Authenticate`: what a server wants before it answers (RFC 9110 section 11.6.1).
//!
//! Parsing only; who gets credentials is decided in the module `realm`.

use std::collections::BTreeMap;

/// One challenge. Scheme and parameter names are in lowercase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    /// `bearer`, `basic` or another.
    pub scheme: String,
    /// The parameters; of one named twice, the first.
    pub params: BTreeMap<String, String>,
}

/// Why a header is no list of challenges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// A quoted string without end.
    #[error("a quoted string without end")]
    Quote,
    /// Something else than what the grammar wants at this place.
    #[error("{found:?} where {want} must be (byte {offset})")]
    Unexpected {
        /// What is there; `None` at the end.
        found: Option<char>,
        /// What must be there.
        want: &'static str,
        /// Where, in bytes.
        offset: usize,
    },
}

/// All challenges of a header, in order.
///
/// More is taken than the grammar gives: quoted scheme and names, and token values with any
/// visible character but comma and quote.
///
/// # Errors
/// [`ChallengeError`] if anything in it can't be parsed.
pub fn parse(header: &str) -> Result<Vec<Challenge>, ChallengeError> {
    let mut cursor = Cursor {
        text: header,
        offset: 0,
    };
    let mut challenges = Vec::new();
    cursor.challenges(&mut challenges)?;
    Ok(challenges)
}

/// All challenges, and of the last one the parameters, up to the first fault: what a client can
/// still work with.
#[must_use]
pub fn parse_leniently(header: &str) -> Vec<Challenge> {
    let mut cursor = Cursor {
        text: header,
        offset: 0,
    };
    let mut challenges = Vec::new();
    // What came before the fault is still good.
    let _fault = cursor.challenges(&mut challenges);
    challenges
}

struct Cursor<'a> {
    text: &'a str,
    offset: usize,
}

impl Cursor<'_> {
    /// `#challenge`: pushes each challenge as soon as its scheme is known.
    fn challenges(&mut self, found: &mut Vec<Challenge>) -> Result<(), ChallengeError> {
        loop {
            self.skip_separators();
            if self.peek().is_none() {
                return Ok(());
            }
            let scheme = self.word("a scheme")?.to_ascii_lowercase();
            if self.peek() == Some('=') {
                return Err(self.unexpected("a scheme"));
            }
            found.push(Challenge {
                scheme,
                params: BTreeMap::new(),
            });
            let Some(challenge) = found.last_mut() else {
                return Ok(());
            };
            self.params(challenge)?;
        }
    }

    /// `[ 1*SP ( token68 / #auth-param ) ]`, until the next challenge or the end.
    fn params(&mut self, challenge: &mut Challenge) -> Result<(), ChallengeError> {
        let mut first = true;
        loop {
            let before = self.offset;
            self.skip_space();
            match self.peek() {
                None => return Ok(()),
                Some(',') => {
                    self.skip_separators();
                    first = false;
                    if self.peek().is_none() {
                        return Ok(());
                    }
                }
                Some(_) if !first => return Err(self.unexpected("a comma")),
                Some(_) => {}
            }
            if first && self.token68(&challenge.scheme) {
                first = false;
                continue;
            }
            let name = self.word("a parameter")?.to_ascii_lowercase();
            self.skip_space();
            if self.peek() != Some('=') {
                if first {
                    return Err(self.unexpected("="));
                }
                // A word without "=" after a comma begins the next challenge.
                self.offset = before;
                return Ok(());
            }
            self.bump();
            self.skip_space();
            let value = self.value()?;
            challenge.params.entry(name).or_insert(value);
            first = false;
        }
    }

    /// Skips a token68, which neither Basic nor Bearer has.
    fn token68(&mut self, scheme: &str) -> bool {
        if matches!(scheme, "basic" | "bearer") {
            return false;
        }
        let rest = self.text.get(self.offset..).unwrap_or_default();
        let token = rest.split([',', ' ', '\t']).next().unwrap_or_default();
        let bare = token.trim_end_matches('=');
        let after = rest.get(token.len()..).unwrap_or_default().trim_start();
        let is_token68 = !bare.is_empty()
            && bare
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
            && (after.is_empty() || after.starts_with(','));
        if is_token68 {
            self.offset += token.len();
        }
        is_token68
    }

    fn value(&mut self) -> Result<String, ChallengeError> {
        match self.peek() {
            Some('"') => self.quoted(),
            Some(c) if c != ',' && !c.is_ascii_whitespace() => {
                let start = self.offset;
                while self
                    .peek()
                    .is_some_and(|c| c != ',' && c != '"' && !c.is_ascii_whitespace())
                {
                    self.bump();
                }
                Ok(self
                    .text
                    .get(start..self.offset)
                    .unwrap_or_default()
                    .to_owned())
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    /// A token, or a quoted string in its place.
    fn word(&mut self, want: &'static str) -> Result<String, ChallengeError> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let start = self.offset;
        while self.peek().is_some_and(is_token) {
            self.bump();
        }
        match self.text.get(start..self.offset) {
            Some(word) if !word.is_empty() => Ok(word.to_owned()),
            _ => Err(self.unexpected(want)),
        }
    }

    fn quoted(&mut self) -> Result<String, ChallengeError> {
        self.bump();
        let mut value = String::new();
        loop {
            match self.bump() {
                None => return Err(ChallengeError::Quote),
                Some('"') => return Ok(value),
                Some('\\') => value.push(self.bump().ok_or(ChallengeError::Quote)?),
                Some(c) => value.push(c),
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.text
            .get(self.offset..)
            .and_then(|rest| rest.chars().next())
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset += next.len_utf8();
        Some(next)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.bump();
        }
    }

    fn skip_separators(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | ',')) {
            self.bump();
        }
    }

    fn unexpected(&self, want: &'static str) -> ChallengeError {
        ChallengeError::Unexpected {
            found: self.peek(),
            want,
            offset: self.offset,
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests;
