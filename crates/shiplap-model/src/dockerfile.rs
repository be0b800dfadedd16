//! Dockerfiles: text to a tree of instructions with their places (Dockerfile reference,
//! frontend 1.2x).
//!
//! ```text
//! bytes ─▶ lines (joined, comments out) ─▶ nodes (cut into words) ─▶ instructions ─▶ stages
//! ```
//!
//! Pure: nothing here expands a variable, looks at a file system or runs anything. Whatever the
//! bytes are, reading them ends, in time proportional to them.

pub mod ast;
mod directive;
mod error;
mod excerpt;
mod flags;
mod heredoc;
mod instruction;
mod lines;
mod mount;
mod node;
mod split;
mod suggestion;

pub use ast::{
    ArgDeclaration, Command, Device, Dockerfile, Expose, From, Gap, Healthcheck, Heredoc,
    Instruction, Kind, Mount, MountType, Network, Pair, Run, Security, Span, Stage, Transfer,
    TransferSource,
};
pub use error::{Fault, Place, SyntaxError, SyntaxErrors};
pub use excerpt::excerpt;
pub use mount::MountFault;
pub use suggestion::Meant;

use crate::limits;
use directive::Directive;
use instruction::Statement;
use lines::{Line, Lines};
use node::Node;

/// A file as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What of it is right; may have no stage.
    pub file: Dockerfile,
    /// What of it is wrong, up to [`limits::DOCKERFILE_ERRORS`], in order.
    pub errors: Vec<SyntaxError>,
}

/// Reads a whole file that is right.
///
/// # Errors
/// [`SyntaxErrors`].
pub fn parse(bytes: &[u8]) -> Result<Dockerfile, SyntaxErrors> {
    let Reading { file, errors } = read(bytes);
    match errors.is_empty() {
        true => Ok(file),
        false => Err(SyntaxErrors(errors)),
    }
}

/// Reads a file, whatever is in it.
#[must_use]
pub fn read(bytes: &[u8]) -> Reading {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes.get(..limits::DOCKERFILE_BYTES).unwrap_or(bytes));
    let mut errors = Vec::new();
    let syntax = directive::syntax(&text);
    let is_foreign = |directive: &&Directive| !directive::is_dockerfile(&directive.value);
    let mut reader = Reader::of(bytes);
    let nodes = match syntax.as_ref().filter(is_foreign) {
        Some(Directive { value, line, .. }) => {
            errors.push(at_line(*line, Fault::Syntax(value.clone())));
            Vec::new()
        }
        None => reader.nodes(&mut errors),
    };
    let mut file = Dockerfile {
        escape: reader.lines.escape,
        syntax: syntax.map(|directive| directive.value),
        check: directive::find("check", &text, "#").map(|found| first_word(&found.value)),
        global_args: Vec::new(),
        stages: Vec::new(),
        gaps: reader.gaps,
    };
    let is_empty = nodes.is_empty();
    for (node, line) in nodes {
        match file.add(node) {
            // A wrong FROM is told once, not at all that would be its stage.
            Err(Fault::NoStage) if !errors.is_empty() => {}
            Err(fault) if errors.len() < limits::DOCKERFILE_ERRORS => {
                errors.push(line.error(fault));
            }
            _ => {}
        }
    }
    if errors.is_empty() && file.stages.is_empty() {
        let fault = match is_empty {
            true => Fault::NoInstructions,
            false => Fault::NoStages,
        };
        errors.push(at_line(reader.lines.number(), fault));
    }
    errors.sort_by_key(|error| error.span.first);
    Reading { file, errors }
}

/// Reads the one instruction that an image's `ONBUILD` keeps.
///
/// # Errors
/// [`SyntaxErrors`].
pub fn parse_trigger(text: &str) -> Result<Instruction, SyntaxErrors> {
    let mut errors = Vec::new();
    let nodes = Reader::of(text.as_bytes()).nodes(&mut errors);
    let mut nodes = nodes.into_iter();
    match (nodes.next(), nodes.next()) {
        (Some((node, line)), None) if errors.is_empty() => {
            let name = node.name().unwrap_or_default();
            let read = match name {
                "ONBUILD" => Err(Fault::TriggerChain),
                "MAINTAINER" | "FROM" => Err(Fault::Trigger(name.to_owned())),
                _ => instruction::read(&node),
            };
            match read {
                Ok(Statement::Other(kind)) => return Ok(instruction::instruction(node, kind)),
                Ok(Statement::From(_)) => errors.push(line.error(Fault::NotSingle)),
                Err(fault) => errors.push(line.error(fault)),
            }
        }
        _ if errors.is_empty() => errors.push(at_line(1, Fault::NotSingle)),
        _ => {}
    }
    Err(SyntaxErrors(errors))
}

