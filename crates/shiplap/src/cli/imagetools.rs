//! `buildx imagetools`: images of registries, looked at and joined where they are.

use std::{fs, io::Write as _, path::PathBuf, rc::Rc};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use shiplap_model::{
    Descriptor, Digest, Document, Platform, Reference, Repository, reference::ReferenceError,
};
use shiplap_ops::manifest::{self, Found, JoinOptions, Part};

use crate::{
    face::{Face, Failure, Session},
    template::{Template, Value},
};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum ImagetoolsCommand {
    Create(Box<ImagetoolsCreate>),
    Inspect(ImagetoolsInspect),
}

impl ImagetoolsCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Create(verb) => verb.run(face),
            Self::Inspect(verb) => verb.run(face),
        }
    }
}

/// Create a new image based on source images
///
/// Sources are names in registries, digests in the repository of the other names, or descriptors in JSON.
/// Their layers are copied only to repositories that lack them.
#[derive(Debug, Args)]
pub(crate) struct ImagetoolsCreate {
    /// Add annotation to the image
    #[arg(long, value_name = "NAME=VALUE", value_parser = annotation)]
    annotation: Vec<(String, String)>,
    /// Append to existing manifest
    #[arg(long)]
    append: bool,
    #[arg(long, hide = true)]
    builder: Option<String>,
    /// Show final image instead of pushing
    #[arg(long)]
    dry_run: bool,
    /// Read source descriptor from file
    #[arg(short, long, value_name = "file")]
    file: Vec<PathBuf>,
    /// Take only images for these platforms
    #[arg(short, long, value_name = "string", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Make an index of a single image too, instead of copying it as it is
    #[arg(long, value_name = "bool", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set)]
    prefer_index: bool,
    #[arg(long, hide = true)]
    progress: Option<String>,
    /// Set reference for new image
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Vec<Reference>,
    /// Images or indexes
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
}

fn annotation(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = parts.ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A source that can't be understood.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    /// Neither a name nor a digest.
    #[error("read source {text:?}: {source}")]
    Reference {
        text: String,
        source: ReferenceError,
    },
    /// Not the JSON of a descriptor.
    #[error("read source {text:?}: it is no descriptor: {source}")]
    Descriptor {
        text: String,
        source: serde_json::Error,
    },
    /// A digest alone, and no repository that is meant by it.
    #[error("read source {text:?}: it names no repository, and the others are of several, or none")]
    Repository { text: String },
}

/// A source as it is written.
enum Written {
    Name(Reference),
    Digest(Digest),
    Descriptor(Box<Said>),
}

/// What a descriptor may say.
#[derive(Deserialize)]
struct Said {
    digest: Digest,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

impl Written {
    fn read(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        if text.starts_with('{') {
            let said = serde_json::from_str(text).map_err(|source| SourceError::Descriptor {
                text: text.to_owned(),
                source,
            })?;
            return Ok(Self::Descriptor(said));
        }
        if let Ok(digest) = text.parse() {
            return Ok(Self::Digest(digest));
        }
        let reference = Reference::parse(text).map_err(|source| SourceError::Reference {
            text: text.to_owned(),
            source,
        })?;
        Ok(Self::Name(reference))
    }

    fn part(self, repository: Option<&Repository>, text: &str) -> Result<Part, SourceError> {
        let at = |digest: Digest| {
            let repository = repository.ok_or_else(|| SourceError::Repository {
                text: text.to_owned(),
            })?;
            Ok(Part::new(repository.at(digest)))
        };
        match self {
            Self::Name(reference) => Ok(Part::new(reference)),
            Self::Digest(digest) => at(digest),
            Self::Descriptor(said) => Ok(Part {
                platform: said.platform,
                annotations: said.annotations.into_iter().collect(),
                ..at(said.digest)?
            }),
        }
    }
}

impl ImagetoolsCreate {
    fn run(self, face: &Face) -> Result<(), Failure> {
        if self.sources.is_empty() && self.file.is_empty() {
            return Err(Failure::plain("no sources specified"));
        }
        if !self.dry_run && self.tag.is_empty() {
            return Err(Failure::plain(
                "can't push with no tags specified, please set --tag or --dry-run",
            ));
        }
        let tags: Vec<Reference> = self.tag.iter().map(Reference::or_latest).collect();
        let options = JoinOptions {
            sources: self.parts(&tags)?,
            platforms: self.platform,
            annotations: self.annotation,
            prefer_index: self.prefer_index,
        };
        let session = face.session(false)?;
        let joined = manifest::join(&session.context, &options)?;
        if self.dry_run {
            let text = String::from_utf8_lossy(&joined.document.bytes);
            return Ok(face.output.line(&text)?);
        }
        manifest::publish(&session.context, &joined, &tags, &*session.teller)?;
        for tag in &tags {
            let digest = &joined.document.digest;
            face.output.talk(&format!("{tag}: digest: {digest}"));
        }
        Ok(())
    }

