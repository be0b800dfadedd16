//! What is mounted for a step, made in the mount namespace of its helper: each mount gets a place in
//! the step's own directory, which the OCI runtime then shows in the root.
//!
//! Paths in stages and contexts are resolved beneath handles of those. What is written to a stage or a
//! context goes to a directory that is thrown away.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use shiplap_layer::root::Root;
use shiplap_run::mounts::{self, LayerSource, MountError, Writable};
use shiplap_run::namespaces::in_user_namespace;
use shiplap_run::spec::{BundleMount, BundleMountSource};

use super::agent;
use super::request::{Access, Mount, MountKind};
use crate::container::bundle;

/// Why something can't be mounted for a step.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepMountError {
    /// The kernel refuses.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// What is to be mounted isn't there, or can't be opened.
    #[error("mount {path} at {target}: {source}")]
    Source {
        path: String,
        target: String,
        source: io::Error,
    },
    /// A file for it can't be made.
    #[error("make what is mounted at {target}: {source}")]
    Make { target: String, source: io::Error },
    /// It can't have the owner wanted.
    #[error("give {target} to {uid}:{gid}: {source}")]
    Own {
        target: String,
        uid: u32,
        gid: u32,
        source: io::Error,
    },
}

/// The mounts of one step.
pub(super) struct Mounts<'a> {
    /// Of the step.
    directory: &'a Path,
    has_memory: bool,
}

impl<'a> Mounts<'a> {
    /// Of the step in that directory.
    pub(super) fn new(directory: &'a Path) -> Self {
        Self {
            directory,
            has_memory: false,
        }
    }

    /// Makes one; `number` is its own. How the runtime shows it.
    pub(super) fn make(
        &mut self,
        number: usize,
        mount: Mount,
    ) -> Result<BundleMount, StepMountError> {
        let Mount {
            target,
            read_only,
            kind,
        } = mount;
        match kind {
            MountKind::Layers { layers, path } => {
                let root = self.stack(number, &layers, read_only, &target)?;
                let place = self.select(number, &root, &path, &target)?;
                Ok(bundle::bind(place, &target, read_only))
            }
            MountKind::Directory { host, path } => {
                let place = self.directory(number, host, &path, read_only, &target)?;
                Ok(bundle::bind(place, &target, read_only))
            }
            MountKind::Cache { host } => Ok(bundle::bind(host, &target, read_only)),
            MountKind::Tmpfs { size_bytes } => Ok(BundleMount {
                source: BundleMountSource::Tmpfs {
                    size_bytes,
                    mode: None,
                    copies_up: false,
                },
                target,
                read_only,
                options: Vec::new(),
            }),
            MountKind::Secret { bytes, access } => {
                let place = self.in_memory(number, &target)?;
                fs::write(&place, bytes).map_err(made(&target))?;
                give(&place, access, &target)?;
                let options = ["nosuid", "nodev"].map(str::to_owned).into();
                Ok(BundleMount {
                    options,
                    ..bundle::bind(place, &target, true)
                })
            }
            MountKind::Ssh { socket, access } => {
                let place = self.in_memory(number, &target)?;
                // An address of a socket is short, and this is the process's own directory.
                let near = place.strip_prefix(self.directory).unwrap_or(&place);
                let listener = UnixListener::bind(near).map_err(made(&target))?;
                give(&place, access, &target)?;
                agent::forward(listener, socket);
                Ok(bundle::bind(place, &target, false))
            }
        }
    }

    /// A new directory for a mount.
    fn fresh(&self, number: usize, name: &str, target: &str) -> Result<PathBuf, StepMountError> {
        let path = self.directory.join(format!("mount-{number}")).join(name);
        fs::create_dir_all(&path).map_err(made(target))?;
        Ok(path)
    }

    /// Stacks layers: their root.
    fn stack(
        &self,
        number: usize,
        layers: &[LayerSource],
        read_only: bool,
        target: &str,
    ) -> Result<Root, StepMountError> {
        let fresh = |name| self.fresh(number, name, target);
        let (root, scratch) = (fresh("root")?, fresh("scratch")?);
        let (upper, work) = (fresh("upper")?, fresh("work")?);
        let writable = Writable {
            upper: &upper,
            work: &work,
            user_marks: in_user_namespace(),
        };
        let writable = (!read_only).then_some(writable);
        mounts::mount_stack(layers, None, writable, target, &root, &scratch)?;
        Root::open(&root).map_err(|errno| made(target)(errno.into()))
    }

    /// A directory of the host, or an entry beneath it.
    fn directory(
        &self,
        number: usize,
        host: PathBuf,
        path: &str,
        read_only: bool,
        target: &str,
    ) -> Result<PathBuf, StepMountError> {
        if read_only {
            let root = Root::open(&host).map_err(|errno| StepMountError::Source {
                path: host.to_string_lossy().into_owned(),
                target: target.to_owned(),
                source: errno.into(),
            })?;
            match self.select(number, &root, path, target) {
                // Something is mounted below it that a user namespace may not uncover.
                Err(StepMountError::Mount(_)) => {}
                selected => return selected,
            }
        }
        let root = self.stack(number, &[LayerSource::Tree(host)], read_only, target)?;
        self.select(number, &root, path, target)
    }

    /// Shows the entry at `path` of `root`, links followed in it, at a place of its own. What is
    /// mounted below it is not shown, so nothing else of the host can be written through it.
    fn select(
        &self,
        number: usize,
        root: &Root,
        path: &str,
        target: &str,
    ) -> Result<PathBuf, StepMountError> {
        let failed = |errno: Errno| StepMountError::Source {
            path: path.to_owned(),
            target: target.to_owned(),
            source: errno.into(),
        };
        let path_inside = path.trim_start_matches('/').as_bytes();
        let entry = root.open_at(path_inside, OFlags::PATH).map_err(failed)?;
        let stat = rustix::fs::fstat(&entry).map_err(failed)?;
        let place = self.fresh(number, "", target)?.join("place");
        let made_place = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => fs::create_dir(&place),
            _ => File::create(&place).map(drop),
        };
        match made_place {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.map_err(made(target))?,
        }
        mounts::bind(entry.as_fd(), &place)?;
        Ok(place)
    }

    /// A place in memory, for one entry.
    fn in_memory(&mut self, number: usize, target: &str) -> Result<PathBuf, StepMountError> {
        let memory = self.directory.join("memory");
        if !self.has_memory {
            fs::create_dir_all(&memory).map_err(made(target))?;
            mounts::mount_memory(&memory)?;
            self.has_memory = true;
        }
        Ok(memory.join(number.to_string()))
    }
}

fn made(target: &str) -> impl FnOnce(io::Error) -> StepMountError {
    let target = target.to_owned();
    move |source| StepMountError::Make { target, source }
}

fn give(place: &Path, access: Access, target: &str) -> Result<(), StepMountError> {
    let Access { uid, gid, mode } = access;
    chown(place, Some(uid), Some(gid)).map_err(|source| StepMountError::Own {
        target: target.to_owned(),
        uid,
        gid,
        source,
    })?;
    // Last, so that nobody may open it before it is whose it is to be.
    fs::set_permissions(place, Permissions::from_mode(mode & 0o777)).map_err(made(target))
}
