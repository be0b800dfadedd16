//! Reads a shell's text from left to right: words, what joins commands, and what holds them
//! together (`if`, loops, braces, subshells).

use shiplap_model::limits;

use super::word::is_name;
use super::{Bashism, Command, Joint, Redirect, Script, Word};

/// Reads a text.
pub(super) fn read(text: &str) -> Script {
    let mut reader = Reader {
        text,
        at: 0,
        base: 0,
        depth: 0,
        end: 0,
        is_sound: true,
        heredocs: Vec::new(),
        out: Out::default(),
    };
    let last = reader.list(Until::End);
    let mut commands = reader.out.commands;
    commands.sort_by_key(|command| command.start);
    Script {
        commands,
        end: reader.end,
        is_sound: reader.is_sound,
        last,
        bashisms: reader.out.bashisms,
    }
}

#[derive(Debug, Default)]
pub(super) struct Out {
    commands: Vec<Command>,
    bashisms: Vec<Bashism>,
}

/// What ends a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    End,
    Parenthesis,
}

/// What is open within a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Brace,
    Function,
    If,
    Loop,
    /// `case`; the next thing is a pattern.
    Pattern,
    /// `case`, within a branch.
    Branch,
}

pub(super) struct Heredoc {
    name: String,
    strips_tabs: bool,
}

pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    /// Where the text begins in the whole.
    pub(super) base: usize,
    pub(super) depth: usize,
    /// Where the last token ended.
    pub(super) end: usize,
    pub(super) is_sound: bool,
    pub(super) heredocs: Vec<Heredoc>,
    pub(super) out: Out,
}