    /// The sources; one that names no repository is of the one that all others name.
    fn parts(&self, tags: &[Reference]) -> Result<Vec<Part>, Failure> {
        let mut texts = Vec::new();
        for path in &self.file {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::plain(format!("failed to read {}: {error}", path.display()))
            })?;
            texts.push(text);
        }
        texts.extend(self.sources.iter().cloned());
        let written: Vec<Written> = texts
            .iter()
            .map(|text| Written::read(text))
            .collect::<Result<_, _>>()?;
        let named = written.iter().filter_map(|written| match written {
            Written::Name(reference) => Some(reference),
            Written::Digest(_) | Written::Descriptor(_) => None,
        });
        let mut repositories: Vec<&Repository> =
            named.chain(tags).map(Reference::repository).collect();
        repositories.dedup();
        let repository = match repositories.as_slice() {
            [only] => Some((*only).clone()),
            _ => None,
        };
        let written = written.into_iter().zip(&texts);
        let mut parts: Vec<Part> = written
            .map(|(written, text)| written.part(repository.as_ref(), text))
            .collect::<Result<_, _>>()?;
        if let Some(first) = tags.first().filter(|_| self.append) {
            parts.insert(0, Part::new(first.clone()));
        }
        Ok(parts)
    }
}

/// Show details of an image in the registry
#[derive(Debug, Args)]
pub(crate) struct ImagetoolsInspect {
    #[arg(long, hide = true)]
    builder: Option<String>,
    /// Format the output using the given Go template
    #[arg(long, value_name = "string", conflicts_with = "raw")]
    format: Option<String>,
    /// Show original, unformatted JSON manifest
    #[arg(long)]
    raw: bool,
    /// Name of the image
    #[arg(value_name = "NAME")]
    name: Reference,
}

impl ImagetoolsInspect {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let found = manifest::find(&session.context, &self.name)?;
        if self.raw {
            // To the byte, so that the digest holds.
            let mut stream = face.output.stream();
            stream.write_all(&found.fetched.bytes)?;
            return Ok(stream.flush()?);
        }
        let text = match self.format.as_deref() {
            None | Some("") => told(&found),
            Some(format) => {
                let template = Template::parse(format)?;
                let data = data(&session, &found, template.may_show("Image"))?;
                template.execute(&data)?
            }
        };
        let text = text.trim_end_matches('\n');
        Ok(face.output.line(text)?)
    }
}

/// The image as buildx tells it.
fn told(found: &Found) -> String {
    let mut lines = vec![
        format!("Name:      {}", found.reference),
        format!("MediaType: {}", found.document.media_type()),
        format!("Digest:    {}", found.fetched.digest),
    ];
    if let Document::Index(index) = &found.document {
        lines.extend([" ".repeat(11), "Manifests: ".to_owned()]);
        for (at, entry) in index.manifests.iter().enumerate() {
            if at > 0 {
                lines.push(" ".repeat(15));
            }
            lines.extend(entry_told(found, entry));
        }
    }
    lines.join("\n")
}

