//! Mounts of layers, and of stacks of layers, with a writable layer on top or without.
//!
//! Each layer is mounted detached (in no directory), overlayfs stacks the detached mounts, and
//! only the finished stack is attached where the caller wants it. The stack keeps its layers
//! alive, so one `umount` ends all. Kernels whose overlayfs can't take detached layers
//! (before 6.13) get the layers attached in a private temporary directory for the moment of the
//! mount.
//!
//! Beside them: a single file or directory by its handle, and memory for what must not reach a disk.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    move_mount, open_tree, unmount,
};
use serde::{Deserialize, Serialize};

/// Where the kernel finds one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayerSource {
    /// A layer index and the tars that hold its file data, in the order of the index's devices.
    Index {
        /// The EROFS image.
        index: PathBuf,
        /// The uncompressed tars.
        tars: Vec<PathBuf>,
    },
    /// An unpacked tree, with whiteouts in overlayfs' form.
    Tree(PathBuf),
}

/// A mount that failed, or that is not what was expected.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// One layer can't be mounted.
    #[error("mount layer index {}: {source}", path.display())]
    Layer {
        /// The index.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// An unpacked tree can't be opened.
    #[error("open layer tree {}: {source}", path.display())]
    Tree {
        /// The tree's directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A layer in memory can't be made.
    #[error("make a layer in memory: {source}")]
    Memory {
        /// What the kernel said.
        source: io::Error,
    },
    /// The stack can't be mounted.
    #[error("stack {layers} layers with overlayfs: {source}")]
    Stack {
        /// How many.
        layers: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The finished stack can't be attached.
    #[error("attach the mount at {}: {source}", path.display())]
    Attach {
        /// The directory wanted.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no mount of ours.
    #[error("unmount {}: no image is mounted there", path.display())]
    NotMounted {
        /// The directory named.
        path: PathBuf,
    },
    /// It can't be unmounted.
    #[error("unmount {}: {source}", path.display())]
    Unmount {
        /// The directory named.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The list of mounts can't be read.
    #[error("read the list of mounts: {source}")]
    List {
        /// What the kernel said.
        source: io::Error,
    },
}

/// A mounted image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// What [`mount_stack`] was told to call it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Before the name of every mount made here, in the list of mounts.
const SOURCE_PREFIX: &str = "shiplap:";

fn attributes() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOSUID
}

/// A layer in memory that is filled through its directory handle before it is stacked. It is
/// attached nowhere, and gone with the last mount that has it.
#[derive(Debug)]
pub struct MemoryLayer(OwnedFd);

impl MemoryLayer {
    /// An empty one.
    ///
    /// # Errors
    /// [`MountError::Memory`].
    pub fn new() -> Result<Self, MountError> {
        tmpfs(MountAttrFlags::empty())
            .map(Self)
            .map_err(|errno| MountError::Memory {
                source: errno.into(),
            })
    }

    /// Its root directory.
    ///
    /// # Errors
    /// [`MountError::Memory`].
    pub fn directory(&self) -> Result<OwnedFd, MountError> {
        self.0
            .try_clone()
            .map_err(|source| MountError::Memory { source })
    }
}

/// Where changes to a stack go.
#[derive(Debug, Clone, Copy)]
pub struct Writable<'a> {
    /// Directory that gets the changes, in overlayfs' form.
    pub upper: &'a Path,
    /// Directory of the same file system that overlayfs works in.
    pub work: &'a Path,
    /// Marks are `user.overlay.` attributes, as within a user namespace.
    pub user_marks: bool,
}

/// Mounts `layers`, base first, and `top` over them at the directory `target`: read-only (no
/// devices, no setuid), or as the root of a container if it is writable.
/// `name` is shown in the list of mounts. `scratch` is an existing private directory for
/// kernels that need one; it is empty again afterwards.
///
/// # Errors
/// [`MountError`]; nothing stays mounted.
pub fn mount_stack(
    layers: &[LayerSource],
    top: Option<MemoryLayer>,
    writable: Option<Writable<'_>>,
    name: &str,
    target: &Path,
    scratch: &Path,
) -> Result<(), MountError> {
    let stack_error = |errno: Errno| MountError::Stack {
        layers: layers.len(),
        source: errno.into(),
    };
    let mut lowers: Vec<OwnedFd> = top.map(|memory| memory.0).into_iter().collect();
    for layer in layers.iter().rev() {
        lowers.push(open_layer(layer)?);
    }
    while lowers.len() < 2 {
        // Overlayfs wants two.
        lowers.push(tmpfs(attributes()).map_err(stack_error)?);
    }
    let context = || overlay_context(name, writable);
    let attributes = match writable {
        Some(_) => MountAttrFlags::empty(),
        None => attributes(),
    };
    let stack = match overlay_of_detached(&lowers, context, attributes) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            overlay_of_attached(lowers, context, attributes, scratch)
        }
        result => result,
    }
    .map_err(stack_error)?;
    attach(stack.as_fd(), target).map_err(|errno| MountError::Attach {
        path: target.to_owned(),
        source: errno.into(),
    })
}

