//! One call of a program in a shell's text.

use super::Word;

/// A simple command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::lint) struct Command {
    /// `NAME=value`s before it.
    pub(in crate::lint) assignments: Vec<Word>,
    /// The program and its arguments; empty: only assignments or redirections.
    pub(in crate::lint) words: Vec<Word>,
    /// Where its streams go.
    pub(in crate::lint) redirects: Vec<Redirect>,
    /// Where it begins in the text.
    pub(in crate::lint) start: usize,
    /// One behind its end.
    pub(in crate::lint) end: usize,
    /// What stands before it.
    pub(in crate::lint) before: Joint,
    /// What stands behind it.
    pub(in crate::lint) after: Joint,
    /// In how many subshells and substitutions it lies.
    pub(in crate::lint) depth: usize,
    /// It lies in a condition, a loop, a case or a function.
    pub(in crate::lint) is_guarded: bool,
}

/// How commands are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::lint) enum Joint {
    /// Begin or end of a list.
    #[default]
    None,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;`
    Semicolon,
    /// A line's end.
    Newline,
    /// `&`
    Background,
    /// `|`
    Pipe,
}

/// `>file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lint) struct Redirect {
    /// `>`, `>>`, `<` …
    pub(in crate::lint) operator: String,
    /// Where to.
    pub(in crate::lint) target: Word,
}

/// Programs that call another one, which follows their own options.
const CALLERS: [&str; 9] = [
    "sudo",
    "exec",
    "command",
    "env",
    "time",
    "nice",
    "nohup",
    "eatmydata",
    "builtin",
];

impl Command {
    /// The words from the program on that is really called.
    fn called(&self) -> &[Word] {
        let mut words = self.words.as_slice();
        while let Some((first, rest)) = words.split_first() {
            if !first
                .literal()
                .is_some_and(|name| CALLERS.contains(&base(name)))
            {
                break;
            }
            let is_own = |word: &&Word| {
                let is_option = word.literal().is_some_and(|text| text.starts_with('-'));
                is_option || word.assignment().is_some()
            };
            let own = rest.iter().take_while(is_own).count();
            // `exec` and the like by themselves, or with nothing but options.
            if own == rest.len() {
                break;
            }
            words = rest.get(own..).unwrap_or_default();
        }
        words
    }

    /// The name of the program that is called, without its directory.
    pub(in crate::lint) fn program(&self) -> Option<&str> {
        self.called().first()?.literal().map(base)
    }

    /// The word that names the program.
    pub(in crate::lint) fn program_word(&self) -> Option<&Word> {
        self.called().first()
    }

    /// The words after the program.
    pub(in crate::lint) fn arguments(&self) -> &[Word] {
        self.called().split_first().map_or(&[], |(_, rest)| rest)
    }

    /// Whether one of its options is among these; short ones may be joined: `-qq` has `q`.
    pub(in crate::lint) fn has_option(&self, long: &[&str], short: &[char]) -> bool {
        self.arguments().iter().any(|word| {
            let text = word.value.as_str();
            match (text.strip_prefix("--"), text.strip_prefix('-')) {
                (Some(_), _) => long.iter().any(|name| {
                    text == *name
                        || text
                            .strip_prefix(name)
                            .is_some_and(|rest| rest.starts_with('='))
                }),
                (None, Some(letters)) => letters.chars().any(|letter| short.contains(&letter)),
                (None, None) => false,
            }
        })
    }

    /// Its arguments that are no options, where `valued` names options with a value behind them.
    pub(in crate::lint) fn operands<'c>(&'c self, valued: &str) -> Vec<&'c Word> {
        let mut operands = Vec::new();
        let mut words = self.arguments().iter();
        let mut are_options_over = false;
        while let Some(word) = words.next() {
            let text = word.value.as_str();
            if are_options_over || !text.starts_with('-') || text == "-" {
                operands.push(word);
            } else if text == "--" {
                are_options_over = true;
            } else if valued.split(' ').any(|option| option == text) {
                words.next();
            }
        }
        operands
    }
}

/// A program's name without its directory.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
