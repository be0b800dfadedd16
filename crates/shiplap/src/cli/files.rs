//! `image ls REF PATH`, `image cat` and `image cp`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use shiplap_ops::files::{self, CopyTo, ListedFile};

use super::list::ListFlags;
use crate::{
    face::{self, Face, Failure},
    table::Columns,
    words,
};

const COLUMNS: Columns<ListedFile> = Columns {
    row: "file",
    table: "{{.Mode}}\t{{.Owner}}\t{{.Size}}\t{{.ModifiedAt}}\t{{.Path}}{{if .Target}} -> {{.Target}}{{end}}",
    all: &[
        ("Layer", "LAYER", |file| match &file.layer {
            Some(layer) => words::id(layer.digest().as_str(), false),
            None => String::new(),
        }),
        ("Links", "LINKS", |file| file.links.to_string()),
        ("Mode", "MODE", |file| file.mode.clone()),
        ("ModifiedAt", "MODIFIED", modified),
        ("Owner", "OWNER", |file| {
            format!("{}:{}", file.uid, file.gid)
        }),
        ("Path", "PATH", |file| file.path.clone()),
        ("Size", "SIZE", |file| match file.device {
            Some((major, minor)) => format!("{major}, {minor}"),
            None => file.size_bytes.to_string(),
        }),
        ("Target", "", |file| file.target.clone().unwrap_or_default()),
    ],
};

fn modified(file: &ListedFile) -> String {
    let time = Timestamp::from_second(file.mtime_secs).ok();
    time.map_or_else(String::new, |time| {
        time.strftime("%Y-%m-%d %H:%M:%S").to_string()
    })
}

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
    flags.print(face, &COLUMNS, None, files)
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
