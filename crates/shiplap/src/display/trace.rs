//! What is known of a build from what it told: its vertices in the order in which they came up,
//! their states, and the ends of their outputs.
//!
//! Pure: whoever asks says what time it is.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use shiplap_build::progress::{Event, Stream, VertexId};

use super::text::{self, Lines};

/// How many lines of a vertex's output are kept to be shown.
pub(super) const TAIL_LINES: usize = 50;

/// All of it.
#[derive(Debug)]
pub(super) struct Trace {
    /// All reasons are told, not the first alone.
    explains: bool,
    /// When it began.
    pub(super) began: Instant,
    /// In the order of their numbers.
    pub(super) vertices: BTreeMap<VertexId, Vertex>,
}

/// One vertex.
#[derive(Debug)]
pub(super) struct Vertex {
    /// As BuildKit shows it.
    pub(super) name: String,
    /// When it was first told of.
    pub(super) began: Instant,
    /// How it came to an end.
    pub(super) end: Option<End>,
    /// Lines of talk below it.
    pub(super) statuses: Vec<Status>,
    /// Why it was not in the cache: in one word, and in all that are told.
    pub(super) missed: Option<String>,
    pub(super) reasons: Vec<String>,
    /// The last lines of its output, with how long after its beginning they came.
    pub(super) tail: VecDeque<Line>,
    /// How many lines came in all.
    pub(super) lines: u64,
    stdout: Lines,
    stderr: Lines,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Since the vertex began.
    pub(super) after: Duration,
    /// Where it came from.
    pub(super) stream: Stream,
    /// Fit to be shown.
    pub(super) text: String,
}

/// How a vertex came to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It was in the cache.
    Cached,
    /// It was done, in this time.
    Done(Duration),
    /// It failed, after this time.
    Failed(String, Duration),
    /// It was given up, after this time.
    Canceled(Duration),
}

/// A line of talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    /// What it says now.
    pub(super) text: String,
    /// When it was first told.
    pub(super) began: Instant,
    /// When it was last told.
    pub(super) told: Instant,
}

impl Status {
    fn is_same(&self, text: &str) -> bool {
        key(&self.text) == key(text)
    }
}

/// What stays the same of a status that is told again.
fn key(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(key, _)| key)
}

/// What an event came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// The vertex changed.
    Changed(VertexId),
    /// It has more output.
    Output(VertexId, Vec<Line>),
    /// A warning, of no vertex.
    Warning(String),
}

impl Trace {
    pub(super) fn new(now: Instant, explains: bool) -> Self {
        Self {
            explains,
            began: now,
            vertices: BTreeMap::new(),
        }
    }

    /// Takes an event; what of it is news.
    pub(super) fn take(&mut self, event: &Event<'_>, now: Instant) -> News {
        match event {
            Event::Started { vertex, name } => {
                self.vertex(*vertex, name, now);
                News::Changed(*vertex)
            }
            Event::Status { vertex, text } => {
                self.vertex(*vertex, "", now).status(text, now);
                News::Changed(*vertex)
            }
            Event::Log {
                vertex,
                stream,
                bytes,
            } => {
                let lines = self.vertex(*vertex, "", now).output(*stream, bytes, now);
                News::Output(*vertex, lines)
            }
            Event::Cached { vertex, name } => {
                self.vertex(*vertex, name, now).end = Some(End::Cached);
                News::Changed(*vertex)
            }
            Event::Missed { vertex, reason } => {
                self.vertex(*vertex, "", now).missed = Some(text::one_line(reason));
                News::Changed(*vertex)
            }
            Event::Explained { vertex, detail } => {
                let explains = self.explains;
                let known = self.vertex(*vertex, "", now);
                if explains {
                    known.reasons.push(text::one_line(detail));
                }
                News::Changed(*vertex)
            }
            Event::Shell { name } => News::Warning((*name).to_owned()),
            Event::Done { vertex, took } => self.ended(*vertex, now, |_| End::Done(*took)),
            Event::Failed { vertex, reason } => {
                let reason = text::one_line(reason);
                self.ended(*vertex, now, |took| End::Failed(reason, took))
            }
            Event::Canceled { vertex } => self.ended(*vertex, now, End::Canceled),
            Event::Warning(text) => News::Warning((*text).to_owned()),
        }
    }

