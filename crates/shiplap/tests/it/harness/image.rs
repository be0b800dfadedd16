//! Small images made by hand, and their forms: OCI layout, archives, blobs of a registry.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tar::{Entry, tar};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// `sha256:<hex>` of the bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

/// Only the hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// How a layer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Whose media types the documents name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Oci,
    Docker,
}

/// What an image is made of, before it is made.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    layers: Vec<Vec<u8>>,
    compression: Compression,
    family: Family,
    config: Value,
    extra: Value,
}

/// A made image: its documents and blobs as bytes.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) media_type: String,
    pub(crate) config: Vec<u8>,
    /// Uncompressed, base first.
    pub(crate) tars: Vec<Vec<u8>>,
    /// As sent, base first.
    pub(crate) blobs: Vec<Vec<u8>>,
}

/// An image of these layers, each a list of entries.
pub(crate) fn recipe(layers: &[&[Entry]]) -> Recipe {
    Recipe {
        layers: layers.iter().map(|entries| tar(entries)).collect(),
        compression: Compression::Gzip,
        family: Family::Oci,
        config: json!({ "Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"] }),
        extra: json!({}),
    }
}

/// A one-layer image that differs from every other with another word.
pub(crate) fn small(word: &str) -> Image {
    recipe(&[&[
        Entry::directory("etc"),
        Entry::file("etc/word", word.as_bytes()),
    ]])
    .make()
}

/// Two layers with a bit of everything that is no special case.
pub(crate) fn usual() -> Recipe {
    recipe(&[
        &[
            Entry::directory("etc"),
            Entry::file("etc/hostname", b"shiplap\n"),
            Entry::directory("usr"),
            Entry::directory("usr/bin"),
            Entry::file("usr/bin/tool", b"#!/bin/sh\n").mode(0o755),
            Entry::symlink("bin", "usr/bin"),
            Entry::file("etc/gone", b"soon"),
        ],
        &[
            Entry::directory("etc"),
            Entry::whiteout("etc", "gone"),
            Entry::file("etc/new", &[b'n'; 70_000]),
        ],
    ])
}

/// Bytes that do not compress, different for each seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl Recipe {
    pub(crate) fn compression(self, compression: Compression) -> Self {
        Self {
            compression,
            ..self
        }
    }

    pub(crate) fn family(self, family: Family) -> Self {
        Self { family, ..self }
    }

    /// The `config` object of the image config.
    pub(crate) fn config(self, config: Value) -> Self {
        Self { config, ..self }
    }

    /// Members of the image config that replace or add to the usual ones.
    pub(crate) fn extra(self, extra: Value) -> Self {
        Self { extra, ..self }
    }

    /// A layer of raw bytes on top.
    pub(crate) fn raw_layer(mut self, tar: Vec<u8>) -> Self {
        self.layers.push(tar);
        self
    }

    pub(crate) fn make(self) -> Image {
        let oci = self.family == Family::Oci;
        let blobs: Vec<Vec<u8>> = self
            .layers
            .iter()
            .map(|layer| compress(layer, self.compression))
            .collect();
        let diff_ids: Vec<String> = self.layers.iter().map(|layer| digest(layer)).collect();
        let history: Vec<Value> = (0..blobs.len())
            .map(
                |n| json!({ "created": "2023-11-14T22:13:20Z", "created_by": format!("step {n}") }),
            )
            .collect();
        let mut config = json!({
            "created": "2023-11-14T22:13:20Z",
            "architecture": "amd64",
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        });
        if let (Some(config), Some(extra)) = (config.as_object_mut(), self.extra.as_object()) {
            config.extend(extra.clone());
        }
        let config = serde_json::to_vec(&config).unwrap();
        let layers: Vec<Value> = blobs
            .iter()
            .map(|blob| descriptor(&layer_type(oci, self.compression), blob))
            .collect();
        let media_type = if oci { OCI_MANIFEST } else { DOCKER_MANIFEST };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": descriptor(if oci { OCI_CONFIG } else { DOCKER_CONFIG }, &config),
            "layers": layers,
        });
        Image {
            manifest: serde_json::to_vec(&manifest).unwrap(),
            media_type: media_type.to_owned(),
            config,
            tars: self.layers,
            blobs,
        }
    }
}

