//! `sbom`: what an image is made of, as a document that other programs read: SPDX 2.3 or CycloneDX 1.6.
//!
//! It says the same of the same image, whoever writes it and when: its time is the image's, its identifiers
//! are made of digests. It never runs anything of the image, and asks nobody about a package.

mod cyclonedx;
mod spdx;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::str::FromStr;

use jiff::Timestamp;
use shiplap_layer::stack::StackError;
use shiplap_model::{DiffId, Digest, DocumentError, ImageConfig, ImageId, Reference};
use shiplap_store::{ResolveError, StoreError};

use crate::context::Context;
use crate::packages::{self, Inventory, Package, Unread};
use crate::snapshot::{self, SnapshotError};

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
    Snapshot(#[from] SnapshotError),
    /// No such image.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The layers can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The config can't be read.
    #[error("read the config of {image}: {source}")]
    Config {
        /// The image.
        image: ImageId,
        /// Why.
        source: DocumentError,
    },
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
    manifest: Digest,
    config: ImageConfig,
    layers: Vec<DiffId>,
}

/// Tells what the image is made of.
///
/// # Errors
/// [`SbomError`].
pub fn sbom(context: &Context, image: &str, format: SbomFormat) -> Result<Sbom, SbomError> {
    let store = context.store()?;
    let resolved = store.resolve(image)?;
    let open = snapshot::open_id(store, resolved.id)?;
    let subject = subject(context, image, &open.id)?;
    let inventory = packages::read(&open.stack, &open.tars)?;
    Ok(document(&subject, inventory, format))
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

fn subject(context: &Context, asked: &str, id: &ImageId) -> Result<Subject, SbomError> {
    let store = context.store()?;
    let missing = || ResolveError::NotFound {
        name: asked.to_owned(),
    };
    let image = store.image(id)?.ok_or_else(missing)?;
    let manifest = store.image_manifests(id)?.into_iter().next();
    let manifest = manifest.ok_or_else(missing)?;
    let config = ImageConfig::parse(&store.read_blob(id.digest())?).map_err(|source| {
        SbomError::Config {
            image: id.clone(),
            source,
        }
    })?;
    // Of several names that which was asked for, so that the document doesn't depend on others.
    let asked = Reference::parse(asked).ok().map(|name| name.or_latest());
    let named = asked.filter(|name| image.tags.contains(name));
    Ok(Subject {
        name: match &named {
            Some(reference) => reference.repository().to_string(),
            None => id.to_string(),
        },
        tag: named.and_then(|reference| reference.tag().map(str::to_owned)),
        id: id.clone(),
        manifest,
        layers: config.rootfs.diff_ids.clone(),
        config,
    })
}

impl Subject {
    /// When the image was made, in whole seconds of UTC; 1970 if it doesn't say.
    fn created(&self) -> String {
        let said = self.config.created.as_deref();
        let time = said.and_then(|time| time.parse::<Timestamp>().ok());
        let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
        time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The image's package URL.
    fn purl(&self) -> String {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        let name = if self.tag.is_some() { name } else { "image" };
        let mut purl = format!(
            "pkg:oci/{}@{}",
            packages::purl_part(&name.to_lowercase()),
            packages::purl_part(self.manifest.as_str())
        );
        let mut join = '?';
        let mut add = |key: &str, value: &str| {
            let value = packages::purl_part(value);
            purl.push(join);
            write!(purl, "{key}={value}").expect("because a string takes all");
            join = '&';
        };
        add("arch", &self.config.architecture);
        if let Some(tag) = &self.tag {
            add("repository_url", &self.name);
            add("tag", tag);
        }
        purl
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
        !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`')
    };
    is_known && url.chars().all(is_clean)
}
