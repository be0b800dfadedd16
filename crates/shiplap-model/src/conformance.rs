//! Whether a document is exactly what the OCI image specification asks: its JSON schemas, and
//! what its text adds on media types, digests and environment variables.
//!
//! Stricter than reading ([`crate::manifest`], [`crate::config`]), which takes what is seen in the
//! wild. Every schema is written out as code; Docker's own documents are not judged here.

use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::json::{self, JsonError};
use crate::{limits, media_type};

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// A content descriptor alone.
    Descriptor,
    /// An image manifest.
    Manifest,
    /// An image index.
    Index,
    /// An image config.
    Config,
    /// The `oci-layout` file.
    ImageLayout,
}

/// How a document departs from the specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConformanceError {
    /// Not JSON, or not strictly.
    #[error("check document: {0}")]
    Json(#[from] JsonError),
    /// Something that must be there is not.
    #[error("check document: {path} has no {key:?}")]
    Missing {
        /// Where: `manifest.layers[2]`.
        path: String,
        /// The key.
        key: &'static str,
    },
    /// Something is not as it must be.
    #[error("check document: {path} is not {want}")]
    Wrong {
        /// Where: `manifest.layers[2].size`.
        path: String,
        /// What it must be.
        want: &'static str,
    },
}

/// Checks a document of this kind.
///
/// # Errors
/// [`ConformanceError`]: the first departure.
pub fn check(kind: DocumentKind, bytes: &[u8]) -> Result<(), ConformanceError> {
    let value: Value = json::parse(bytes, limits::CONFIG_BYTES)?;
    match kind {
        DocumentKind::Descriptor => descriptor(&At::root("descriptor"), &value),
        DocumentKind::Manifest => manifest(&At::root("manifest"), &value),
        DocumentKind::Index => index(&At::root("index"), &value),
        DocumentKind::Config => config(&At::root("config"), &value),
        DocumentKind::ImageLayout => image_layout(&At::root("oci-layout"), &value),
    }
}

type Checked = Result<(), ConformanceError>;

/// A place in the document; written out only for an error.
struct At<'a> {
    above: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Number(usize),
}

impl<'a> At<'a> {
    fn root(name: &'a str) -> Self {
        Self {
            above: None,
            step: Step::Key(name),
        }
    }

    fn key<'b>(&'b self, key: &'b str) -> At<'b> {
        At {
            above: Some(self),
            step: Step::Key(key),
        }
    }

    fn number(&self, number: usize) -> At<'_> {
        At {
            above: Some(self),
            step: Step::Number(number),
        }
    }

    fn path(&self) -> String {
        let above = self.above.map(At::path);
        match (above, self.step) {
            (None, Step::Key(key)) => key.to_owned(),
            (Some(above), Step::Key(key)) => format!("{above}.{key}"),
            (above, Step::Number(number)) => format!("{}[{number}]", above.unwrap_or_default()),
        }
    }

    fn wrong(&self, want: &'static str) -> ConformanceError {
        ConformanceError::Wrong {
            path: self.path(),
            want,
        }
    }

    fn require(&self, right: bool, want: &'static str) -> Checked {
        if right { Ok(()) } else { Err(self.wrong(want)) }
    }
}

/// An object whose keys are being checked.
struct Object<'v, 'a> {
    at: &'a At<'a>,
    fields: &'v Map<String, Value>,
}

impl<'v, 'a> Object<'v, 'a> {
    fn of(at: &'a At<'a>, value: &'v Value) -> Result<Self, ConformanceError> {
        let fields = value.as_object().ok_or_else(|| at.wrong("an object"))?;
        Ok(Self { at, fields })
    }

    fn optional(&self, key: &'static str, check: impl Fn(&At<'_>, &Value) -> Checked) -> Checked {
        self.fields
            .get(key)
            .map_or(Ok(()), |value| check(&self.at.key(key), value))
    }

    fn required(&self, key: &'static str, check: impl Fn(&At<'_>, &Value) -> Checked) -> Checked {
        if !self.fields.contains_key(key) {
            return Err(ConformanceError::Missing {
                path: self.at.path(),
                key,
            });
        }
        self.optional(key, check)
    }
}

