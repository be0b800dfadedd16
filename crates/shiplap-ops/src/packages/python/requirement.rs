//! What a distribution of Python says it needs: `Requires-Dist` with its conditions ("Dependency specifiers").
//! Versions are not compared: what is installed was chosen by them. A condition that can't be known holds.

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::packages) struct Requirement {
    /// The name, comparable.
    pub(in crate::packages) name: String,
    /// Extras that it asks for, comparable.
    pub(in crate::packages) extras: Vec<String>,
    /// Whether it is needed without any extra.
    is_always: bool,
    /// The extras with which it is needed.
    with: Vec<String>,
}

/// Deepest nesting of parentheses that is read.
const DEPTH: usize = 16;

/// Longest requirement that is read, in bytes.
const REQUIREMENT_BYTES: usize = 4096;

impl Requirement {
    /// A name as names are compared ("Names and normalization").
    pub(in crate::packages) fn comparable(name: &str) -> String {
        let mut plain = String::with_capacity(name.len());
        for part in name
            .trim()
            .split(['-', '_', '.'])
            .filter(|part| !part.is_empty())
        {
            if !plain.is_empty() {
                plain.push('-');
            }
            plain.push_str(&part.to_lowercase());
        }
        plain
    }

    /// Reads it, for an interpreter of that version, if it is known.
    pub(super) fn read(line: &str, version: Option<(u64, u64)>) -> Option<Self> {
        if line.len() > REQUIREMENT_BYTES {
            return None;
        }
        let (what, condition) = line.split_once(';').unwrap_or((line, ""));
        // An address may hold a semicolon; then what is behind it is no condition.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let what = what.trim();
        let end = what.find(|c| !is_name(c)).unwrap_or(what.len());
        let (name, rest) = what.split_at(end);
        let extras = rest
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'));
        let extras = extras.map_or("", |(extras, _)| extras).split(',');
        let tokens = tokens(condition);
        let holds = |extra: &str| {
            let mut reading = Reading {
                tokens: &tokens,
                extra,
                version,
            };
            tokens.is_empty() || reading.any(0).unwrap_or(true)
        };
        let is_always = holds("");
        let asked = extras_of(&tokens).into_iter();
        let with = asked.filter(|extra| !is_always && holds(extra));
        let extras = extras
            .map(Self::comparable)
            .filter(|extra| !extra.is_empty());
        (!name.is_empty()).then(|| Self {
            name: Self::comparable(name),
            extras: extras.collect(),
            is_always,
            with: with.map(|extra| Self::comparable(&extra)).collect(),
        })
    }

