//! One pattern of an ignore list, made ready to be matched. It never looks at parent directories:
//! that is the list's.

use std::fmt;

use crate::glob::{Class, Glob, GlobError, SLASH, Unit, class_member, units};

/// One pattern.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Vec<u8>,
    exception: bool,
    position: usize,
    matcher: Matcher,
}

/// How a path is compared; the simple forms are most of what people write.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Matcher {
    /// The whole path.
    Exact,
    /// All that begins so: `dir/**`.
    Prefix(Vec<u8>),
    /// All that ends so, and the last name alone: `**/name`.
    Suffix(Vec<u8>),
    /// Anything else.
    Tokens(Tokens),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tokens {
    tokens: Vec<Token>,
    /// Bytes that every match begins and ends with: most paths are settled by them.
    prefix: Vec<u8>,
    suffix: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(Unit),
    /// `?`: any character but `/`.
    One,
    Class(Class),
    /// `*`: any run without `/`.
    Run,
    /// `**` at the end: anything.
    Rest,
    /// `**` elsewhere: nothing, or what [`Token::Deep`] takes, which follows it.
    MaybeDeep,
    /// Anything up to a `/`.
    Deep,
}

/// What is known of a pattern after a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It matches the path.
    Matches,
    /// It may match a longer one.
    NotYet,
    /// It matches nothing that begins so.
    Never,
}

impl Pattern {
    /// Makes a clean pattern, its `!` taken off, ready.
    pub(super) fn compile(
        text: &[u8],
        exception: bool,
        position: usize,
    ) -> Result<Self, GlobError> {
        Glob::parse(text)?;
        let malformed = || GlobError {
            pattern: String::from_utf8_lossy(text).chars().take(200).collect(),
        };
        Ok(Self {
            matcher: matcher(text).ok_or_else(malformed)?,
            text: text.to_vec(),
            exception,
            position,
        })
    }

    /// Whether it lets paths back in: was written with `!`.
    #[must_use]
    pub fn is_exception(&self) -> bool {
        self.exception
    }

    /// As written, but for `!`, and clean.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Line of the file, or place in the list, from 1.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether it matches exactly this clean path.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.text,
            Matcher::Prefix(prefix) => path.starts_with(prefix),
            Matcher::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix(b"/") == Some(path)
            }
            Matcher::Tokens(tokens) => tokens.matches(path),
        }
    }

    /// Whether it may match something in `directory` that it matches neither there nor above.
    pub(super) fn may_match_below(&self, directory: &[u8]) -> bool {
        let begins_below = |text: &[u8]| {
            let rest = text.strip_prefix(directory);
            rest.is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        match &self.matcher {
            Matcher::Exact => begins_below(&self.text),
            Matcher::Prefix(prefix) => begins_below(prefix),
            Matcher::Suffix(_) => true,
            Matcher::Tokens(tokens) => tokens.may_match_below(directory),
        }
    }
}

/// As it would be written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.exception { "!" } else { "" };
        write!(f, "{mark}{}", String::from_utf8_lossy(&self.text))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({}: {self})", self.position)
    }
}

