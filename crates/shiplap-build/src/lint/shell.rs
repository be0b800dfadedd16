//! The commands in a shell's text: enough of the shell's grammar to know which programs are called
//! with which words, and how calls are joined. It expands nothing and runs nothing.
//!
//! Whatever the text is, reading it ends, in time proportional to it; what can't be understood makes
//! the script unsound, and who asks then keeps silent.

mod command;
mod reader;
#[cfg(test)]
mod tests;
mod word;
mod words;

pub(super) use command::{Command, Joint, Redirect};
pub(super) use word::{Expansion, Subject, Word};

/// A text for a shell, cut into commands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Script {
    /// All simple commands in the order of the text, those of subshells and substitutions too.
    pub(super) commands: Vec<Command>,
    /// Where the last word or sign ends, comments apart.
    pub(super) end: usize,
    /// All of it was understood.
    pub(super) is_sound: bool,
    /// How the last command ends.
    pub(super) last: Joint,
    /// Features that only bash and its like have, with their place.
    pub(super) bashisms: Vec<Bashism>,
}

/// Something that `sh` need not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bashism {
    /// What it is.
    pub(super) name: &'static str,
    /// Where.
    pub(super) start: usize,
    /// One behind its end.
    pub(super) end: usize,
}

impl Script {
    /// Reads a text.
    pub(super) fn read(text: &str) -> Self {
        reader::read(text)
    }

    /// The commands that a failing one before them does not keep from being asked: those of the
    /// script itself, not in a condition, a loop or a substitution.
    pub(super) fn top(&self) -> impl Iterator<Item = &Command> {
        let is_top = |command: &&Command| command.depth == 0 && !command.is_guarded;
        self.commands.iter().filter(is_top)
    }
}
