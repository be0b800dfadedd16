//! `slim`: an image again without what it carries for nothing. Layers keep their order and their split;
//! one that would lose next to nothing stays byte for byte what it is, so that it is still shared with
//! others. The same image and the same wishes give the same new image.
//!
//! Nothing is run but the check that was asked for, nothing mounted, and the image itself stays. Before the
//! new image gets its name, its tree is compared with that of the old one, entry for entry.

mod check;
mod choice;
mod compare;
mod document;
mod layer;
mod marking;
mod marks;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::File;
use std::io;

use serde::Serialize;
use shiplap_layer::export::ExportError;
use shiplap_layer::ingest::IngestError;
use shiplap_layer::stack::StackError;
use shiplap_layer::tar::WriteError;
use shiplap_model::{DiffId, DocumentError, ImageId, Reference};
use shiplap_store::{
    ImageError, LayerRecord, Lease, NewImage, PutImage, RemoveError, ResolveError, Store,
    StoreError,
};

use crate::analyze::paths::{Paths, PathsError};
use crate::analyze::waste::{self, WasteError};
use crate::base;
use crate::context::Context;
use crate::progress::{Event, Progress};
use crate::snapshot::{self, OpenLayers, SnapshotError};
use crate::step::Cancel;
use crate::transport::TransportError;
use crate::transport::docker_archive::fetched;

pub use self::check::{CheckError, Checked};
pub use self::choice::{Choice, ChoiceError, Kind};

use self::choice::Plan;
use self::layer::Written;

/// What to make of which image.
#[derive(Debug, Clone, Default)]
pub struct SlimOptions {
    /// The image.
    pub image: String,
    /// The new one's tag.
    pub reference: Option<Reference>,
    /// What goes besides what always goes.
    pub drop: Vec<Choice>,
    /// What stays in any case.
    pub keep: Vec<Choice>,
    /// The image whose layers stay as they are.
    pub keep_base: Option<String>,
    /// The command that has to end well in the new image.
    pub check: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct SlimReport {
    /// The image as it was.
    pub from: ImageId,
    /// The new one; the same if nothing goes, none after a dry run.
    pub id: Option<ImageId>,
    /// Sizes of all files in the layers before, in bytes.
    pub before_bytes: u64,
    /// The same afterwards.
    pub after_bytes: u64,
    /// The layers, base first.
    pub layers: Vec<SlimLayer>,
    /// What goes, the most bytes first.
    pub saved: Vec<Saving>,
    /// Patterns of what to drop that the image has nothing for.
    pub idle: Vec<String>,
    /// How the check ended.
    pub check: Option<Checked>,
}

/// What became of a layer.
#[derive(Debug, Clone, Serialize)]
pub struct SlimLayer {
    /// The layer as it was.
    pub from: DiffId,
    /// What it became: itself, another, or none if nothing of it is left or nothing was written.
    pub diff_id: Option<DiffId>,
    /// Sizes of its files before, in bytes.
    pub before_bytes: u64,
    /// The same afterwards.
    pub after_bytes: u64,
    /// Why it stays as it is, if it does.
    pub kept: Option<KeptBecause>,
}

/// Why a layer stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptBecause {
    /// It is the base's.
    Base,
    /// Nothing goes from it, or too little to write it anew.
    Clean,
}

