//! Progress as JSON, one object a line, for programs: what happened, to which vertex, when.
//!
//! Output is told line by line, as it came but for bytes that are no UTF-8.

use jiff::Timestamp;
use serde::Serialize;
use shiplap_build::progress::{Event, Stream};

use super::trace::News;

/// One line.
#[derive(Debug, Serialize)]
struct Entry<'e> {
    time: Timestamp,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vertex: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excerpt: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

impl Entry<'_> {
    fn new(time: Timestamp, event: &'static str) -> Self {
        Self {
            time,
            event,
            vertex: None,
            name: None,
            text: None,
            excerpt: None,
            stream: None,
            seconds: None,
        }
    }

    fn line(&self, out: &mut String) {
        if let Ok(line) = serde_json::to_string(self) {
            out.push_str(&line);
            out.push('\n');
        }
    }
}

/// Why the build failed, as a line.
pub(super) fn error(message: &str, excerpt: &str, time: Timestamp) -> String {
    let mut out = String::new();
    let entry = Entry {
        text: Some(message),
        excerpt: Some(excerpt).filter(|lines| !lines.is_empty()),
        ..Entry::new(time, "error")
    };
    entry.line(&mut out);
    out
}

/// The lines that an event comes to.
pub(super) fn lines(event: &Event<'_>, news: &News, time: Timestamp) -> String {
    let mut out = String::new();
    if let News::Output(vertex, lines) = news {
        for line in lines {
            Entry {
                vertex: Some(vertex.0),
                text: Some(&line.text),
                stream: Some(line.stream),
                seconds: Some(line.after.as_secs_f64()),
                ..Entry::new(time, "log")
            }
            .line(&mut out);
        }
    }
    let (event, vertex, name, text, seconds) = match event {
        Event::Log { .. } | Event::Shell { .. } => return out,
        Event::Started { vertex, name } => ("started", Some(vertex), Some(*name), None, None),
        Event::Status { vertex, text } => ("status", Some(vertex), None, Some(*text), None),
        Event::Cached { vertex, name } => ("cached", Some(vertex), Some(*name), None, None),
        Event::Missed { vertex, reason } => ("missed", Some(vertex), None, Some(*reason), None),
        Event::Explained { vertex, detail } => {
            ("explained", Some(vertex), None, Some(*detail), None)
        }
        Event::Done { vertex, took } => {
            let seconds = Some(took.as_secs_f64());
            ("done", Some(vertex), None, None, seconds)
        }
        Event::Failed { vertex, reason } => ("failed", Some(vertex), None, Some(*reason), None),
        Event::Canceled { vertex } => ("canceled", Some(vertex), None, None, None),
        Event::Warning(text) => ("warning", None, None, Some(*text), None),
    };
    Entry {
        vertex: vertex.map(|vertex| vertex.0),
        name,
        text,
        seconds,
        ..Entry::new(time, event)
    }
    .line(&mut out);
    out
}
