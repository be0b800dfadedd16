//! Platforms: what an image runs on, how users write it, and which entry of an index fits
//! (OCI image index specification; names and fall-backs as containerd has them).
//!
//! The machine is known only through the compiler's constants; nothing here looks at the CPU.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::json::{self, Rest};

/// Why a string names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Nothing, or more than three parts.
    #[error("parse platform {platform:?}: want os[/architecture[/variant]], as linux/arm64")]
    Parts {
        /// The whole string.
        platform: String,
    },
    /// A part that is empty or has characters outside letters, digits, `_`, `-` and `.`.
    #[error(
        "parse platform {platform:?}: {part:?} is not a name of letters, digits, '_', '-' and '.'"
    )]
    Part {
        /// The whole string.
        platform: String,
        /// The part.
        part: String,
    },
    /// A single word that is neither an operating system nor an architecture.
    #[error("parse platform {platform:?}: it is neither an operating system nor an architecture")]
    Unknown {
        /// The word.
        platform: String,
    },
}

/// An operating system and an architecture, with the words that narrow them.
///
/// Two platforms are equal only if they are written alike; [`Platform::runs`] compares meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Platform {
    /// `GOARCH`: `amd64`, `arm64`, …
    pub architecture: String,
    /// `GOOS`: `linux`, `windows`, …
    pub os: String,
    /// Version of the operating system; only Windows images have it.
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that are needed.
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Variant of the CPU: `v7` of arm, `v3` of amd64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A platform as documents hold it; only `Platform`'s own reading goes through it.
#[derive(Deserialize)]
struct Wire {
    architecture: String,
    os: String,
    #[serde(rename = "os.version", default)]
    os_version: Option<String>,
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "json::null_as_default"
    )]
    os_features: Vec<String>,
    #[serde(default)]
    variant: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

impl TryFrom<Wire> for Platform {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        const KEYS: [&str; 5] = ["architecture", "os", "os.version", "os.features", "variant"];
        if let Some((found, known)) = json::misspelt(&wire.rest, &KEYS) {
            return Err(format!(
                "platform has {found:?}, which some readers take for {known:?}"
            ));
        }
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            architecture: wire.architecture,
            os: wire.os,
            os_version: some(wire.os_version),
            os_features: wire.os_features,
            variant: some(wire.variant),
        })
    }
}

