//! Instructions cut into words, before anybody asks what the words mean.

use super::Span;
use super::ast::{Heredoc, Pair};
use super::error::Fault;
use super::lines::Line;
use super::split;

/// A cut instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// As written.
    pub(super) word: String,
    pub(super) flags: Vec<String>,
    pub(super) arguments: Arguments,
    pub(super) heredocs: Vec<Heredoc>,
    /// The whole line, trimmed.
    pub(super) text: String,
    pub(super) span: Span,
    pub(super) comments: Vec<String>,
}

/// What follows word and flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arguments {
    /// Words.
    Words(Vec<String>),
    /// An array in JSON.
    Exec(Vec<String>),
    /// `name=value`s.
    Pairs(Vec<Pair>),
    /// A word, and a command behind it.
    Headed(String, Box<Arguments>),
    /// Another instruction.
    Trigger(Box<Node>),
}

/// How the arguments of an instruction are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// At blanks.
    Blanks,
    /// At blanks that are not quoted.
    Words,
    /// Not at all.
    Whole,
    /// An array in JSON, or not at all.
    Command,
    /// An array in JSON, or at blanks.
    List,
    Pairs,
    Headed,
    Trigger,
}

/// Every instruction there is.
const INSTRUCTIONS: [(&str, Form); 18] = [
    ("ADD", Form::List),
    ("ARG", Form::Words),
    ("CMD", Form::Command),
    ("COPY", Form::List),
    ("ENTRYPOINT", Form::Command),
    ("ENV", Form::Pairs),
    ("EXPOSE", Form::Blanks),
    ("FROM", Form::Blanks),
    ("HEALTHCHECK", Form::Headed),
    ("LABEL", Form::Pairs),
    ("MAINTAINER", Form::Whole),
    ("ONBUILD", Form::Trigger),
    ("RUN", Form::Command),
    ("SHELL", Form::Command),
    ("STOPSIGNAL", Form::Whole),
    ("USER", Form::Whole),
    ("VOLUME", Form::List),
    ("WORKDIR", Form::Whole),
];

/// The names of all instructions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    INSTRUCTIONS.into_iter().map(|(name, _)| name)
}

impl Node {
    /// Cuts a line.
    pub(super) fn of(line: &Line, escape: char) -> Result<Self, Fault> {
        let mut node = Self::cut(&line.text, escape, true)?;
        node.span = line.span;
        node.comments.clone_from(&line.comments);
        if let Arguments::Trigger(trigger) = &mut node.arguments {
            trigger.span = line.span;
        }
        Ok(node)
    }

    fn cut(text: &str, escape: char, may_wait: bool) -> Result<Self, Fault> {
        let cut = split::cut(text, escape);
        let known =
            { INSTRUCTIONS.into_iter() }.find(|(name, _)| name.eq_ignore_ascii_case(cut.word));
        let arguments = match known {
            // Which can't wait is told later; here it only must not nest without end.
            Some((_, Form::Trigger)) if !may_wait => Arguments::Words(split::blanks(cut.rest)),
            Some((name, form)) => Arguments::cut(name, form, cut.rest, escape)?,
            None => Arguments::Words(Vec::new()),
        };
        Ok(Self {
            word: cut.word.to_owned(),
            flags: cut.flags,
            arguments,
            heredocs: Vec::new(),
            text: text.trim().to_owned(),
            span: Span::default(),
            comments: Vec::new(),
        })
    }

    /// Its name in capitals; `None` if there is no such instruction.
    pub(super) fn name(&self) -> Option<&'static str> {
        names().find(|name| name.eq_ignore_ascii_case(&self.word))
    }

    /// It, or the trigger in it, may announce heredocs.
    pub(super) fn takes_heredocs(&self) -> bool {
        match &self.arguments {
            Arguments::Trigger(trigger) => trigger.takes_heredocs(),
            Arguments::Exec(_) => false,
            _ => matches!(self.name(), Some("ADD" | "COPY" | "RUN")),
        }
    }
}

impl Arguments {
    fn cut(name: &'static str, form: Form, rest: &str, escape: char) -> Result<Self, Fault> {
        let whole = || match rest {
            "" => Self::Words(Vec::new()),
            rest => Self::Words(vec![rest.to_owned()]),
        };
        Ok(match form {
            Form::Blanks => Self::Words(split::blanks(rest)),
            Form::Words => Self::Words(split::words(rest, escape)),
            Form::Whole => whole(),
            Form::Command => split::strings(rest)?.map_or_else(whole, Self::Exec),
            Form::List => match split::strings(rest)? {
                Some(strings) => Self::Exec(strings),
                None => Self::Words(split::blanks(rest)),
            },
            Form::Pairs => Self::Pairs(pairs(name, rest, escape)?),
            Form::Headed => match rest.split_once(char::is_whitespace) {
                None if rest.is_empty() => whole(),
                None => Self::Headed(rest.to_owned(), Box::new(Self::Words(Vec::new()))),
                Some((head, rest)) => {
                    let command = Self::cut(name, Form::Command, rest.trim_start(), escape)?;
                    Self::Headed(head.to_owned(), Box::new(command))
                }
            },
            Form::Trigger if rest.is_empty() => whole(),
            Form::Trigger => Self::Trigger(Box::new(Node::cut(rest, escape, false)?)),
        })
    }
}

/// `name=value …`, or the old `name value`.
fn pairs(name: &'static str, rest: &str, escape: char) -> Result<Vec<Pair>, Fault> {
    let words = split::words(rest, escape);
    if words.first().is_some_and(|word| !word.contains('=')) {
        return match split::halves(rest) {
            (_, "") => Err(Fault::TwoArguments(name)),
            (key, value) => Ok(vec![Pair {
                name: key.to_owned(),
                value: value.to_owned(),
                is_legacy: true,
            }]),
        };
    }
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) => Ok(Pair {
            name: name.to_owned(),
            value: value.to_owned(),
            is_legacy: false,
        }),
        None => Err(Fault::NoEquals(word)),
    };
    words.into_iter().map(pair).collect()
}
