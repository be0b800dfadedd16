//! `image ls REF PATH`, `image cat` and `image cp`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use shiplap_ops::files::{self, CopyTo, ListedFile};

use super::list::ListFlags;
use crate::{
    face::{self, Face, Failure},
    table::{Columns, Row},
    words,
};

const COLUMNS: Columns = Columns {
    row: "file",
    table: "{{.Mode}}\t{{.Owner}}\t{{.Size}}\t{{.ModifiedAt}}\t{{.Path}}{{if .Target}} -> {{.Target}}{{end}}",
    names: &[
        ("Layer", "LAYER"),
        ("Links", "LINKS"),
        ("Mode", "MODE"),
        ("ModifiedAt", "MODIFIED"),
        ("Owner", "OWNER"),
        ("Path", "PATH"),
        ("Size", "SIZE"),
        ("Target", ""),
    ],
};

/// Lists files of an image.
pub(crate) fn list(
    face: &Face,
    image: &str,
    path: &Path,
    recursive: bool,
    flags: &ListFlags,
) -> Result<(), Failure> {
    let session = face.session(true)?;
    let files = files::list(&session.context, image, path, recursive)?;
    flags.print(face, &COLUMNS, None, files.into_iter().map(row))
}

fn row(file: ListedFile) -> Row {
    let size = match file.device {
        Some((major, minor)) => format!("{major}, {minor}"),
        None => file.size_bytes.to_string(),
    };
    let modified = Timestamp::from_second(file.mtime_secs).ok();
    let modified = modified.map_or_else(String::new, |time| {
        time.strftime("%Y-%m-%d %H:%M:%S").to_string()
    });
    Row::new([
        (
            "Layer",
            file.layer
                .map_or_else(String::new, |layer| words::id(&layer.to_string(), false)),
        ),
        ("Links", file.links.to_string()),
        ("Mode", file.mode),
        ("ModifiedAt", modified),
        ("Owner", format!("{}:{}", file.uid, file.gid)),
        ("Path", file.path),
        ("Size", size),
        ("Target", file.target.unwrap_or_default()),
    ])
}

/// Print a file of an image
#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// Image to read from
    #[arg(value_name = "IMAGE")]
    image: String,
    /// File in the image
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

impl Cat {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        Ok(files::cat(
            &session.context,
            &self.image,
            &self.path,
            &mut face.output.stream(),
        )?)
    }
}

/// Copy files out of an image
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// Image to read from
    #[arg(value_name = "IMAGE")]
    image: String,
    /// File or directory in the image
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Where to; - writes a tar to STDOUT
    #[arg(value_name = "DEST|-", default_value = ".")]
    destination: PathBuf,
}

impl Cp {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let destination = face::file(Some(self.destination));
        if destination.is_none() && face.output.data_on_terminal() {
            return Err(Failure::plain(
                "cowardly refusing to write a tar to a terminal",
            ));
        }
        let session = face.session(true)?;
        let mut stream = face.output.stream();
        let to = destination.map_or(CopyTo::Stream(&mut stream), CopyTo::Path);
        Ok(files::copy(&session.context, &self.image, &self.path, to)?)
    }
}
