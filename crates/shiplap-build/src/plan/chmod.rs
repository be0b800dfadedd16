//! `--chmod`: a mode in octal, or changes of modes as chmod(1) takes them (`u=rwX,go=rX`).

use std::fmt;

/// What becomes of modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// All twelve bits are these.
    Octal(u32),
    /// Changes, each of what the ones before made.
    Symbolic {
        /// As written.
        text: String,
        /// In order.
        changes: Vec<Change>,
    },
}

/// `u=rwX`: one change. As BSD's setmode(3), which BuildKit follows: `t` counts unless it is for
/// `o` alone, and only a change that names it touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whose bits.
    who: u32,
    operator: Operator,
    bits: u32,
    /// `X`: execution, where it is a directory or someone may execute it already.
    execute_some: bool,
    /// `u`, `g`, `o` on the right: whose bits are copied, as 0o700, 0o070, 0o007.
    copies: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

/// Not a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777, or symbolic as u=rwX,go=rX"
)]
pub struct ChmodError(pub String);

const ALL: u32 = 0o7777;
const STICKY: u32 = 0o1000;

impl Chmod {
    /// Reads `--chmod`'s word.
    ///
    /// # Errors
    /// [`ChmodError`].
    pub fn parse(text: &str) -> Result<Self, ChmodError> {
        let wrong = || ChmodError(text.to_owned());
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match u32::from_str_radix(text, 8) {
                Ok(mode @ 0..=0o7777) => Ok(Self::Octal(mode)),
                _ => Err(wrong()),
            };
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            read_clause(clause, &mut changes).ok_or_else(wrong)?;
        }
        Ok(Self::Symbolic {
            text: text.to_owned(),
            changes,
        })
    }

    /// What becomes of `mode` (twelve bits).
    #[must_use]
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic { changes, .. } => {
                let may_execute = is_directory || mode & 0o111 != 0;
                changes
                    .iter()
                    .fold(mode & ALL, |mode, change| change.apply(mode, may_execute))
            }
        }
    }
}

impl fmt::Display for Chmod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octal(mode) => write!(f, "{mode:04o}"),
            Self::Symbolic { text, .. } => f.write_str(text),
        }
    }
}

impl Change {
    fn apply(self, mode: u32, may_execute: bool) -> u32 {
        let mut bits = self.bits;
        if self.execute_some && may_execute {
            bits |= 0o111;
        }
        for shift in [6, 3, 0] {
            if self.copies & (0o7 << shift) != 0 {
                bits |= ((mode >> shift) & 0o7) * 0o111;
            }
        }
        bits &= self.who;
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => (mode & !self.who) | bits,
        }
    }
}

/// Reads `[ugoa]…` and one or more of `[-+=]…`.
fn read_clause(clause: &str, changes: &mut Vec<Change>) -> Option<()> {
    let operators = ['+', '-', '='];
    let (who_text, mut rest) = clause.split_at(clause.find(operators)?);
    let mut who = 0;
    for char in who_text.chars() {
        who |= match char {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o0007,
            'a' => ALL & !STICKY,
            _ => return None,
        };
    }
    if who_text.is_empty() {
        who = ALL & !STICKY;
    }
    while let Some(operator) = rest.chars().next() {
        let operator = match operator {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            _ => Operator::Set,
        };
        let after = &rest[1..];
        let (what, next) = after.split_at(after.find(operators).unwrap_or(after.len()));
        changes.push(read_change(who, operator, what)?);
        rest = next;
    }
    Some(())
}

fn read_change(who: u32, operator: Operator, text: &str) -> Option<Change> {
    let mut change = Change {
        who,
        operator,
        bits: 0,
        execute_some: false,
        copies: 0,
    };
    for char in text.chars() {
        match char {
            'r' => change.bits |= 0o444,
            'w' => change.bits |= 0o222,
            'x' => change.bits |= 0o111,
            'X' if operator == Operator::Remove => change.bits |= 0o111,
            'X' => change.execute_some = true,
            's' => change.bits |= 0o6000,
            't' if who == 0o0007 => {}
            't' => {
                change.who |= STICKY;
                change.bits |= STICKY;
            }
            'u' => change.copies |= 0o700,
            'g' => change.copies |= 0o070,
            'o' => change.copies |= 0o007,
            _ => return None,
        }
    }
    Some(change)
}

#[cfg(test)]
mod tests;
