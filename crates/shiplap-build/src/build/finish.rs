//! After the last step: the documents of the images, their names, the outputs, and the cache for
//! others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use shiplap_model::annotation::Annotations;
use shiplap_model::{
    Descriptor, DiffId, Digest, ImageId, Index, Platform, Reference, limits, media_type,
};
use shiplap_ops::progress::Progress;
use shiplap_ops::remove::{self, RmiOptions};
use shiplap_store::{Lease, NewImage, StoreError};

use super::error::{BuildError, Cause};
use super::watch::Talk;
use crate::execute::StageEnd;
use crate::options::{BuildOptions, Output};
use crate::output::{Product, deliver, push_names};
use crate::plan::Plan;
use crate::remote_cache::{self, CacheBreadth, CachePlace, CacheTarget, RemoteStep};
use crate::report::{Reporter, Vertex};
use crate::result::{self, Times};
use crate::squash;

/// An image that was built.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltImage {
    /// What it is for.
    pub platform: Platform,
    /// Its ID.
    pub id: ImageId,
    /// Its manifest.
    pub manifest: Descriptor,
    /// It was not in the store before.
    pub is_new: bool,
}

/// What came of a build.
pub(super) struct Finished {
    pub(super) images: Vec<BuiltImage>,
    /// The index of several platforms.
    pub(super) index: Option<Descriptor>,
    pub(super) names: Vec<Reference>,
}

pub(super) struct Finishing<'f, 'a> {
    pub(super) ops: &'f shiplap_ops::Context,
    pub(super) lease: &'f Lease,
    pub(super) options: &'f BuildOptions,
    pub(super) reporter: &'f Reporter<'a>,
    pub(super) times: Times,
    /// Where the cache is put, for others.
    pub(super) caches: &'f [CacheTarget],
}

/// The documents of one image.
struct Documents {
    platform: Platform,
    config: Vec<u8>,
    manifest: Vec<u8>,
    annotations: Annotations,
}

impl Finishing<'_, '_> {
    /// Makes all that is wanted of what the plans came to.
    pub(super) fn finish(
        &self,
        plans: &[Plan],
        ends: &[Vec<Arc<StageEnd>>],
        stdout: &mut (dyn Write + Send),
    ) -> Result<Finished, BuildError> {
        let shared = ends.iter().flatten().flat_map(|end| end.shared.clone());
        let shared: Vec<RemoteStep> = shared.collect();
        let is_inline = |target: &CacheTarget| target.place == CachePlace::Inline;
        let inline = self.caches.iter().any(is_inline).then_some(&*shared);
        let mut documents = Vec::with_capacity(plans.len());
        for (plan, ends) in plans.iter().zip(ends) {
            documents.push(self.documents(plan, ends, inline)?);
        }
        let finished = self.put(&documents)?;
        let delivered = self.deliver(&finished, stdout);
        if !self.keeps_images() {
            self.forget(&finished)?;
        }
        delivered?;
        if let Some(first) = plans.first() {
            let targets = plans.iter().zip(ends);
            let targets = targets.filter_map(|(plan, ends)| ends.get(plan.target.0));
            let targets: Vec<_> = targets.collect();
            for target in self.caches {
                let steps = match target.breadth {
                    CacheBreadth::All => shared.clone(),
                    CacheBreadth::Image => of_images(&shared, &targets),
                };
                self.share(target, &steps, &first.platform)?;
            }
        }
        Ok(finished)
    }

    fn documents(
        &self,
        plan: &Plan,
        ends: &[Arc<StageEnd>],
        inline: Option<&[RemoteStep]>,
    ) -> Result<Documents, Cause> {
        let target = plan.target.0;
        let (Some(stage), Some(end)) = (plan.stages.get(target), ends.get(target)) else {
            return Err(Cause::Canceled);
        };
        let mut config =
            result::config(stage, end.base.config.as_deref(), &end.layers, self.times)?;
        let mut layers = end.layers.clone();
        if self.options.result.squash {
            layers = squash::layers(self.lease, &end.layers, end.base.layers)?;
        }
        if layers.len() < end.layers.len() {
            let own = stage
                .config
                .history
                .len()
                .saturating_sub(stage.base_history);
            let base_history = config.history.len().saturating_sub(own);
            squash::tell(&mut config, &layers, &end.base, base_history);
        }
        if layers.len() > limits::LAYERS {
            return Err(Cause::TooManyLayers {
                layers: layers.len(),
            });
        }
        if let Some(steps) = inline {
            let field = remote_cache::field(&of_images(steps, &[end]));
            config.rest.insert(remote_cache::FIELD.to_owned(), field);
        }
        let config = serde_json::to_vec(&config)?;
        let given = &self.options.values.annotations;
        let annotations = Annotations::of(given, &plan.platform)?;
        let manifest = result::manifest(&config, &layers, &annotations);
        Ok(Documents {
            platform: plan.platform.clone(),
            manifest: serde_json::to_vec(&manifest)?,
            config,
            annotations,
        })
    }

