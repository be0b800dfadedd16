//! A smaller form of the base as a proposal.

use super::super::origin::Base;
use super::{Proposal, ProposalKind};
use crate::base::{Saving, Smaller, Suggestion};
use shiplap_model::units::human_size_with_digits;

/// What is proposed.
pub(super) struct Found {
    /// The smaller form.
    pub(super) name: String,
    /// With it.
    pub(super) proposal: Proposal,
}

/// The form that a Dockerfile is most likely to do with: the smallest whose C library is the base's, else the
/// smallest. `None` if of none both sizes are known.
pub(super) fn choose(suggestion: &Suggestion, base: Option<&Base>) -> Option<Found> {
    let measured = |form: &&Smaller| suggestion.saving(form).is_some();
    let forms = || suggestion.smaller.iter().filter(measured);
    let form = forms().find(|form| !form.is_musl()).or(forms().next())?;
    let (saves_bytes, unit) = match suggestion.saving(form)? {
        Saving::Files(bytes) => (bytes, ""),
        Saving::Compressed(bytes) => (bytes, ", compressed in the registry"),
    };
    let size = |here: Option<u64>, far: Option<u64>| {
        let bytes = if unit.is_empty() { here } else { far };
        human_size_with_digits(bytes.unwrap_or(0), 3)
    };
    let name = form.reference.familiar();
    let mut advice = format!(
        "{name} has {} where {} has {}{unit}; what the image needs and it lacks has to be installed, and builds go \
         into a stage of their own",
        size(form.here_bytes, form.size_bytes),
        suggestion.base.familiar(),
        size(suggestion.here_bytes, suggestion.size_bytes),
    );
    if form.is_musl() {
        advice.push_str("; its C library is musl: try it out");
    }
    for other in forms().filter(|other| *other != form) {
        advice.push_str(&format!(
            "; there is {}, too{}",
            other.reference.familiar(),
            if other.is_musl() { " (musl)" } else { "" }
        ));
    }
    let made_by = format!("FROM {}", suggestion.base.familiar());
    let proposal = Proposal {
        kind: ProposalKind::SmallerBase,
        tool: None,
        saves_bytes,
        files: 0,
        certain: false,
        base: Some(suggestion.base.familiar()),
        layer: base.map_or(0, |base| base.layers.saturating_sub(1)),
        made_by,
        line: None,
        hidden_in_layer: None,
        hidden_by: None,
        hidden_line: None,
        advice,
        instead: Some(format!("FROM {name}")),
        paths: Vec::new(),
    };
    Some(Found { name, proposal })
}
