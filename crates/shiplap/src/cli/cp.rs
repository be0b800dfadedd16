//! `cp`: files between a container and here.

use std::{io, path::PathBuf};

use clap::Args;
use shiplap_model::units;
use shiplap_ops::container::{
    self,
    cp::{self, CopyOptions, CopyTo, Input, RootAccess},
};

use crate::face::{self, Face, Failure};

/// Copy files/folders between a container and the local filesystem
#[derive(Debug, Args)]
pub(crate) struct ContainerCp {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Suppress progress output during copy
    #[arg(short, long)]
    quiet: bool,
    /// CONTAINER:PATH, a path here, or - for a tar on STDIN
    #[arg(value_name = "SRC_PATH")]
    source: String,
    /// CONTAINER:PATH, a path here, or - for a tar on STDOUT
    #[arg(value_name = "DEST_PATH")]
    destination: String,
}

impl ContainerCp {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let context = &session.context;
        let options = CopyOptions {
            archive: self.archive,
            follow_link: self.follow_link,
        };
        let copied = match (inside(&self.source), inside(&self.destination)) {
            (Some((container, path)), None) => {
                let container = container::find(context, container)?;
                let root = RootAccess::of(context, &container)?;
                let mut stream = face.output.stream();
                let to = match face::file(Some(PathBuf::from(&self.destination))) {
                    Some(path) => CopyTo::Path(path),
                    None if face.output.data_on_terminal() => {
                        return Err(Failure::plain(
                            "cowardly refusing to write a tar to a terminal",
                        ));
                    }
                    None => CopyTo::Stream(&mut stream),
                };
                cp::copy_out(context, &root, path, to, options)?
            }
            (None, Some((name, path))) => {
                let container = container::find(context, name)?;
                if container.facts.options.storage.read_only {
                    return Err(Failure::plain("container rootfs is marked read-only"));
                }
                let root = RootAccess::of(context, &container)?;
                let mut stdin = io::stdin();
                let from = match face::file(Some(PathBuf::from(&self.source))) {
                    Some(path) => Input::File(path),
                    None => Input::Stream(&mut stdin),
                };
                cp::copy_in(context, from, &root, path, options)?
            }
            (Some(_), Some(_)) => {
                return Err(Failure::plain(
                    "copying between containers is not supported",
                ));
            }
            (None, None) => {
                return Err(Failure::plain("must specify at least one container source"));
            }
        };
        if !self.quiet && face.output.talk_on_terminal() {
            let size = units::human_size(copied);
            let to = &self.destination;
            face.output
                .talk(&format!("Successfully copied {size} to {to}"));
        }
        Ok(())
    }
}

/// A path in a container: what stands before the first colon names it, unless it looks like a path
/// of its own.
fn inside(argument: &str) -> Option<(&str, &str)> {
    let (container, path) = argument.split_once(':')?;
    let is_path =
        argument.starts_with(['/', '.']) || container.is_empty() || container.contains('/');
    (!is_path).then_some((container, path))
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn which_side_it_is_on() {
        let check = |argument: &str, found| assert_eq!(inside(argument), found, "{argument}");
        check("web:/etc", Some(("web", "/etc")));
        check("web:rel/x:y", Some(("web", "rel/x:y")));
        check("web:", Some(("web", "")));
        check("./a:b", None);
        check("/a:b", None);
        check("dir/a:b", None);
        check("plain", None);
        check("-", None);
        check(":x", None);
    }
}
