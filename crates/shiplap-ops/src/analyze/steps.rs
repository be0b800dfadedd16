//! The steps that made an image, as one would write them in a Dockerfile, with the layer each made
//! and, where the Dockerfile is at hand, the line each stands on.

use serde::Serialize;
use shiplap_model::ImageConfig;
use shiplap_model::dockerfile::{Dockerfile, Stage};

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The instruction as one would write it, as far as the history tells.
    pub instruction: String,
    /// What the history says.
    pub created_by: String,
    /// When (RFC 3339).
    pub created: Option<String>,
    /// Number of the layer it made; 0 is the base.
    pub layer: Option<usize>,
    /// The line of the Dockerfile, if one was given and fits.
    pub line: Option<u32>,
}

/// The steps of an image, oldest first. Layers that the config has no history for are steps of
/// which nothing is known.
#[must_use]
pub fn steps(config: &ImageConfig, layers: usize, dockerfile: Option<&Dockerfile>) -> Vec<Step> {
    let mut made = 0..layers;
    let mut steps = Vec::new();
    for entry in &config.history {
        let created_by = entry.created_by.clone().unwrap_or_default();
        steps.push(Step {
            instruction: instruction(&created_by),
            created_by,
            created: entry.created.clone(),
            layer: if entry.empty_layer { None } else { made.next() },
            line: None,
        });
    }
    steps.extend(made.map(|layer| Step {
        instruction: String::new(),
        created_by: String::new(),
        created: None,
        layer: Some(layer),
        line: None,
    }));
    if let Some(dockerfile) = dockerfile {
        find_lines(&mut steps, dockerfile);
    }
    steps
}

/// What a history entry would be in a Dockerfile. BuildKit's `RUN /bin/sh -c … # buildkit` and
/// `COPY … # buildkit`, the classic builder's `/bin/sh -c #(nop)  CMD …` and `/bin/sh -c …`, both
/// with `|1 NAME=value` for arguments of the build.
fn instruction(created_by: &str) -> String {
    let text = created_by.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim_end();
    let (is_run, text) = match text.strip_prefix("RUN ") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let shell = "/bin/sh -c ";
    let is_counted = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let text = match (text.strip_prefix('|'), text.find(shell)) {
        (Some(rest), Some(at)) if is_counted(rest) => &text[at..],
        _ => text,
    };
    match text.strip_prefix(shell) {
        Some(rest) => match rest.trim_start().strip_prefix("#(nop)") {
            Some(nop) => nop.trim().to_owned(),
            None => format!("RUN {}", rest.trim()),
        },
        None if is_run => format!("RUN {}", text.trim()),
        None => text.to_owned(),
    }
}

/// Notes the lines of the last stage, from the last instruction back, as long as they fit: what is
/// below came with the base.
fn find_lines(steps: &mut [Step], dockerfile: &Dockerfile) {
    let mut steps = steps.iter_mut().rev().peekable();
    let mut stages = dockerfile.stages.as_slice();
    while let Some((here, before)) = stages.split_last() {
        for written in here.instructions.iter().rev() {
            let is_it = |step: &&mut Step| {
                let name = step.instruction.split_whitespace().next();
                name.is_some_and(|name| name.eq_ignore_ascii_case(&written.word))
            };
            match steps.next_if(is_it) {
                Some(step) => step.line = Some(written.span.first),
                // Arguments and triggers may have made no step.
                None if ["ARG", "ONBUILD"]
                    .iter()
                    .any(|word| written.word.eq_ignore_ascii_case(word)) => {}
                None => return,
            }
        }
        let is_base = |stage: &Stage| stage.from.name.as_deref() == Some(here.from.image.as_str());
        let Some(base) = before.iter().rposition(is_base) else {
            return;
        };
        stages = &before[..=base];
    }
}

#[cfg(test)]
mod tests;