fn descriptor(at: &At<'_>, value: &Value) -> Checked {
    let object = Object::of(at, value)?;
    object.required("mediaType", media_type_name)?;
    object.required("size", size)?;
    object.required("digest", digest)?;
    object.optional("urls", |at, urls| list(at, urls, uri))?;
    object.optional("data", base64)?;
    object.optional("artifactType", media_type_name)?;
    object.optional("annotations", string_map)
}

fn manifest(at: &At<'_>, value: &Value) -> Checked {
    let object = Object::of(at, value)?;
    object.required("schemaVersion", schema_version)?;
    object.optional("mediaType", |at, value| {
        at.require(value == media_type::OCI_MANIFEST, media_type::OCI_MANIFEST)
    })?;
    object.optional("artifactType", media_type_name)?;
    object.required("config", descriptor)?;
    object.optional("subject", descriptor)?;
    object.required("layers", |at, layers| {
        list(at, layers, descriptor)?;
        at.require(
            layers.as_array().is_some_and(|layers| !layers.is_empty()),
            "at least one layer",
        )
    })?;
    object.optional("annotations", string_map)
}

fn index(at: &At<'_>, value: &Value) -> Checked {
    let object = Object::of(at, value)?;
    object.required("schemaVersion", schema_version)?;
    object.optional("mediaType", |at, value| {
        at.require(value == media_type::OCI_INDEX, media_type::OCI_INDEX)
    })?;
    object.optional("artifactType", media_type_name)?;
    object.optional("subject", descriptor)?;
    object.required("manifests", |at, manifests| {
        list(at, manifests, |at, entry| {
            descriptor(at, entry)?;
            Object::of(at, entry)?.optional("platform", platform)
        })
    })?;
    object.optional("annotations", string_map)
}

fn platform(at: &At<'_>, value: &Value) -> Checked {
    let object = Object::of(at, value)?;
    object.required("architecture", string)?;
    object.required("os", string)?;
    object.optional("os.version", string)?;
    object.optional("os.features", strings)?;
    object.optional("variant", string)
}

fn config(at: &At<'_>, value: &Value) -> Checked {
    let object = Object::of(at, value)?;
    object.optional("created", date_time)?;
    object.optional("author", string)?;
    object.required("architecture", string)?;
    object.optional("variant", string)?;
    object.required("os", string)?;
    object.optional("os.version", string)?;
    object.optional("os.features", strings)?;
    object.optional("config", container_config)?;
    object.required("rootfs", |at, value| {
        let rootfs = Object::of(at, value)?;
        rootfs.required("type", |at, kind| {
            at.require(kind == "layers", "\"layers\"")
        })?;
        rootfs.required("diff_ids", |at, ids| list(at, ids, digest))
    })?;
    object.optional("history", |at, entries| list(at, entries, history))
}

fn container_config(at: &At<'_>, value: &Value) -> Checked {
    let object = Object::of(at, value)?;
    object.optional("User", string)?;
    object.optional("ExposedPorts", object_map)?;
    object.optional("Env", |at, variables| list(at, variables, variable))?;
    object.optional("Entrypoint", |at, value| or_null(at, value, strings))?;
    object.optional("Cmd", |at, value| or_null(at, value, strings))?;
    object.optional("Volumes", |at, value| or_null(at, value, object_map))?;
    object.optional("WorkingDir", string)?;
    object.optional("Labels", |at, value| or_null(at, value, string_map))?;
    object.optional("StopSignal", string)?;
    object.optional("ArgsEscaped", boolean)
}

fn history(at: &At<'_>, value: &Value) -> Checked {
    let object = Object::of(at, value)?;
    object.optional("created", date_time)?;
    object.optional("author", string)?;
    object.optional("created_by", string)?;
    object.optional("comment", string)?;
    object.optional("empty_layer", boolean)
}

fn image_layout(at: &At<'_>, value: &Value) -> Checked {
    Object::of(at, value)?.required("imageLayoutVersion", |at, version| {
        at.require(version == "1.0.0", "\"1.0.0\"")
    })
}

fn schema_version(at: &At<'_>, value: &Value) -> Checked {
    at.require(value.as_u64() == Some(2), "2")
}

fn media_type_name(at: &At<'_>, value: &Value) -> Checked {
    at.require(
        value.as_str().is_some_and(media_type::is_well_formed),
        "a media type (RFC 6838)",
    )
}