    /// Whether it is needed with that extra, or without any.
    pub(in crate::packages) fn holds(&self, extra: Option<&str>) -> bool {
        match extra {
            None => self.is_always,
            Some(extra) => self.with.iter().any(|with| with == extra),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
    Comparison(String),
}

/// The words of a condition; none if it can't be cut, which holds then.
fn tokens(condition: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = condition.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' => {
                tokens.push(Token::Open);
                1
            }
            ')' => {
                tokens.push(Token::Close);
                1
            }
            '\'' | '"' => {
                let Some(end) = rest[1..].find(first) else {
                    return Vec::new();
                };
                tokens.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            }
            '<' | '>' | '=' | '!' | '~' => {
                let end = rest.find(|c| !"<>=!~".contains(c)).unwrap_or(rest.len());
                tokens.push(Token::Comparison(rest[..end].to_owned()));
                end
            }
            _ => {
                let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                if end == 0 {
                    return Vec::new();
                }
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

/// The extras that a condition names.
fn extras_of(tokens: &[Token]) -> Vec<String> {
    let mut extras = Vec::new();
    for three in tokens.windows(3) {
        match three {
            [Token::Word(word), Token::Comparison(_), Token::Text(text)]
            | [Token::Text(text), Token::Comparison(_), Token::Word(word)]
                if word == "extra" =>
            {
                extras.push(text.clone());
            }
            _ => {}
        }
    }
    extras
}

/// A condition that is being read; nothing where it can't be known.
struct Reading<'a> {
    tokens: &'a [Token],
    extra: &'a str,
    version: Option<(u64, u64)>,
}

impl<'a> Reading<'a> {
    fn take(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let is_next = matches!(self.tokens.first(), Some(Token::Word(word)) if word == wanted);
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }

    /// Conditions joined by `or`.
    fn any(&mut self, depth: usize) -> Option<bool> {
        let mut any = self.all(depth);
        while self.take_word("or") {
            any = match (any, self.all(depth)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        any
    }

    /// Conditions joined by `and`.
    fn all(&mut self, depth: usize) -> Option<bool> {
        let mut all = self.one(depth);
        while self.take_word("and") {
            all = match (all, self.one(depth)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        all
    }

    fn one(&mut self, depth: usize) -> Option<bool> {
        if self.tokens.first() == Some(&Token::Open) && depth < DEPTH {
            self.take();
            let inner = self.any(depth + 1);
            self.take();
            return inner;
        }
        let left = self.take()?;
        let how = match self.take()? {
            Token::Comparison(how) => how.as_str(),
            Token::Word(word) if word == "in" => "in",
            Token::Word(word) if word == "not" && self.take_word("in") => "not in",
            _ => return None,
        };
        let right = self.take()?;
        match (left, right) {
            (Token::Word(word), Token::Text(text)) => self.compare(word, how, text, false),
            (Token::Text(text), Token::Word(word)) => self.compare(word, how, text, true),
            _ => None,
        }
    }

    fn compare(&self, word: &str, how: &str, text: &str, is_turned: bool) -> Option<bool> {
        let value = match word {
            "extra" => {
                let is_same = Requirement::comparable(self.extra) == Requirement::comparable(text);
                return match how {
                    "==" => Some(is_same),
                    "!=" => Some(!is_same),
                    _ => None,
                };
            }
            "python_version" => return versions(self.version?, how, text, is_turned),
            "python_full_version" if !is_turned => return releases(self.version?, how, text),
            "sys_platform" => "linux",
            "os_name" => "posix",
            "platform_system" => "Linux",
            _ => return None,
        };
        let (within, whole) = if is_turned {
            (text, value)
        } else {
            (value, text)
        };
        match how {
            "==" | "===" => Some(value == text),
            "!=" => Some(value != text),
            "in" => Some(whole.contains(within)),
            "not in" => Some(!whole.contains(within)),
            _ => None,
        }
    }
}

/// Compares Python's version with a text of two numbers.
fn versions(version: (u64, u64), how: &str, text: &str, is_turned: bool) -> Option<bool> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let text = (major.trim().parse().ok()?, minor.trim().parse().ok()?);
    let (left, right) = if is_turned {
        (text, version)
    } else {
        (version, text)
    };
    match how {
        "<" => Some(left < right),
        "<=" => Some(left <= right),
        ">" => Some(left > right),
        ">=" => Some(left >= right),
        "==" => Some(left == right),
        "!=" => Some(left != right),
        "~=" => Some(left.0 == right.0 && left >= right),
        _ => None,
    }
}

/// Compares Python's version with a text of three numbers; the third of its own is not known.
fn releases(version: (u64, u64), how: &str, text: &str) -> Option<bool> {
    let mut numbers = text.split('.').map(|number| number.trim().parse::<u64>());
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let first = numbers.next().unwrap_or(Ok(0)).ok()? == 0;
    match (version == (major, minor), how) {
        (false, _) => versions(version, how, &format!("{major}.{minor}"), false),
        (true, "<") if first => Some(false),
        (true, ">=") if first => Some(true),
        (true, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Requirement;

    #[test]
    fn requirements() {
        let check = |line: &str, expected: Option<&str>| {
            let told = Requirement::read(line, Some((3, 11))).map(|read| {
                let Requirement {
                    name,
                    extras,
                    is_always,
                    with,
                } = read;
                format!("{name} {extras:?} {is_always} {with:?}")
            });
            assert_eq!(told.as_deref(), expected, "{line}");
        };
        check("Werkzeug>=3.0", Some("werkzeug [] true []"));
        check("a", Some("a [] true []"));
        check(
            "Zope.Interface_x (>=1,<2)",
            Some("zope-interface-x [] true []"),
        );
        check(
            "requests [security,Socks] >= 2.8.1, == 2.8.* ; python_version < \"2.7\"",
            Some("requests [\"security\", \"socks\"] false []"),
        );
        check("x @ https://example.org/x.zip", Some("x [] true []"));
        check("x; extra == 'Async_IO'", Some("x [] false [\"async-io\"]"));
        check(
            "x; python_version >= '3.8' and (extra == 'a' or extra == \"b\")",
            Some("x [] false [\"a\", \"b\"]"),
        );
        check(
            "x; python_version < '3.8' and extra == 'a'",
            Some("x [] false []"),
        );
        check("x; '3.8' <= python_version", Some("x [] true []"));
        check("x; python_version in '3.10 3.11'", Some("x [] true []"));
        check("x; sys_platform == 'win32'", Some("x [] false []"));
        check("x; 'linux' in sys_platform", Some("x [] true []"));
        check(
            "x; sys_platform not in 'win32 cygwin'",
            Some("x [] true []"),
        );
        check("x; platform_machine == 'arm64'", Some("x [] true []"));
        check(
            "x; platform_machine == 'arm64' and os_name == 'nt'",
            Some("x [] false []"),
        );
        check(
            "x; os_name == 'nt' or python_version > '3'",
            Some("x [] true []"),
        );
        check("x; python_full_version < '3.11'", Some("x [] false []"));
        check("x; python_full_version < '3.8.1'", Some("x [] false []"));
        check("x; python_full_version >= '3.11.0'", Some("x [] true []"));
        check("x; python_full_version < '3.11.4'", Some("x [] true []"));
        check("x; python_full_version != '3.8.1'", Some("x [] true []"));
        check("x; 'unclosed", Some("x [] true []"));
        check("x; ((((", Some("x [] true []"));
        check(&format!("x; {}", "(".repeat(4000)), Some("x [] true []"));
        check("[extra]", None);
        check("", None);
    }

    #[test]
    fn what_is_not_known_of_the_interpreter_holds() {
        let read = Requirement::read("x; python_version < '3'", None).unwrap();
        assert!(read.holds(None));
        assert!(!read.holds(Some("a")));
    }
}