/// Mounts one layer index detached and lets it go again: proof that this kernel, and this
/// user's rights, are enough for layer indexes.
///
/// # Errors
/// [`MountError::Layer`] with the kernel's reason.
pub fn probe_index(index: &Path, tar: &Path) -> Result<(), MountError> {
    open_layer(&LayerSource::Index {
        index: index.to_owned(),
        tars: vec![tar.to_owned()],
    })
    .map(drop)
}

/// Ends the mount of ours at `target`.
///
/// # Errors
/// [`MountError::NotMounted`] if the mount there is not one of [`mounted`].
pub fn unmount_stack(target: &Path) -> Result<(), MountError> {
    let unmount_error = |source: io::Error| MountError::Unmount {
        path: target.to_owned(),
        source,
    };
    let path = fs::canonicalize(target).map_err(unmount_error)?;
    if !mounted()?.iter().any(|mount| mount.path == path) {
        return Err(MountError::NotMounted {
            path: target.to_owned(),
        });
    }
    unmount(&path, UnmountFlags::NOFOLLOW).map_err(|errno| unmount_error(errno.into()))
}

/// Takes away whatever is mounted at `target`, if anything is. Who uses it still may.
pub fn detach(target: &Path) {
    // Not mounted is as good as unmounted here.
    let _ = unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
}

/// Shows a file or directory that is open, without what is mounted below it, at `target` too: an
/// existing entry of the same kind. Within a user namespace nothing of the host's may be mounted
/// below it, as that would uncover what it hides.
///
/// # Errors
/// [`MountError::Attach`].
pub fn bind(handle: BorrowedFd<'_>, target: &Path) -> Result<(), MountError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(handle, "", flags)
        .and_then(|tree| attach(tree.as_fd(), target))
        .map_err(|errno| MountError::Attach {
            path: target.to_owned(),
            source: errno.into(),
        })
}

/// Mounts memory at the directory `target`, for nobody but root, that is never swapped out where the
/// kernel can promise that (Linux 6.4).
///
/// # Errors
/// [`MountError::Attach`].
pub fn mount_memory(target: &Path) -> Result<(), MountError> {
    let open = |stays: bool| {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(context.as_fd(), "source", "tmpfs")?;
        fsconfig_set_string(context.as_fd(), "mode", "0700")?;
        if stays {
            fsconfig_set_flag(context.as_fd(), "noswap")?;
        }
        finish(
            context.as_fd(),
            MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID,
        )
    };
    open(true)
        .or_else(|_| open(false))
        .and_then(|memory| attach(memory.as_fd(), target))
        .map_err(|errno| MountError::Attach {
            path: target.to_owned(),
            source: errno.into(),
        })
}

/// All images mounted in this mount namespace.
///
/// # Errors
/// [`MountError::List`].
pub fn mounted() -> Result<Vec<Mounted>, MountError> {
    let list = fs::read("/proc/self/mountinfo").map_err(|source| MountError::List { source })?;
    Ok(String::from_utf8_lossy(&list)
        .lines()
        .filter_map(parse_mount)
        .collect())
}

/// One line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)), if the mount is ours.
fn parse_mount(line: &str) -> Option<Mounted> {
    let (before, after) = line.split_once(" - ")?;
    let path = unescape(before.split(' ').nth(4)?);
    let mut fields = after.split(' ');
    let is_overlay = fields.next()? == "overlay";
    let name = unescape(fields.next()?);
    let name = name.strip_prefix(SOURCE_PREFIX)?;
    is_overlay.then(|| Mounted {
        name: name.to_owned(),
        path: PathBuf::from(path),
    })
}