    fn ended(&mut self, id: VertexId, now: Instant, end: impl FnOnce(Duration) -> End) -> News {
        let vertex = self.vertex(id, "", now);
        let lines = vertex.last_output(now);
        vertex.end = Some(end(now.saturating_duration_since(vertex.began)));
        News::Output(id, lines)
    }

    fn vertex(&mut self, id: VertexId, name: &str, now: Instant) -> &mut Vertex {
        let vertex = self.vertices.entry(id).or_insert_with(|| Vertex {
            name: String::new(),
            began: now,
            end: None,
            statuses: Vec::new(),
            missed: None,
            reasons: Vec::new(),
            tail: VecDeque::new(),
            lines: 0,
            stdout: Lines::default(),
            stderr: Lines::default(),
        });
        if vertex.name.is_empty() {
            vertex.name = text::one_line(name);
        }
        vertex
    }

    /// How many vertices came to an end.
    pub(super) fn ended_count(&self) -> usize {
        let ended = self.vertices.values().filter(|vertex| vertex.end.is_some());
        ended.count()
    }
}

impl Vertex {
    fn status(&mut self, text: &str, now: Instant) {
        let text = text::one_line(text);
        match self
            .statuses
            .iter_mut()
            .find(|status| status.is_same(&text))
        {
            Some(status) => {
                status.text = text;
                status.told = now;
            }
            None => self.statuses.push(Status {
                text,
                began: now,
                told: now,
            }),
        }
    }

    fn output(&mut self, stream: Stream, bytes: &[u8], now: Instant) -> Vec<Line> {
        let after = now.saturating_duration_since(self.began);
        let mut lines = Vec::new();
        let cutter = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        cutter.take(bytes, &mut |text| {
            lines.push(Line {
                after,
                stream,
                text,
            });
        });
        self.keep(&lines);
        lines
    }

    /// What came without a newline at the very end.
    fn last_output(&mut self, now: Instant) -> Vec<Line> {
        let after = now.saturating_duration_since(self.began);
        let rests = [
            (Stream::Stdout, self.stdout.finish()),
            (Stream::Stderr, self.stderr.finish()),
        ];
        let lines: Vec<Line> = rests
            .into_iter()
            .filter_map(|(stream, text)| {
                text.map(|text| Line {
                    after,
                    stream,
                    text,
                })
            })
            .collect();
        self.keep(&lines);
        lines
    }

    fn keep(&mut self, lines: &[Line]) {
        self.lines += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        for line in lines {
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(line.clone());
        }
    }

    /// The last lines that a terminal would show, the unfinished one too.
    pub(super) fn last_lines(&self, most: usize) -> Vec<String> {
        let unfinished = [self.stdout.unfinished(), self.stderr.unfinished()];
        let whole = self.tail.iter().map(|line| line.text.clone());
        let all: Vec<String> = whole.chain(unfinished.into_iter().flatten()).collect();
        let shown = all.iter().filter(|line| !line.trim().is_empty());
        let shown: Vec<&String> = shown.collect();
        let skipped = shown.len().saturating_sub(most);
        shown.into_iter().skip(skipped).cloned().collect()
    }

    /// How long it has taken, or took.
    pub(super) fn took(&self, now: Instant) -> Duration {
        match &self.end {
            None => now.saturating_duration_since(self.began),
            Some(End::Cached) => Duration::ZERO,
            Some(End::Done(took) | End::Failed(_, took) | End::Canceled(took)) => *took,
        }
    }
}
