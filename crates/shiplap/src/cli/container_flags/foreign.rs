//! Flags of Docker's `run` that ask for what is not to be had without its daemon.

use crate::cli::foreign::{Foreign, Foreigners, switch, value};

/// Those of containers.
#[derive(Debug)]
pub(super) struct OfContainers;

impl Foreigners for OfContainers {
    const FLAGS: &'static [Foreign] = &FLAGS;
}

const NO_DISK_LIMITS: &str = "input and output of disks can't be limited";
const NO_HEALTH: &str = "there is no daemon that would check a container's health";
const NO_NETWORKS: &str = "networks have no addresses or names to be chosen";
const NO_REALTIME: &str = "processors can't be limited in real time";
const NO_VOLUME_DRIVERS: &str = "volumes are always directories of the store";
const OWN_NAMESPACE: &str = "a container always has such a namespace of its own";

const FLAGS: [Foreign; 46] = [
    value(
        "annotation",
        &[],
        "annotations are not passed to the OCI runtime",
    ),
    value("blkio-weight", &["0"], NO_DISK_LIMITS),
    value("blkio-weight-device", &[], NO_DISK_LIMITS),
    value(
        "cgroup-parent",
        &[""],
        "a container's control group is always beside its peers'",
    ),
    value("cgroupns", &["", "private"], OWN_NAMESPACE),
    value("cpu-rt-period", &["0"], NO_REALTIME),
    value("cpu-rt-runtime", &["0"], NO_REALTIME),
    value("cpuset-mems", &[""], "nodes of memory can't be chosen"),
    value(
        "device-cgroup-rule",
        &[],
        "devices are only given by their paths, with --device",
    ),
    value("device-read-bps", &[], NO_DISK_LIMITS),
    value("device-read-iops", &[], NO_DISK_LIMITS),
    value("device-write-bps", &[], NO_DISK_LIMITS),
    value("device-write-iops", &[], NO_DISK_LIMITS),
    switch(
        "disable-content-trust",
        &["true"],
        "there are no notaries to ask",
    ),
    value(
        "gpus",
        &[],
        "there is no driver that would set GPUs up; --device gives device nodes",
    ),
    value("health-cmd", &[], NO_HEALTH),
    value("health-interval", &["0", "0s"], NO_HEALTH),
    value("health-retries", &["0"], NO_HEALTH),
    value("health-start-interval", &["0", "0s"], NO_HEALTH),
    value("health-start-period", &["0", "0s"], NO_HEALTH),
    value("health-timeout", &["0", "0s"], NO_HEALTH),
    value("ip", &[], NO_NETWORKS),
    value("ip6", &[], NO_NETWORKS),
    value("ipc", &["", "private", "shareable"], OWN_NAMESPACE),
    value("isolation", &["", "default"], "that is a word of Windows"),
    value("kernel-memory", &["0"], "kernels no longer limit it apart"),
    value("link", &[], NO_NETWORKS),
    value("link-local-ip", &[], NO_NETWORKS),
    value("mac-address", &[], NO_NETWORKS),
    value(
        "memory-reservation",
        &["0"],
        "memory has no soft limit; --memory is the hard one",
    ),
    value(
        "memory-swappiness",
        &["-1"],
        "it can't be chosen for one container",
    ),
    value("net-alias", &[], NO_NETWORKS),
    value("network-alias", &[], NO_NETWORKS),
    switch("no-healthcheck", &["true", "false"], NO_HEALTH),
    switch(
        "oom-kill-disable",
        &["false"],
        "the kernel may always end a container's processes",
    ),
    value("pid", &["", "private"], OWN_NAMESPACE),
    value(
        "storage-opt",
        &[],
        "a container's own files are only limited by the disk",
    ),
    switch(
        "use-api-socket",
        &["false"],
        "there is no daemon with a socket",
    ),
    value(
        "userns",
        &["", "host"],
        "the user namespace is always that of whoever calls",
    ),
    value("uts", &["", "private"], OWN_NAMESPACE),
    value("volume-driver", &["", "local"], NO_VOLUME_DRIVERS),
    value(
        "volumes-from",
        &[],
        "name the volumes with -v; inspect lists those of a container",
    ),
    value("cpu-count", &["0"], "that is a flag for Windows"),
    value("cpu-percent", &["0"], "that is a flag for Windows"),
    value("io-maxbandwidth", &["0"], "that is a flag for Windows"),
    value("io-maxiops", &["0"], "that is a flag for Windows"),
];
