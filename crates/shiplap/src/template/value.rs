//! The values templates work on: JSON's, with the distinctions Go draws and templates show.
//!
//! A *struct* has a fixed set of fields, and asking for another is an error; a *map* has keys, and
//! asking for another gives `<no value>`. A nil list or map is shown as an empty one, but is
//! `null` in JSON.

use std::{fmt::Write, rc::Rc};

/// A key and what it maps to.
pub(crate) type Entry = (Rc<str>, Value);

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing, as the value of a key that isn't there: `<no value>`.
    Missing,
    /// A nil whose type is not known.
    Nil,
    /// A nil pointer to a struct of that name.
    NilStruct(&'static str),
    /// true or false
    Bool(bool),
    /// Any integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(Rc<str>),
    /// An array; its element type as Go spells it; `None` is nil.
    List {
        element: &'static str,
        items: Option<Rc<[Value]>>,
    },
    /// A map with text keys, sorted; its value type as Go spells it; `None` is nil.
    Map {
        element: &'static str,
        entries: Option<Rc<[Entry]>>,
    },
    /// A record.
    Struct(Rc<Record>),
}

/// The fields of a struct, in order.
#[derive(Debug)]
pub(crate) struct Record {
    /// The type's name, shown in errors.
    pub(super) name: &'static str,
    /// Name, value.
    pub(super) fields: Vec<(Rc<str>, Value)>,
    /// Names of fields that JSON leaves out.
    pub(super) omitted: Vec<&'static str>,
}

/// Go's name of "any type".
pub(super) const ANY: &str = "interface {}";

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl Value {
    /// A list of texts.
    pub(crate) fn strings<S: Into<Rc<str>>>(items: impl IntoIterator<Item = S>) -> Self {
        let items = items
            .into_iter()
            .map(|item| Self::Str(item.into()))
            .collect();
        Self::List {
            element: "string",
            items: Some(items),
        }
    }

    /// A map from text to text.
    pub(crate) fn string_map<K: Into<Rc<str>>>(
        entries: impl IntoIterator<Item = (K, String)>,
    ) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (key.into(), Self::from(value)));
        Self::map("string", entries.collect())
    }

    /// A map; sorts its entries.
    pub(crate) fn map(element: &'static str, mut entries: Vec<(Rc<str>, Self)>) -> Self {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Map {
            element,
            entries: Some(entries.into()),
        }
    }

    /// A struct.
    pub(crate) fn record<K: Into<Rc<str>>>(
        name: &'static str,
        fields: impl IntoIterator<Item = (K, Self)>,
    ) -> Self {
        Self::record_without(name, fields, Vec::new())
    }

    /// A struct of which JSON leaves out the fields of these names.
    pub(crate) fn record_without<K: Into<Rc<str>>>(
        name: &'static str,
        fields: impl IntoIterator<Item = (K, Self)>,
        omitted: Vec<&'static str>,
    ) -> Self {
        let fields = fields
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect();
        Self::Struct(Rc::new(Record {
            name,
            fields,
            omitted,
        }))
    }

    /// A list of anything.
    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List {
            element: ANY,
            items: Some(items.into_iter().collect()),
        }
    }

    /// What JSON says, without types of its own: objects are maps of anything.
    pub(crate) fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::from(text.as_str()),
            Json::Array(items) => Self::list(items.iter().map(Self::from_json)),
            Json::Object(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (key.as_str().into(), Self::from_json(value)));
                Self::map(ANY, entries.collect())
            }
        }
    }

    /// What a Go variable of that type holds before it is set.
    pub(super) fn zero(type_name: &'static str) -> Self {
        match type_name {
            "string" => Self::from(""),
            "int" => Self::Int(0),
            "bool" => Self::Bool(false),
            "float64" => Self::Float(0.0),
            "[]string" => Self::List {
                element: "string",
                items: None,
            },
            "struct {}" => Self::record("struct {}", Vec::<(Rc<str>, Self)>::new()),
            ANY => Self::Nil,
            other => Self::NilStruct(other),
        }
    }

    /// The type as Go spells it.
    pub(super) fn type_name(&self) -> String {
        match self {
            Self::Missing | Self::Nil => ANY.into(),
            Self::NilStruct(name) => format!("*{name}"),
            Self::Bool(_) => "bool".into(),
            Self::Int(_) => "int".into(),
            Self::Float(_) => "float64".into(),
            Self::Str(_) => "string".into(),
            Self::List { element, .. } => format!("[]{element}"),
            Self::Map { element, .. } => format!("map[string]{element}"),
            Self::Struct(record) => record.name.into(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil | Self::NilStruct(_) => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List { .. } => !self.items().is_empty(),
            Self::Map { .. } => !self.entries().is_empty(),
            Self::Struct(_) => true,
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List {
                items: Some(items), ..
            } => items,
            _ => &[],
        }
    }

    /// The entries of a map or struct; none for anything else.
    pub(super) fn entries(&self) -> &[(Rc<str>, Self)] {
        match self {
            Self::Map {
                entries: Some(entries),
                ..
            } => entries,
            Self::Struct(record) => &record.fields,
            _ => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| **name == *key)
            .map(|(_, value)| value)
    }

    /// The value as compact JSON, as Go writes it without HTML escapes.
    pub(crate) fn json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Missing | Self::Nil | Self::NilStruct(_) => out.push_str("null"),
            Self::List { items: None, .. } | Self::Map { entries: None, .. } => {
                out.push_str("null");
            }
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Float(number) => out.push_str(&super::printf::json_float(*number)),
            Self::Str(text) => write_json_string(out, text),
            Self::List { .. } => {
                out.push('[');
                for (number, item) in self.items().iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map { .. } | Self::Struct(_) => {
                out.push('{');
                let omitted = match self {
                    Self::Struct(record) => &record.omitted[..],
                    _ => &[],
                };
                let kept = self
                    .entries()
                    .iter()
                    .filter(|(key, _)| !omitted.contains(&&**key));
                for (number, (key, value)) in kept.enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    write_json_string(out, key);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
