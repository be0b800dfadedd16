//! Progress as lines of plain text, as BuildKit prints it to files and pipes: `#5 [2/5] RUN make`,
//! `#5 0.123 cc -c main.c`, `#5 DONE 1.2s`.
//!
//! One vertex is told of at a time; what others have to say waits until that one is done, or has been
//! silent for a while, or has talked for long enough.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use shiplap_build::progress::VertexId;

use super::trace::{End, Line, News, Trace, Vertex};

/// How long the current vertex may be silent while others wait.
const SILENCE: Duration = Duration::from_secs(1);
/// How long others wait at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many lines may wait.
const WAITING_LINES: usize = 1000;
/// How long something goes on before it is told that it does, and how often it is told again.
const STATUS_PAUSE: Duration = Duration::from_secs(5);

/// What was printed, and what waits to be.
#[derive(Debug)]
pub(super) struct Plain {
    current: Option<VertexId>,
    is_begun: bool,
    /// When the current one last said something, and when it began to.
    spoke: Instant,
    turn: Instant,
    told: BTreeMap<VertexId, Told>,
}

/// What was told of a vertex.
#[derive(Debug)]
struct Told {
    /// Lines that wait.
    waiting: Vec<Line>,
    /// Since when anything waits.
    since: Option<Instant>,
    /// Why it was missed is printed, and so many of the reasons.
    is_missed_told: bool,
    reasons_told: usize,
    /// The text of each status as it was printed, and when.
    statuses: Vec<(String, Instant)>,
    is_over: bool,
}

impl Plain {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            current: None,
            is_begun: false,
            spoke: now,
            turn: now,
            told: BTreeMap::new(),
        }
    }

    /// Takes news; the text to print now.
    pub(super) fn take(&mut self, trace: &Trace, news: News, now: Instant) -> String {
        let mut out = String::new();
        let (id, lines) = match news {
            News::Changed(id) => (id, Vec::new()),
            News::Output(id, lines) => (id, lines),
            News::Warning(_) => return out,
        };
        let told = self.told.entry(id).or_insert_with(|| Told {
            waiting: Vec::new(),
            since: Some(now),
            is_missed_told: false,
            reasons_told: 0,
            statuses: Vec::new(),
            is_over: false,
        });
        told.waiting.extend(lines);
        if trace
            .vertices
            .get(&id)
            .is_some_and(|vertex| told.has_news(vertex, now))
        {
            told.since.get_or_insert(now);
        }
        let is_much = told.waiting.len() > WAITING_LINES;
        let is_turn = self.current.is_none_or(|current| current == id);
        if is_much || is_turn && told.since.is_some() {
            self.print(trace, id, now, &mut out);
        }
        self.go_on(trace, now, &mut out);
        out
    }

    /// What is to be printed because time went by.
    pub(super) fn tick(&mut self, trace: &Trace, now: Instant) -> String {
        let mut out = String::new();
        if let Some(current) = self.current
            && self.has_status(trace, current, now)
        {
            self.print(trace, current, now, &mut out);
        }
        self.go_on(trace, now, &mut out);
        out
    }

    /// All that waits.
    pub(super) fn finish(&mut self, trace: &Trace, now: Instant) -> String {
        let mut out = String::new();
        while let Some(id) = self.next() {
            self.print(trace, id, now, &mut out);
        }
        out
    }

    /// Lets others speak whose turn it is.
    fn go_on(&mut self, trace: &Trace, now: Instant, out: &mut String) {
        while let Some(next) = self.next() {
            if let Some(current) = self.current
                && current != next
            {
                let waits = self.told.get(&next).and_then(|told| told.since);
                let waited = waits.map_or(Duration::ZERO, |since| now.duration_since(since));
                let is_silent = now.duration_since(self.spoke) >= SILENCE && waited >= SILENCE;
                let is_long = waited >= PATIENCE && now.duration_since(self.turn) >= PATIENCE;
                if !is_silent && !is_long {
                    return;
                }
            }
            self.print(trace, next, now, out);
        }
    }

    /// Who has waited longest, of those that have something to say.
    fn next(&self) -> Option<VertexId> {
        let waiting = self
            .told
            .iter()
            .filter_map(|(id, told)| Some((told.since?, *id)));
        waiting.min().map(|(_, id)| id)
    }

    /// Whether a status has gone on for long without being told.
    fn has_status(&self, trace: &Trace, id: VertexId, now: Instant) -> bool {
        let (Some(vertex), Some(told)) = (trace.vertices.get(&id), self.told.get(&id)) else {
            return false;
        };
        vertex.end.is_none() && told.due(vertex, now).next().is_some()
    }

    /// Prints what is new of a vertex, which is the current one from now on.
    fn print(&mut self, trace: &Trace, id: VertexId, now: Instant, out: &mut String) {
        let (Some(vertex), Some(told)) = (trace.vertices.get(&id), self.told.get_mut(&id)) else {
            return;
        };
        told.since = None;
        if self.current != Some(id) {
            if let Some(old) = self.current {
                let _infallible = writeln!(out, "#{} ...", old.0);
            }
            if self.is_begun {
                out.push('\n');
            }
            let _infallible = writeln!(out, "#{} {}", id.0, vertex.name);
            self.is_begun = true;
            self.turn = now;
            self.current = Some(id);
        }
        self.spoke = now;
        told.print(vertex, id, now, out);
        if told.is_over {
            self.current = None;
        }
    }
}

