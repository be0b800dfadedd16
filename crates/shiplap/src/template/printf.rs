//! Go's `fmt` on template values: `print`, `println`, `printf` and what a bare action shows.
//!
//! Never fails on a wrong verb: like Go, it writes the complaint into the text.

use shiplap_model::quote::escaped;
pub(super) use shiplap_model::quote::{is_printable, quoted};

use super::value::Value;

/// Widths and precisions beyond it are refused, as in Go.
const WIDTH: usize = 1_000_000;

/// `%v`.
pub(super) fn plain(value: &Value) -> String {
    let mut out = String::new();
    Spec::plain('v').value(&mut out, value, 0);
    out
}

/// What an action shows: as `%v`, but nothing at all is `<no value>`.
pub(super) fn action(value: &Value) -> String {
    match value {
        Value::Missing | Value::Nil => "<no value>".into(),
        value => plain(value),
    }
}

/// `print`: spaces between operands when neither is a text.
pub(super) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    let mut text_before = true;
    for value in values {
        let is_text = matches!(value, Value::Str(_));
        if !(text_before || is_text) {
            out.push(' ');
        }
        out.push_str(&plain(value));
        text_before = is_text;
    }
    out
}

/// `println`.
pub(super) fn println(values: &[Value]) -> String {
    let words: Vec<String> = values.iter().map(plain).collect();
    words.join(" ") + "\n"
}

#[derive(Debug, Clone, Copy)]
struct Spec {
    verb: char,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `printf`.
pub(super) fn printf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    let mut next = 0;
    let mut reordered = false;
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::plain('v');
        spec.take_flags(&mut rest);
        let mut bad_index = false;
        reordered |= argument_number(&mut rest, &mut next, values.len(), &mut bad_index);
        spec.width = size(
            &mut rest,
            values,
            &mut next,
            &mut out,
            "%!(BADWIDTH)",
            &mut spec.minus,
        );
        if rest.next_if_eq(&'.').is_some() {
            let mut negative = false;
            reordered |= argument_number(&mut rest, &mut next, values.len(), &mut bad_index);
            let precision = size(
                &mut rest,
                values,
                &mut next,
                &mut out,
                "%!(BADPREC)",
                &mut negative,
            );
            spec.precision = if negative {
                None
            } else {
                Some(precision.unwrap_or(0))
            };
        }
        reordered |= argument_number(&mut rest, &mut next, values.len(), &mut bad_index);
        let Some(verb) = rest.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        spec.verb = verb;
        if verb == '%' {
            out.push('%');
        } else if bad_index {
            out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(value) = values.get(next) {
            next += 1;
            spec.value(&mut out, value, 0);
        } else {
            out.push_str(&format!("%!{verb}(MISSING)"));
        }
    }
    if !reordered && next < values.len() {
        let extra = values[next..].iter().map(|value| match value {
            Value::Missing | Value::Nil => "<nil>".to_owned(),
            value => format!("{}={}", value.type_name(), plain(value)),
        });
        out.push_str(&format!(
            "%!(EXTRA {})",
            extra.collect::<Vec<_>>().join(", ")
        ));
    }
    out
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// `[n]`: the next operand is the n-th.
fn argument_number(rest: &mut Rest<'_>, next: &mut usize, count: usize, bad: &mut bool) -> bool {
    if rest.next_if_eq(&'[').is_none() {
        return false;
    }
    let inner: String = std::iter::from_fn(|| rest.next_if(|&c| c != ']')).collect();
    let closed = rest.next().is_some();
    match inner.parse::<usize>() {
        Ok(number) if closed && (1..=count).contains(&number) => *next = number - 1,
        _ => *bad = true,
    }
    true
}

/// A width or precision: digits, or `*` and an operand.
fn size(
    rest: &mut Rest<'_>,
    values: &[Value],
    next: &mut usize,
    out: &mut String,
    complaint: &str,
    negative: &mut bool,
) -> Option<usize> {
    if rest.next_if_eq(&'*').is_some() {
        let value = values.get(*next);
        *next += usize::from(value.is_some());
        let number = match value {
            Some(Value::Int(number)) => usize::try_from(number.unsigned_abs())
                .ok()
                .filter(|n| *n <= WIDTH),
            _ => None,
        };
        if number.is_none() {
            out.push_str(complaint);
        }
        *negative |= matches!(value, Some(Value::Int(number)) if *number < 0);
        return number;
    }
    let digits: String = std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).collect();
    if digits.is_empty() {
        return None;
    }
    let number = digits.parse().ok().filter(|n| *n <= WIDTH);
    if number.is_none() {
        out.push_str(complaint);
    }
    number
}

impl Spec {
    fn plain(verb: char) -> Self {
        Self {
            verb,
            minus: false,
            plus: false,
            sharp: false,
            space: false,
            zero: false,
            width: None,
            precision: None,
        }
    }

