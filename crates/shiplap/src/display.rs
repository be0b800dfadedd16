//! What a build tells while it works: an area that is drawn again and again on a terminal, lines
//! elsewhere, JSON for programs, or nothing.
//!
//! Never decides what is told: that is the build's. Everything goes to stderr.

use std::{
    io::{self, Write as _},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use shiplap_build::progress::{BuildProgress, Event};

use self::{
    plain::Plain,
    screen::{Screen, Size},
    trace::{End, News, Trace},
};
use crate::{face::Failure, output::Output};

mod json;
mod plain;
mod raw;
mod screen;
#[cfg(test)]
mod tests;
mod text;
mod trace;

/// How it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// An area on a terminal.
    Terminal,
    /// Lines.
    Plain,
    /// An object a line.
    Json,
    /// The same in BuildKit's words.
    RawJson,
    /// Nothing but what failed.
    Quiet,
}

/// How often a terminal is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// How often lines that wait are looked after.
const TICK: Duration = Duration::from_millis(250);
/// A terminal that does not tell its size.
const USUAL_SIZE: Size = Size {
    columns: 80,
    rows: 24,
};
/// How many lines of a failed step are repeated where they were just printed.
const REPEATED_LINES: usize = 10;

/// Tells a build to the user.
pub(crate) struct Display {
    shared: Arc<Shared>,
    ticker: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    output: Arc<Output>,
    state: Mutex<State>,
    over: Condvar,
}

struct State {
    trace: Trace,
    style: Style,
    /// Nothing is shown any more.
    is_over: bool,
    /// Nothing comes any more.
    is_ended: bool,
}

enum Style {
    Terminal(Screen),
    Plain(Plain),
    Json,
    RawJson,
    Quiet,
}

impl Display {
    /// `explain`: every reason why a step was not in the cache is told, not the first alone.
    pub(crate) fn new(output: Arc<Output>, mode: Mode, explain: bool) -> io::Result<Self> {
        let now = Instant::now();
        let (style, pause) = match mode {
            Mode::Terminal => (Style::Terminal(Screen::new(output.colours())), Some(FRAME)),
            Mode::Plain => (Style::Plain(Plain::new(now)), Some(TICK)),
            Mode::Json => (Style::Json, None),
            Mode::RawJson => (Style::RawJson, None),
            Mode::Quiet => (Style::Quiet, None),
        };
        let shared = Arc::new(Shared {
            output,
            state: Mutex::new(State {
                trace: Trace::new(now, explain),
                style,
                is_over: false,
                is_ended: false,
            }),
            over: Condvar::new(),
        });
        let ticker = match pause {
            Some(pause) => {
                let shared = Arc::clone(&shared);
                let thread = std::thread::Builder::new().name("progress".into());
                Some(thread.spawn(move || shared.tick(pause))?)
            }
            None => None,
        };
        Ok(Self {
            shared,
            ticker: Mutex::new(ticker),
        })
    }

    /// Tells the end: all that was not told yet, and the last lines of steps that failed.
    pub(crate) fn finish(&self) {
        let ticker = self
            .ticker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.shared.finish(true);
        if let Some(ticker) = ticker {
            // A ticker that panicked has said so.
            drop(ticker.join());
        }
    }
}

impl Display {
    /// Tells why the build failed, with the lines of the Dockerfile it is about; a program gets both as
    /// JSON, and then there is nothing left to tell.
    pub(crate) fn failed(&self, message: &str, excerpt: &str) -> Failure {
        if matches!(self.shared.state().style, Style::Json) {
            let line = json::error(message, excerpt, Timestamp::now());
            self.shared.print(&line);
            return Failure::told();
        }
        self.shared.print(excerpt);
        Failure::plain(message)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.finish();
    }
}

