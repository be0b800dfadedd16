//! How progress calls the vertices of a stage: `[build 2/4] RUN make`, numbered as BuildKit numbers
//! them.

use shiplap_model::Platform;
use shiplap_model::dockerfile::{Instruction, Kind};

use super::variables::Variables;

/// Counts the vertices of one stage.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    /// `None`: it is the only one and needs no name.
    stage: Option<String>,
    /// Shown if several platforms are built.
    platform: Option<Platform>,
    total: usize,
    number: usize,
}

impl Naming {
    pub(super) fn new(stage: Option<String>, platform: Option<Platform>, total: usize) -> Self {
        Self {
            stage,
            platform,
            total,
            number: 0,
        }
    }

    /// The next vertex.
    pub(super) fn next(&mut self, text: &str, variables: &Variables, is_trigger: bool) -> String {
        if self.total == 0 {
            return text.to_owned();
        }
        let mut name = String::from("[");
        if let Some(platform) = &self.platform {
            name.push_str(&platform.to_string());
            name.push_str(&cross(platform, variables));
            name.push(' ');
        }
        if let Some(stage) = &self.stage {
            name.push_str(stage);
            name.push(' ');
        }
        self.number += 1;
        let width = self.total.to_string().len();
        let trigger = if is_trigger { "ONBUILD " } else { "" };
        name.push_str(&format!(
            "{:width$}/{}] {trigger}{text}",
            self.number, self.total
        ));
        name
    }
}

/// `->arm64` where the variables say that something else is built for.
fn cross(platform: &Platform, variables: &Variables) -> String {
    let Some(target) = target_of(variables) else {
        return String::new();
    };
    let or = |text: String, other: &String| if text.is_empty() { other.clone() } else { text };
    let target = Platform {
        os: or(target.os, &platform.os),
        architecture: or(target.architecture, &platform.architecture),
        ..target
    };
    let target = target.normalize();
    if target.os != platform.os {
        return format!("->{target}");
    }
    if target.architecture == platform.architecture {
        return String::new();
    }
    match &target.variant {
        Some(variant) => format!("->{}/{variant}", target.architecture),
        None => format!("->{}", target.architecture),
    }
}

/// What `TARGETPLATFORM` or its parts say, if they are declared.
fn target_of(variables: &Variables) -> Option<Platform> {
    if let Some(text) = variables.get("TARGETPLATFORM")
        && let Ok(platform) = text.parse()
    {
        return Some(platform);
    }
    let part = |name| variables.get(name).map(str::to_owned);
    let (os, architecture, variant) = (
        part("TARGETOS"),
        part("TARGETARCH"),
        part("TARGETVARIANT").filter(|variant| !variant.is_empty()),
    );
    if os.is_none() && architecture.is_none() && variant.is_none() {
        return None;
    }
    Some(Platform {
        variant,
        ..Platform::new(os.unwrap_or_default(), architecture.unwrap_or_default())
    })
}

/// Whether an instruction is a vertex.
pub(super) fn is_vertex(instruction: &Instruction) -> bool {
    matches!(
        instruction.kind,
        Kind::Add(_) | Kind::Copy(_) | Kind::Run(_) | Kind::Workdir(_)
    )
}

/// Whether an instruction brings in something that BuildKit counts as a stage.
pub(super) fn counts_as_stage(instruction: &Instruction) -> bool {
    match &instruction.kind {
        Kind::Copy(transfer) => transfer.from.is_some(),
        Kind::Run(run) => !run.mounts.is_empty(),
        _ => false,
    }
}

/// The text with its first word in capitals.
pub(super) fn capitalised(text: &str) -> String {
    match text.split_once(' ') {
        Some((word, rest)) => format!("{} {rest}", word.to_uppercase()),
        None => text.to_uppercase(),
    }
}
