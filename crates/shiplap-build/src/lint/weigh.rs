//! BuildKit's checks, weighed: they were made for builds, which know the base images' variables, and they
//! judge by names alone. What a text can't show is told more mildly here, and what is certainly none is not
//! told at all.

use shiplap_model::dockerfile::{Dockerfile, Kind};

use super::finding::Finding;
use super::guide::Severity;
use super::mend::instruction_at;
use super::{Rule, Warning};

/// Variables that well-known base images set: no slip of a finger.
const OF_BASES: [&str; 8] = [
    "CARGO_HOME",
    "CONDA_DIR",
    "GEM_HOME",
    "GOPATH",
    "GOROOT",
    "JAVA_HOME",
    "NVM_DIR",
    "RUSTUP_HOME",
];

/// What is known where checks are weighed.
pub(super) struct Scale<'s> {
    /// The file.
    pub(super) file: &'s Dockerfile,
    /// All that was warned of.
    pub(super) warnings: &'s [Warning],
    /// The base images were looked at.
    pub(super) knows_images: bool,
}

impl Scale<'_> {
    /// A warning's finding as it is to be told; `None`: it is none.
    pub(super) fn weigh(&self, warning: &Warning, finding: Finding) -> Option<Finding> {
        match warning.rule {
            Rule::WorkdirRelativePath => (!self.is_elsewhere(warning)).then_some(finding),
            Rule::UndefinedVar => self.undefined(warning, finding),
            Rule::SecretsUsedInArgOrEnv => (!self.is_public(warning)).then_some(finding),
            _ => Some(finding),
        }
    }

    /// It is a directory on a drive, which is absolute where there are drives (what is built for Linux has
    /// none, so nobody means it otherwise); or it has a variable that is not known, and that is told.
    fn is_elsewhere(&self, warning: &Warning) -> bool {
        let is_unknown =
            |other: &Warning| other.rule == Rule::UndefinedVar && other.span == warning.span;
        warning.detail.contains(":\\\\") || self.warnings.iter().any(is_unknown)
    }

    fn undefined(&self, warning: &Warning, finding: Finding) -> Option<Finding> {
        let name = warning.detail.split("'$").nth(1)?.split('\'').next()?;
        let text = &instruction_at(self.file, warning.span)?.text;
        // `${A:+$A:}` uses it only where it is set.
        if text.contains(&format!("${{{name}:+")) || text.contains(&format!("${{{name}+")) {
            return None;
        }
        let is_misspelt = warning.detail.contains("did you mean") && !OF_BASES.contains(&name);
        if is_misspelt || self.knows_images || self.begins_empty(warning) {
            return Some(finding);
        }
        let milder = Finding {
            severity: Severity::Info,
            ..finding
        };
        Some(milder.advise("set it by `ARG` or `ENV` before, unless the base image does"))
    }

    /// No base image sets a variable: there is none.
    fn begins_empty(&self, warning: &Warning) -> bool {
        let stages = &self.file.stages;
        let own = stages.iter().position(|stage| {
            let mut instructions = stage.instructions.iter();
            instructions.any(|instruction| instruction.span == warning.span)
        });
        let mut number = own;
        while let Some(stage) = number.and_then(|number| stages.get(number)) {
            let image = &stage.from.image;
            if image == "scratch" {
                return true;
            }
            let before = stages.get(..number.unwrap_or_default()).unwrap_or_default();
            number = before.iter().rposition(|stage| {
                let name = stage.from.name.as_deref();
                name.is_some_and(|name| name.eq_ignore_ascii_case(image))
            });
        }
        false
    }

    /// Its value is certainly no secret: a switch, a path, the fingerprint of a public key.
    fn is_public(&self, warning: &Warning) -> bool {
        let Some(name) = warning.detail.split('"').nth(1) else {
            return false;
        };
        let value = match instruction_at(self.file, warning.span).map(|own| &own.kind) {
            Some(Kind::Env(pairs)) => {
                let pair = pairs.iter().find(|pair| pair.name == name);
                pair.map(|pair| pair.value.as_str())
            }
            Some(Kind::Arg(args)) => {
                let arg = args.iter().find(|arg| arg.name == name);
                // An empty default waits for what the caller gives.
                let default = arg.and_then(|arg| arg.default.as_deref());
                default.filter(|value| !bare(value).is_empty())
            }
            _ => None,
        };
        value.is_some_and(|value| is_public(name, bare(value)))
    }
}

fn bare(value: &str) -> &str {
    value.trim_matches(['"', '\''])
}

fn is_public(name: &str, value: &str) -> bool {
    const SWITCHES: [&str; 8] = ["", "true", "false", "yes", "no", "on", "off", "none"];
    let is_number = value.len() <= 4 && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_of_path = |char: char| char.is_ascii_alphanumeric() || "/._-${}".contains(char);
    let is_path = value.starts_with('/') && value.chars().all(is_of_path);
    let is_fingerprint = |word: &str| {
        matches!(word.len(), 8 | 16 | 40) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let name = name.to_ascii_uppercase();
    let is_signature = ["GPG", "PGP", "FINGERPRINT", "SIGNING"]
        .iter()
        .any(|word| name.contains(word));
    let is_key = is_signature && value.split_whitespace().all(is_fingerprint);
    SWITCHES.contains(&value.to_ascii_lowercase().as_str()) || is_number || is_path || is_key
}