impl BuildProgress for Display {
    fn event(&self, event: Event<'_>) {
        self.shared.take(&event);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: &Event<'_>) {
        if let Event::Shell { name } = event {
            // The terminal is the shell's now.
            self.finish(false);
            let name = text::one_line(name);
            return self.output.talk(&format!(
                "A shell in the root of {name}; the build fails when it ends."
            ));
        }
        let now = Instant::now();
        let mut state = self.state();
        if state.is_over {
            // A shell had the terminal: what comes after it is told alone.
            if let (Event::Warning(text), false) = (event, matches!(state.style, Style::Quiet)) {
                self.output.warn(text);
            }
            return;
        }
        let State { trace, style, .. } = &mut *state;
        let news = trace.take(event, now);
        match style {
            Style::Quiet => {}
            Style::Json => self.print(&json::lines(event, &news, Timestamp::now())),
            Style::RawJson => {
                let time = Timestamp::now();
                let now = raw::Now { instant: now, time };
                self.print(&raw::line(event, trace, now));
            }
            Style::Plain(plain) => match news {
                News::Warning(text) => self.output.warn(&text),
                news => self.print(&plain.take(trace, news, now)),
            },
            Style::Terminal(screen) => {
                if let News::Warning(text) = news {
                    self.draw(&screen.clear(size()));
                    self.output.warn(&text);
                    self.draw(&screen.draw(trace, size(), now, false));
                }
            }
        }
    }

    /// Shows what changes with time, until all is over.
    fn tick(&self, pause: Duration) {
        let mut state = self.state();
        loop {
            let waited = self.over.wait_timeout(state, pause);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.is_ended {
                return;
            }
            if state.is_over {
                continue;
            }
            let now = Instant::now();
            let State { trace, style, .. } = &mut *state;
            match style {
                Style::Plain(plain) => self.print(&plain.tick(trace, now)),
                Style::Terminal(screen) if !trace.vertices.is_empty() => {
                    self.draw(&screen.draw(trace, size(), now, false));
                }
                _ => {}
            }
        }
    }

    /// Shows the end, once; `is_ended`: nothing more comes.
    fn finish(&self, is_ended: bool) {
        let now = Instant::now();
        let mut state = self.state();
        state.is_ended |= is_ended;
        self.over.notify_all();
        if std::mem::replace(&mut state.is_over, true) {
            return;
        }
        let State { trace, style, .. } = &mut *state;
        let most = match style {
            Style::Terminal(screen) => {
                if !trace.vertices.is_empty() {
                    self.draw(&screen.draw(trace, size(), now, true));
                }
                trace::TAIL_LINES
            }
            Style::Plain(plain) => {
                self.print(&plain.finish(trace, now));
                REPEATED_LINES
            }
            Style::Quiet => trace::TAIL_LINES,
            Style::Json | Style::RawJson => return,
        };
        self.print(&failures(trace, most));
    }

    fn print(&self, text: &str) {
        if let Some(lines) = text.strip_suffix('\n') {
            self.output.talk(lines);
        }
    }

    /// What is drawn holds our own escapes; all else in it was made fit to be shown.
    fn draw(&self, frame: &str) {
        // Nobody sees that nobody sees.
        let _unseen = self.output.error_stream().write_all(frame.as_bytes());
    }
}

/// The last lines of what failed.
fn failures(trace: &Trace, most: usize) -> String {
    let mut out = String::new();
    for vertex in trace.vertices.values() {
        if !matches!(vertex.end, Some(End::Failed(..))) || vertex.tail.is_empty() {
            continue;
        }
        out.push_str(&format!("------\n > {}:\n", vertex.name));
        let skipped = vertex.tail.len().saturating_sub(most);
        let left_out = vertex.lines - (vertex.tail.len() - skipped) as u64;
        if left_out > 0 {
            out.push_str(&format!("({left_out} lines before)\n"));
        }
        for line in vertex.tail.iter().skip(skipped) {
            out.push_str(&format!("{} {}\n", plain::seconds(line.after), line.text));
        }
        out.push_str("------\n");
    }
    out
}

/// The size of the terminal that stderr is.
fn size() -> Size {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        },
        _ => USUAL_SIZE,
    }
}
