//! Splits a template into tokens, by the rules of Go's text/template.
//!
//! Never judges order: that a token stands where it may is the parser's to say.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Char,
    Bool,
    CharConstant,
    Number,
    Str,
    RawString,
    Identifier,
    Variable,
    Field,
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

impl Kind {
    fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Dot
                | Self::Nil
                | Self::Block
                | Self::Break
                | Self::Continue
                | Self::Define
                | Self::Else
                | Self::End
                | Self::If
                | Self::Range
                | Self::Template
                | Self::With
        )
    }

    fn of_word(word: &str) -> Self {
        match word {
            "true" | "false" => Self::Bool,
            "nil" => Self::Nil,
            "block" => Self::Block,
            "break" => Self::Break,
            "continue" => Self::Continue,
            "define" => Self::Define,
            "else" => Self::Else,
            "end" => Self::End,
            "if" => Self::If,
            "range" => Self::Range,
            "template" => Self::Template,
            "with" => Self::With,
            _ => Self::Identifier,
        }
    }
}

/// A token, its text as written (or the message of an [`Kind::Error`]), and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) text: String,
}

impl Token {
    /// The token as an error message shows it.
    pub(super) fn shown(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".into(),
            Kind::Error => self.text.clone(),
            kind if kind.is_keyword() => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                format!("{}...", super::printf::quoted(&head))
            }
            _ => super::printf::quoted(&self.text),
        }
    }
}

/// Reads tokens one by one.
pub(super) struct Lexer<'t> {
    input: &'t str,
    start: usize,
    at: usize,
    inside: bool,
    parens: usize,
    failed: bool,
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

impl<'t> Lexer<'t> {
    pub(super) fn new(input: &'t str) -> Self {
        Self {
            input,
            start: 0,
            at: 0,
            inside: false,
            parens: 0,
            failed: false,
        }
    }

    /// The next token; after an error or the end, always [`Kind::Eof`].
    pub(super) fn next(&mut self) -> Token {
        if self.failed {
            return Token {
                kind: Kind::Eof,
                at: self.start,
                line: self.line(),
                text: String::new(),
            };
        }
        if self.inside {
            self.inside_action()
        } else {
            self.text()
        }
    }