/// A text that is to be one instruction.
pub(crate) enum Single {
    /// Blank, or comments.
    None,
    /// Its word, and what it says.
    One(String, Box<Result<Kind, Fault>>),
    /// More than one.
    Several,
}

/// Reads a text that is to be one instruction, and no `FROM`.
pub(crate) fn read_single(text: &str) -> Single {
    let wrong = |word: &str, fault| Single::One(word.to_owned(), Box::new(Err(fault)));
    let mut reader = Reader::of(text.as_bytes());
    if reader.lines.is_too_long() {
        return wrong("", Fault::FileTooLong);
    }
    let line = match reader.lines.next() {
        Ok(Some(line)) if !line.text.trim().is_empty() => line,
        Ok(_) => return Single::None,
        Err(error) => return wrong("", error.fault),
    };
    let word = line.word().to_owned();
    let node = match reader.cut(line) {
        Ok((node, _)) => node,
        Err(error) => return wrong(&word, error.fault),
    };
    match reader.lines.next() {
        Ok(None) => {}
        Ok(Some(_)) => return Single::Several,
        Err(error) => return wrong(&word, error.fault),
    }
    let read = instruction::read(&node).and_then(|statement| match statement {
        Statement::Other(kind) => Ok(kind),
        Statement::From(_) => Err(Fault::NotSingle),
    });
    Single::One(word, Box::new(read))
}

/// What a comment before an instruction says of checks: `skip=…` of `check=skip=… // why`.
#[must_use]
pub fn check_of(comment: &str) -> Option<String> {
    let directive = directive::find("check", comment, "")?;
    Some(first_word(&directive.value))
}

fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn at_line(number: u32, fault: Fault) -> SyntaxError {
    let span = Span {
        first: number,
        last: number,
    };
    SyntaxError {
        span,
        place: None,
        fault,
    }
}

impl Dockerfile {
    /// Puts an instruction where it belongs.
    fn add(&mut self, node: Node) -> Result<(), Fault> {
        match (instruction::read(&node)?, self.stages.last_mut()) {
            (Statement::From(from), _) => self.stages.push(Stage {
                from,
                span: node.span,
                text: node.text,
                word: node.word,
                comments: node.comments,
                instructions: Vec::new(),
            }),
            (Statement::Other(kind), Some(stage)) => {
                stage
                    .instructions
                    .push(instruction::instruction(node, kind));
            }
            (Statement::Other(kind @ Kind::Arg(_)), None) => {
                self.global_args.push(instruction::instruction(node, kind));
            }
            (Statement::Other(_), None) => return Err(Fault::NoStage),
        }
        Ok(())
    }
}

/// Reads lines and cuts them.
struct Reader<'t> {
    lines: Lines<'t>,
    gaps: Vec<Gap>,
}

impl<'t> Reader<'t> {
    fn of(bytes: &'t [u8]) -> Self {
        Self {
            lines: Lines::of(bytes),
            gaps: Vec::new(),
        }
    }

    /// All instructions that can be cut. Where one can't, the next lines are read all the same.
    fn nodes(&mut self, errors: &mut Vec<SyntaxError>) -> Vec<(Node, Line)> {
        let mut nodes = Vec::new();
        if self.lines.is_too_long() {
            errors.push(at_line(1, Fault::FileTooLong));
            return nodes;
        }
        while errors.len() < limits::DOCKERFILE_ERRORS {
            match self.node() {
                Ok(None) => break,
                Ok(Some((_, line))) if nodes.len() >= limits::DOCKERFILE_INSTRUCTIONS => {
                    errors.push(line.error(Fault::TooManyInstructions));
                    break;
                }
                Ok(Some(node)) => nodes.push(node),
                Err(error) => errors.push(error),
            }
        }
        nodes
    }

    fn node(&mut self) -> Result<Option<(Node, Line)>, SyntaxError> {
        match self.lines.next()? {
            Some(line) => self.cut(line).map(Some),
            None => Ok(None),
        }
    }

    /// Cuts a line, and reads the heredocs that it announces.
    fn cut(&mut self, mut line: Line) -> Result<(Node, Line), SyntaxError> {
        if line.has_gap {
            self.gaps.push(Gap {
                line: line.span.last,
                text: line.text.clone(),
            });
        }
        let mut node = Node::of(&line, self.lines.escape).map_err(|fault| line.error(fault))?;
        if node.takes_heredocs() && line.text.contains("<<") {
            let announced = heredoc::announced(&line.text);
            for mut heredoc in announced.map_err(|fault| line.error(fault))? {
                self.lines.body(&mut heredoc, &mut line)?;
                node.heredocs.push(heredoc);
            }
            node.span = line.span;
        }
        Ok((node, line))
    }
}

#[cfg(test)]
mod tests;