/// `None` for a class that is none.
fn matcher(text: &[u8]) -> Option<Matcher> {
    let units: Vec<Unit> = units(text).collect();
    let mut rest = units.as_slice();
    let mut tokens = Vec::new();
    let (mut plain, mut leading, mut trailing) = (true, false, false);
    while let Some((unit, after)) = rest.split_first() {
        let first = rest.len() == units.len();
        rest = after;
        match char::from_u32(*unit) {
            Some('*') if rest.first() == Some(&Unit::from(b'*')) => {
                rest = &rest[1..];
                if rest.first() == Some(&SLASH) {
                    rest = &rest[1..];
                }
                match (rest.is_empty(), first) {
                    (_, true) => leading = true,
                    (true, false) if plain && !leading => trailing = true,
                    _ => plain = false,
                }
                if rest.is_empty() {
                    tokens.push(Token::Rest);
                } else {
                    tokens.extend([Token::MaybeDeep, Token::Deep]);
                }
                continue;
            }
            Some('*') => tokens.push(Token::Run),
            Some('?') => tokens.push(Token::One),
            Some('[') => tokens.push(Token::Class(class(&mut rest)?)),
            Some('\\') => {
                let (escaped, after) = rest.split_first()?;
                rest = after;
                tokens.push(Token::Literal(*escaped));
            }
            // A bracket that closes nothing: the peer then goes by the single characters.
            Some(']') => tokens.push(Token::Literal(*unit)),
            _ => {
                tokens.push(Token::Literal(*unit));
                continue;
            }
        }
        plain = false;
    }
    Some(match (plain, leading, trailing) {
        (true, false, false) => Matcher::Exact,
        (true, true, _) => Matcher::Suffix(text.get(2..)?.to_vec()),
        (true, false, true) => Matcher::Prefix(text.strip_suffix(b"**")?.to_vec()),
        (false, ..) => Matcher::Tokens(Tokens::new(tokens)),
    })
}

