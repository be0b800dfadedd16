//! Flags that decide what a container sees of files.

use clap::Args;
use shiplap_model::container::{
    Device, Mount, StorageOptions, device, memory, mount, tmpfs, volume,
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Storage Options")]
pub(super) struct StorageFlags {
    /// Add a host device to the container
    #[arg(long, value_name = "list", value_parser = device::parse)]
    device: Vec<Device>,
    /// Give the container the host's certificates, without a trace in images
    #[arg(long)]
    host_certs: bool,
    /// Attach a filesystem mount to the container
    #[arg(long, value_name = "mount", value_parser = mount::parse)]
    mount: Vec<Mount>,
    /// Mount the container's root filesystem as read only
    #[arg(long)]
    read_only: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "bytes", value_parser = memory::parse)]
    shm_size: Option<u64>,
    /// Mount a tmpfs directory
    #[arg(long, value_name = "list", value_parser = tmpfs::parse)]
    tmpfs: Vec<Mount>,
    /// Bind mount a volume
    #[arg(short, long, value_name = "list", value_parser = volume::parse)]
    volume: Vec<Mount>,
}

impl StorageFlags {
    pub(super) fn into_options(self) -> StorageOptions {
        let mounts = self.volume.into_iter().chain(self.mount).chain(self.tmpfs);
        StorageOptions {
            mounts: mounts.collect(),
            read_only: self.read_only,
            shm_bytes: self.shm_size.filter(|bytes| *bytes > 0),
            devices: self.device,
            host_certs: self.host_certs,
        }
    }
}