/// What went of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saving {
    /// The kind, or the pattern that was asked for.
    pub kind: String,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why no image was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlimError {
    /// The image can't be opened.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// No such image.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A wish that means nothing.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// Its paths can't be had.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// Its waste can't be found.
    #[error(transparent)]
    Waste(#[from] WasteError),
    /// The layers can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A layer can't be read.
    #[error("read layer {diff_id}: {source}")]
    Read {
        /// Which.
        diff_id: DiffId,
        /// Why.
        source: io::Error,
    },
    /// The new layer can't be put together.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A layer can't be written.
    #[error("write layer {diff_id} anew: {source}")]
    Write {
        /// The layer as it was.
        diff_id: DiffId,
        /// Why.
        source: WriteError,
    },
    /// What was written is no layer.
    #[error("write a layer anew: {0}")]
    Layer(#[source] IngestError),
    /// Its config or manifest can't be read.
    #[error("read the documents of image {image}: {source}")]
    Document {
        /// The image.
        image: ImageId,
        /// Why.
        source: DocumentError,
    },
    /// The new tree is not what it has to be. Nothing was made.
    #[error(
        "slim {image}: the new image would have another /{} than it should; nothing is changed",
        String::from_utf8_lossy(path)
    )]
    Differs {
        /// The image.
        image: String,
        /// The first path that differs.
        path: Vec<u8>,
    },
    /// The base is no base of it.
    #[error("slim {image}: {base} is no base of it: its layers are not the first of the image's")]
    NoBase {
        /// The image.
        image: String,
        /// What was said to be the base.
        base: String,
    },
    /// The documents of the new image can't be made.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The new image can't be recorded.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image that failed its check can't be removed.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// It was interrupted.
    #[error("write the image: it was interrupted; nothing is changed")]
    Cancelled,
    /// The check can't be run.
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl SlimError {
    /// Whether it was interrupted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Cancelled | Self::Check(CheckError::Cancelled { .. })
        )
    }
}

/// A layer is written anew if this many bytes go from it, or one in [`WORTH_PART`]: a few bytes are
/// not worth that it is shared with no one any more.
const WORTH_BYTES: u64 = 1 << 20;

/// See [`WORTH_BYTES`].
const WORTH_PART: u64 = 100;

/// An image that is being made slim.
struct Work<'a> {
    options: &'a SlimOptions,
    from: ImageId,
    records: Vec<LayerRecord>,
    open: OpenLayers,
    paths: Paths,
    plan: Plan,
    /// Why a layer stays as it is.
    kept: Vec<Option<KeptBecause>>,
}

