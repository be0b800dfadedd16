//! Layers on their way to a registry, each in the form that costs least: one the repository holds, one it
//! can mount from another repository, one that is kept here, one that can be copied from where it came;
//! only then it is compressed anew.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;

use shiplap_layer::compress::{self, CompressError, Compressed, GzipLevel, ZstdLevel};
use shiplap_model::media_type::LayerCompression;
use shiplap_model::{Descriptor, Digest, Manifest};
use shiplap_registry::UploadMode;
use shiplap_store::{CompressedForm, LayerRecord};

use super::{Push, PushError};
use crate::acquire::short;
use crate::parallel;
use crate::progress::{Event, LayerState, Progress};

impl Push<'_> {
    /// Sees that the registry has all layers, and in which form.
    pub(super) fn layers(
        &self,
        layers: &[LayerRecord],
        own: Option<&Manifest>,
    ) -> Result<Vec<Descriptor>, PushError> {
        let forms = own
            .map(|manifest| manifest.layers.as_slice())
            .unwrap_or_default();
        let layers: Vec<_> = layers
            .iter()
            .enumerate()
            .map(|(number, layer)| (layer, forms.get(number)))
            .collect();
        let workers = self.context.settings().parallel_layers;
        parallel::map(&layers, workers, |(layer, form)| self.layer(layer, *form))
    }

    fn layer(
        &self,
        layer: &LayerRecord,
        own: Option<&Descriptor>,
    ) -> Result<Descriptor, PushError> {
        let forms = self.forms(layer, own)?;
        let repository = self.reference.repository();
        for form in &forms {
            let there = self.client.blob_exists(repository, &form.digest);
            if there.map_err(|error| self.transport(error))?.is_some() {
                self.tell(&form.digest, LayerState::Present);
                return self.settled(layer, form);
            }
        }
        for form in &forms {
            if self.mounted(form)? || self.sent_kept(form)? || self.copied(form)? {
                return self.settled(layer, form);
            }
        }
        self.compressed(layer)
    }

    /// The compressed forms that would do, the image's own first.
    fn forms(
        &self,
        layer: &LayerRecord,
        own: Option<&Descriptor>,
    ) -> Result<Vec<CompressedForm>, PushError> {
        let mut forms = self.store.compressed_forms(&layer.diff_id)?;
        forms.sort_by_key(|form| own.is_none_or(|own| own.digest != form.digest));
        forms.retain(|form| {
            self.compression
                .is_none_or(|wanted| LayerCompression::of(&form.media_type) == Some(wanted))
        });
        Ok(forms)
    }

    /// Has the registry take the blob from another of its repositories.
    fn mounted(&self, form: &CompressedForm) -> Result<bool, PushError> {
        let to = self.reference.repository();
        let siblings = form
            .locations
            .iter()
            .filter(|from| from.registry() == to.registry() && *from != to);
        for from in siblings {
            if self
                .client
                .mount(to, from, &form.digest)
                .map_err(|error| self.transport(error))?
            {
                self.tell(&form.digest, LayerState::Mounted { from: from.path() });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends the compressed form that is kept here.
    fn sent_kept(&self, form: &CompressedForm) -> Result<bool, PushError> {
        if !form.kept || !self.lease.hold_blob(&form.digest)? {
            return Ok(false);
        }
        let open = |offset: u64| -> io::Result<Box<dyn Read>> {
            let (mut reader, _) = self
                .store
                .open_blob(&form.digest)
                .map_err(io::Error::other)?;
            io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
            Ok(Box::new(reader))
        };
        let repository = self.reference.repository();
        self.client
            .upload(
                repository,
                &form.digest,
                form.size_bytes,
                &open,
                UploadMode::Auto,
            )
            .map_err(|error| self.transport(error))?;
        self.tell(&form.digest, LayerState::Pushed);
        Ok(true)
    }

    /// Copies the blob from where it came. That source may be gone: then it is no failure, the
    /// layer is compressed anew.
    fn copied(&self, form: &CompressedForm) -> Result<bool, PushError> {
        let to = self.reference.repository();
        for from in form.locations.iter().filter(|from| *from != to) {
            let blob = match self.client.open_blob(from, &form.digest, form.size_bytes) {
                Ok(blob) => blob,
                Err(error) => {
                    if matches!(error, shiplap_registry::Error::NotFound { .. }) {
                        self.store.forget_location(&form.digest, from)?;
                    }
                    continue;
                }
            };
            let mut blob = self.counted(&form.digest, form.size_bytes, blob);
            match self.client.upload_stream(to, &mut blob) {
                Ok(sent) if sent.digest == form.digest => {
                    self.tell(&form.digest, LayerState::Pushed);
                    return Ok(true);
                }
                Ok(_) => {}
                Err(shiplap_registry::Error::Source { .. }) => {}
                Err(error) => return Err(self.transport(error)),
            }
        }
        Ok(false)
    }

    /// Compresses the layer while it is sent.
    fn compressed(&self, layer: &LayerRecord) -> Result<Descriptor, PushError> {
        let wanted = self.compression.unwrap_or(LayerCompression::Gzip);
        let tar = self.store.open_tar(&layer.diff_id)?;
        let id = layer.diff_id.digest();
        let sent = if wanted == LayerCompression::None {
            let mut tar = self.counted(id, layer.tar_bytes, tar);
            self.client
                .upload_stream(self.reference.repository(), &mut tar)
        } else {
            self.send_compressed(layer, tar, wanted)?
        };
        let sent = sent.map_err(|error| self.transport(error))?;
        self.tell(id, LayerState::Pushed);
        let form = CompressedForm {
            digest: sent.digest,
            size_bytes: sent.size_bytes,
            media_type: wanted.oci_layer().to_owned(),
            kept: false,
            locations: Vec::new(),
        };
        self.settled(layer, &form)
    }

    fn send_compressed(
        &self,
        layer: &LayerRecord,
        tar: File,
        wanted: LayerCompression,
    ) -> Result<Result<shiplap_registry::Uploaded, shiplap_registry::Error>, PushError> {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let tar = self.counted(layer.diff_id.digest(), layer.tar_bytes, tar);
        let failed = |source| PushError::Compress {
            diff_id: layer.diff_id.clone(),
            source,
        };
        let (mut outlet, inlet) = io::pipe().map_err(|e| failed(CompressError::Write(e)))?;
        let compress = move || -> Result<Compressed, CompressError> {
            match wanted {
                LayerCompression::Zstd => compress::zstd(tar, inlet, ZstdLevel::default(), threads),
                _ => compress::gzip(tar, inlet, GzipLevel::default(), threads),
            }
        };
        std::thread::scope(|scope| {
            let compressor = scope.spawn(compress);
            let sent = self
                .client
                .upload_stream(self.reference.repository(), &mut outlet);
            // A compressor that still writes must not wait for a reader that has given up.
            drop(outlet);
            let compressed = compressor
                .join()
                .unwrap_or_else(|_| Err(CompressError::Write(io::ErrorKind::Other.into())));
            match (compressed, &sent) {
                // A pipe that was cut is the upload's failure.
                (Err(CompressError::Write(_)), Err(_)) => Ok(sent),
                (Err(source), _) => Err(failed(source)),
                (Ok(_), _) => Ok(sent),
            }
        })
    }

    /// Remembers that the repository has the form.
    fn settled(&self, layer: &LayerRecord, form: &CompressedForm) -> Result<Descriptor, PushError> {
        let locations = vec![self.reference.repository().clone()];
        self.store.record_compressed(
            &layer.diff_id,
            &CompressedForm {
                locations,
                ..form.clone()
            },
        )?;
        let media_type = form.media_type.clone();
        Ok(Descriptor::new(
            media_type,
            form.digest.clone(),
            form.size_bytes,
        ))
    }

    fn counted<'r, R: Read>(
        &'r self,
        digest: &'r Digest,
        total_bytes: u64,
        inner: R,
    ) -> Counted<'r, R> {
        Counted {
            inner,
            progress: self.progress,
            digest,
            done_bytes: 0,
            total_bytes,
        }
    }
}

/// A reader that tells how far it is.
struct Counted<'a, R> {
    inner: R,
    progress: &'a dyn Progress,
    digest: &'a Digest,
    done_bytes: u64,
    total_bytes: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done_bytes += count as u64;
        let (done_bytes, total_bytes) = (self.done_bytes, self.total_bytes);
        let state = LayerState::Pushing {
            done_bytes,
            total_bytes,
        };
        self.progress.event(Event::Layer {
            id: short(self.digest),
            state,
        });
        Ok(count)
    }
}