fn size(at: &At<'_>, value: &Value) -> Checked {
    at.require(
        value.as_i64().is_some_and(|size| size >= 0),
        "a number of bytes",
    )
}

fn digest(at: &At<'_>, value: &Value) -> Checked {
    at.require(
        value
            .as_str()
            .is_some_and(|text| text.parse::<Digest>().is_ok()),
        "a digest",
    )
}

fn string(at: &At<'_>, value: &Value) -> Checked {
    at.require(value.is_string(), "a string")
}

fn boolean(at: &At<'_>, value: &Value) -> Checked {
    at.require(value.is_boolean(), "true or false")
}

fn strings(at: &At<'_>, value: &Value) -> Checked {
    list(at, value, string)
}

fn variable(at: &At<'_>, value: &Value) -> Checked {
    let named = value
        .as_str()
        .and_then(|text| text.split_once('='))
        .is_some_and(|(name, _)| !name.is_empty());
    at.require(named, "NAME=value")
}

fn or_null(at: &At<'_>, value: &Value, check: fn(&At<'_>, &Value) -> Checked) -> Checked {
    if value.is_null() {
        Ok(())
    } else {
        check(at, value)
    }
}

fn list(at: &At<'_>, value: &Value, check: impl Fn(&At<'_>, &Value) -> Checked) -> Checked {
    let items = value.as_array().ok_or_else(|| at.wrong("an array"))?;
    items
        .iter()
        .enumerate()
        .try_for_each(|(number, item)| check(&at.number(number), item))
}

/// The schema's pattern for keys of maps leaves the empty key alone.
fn map(at: &At<'_>, value: &Value, check: fn(&At<'_>, &Value) -> Checked) -> Checked {
    let fields = Object::of(at, value)?.fields;
    fields
        .iter()
        .filter(|(key, _)| !key.is_empty())
        .try_for_each(|(key, value)| check(&at.key(key), value))
}

fn string_map(at: &At<'_>, value: &Value) -> Checked {
    map(at, value, string)
}

fn object_map(at: &At<'_>, value: &Value) -> Checked {
    map(at, value, |at, value| {
        at.require(value.is_object(), "an object")
    })
}

/// RFC 3986: a scheme, and no character that must be escaped.
fn uri(at: &At<'_>, value: &Value) -> Checked {
    let is_uri = value.as_str().is_some_and(|text| {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && !text
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || "\\\"<>^`{|}".contains(c))
    });
    at.require(is_uri, "a URI (RFC 3986)")
}

/// RFC 4648 section 4, with padding.
fn base64(at: &At<'_>, value: &Value) -> Checked {
    let is_base64 = value.as_str().is_some_and(|text| {
        let digits = text.trim_end_matches('=');
        text.len() % 4 == 0
            && text.len() - digits.len() <= 2
            && digits
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
    });
    at.require(is_base64, "base64 (RFC 4648)")
}

fn date_time(at: &At<'_>, value: &Value) -> Checked {
    at.require(
        value.as_str().is_some_and(is_date_time),
        "a date and time (RFC 3339)",
    )
}

/// `2015-10-31T22:22:56.015925234Z`: RFC 3339 section 5.6, without leap seconds, as Go reads it.
fn is_date_time(text: &str) -> bool {
    let number = |from: usize, to: usize| {
        let digits = text
            .get(from..to)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let shaped = signs
        .iter()
        .all(|(at, sign)| text.as_bytes().get(*at) == Some(sign));
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) = (number(11, 13), number(14, 16), number(17, 19))
    else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    let rest = text.get(19..).unwrap_or_default();
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    shaped && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60 && is_zone(zone)
}

/// `Z`, `+hh:mm` or `-hh:mm`.
fn is_zone(zone: &str) -> bool {
    let Some(offset) = zone.strip_prefix(['+', '-']) else {
        return zone == "Z";
    };
    let Some((hours, minutes)) = offset.split_once(':') else {
        return false;
    };
    let below = |text: &str, bound: u32| {
        text.len() == 2
            && text.bytes().all(|b| b.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|number| number < bound)
    };
    below(hours, 24) && below(minutes, 60)
}

#[cfg(test)]
mod tests;
