//! What is written of a build when it is over: the image's ID, and buildx's metadata.

use std::{io, path::Path};

use serde_json::{Map, Value, json};
use shiplap_build::{BuildOptions, Report, options::Output};

use crate::face::Failure;

/// A file of an earlier build must not outlive one that fails.
pub(super) fn forget(id_file: Option<&Path>) -> Result<(), Failure> {
    match id_file.map(std::fs::remove_file) {
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(Failure::plain(
            format!("failed to remove the image ID file: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Whether an image is what was wanted, beside files.
pub(super) fn is_image(options: &BuildOptions) -> bool {
    let outputs = &options.result.outputs;
    let is_image = |output: &Output| matches!(output, Output::Image { .. });
    outputs.is_empty() || outputs.iter().any(is_image)
}

/// The image's ID; of several platforms the digest of their index.
pub(super) fn id(report: &Report) -> String {
    match (&report.index, report.images.first()) {
        (Some(index), _) => index.digest.to_string(),
        (None, Some(image)) => image.id.to_string(),
        (None, None) => String::new(),
    }
}

pub(super) fn write_id(path: &Path, report: &Report) -> Result<(), Failure> {
    write(path, &id(report))
}

/// The keys are buildx's.
pub(super) fn write_metadata(path: &Path, report: &Report) -> Result<(), Failure> {
    let mut metadata = Map::new();
    let mut put = |key: &str, value: Value| metadata.insert(key.to_owned(), value);
    let build = format!("default/default/{}", report.build);
    put("buildx.build.ref", json!(build));
    let image = report.images.first();
    let manifest = image.map(|image| &image.manifest);
    if let Some(described) = report.index.as_ref().or(manifest) {
        put("containerimage.descriptor", json!(described));
        put("containerimage.digest", json!(described.digest));
    }
    if let (None, Some(image)) = (&report.index, image) {
        put("containerimage.config.digest", json!(image.id));
    }
    if !report.names.is_empty() {
        let names: Vec<String> = report.names.iter().map(ToString::to_string).collect();
        put("image.name", json!(names.join(",")));
    }
    let text = serde_json::to_string_pretty(&metadata)
        .map_err(|error| Failure::plain(format!("failed to write the metadata: {error}")))?;
    write(path, &text)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::plain(format!("failed to write {}: {error}", path.display())))
}