/// Makes the new image, or says what it would be. A check that ends badly is no error: then there is no new
/// image, and [`SlimReport::check`] says how it ended.
///
/// # Errors
/// [`SlimError`]; then there is no new image. So it is if it was cancelled.
pub fn slim(
    context: &Context,
    options: &SlimOptions,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<SlimReport, SlimError> {
    let store = context.store()?;
    let mut written = Vec::new();
    let made = make(context, options, &mut written, cancel, progress);
    // What no image has: all of it if there is none.
    if let Err(error) = store.discard_layers(&written) {
        tracing::warn!(%error, "layers that no image has stay until the next prune");
    }
    made
}

/// Makes the new image; `written` are the layers that were written for it.
fn make(
    context: &Context,
    options: &SlimOptions,
    written: &mut Vec<DiffId>,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<SlimReport, SlimError> {
    let store = context.store()?;
    let lease = store.lease()?;
    let work = look(store, &lease, options)?;
    let mut report = work.report();
    if options.dry_run {
        return Ok(report);
    }
    if report.layers.iter().all(|layer| layer.kept.is_some()) {
        return leave(context, &work, report, cancel, progress);
    }
    let Rewritten { layers, retimed } = rewrite(&lease, &work, written, cancel, progress)?;
    for (line, layer) in report.layers.iter_mut().zip(&layers) {
        line.diff_id = layer.as_ref().map(|layer| layer.diff_id.clone());
    }
    compare_trees(store, &work, &layers, &retimed)?;
    let put = record(&lease, &work, &layers, &report)?;
    report.id = Some(put.id.clone());
    if let Some(command) = &options.check {
        let checked = check::run(context, &put.id, command, cancel, progress);
        if !checked.as_ref().is_ok_and(Checked::is_green) {
            report.id = None;
            // The lease holds what it wrote.
            drop(lease);
            if put.is_new {
                check::undo(store, &put.id)?;
            }
        }
        report.check = Some(checked?);
    }
    if let (Some(id), Some(reference)) = (&report.id, &options.reference) {
        store.tag(id, &reference.or_latest())?;
    }
    Ok(report)
}

/// Nothing goes: the image itself gets the name.
fn leave(
    context: &Context,
    work: &Work<'_>,
    mut report: SlimReport,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<SlimReport, SlimError> {
    report.id = Some(work.from.clone());
    if let Some(command) = &work.options.check {
        let checked = check::run(context, &work.from, command, cancel, progress)?;
        if !checked.is_green() {
            report.id = None;
        }
        report.check = Some(checked);
    }
    if let (Some(id), Some(reference)) = (&report.id, &work.options.reference) {
        context.store()?.tag(id, &reference.or_latest())?;
    }
    Ok(report)
}

/// Opens the image and decides what goes.
fn look<'a>(store: &Store, lease: &Lease, options: &'a SlimOptions) -> Result<Work<'a>, SlimError> {
    let from = store.resolve(&options.image)?.id;
    let records = store.image_layers(&from)?;
    let diff_ids: Vec<_> = records.iter().map(|layer| layer.diff_id.clone()).collect();
    lease.hold_layers(&diff_ids)?;
    let base = match &options.keep_base {
        Some(base) => base_layers(store, options, base, &diff_ids)?,
        None => 0,
    };
    let open = snapshot::open_layers(store, &diff_ids)?;
    let paths = Paths::of(&open.stack)?;
    let tars: Vec<&File> = open.tars.iter().collect();
    let findings = waste::find(&paths, &tars)?;
    let mut plan = Plan::new(&paths, &open, &findings, options)?;
    let kept = kept_layers(&open, &paths, &plan, &records, base)?;
    plan.leave(&paths, &kept);
    Ok(Work {
        options,
        from,
        records,
        open,
        paths,
        plan,
        kept,
    })
}

/// Why each layer stays as it is, if it does. A layer that is worth it is written anew; so is one whose marks of
/// removal have nothing left to remove then.
fn kept_layers(
    open: &OpenLayers,
    paths: &Paths,
    plan: &Plan,
    records: &[LayerRecord],
    base: usize,
) -> Result<Vec<Option<KeptBecause>>, SlimError> {
    let mut wanted: Vec<_> = records
        .iter()
        .enumerate()
        .map(|(number, record)| {
            let gone = plan.gone_bytes(number);
            let is_worth = plan.is_asked(number)
                || gone >= WORTH_BYTES
                || gone > 0 && gone >= record.content_bytes / WORTH_PART;
            match (number < base, is_worth) {
                (true, _) => Some(KeptBecause::Base),
                (false, false) => Some(KeptBecause::Clean),
                (false, true) => None,
            }
        })
        .collect();
    loop {
        let mut kept = wanted.clone();
        keep_targets(open, paths, &mut kept)?;
        let idle = (base..records.len())
            .find(|number| wanted[*number].is_some() && marks::has_idle(paths, *number, &kept));
        match idle {
            Some(number) => wanted[number] = None,
            None => return Ok(kept),
        }
    }
}

/// A layer that stays may hold hard links to files of layers below it: then those stay, too.
fn keep_targets(
    open: &OpenLayers,
    paths: &Paths,
    kept: &mut [Option<KeptBecause>],
) -> Result<(), SlimError> {
    for (number, layer) in open.stack.layers().iter().enumerate().rev() {
        if kept.get(number).is_none_or(Option::is_none) {
            continue;
        }
        let links = layer.links_below().map_err(|source| PathsError::Layer {
            layer: number,
            source,
        })?;
        for link in links {
            let Some(newest) = paths.find(&link.target).and_then(|at| paths.newest(at)) else {
                continue;
            };
            let all = std::iter::once(newest).chain(paths.older(newest));
            for entry in all.map(|id| usize::from(paths.entry(id).layer)) {
                if let Some(why) = kept.get_mut(entry).filter(|_| entry < number) {
                    why.get_or_insert(KeptBecause::Clean);
                }
            }
        }
    }
    Ok(())
}

/// How many layers the base has.
fn base_layers(
    store: &Store,
    options: &SlimOptions,
    base: &str,
    layers: &[DiffId],
) -> Result<usize, SlimError> {
    let id = store.resolve(base)?.id;
    let below = store.image_layers(&id)?;
    if !base::are_lowest(&below, layers.iter()) {
        return Err(SlimError::NoBase {
            image: options.image.clone(),
            base: base.to_owned(),
        });
    }
    Ok(below.len())
}

impl Work<'_> {
    fn report(&self) -> SlimReport {
        let layers: Vec<_> = self
            .records
            .iter()
            .zip(&self.kept)
            .enumerate()
            .map(|(number, (record, kept))| SlimLayer {
                from: record.diff_id.clone(),
                diff_id: kept.map(|_| record.diff_id.clone()),
                before_bytes: record.content_bytes,
                after_bytes: record
                    .content_bytes
                    .saturating_sub(self.plan.gone_bytes(number)),
                kept: *kept,
            })
            .collect();
        SlimReport {
            from: self.from.clone(),
            id: None,
            before_bytes: layers.iter().map(|layer| layer.before_bytes).sum(),
            after_bytes: layers.iter().map(|layer| layer.after_bytes).sum(),
            layers,
            saved: self.plan.savings(),
            idle: self.plan.idle(&self.options.drop),
            check: None,
        }
    }
}