impl Told {
    /// Whether there is anything to print.
    fn has_news(&self, vertex: &Vertex, now: Instant) -> bool {
        !self.waiting.is_empty()
            || vertex.end.is_some() && !self.is_over
            || vertex.missed.is_some() && !self.is_missed_told
            || vertex.reasons.len() > self.reasons_told
            || self.due(vertex, now).next().is_some()
    }

    /// Statuses that are to be told though their vertex goes on.
    fn due<'v>(&self, vertex: &'v Vertex, now: Instant) -> impl Iterator<Item = &'v str> {
        vertex.statuses.iter().filter_map(move |status| {
            let printed = self.statuses.iter().rev();
            let mut same = printed.filter(|(text, _)| key(text) == key(&status.text));
            let is_due = match same.next() {
                None => now.duration_since(status.began) >= STATUS_PAUSE,
                Some((text, at)) => *text != status.text && now.duration_since(*at) >= STATUS_PAUSE,
            };
            is_due.then_some(status.text.as_str())
        })
    }

    fn print(&mut self, vertex: &Vertex, id: VertexId, now: Instant, out: &mut String) {
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _infallible = writeln!(out, "#{} {text}", id.0);
        };
        if let Some(reason) = vertex.missed.as_ref().filter(|_| !self.is_missed_told) {
            line(format_args!("not cached: {reason}"));
            self.is_missed_told = true;
        }
        for reason in vertex.reasons.iter().skip(self.reasons_told) {
            line(format_args!("  {reason}"));
        }
        self.reasons_told = vertex.reasons.len();
        if vertex.end.is_none() {
            let due: Vec<String> = self.due(vertex, now).map(str::to_owned).collect();
            for text in due {
                line(format_args!("{text}"));
                self.statuses.retain(|(known, _)| key(known) != key(&text));
                self.statuses.push((text, now));
            }
        }
        for output in self.waiting.drain(..) {
            line(format_args!("{} {}", seconds(output.after), output.text));
        }
        let Some(end) = vertex.end.as_ref().filter(|_| !self.is_over) else {
            return;
        };
        for status in &vertex.statuses {
            match end {
                End::Done(_) | End::Cached => line(format_args!("{} done", status.text)),
                End::Failed(..) | End::Canceled(_) => line(format_args!("{}", status.text)),
            }
        }
        match end {
            End::Cached => line(format_args!("CACHED")),
            End::Done(took) => line(format_args!("DONE {:.1}s", took.as_secs_f64())),
            End::Failed(reason, _) => line(format_args!("ERROR: {reason}")),
            End::Canceled(_) => line(format_args!("CANCELED")),
        }
        self.is_over = true;
    }
}

fn key(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(key, _)| key)
}

/// Seconds in as many digits as BuildKit shows.
pub(super) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let digits = match seconds {
        seconds if seconds < 10.0 => 3,
        seconds if seconds < 100.0 => 2,
        _ => 1,
    };
    format!("{seconds:.digits$}")
}