    /// Whether an image in the store is wanted.
    fn keeps_images(&self) -> bool {
        let outputs = &self.options.result.outputs;
        outputs.is_empty()
            || outputs
                .iter()
                .any(|output| matches!(output, Output::Image { .. }))
    }

    fn names(&self) -> Vec<Reference> {
        let result = &self.options.result;
        result.tags.iter().map(Reference::or_latest).collect()
    }

    /// Puts the images into the store, with their names if they are to stay.
    fn put(&self, documents: &[Documents]) -> Result<Finished, Cause> {
        let index = self.index(documents)?;
        let names = self.names();
        let tags: &[Reference] = if self.keeps_images() { &names } else { &[] };
        let host = &self.ops.settings().platform;
        let platforms = documents.iter().map(|one| Some(&one.platform));
        let named = host.choose(platforms).unwrap_or(0);
        let vertex = self.reporter.start("exporting to image");
        vertex.status("exporting layers");
        let mut finished = Finished {
            images: Vec::new(),
            index: index
                .as_ref()
                .map(|index| Descriptor::of(media_type::OCI_INDEX, index)),
            names: names.clone(),
        };
        let digest = finished.index.as_ref().map(|index| index.digest.clone());
        // The one that gets the names comes last: they never name an index that is not whole.
        let others = (0..documents.len()).filter(|number| *number != named);
        let mut images = BTreeMap::new();
        let put = others.chain([named]).try_for_each(|number| {
            let Some(one) = documents.get(number) else {
                return Ok(());
            };
            let tags = if number == named { tags } else { &[] };
            let index = index.as_deref().zip(digest.as_ref());
            images.insert(number, self.put_one(one, index, tags, &vertex)?);
            Ok(())
        });
        finished.images = images.into_values().collect();
        if let (Some(digest), Ok(())) = (&digest, &put) {
            vertex.status(&format!("exporting manifest list {digest}"));
        }
        match put {
            Ok(()) => vertex.done(),
            Err(cause) => {
                let cause: Cause = cause;
                vertex.failed(&cause.to_string());
                return Err(cause);
            }
        }
        Ok(finished)
    }

    fn index(&self, documents: &[Documents]) -> Result<Option<Vec<u8>>, Cause> {
        if documents.len() < 2 {
            return Ok(None);
        }
        let images = documents.iter().map(|one| {
            (
                one.manifest.clone(),
                one.platform.clone(),
                one.annotations.clone(),
            )
        });
        let images: Vec<_> = images.collect();
        let given = &self.options.values.annotations;
        let index: Index = result::index(&images, &Annotations::of_index(given)?);
        Ok(Some(serde_json::to_vec(&index)?))
    }

    fn put_one(
        &self,
        one: &Documents,
        index: Option<(&[u8], &Digest)>,
        tags: &[Reference],
        vertex: &Vertex<'_, '_>,
    ) -> Result<BuiltImage, Cause> {
        let manifest = Descriptor::of(media_type::OCI_MANIFEST, &one.manifest);
        let id = ImageId::from(Digest::of(&one.config));
        vertex.status(&format!("exporting manifest {}", manifest.digest));
        vertex.status(&format!("exporting config {id}"));
        for tag in tags {
            vertex.status(&format!("naming to {tag}"));
        }
        let mut image = BuiltImage {
            platform: one.platform.clone(),
            id,
            manifest,
            is_new: false,
        };
        let named_index = index.map(|(_, digest)| digest);
        if self.is_there(&image, named_index, tags)? {
            return Ok(image);
        }
        self.lease.put_blob(image.id.digest(), &one.config)?;
        self.lease.put_blob(&image.manifest.digest, &one.manifest)?;
        if let Some((bytes, digest)) = index {
            self.lease.put_blob(digest, bytes)?;
        }
        let put = self.lease.put_image(&NewImage {
            indexes: named_index.map_or(&[], std::slice::from_ref),
            tags,
            named_index,
            ..NewImage::of(&image.manifest.digest)
        })?;
        image.is_new = put.is_new;
        Ok(image)
    }

