//! The tree a template is parsed into, and how its nodes are shown in errors.

use std::fmt::{self, Display, Formatter};

use super::value::Value;

/// A piece of a template's body.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Call),
    Break,
    Continue,
}

/// A template used by its name.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) pipe: Option<Pipe>,
}

/// The body of `if`, `with` and `range`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands joined by `|`, their result perhaps put into variables.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) at: usize,
    pub(super) variables: Vec<String>,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// An operand, or a function with its arguments. Never empty.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) first: Term,
    pub(super) arguments: Vec<Term>,
}

/// An operand and where it stands.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) at: usize,
    pub(super) kind: TermKind,
}

#[derive(Debug)]
pub(super) enum TermKind {
    Dot,
    Nil,
    /// A literal: its text as written, and its value.
    Literal {
        text: String,
        value: Value,
    },
    Function(String),
    Field(Vec<String>),
    Variable {
        name: String,
        fields: Vec<String>,
    },
    Pipe(Box<Pipe>),
    Chain {
        of: Box<Term>,
        fields: Vec<String>,
    },
}

fn dotted(f: &mut Formatter<'_>, fields: &[String]) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(f, ".{field}"))
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TermKind::Dot => f.write_str("."),
            TermKind::Nil => f.write_str("nil"),
            TermKind::Literal { text, .. } => f.write_str(text),
            TermKind::Function(name) => f.write_str(name),
            TermKind::Field(fields) => dotted(f, fields),
            TermKind::Variable { name, fields } => {
                f.write_str(name)?;
                dotted(f, fields)
            }
            TermKind::Pipe(pipe) => write!(f, "({pipe})"),
            TermKind::Chain { of, fields } => {
                write!(f, "{of}")?;
                dotted(f, fields)
            }
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", super::printf::quoted(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.arguments
            .iter()
            .try_for_each(|term| write!(f, " {term}"))
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        for (number, command) in self.commands.iter().enumerate() {
            if number > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}
