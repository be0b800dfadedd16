//! Go's literals: numbers, characters and quoted strings, as strconv reads them.

use super::{printf::quoted, value::Value};

/// The value of a number or character constant.
pub(super) fn literal(text: &str) -> Result<Value, String> {
    if text.starts_with('\'') {
        let malformed = || format!("malformed character constant: {text}");
        let inner = text
            .strip_prefix('\'')
            .and_then(|t| t.strip_suffix('\''))
            .ok_or_else(malformed)?;
        let unescaped = unescape(inner, '\'').ok_or_else(malformed)?;
        let mut chars = unescaped.chars();
        return match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(Value::Int(i64::from(u32::from(c)))),
            _ => Err(malformed()),
        };
    }
    let illegal = || format!("illegal number syntax: {}", quoted(text));
    let is_hex = text
        .trim_start_matches(['+', '-'])
        .to_ascii_lowercase()
        .starts_with("0x");
    if !is_hex && text.contains(['.', 'e', 'E']) {
        let plain = without_underscores(text).ok_or_else(illegal)?;
        let number: f64 = plain.parse().map_err(|_| illegal())?;
        return if number.is_finite() {
            Ok(Value::Float(number))
        } else {
            Err(illegal())
        };
    }
    integer(text).map(Value::Int).map_err(|overflows| {
        if overflows {
            format!("integer overflow: {}", quoted(text))
        } else {
            illegal()
        }
    })
}

/// An integer in Go's syntax; the error says whether it is one that does not fit.
fn integer(text: &str) -> Result<i64, bool> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    let digits = without_underscores(digits).ok_or(false)?;
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(false);
    }
    let magnitude = i128::from_str_radix(&digits, radix).map_err(|_| true)?;
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| true)
}

/// The digits alone, if underscores only stand between them (or after a base prefix).
fn without_underscores(text: &str) -> Option<String> {
    let misplaced = text.ends_with('_') || text.contains("__") || text.contains("._");
    (!misplaced).then(|| text.replace('_', ""))
}

/// The content of a quoted or raw string.
pub(super) fn unquote(text: &str) -> Result<String, String> {
    if let Some(raw) = text.strip_prefix('`').and_then(|t| t.strip_suffix('`')) {
        return Ok(raw.replace('\r', ""));
    }
    text.strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .and_then(|inner| unescape(inner, '"'))
        .ok_or_else(|| "invalid syntax".into())
}

/// Resolves backslash escapes; bytes that don't make UTF-8 become U+FFFD.
fn unescape(text: &str, quote: char) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    let push = |bytes: &mut Vec<u8>, c: char| {
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    };
    while let Some(c) = rest.next() {
        if c != '\\' {
            push(&mut bytes, c);
            continue;
        }
        match rest.next()? {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            '\\' => bytes.push(b'\\'),
            c @ ('\'' | '"') if c == quote => push(&mut bytes, c),
            'x' => bytes.push(u8::try_from(digits(&mut rest, 2, 16)?).ok()?),
            'u' => push(&mut bytes, char::from_u32(digits(&mut rest, 4, 16)?)?),
            'U' => push(&mut bytes, char::from_u32(digits(&mut rest, 8, 16)?)?),
            first @ '0'..='7' => {
                let high = first.to_digit(8)?;
                bytes.push(u8::try_from(high * 64 + digits(&mut rest, 2, 8)?).ok()?);
            }
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn digits(rest: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    (0..count).try_fold(0_u32, |sum, _| {
        let digit = rest.next()?.to_digit(radix)?;
        sum.checked_mul(radix)?.checked_add(digit)
    })
}
