//! Shell patterns as Go's `path.Match` has them, which Docker's `reference` filter is made of:
//! `*` and `?` stop at `/`, `[a-z]` and `[^a-z]` are classes, `\` escapes. `**` is no more than `*`.

/// A pattern that can't match anything because it is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse pattern {pattern:?}: it has an unfinished class, range or escape")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
}

/// A shell pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `*`: any run without `/`.
    Run,
    /// `?`: any one character but `/`.
    One,
    /// A character itself.
    Literal(char),
    /// `[…]`: a character in (or not in) these inclusive ranges; unlike the others, may be `/`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let error = || PatternError {
            pattern: pattern.chars().take(200).collect(),
        };
        let mut tokens = Vec::new();
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            tokens.push(match c {
                '*' if tokens.last() == Some(&Token::Run) => continue,
                '*' => Token::Run,
                '?' => Token::One,
                '\\' => Token::Literal(rest.next().ok_or_else(error)?),
                '[' => class(&mut rest).ok_or_else(error)?,
                other => Token::Literal(other),
            });
        }
        Ok(Self(tokens))
    }

    /// Whether the whole of `text` matches; time is at most pattern × text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut token, mut at) = (0, 0);
        // After the last `*`: where in the pattern and in the text to try again, one further.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match self.0.get(token) {
                Some(Token::Run) => {
                    retry = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                Some(wanted) if text.get(at).is_some_and(|c| wanted.takes(*c)) => {
                    token += 1;
                    at += 1;
                    continue;
                }
                None if at == text.len() => return true,
                _ => {}
            }
            match retry {
                Some((after, start)) if text.get(start).is_some_and(|c| *c != '/') => {
                    retry = Some((after, start + 1));
                    token = after;
                    at = start + 1;
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Run => false,
            Self::One => c != '/',
            Self::Literal(literal) => *literal == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// A class after its `[`; `None` if it is not well formed. `-` and `]` stand for themselves only
/// when escaped, and an empty class is none.
fn class(rest: &mut std::str::Chars<'_>) -> Option<Token> {
    let negated = rest.as_str().starts_with('^');
    if negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match rest.next()? {
            ']' if !ranges.is_empty() => return Some(Token::Class { negated, ranges }),
            ']' | '-' => return None,
            '\\' => rest.next()?,
            other => other,
        };
        let mut high = low;
        if rest.as_str().starts_with('-') {
            rest.next();
            high = match rest.next()? {
                ']' | '-' => return None,
                '\\' => rest.next()?,
                other => other,
            };
        }
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests;
