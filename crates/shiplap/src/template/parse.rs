//! Builds the tree of a template, with the messages Go's text/template gives for the same mistake.
//!
//! Never evaluates anything: whether a field exists is only known on execution.

use std::collections::BTreeMap;

use shiplap_model::limits;

use super::{
    ast::{Branch, Call, Command, Node, Pipe, Term, TermKind},
    functions,
    lex::{Kind, Lexer, Token},
    number, printf,
    value::Value,
};

/// A parsed template: the main body under the empty name, `define`d ones under theirs.
pub(super) type Bodies = BTreeMap<String, Vec<Node>>;

/// Parses `text`; the error begins as Go's does, `template: :1: …`.
pub(super) fn parse(text: &str) -> Result<Bodies, String> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        pushed: Vec::new(),
        line: 1,
        action_line: None,
        variables: vec!["$".into()],
        ranges: 0,
        depth: 0,
        bodies: Bodies::new(),
    };
    parser
        .top()
        .map_err(|message| format!("template: :{}: {message}", parser.line))?;
    Ok(parser.bodies)
}

/// What stands at the end of a list of nodes, or within it.
enum Piece {
    Node(Node),
    End,
    /// `else`; with the keyword that follows directly left unread.
    Else,
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    pushed: Vec<Token>,
    /// Where the token read last stands.
    line: usize,
    action_line: Option<usize>,
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    bodies: Bodies,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn next(&mut self) -> Token {
        let token = self.pushed.pop().unwrap_or_else(|| self.lexer.next());
        self.line = token.line;
        token
    }

    fn push(&mut self, token: Token) {
        self.pushed.push(token);
    }

    fn next_solid(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek(&mut self) -> Kind {
        let token = self.next();
        let kind = token.kind;
        self.push(token);
        kind
    }

    fn peek_solid(&mut self) -> (Kind, usize) {
        let token = self.next_solid();
        let found = (token.kind, token.at);
        self.push(token);
        found
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return Err(format!("unexpected {} in {context}", token.shown()));
        }
        let extra = match self.action_line {
            Some(line) if line != token.line => {
                let joint = if token.text.ends_with(" action") {
                    ""
                } else {
                    " in action"
                };
                format!("{joint} started at :{line}")
            }
            _ => String::new(),
        };
        Err(format!("{}{extra}", token.text))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.next_solid();
        if token.kind == kind {
            Ok(token)
        } else {
            self.unexpected(&token, context)
        }
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > limits::TEMPLATE_DEPTH {
            return Err("max expression depth exceeded".into());
        }
        Ok(())
    }

