//! Reads one word of a shell's text: quotes, and what is expanded in them.

use shiplap_model::limits;

use super::reader::{Out, Reader, Until};
use super::{Expansion, Subject, Word};

impl Reader<'_> {
    /// The next word; `None` if there is none here.
    pub(super) fn word(&mut self) -> Option<Word> {
        let begin = self.at;
        let mut word = Word {
            start: self.here(),
            ..Word::default()
        };
        while let Some(char) = self.peek() {
            match char {
                '<' | '>'
                    if self.at == begin
                        && self
                            .rest()
                            .get(1..)
                            .is_some_and(|rest| rest.starts_with('(')) =>
                {
                    self.at += 2;
                    self.nested(false);
                    self.bashism("<(…)", word.start);
                    word.value.push_str("<(…)");
                    word.is_quoted = true;
                }
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | ')' => break,
                '(' if !self.group(&mut word, begin) => break,
                '(' => {}
                '\'' => self.single_quotes(&mut word),
                '"' => self.double_quotes(&mut word),
                '\\' => {
                    self.at += 1;
                    word.is_quoted = true;
                    match self.take() {
                        None | Some('\n') => {}
                        Some(char) => word.value.push(char),
                    }
                }
                '$' => self.dollar(&mut word, false),
                '`' => self.backticks(&mut word, false),
                _ => {
                    word.has_pattern |= matches!(char, '*' | '?' | '[');
                    word.value.push(char);
                    self.at += char.len_utf8();
                }
            }
        }
        word.end = self.here();
        (self.at > begin).then_some(word)
    }

    /// A list of values behind `name=`, or alternatives of a pattern; says whether it was one.
    fn group(&mut self, word: &mut Word, begin: usize) -> bool {
        let is_array = word.assignment().is_some_and(|(_, value)| value.is_empty());
        let is_alternatives = word.value.ends_with(['@', '!', '+', '*', '?']) && word.has_pattern;
        if self.at == begin || !(is_array || is_alternatives) {
            return false;
        }
        let start = self.here();
        let from = self.at;
        let mut depth = 0_usize;
        while let Some(char) = self.take() {
            match char {
                '(' => depth += 1,
                ')' => depth -= 1,
                '\'' | '"' => while self.take().is_some_and(|next| next != char) {},
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.is_sound &= depth == 0;
        word.value
            .push_str(self.text.get(from..self.at).unwrap_or_default());
        word.is_quoted = true;
        self.bashism(
            if is_array {
                "an array"
            } else {
                "a pattern of alternatives"
            },
            start,
        );
        true
    }

    fn single_quotes(&mut self, word: &mut Word) {
        let start = self.here();
        self.at += 1;
        word.is_quoted = true;
        let rest = self.rest();
        let Some(length) = rest.find('\'') else {
            self.is_sound = false;
            word.value.push_str(rest);
            self.at = self.text.len();
            return;
        };
        let inner = rest.get(..length).unwrap_or_default();
        self.at += length + 1;
        word.value.push_str(inner);
        if inner.contains('$') && word.unexpanded.is_none() {
            word.unexpanded = Some((start, self.here()));
        }
    }

    fn double_quotes(&mut self, word: &mut Word) {
        self.at += 1;
        word.is_quoted = true;
        while let Some(char) = self.peek() {
            match char {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    self.at += 1;
                    match self.take() {
                        Some('\n') | None => {}
                        Some(char @ ('"' | '\\' | '$' | '`')) => word.value.push(char),
                        Some(char) => word.value.extend(['\\', char]),
                    }
                }
                '$' => self.dollar(word, true),
                '`' => self.backticks(word, true),
                _ => {
                    word.value.push(char);
                    self.at += char.len_utf8();
                }
            }
        }
        self.is_sound = false;
    }

    /// `$…`, within double quotes or not.
    fn dollar(&mut self, word: &mut Word, is_quoted: bool) {
        let (from, start) = (self.at, self.here());
        self.at += 1;
        let subject = match self.peek() {
            Some('(') if self.starts("((") => {
                self.arithmetic();
                Subject::Arithmetic
            }
            Some('(') => {
                self.at += 1;
                let end = self.end;
                // Heredocs of a line belong to that line.
                let heredocs = std::mem::take(&mut self.heredocs);
                self.nested(false);
                self.heredocs = heredocs;
                self.end = end;
                Subject::Command
            }
            Some('{') => self.braces(),
            Some('\'') if !is_quoted => {
                self.single_quotes_with_escapes(word);
                self.bashism("$'…'", start);
                return;
            }
            Some(char) if char.is_ascii_alphabetic() || char == '_' => {
                let rest = self.rest();
                let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
                let name = rest.split(|char| !is_part(char)).next().unwrap_or_default();
                self.at += name.len();
                Subject::Variable {
                    name: name.to_owned(),
                    is_plain: true,
                    has_default: false,
                }
            }
            Some(char) if char.is_ascii_digit() || "@*#?$!-".contains(char) => {
                self.at += 1;
                Subject::Variable {
                    name: char.to_string(),
                    is_plain: true,
                    has_default: false,
                }
            }
            _ => {
                word.value.push('$');
                return;
            }
        };
        word.value
            .push_str(self.text.get(from..self.at).unwrap_or_default());
        word.expansions.push(Expansion {
            start,
            end: self.here(),
            subject,
            is_quoted,
        });
    }

    fn single_quotes_with_escapes(&mut self, word: &mut Word) {
        self.at += 1;
        word.is_quoted = true;
        while let Some(char) = self.take() {
            match char {
                '\'' => return,
                '\\' => word.value.extend(self.take()),
                char => word.value.push(char),
            }
        }
        self.is_sound = false;
    }

    /// `${…}`.
    fn braces(&mut self) -> Subject {
        let (from, start) = (self.at, self.here());
        let mut depth = 0_usize;
        while let Some(char) = self.take() {
            match char {
                '{' => depth += 1,
                '}' => depth -= 1,
                '\\' => {
                    self.take();
                }
                '\'' => {
                    // An apostrophe in a default's text need not be closed.
                    let rest = self.rest();
                    if let Some(length) = rest.find('\'').filter(|length| {
                        rest.get(..*length)
                            .is_some_and(|inner| !inner.contains('}'))
                    }) {
                        self.at += length + 1;
                    }
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.is_sound &= depth == 0;
        let inner = self.text.get(from + 1..self.at).unwrap_or_default();
        let inner = inner.strip_suffix('}').unwrap_or(inner);
        let named = inner.trim_start_matches(['#', '!']);
        let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let name = named
            .split(|char| !is_part(char))
            .next()
            .unwrap_or_default();
        let rest = named.get(name.len()..).unwrap_or_default();
        let is_bash = rest.starts_with(['/', '^', ',', '[', '@'])
            || rest.strip_prefix(':').is_some_and(|rest| {
                rest.starts_with(|char: char| char.is_ascii_digit() || char == ' ' || char == '$')
            })
            || inner.starts_with('!') && !name.is_empty();
        if is_bash && !name.is_empty() {
            self.bashism("${…} with bash's operators", start);
        }
        Subject::Variable {
            name: name.to_owned(),
            is_plain: inner == name,
            has_default: rest.trim_start_matches(':').starts_with(['-', '?', '=']),
        }
    }

    fn backticks(&mut self, word: &mut Word, is_quoted: bool) {
        let (from, start) = (self.at, self.here());
        self.at += 1;
        let inner = self.at;
        loop {
            match self.take() {
                Some('`') => break,
                Some('\\') => {
                    self.take();
                }
                Some(_) => {}
                None => {
                    self.is_sound = false;
                    return;
                }
            }
        }
        let text = self.text.get(inner..self.at - 1).unwrap_or_default();
        if self.depth < limits::SHELL_DEPTH {
            let mut reader = Reader {
                text,
                at: 0,
                base: self.base + inner,
                depth: self.depth + 1,
                end: 0,
                is_sound: true,
                heredocs: Vec::new(),
                out: std::mem::take::<Out>(&mut self.out),
            };
            reader.list(Until::End);
            self.is_sound &= reader.is_sound;
            self.out = reader.out;
        } else {
            self.is_sound = false;
        }
        word.value
            .push_str(self.text.get(from..self.at).unwrap_or_default());
        word.expansions.push(Expansion {
            start,
            end: self.here(),
            subject: Subject::Backticks,
            is_quoted,
        });
    }
}