impl Platform {
    /// A platform of these two words and nothing else.
    #[must_use]
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            ..Self::default()
        }
    }

    /// The machine that this program was compiled for.
    #[must_use]
    pub fn host() -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            "mips64" if cfg!(target_endian = "little") => "mips64le",
            "mips" if cfg!(target_endian = "little") => "mipsle",
            other => other,
        };
        Self::new(os, architecture)
    }

    /// Reads `os`, `architecture`, `os/architecture` or `os/architecture/variant`, where `os` may
    /// be `os(version)`; what is missing is taken from `default`.
    ///
    /// # Errors
    /// [`PlatformError`].
    pub fn parse_with(text: &str, default: &Self) -> Result<Self, PlatformError> {
        let shown = || text.chars().take(200).collect::<String>();
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        let (os_part, after) = match parts.as_slice() {
            [first, after @ ..] if after.len() <= 2 && !text.is_empty() => (*first, after),
            _ => return Err(PlatformError::Parts { platform: shown() }),
        };
        let (os, os_version) = split_version(os_part);
        let wrong = |part: &str| PlatformError::Part {
            platform: shown(),
            part: part.chars().take(200).collect(),
        };
        if os.contains('.') || !is_part(os) || !os_version.is_none_or(is_part) {
            return Err(wrong(os_part));
        }
        if let Some(part) = after.iter().find(|part| !is_part(part)) {
            return Err(wrong(part));
        }

        let os_name = normal_os(os);
        let os_version = os_version.map(str::to_owned);
        let (architecture, variant) = match *after {
            [] if KNOWN_OS.contains(&os_name.as_str()) => {
                (default.architecture.clone(), default.variant.clone())
            }
            [] => {
                let (architecture, variant) = normal_architecture(os_part, "");
                if !KNOWN_ARCHITECTURES.contains(&architecture.as_str()) {
                    return Err(PlatformError::Unknown { platform: shown() });
                }
                let variant = variant.filter(|v| !is_plain_arm(&architecture, v));
                return Ok(Self {
                    variant,
                    ..Self::new(default.os.clone(), architecture)
                });
            }
            [architecture] => {
                let (architecture, variant) = normal_architecture(architecture, "");
                let variant = variant.filter(|v| !is_plain_arm(&architecture, v));
                (architecture, variant)
            }
            [architecture, variant, ..] => {
                let (architecture, variant) = normal_architecture(architecture, variant);
                let variant =
                    variant.or_else(|| (architecture == "arm64").then(|| "v8".to_owned()));
                (architecture, variant)
            }
        };
        Ok(Self {
            architecture,
            os: os_name,
            os_version,
            os_features: Vec::new(),
            variant,
        })
    }

    /// The same platform in its canonical words: `x86_64` is `amd64`, `aarch64/v8` is `arm64`,
    /// `armhf` is `arm/v7`; features sorted, each once. An empty `os` is the host's.
    #[must_use]
    pub fn normalize(&self) -> Self {
        let (architecture, variant) = normal_architecture(
            &self.architecture,
            self.variant.as_deref().unwrap_or_default(),
        );
        let mut os_features = self.os_features.clone();
        os_features.sort();
        os_features.dedup();
        let os = if self.os.is_empty() {
            Self::host().os
        } else {
            normal_os(&self.os)
        };
        Self {
            architecture,
            os,
            os_version: self.os_version.clone(),
            os_features,
            variant,
        }
    }

    /// Whether an image for `candidate` is one for this very platform, whatever words name it.
    /// Features that the image needs must be among ours; a Windows image's version must fit.
    #[must_use]
    pub fn is_same(&self, candidate: &Self) -> bool {
        let (ours, theirs) = (self.normalize(), candidate.normalize());
        ours.os == theirs.os
            && ours.architecture == theirs.architecture
            && ours.variant == theirs.variant
            && (ours.os != "windows"
                || windows_version_fits(ours.os_version.as_deref(), theirs.os_version.as_deref()))
            && theirs
                .os_features
                .iter()
                .all(|feature| ours.os_features.contains(feature))
    }

    /// How well an image for `candidate` runs where this platform is asked for: 0 is best,
    /// greater numbers are older variants and 32-bit fall-backs, `None` is not at all.
    #[must_use]
    pub fn rank(&self, candidate: &Self) -> Option<usize> {
        self.accepted()
            .iter()
            .position(|accepted| accepted.is_same(candidate))
    }

    /// Whether an image for `candidate` runs where this platform is asked for.
    #[must_use]
    pub fn runs(&self, candidate: &Self) -> bool {
        self.rank(candidate).is_some()
    }

    /// The number of the best of `candidates`: by [`Platform::rank`], then the first; one without
    /// a platform (`None`) may be anything and is taken only if no other fits.
    pub fn choose<'p>(
        &self,
        candidates: impl IntoIterator<Item = Option<&'p Self>>,
    ) -> Option<usize> {
        let accepted = self.accepted();
        let rank = |candidate: Option<&Self>| match candidate {
            Some(candidate) => accepted
                .iter()
                .position(|accepted| accepted.is_same(candidate)),
            None => Some(usize::MAX),
        };
        candidates
            .into_iter()
            .enumerate()
            .filter_map(|(number, candidate)| Some((rank(candidate)?, number)))
            .min()
            .map(|(_, number)| number)
    }

    /// This platform and all whose images it runs too, best first.
    #[must_use]
    pub fn accepted(&self) -> Vec<Self> {
        let first = self.normalize();
        let variant = first.variant.clone().unwrap_or_default();
        let like = |architecture: &str, variant: Option<String>| Self {
            architecture: architecture.to_owned(),
            variant,
            ..first.clone()
        };
        let mut accepted = vec![first.clone()];
        match first.architecture.as_str() {
            "amd64" => {
                let older = (1..version_number(&variant).unwrap_or(1)).rev();
                accepted.extend(older.map(|version| like("amd64", Some(format!("v{version}")))));
                accepted.push(like("386", None));
            }
            "arm" => accepted.extend(older_arm(&variant).map(|older| like("arm", Some(older)))),
            "arm64" => {
                let variant = if variant.is_empty() {
                    "v8"
                } else {
                    variant.as_str()
                };
                accepted.extend(
                    older_arm64(variant)
                        .into_iter()
                        .map(|older| like("arm64", Some(older))),
                );
                let is_minor = variant.starts_with("v8.") || variant.starts_with("v9.");
                let arm = if is_minor { "v8" } else { variant };
                accepted.push(like("arm", Some(arm.to_owned())));
                accepted.extend(older_arm(arm).map(|older| like("arm", Some(older))));
            }
            _ => {}
        }
        accepted
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// As [`Platform::parse_with`], with the host for what is missing.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Self::parse_with(text, &Self::host())
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() {
            return f.write_str("unknown");
        }
        f.write_str(&self.os)?;
        if let Some(version) = &self.os_version {
            write!(f, "({version})")?;
        }
        for part in [Some(&self.architecture), self.variant.as_ref()]
            .into_iter()
            .flatten()
        {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}

const KNOWN_OS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

const KNOWN_ARCHITECTURES: [&str; 24] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// `os(version)` taken apart; a bare `os` and `os()` have no version.
fn split_version(part: &str) -> (&str, Option<&str>) {
    match part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        Some((os, version)) => (os, (!version.is_empty()).then_some(version)),
        None => (part, None),
    }
}

