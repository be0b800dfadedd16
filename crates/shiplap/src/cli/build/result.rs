//! Flags that decide what comes of a build.

use std::path::PathBuf;

use clap::Args;
use shiplap_build::options::{Output, ResultOptions};
use shiplap_model::{Reference, csv};

use super::FlagError;

#[derive(Debug, Args)]
#[command(next_help_heading = "Result Options")]
pub(super) struct ResultFlags {
    /// Write the image ID to a file
    #[arg(long, value_name = "string")]
    pub(super) iidfile: Option<PathBuf>,
    /// Put the result into the store, beside other outputs
    #[arg(long)]
    load: bool,
    /// Write build result metadata to a file
    #[arg(long, value_name = "string")]
    pub(super) metadata_file: Option<PathBuf>,
    /// Output destination (format: "type=local,dest=path")
    #[arg(short, long, value_name = "string")]
    output: Vec<String>,
    /// Push the result under its names
    #[arg(long)]
    push: bool,
    /// Squash newly built layers into a single new layer
    #[arg(long)]
    squash: bool,
    /// Name of the image, as registry/repository:tag
    #[arg(short, long, value_name = "string")]
    tag: Vec<String>,
}

/// What outputs decide beside themselves.
#[derive(Debug, Default)]
pub(super) struct OutputEffects {
    /// `rewrite-timestamp=true`: as `--reproducible`.
    pub(super) reproducible: bool,
    /// `annotation.KEY=VALUE`s.
    pub(super) annotations: Vec<(String, String)>,
    /// `compression=…` and its like, which only a push could obey.
    pub(super) warnings: Vec<String>,
}

impl ResultFlags {
    /// `to_terminal`: the standard output is one, so no bytes must go there.
    pub(super) fn into_options(
        self,
        to_terminal: bool,
    ) -> Result<(ResultOptions, OutputEffects), FlagError> {
        let mut tags: Vec<Reference> = Vec::new();
        for text in self.tag.iter().filter(|text| !text.is_empty()) {
            let tag = name(text)?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let mut effects = OutputEffects::default();
        let mut outputs = Vec::new();
        for text in self.output.iter().filter(|text| !text.is_empty()) {
            outputs.push(output(text, to_terminal, &mut effects)?);
        }
        let is_image = |output: &Output| matches!(output, Output::Image { .. });
        if self.load && !outputs.is_empty() && !outputs.iter().any(is_image) {
            outputs.push(Output::Image {
                names: Vec::new(),
                push: false,
            });
        }
        let is_named = |output: &Output| match output {
            Output::Image { names, push } => !push || !names.is_empty(),
            _ => true,
        };
        if tags.is_empty() && (self.push || !outputs.iter().all(is_named)) {
            let has_name = |output: &Output| matches!(output, Output::Image { names, .. } if !names.is_empty());
            if !outputs.iter().any(has_name) {
                return Err(FlagError::PushWithoutTag);
            }
        }
        let writes_files = outputs
            .iter()
            .any(|output| matches!(output, Output::Local { .. } | Output::Tar { .. }));
        if self.iidfile.is_some() && writes_files {
            return Err(FlagError::NoImageId);
        }
        let options = ResultOptions {
            tags,
            outputs,
            push: self.push,
            squash: self.squash,
        };
        Ok((options, effects))
    }
}

fn name(text: &str) -> Result<Reference, FlagError> {
    let wrong = |source| FlagError::Tag {
        text: text.to_owned(),
        source,
    };
    let reference = Reference::parse(text).map_err(wrong)?;
    if reference.digest().is_some() {
        return Err(FlagError::TagWithDigest(text.to_owned()));
    }
    Ok(reference.or_latest())
}

/// The keys of one `--output`.
#[derive(Debug, Default)]
struct Keys {
    kind: Option<String>,
    destination: Option<String>,
    names: Vec<Reference>,
    push: bool,
    /// `tar=false`: a directory instead of a file.
    is_archive: bool,
    /// `platform-split=`: files of each platform in a directory of their own.
    split: Option<bool>,
}

/// A path alone is a directory of files, `-` a tar of them.
fn output(text: &str, to_terminal: bool, effects: &mut OutputEffects) -> Result<Output, FlagError> {
    let fields = csv::fields(text)?;
    if fields.len() == 1 && fields[0] == text && !text.starts_with("type=") {
        return match text {
            "-" if to_terminal => Err(FlagError::Terminal("tar".to_owned())),
            "-" => Ok(Output::Tar {
                file: None,
                split: None,
            }),
            path => Ok(Output::Local {
                directory: path.into(),
                split: None,
            }),
        };
    }
    let mut keys = Keys {
        is_archive: true,
        ..Keys::default()
    };
    for field in &fields {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| FlagError::OutputField(field.clone()))?;
        keys.take(&key.trim().to_ascii_lowercase(), value, effects)?;
    }
    keys.output(to_terminal)
}