    /// Whether the image is in the store, of this index, with these names: then nothing is written.
    fn is_there(
        &self,
        image: &BuiltImage,
        index: Option<&Digest>,
        tags: &[Reference],
    ) -> Result<bool, StoreError> {
        let store = self.lease.store();
        let known = store.image_of_manifest(&image.manifest.digest)?;
        if known.as_ref() != Some(&image.id) {
            return Ok(false);
        }
        if let Some(index) = index
            && !store.image_indexes(&image.id)?.contains(index)
        {
            return Ok(false);
        }
        for tag in tags {
            let names_it = store.find(tag)?.as_ref() == Some(&image.id);
            if !names_it || store.named_index(tag)?.as_ref() != index {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn deliver(
        &self,
        finished: &Finished,
        stdout: &mut (dyn Write + Send),
    ) -> Result<(), BuildError> {
        let result = &self.options.result;
        let host = &self.ops.settings().platform;
        let platforms = finished.images.iter().map(|image| Some(&image.platform));
        let chosen = host.choose(platforms).unwrap_or(0);
        let Some(own) = finished.images.get(chosen) else {
            return Ok(());
        };
        let index = finished.index.as_ref().map(|index| &index.digest);
        let product = Product {
            images: &finished.images,
            own,
            index,
            names: &finished.names,
        };
        for output in &result.outputs {
            self.told(what(output), |progress| {
                deliver(self.ops, &product, output, stdout, progress).map_err(Cause::from)
            })?;
        }
        if result.push {
            self.told("pushing", |progress| {
                let pushed = push_names(self.ops, &product, progress);
                pushed.map_err(|error| Cause::Output(error.into()))
            })?;
        }
        Ok(())
    }

    /// Shows what a verb tells as one vertex.
    fn told(
        &self,
        name: &str,
        work: impl FnOnce(&dyn Progress) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        let talk = Talk::new(self.reporter, name.to_owned());
        let done = work(&talk);
        let failure = done.as_ref().err().map(ToString::to_string);
        talk.end(failure.as_deref());
        done
    }

    /// Takes images away that nobody wanted to keep.
    fn forget(&self, finished: &Finished) -> Result<(), Cause> {
        let new = finished.images.iter().filter(|image| image.is_new);
        let images: Vec<String> = new.map(|image| image.id.to_string()).collect();
        if images.is_empty() {
            return Ok(());
        }
        let options = RmiOptions {
            images,
            ..RmiOptions::default()
        };
        let report = remove::remove(self.ops, &options)?;
        for failure in report.failures {
            self.reporter.warn(&format!("the image stays: {failure}"));
        }
        Ok(())
    }

    fn share(
        &self,
        target: &CacheTarget,
        steps: &[RemoteStep],
        platform: &Platform,
    ) -> Result<(), Cause> {
        let place = &target.place;
        if *place == CachePlace::Inline {
            return Ok(());
        }
        let shared = self.told("exporting cache", |progress| {
            Ok(remote_cache::put(
                self.ops, place, steps, platform, progress,
            )?)
        });
        match shared {
            Err(cause) if target.ignores_errors => {
                self.reporter.warn(&cause.to_string());
                Ok(())
            }
            shared => shared,
        }
    }
}

/// The steps whose layers are in one of these images.
fn of_images(steps: &[RemoteStep], images: &[&Arc<StageEnd>]) -> Vec<RemoteStep> {
    let layers = images.iter().flat_map(|image| &image.layers);
    let layers: BTreeSet<&DiffId> = layers.map(|layer| &layer.diff_id).collect();
    let steps = steps.iter().filter(|step| layers.contains(&step.layer));
    steps.cloned().collect()
}

/// How progress calls the making of an output.
fn what(output: &Output) -> &'static str {
    match output {
        Output::Image { .. } => "pushing",
        Output::Local { .. } => "exporting to client directory",
        Output::Tar { .. } => "exporting to client tarball",
        Output::Oci { .. } => "exporting to oci image format",
        Output::Docker(_) => "exporting to docker image format",
        Output::CacheOnly => "exporting nothing",
    }
}

/// Says before anything is built that an output can't hold what is built.
pub(super) fn check_outputs(options: &BuildOptions) -> Result<(), Cause> {
    let platforms = options.input.platforms.len();
    let mut outputs = options.result.outputs.iter();
    match outputs.any(|output| matches!(output, Output::Docker(_))) && platforms > 1 {
        true => Err(Cause::OnePlatform { platforms }),
        false => Ok(()),
    }
}