/// The new layers.
struct Rewritten {
    /// Base first; `None` for one of which nothing is left.
    layers: Vec<Option<LayerRecord>>,
    /// Directories of which such a layer changed the time.
    retimed: HashSet<Vec<u8>>,
}

/// Writes the layers that change, base first; `written` gets all that was written.
fn rewrite(
    lease: &Lease,
    work: &Work<'_>,
    written: &mut Vec<DiffId>,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<Rewritten, SlimError> {
    let store = lease.store();
    let mut layers: Vec<Option<LayerRecord>> = Vec::new();
    let mut retimed = HashSet::new();
    for (number, record) in work.records.iter().enumerate() {
        if work.kept.get(number).is_some_and(Option::is_some) {
            layers.push(Some(record.clone()));
            continue;
        }
        if cancel.is_cancelled() {
            return Err(SlimError::Cancelled);
        }
        let below: Vec<_> = layers.iter().flatten().map(|l| l.diff_id.clone()).collect();
        let below = snapshot::open_layers(store, &below)?.stack;
        let id = record.diff_id.digest().encoded();
        progress.event(Event::Status(&format!(
            "writing layer {} of {} ({}) anew",
            number + 1,
            work.records.len(),
            id.get(..12).unwrap_or(id)
        )));
        let mut content = Written::default();
        let layer = crate::layer::put(
            lease,
            |out| {
                content = layer::write(work, number, &below, out)?;
                Ok(())
            },
            SlimError::Layer,
        )?;
        written.push(layer.diff_id.clone());
        if !content.is_worth {
            retimed.extend(content.retimed);
        }
        layers.push(content.is_worth.then_some(layer));
    }
    Ok(Rewritten { layers, retimed })
}

/// Compares what the new layers show with what they have to.
fn compare_trees(
    store: &Store,
    work: &Work<'_>,
    layers: &[Option<LayerRecord>],
    retimed: &HashSet<Vec<u8>>,
) -> Result<(), SlimError> {
    let diff_ids: Vec<_> = layers.iter().flatten().map(|l| l.diff_id.clone()).collect();
    let new = snapshot::open_layers(store, &diff_ids)?.stack;
    match compare::first_difference(work, &new, retimed)? {
        Some(path) => Err(SlimError::Differs {
            image: work.options.image.clone(),
            path,
        }),
        None => Ok(()),
    }
}

/// Records the image, without a name.
fn record(
    lease: &Lease,
    work: &Work<'_>,
    layers: &[Option<LayerRecord>],
    report: &SlimReport,
) -> Result<PutImage, SlimError> {
    let config = document::config(lease.store(), work, layers, report)?;
    let config = fetched(&config)?;
    let manifest = document::manifest(lease.store(), work, layers, &config.bytes)?;
    let manifest = fetched(&manifest)?;
    lease.put_blob(&config.digest, &config.bytes)?;
    lease.put_blob(&manifest.digest, &manifest.bytes)?;
    Ok(lease.put_image(&NewImage::of(&manifest.digest))?)
}
