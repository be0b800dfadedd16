//! The functions a template may call: those of Go's text/template but `call`, and Docker's.
//!
//! Never sees the template: operands are evaluated before and checked against [`Signature`].

use std::rc::Rc;

use shiplap_model::limits;

use super::{printf, value::Value};

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Text,
    Int,
    Texts,
    /// Any value; nothing at all is a nil.
    Any,
    /// Any value as it is, also nothing at all.
    Raw,
}

/// A function's parameters.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) fixed: &'static [Parameter],
    pub(super) variadic: Option<Parameter>,
}

use Parameter::{Any, Int, Raw, Text, Texts};

/// The parameters of the function called `name`, if there is one.
pub(super) fn signature(name: &str) -> Option<Signature> {
    let (fixed, variadic): (&[Parameter], _) = match name {
        "and" | "or" | "eq" | "index" | "slice" => (&[Raw], Some(Raw)),
        "ne" | "lt" | "le" | "gt" | "ge" => (&[Raw, Raw], None),
        "not" | "len" => (&[Raw], None),
        "print" | "println" | "html" | "js" | "urlquery" => (&[], Some(Any)),
        "printf" => (&[Text], Some(Any)),
        "json" => (&[Any], None),
        "split" => (&[Text, Text], None),
        "join" => (&[Texts, Text], None),
        "title" | "lower" | "upper" => (&[Text], None),
        "pad" => (&[Text, Int, Int], None),
        "truncate" => (&[Text, Int], None),
        _ => return None,
    };
    Some(Signature { fixed, variadic })
}

/// Whether there is such a function.
pub(super) fn exists(name: &str) -> bool {
    signature(name).is_some()
}

/// Calls a function on operands that fit its signature. In a header, functions that change a text
/// leave it alone: it names the column.
pub(super) fn call(name: &str, operands: &[Value], is_header: bool) -> Result<Value, String> {
    if is_header && matches!(name, "json" | "title" | "lower" | "upper" | "truncate") {
        return Ok(operands.first().cloned().unwrap_or(Value::Missing));
    }
    let text = |number: usize| match operands.get(number) {
        Some(Value::Str(text)) => &**text,
        _ => "",
    };
    let int = |number: usize| match operands.get(number) {
        Some(Value::Int(number)) => *number,
        _ => 0,
    };
    let value = match (name, operands) {
        ("not", [value]) => Value::Bool(!value.is_true()),
        ("len", [value]) => Value::Int(length(value)?),
        ("index", [value, indexes @ ..]) => index(value, indexes)?,
        ("slice", [value, indexes @ ..]) => slice(value, indexes)?,
        ("eq", [first, others @ ..]) => Value::Bool(equal(first, others)?),
        ("ne", [a, b]) => Value::Bool(!equal(a, std::slice::from_ref(b))?),
        ("lt", [a, b]) => Value::Bool(less(a, b)?),
        ("le", [a, b]) => Value::Bool(less(a, b)? || equal(a, std::slice::from_ref(b))?),
        ("gt", [a, b]) => Value::Bool(!(less(a, b)? || equal(a, std::slice::from_ref(b))?)),
        ("ge", [a, b]) => Value::Bool(!less(a, b)?),
        ("print", values) => bounded(printf::print(values))?,
        ("println", values) => bounded(printf::println(values))?,
        ("printf", [_, values @ ..]) => bounded(printf::printf(text(0), values))?,
        ("html", values) => bounded(html(&printf::print(&shown(values))))?,
        ("js", values) => bounded(js(&printf::print(&shown(values))))?,
        ("urlquery", values) => bounded(url_query(&printf::print(&shown(values))))?,
        ("json", [value]) => bounded(value.json())?,
        ("split", _) => split(text(0), text(1)),
        ("join", [list, _]) => {
            let parts: Vec<String> = list.items().iter().map(printf::plain).collect();
            bounded(parts.join(text(1)))?
        }
        ("title", _) => Value::from(title(text(0))),
        ("lower", _) => Value::from(text(0).chars().map(lower).collect::<String>()),
        ("upper", _) => Value::from(text(0).chars().map(upper).collect::<String>()),
        ("pad", _) => pad(text(0), int(1), int(2))?,
        ("truncate", _) => truncate(text(0), int(1))?,
        _ => {
            return Err(format!(
                "{} is not a defined function",
                printf::quoted(name)
            ));
        }
    };
    Ok(value)
}

fn bounded(text: String) -> Result<Value, String> {
    if text.len() > limits::TEMPLATE_OUTPUT_BYTES {
        return Err("the result is too long".into());
    }
    Ok(Value::from(text))
}

/// Operands of the escaping functions: as an action would show them.
fn shown(values: &[Value]) -> Vec<Value> {
    values
        .iter()
        .map(|value| match value {
            Value::Missing | Value::Nil => Value::from("<no value>"),
            value => value.clone(),
        })
        .collect()
}

fn length(value: &Value) -> Result<i64, String> {
    let count = match value {
        Value::Str(text) => text.len(),
        Value::List { .. } => value.items().len(),
        Value::Map { .. } => value.entries().len(),
        Value::Missing | Value::Nil | Value::NilStruct(_) => {
            return Err("len of nil pointer".into());
        }
        _ => return Err(format!("len of type {}", value.type_name())),
    };
    i64::try_from(count).map_err(|_| "len out of range".into())
}