    fn take_flags(&mut self, rest: &mut Rest<'_>) {
        while let Some(&flag) = rest.peek() {
            match flag {
                '-' => self.minus = true,
                '+' => self.plus = true,
                '#' => self.sharp = true,
                ' ' => self.space = true,
                '0' => self.zero = true,
                _ => break,
            }
            rest.next();
        }
    }

    fn go_syntax(&self) -> bool {
        self.verb == 'v' && self.sharp
    }

    fn value(&self, out: &mut String, value: &Value, depth: usize) {
        if self.verb == 'T' {
            let name = match value {
                Value::Missing | Value::Nil => "<nil>".into(),
                value => value.type_name(),
            };
            return self.pad(out, &name, false);
        }
        match value {
            Value::Missing | Value::Nil | Value::NilStruct(_) if self.verb == 'v' => {
                let shown = match value {
                    Value::NilStruct(name) if self.sharp => format!("(*{name})(nil)"),
                    _ if self.sharp && depth > 0 => "interface {}(nil)".into(),
                    _ => "<nil>".into(),
                };
                self.pad(out, &shown, false);
            }
            Value::Missing | Value::Nil if depth > 0 => out.push_str("<nil>"),
            Value::Missing | Value::Nil => out.push_str(&format!("%!{}(<nil>)", self.verb)),
            Value::NilStruct(_) => self.bad(out, value),
            Value::Bool(b) if matches!(self.verb, 't' | 'v') => {
                self.pad(out, if *b { "true" } else { "false" }, false);
            }
            Value::Bool(_) => self.bad(out, value),
            Value::Int(number) => self.integer(out, *number, value),
            Value::Float(number) => self.float(out, *number, value),
            Value::Str(text) => self.text(out, text, value),
            Value::List { items, .. } => {
                let (open, joint, close) = if self.go_syntax() {
                    if items.is_none() {
                        return out.push_str(&format!("{}(nil)", value.type_name()));
                    }
                    (value.type_name() + "{", ", ", "}")
                } else {
                    ("[".into(), " ", "]")
                };
                out.push_str(&open);
                for (number, item) in value.items().iter().enumerate() {
                    if number > 0 {
                        out.push_str(joint);
                    }
                    self.value(out, item, depth + 1);
                }
                out.push_str(close);
            }
            Value::Map { .. } | Value::Struct(_) => self.entries(out, value, depth),
        }
    }

    fn entries(&self, out: &mut String, value: &Value, depth: usize) {
        let is_map = matches!(value, Value::Map { .. });
        if self.go_syntax() {
            if matches!(value, Value::Map { entries: None, .. }) {
                return out.push_str(&format!("{}(nil)", value.type_name()));
            }
            out.push_str(&value.type_name());
        } else if is_map {
            out.push_str("map");
        }
        let (open, close) = if is_map && !self.go_syntax() {
            ('[', ']')
        } else {
            ('{', '}')
        };
        out.push(open);
        for (number, (key, item)) in value.entries().iter().enumerate() {
            if number > 0 {
                out.push_str(if self.go_syntax() { ", " } else { " " });
            }
            if is_map {
                self.value(out, &Value::Str(key.clone()), depth + 1);
                out.push(':');
            } else if self.verb == 'v' && (self.plus || self.sharp) {
                out.push_str(key);
                out.push(':');
            }
            self.value(out, item, depth + 1);
        }
        out.push(close);
    }

    fn bad(&self, out: &mut String, value: &Value) {
        out.push_str(&format!(
            "%!{}({}={})",
            self.verb,
            value.type_name(),
            plain(value)
        ));
    }