/// The classes that have names, as `[[:digit:]]`; ASCII all of them.
const NAMED_CLASSES: &[(&str, &[(u8, u8)])] = &[
    ("alnum", &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')]),
    ("alpha", &[(b'A', b'Z'), (b'a', b'z')]),
    ("ascii", &[(0, 0x7f)]),
    ("blank", &[(b'\t', b'\t'), (b' ', b' ')]),
    ("cntrl", &[(0, 0x1f), (0x7f, 0x7f)]),
    ("digit", &[(b'0', b'9')]),
    ("graph", &[(b'!', b'~')]),
    ("lower", &[(b'a', b'z')]),
    ("print", &[(b' ', b'~')]),
    (
        "punct",
        &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
    ),
    ("space", &[(b'\t', b'\r'), (b' ', b' ')]),
    ("upper", &[(b'A', b'Z')]),
    (
        "word",
        &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z'), (b'_', b'_')],
    ),
    ("xdigit", &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')]),
];

/// A class after its `[`, as regular expressions have it: with named classes in it. `None` for a
/// range from high to low and a name that is none.
fn class(rest: &mut &[Unit]) -> Option<Class> {
    let mut class = Class::default();
    if rest.first() == Some(&Unit::from(b'^')) {
        class.negated = true;
        *rest = &rest[1..];
    }
    loop {
        if rest.first() == Some(&Unit::from(b']')) {
            *rest = &rest[1..];
            return Some(class);
        }
        if let Some((name, after)) = class_name(rest) {
            class.ranges.extend(named_class(&name)?);
            *rest = after;
            continue;
        }
        let low = class_member(rest)?;
        let mut high = low;
        if rest.first() == Some(&Unit::from(b'-')) {
            *rest = &rest[1..];
            high = class_member(rest)?;
        }
        if high < low {
            return None;
        }
        class.ranges.push((low, high));
    }
}

/// The name in a leading `[:name:]`, and what follows it.
fn class_name(rest: &[Unit]) -> Option<(String, &[Unit])> {
    let inner = rest.strip_prefix(&[Unit::from(b'['), Unit::from(b':')])?;
    let end = [Unit::from(b':'), Unit::from(b']')];
    let length = inner.windows(2).position(|pair| pair == end)?;
    let name = inner[..length].iter().map(|unit| char::from_u32(*unit));
    Some((name.collect::<Option<_>>()?, &inner[length + 2..]))
}

fn named_class(name: &str) -> Option<Vec<(Unit, Unit)>> {
    let (negated, name) = match name.strip_prefix('^') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let (_, ranges) = NAMED_CLASSES.iter().find(|(known, _)| *known == name)?;
    let ranges = ranges
        .iter()
        .map(|(low, high)| (Unit::from(*low), Unit::from(*high)));
    if !negated {
        return Some(ranges.collect());
    }
    let mut others = Vec::new();
    let mut next = 0;
    for (low, high) in ranges {
        if low > next {
            others.push((next, low - 1));
        }
        next = high + 1;
    }
    others.push((next, Unit::MAX));
    Some(others)
}

impl Tokens {
    fn new(tokens: Vec<Token>) -> Self {
        let literal = |token: &Token| match token {
            Token::Literal(unit) => Some(bytes(*unit)),
            _ => None,
        };
        let prefix = tokens.iter().map_while(literal).flatten().collect();
        let mut suffix: Vec<Vec<u8>> = tokens.iter().rev().map_while(literal).collect();
        suffix.reverse();
        Self {
            prefix,
            suffix: suffix.concat(),
            tokens,
        }
    }

    fn matches(&self, path: &[u8]) -> bool {
        if !path.starts_with(&self.prefix) || !path.ends_with(&self.suffix) {
            return false;
        }
        self.run(units(path)) == Outcome::Matches
    }

    fn may_match_below(&self, directory: &[u8]) -> bool {
        let path = units(directory).chain([SLASH]);
        self.run(path) != Outcome::Never
    }

    /// Time is at most pattern × path.
    fn run(&self, path: impl Iterator<Item = Unit>) -> Outcome {
        let end = self.tokens.len();
        let words = end / 64 + 1;
        // Nearly all patterns fit one word.
        let mut few = [0; 2];
        let mut many = Vec::new();
        let memory = if words == 1 {
            few.as_mut_slice()
        } else {
            many.resize(words * 2, 0);
            many.as_mut_slice()
        };
        let (now, next) = memory.split_at_mut(words);
        let (mut now, mut next) = (States(now), States(next));
        now.add(&self.tokens, 0);
        for unit in path {
            next.0.fill(0);
            now.step(&self.tokens, unit, &mut next);
            std::mem::swap(&mut now, &mut next);
            if now.is_empty() {
                return Outcome::Never;
            }
        }
        if now.has(end) {
            Outcome::Matches
        } else {
            Outcome::NotYet
        }
    }
}

/// A set of numbers of tokens that may come next.
struct States<'a>(&'a mut [u64]);

impl States<'_> {
    fn has(&self, state: usize) -> bool {
        self.0[state / 64] & (1 << (state % 64)) != 0
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Adds a state, and those that follow it without a character.
    fn add(&mut self, tokens: &[Token], mut state: usize) {
        loop {
            if self.has(state) {
                return;
            }
            self.0[state / 64] |= 1 << (state % 64);
            match tokens.get(state) {
                Some(Token::Run | Token::Rest) => state += 1,
                Some(Token::MaybeDeep) => {
                    self.add(tokens, state + 1);
                    state += 2;
                }
                _ => return,
            }
        }
    }

    /// Adds to `next` what follows with `unit`.
    fn step(&self, tokens: &[Token], unit: Unit, next: &mut States<'_>) {
        for (index, word) in self.0.iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                let state = index * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let Some(token) = tokens.get(state) else {
                    continue;
                };
                // The peer's `.` takes no line end.
                let any = unit != Unit::from(b'\n');
                let (stays, passes) = match token {
                    Token::Literal(literal) => (false, *literal == unit),
                    Token::One => (false, unit != SLASH),
                    Token::Class(class) => (false, class.takes(unit)),
                    Token::Run => (unit != SLASH, false),
                    Token::Rest => (any, false),
                    Token::MaybeDeep => (false, false),
                    Token::Deep => (any, unit == SLASH),
                };
                if stays {
                    next.add(tokens, state);
                }
                if passes {
                    next.add(tokens, state + 1);
                }
            }
        }
    }
}

/// The bytes that a character of a name is made of.
fn bytes(unit: Unit) -> Vec<u8> {
    match char::from_u32(unit) {
        Some(c) => c.to_string().into_bytes(),
        // Its last eight bits are the byte.
        None => vec![unit as u8],
    }
}
