//! Flags of Docker's builders that ask for what is not to be had without their daemon.

use crate::cli::foreign::{Foreign, Foreigners, switch, value};

/// Those of builds.
#[derive(Debug)]
pub(super) struct OfBuilds;

impl Foreigners for OfBuilds {
    const FLAGS: &'static [Foreign] = &FLAGS;
}

const NO_ATTESTATIONS: &str =
    "attestations are not made: sign or describe what was built afterwards";
const NO_LIMITS: &str = "steps are limited by --memory, --cpu-quota, --cpuset-cpus and --ulimit";
const WINDOWS: &str = "that is a word of Windows; leave it away";

const FLAGS: [Foreign; 12] = [
    value(
        "attest",
        &["type=provenance,disabled=true", "type=sbom,disabled=true"],
        NO_ATTESTATIONS,
    )
    .ignored(),
    value(
        "cgroup-parent",
        &[""],
        "a step's control group is always beside its peers'; leave it away",
    ),
    value("cpuset-mems", &[""], NO_LIMITS).ignored(),
    switch(
        "debug",
        &["false"],
        "all that a build says is in its log: see build logs",
    )
    .short('D')
    .ignored(),
    switch(
        "disable-content-trust",
        &["true"],
        "there are no notaries to ask; name images by digest, as FROM image@sha256:…",
    ),
    value("isolation", &["", "default"], WINDOWS),
    value(
        "policy",
        &[],
        "there are no policies of sources; name images by digest, as FROM image@sha256:…",
    ),
    value("provenance", &["false"], NO_ATTESTATIONS).ignored(),
    value("resource", &[], NO_LIMITS).ignored(),
    value("sbom", &["false"], NO_ATTESTATIONS).ignored(),
    value(
        "security-opt",
        &[],
        "RUN --security=insecure and --allow security.insecure do that",
    )
    .ignored(),
    switch("stream", &["false"], "the context is never sent anywhere").ignored(),
];