    /// Pads `text` to the width; `number` says that zeros go after a sign.
    fn pad(&self, out: &mut String, text: &str, number: bool) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.minus {
            out.push_str(text);
            out.push_str(&" ".repeat(missing));
        } else if self.zero && number {
            let (sign, digits) = match text.strip_prefix(['-', '+', ' ']) {
                Some(digits) => text.split_at(text.len() - digits.len()),
                None => ("", text),
            };
            out.push_str(sign);
            out.push_str(&"0".repeat(missing));
            out.push_str(digits);
        } else {
            out.push_str(&(if self.zero { "0" } else { " " }).repeat(missing));
            out.push_str(text);
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (_, true, _) if self.verb != 'v' => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn integer(&self, out: &mut String, number: i64, value: &Value) {
        let magnitude = number.unsigned_abs();
        let (prefix, mut digits) = match self.verb {
            'd' | 'v' => ("", magnitude.to_string()),
            'b' => (if self.sharp { "0b" } else { "" }, format!("{magnitude:b}")),
            'o' => (if self.sharp { "0" } else { "" }, format!("{magnitude:o}")),
            'O' => ("0o", format!("{magnitude:o}")),
            'x' => (if self.sharp { "0x" } else { "" }, format!("{magnitude:x}")),
            'X' => (if self.sharp { "0X" } else { "" }, format!("{magnitude:X}")),
            'c' | 'q' | 'U' => {
                let c = u32::try_from(number)
                    .ok()
                    .and_then(char::from_u32)
                    .unwrap_or('\u{fffd}');
                let text = match self.verb {
                    'c' => c.to_string(),
                    'q' => format!("'{}'", escaped(c, '\'', self.plus)),
                    _ => format!("U+{magnitude:04X}"),
                };
                return self.pad(out, &text, false);
            }
            _ => return self.bad(out, value),
        };
        let mut spec = *self;
        if let Some(precision) = self.precision {
            spec.zero = false;
            if precision == 0 && number == 0 {
                return spec.pad(out, "", false);
            }
            digits = "0".repeat(precision.saturating_sub(digits.len())) + &digits;
        } else if self.zero && !self.minus {
            let sign = self.sign(number < 0).len();
            digits =
                "0".repeat(self.width.unwrap_or(0).saturating_sub(digits.len() + sign)) + &digits;
        }
        spec.pad(
            out,
            &format!("{}{prefix}{digits}", self.sign(number < 0)),
            false,
        );
    }

    fn float(&self, out: &mut String, number: f64, value: &Value) {
        let text = match self.verb {
            _ if !number.is_finite() => {
                if number.is_nan() {
                    "NaN".into()
                } else {
                    "Inf".to_owned()
                }
            }
            'v' | 'g' | 'G' => general(number.abs(), self.precision),
            'f' | 'F' => format!("{:.*}", self.precision.unwrap_or(6), number.abs()),
            'e' | 'E' => exponent(&format!(
                "{:.*e}",
                self.precision.unwrap_or(6),
                number.abs()
            )),
            _ => return self.bad(out, value),
        };
        let text = if matches!(self.verb, 'E' | 'G') {
            text.to_uppercase()
        } else {
            text
        };
        let plus_inf = if number == f64::INFINITY && self.sign(false).is_empty() {
            "+"
        } else {
            ""
        };
        let sign = self.sign(number.is_sign_negative() && !number.is_nan());
        self.pad(out, &format!("{plus_inf}{sign}{text}"), number.is_finite());
    }

    fn text(&self, out: &mut String, text: &str, value: &Value) {
        let cut: String = match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        };
        match self.verb {
            'v' if self.sharp => self.pad(out, &quoted(text), false),
            'v' | 's' => self.pad(out, &cut, false),
            'q' if self.sharp
                && !cut.contains(['`', '\u{7f}', '\u{feff}'])
                && !cut.contains(|c| c < ' ' && c != '\t') =>
            {
                self.pad(out, &format!("`{cut}`"), false);
            }
            'q' => {
                let inner: String = cut.chars().map(|c| escaped(c, '"', self.plus)).collect();
                self.pad(out, &format!("\"{inner}\""), false);
            }
            'x' | 'X' => {
                let bytes = text.as_bytes();
                let bytes = &bytes[..self.precision.unwrap_or(bytes.len()).min(bytes.len())];
                let mut hex = String::new();
                for (number, byte) in bytes.iter().enumerate() {
                    if self.space && number > 0 {
                        hex.push(' ');
                    }
                    if self.sharp && (number == 0 || self.space) {
                        hex.push_str("0x");
                    }
                    hex.push_str(&format!("{byte:02x}"));
                }
                let hex = if self.verb == 'X' {
                    hex.to_uppercase()
                } else {
                    hex
                };
                self.pad(out, &hex, false);
            }
            _ => self.bad(out, value),
        }
    }
}

/// Rust's `1.5e7` as Go's `1.5e+07`.
fn exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g`: the shortest form that reads back the same, or `precision` digits.
fn general(number: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        Some(precision) => format!("{number:.*e}", precision.max(1) - 1),
        None => format!("{number:e}"),
    };
    let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    let digits = mantissa.len() - usize::from(mantissa.contains('.'));
    let most = match precision {
        // As strconv does it: more digits than there are don't count.
        Some(precision) if precision > digits && i32::try_from(digits).is_ok_and(|d| d > power) => {
            digits
        }
        Some(precision) => precision.max(1),
        None => 6,
    };
    if power < -4 || i32::try_from(most).is_ok_and(|most| power >= most) {
        return exponent(&format!("{mantissa}e{power}"));
    }
    match precision {
        None => format!("{number}"),
        Some(_) => {
            let decimals = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - power;
            format!("{number:.*}", usize::try_from(decimals).unwrap_or(0))
        }
    }
}

/// A number as encoding/json writes it.
pub(super) fn json_float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = exponent(&format!("{number:e}"));
        return text.replace("e-0", "e-");
    }
    format!("{number}")
}
