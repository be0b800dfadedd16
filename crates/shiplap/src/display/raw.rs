//! Progress as `--progress=rawjson` of buildx: BuildKit's own status, an object a line, with its field names.
//!
//! What BuildKit has no field for is a status of its vertex: why something was not in the cache. A vertex's
//! digest tells it apart from the others of the build, and says nothing else.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use shiplap_build::progress::{Event, Stream, VertexId};
use shiplap_model::Digest;

use super::trace::Trace;

/// When it is, in both ways of telling time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) time: Timestamp,
}

impl Now {
    /// When something was that was not long ago.
    fn time_of(self, instant: Instant) -> Timestamp {
        let ago = self.instant.saturating_duration_since(instant);
        self.time.saturating_sub(ago).unwrap_or(self.time)
    }
}

/// The line that an event comes to, which `trace` has taken; nothing if BuildKit tells no such thing.
pub(super) fn line(event: &Event<'_>, trace: &Trace, now: Now) -> String {
    let status = match event {
        Event::Started { vertex, .. } => vertexes(*vertex, trace, now, |_| {}),
        Event::Cached { vertex, .. } => vertexes(*vertex, trace, now, |told| {
            told["completed"] = json!(now.time);
            told["cached"] = json!(true);
        }),
        Event::Done { vertex, .. } => vertexes(*vertex, trace, now, |told| {
            told["completed"] = json!(now.time);
        }),
        Event::Failed { vertex, reason } => vertexes(*vertex, trace, now, |told| {
            told["completed"] = json!(now.time);
            told["error"] = json!(reason);
        }),
        Event::Canceled { vertex } => vertexes(*vertex, trace, now, |told| {
            told["completed"] = json!(now.time);
            told["error"] = json!("context canceled");
        }),
        Event::Status { vertex, text } => statuses(*vertex, trace, now, text),
        Event::Missed { vertex, reason } => {
            statuses(*vertex, trace, now, &format!("not cached: {reason}"))
        }
        Event::Explained { vertex, detail } => {
            statuses(*vertex, trace, now, &format!("not cached: {detail}"))
        }
        Event::Log {
            vertex,
            stream,
            bytes,
        } => json!({"logs": [{
            "vertex": digest(*vertex, trace),
            "stream": match stream {
                Stream::Stdout => 1,
                Stream::Stderr => 2,
            },
            "data": STANDARD.encode(bytes),
            "timestamp": now.time,
        }]}),
        Event::Warning(text) => json!({"warnings": [{
            "level": 1,
            "short": STANDARD.encode(text),
        }]}),
        Event::Shell { .. } => return String::new(),
    };
    format!("{status}\n")
}

fn digest(id: VertexId, trace: &Trace) -> Digest {
    let name = trace.vertices.get(&id).map_or("", |vertex| &vertex.name);
    Digest::of(format!("{} {name}", id.0).as_bytes())
}

fn vertexes(id: VertexId, trace: &Trace, now: Now, add: impl FnOnce(&mut Value)) -> Value {
    let known = trace.vertices.get(&id);
    let mut told = json!({
        "digest": digest(id, trace),
        "name": known.map_or("", |vertex| &vertex.name),
        "started": known.map_or(now.time, |vertex| now.time_of(vertex.began)),
    });
    add(&mut told);
    json!({"vertexes": [told]})
}

fn statuses(id: VertexId, trace: &Trace, now: Now, text: &str) -> Value {
    json!({"statuses": [{
        "id": text,
        "vertex": digest(id, trace),
        "current": 0,
        "timestamp": now.time,
        "started": now.time,
    }]})
}