/// A position in a list or text, `most` included.
fn position(index: &Value, most: usize) -> Result<usize, String> {
    match index {
        Value::Int(number) => usize::try_from(*number)
            .ok()
            .filter(|at| *at <= most)
            .ok_or_else(|| format!("index out of range: {number}")),
        Value::Missing | Value::Nil => Err("cannot index slice/array with nil".into()),
        other => Err(format!(
            "cannot index slice/array with type {}",
            other.type_name()
        )),
    }
}

fn index(value: &Value, indexes: &[Value]) -> Result<Value, String> {
    if matches!(value, Value::Missing | Value::Nil) {
        return Err("index of untyped nil".into());
    }
    indexes
        .iter()
        .try_fold(value.clone(), |item, index| match &item {
            Value::Missing | Value::Nil | Value::NilStruct(_) => Err("index of nil pointer".into()),
            Value::Str(text) => {
                let at = position(index, text.len())?;
                let byte = text
                    .as_bytes()
                    .get(at)
                    .ok_or("reflect: string index out of range")?;
                Ok(Value::Int(i64::from(*byte)))
            }
            Value::List { .. } => {
                let at = position(index, item.items().len())?;
                let found = item
                    .items()
                    .get(at)
                    .ok_or("reflect: slice index out of range")?;
                Ok(found.clone())
            }
            Value::Map { element, .. } => match index {
                Value::Str(key) => Ok(item
                    .get(key)
                    .cloned()
                    .unwrap_or_else(|| Value::zero(element))),
                Value::Missing | Value::Nil => Err("value is nil; should be of type string".into()),
                other => Err(format!(
                    "value has type {}; should be string",
                    other.type_name()
                )),
            },
            other => Err(format!("can't index item of type {}", other.type_name())),
        })
}

fn slice(value: &Value, indexes: &[Value]) -> Result<Value, String> {
    let count = match value {
        Value::Missing | Value::Nil => return Err("slice of untyped nil".into()),
        Value::NilStruct(_) => return Err("slice of nil pointer".into()),
        Value::Str(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::Str(text) => text.len(),
        Value::List { .. } => value.items().len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let mut bounds = [0, count, count];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, count)?;
    }
    let [from, to, end] = bounds;
    for (low, high) in [(from, to), (to, end)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}"));
        }
    }
    match value {
        Value::Str(text) => {
            let cut = String::from_utf8_lossy(&text.as_bytes()[from..to]);
            Ok(Value::from(&*cut))
        }
        Value::List { element, .. } => {
            let items: Rc<[Value]> = value.items()[from..to].into();
            Ok(Value::List {
                element,
                items: Some(items),
            })
        }
        _ => Ok(Value::Missing),
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::Float(_) => 3,
        Value::Str(_) => 4,
        _ => 0,
    }
}

fn is_nil(value: &Value) -> bool {
    matches!(
        value,
        Value::Missing
            | Value::Nil
            | Value::NilStruct(_)
            | Value::List { items: None, .. }
            | Value::Map { entries: None, .. }
    )
}

fn equal(first: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    let nothing = |value: &Value| matches!(value, Value::Missing | Value::Nil);
    for other in others {
        let same = match (first, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (a, b) if kind(a) != kind(b) => {
                if !nothing(a) && !nothing(b) {
                    return Err(incompatible(a, b));
                }
                false
            }
            (a, b) if is_nil(a) || is_nil(b) => is_nil(a) && is_nil(b),
            (_, b) => {
                let shown = printf::plain(b);
                return Err(format!("non-comparable type {shown}: {}", b.type_name()));
            }
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    )
}

fn less(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Str(a), Value::Str(b)) => Ok(a < b),
        (a, b) if kind(a) == 0 || kind(b) == 0 || kind(a) == kind(b) => {
            Err("invalid type for comparison".into())
        }
        (a, b) => Err(incompatible(a, b)),
    }
}

fn split(text: &str, separator: &str) -> Value {
    if separator.is_empty() {
        return Value::strings(text.chars().map(String::from));
    }
    Value::strings(text.split(separator))
}

fn upper(c: char) -> char {
    // One character stays one, as in Go.
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(mapped), None) => mapped,
        _ => c,
    }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn title(text: &str) -> String {
    let mut at_start = true;
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        titled.push(if at_start { upper(c) } else { c });
        at_start = if c.is_ascii() {
            !(c.is_ascii_alphanumeric() || c == '_')
        } else {
            !c.is_alphanumeric() && c.is_whitespace()
        };
    }
    titled
}

fn pad(text: &str, before: i64, after: i64) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(Value::from(text));
    }
    let count = |number: i64| {
        usize::try_from(number).map_err(|_| "strings: negative Repeat count".to_owned())
    };
    let (before, after) = (count(before)?, count(after)?);
    let most = limits::TEMPLATE_OUTPUT_BYTES;
    if before > most || after > most {
        return Err("the result is too long".into());
    }
    bounded(format!("{}{text}{}", " ".repeat(before), " ".repeat(after)))
}

/// The first `length` bytes; a character that would be cut in two is left out.
fn truncate(text: &str, length: i64) -> Result<Value, String> {
    let Ok(length) = usize::try_from(length) else {
        return Err(format!(
            "runtime error: slice bounds out of range [:{length}]"
        ));
    };
    Ok(Value::from(&text[..text.floor_char_boundary(length)]))
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c if !c.is_ascii() && !printf::is_printable(c) => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