    fn top(&mut self) -> Parsed<()> {
        let mut body = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::Eof => break,
                Kind::LeftDelim => {
                    let word = self.next_solid();
                    if word.kind == Kind::Define {
                        self.definition()?;
                        continue;
                    }
                    self.push(word);
                }
                _ => {}
            }
            self.push(token);
            match self.text_or_action()? {
                Piece::Node(node) => body.push(node),
                Piece::End => return Err("unexpected {{end}}".into()),
                Piece::Else => return Err("unexpected {{else}}".into()),
            }
        }
        self.add(String::new(), body)
    }

    fn add(&mut self, name: String, body: Vec<Node>) -> Parsed<()> {
        let known = self.bodies.get(&name);
        if known.is_none_or(|known| is_empty(known)) {
            self.bodies.insert(name, body);
        } else if !is_empty(&body) {
            let name = printf::quoted(&name);
            return Err(format!("template: multiple definition of template {name}"));
        }
        Ok(())
    }

    /// A body with variables and ranges of its own, up to its `end`.
    fn own_body(&mut self, context: &str) -> Parsed<Vec<Node>> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, end) = self.list()?;
        if matches!(end, Piece::Else) {
            return Err(format!("unexpected {{{{else}}}} in {context}"));
        }
        self.variables = variables;
        self.ranges = ranges;
        Ok(body)
    }

    fn definition(&mut self) -> Parsed<()> {
        let token = self.next_solid();
        let name = self.name(&token, "define clause")?;
        self.expect(Kind::RightDelim, "define clause")?;
        let body = self.own_body("define clause")?;
        self.add(name, body)
    }

    fn name(&self, token: &Token, context: &str) -> Parsed<String> {
        match token.kind {
            Kind::Str | Kind::RawString => number::unquote(&token.text),
            _ => self.unexpected(token, context),
        }
    }

    fn list(&mut self) -> Parsed<(Vec<Node>, Piece)> {
        self.deeper()?;
        let mut body = Vec::new();
        while self.peek_solid().0 != Kind::Eof {
            match self.text_or_action()? {
                Piece::Node(node) => body.push(node),
                end => {
                    self.depth -= 1;
                    return Ok((body, end));
                }
            }
        }
        Err("unexpected EOF".into())
    }

    fn text_or_action(&mut self) -> Parsed<Piece> {
        let token = self.next_solid();
        match token.kind {
            Kind::Text => Ok(Piece::Node(Node::Text(token.text))),
            Kind::LeftDelim => {
                self.action_line = Some(token.line);
                let piece = self.action();
                if piece.is_ok() {
                    self.action_line = None;
                }
                piece
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Piece> {
        let token = self.next_solid();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => self.leap("{{break}}", Node::Break)?,
            Kind::Continue => self.leap("{{continue}}", Node::Continue)?,
            Kind::Else => {
                if !matches!(self.peek_solid().0, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelim, "else")?;
                }
                return Ok(Piece::Else);
            }
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Piece::End);
            }
            Kind::If => Node::If(self.control(Kind::If, "if")?),
            Kind::With => Node::With(self.control(Kind::With, "with")?),
            Kind::Range => Node::Range(self.control(Kind::Range, "range")?),
            Kind::Template => self.template()?,
            _ => {
                self.push(token);
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Piece::Node(node))
    }

    fn leap(&mut self, word: &str, node: Node) -> Parsed<Node> {
        self.expect(Kind::RightDelim, word)?;
        if self.ranges == 0 {
            return Err(format!("{word} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn control(&mut self, kind: Kind, context: &str) -> Parsed<Branch> {
        let variables = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.ranges += usize::from(kind == Kind::Range);
        let (body, end) = self.list()?;
        self.ranges -= usize::from(kind == Kind::Range);
        let mut otherwise = Vec::new();
        if matches!(end, Piece::Else) {
            let follows = self.peek();
            if follows == kind && matches!(kind, Kind::If | Kind::With) {
                self.next();
                self.deeper()?;
                let chained = self.control(kind, context)?;
                self.depth -= 1;
                otherwise.push(if kind == Kind::If {
                    Node::If(chained)
                } else {
                    Node::With(chained)
                });
            } else {
                let (list, end) = self.list()?;
                if matches!(end, Piece::Else) {
                    return Err("expected end; found {{else}}".into());
                }
                otherwise = list;
            }
        }
        self.variables.truncate(variables);
        Ok(Branch {
            pipe,
            body,
            otherwise,
        })
    }

    fn block(&mut self) -> Parsed<Node> {
        let token = self.next_solid();
        let name = self.name(&token, "block clause")?;
        let pipe = self.pipeline("block clause", Kind::RightDelim)?;
        let body = self.own_body("block clause")?;
        self.add(name.clone(), body)?;
        Ok(Node::Template(Call {
            at: token.at,
            name,
            pipe: Some(pipe),
        }))
    }

    fn template(&mut self) -> Parsed<Node> {
        let token = self.next_solid();
        let name = self.name(&token, "template clause")?;
        let after = self.next_solid();
        let mut pipe = None;
        if after.kind != Kind::RightDelim {
            self.push(after);
            pipe = Some(self.pipeline("template clause", Kind::RightDelim)?);
        }
        Ok(Node::Template(Call {
            at: token.at,
            name,
            pipe,
        }))
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let at = self.peek_solid().1;
        let (variables, assigns) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.next_solid();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::Str
                | Kind::Variable
                | Kind::LeftParen => {
                    self.push(token);
                    let command = self.command()?;
                    commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if commands.is_empty() {
            return Err(format!("missing value for {context}"));
        }
        let inert = |kind: &TermKind| {
            matches!(
                kind,
                TermKind::Dot | TermKind::Nil | TermKind::Literal { .. }
            )
        };
        if let Some(stage) = commands.iter().skip(1).position(|c| inert(&c.first.kind)) {
            return Err(format!(
                "non executable command in pipeline stage {}",
                stage + 2
            ));
        }
        Ok(Pipe {
            at,
            variables,
            assigns,
            commands,
        })
    }

    fn declarations(&mut self, context: &str) -> Parsed<(Vec<String>, bool)> {
        let mut declared = Vec::new();
        loop {
            let token = self.next_solid();
            if token.kind != Kind::Variable {
                self.push(token);
                return Ok((declared, false));
            }
            let after = self.next();
            let spaced = (after.kind == Kind::Space).then_some(after.clone());
            let sign = if spaced.is_some() {
                self.next_solid()
            } else {
                after
            };
            match sign.kind {
                Kind::Assign | Kind::Declare => {
                    self.variables.push(token.text.clone());
                    declared.push(token.text);
                    return Ok((declared, sign.kind == Kind::Assign));
                }
                Kind::Char if sign.text == "," => {
                    self.variables.push(token.text.clone());
                    declared.push(token.text);
                    if context != "range" || declared.len() >= 2 {
                        return Err(format!("too many declarations in {context}"));
                    }
                    let follows = self.peek_solid().0;
                    if !matches!(
                        follows,
                        Kind::Variable | Kind::RightDelim | Kind::RightParen
                    ) {
                        return Err("range can only initialize variables".into());
                    }
                }
                _ => {
                    self.push(sign);
                    if let Some(space) = spaced {
                        self.push(space);
                    }
                    self.push(token);
                    return Ok((declared, false));
                }
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let at = self.peek_solid().1;
        let mut terms = Vec::new();
        loop {
            self.peek_solid();
            terms.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                Kind::Space => {}
                Kind::Pipe => break,
                Kind::RightDelim | Kind::RightParen => {
                    self.push(token);
                    break;
                }
                _ => return self.unexpected(&token, "operand"),
            }
        }
        let mut terms = terms.into_iter();
        let first = terms.next().ok_or("empty command")?;
        Ok(Command {
            at,
            first,
            arguments: terms.collect(),
        })
    }

    fn operand(&mut self) -> Parsed<Option<Term>> {
        let Some(mut term) = self.term()? else {
            return Ok(None);
        };
        let mut added = Vec::new();
        let mut at = term.at;
        loop {
            let token = self.next();
            if token.kind != Kind::Field {
                self.push(token);
                break;
            }
            if added.is_empty() {
                at = token.at;
            }
            added.push(token.text[1..].to_owned());
        }
        if added.is_empty() {
            return Ok(Some(term));
        }
        term = match term.kind {
            TermKind::Field(mut fields) => {
                fields.append(&mut added);
                Term {
                    at,
                    kind: TermKind::Field(fields),
                }
            }
            TermKind::Variable { name, mut fields } => {
                fields.append(&mut added);
                Term {
                    at,
                    kind: TermKind::Variable { name, fields },
                }
            }
            TermKind::Dot | TermKind::Nil | TermKind::Literal { .. } => {
                let shown = printf::quoted(&term.to_string());
                return Err(format!("unexpected . after term {shown}"));
            }
            _ => Term {
                at,
                kind: TermKind::Chain {
                    of: Box::new(term),
                    fields: added,
                },
            },
        };
        Ok(Some(term))
    }

    fn term(&mut self) -> Parsed<Option<Term>> {
        let token = self.next_solid();
        let at = token.at;
        let kind = match token.kind {
            Kind::Identifier => {
                if !functions::exists(&token.text) {
                    let name = printf::quoted(&token.text);
                    return Err(format!("function {name} not defined"));
                }
                TermKind::Function(token.text)
            }
            Kind::Dot => TermKind::Dot,
            Kind::Nil => TermKind::Nil,
            Kind::Variable => {
                if !self.variables.contains(&token.text) {
                    let name = printf::quoted(&token.text);
                    return Err(format!("undefined variable {name}"));
                }
                TermKind::Variable {
                    name: token.text,
                    fields: Vec::new(),
                }
            }
            Kind::Field => TermKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => TermKind::Literal {
                value: Value::Bool(token.text == "true"),
                text: token.text,
            },
            Kind::CharConstant | Kind::Number => TermKind::Literal {
                value: number::literal(&token.text)?,
                text: token.text,
            },
            Kind::Str | Kind::RawString => TermKind::Literal {
                value: Value::from(number::unquote(&token.text)?),
                text: token.text,
            },
            Kind::LeftParen => {
                self.deeper()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                TermKind::Pipe(Box::new(pipe))
            }
            _ => {
                self.push(token);
                return Ok(None);
            }
        };
        Ok(Some(Term { at, kind }))
    }
}

fn is_empty(body: &[Node]) -> bool {
    body.iter()
        .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
