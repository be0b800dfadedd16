//! `sbom`: what an image is made of, as a document that other programs read: SPDX 2.3 or CycloneDX 1.6.
//!
//! It says the same of the same image, whoever writes it and when: its time is the image's, its identifiers
//! are made of digests. It never runs anything of the image, and asks nobody about a package.

mod cyclonedx;
mod spdx;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use jiff::Timestamp;
use shiplap_layer::stack::{Stack, StackError};
use shiplap_model::{DiffId, Digest, ImageConfig, ImageId, Platform, Reference};

use crate::analyze::opened::{self, OpenError, OpenedImage};
use crate::context::Context;
use crate::packages::{self, Inventory, Package, Unread};
use crate::progress::Progress;

/// In which words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SbomFormat {
    /// SPDX 2.3 as JSON.
    Spdx,
    /// CycloneDX 1.6 as JSON.
    CycloneDx,
}

/// A format there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write {0:?}: there are spdx and cyclonedx")]
pub struct UnknownFormat(pub String);

impl FromStr for SbomFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name.to_ascii_lowercase().as_str() {
            "spdx" | "spdx-json" => Ok(Self::Spdx),
            "cyclonedx" | "cyclonedx-json" => Ok(Self::CycloneDx),
            _ => Err(UnknownFormat(name.to_owned())),
        }
    }
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// The image can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The layers can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
}

/// What to tell of which image.
#[derive(Debug, Clone)]
pub struct SbomOptions {
    /// An image of the store, an archive or layout, or what a registry has.
    pub image: String,
    /// For which platform; `None`: that of the settings.
    pub platform: Option<Platform>,
    /// In which words.
    pub format: SbomFormat,
}

/// The document and what it lacks.
#[derive(Debug)]
pub struct Sbom {
    /// JSON, with a line's end.
    pub document: String,
    /// Packages told of.
    pub packages: usize,
    /// Records that could not be read.
    pub unread: Vec<Unread>,
}

/// What the document is of.
#[derive(Debug)]
struct Subject {
    /// Its name without tag, as `docker.io/library/python`, or its ID.
    name: String,
    tag: Option<String>,
    id: ImageId,
    /// Of a Docker archive there is none.
    manifest: Option<Digest>,
    config: ImageConfig,
    layers: Vec<DiffId>,
}

/// Tells what the image is made of: one of the store, an archive or layout, or what a registry has.
///
/// # Errors
/// [`SbomError`].
pub fn sbom(
    context: &Context,
    options: &SbomOptions,
    progress: &dyn Progress,
) -> Result<Sbom, SbomError> {
    let platform = options.platform.as_ref();
    let image = opened::open(context, &options.image, platform, progress)?;
    let inventory = packages::read(&Stack::new(image.indexes()?)?, &image.tars())?;
    Ok(document(&subject(&image), inventory, options.format))
}

fn document(subject: &Subject, inventory: Inventory, format: SbomFormat) -> Sbom {
    let value = match format {
        SbomFormat::Spdx => spdx::document(subject, &inventory),
        SbomFormat::CycloneDx => cyclonedx::document(subject, &inventory),
    };
    Sbom {
        document: format!("{value:#}\n"),
        packages: inventory.packages.len(),
        unread: inventory.unread,
    }
}

fn subject(image: &OpenedImage) -> Subject {
    // A path of this machine is no name.
    let name = image.name.strip_prefix("docker://").unwrap_or(&image.name);
    let is_id = image.id.hex().starts_with(name) || name.starts_with("sha256:");
    let named = Reference::parse(name)
        .ok()
        .filter(|_| !is_id && !name.starts_with('.') && !name.ends_with(".tar"))
        .map(|name| name.or_latest());
    Subject {
        name: match &named {
            Some(reference) => reference.repository().to_string(),
            None => image.id.to_string(),
        },
        tag: named.and_then(|reference| reference.tag().map(str::to_owned)),
        id: image.id.clone(),
        manifest: image.manifest.clone(),
        layers: image.config.rootfs.diff_ids.clone(),
        config: image.config.clone(),
    }
}

impl Subject {
    /// When the image was made, in whole seconds of UTC; 1970 if it doesn't say.
    fn created(&self) -> String {
        let said = self.config.created.as_deref();
        let time = said.and_then(|time| time.parse::<Timestamp>().ok());
        let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
        time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The image's package URL, which needs its manifest.
    fn purl(&self) -> Option<String> {
        let manifest = self.manifest.as_ref()?;
        let name = match self.tag {
            Some(_) => self.name.rsplit('/').next().unwrap_or_default(),
            None => "image",
        };
        let mut purl = format!(
            "pkg:oci/{}@{}",
            packages::purl_part(name),
            packages::purl_part(manifest.as_str())
        );
        let mut join = '?';
        let mut add = |key: &str, value: &str| {
            purl.extend([join]);
            purl.push_str(&format!("{key}={}", packages::purl_part(value)));
            join = '&';
        };
        add("arch", &self.config.architecture);
        if let Some(tag) = &self.tag {
            add("repository_url", &self.name);
            add("tag", tag);
        }
        Some(purl)
    }

    /// What tells this image from all others.
    fn digest(&self) -> &Digest {
        self.manifest.as_ref().unwrap_or(self.id.digest())
    }

    /// Its tag, or else its digest.
    fn version(&self) -> String {
        self.tag
            .clone()
            .unwrap_or_else(|| self.digest().to_string())
    }

    fn layer(&self, number: usize) -> Option<&DiffId> {
        self.layers.get(number)
    }

    /// Its name with its tag.
    fn full_name(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{tag}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Who writes.
const TOOL: &str = "shiplap";
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A name for the package that no other of the document has, of letters, digits, dots and dashes.
fn reference_of(package: &Package) -> String {
    let Package {
        ecosystem,
        name,
        version,
        architecture,
        ..
    } = package;
    let ecosystem = ecosystem.name();
    let key = format!(
        "{ecosystem}\0{name}\0{version}\0{}",
        architecture.as_deref().unwrap_or_default()
    );
    format!(
        "{ecosystem}-{}-{}-{}",
        plain(name),
        plain(version),
        short_digest(&key)
    )
}

/// The text with dashes for what is no letter, digit or dot; long ones are cut.
fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let chars = text.chars().take(60);
    chars.map(|c| if is_plain(c) { c } else { '-' }).collect()
}

fn short_digest(text: &str) -> String {
    let digest = Digest::of(text.as_bytes());
    digest.encoded().chars().take(12).collect()
}

/// Whether programs take it for an address.
fn is_address(url: &str) -> bool {
    let is_known = ["https://", "http://", "ftp://", "git://", "git+https://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    let is_clean = |c: char| {
        !c.is_whitespace()
            && !c.is_control()
            && !matches!(c, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`')
    };
    is_known && url.chars().all(is_clean)
}
