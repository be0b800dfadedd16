//! The only place that prints: stdout is for data, stderr for talk.
//!
//! Never fails because nobody reads: when stdout's reader has gone, the process ends quietly. Data
//! that go to a terminal have their control characters made visible, for they come from images.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal, Read, Write},
    sync::atomic::{AtomicBool, Ordering},
};

/// Where a process talks to.
#[derive(Debug)]
pub(crate) struct Output {
    data_on_terminal: bool,
    talk_on_terminal: bool,
    colours: bool,
    plain: bool,
    reader_gone: AtomicBool,
}

impl Output {
    /// Looks at what stdout and stderr are; `plain` forbids colours.
    pub(crate) fn new(plain: bool) -> Self {
        let talk_on_terminal = io::stderr().is_terminal();
        Self {
            data_on_terminal: io::stdout().is_terminal(),
            talk_on_terminal,
            colours: talk_on_terminal && !plain,
            plain,
            reader_gone: AtomicBool::new(false),
        }
    }

    /// Whether stdout is a terminal.
    pub(crate) fn data_on_terminal(&self) -> bool {
        self.data_on_terminal
    }

    /// Whether stderr is a terminal.
    pub(crate) fn talk_on_terminal(&self) -> bool {
        self.talk_on_terminal
    }

    /// Whether talk may have colours.
    pub(crate) fn colours(&self) -> bool {
        self.colours
    }

    /// Whether a view of the whole terminal may have colours.
    pub(crate) fn may_paint(&self) -> bool {
        !self.plain
    }

    /// Whether nobody reads stdout any more.
    pub(crate) fn reader_gone(&self) -> bool {
        self.reader_gone.load(Ordering::Relaxed)
    }

    /// Writes data as they are.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        let text = if self.data_on_terminal {
            visible(text)
        } else {
            text.into()
        };
        let mut stdout = self.stream();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Writes data that take the place of those before, if they go to a terminal.
    pub(crate) fn screen(&self, text: &str) -> io::Result<()> {
        if !self.data_on_terminal {
            return self.data(text);
        }
        // To the corner; each line's rest, and all below the last one, is cleared.
        let mut screen = "\x1b[H".to_owned();
        for line in visible(text).lines() {
            screen.push_str(line);
            screen.push_str("\x1b[K\n");
        }
        screen.push_str("\x1b[J");
        let mut stdout = self.stream();
        stdout.write_all(screen.as_bytes())?;
        stdout.flush()
    }

    /// Takes the whole terminal, until the result is dropped.
    #[expect(clippy::unused_self, reason = "whoever writes has an output")]
    pub(crate) fn full_screen(&self) -> io::Result<FullScreen> {
        Ok(FullScreen(ratatui::try_init()?))
    }

    /// Writes a line of data.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        self.data(&format!("{text}\n"))
    }

    /// Writes a document as JSON: to a terminal as data, else as it is made, however long.
    pub(crate) fn json(&self, document: &impl serde::Serialize) -> io::Result<()> {
        if self.data_on_terminal {
            return self.line(&serde_json::to_string_pretty(document)?);
        }
        let mut stdout = io::BufWriter::new(self.stream());
        serde_json::to_writer_pretty(&mut stdout, document)?;
        stdout.write_all(b"\n")?;
        stdout.flush()
    }

    /// Stdout, for bytes that are not ours to change.
    pub(crate) fn stream(&self) -> Stream<'_> {
        Stream {
            output: self,
            stdout: io::stdout(),
        }
    }

    /// Stderr, for bytes that are not ours to change.
    #[expect(clippy::unused_self, reason = "whoever writes has an output")]
    pub(crate) fn error_stream(&self) -> io::Stderr {
        io::stderr()
    }

    /// Writes a line of talk.
    pub(crate) fn talk(&self, text: &str) {
        let text = visible(text);
        // Nobody hears that nobody hears.
        let _unheard = writeln!(io::stderr().lock(), "{text}");
    }

    /// A line of warning.
    pub(crate) fn warn(&self, text: &str) {
        if self.colours {
            // The colour must not pass through `talk`, which shows escapes.
            let _unheard = writeln!(
                io::stderr().lock(),
                "\x1b[33mwarning:\x1b[0m {}",
                visible(text)
            );
        } else {
            self.talk(&format!("warning: {text}"));
        }
    }

    /// Asks, and takes a line from stdin; without its end.
    pub(crate) fn ask(&self, question: &str, hidden: bool) -> io::Result<String> {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question}")?;
        stderr.flush()?;
        let echo = if hidden { Some(EchoOff::new()?) } else { None };
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        if echo.is_some() {
            writeln!(stderr)?;
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// All of stdin.
    pub(crate) fn all_input(&self) -> io::Result<String> {
        let mut text = String::new();
        io::stdin()
            .lock()
            .take(INPUT_BYTES)
            .read_to_string(&mut text)?;
        Ok(text)
    }
}

/// The whole terminal, for a view that keys go to.
pub(crate) struct FullScreen(ratatui::DefaultTerminal);

impl FullScreen {
    /// What is drawn on.
    pub(crate) fn terminal(&mut self) -> &mut ratatui::DefaultTerminal {
        &mut self.0
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        // A terminal that went away needs no mode.
        let _gone = ratatui::try_restore();
    }
}

/// Longest password on stdin, in bytes: tokens of cloud registries have some thousand.
const INPUT_BYTES: u64 = 1 << 20;

/// The terminal shows nothing of what is typed until this is dropped.
struct EchoOff(rustix::termios::Termios);

impl EchoOff {
    fn new() -> io::Result<Self> {
        let before = rustix::termios::tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(rustix::termios::LocalModes::ECHO);
        rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        let now = rustix::termios::OptionalActions::Now;
        // A terminal that went away needs no echo.
        let _gone = rustix::termios::tcsetattr(io::stdin(), now, &self.0);
    }
}

/// Stdout as a stream that notices when its reader goes.
pub(crate) struct Stream<'o> {
    output: &'o Output,
    stdout: io::Stdout,
}

impl Stream<'_> {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            self.output.reader_gone.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stdout.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stdout.flush();
        self.note(flushed)
    }
}

/// The text with control characters but tabs and newlines shown as escapes.
fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            let _infallible = write!(shown, "\\x{:02x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests;
