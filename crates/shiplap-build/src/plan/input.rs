//! What a plan depends on besides the Dockerfile: what the caller decides, and the images that it
//! builds upon. Nothing here looks at a disk or a registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use shiplap_model::dockerfile::{Meant, Span};
use shiplap_model::{Digest, ImageConfig, Platform, Reference};

use super::ImageKey;
use super::epoch::{self, Epoch};
use crate::options::BuildOptions;

/// What the caller decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanInput {
    /// `--build-arg`s that have a value.
    pub build_args: BTreeMap<String, String>,
    /// `--label`s.
    pub labels: Vec<(String, String)>,
    /// `--target`: name or number of a stage; `None`: the last.
    pub target: Option<String>,
    /// `--platform`; `None`: what the base image is for, mostly the builder's.
    pub platform: Option<Platform>,
    /// What the builder itself is.
    pub build_platform: Platform,
    /// `--build-context`s by their short names.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// Several platforms are built, so progress says which one it is about.
    pub shows_platform: bool,
}

/// What a `--build-context` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// `docker-image://…` without that, or `oci-layout://…` as a whole.
    Image(String),
    /// `docker-image://scratch`.
    Scratch,
    /// A directory, an archive or a repository.
    Files,
}

impl PlanInput {
    /// What `options` say, for one platform of theirs, or for none in particular.
    #[must_use]
    pub fn new(
        options: &BuildOptions,
        platform: Option<&Platform>,
        build_platform: &Platform,
    ) -> Self {
        let given = options.values.build_args.iter();
        let epoch = options.values.source_date_epoch;
        let epoch = epoch.map(|seconds| (epoch::NAME.to_owned(), seconds.to_string()));
        let contexts = options.input.named_contexts.iter();
        Self {
            build_args: epoch
                .into_iter()
                .chain(given.filter_map(|(name, value)| Some((name.clone(), value.clone()?))))
                .collect(),
            labels: options.values.labels.clone(),
            target: options.input.target.clone(),
            platform: platform.map(Platform::normalize),
            build_platform: build_platform.normalize(),
            named_contexts: contexts
                .map(|(name, text)| (short_name(name), NamedContext::of(text)))
                .collect(),
            shows_platform: options.input.platforms.len() > 1,
        }
    }

    /// Says what `SOURCE_DATE_EPOCH` is, where it is to be taken from something; `None`: that has
    /// no time.
    pub fn set_epoch(&mut self, seconds: Option<i64>) {
        let text = seconds.map_or_else(String::new, |seconds| seconds.to_string());
        self.build_args.insert(epoch::NAME.to_owned(), text);
    }

    /// The named context that stands for the stage or image `name`, and its short name.
    #[must_use]
    pub fn named_context(&self, name: &str) -> Option<(String, &NamedContext)> {
        let is_reserved = ["scratch", "context"]
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved));
        if is_reserved || self.named_contexts.is_empty() {
            return None;
        }
        let short = short_name(name);
        let context = self.named_contexts.get(&short)?;
        Some((short, context))
    }

    /// The platform that is built for.
    #[must_use]
    pub fn target_platform(&self) -> &Platform {
        self.platform.as_ref().unwrap_or(&self.build_platform)
    }
}

impl NamedContext {
    /// What `text`, as written behind `name=`, names.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text.strip_prefix("docker-image://") {
            Some("scratch") => Self::Scratch,
            Some(image) => Self::Image(image.to_owned()),
            None if text.starts_with("oci-layout://") => Self::Image(text.to_owned()),
            None => Self::Files,
        }
    }
}

/// Under which name a context and an image meet: `alpine` for `alpine`, `alpine:latest` and
/// `docker.io/library/alpine`.
fn short_name(name: &str) -> String {
    match Reference::parse(name) {
        Ok(reference) => {
            let short = reference.familiar();
            short.strip_suffix(":latest").unwrap_or(&short).to_owned()
        }
        Err(_) => name.to_owned(),
    }
}

/// What is known of the images that a plan needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// By what was asked for.
    pub images: BTreeMap<ImageKey, ResolvedImage>,
}

/// What is known of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// Its config.
    pub config: Arc<ImageConfig>,
    /// Digest of what its name names, for progress.
    pub digest: Option<Digest>,
}

/// What a build needs before it can be planned to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Stages that the target reaches, by their numbers in the Dockerfile.
    pub stages: Vec<usize>,
    /// Images that are not resolved yet. Once they are, their triggers may need further ones: ask
    /// again until there is none.
    pub images: Vec<NeededImage>,
    /// Named contexts whose files are used.
    pub named_contexts: Vec<String>,
    /// Where `SOURCE_DATE_EPOCH` is to be taken from, if it is not a number: see
    /// [`PlanInput::set_epoch`].
    pub epoch: Option<Epoch>,
}

/// An image that is needed, and who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededImage {
    /// What is needed.
    pub key: ImageKey,
    /// The first instruction that needs it.
    pub span: Span,
    /// As that has it, variables expanded.
    pub text: String,
    /// The stage that may have been meant, if there is no such image.
    pub meant: Meant,
}