impl Keys {
    fn take(
        &mut self,
        key: &str,
        value: &str,
        effects: &mut OutputEffects,
    ) -> Result<(), FlagError> {
        match key {
            "type" => self.kind = Some(value.to_owned()),
            "dest" => self.destination = Some(value.to_owned()).filter(|path| !path.is_empty()),
            "name" => {
                for text in value.split(',').filter(|text| !text.is_empty()) {
                    self.names.push(name(text)?);
                }
            }
            "push" => self.push = switch(key, value)?,
            "tar" => self.is_archive = switch(key, value)?,
            "platform-split" => self.split = Some(switch(key, value)?),
            "mode" if value == "copy" => {}
            "rewrite-timestamp" => effects.reproducible |= switch(key, value)?,
            // So it is anyway.
            "unpack"
            | "store"
            | "oci-mediatypes"
            | "name-canonical"
            | "buildinfo"
            | "buildinfo-attrs"
            | "dangling-name-prefix"
            | "prefer-nondist-layers"
            | "force-inline-attestations"
            | "attestation-prefix" => {}
            "compression" | "compression-level" | "force-compression" => {
                let reason = "layers are compressed when they are pushed";
                let warning = format!("--output {key}={value} has no effect: {reason}");
                effects.warnings.push(warning);
            }
            key => match key.strip_prefix("annotation") {
                Some(name) if name.starts_with(['.', '-', '[']) => {
                    let annotation = (annotated(name), value.to_owned());
                    effects.annotations.push(annotation);
                }
                _ => {
                    return Err(FlagError::OutputKey {
                        key: key.to_owned(),
                        value: value.to_owned(),
                    });
                }
            },
        }
        Ok(())
    }

    fn output(self, to_terminal: bool) -> Result<Output, FlagError> {
        let kind = self.kind.ok_or(FlagError::OutputType)?;
        let to_stdout = self.destination.as_deref().is_none_or(|path| path == "-");
        let file = self.destination.clone().filter(|path| path != "-");
        let file = file.map(PathBuf::from);
        let stream = || match file.clone() {
            None if to_terminal => Err(FlagError::Terminal(kind.clone())),
            file => Ok(file),
        };
        match kind.as_str() {
            "image" => Ok(Output::Image {
                names: self.names,
                push: self.push,
            }),
            "registry" => Ok(Output::Image {
                names: self.names,
                push: true,
            }),
            // Whoever has no daemon to load it into has the store.
            "docker" if self.destination.is_none() => Ok(Output::Image {
                names: self.names,
                push: false,
            }),
            "local" => match file {
                Some(directory) => Ok(Output::Local {
                    directory,
                    split: self.split,
                }),
                None => Err(FlagError::Destination(kind)),
            },
            "tar" => Ok(Output::Tar {
                file: stream()?,
                split: self.split,
            }),
            "docker" => Ok(Output::Docker(stream()?)),
            "oci" if !self.is_archive && to_stdout => Err(FlagError::Destination(kind)),
            "oci" => Ok(Output::Oci {
                destination: stream()?,
                is_archive: self.is_archive,
            }),
            "cacheonly" => Ok(Output::CacheOnly),
            _ => Err(FlagError::OutputKind(kind)),
        }
    }
}

/// `.KEY`, `-index.KEY` or `[PLATFORM].KEY` of an output, as `--annotation` has it.
fn annotated(name: &str) -> String {
    let (kind, name) = name.split_once('.').unwrap_or(("", name));
    match kind.strip_prefix('-') {
        Some(kind) => format!("{kind}:{name}"),
        None if kind.is_empty() => name.to_owned(),
        None => format!("manifest{kind}:{name}"),
    }
}

fn switch(key: &str, value: &str) -> Result<bool, FlagError> {
    match value {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(FlagError::OutputKey {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
    }
}
