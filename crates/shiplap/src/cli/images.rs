//! `images`, and `image ls`, which also lists files.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use shiplap_model::Digest;
use shiplap_ops::list::{self, ListOptions, ListOrder, ListedImage};

use super::{files, list::ListFlags};
use crate::{
    face::{self, Face, Failure},
    table::Columns,
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

/// An image as it is to be shown.
pub(crate) struct Shown {
    pub(crate) image: ListedImage,
    /// Show the whole ID.
    pub(crate) whole: bool,
    pub(crate) now: Timestamp,
}

impl Shown {
    pub(crate) fn created(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.image.created_secs?).ok()
    }

    pub(crate) fn id(&self) -> String {
        words::id(self.image.id.digest().as_str(), self.whole)
    }

    pub(crate) fn repository(&self) -> String {
        or_none(self.image.repository.as_deref())
    }

    pub(crate) fn tag(&self) -> String {
        or_none(self.image.tag.as_deref())
    }
}

fn or_none(text: Option<&str>) -> String {
    text.unwrap_or("<none>").to_owned()
}

const COLUMNS: Columns<Shown> = Columns {
    row: "image",
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}",
    all: &[
        ("Containers", "CONTAINERS", |row| {
            row.image.containers.to_string()
        }),
        ("CreatedAt", "CREATED AT", |row| words::at(row.created())),
        ("CreatedSince", "CREATED", |row| {
            words::since(row.created(), row.now)
        }),
        ("Digest", "DIGEST", |row| {
            or_none(row.image.digest.as_ref().map(Digest::as_str))
        }),
        ("ID", "IMAGE ID", Shown::id),
        ("Repository", "REPOSITORY", Shown::repository),
        ("SharedSize", "SHARED SIZE", |_| "N/A".into()),
        ("Size", "SIZE", |row| words::size(row.image.content_bytes)),
        ("Tag", "TAG", Shown::tag),
        ("UniqueSize", "UNIQUE SIZE", |_| "N/A".into()),
        ("VirtualSize", "SIZE", |row| {
            words::size(row.image.content_bytes)
        }),
    ],
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
        let rows = images.into_iter().map(|image| Shown {
            image,
            whole: self.no_trunc,
            now,
        });
        self.list.print(face, &COLUMNS, default, rows)
    }
}