/// Resolves the octal escapes of `/proc/self/mountinfo`.
fn unescape(field: &str) -> String {
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.as_bytes();
    while let Some((&first, rest)) = bytes.split_first() {
        let octal = (first == b'\\')
            .then(|| rest.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            out.push(byte);
            bytes = &rest[3..];
        } else {
            out.push(first);
            bytes = rest;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn open_layer(layer: &LayerSource) -> Result<OwnedFd, MountError> {
    match layer {
        LayerSource::Index { index, tars } => {
            erofs(index, tars).map_err(|errno| MountError::Layer {
                path: index.clone(),
                source: errno.into(),
            })
        }
        LayerSource::Tree(path) => {
            use rustix::fs::{Mode, OFlags};
            rustix::fs::open(
                path,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .map_err(|errno| MountError::Tree {
                path: path.clone(),
                source: errno.into(),
            })
        }
    }
}

fn erofs(index: &Path, tars: &[PathBuf]) -> Result<OwnedFd, Errno> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", index)?;
    for tar in tars {
        fsconfig_set_string(context.as_fd(), "device", tar)?;
    }
    finish(context.as_fd(), attributes())
}

/// An empty file system in memory, attached nowhere.
fn tmpfs(attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn finish(context: BorrowedFd<'_>, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    fsconfig_create(context)?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn overlay_context(name: &str, writable: Option<Writable<'_>>) -> Result<OwnedFd, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |key, value: &str| fsconfig_set_string(context.as_fd(), key, value);
    set("source", &format!("{SOURCE_PREFIX}{name}"))?;
    let Some(writable) = writable else {
        fsconfig_set_flag(context.as_fd(), "ro")?;
        return Ok(context);
    };
    fsconfig_set_string(context.as_fd(), "upperdir", writable.upper)?;
    fsconfig_set_string(context.as_fd(), "workdir", writable.work)?;
    if writable.user_marks {
        fsconfig_set_flag(context.as_fd(), "userxattr")?;
    } else {
        // The upper directory must hold each change whole, whatever this kernel's defaults are.
        set("redirect_dir", "off")?;
        set("metacopy", "off")?;
    }
    Ok(context)
}

/// Stacks mounts that are attached nowhere, top first.
fn overlay_of_detached(
    lowers: &[OwnedFd],
    context: impl Fn() -> Result<OwnedFd, Errno>,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = context()?;
    for lower in lowers {
        fsconfig_set_fd(context.as_fd(), "lowerdir+", lower)?;
    }
    finish(context.as_fd(), attributes)
}

/// Stacks mounts, top first, by attaching each below `scratch` for the moment.
fn overlay_of_attached(
    lowers: Vec<OwnedFd>,
    context: impl Fn() -> Result<OwnedFd, Errno>,
    attributes: MountAttrFlags,
    scratch: &Path,
) -> Result<OwnedFd, Errno> {
    let mut attached = Attached(Vec::new());
    let mut paths = Vec::new();
    for (number, lower) in lowers.into_iter().enumerate() {
        let directory = scratch.join(number.to_string());
        fs::create_dir(&directory)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        attached.0.push(directory.clone());
        match attach(lower.as_fd(), &directory) {
            Ok(()) => paths.push(directory),
            // An unpacked tree is a directory, no mount: it has a path of its own.
            Err(Errno::INVAL) => paths.push(PathBuf::from(format!(
                "/proc/self/fd/{}",
                rustix::fd::AsRawFd::as_raw_fd(&lower)
            ))),
            Err(errno) => return Err(errno),
        }
    }
    let context = context()?;
    let joined = paths
        .iter()
        .map(|path| path.to_string_lossy())
        .collect::<Vec<_>>()
        .join(":");
    fsconfig_set_string(context.as_fd(), "lowerdir", joined)?;
    finish(context.as_fd(), attributes)
}

/// Directories of a scratch directory that may have something attached; dropped, they are gone.
struct Attached(Vec<PathBuf>);

impl Drop for Attached {
    fn drop(&mut self) {
        for directory in &self.0 {
            // Not mounted is as good as unmounted here.
            let _ = unmount(directory, UnmountFlags::DETACH);
            let _ = fs::remove_dir(directory);
        }
    }
}

fn attach(mount: BorrowedFd<'_>, target: &Path) -> Result<(), Errno> {
    move_mount(
        mount,
        "",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

#[cfg(test)]
mod tests;