fn layer_type(oci: bool, compression: Compression) -> String {
    let base = if oci { OCI_LAYER } else { DOCKER_LAYER };
    match (compression, oci) {
        (Compression::None, _) => base.to_owned(),
        (Compression::Gzip, true) => format!("{base}+gzip"),
        (Compression::Gzip, false) => format!("{base}.gzip"),
        (Compression::Zstd, true) => format!("{base}+zstd"),
        (Compression::Zstd, false) => format!("{base}.zstd"),
    }
}

pub(crate) fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
    }
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// An index of these images, each for a platform `os/architecture[/variant]`.
pub(crate) fn index(family: Family, images: &[(&str, &Image)]) -> Vec<u8> {
    let manifests: Vec<Value> = images
        .iter()
        .map(|(platform, image)| {
            let mut parts = platform.split('/');
            let mut entry = descriptor(&image.media_type, &image.manifest);
            entry["platform"] = json!({ "os": parts.next(), "architecture": parts.next() });
            if let Some(variant) = parts.next() {
                entry["platform"]["variant"] = json!(variant);
            }
            entry
        })
        .collect();
    let media_type = match family {
        Family::Oci => OCI_INDEX,
        Family::Docker => DOCKER_LIST,
    };
    serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": manifests,
    }))
    .unwrap()
}

impl Image {
    /// Digest of the config.
    pub(crate) fn id(&self) -> String {
        digest(&self.config)
    }

    /// The 12 hex digits that tables show.
    pub(crate) fn short_id(&self) -> String {
        self.id()[7..19].to_owned()
    }

    /// Digest of the manifest.
    pub(crate) fn manifest_digest(&self) -> String {
        digest(&self.manifest)
    }

    pub(crate) fn diff_ids(&self) -> Vec<String> {
        self.tars.iter().map(|tar| digest(tar)).collect()
    }

    /// Config and layers by digest, as a registry has them.
    pub(crate) fn all_blobs(&self) -> BTreeMap<String, Vec<u8>> {
        self.blobs
            .iter()
            .chain([&self.config])
            .map(|blob| (digest(blob), blob.clone()))
            .collect()
    }

    /// Writes an OCI layout with this image under `tag`.
    pub(crate) fn write_layout(&self, folder: &Path, tag: &str) {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (name, bytes) in self.all_blobs() {
            fs::write(blobs.join(&name[7..]), bytes).unwrap();
        }
        fs::write(blobs.join(hex(&self.manifest)), &self.manifest).unwrap();
        let mut entry = descriptor(&self.media_type, &self.manifest);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] });
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
        fs::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
    }

    /// An `oci-archive`: the layout in a tar.
    pub(crate) fn oci_archive(&self, tag: &str) -> Vec<u8> {
        let mut entry = descriptor(&self.media_type, &self.manifest);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        let mut entries = vec![
            Entry::file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
            Entry::file("index.json", index.to_string().as_bytes()),
            Entry::file(
                &format!("blobs/sha256/{}", hex(&self.manifest)),
                &self.manifest,
            ),
        ];
        for (name, bytes) in self.all_blobs() {
            entries.push(Entry::file(&format!("blobs/sha256/{}", &name[7..]), &bytes));
        }
        tar(&entries)
    }

    /// A `docker-archive` as `docker save` writes it.
    pub(crate) fn docker_archive(&self, tags: &[&str]) -> Vec<u8> {
        docker_archive(&[(self, tags)])
    }
}

/// A `docker-archive` of several images with their tags.
pub(crate) fn docker_archive(images: &[(&Image, &[&str])]) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut manifest = Vec::new();
    for (image, tags) in images {
        let config = format!("{}.json", hex(&image.config));
        entries.push(Entry::file(&config, &image.config));
        let mut layers = Vec::new();
        for layer in &image.tars {
            let path = format!("{}/layer.tar", hex(layer));
            entries.push(Entry::file(&path, layer));
            layers.push(path);
        }
        manifest.push(json!({ "Config": config, "RepoTags": tags, "Layers": layers }));
    }
    entries.push(Entry::file(
        "manifest.json",
        Value::from(manifest).to_string().as_bytes(),
    ));
    tar(&entries)
}