/// What goes on in a list.
struct Progress {
    frames: Vec<Frame>,
    command: Command,
    joint: Joint,
    /// Where the list's last command is among all.
    previous: Option<usize>,
    is_function: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn starts(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    pub(super) fn take(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    pub(super) fn skip(&mut self, text: &str) -> bool {
        let is_here = self.starts(text);
        if is_here {
            self.at += text.len();
        }
        is_here
    }

    /// Passes over blanks, continued lines and comments, not over lines' ends.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.starts("\\\n") => self.at += 2,
                Some('\\') if self.starts("\\\r\n") => self.at += 3,
                Some('#') => {
                    let length = self.rest().find('\n').unwrap_or(self.rest().len());
                    self.at += length;
                }
                _ => return,
            }
        }
    }

    /// Passes over blanks and lines' ends.
    fn gaps(&mut self) {
        loop {
            self.blanks();
            if self.peek() != Some('\n') {
                return;
            }
            self.newline();
        }
    }

    /// Passes over a line's end, and the heredocs that follow it.
    fn newline(&mut self) {
        self.at += 1;
        for heredoc in std::mem::take(&mut self.heredocs) {
            loop {
                let rest = self.rest();
                if rest.is_empty() {
                    self.is_sound = false;
                    return;
                }
                let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
                let line = rest.get(..length).unwrap_or_default();
                self.at += length;
                let line = line.trim_end_matches(['\n', '\r']);
                let line = match heredoc.strips_tabs {
                    true => line.trim_start_matches('\t'),
                    false => line,
                };
                if line == heredoc.name {
                    self.end = self.at;
                    break;
                }
            }
        }
    }

    pub(super) fn here(&self) -> usize {
        self.base + self.at
    }

    pub(super) fn bashism(&mut self, name: &'static str, start: usize) {
        let end = self.here();
        self.out.bashisms.push(Bashism { name, start, end });
    }

    /// Reads commands until the list's end, and says how the last one ended.
    pub(super) fn list(&mut self, until: Until) -> Joint {
        let mut progress = Progress {
            frames: Vec::new(),
            command: Command::default(),
            joint: Joint::None,
            previous: None,
            is_function: false,
        };
        loop {
            let before = self.at;
            self.blanks();
            let Some(char) = self.peek() else {
                self.is_sound &= until == Until::End && progress.frames.is_empty();
                if !is_empty(&progress.command) {
                    self.finish(&mut progress, Joint::None);
                }
                return progress.joint;
            };
            if progress.frames.last() == Some(&Frame::Pattern) {
                self.pattern(&mut progress);
            } else if char == ')' {
                self.finish(&mut progress, Joint::None);
                if until == Until::Parenthesis {
                    self.is_sound &= progress.frames.is_empty();
                    return progress.joint;
                }
                self.is_sound = false;
                self.at += 1;
            } else if !self.joint(&mut progress) {
                self.token(&mut progress);
            }
            // Whatever it was, it is not looked at twice.
            if self.at == before {
                self.is_sound = false;
                self.take();
            }
        }
    }

    /// Takes what joins commands, if it is here.
    fn joint(&mut self, progress: &mut Progress) -> bool {
        const SIGNS: [(&str, Joint); 10] = [
            (";;&", Joint::None),
            (";;", Joint::None),
            (";&", Joint::None),
            ("&&", Joint::And),
            ("||", Joint::Or),
            ("|&", Joint::Pipe),
            (";", Joint::Semicolon),
            ("|", Joint::Pipe),
            ("\n", Joint::Newline),
            ("&", Joint::Background),
        ];
        if self.starts("&>") {
            return false;
        }
        let Some((sign, joint)) = SIGNS.into_iter().find(|(sign, _)| self.starts(sign)) else {
            return false;
        };
        let start = self.here();
        if sign == "\n" {
            // A line's end behind `&&` and the like joins nothing by itself.
            if !is_empty(&progress.command) || progress.joint == Joint::None {
                self.finish(progress, joint);
            }
            self.newline();
            return true;
        }
        self.at += sign.len();
        self.end = self.here();
        if sign == "|&" {
            self.bashism("|&", start);
        }
        self.finish(progress, joint);
        if sign.starts_with(";;") || sign == ";&" {
            match progress.frames.last_mut() {
                Some(frame @ Frame::Branch) => *frame = Frame::Pattern,
                _ => self.is_sound = false,
            }
        }
        true
    }

    /// Ends the command that is being read.
    fn finish(&mut self, progress: &mut Progress, joint: Joint) {
        let command = std::mem::take(&mut progress.command);
        if is_empty(&command) {
            if joint != Joint::None
                && let Some(previous) = progress.previous
                && let Some(command) = self.out.commands.get_mut(previous)
                && command.after == Joint::None
            {
                command.after = joint;
            }
            progress.joint = joint;
            return;
        }
        progress.previous = Some(self.out.commands.len());
        self.out.commands.push(Command {
            before: progress.joint,
            after: joint,
            depth: self.depth,
            is_guarded: progress.frames.iter().any(|frame| *frame != Frame::Brace),
            ..command
        });
        progress.joint = joint;
    }

    /// Takes the patterns of a branch of `case`, or its end.
    fn pattern(&mut self, progress: &mut Progress) {
        self.gaps();
        self.skip("(");
        loop {
            self.blanks();
            let word = self.word();
            if word.as_ref().is_some_and(|word| word.is("esac")) {
                progress.frames.pop();
                progress.previous = None;
                self.end = self.here();
                return;
            }
            self.blanks();
            if self.skip("|") {
                continue;
            }
            self.is_sound &= word.is_some();
            self.is_sound &= self.skip(")");
            if let Some(frame) = progress.frames.last_mut() {
                *frame = Frame::Branch;
            }
            return;
        }
    }

    /// Takes a word, a redirection or a parenthesis.
    fn token(&mut self, progress: &mut Progress) {
        let is_first = progress.command.words.is_empty();
        let start = self.here();
        match self.peek() {
            Some('(') => self.parenthesis(progress),
            Some('<' | '>') => self.redirect(progress, start),
            Some('&') => self.redirect(progress, start),
            _ => {
                let Some(word) = self.word() else {
                    return;
                };
                let is_number = !word.is_quoted
                    && !word.value.is_empty()
                    && word.value.bytes().all(|byte| byte.is_ascii_digit());
                if is_number && matches!(self.peek(), Some('<' | '>')) {
                    self.redirect(progress, start);
                    return;
                }
                self.end = word.end;
                let is_bare = is_first && progress.command.assignments.is_empty();
                if is_bare && !word.is_quoted && self.keyword(progress, &word) {
                    return;
                }
                self.add(progress, word);
            }
        }
    }

    fn add(&mut self, progress: &mut Progress, word: Word) {
        let command = &mut progress.command;
        if is_empty(command) {
            command.start = word.start;
        }
        command.end = word.end;
        if command.words.is_empty()
            && word.assignment().is_some()
            && !starts_quoted(self.text, &word, self.base)
        {
            command.assignments.push(word);
            return;
        }
        let is_test = command.words.is_empty() && word.is("[[");
        let start = word.start;
        command.words.push(word);
        if is_test {
            self.double_brackets(progress);
            self.bashism("[[", start);
        }
    }

    /// The words of `[[ … ]]`, in which nothing joins commands.
    fn double_brackets(&mut self, progress: &mut Progress) {
        loop {
            self.gaps();
            let start = self.here();
            if let Some(word) = self.word() {
                let is_end = word.is("]]");
                self.end = word.end;
                progress.command.end = word.end;
                progress.command.words.push(word);
                if is_end {
                    return;
                }
            } else if self.take().is_some() {
                let end = self.here();
                progress.command.words.push(Word {
                    start,
                    end,
                    value: "&".to_owned(),
                    is_quoted: true,
                    ..Word::default()
                });
            } else {
                self.is_sound = false;
                return;
            }
        }
    }

    /// Takes a word of the grammar; says whether it was one.
    fn keyword(&mut self, progress: &mut Progress, word: &Word) -> bool {
        let open = |progress: &mut Progress, frame| {
            progress.frames.push(frame);
            progress.joint = Joint::None;
        };
        let close = |progress: &mut Progress, frame: Frame| {
            let is_open = progress.frames.last() == Some(&frame);
            if is_open {
                progress.frames.pop();
            }
            is_open
        };
        match word.value.as_str() {
            "if" => open(progress, Frame::If),
            "while" | "until" => open(progress, Frame::Loop),
            "then" | "elif" | "else" | "do" => progress.joint = Joint::None,
            "!" => {}
            "fi" => self.is_sound &= close(progress, Frame::If),
            "done" => self.is_sound &= close(progress, Frame::Loop),
            "esac" => self.is_sound &= close(progress, Frame::Branch),
            "{" => {
                let frame = match std::mem::take(&mut progress.is_function) {
                    true => Frame::Function,
                    false => Frame::Brace,
                };
                open(progress, frame);
            }
            "}" => {
                let is_closed = close(progress, Frame::Brace) || close(progress, Frame::Function);
                self.is_sound &= is_closed;
            }
            "for" | "select" => self.heading(progress),
            "case" => {
                self.blanks();
                self.is_sound &= self.word().is_some();
                self.gaps();
                self.is_sound &= self.word().is_some_and(|word| word.is("in"));
                open(progress, Frame::Pattern);
            }
            "function" => {
                self.bashism("function", word.start);
                self.blanks();
                self.is_sound &= self.word().is_some();
                self.blanks();
                if self.skip("(") {
                    self.blanks();
                    self.is_sound &= self.skip(")");
                }
                self.gaps();
                progress.is_function = true;
            }
            _ => return false,
        }
        true
    }

    /// `for NAME in WORDS`, or `for ((…))`.
    fn heading(&mut self, progress: &mut Progress) {
        progress.frames.push(Frame::Loop);
        progress.joint = Joint::None;
        self.blanks();
        let start = self.here();
        if self.starts("((") {
            self.arithmetic();
            self.bashism("for ((", start);
            return;
        }
        self.is_sound &= self.word().is_some_and(|word| is_name(&word.value));
        self.gaps();
        let before = self.at;
        if !self.word().is_some_and(|word| word.is("in")) {
            self.at = before;
            return;
        }
        loop {
            self.blanks();
            if self.word().is_none() {
                return;
            }
        }
    }

    /// `(( … ))`, unread.
    pub(super) fn arithmetic(&mut self) {
        let mut depth = 0_usize;
        while let Some(char) = self.take() {
            match char {
                '(' => depth += 1,
                ')' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        self.end = self.here();
                        return;
                    }
                }
                _ => {}
            }
        }
        self.is_sound = false;
    }

    /// A subshell, or the parentheses behind a function's name.
    fn parenthesis(&mut self, progress: &mut Progress) {
        let start = self.here();
        if !progress.command.words.is_empty() {
            self.at += 1;
            self.blanks();
            // `name() {`
            if progress.command.words.len() == 1 && self.skip(")") {
                progress.command = Command::default();
                progress.is_function = true;
                self.gaps();
                return;
            }
            self.is_sound = false;
            return;
        }
        if self.starts("((") {
            self.arithmetic();
            self.bashism("((", start);
            return;
        }
        self.at += 1;
        let is_guarded = progress.frames.iter().any(|frame| *frame != Frame::Brace);
        self.nested(is_guarded);
        progress.joint = Joint::None;
    }

    /// The commands up to the parenthesis that closes.
    pub(super) fn nested(&mut self, is_guarded: bool) {
        if self.depth >= limits::SHELL_DEPTH {
            self.is_sound = false;
            self.at = self.text.len();
            return;
        }
        let first = self.out.commands.len();
        self.depth += 1;
        self.list(Until::Parenthesis);
        self.depth -= 1;
        self.is_sound &= self.skip(")");
        self.end = self.here();
        for command in self.out.commands.iter_mut().skip(first) {
            command.is_guarded |= is_guarded;
        }
    }

    fn redirect(&mut self, progress: &mut Progress, start: usize) {
        const OPERATORS: [&str; 12] = [
            "&>>", "&>", "<<<", "<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">",
        ];
        if self.starts("<(") || self.starts(">(") {
            let word = self.word();
            if let Some(word) = word {
                self.end = word.end;
                self.add(progress, word);
            }
            return;
        }
        let Some(operator) = OPERATORS.into_iter().find(|sign| self.starts(sign)) else {
            return;
        };
        self.at += operator.len();
        if matches!(operator, "&>>" | "&>" | "<<<") {
            self.bashism(operator, start);
        }
        self.blanks();
        let Some(target) = self.word() else {
            self.is_sound = false;
            return;
        };
        if operator == "<<" || operator == "<<-" {
            self.heredocs.push(Heredoc {
                name: target.value.clone(),
                strips_tabs: operator == "<<-",
            });
        }
        self.end = target.end;
        let command = &mut progress.command;
        if is_empty(command) {
            command.start = start;
        }
        command.end = target.end;
        command.redirects.push(Redirect {
            operator: operator.to_owned(),
            target,
        });
    }
}

/// Nothing of it was read yet.
fn is_empty(command: &Command) -> bool {
    command.words.is_empty() && command.assignments.is_empty() && command.redirects.is_empty()
}

/// Whether the name before `=` is quoted: then it is no assignment.
fn starts_quoted(text: &str, word: &Word, base: usize) -> bool {
    let first = text.get(word.start.saturating_sub(base)..);
    first.is_some_and(|text| text.starts_with(['"', '\'', '\\']))
}