fn normal_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    }
}

fn normal_architecture(architecture: &str, variant: &str) -> (String, Option<String>) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.to_ascii_lowercase();
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64" | "arm64", other) => ("arm64", other),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        (architecture, variant) => (architecture, variant),
    };
    (
        architecture.to_owned(),
        (!variant.is_empty()).then(|| variant.to_owned()),
    )
}

/// `arm` means `arm/v7`: users see the short form.
fn is_plain_arm(architecture: &str, variant: &str) -> bool {
    architecture == "arm" && variant == "v7"
}

/// The number in `v3`; at most two digits, so that no variant makes a long list.
fn version_number(variant: &str) -> Option<u32> {
    let digits = variant.strip_prefix('v').unwrap_or(variant);
    if digits.len() > 2 {
        return None;
    }
    digits.parse().ok()
}

/// arm v8 runs v7, v6 and v5; nothing older is taken.
fn older_arm(variant: &str) -> impl Iterator<Item = String> + use<> {
    (5..version_number(variant).unwrap_or(0))
        .rev()
        .map(|version| format!("v{version}"))
}

/// arm64 v8.n runs v8.(n-1) … v8; v9.n runs v9.(n-1) … v9 and v8.(n+5) … v8.
fn older_arm64(variant: &str) -> Vec<String> {
    let (major, minor) = variant.split_once('.').unwrap_or((variant, ""));
    let minor = version_number(minor)
        .filter(|_| minor.len() == 1)
        .unwrap_or(0);
    let down = |major: u32, below: u32| {
        (0..below).rev().map(move |minor| match minor {
            0 => format!("v{major}"),
            _ => format!("v{major}.{minor}"),
        })
    };
    match version_number(major) {
        Some(8) => down(8, minor).collect(),
        Some(9) => down(9, minor).chain(down(8, minor + 6)).collect(),
        _ => Vec::new(),
    }
}

/// Whether a Windows image of version `image` runs on a host of version `host`: before Server
/// 2022 (build 20348) builds must be equal; after it an image may be as old as the long-term
/// release before the host.
fn windows_version_fits(host: Option<&str>, image: Option<&str>) -> bool {
    const LONG_TERM_BUILDS: [u32; 2] = [20348, 26100];
    let (Some(host), Some(image)) = (host, image) else {
        return true;
    };
    let numbers = |version: &str| -> [u32; 3] {
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        [(); 3].map(|()| parts.next().unwrap_or(0))
    };
    let ([host_major, host_minor, host_build], [major, minor, build]) =
        (numbers(host), numbers(image));
    if (host_major, host_minor) != (major, minor) {
        return false;
    }
    if host_build < LONG_TERM_BUILDS[0] {
        return host_build == build;
    }
    let oldest = LONG_TERM_BUILDS
        .iter()
        .rev()
        .find(|release| host_build > **release);
    (*oldest.unwrap_or(&LONG_TERM_BUILDS[0])..=host_build).contains(&build)
}

#[cfg(test)]
mod tests;