fn entry_told(found: &Found, entry: &Descriptor) -> Vec<String> {
    let name = found.reference.with_digest(entry.digest.clone());
    let mut lines = vec![
        format!("  Name:        {name}"),
        format!("  MediaType:   {}", entry.media_type),
    ];
    let Some(platform) = &entry.platform else {
        return lines;
    };
    lines.push(format!("  Platform:    {platform}"));
    if let Some(version) = &platform.os_version {
        lines.push(format!("  OSVersion:   {version}"));
    }
    if !platform.os_features.is_empty() {
        let features = platform.os_features.join(", ");
        lines.push(format!("  OSFeatures:  {features}"));
    }
    if !entry.urls.is_empty() {
        lines.push(format!("  URLs:        {}", entry.urls.join(", ")));
    }
    if !entry.annotations.is_empty() {
        lines.push("  Annotations: ".to_owned());
        let width = entry
            .annotations
            .keys()
            .map(|name| name.chars().count() + 1);
        let width = width.max().unwrap_or_default();
        let told = entry.annotations.iter().map(|(name, value)| {
            let name = format!("{name}:");
            format!("    {name:width$} {value}")
        });
        lines.extend(told);
    }
    lines
}

/// What templates may show: `.Name`, `.Manifest` and, with `configs`, `.Image`, which maps platforms to configs if
/// there are several.
fn data(session: &Session, found: &Found, configs: bool) -> Result<Value, Failure> {
    let mut manifest = match &found.document {
        Document::Manifest(_) => json!(found.descriptor()),
        Document::Index(index) => json!(index),
    };
    manifest["digest"] = json!(found.fetched.digest);
    manifest["size"] = json!(found.fetched.bytes.len());
    let mut fields: Vec<(&str, Value)> = vec![
        ("Name", Value::from(found.reference.to_string())),
        ("Manifest", typed(&manifest)),
    ];
    if configs {
        fields.push(("Image", images(session, found)?));
    }
    Ok(Value::record("imagetools.tplInput", fields))
}

/// The config of the image, or configs by platform.
fn images(session: &Session, found: &Found) -> Result<Value, Failure> {
    let mut images: Vec<(Rc<str>, Value)> = Vec::new();
    for part in manifest::parts(&session.context, found)? {
        let Some(config) = manifest::config(&session.context, &part)? else {
            continue;
        };
        let platform = config.platform().normalize();
        if platform.os != "unknown" {
            images.push((platform.to_string().into(), typed(&json!(config))));
        }
    }
    Ok(match images.len() {
        0 => Value::Nil,
        1 => images.remove(0).1,
        _ => Value::map("*v1.Image", images),
    })
}

/// Fields of documents whose Go names are not those of JSON, but for these words with a capital.
const GO_NAMES: [(&str, &str); 22] = [
    ("annotations", "Annotations"),
    ("architecture", "Architecture"),
    ("author", "Author"),
    ("config", "Config"),
    ("created", "Created"),
    ("created_by", "CreatedBy"),
    ("diff_ids", "DiffIDs"),
    ("digest", "Digest"),
    ("empty_layer", "EmptyLayer"),
    ("history", "History"),
    ("manifests", "Manifests"),
    ("mediaType", "MediaType"),
    ("os", "OS"),
    ("os.features", "OSFeatures"),
    ("os.version", "OSVersion"),
    ("platform", "Platform"),
    ("rootfs", "RootFS"),
    ("schemaVersion", "SchemaVersion"),
    ("size", "Size"),
    ("type", "Type"),
    ("urls", "URLs"),
    ("variant", "Variant"),
];

/// A document with Go's names beside JSON's, which alone `json` shows; what has keys of the user's is a map.
fn typed(document: &Json) -> Value {
    match document {
        Json::Object(fields) => {
            let mut named: Vec<(Rc<str>, Value)> = Vec::new();
            let mut omitted = Vec::new();
            for (key, value) in fields {
                let value = match key.as_str() {
                    "annotations" | "Labels" | "ExposedPorts" | "Volumes" => {
                        Value::from_json(value)
                    }
                    _ => typed(value),
                };
                if let Some((_, name)) = GO_NAMES.iter().find(|(json, _)| json == key) {
                    omitted.push(*name);
                    named.push(((*name).into(), value.clone()));
                }
                named.push((key.as_str().into(), value));
            }
            Value::record_without("v1.Document", named, omitted)
        }
        Json::Array(items) => Value::list(items.iter().map(typed)),
        plain => Value::from_json(plain),
    }
}
