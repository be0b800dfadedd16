//! What a verb tells while it works: bars on a terminal, a line per change elsewhere, in Docker's
//! words.
//!
//! Never decides what is told: that is the verb's. Everything goes to stderr.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use shiplap_ops::progress::{Event, LayerState, Progress};

use crate::output::Output;

/// Tells events to the user.
pub(crate) struct Teller {
    output: Arc<Output>,
    style: Style,
}

enum Style {
    Quiet,
    /// The words told last of each layer, so that a change is told once.
    Lines(Mutex<HashMap<String, String>>),
    Bars {
        area: MultiProgress,
        bars: Mutex<HashMap<String, ProgressBar>>,
    },
}

impl Teller {
    /// Tells nothing but warnings if `quiet`, bars if stderr is a terminal, else lines.
    pub(crate) fn new(output: Arc<Output>, quiet: bool) -> Self {
        let style = if quiet {
            Style::Quiet
        } else if output.talk_on_terminal() {
            let area = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            Style::Bars {
                area,
                bars: Mutex::default(),
            }
        } else {
            Style::Lines(Mutex::default())
        };
        Self { output, style }
    }

    /// Tells a line above the bars.
    fn say(&self, line: &str) {
        match &self.style {
            Style::Bars { area, .. } => area.suspend(|| self.output.talk(line)),
            Style::Quiet | Style::Lines(_) => self.output.talk(line),
        }
    }

    fn layer(&self, id: &str, state: LayerState<'_>) {
        let words = words(state);
        match &self.style {
            Style::Quiet => {}
            Style::Lines(told) => {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                if state.transfer().is_none()
                    && told.insert(id.to_owned(), words.clone()).as_ref() != Some(&words)
                {
                    self.output.talk(&format!("{id}: {words}"));
                }
            }
            Style::Bars { area, bars } => {
                let mut bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
                let bar = bars.entry(id.to_owned()).or_insert_with(|| {
                    let bar = area.add(ProgressBar::new(0).with_prefix(id.to_owned()));
                    bar.set_style(words_style());
                    bar
                });
                bar.set_message(words);
                match state.transfer() {
                    Some((done_bytes, total_bytes)) => {
                        if bar.length() != Some(total_bytes) {
                            bar.set_style(bar_style());
                            bar.set_length(total_bytes);
                        }
                        bar.set_position(done_bytes);
                    }
                    None => {
                        bar.set_style(words_style());
                        if is_final(state) {
                            bar.abandon();
                        }
                    }
                }
                bar.tick();
            }
        }
    }
}

impl Progress for Teller {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Status(_) if matches!(self.style, Style::Quiet) => {}
            Event::Status(line) => self.say(line),
            Event::Warning(line) => match &self.style {
                Style::Bars { area, .. } => area.suspend(|| self.output.warn(line)),
                Style::Quiet | Style::Lines(_) => self.output.warn(line),
            },
            Event::Layer { id, state } => self.layer(id, state),
        }
    }
}

/// `id: words [====>   ]  12.3MB/45.6MB`, in 80 columns.
fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix}: {msg:<11} [{bar:29}] {decimal_bytes:>9}/{decimal_total_bytes:<9}",
    )
    .map_or_else(
        |_| ProgressStyle::default_bar(),
        |style| style.progress_chars("=> "),
    )
}

fn words_style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix}: {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Docker's words for a state.
fn words(state: LayerState<'_>) -> String {
    match state {
        LayerState::Queued => "Pulling fs layer".into(),
        LayerState::Waiting => "Waiting".into(),
        LayerState::Exists => "Already exists".into(),
        LayerState::Downloading { .. } => "Downloading".into(),
        LayerState::Pulled => "Pull complete".into(),
        LayerState::Pushing { .. } => "Pushing".into(),
        LayerState::Pushed => "Pushed".into(),
        LayerState::Present => "Layer already exists".into(),
        LayerState::Mounted { from } => format!("Mounted from {from}"),
        LayerState::Loading { .. } => "Loading".into(),
        LayerState::Loaded => "Loaded".into(),
    }
}

fn is_final(state: LayerState<'_>) -> bool {
    state.transfer().is_none() && !matches!(state, LayerState::Queued | LayerState::Waiting)
}

#[cfg(test)]
mod tests;