    fn rest(&self) -> &'t str {
        &self.input[self.at..]
    }

    fn line(&self) -> usize {
        1 + self.input[..self.start].matches('\n').count()
    }

    fn emit(&mut self, kind: Kind) -> Token {
        let text = self.input[self.start..self.at].to_owned();
        let token = Token {
            kind,
            at: self.start,
            line: self.line(),
            text,
        };
        self.start = self.at;
        token
    }

    fn fail(&mut self, message: impl Into<String>) -> Token {
        self.failed = true;
        Token {
            kind: Kind::Error,
            at: self.start,
            line: self.line(),
            text: message.into(),
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn text(&mut self) -> Token {
        let Some(found) = self.rest().find("{{") else {
            self.at = self.input.len();
            let kind = if self.at > self.start {
                Kind::Text
            } else {
                Kind::Eof
            };
            return self.emit(kind);
        };
        if found > 0 {
            let delim = self.at + found;
            let mut end = delim;
            if trims_left(&self.input[delim + 2..]) {
                end = self.at + self.input[self.at..delim].trim_end_matches(SPACES).len();
            }
            self.at = end;
            let token = self.emit(Kind::Text);
            self.at = delim;
            self.start = delim;
            if !token.text.is_empty() {
                return token;
            }
        }
        self.left_delim()
    }

    fn left_delim(&mut self) -> Token {
        self.at += 2;
        let marker = if trims_left(self.rest()) { 2 } else { 0 };
        if self.rest()[marker..].starts_with("/*") {
            self.at += marker;
            self.start = self.at;
            return self.comment();
        }
        let token = self.emit(Kind::LeftDelim);
        self.inside = true;
        self.parens = 0;
        self.at += marker;
        self.start = self.at;
        token
    }

    fn comment(&mut self) -> Token {
        let Some(end) = self.rest().find("*/") else {
            return self.fail("unclosed comment");
        };
        self.at += end + 2;
        match self.right_delim_here() {
            None => return self.fail("comment ends before closing delimiter"),
            Some(false) => self.at += 2,
            Some(true) => {
                self.at += 4;
                self.at = self.input.len() - self.rest().trim_start_matches(SPACES).len();
            }
        }
        self.start = self.at;
        self.text()
    }

    /// Whether a right delimiter stands here, and whether it trims.
    fn right_delim_here(&self) -> Option<bool> {
        let rest = self.rest();
        let mut chars = rest.chars();
        let trims = chars.next().is_some_and(|c| SPACES.contains(&c)) && chars.next() == Some('-');
        if trims && rest[2..].starts_with("}}") {
            Some(true)
        } else if rest.starts_with("}}") {
            Some(false)
        } else {
            None
        }
    }

    fn right_delim(&mut self, trims: bool) -> Token {
        if trims {
            self.at += 2;
            self.start = self.at;
        }
        self.at += 2;
        let token = self.emit(Kind::RightDelim);
        if trims {
            self.at = self.input.len() - self.rest().trim_start_matches(SPACES).len();
            self.start = self.at;
        }
        self.inside = false;
        token
    }

    fn inside_action(&mut self) -> Token {
        if let Some(trims) = self.right_delim_here() {
            if self.parens == 0 {
                return self.right_delim(trims);
            }
            return self.fail("unclosed left paren");
        }
        let Some(c) = self.bump() else {
            return self.fail("unclosed action");
        };
        match c {
            c if SPACES.contains(&c) => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.bump() != Some('=') {
                    return self.fail("expected :=");
                }
                self.emit(Kind::Declare)
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.quote('"', Kind::Str, "unterminated quoted string"),
            '\'' => self.quote('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => match self.rest().find('`') {
                None => self.fail("unterminated raw quoted string"),
                Some(end) => {
                    self.at += end + 1;
                    self.emit(Kind::RawString)
                }
            },
            '$' => self.field_or_variable(Kind::Variable),
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.at = self.start;
                self.number()
            }
            c if is_word(c) => self.identifier(),
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                let Some(parens) = self.parens.checked_sub(1) else {
                    return self.fail("unexpected right paren");
                };
                self.parens = parens;
                self.emit(Kind::RightParen)
            }
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => self.fail(format!(
                "unrecognized character in action: {}",
                code_point(c)
            )),
        }
    }

    /// A run of spaces; its last one may belong to a trimming delimiter.
    fn space(&mut self) -> Token {
        while self.peek().is_some_and(|c| SPACES.contains(&c)) {
            self.at += 1;
        }
        self.at -= 1;
        if self.right_delim_here() == Some(true) {
            if self.at == self.start {
                return self.right_delim(true);
            }
        } else {
            self.at += 1;
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Token {
        while self.peek().is_some_and(is_word) {
            self.bump();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = Kind::of_word(&self.input[self.start..self.at]);
        self.emit(kind)
    }

    fn field_or_variable(&mut self, kind: Kind) -> Token {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Field { Kind::Dot } else { kind });
        }
        self.identifier_end(kind)
    }

    fn identifier_end(&mut self, kind: Kind) -> Token {
        while self.peek().is_some_and(is_word) {
            self.bump();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind)
    }

    fn bad_character(&mut self) -> Token {
        let shown = self.peek().map_or_else(|| "EOF".to_owned(), code_point);
        self.fail(format!("bad character {shown}"))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with("}}"),
        }
    }

    fn quote(&mut self, end: char, kind: Kind, unterminated: &str) -> Token {
        loop {
            match self.bump() {
                Some('\\') if !matches!(self.peek(), None | Some('\n')) => {
                    self.bump();
                }
                None | Some('\\' | '\n') => return self.fail(unterminated),
                Some(c) if c == end => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Token {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => self.accept("eE"),
            23 => self.accept("pP"),
            _ => false,
        };
        if exponent {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        if self
            .peek()
            .is_some_and(|c| is_word(c) || c == '+' || c == '-')
        {
            self.bump();
            let text = super::printf::quoted(&self.input[self.start..self.at]);
            return self.fail(format!("bad number syntax: {text}"));
        }
        self.emit(Kind::Number)
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.bump();
        }
        found
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }
}

fn trims_left(after_delim: &str) -> bool {
    let mut chars = after_delim.chars();
    chars.next() == Some('-') && chars.next().is_some_and(|c| SPACES.contains(&c))
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

fn code_point(c: char) -> String {
    let number = u32::from(c);
    if c.is_control() {
        format!("U+{number:04X}")
    } else {
        format!("U+{number:04X} '{c}'")
    }
}
