//! An image's layers, to be drawn to scale beside the lines of history that made them, and what its
//! config says of containers. Works on documents alone; how much of them is shown is bounded.

use shiplap_model::{ImageConfig, Manifest, limits};

use super::figures;
use super::tags::short;

/// How wide the drawing of all layers is.
const WIDTH: u64 = 1000;

/// Hues that neighbours are told apart by.
const HUES: usize = 6;

/// A step of an image's making.
pub(super) struct Step {
    /// Number of its layer, from 1; 0 if it made none.
    pub(super) number: usize,
    /// `RUN`, `COPY`, …; nothing if it is not known.
    pub(super) instruction: String,
    pub(super) rest: String,
    pub(super) size: String,
    pub(super) percent: String,
    pub(super) digest: String,
    pub(super) strip: Strip,
}

/// A layer in the drawing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Strip {
    /// Where it begins.
    pub(super) start: u64,
    /// How wide it is.
    pub(super) width: u64,
    /// Which hue it has.
    pub(super) hue: usize,
}

impl Strip {
    /// Where and how wide it is beside its line: a layer is seen there however small it is.
    pub(super) fn seen(self) -> (u64, u64) {
        let width = self.width.max(3);
        (self.start.min(WIDTH - width), width)
    }
}

/// All of an image's layers.
pub(super) struct Layers {
    pub(super) steps: Vec<Step>,
    /// Steps that are left out.
    pub(super) more: usize,
    pub(super) count: usize,
    pub(super) size: String,
}

impl Layers {
    /// Base first. Without a config, or if its history tells of another number of layers, the layers
    /// stand alone.
    pub(super) fn of(manifest: &Manifest, config: Option<&ImageConfig>) -> Self {
        let sizes: Vec<u64> = manifest.layers.iter().map(|layer| layer.size).collect();
        let whole = sizes.iter().copied().fold(0, u64::saturating_add);
        let strips = strips(&sizes);
        let made = |number: usize, line: &str| {
            let layer = &manifest.layers[number];
            let (instruction, rest) = instruction(line);
            Step {
                number: number + 1,
                instruction,
                rest,
                size: figures::size(layer.size),
                percent: figures::percent(layer.size, whole),
                digest: short(layer.digest.encoded()),
                strip: strips[number],
            }
        };
        let history = config.map_or(&[][..], |config| &config.history);
        let told = history.iter().filter(|entry| !entry.empty_layer).count();
        let mut steps = Vec::new();
        if told == sizes.len() {
            let mut number = 0;
            for entry in history {
                let line = entry.created_by.as_deref().unwrap_or_default();
                if entry.empty_layer {
                    steps.push(unmade(line));
                } else {
                    steps.push(made(number, line));
                    number += 1;
                }
            }
        } else {
            steps.extend((0..sizes.len()).map(|number| made(number, "")));
        }
        let more = steps.len().saturating_sub(limits::HISTORY_SHOWN);
        steps.truncate(limits::HISTORY_SHOWN);
        Self {
            steps,
            more,
            count: sizes.len(),
            size: figures::size(whole),
        }
    }
}

fn unmade(line: &str) -> Step {
    let (instruction, rest) = instruction(line);
    Step {
        number: 0,
        instruction,
        rest,
        size: String::new(),
        percent: String::new(),
        digest: String::new(),
        strip: Strip::default(),
    }
}

/// Where each layer lies in the drawing: as wide as it is big, one behind the other.
fn strips(sizes: &[u64]) -> Vec<Strip> {
    let whole: u128 = sizes.iter().map(|size| u128::from(*size)).sum();
    let place = |bytes: u128| match whole {
        0 => 0,
        whole => u64::try_from(bytes * u128::from(WIDTH) / whole).unwrap_or(WIDTH),
    };
    let mut before = 0;
    let strip = |(number, size): (usize, &u64)| {
        let start = place(before);
        before += u128::from(*size);
        Strip {
            start,
            width: place(before) - start,
            hue: number % HUES,
        }
    };
    sizes.iter().enumerate().map(strip).collect()
}

/// The instruction of a line of history, and the rest of it: both of Docker's builders put their own
/// words around it.
fn instruction(line: &str) -> (String, String) {
    let line: String = line.chars().take(limits::SHOWN_CHARACTERS).collect();
    let line = line.trim();
    let line = line.strip_suffix("# buildkit").unwrap_or(line).trim();
    let shell = "/bin/sh -c ";
    let owned = |instruction: &str, rest: &str| (instruction.to_owned(), spaced(rest));
    if let Some(rest) = line.strip_prefix("/bin/sh -c #(nop)") {
        return instruction(rest);
    }
    if let Some(rest) = line.strip_prefix(shell) {
        return owned("RUN", rest);
    }
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let is_word = |word: &str| {
        (3..=11).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    if !is_word(first) {
        return owned("", line);
    }
    let rest = rest.trim();
    let rest = match rest.strip_prefix(shell) {
        Some(command) if first == "RUN" => command,
        _ => rest,
    };
    owned(first, rest)
}

/// With each run of white space as one blank: builders join lines that were indented.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) value: String,
}

fn fact(name: &str, value: &str) -> Fact {
    let shown = |text: &str| {
        let mut shown: String = text.chars().take(limits::SHOWN_CHARACTERS).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        shown
    };
    Fact {
        name: shown(name),
        value: shown(value),
    }
}

/// What a config says of a container, where it says anything.
pub(super) fn facts(config: &ImageConfig) -> Vec<Fact> {
    let of = &config.config;
    let words = |words: &Option<Vec<String>>| {
        let words = words.as_ref().filter(|words| !words.is_empty());
        words.map(|words| serde_json::to_string(words).unwrap_or_default())
    };
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let set = |set: &std::collections::BTreeSet<String>| {
        let some: Vec<&str> = set.iter().map(String::as_str).take(100).collect();
        (!some.is_empty()).then(|| some.join(", "))
    };
    let healthcheck = of.healthcheck.as_ref().map(|check| check.test.join(" "));
    let told = [
        ("Platform", Some(config.platform().to_string())),
        ("Entrypoint", words(&of.entrypoint)),
        ("Command", words(&of.cmd)),
        ("Working directory", text(&of.working_dir)),
        ("User", text(&of.user).or_else(|| Some("root".to_owned()))),
        ("Ports", set(&of.exposed_ports)),
        ("Volumes", set(&of.volumes)),
        ("Stop signal", of.stop_signal.as_deref().and_then(text)),
        ("Health check", healthcheck.as_deref().and_then(text)),
        ("Author", config.author.as_deref().and_then(text)),
    ];
    let said = |(name, value): (&str, Option<String>)| value.map(|value| fact(name, &value));
    told.into_iter().filter_map(said).collect()
}

/// The environment.
pub(super) fn env(config: &ImageConfig) -> Vec<Fact> {
    let pairs = config.config.env.iter().take(limits::FACTS_SHOWN);
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fact(name, value)
        })
        .collect()
}

/// The labels.
pub(super) fn labels(config: &ImageConfig) -> Vec<Fact> {
    let labels = config.config.labels.iter().take(limits::FACTS_SHOWN);
    labels.map(|(name, value)| fact(name, value)).collect()
}

#[cfg(test)]
mod tests;
