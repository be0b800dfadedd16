//! Patterns of a shell in `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}`: `*` and
//! `?`, no brackets.
//!
//! Takes time in proportion to pattern times text, whatever they are.

use crate::limits;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `\` before something that needs none, or at the end.
    #[error("invalid escape in pattern {0:?}")]
    Escape(String),
    /// Too long.
    #[error("a pattern is longer than {} characters", limits::PATTERN_CHARS)]
    TooLong,
}

/// How much of a text to match, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Shortest,
    Longest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`: any but a line feed.
    One,
    /// `*`: any number of them.
    Many,
}

pub(super) struct Pattern {
    tokens: Vec<Token>,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            tokens.push(match char {
                '*' => Token::Many,
                '?' => Token::One,
                '\\' => match chars.next() {
                    Some(char @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(char),
                    _ => return Err(PatternError::Escape(text.to_owned())),
                },
                char => Token::Char(char),
            });
            if tokens.len() > limits::PATTERN_CHARS {
                return Err(PatternError::TooLong);
            }
        }
        Ok(Self { tokens })
    }

    /// The text without what the pattern matches at its start.
    pub(super) fn trim_start(&self, text: &str, extent: Extent) -> String {
        let chars: Vec<char> = text.chars().collect();
        let end = self.find(&chars, 0, true, extent).map_or(0, |(_, end)| end);
        chars.into_iter().skip(end).collect()
    }

    /// The text without what the pattern matches at its end.
    pub(super) fn trim_end(mut self, text: &str, extent: Extent) -> String {
        self.tokens.reverse();
        let backward: String = text.chars().rev().collect();
        let trimmed = self.trim_start(&backward, extent);
        trimmed.chars().rev().collect()
    }

    /// The text with the first match, or all, replaced; `None` if that is too long.
    pub(super) fn replace(&self, text: &str, by: &str, all: bool) -> Option<String> {
        let chars: Vec<char> = text.chars().collect();
        let mut replaced = String::new();
        let (mut from, mut copied) = (0, 0);
        while let Some((start, end)) = self.find(&chars, from, false, Extent::Longest) {
            replaced.extend(chars.get(copied..start).unwrap_or_default());
            // An empty match right behind another is none.
            if end > copied || start == 0 {
                replaced.push_str(by);
            }
            if replaced.len() > limits::EXPANSION_BYTES {
                return None;
            }
            copied = end;
            from = end.max(from + 1);
            if !all || from > chars.len() {
                break;
            }
        }
        replaced.extend(chars.get(copied..).unwrap_or_default());
        Some(replaced)
    }

    /// Start and end of the leftmost match from `from` on, or of the one right there.
    fn find(
        &self,
        text: &[char],
        from: usize,
        is_anchored: bool,
        extent: Extent,
    ) -> Option<(usize, usize)> {
        // For every number of tokens already matched: the leftmost start of such a match.
        let mut states: Vec<Option<usize>> = vec![None; self.tokens.len() + 1];
        let mut best: Option<(usize, usize)> = None;
        for position in from..=text.len() {
            if best.is_none() && (!is_anchored || position == from) {
                offer(&mut states, 0, Some(position));
            }
            for (number, token) in self.tokens.iter().enumerate() {
                if *token == Token::Many {
                    let start = states.get(number).copied().flatten();
                    offer(&mut states, number + 1, start);
                }
            }
            if let Some(start) = states.last().copied().flatten() {
                best = Some((start, position));
                if extent == Extent::Shortest {
                    return best;
                }
            }
            let mut next = vec![None; states.len()];
            if let Some(&char) = text.get(position) {
                let leftmost = |start: &usize| best.is_none_or(|(best, _)| *start <= best);
                for (number, token) in self.tokens.iter().enumerate() {
                    let start = states.get(number).copied().flatten().filter(leftmost);
                    match token {
                        Token::Char(wanted) if *wanted == char => {
                            offer(&mut next, number + 1, start);
                        }
                        Token::One if char != '\n' => offer(&mut next, number + 1, start),
                        Token::Many if char != '\n' => offer(&mut next, number, start),
                        _ => {}
                    }
                }
            }
            states = next;
            if (best.is_some() || is_anchored) && states.iter().all(Option::is_none) {
                break;
            }
        }
        best
    }
}

/// Notes a start at a state unless a lefter one is there.
fn offer(states: &mut [Option<usize>], number: usize, start: Option<usize>) {
    if let (Some(state), Some(start)) = (states.get_mut(number), start) {
        *state = Some(state.map_or(start, |old| old.min(start)));
    }
}
