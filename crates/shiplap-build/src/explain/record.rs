//! What is kept of a step that was carried out, to explain the next miss: its inputs, what they
//! were called, and what files there were. Compressed; a record that can't be read is no record.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use shiplap_model::limits;

use super::manifest::Manifest;
use crate::key::KeyInputs;
use crate::plan::{Action, Base, Plan, StageId};

/// What is kept of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What decided its result.
    pub inputs: KeyInputs,
    /// What that was called.
    pub notes: Notes,
    /// What was copied.
    pub manifest: Manifest,
}

/// Names that decide nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// The image that it all begins with; empty: none.
    pub base: String,
    /// How many of the layers below are that image's.
    pub base_layers: usize,
    /// The steps that made the others, in order: `RUN make`.
    pub steps: Vec<String>,
    /// `ARG`s among the environment.
    pub arguments: Vec<String>,
}

impl Notes {
    /// Those of the step `step` of a stage, whose root's image has `base_layers`.
    #[must_use]
    pub fn of(plan: &Plan, stage: StageId, step: usize, base_layers: usize) -> Self {
        let mut notes = Self {
            base_layers,
            ..Self::default()
        };
        let (mut next, mut end) = (Some(stage), step);
        while let Some(stage) = next.and_then(|place| plan.stages.get(place.0)) {
            let below = stage.steps.iter().take(end);
            let below = below.filter(|step| step.action != Action::Config);
            let names: Vec<String> = below.map(|step| step.name.clone()).collect();
            notes.steps.splice(0..0, names);
            end = usize::MAX;
            next = match &stage.base {
                Base::Stage(place) => Some(*place),
                Base::Image(key) => {
                    notes.base.clone_from(&key.name);
                    None
                }
                Base::Scratch | Base::Named(_) => None,
            };
        }
        let own = plan
            .stages
            .get(stage.0)
            .and_then(|stage| stage.steps.get(step));
        if let Some(Action::Run(run)) = own.map(|step| &step.action) {
            notes.arguments = run.args_used.keys().cloned().collect();
        }
        notes
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    inputs: KeyInputs,
    notes: Notes,
}

impl Record {
    /// Bytes that the store keeps; empty if they would be too many.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = Head {
            inputs: self.inputs.clone(),
            notes: self.notes.clone(),
        };
        let head =
            serde_json::to_vec(&head).expect("because all keys are texts and nothing can fail");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let length = (head.len() as u64).to_le_bytes();
        let parts = [&length[..], &head, &self.manifest.encode()];
        let written = parts
            .into_iter()
            .try_for_each(|part| encoder.write_all(part));
        let bytes = written.and_then(|()| encoder.finish());
        let bytes = bytes.expect("because nothing fails to be written to memory");
        match bytes.len() as u64 {
            ..=limits::CACHE_INPUT_BYTES => bytes,
            _ => Vec::new(),
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut content = Vec::new();
        let limit = limits::CACHE_RECORD_BYTES;
        let mut decoder = ZlibDecoder::new(bytes).take(limit);
        decoder.read_to_end(&mut content).ok()?;
        let (length, rest) = content.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (head, manifest) = rest.split_at_checked(length)?;
        let Head { inputs, notes } = serde_json::from_slice(head).ok()?;
        Some(Self {
            inputs,
            notes,
            manifest: Manifest::decode(manifest),
        })
    }
}
