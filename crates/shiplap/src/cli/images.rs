//! `images`, and `image ls`, which also lists files.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use shiplap_ops::list::{self, ListOptions, ListOrder, ListedImage};

use super::{files, list::ListFlags};
use crate::{
    face::{self, Face, Failure},
    table::{Columns, Row},
    words,
};

/// List images
#[derive(Debug, Args)]
pub(crate) struct Images {
    #[command(flatten)]
    flags: ImagesFlags,
    /// Show only images of this name, or names that match this pattern
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// List images, or files of an image
#[derive(Debug, Args)]
pub(crate) struct ImageLs {
    #[command(flatten)]
    flags: ImagesFlags,
    /// List all files below PATH
    #[arg(short = 'R', long, requires = "path")]
    recursive: bool,
    /// Show only images of this name, or names that match this pattern; before PATH, an image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
    /// List the file or directory at this path of the image
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ImagesFlags {
    /// Show all images (default hides intermediate images)
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Filter output based on conditions provided: reference, before, since, label, dangling, until
    #[arg(short, long, value_name = "filter")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListFlags,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Order of the list
    #[arg(long, value_name = "string", default_value = "created")]
    sort: Sort,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    Created,
    Size,
    Name,
}

const NAMES: &[(&str, &str)] = &[
    ("Containers", "CONTAINERS"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("SharedSize", "SHARED SIZE"),
    ("Size", "SIZE"),
    ("Tag", "TAG"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("VirtualSize", "SIZE"),
];

const COLUMNS: Columns = Columns {
    row: "image",
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}",
    names: NAMES,
};

const DIGEST_TABLE: &str = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";

impl Images {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        self.flags.run(face, self.name)
    }
}

impl ImageLs {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match (self.name, self.path) {
            (Some(image), Some(path)) => {
                files::list(face, &image, &path, self.recursive, &self.flags.list)
            }
            (name, _) => self.flags.run(face, name),
        }
    }
}

impl ImagesFlags {
    fn run(self, face: &Face, name: Option<String>) -> Result<(), Failure> {
        let options = ListOptions {
            all: self.all,
            name,
            filters: face::filters(&self.filter)?,
            sort: match self.sort {
                Sort::Created => ListOrder::Created,
                Sort::Size => ListOrder::Size,
                Sort::Name => ListOrder::Name,
            },
            digests: self.digests || self.list.mentions(".Digest"),
        };
        let session = face.session(true)?;
        let images = list::list(&session.context, &options)?;
        let default = match (self.quiet, self.digests) {
            (true, _) => Some("{{.ID}}"),
            (false, true) => Some(DIGEST_TABLE),
            (false, false) => None,
        };
        let now = Timestamp::now();
        let rows = images
            .into_iter()
            .map(|image| row(image, self.no_trunc, now));
        self.list.print(face, &COLUMNS, default, rows)
    }
}

/// An image in the columns that Docker has.
pub(crate) fn row(image: ListedImage, whole: bool, now: Timestamp) -> Row {
    let none = || "<none>".to_owned();
    let created = image
        .created_secs
        .and_then(|second| Timestamp::from_second(second).ok());
    let size = words::size(image.content_bytes);
    Row::new([
        ("Containers", image.containers.to_string()),
        ("CreatedAt", words::at(created)),
        ("CreatedSince", words::since(created, now)),
        (
            "Digest",
            image.digest.map_or_else(none, |digest| digest.to_string()),
        ),
        ("ID", words::id(&image.id.to_string(), whole)),
        ("Repository", image.repository.unwrap_or_else(none)),
        ("SharedSize", "N/A".into()),
        ("Size", size.clone()),
        ("Tag", image.tag.unwrap_or_else(none)),
        ("UniqueSize", "N/A".into()),
        ("VirtualSize", size),
    ])
}
