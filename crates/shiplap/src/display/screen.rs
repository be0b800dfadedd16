//! Progress on a terminal: an area of lines that is drawn over and over until the build is over,
//! and then stays. `[+] Building 3.2s (7/9)`, ` => [2/5] RUN make   1.2s`, and below steps that run the
//! last lines of what they print.
//!
//! Drawing is pure: it makes a text from what is known, a size and a time.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::text;
use super::trace::{End, Trace, Vertex};

/// How many lines of output are shown below a step that runs.
const OUTPUT_LINES: usize = 6;
/// What is shorter is shown as no time at all.
const MOMENT: Duration = Duration::from_millis(50);

/// A terminal's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What was drawn last.
#[derive(Debug)]
pub(super) struct Screen {
    /// The widths of its lines.
    drawn: Vec<usize>,
    colours: bool,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Over,
    Failed,
    Canceled,
    Output,
}

impl Look {
    fn colour(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Over => Some("\x1b[34m"),
            Self::Failed => Some("\x1b[31m"),
            Self::Canceled => Some("\x1b[33m"),
            Self::Output => Some("\x1b[2m"),
        }
    }
}

/// One line of the area.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    text: String,
    look: Look,
}

impl Screen {
    /// Nothing is drawn yet.
    pub(super) fn new(colours: bool) -> Self {
        Self {
            drawn: Vec::new(),
            colours,
        }
    }

    /// Draws the area over what was drawn before: as much as there is room for, or at the end all.
    pub(super) fn draw(&mut self, trace: &Trace, size: Size, now: Instant, is_end: bool) -> String {
        let rows = rows(trace, size, now, is_end);
        let mut out = self.back(size);
        self.drawn.clear();
        for row in rows {
            self.drawn.push(text::width(&row.text));
            match row.look.colour().filter(|_| self.colours) {
                Some(colour) => {
                    let _infallible = write!(out, "{colour}{}\x1b[0m\x1b[K\r\n", row.text);
                }
                None => {
                    let _infallible = write!(out, "{}\x1b[K\r\n", row.text);
                }
            }
        }
        out.push_str("\x1b[J\x1b[?25h");
        if is_end {
            self.drawn.clear();
        }
        out
    }

    /// Takes the area away, so that something else can be told.
    pub(super) fn clear(&mut self, size: Size) -> String {
        let mut out = self.back(size);
        self.drawn.clear();
        out.push_str("\x1b[J\x1b[?25h");
        out
    }

    /// To the area's beginning. A terminal that was made narrower has wrapped its lines.
    fn back(&self, size: Size) -> String {
        let columns = size.columns.max(1);
        let rows = self
            .drawn
            .iter()
            .map(|width| width.div_ceil(columns).max(1));
        match rows.sum::<usize>() {
            0 => "\x1b[?25l\r".to_owned(),
            up => format!("\x1b[?25l\r\x1b[{up}A"),
        }
    }
}

/// The lines of the area: a header, then the vertices; those that run, at least, if not all have
/// room, and what they print.
fn rows(trace: &Trace, size: Size, now: Instant, is_end: bool) -> Vec<Row> {
    let columns = size.columns.saturating_sub(1).max(1);
    let mut rows = vec![header(trace, columns, now, is_end)];
    let vertices = trace.vertices.values();
    let mut blocks: Vec<Block> = vertices
        .map(|vertex| Block {
            vertex,
            rows: lines_of(vertex, columns, now),
        })
        .collect();
    if !is_end {
        let room = size.rows.saturating_sub(2);
        let left = fit(&mut blocks, room);
        add_output(&mut blocks, columns, left);
    }
    rows.extend(blocks.into_iter().flat_map(|block| block.rows));
    rows
}

/// A vertex and its lines.
struct Block<'t> {
    vertex: &'t Vertex,
    rows: Vec<Row>,
}

impl Block<'_> {
    fn runs(&self) -> bool {
        self.vertex.end.is_none()
    }
}

/// `[+] Building 3.2s (7/9)`.
fn header(trace: &Trace, columns: usize, now: Instant, is_end: bool) -> Row {
    let (ended, all) = (trace.ended_count(), trace.vertices.len());
    let finished = if is_end && ended == all && all > 0 {
        " FINISHED"
    } else {
        ""
    };
    let took = now.saturating_duration_since(trace.began).as_secs_f64();
    let words = format!("[+] Building {took:.1}s ({ended}/{all}){finished}");
    Row {
        text: text::cut(&words, columns),
        look: Look::Plain,
    }
}

/// Leaves those that run and then the newest of the others, as far as there is room; how much of it
/// is left.
fn fit(blocks: &mut Vec<Block<'_>>, room: usize) -> usize {
    let mut left = room;
    let mut is_kept = vec![false; blocks.len()];
    for running in [true, false] {
        for (kept, block) in is_kept.iter_mut().zip(&*blocks).rev() {
            if block.runs() != running {
                continue;
            }
            match left.checked_sub(block.rows.len()) {
                Some(rest) => (left, *kept) = (rest, true),
                None => break,
            }
        }
    }
    let mut kept = is_kept.into_iter();
    blocks.retain(|_| kept.next().unwrap_or_default());
    left
}

/// A vertex and what it says of itself.
fn lines_of(vertex: &Vertex, columns: usize, now: Instant) -> Vec<Row> {
    let (mark, look) = match &vertex.end {
        None => ("", Look::Plain),
        Some(End::Done(_)) => ("", Look::Over),
        Some(End::Cached) => ("CACHED ", Look::Over),
        Some(End::Failed(..)) => ("ERROR ", Look::Failed),
        Some(End::Canceled(_)) => ("CANCELED ", Look::Canceled),
    };
    let name = format!(" => {mark}{}", vertex.name);
    let mut rows = vec![Row {
        text: timed(&name, vertex.took(now), columns),
        look,
    }];
    if let Some(reason) = &vertex.missed {
        rows.push(Row {
            text: text::cut(&format!(" => => not cached: {reason}"), columns),
            look,
        });
    }
    for reason in &vertex.reasons {
        rows.push(Row {
            text: text::cut(&format!(" => =>   {reason}"), columns),
            look,
        });
    }
    for status in &vertex.statuses {
        let until = if vertex.end.is_some() {
            status.told
        } else {
            now
        };
        let took = until.saturating_duration_since(status.began);
        rows.push(Row {
            text: timed(&format!(" => => {}", status.text), took, columns),
            look,
        });
    }
    rows
}

/// The text at the left, the time at the right.
fn timed(words: &str, took: Duration, columns: usize) -> String {
    let took = if took < MOMENT { Duration::ZERO } else { took };
    let time = format!("{:.1}s", took.as_secs_f64());
    let room = columns.saturating_sub(time.len() + 1);
    let words = text::cut(words, room);
    let blanks = room.saturating_sub(text::width(&words));
    let line = format!("{words}{:blanks$} {time}", "");
    text::cut(&line, columns)
}

/// Puts the last lines of output below the steps that run, as far as there is room, the newest steps
/// first.
fn add_output(blocks: &mut [Block<'_>], columns: usize, room: usize) {
    let mut left = room;
    for block in blocks.iter_mut().rev().filter(|block| block.runs()) {
        let lines = block.vertex.last_lines(OUTPUT_LINES.min(left));
        left -= lines.len();
        block.rows.extend(lines.into_iter().map(|line| Row {
            text: text::cut(&format!(" => => # {line}"), columns),
            look: Look::Output,
        }));
    }
}
