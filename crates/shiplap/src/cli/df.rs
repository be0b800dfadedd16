//! `system df`.

use std::collections::HashMap;

use clap::Args;
use jiff::Timestamp;
use shiplap_model::units;
use shiplap_ops::{
    list::{self, ListOptions},
    usage::{self, Usage},
};

use super::list::ListFlags;
use crate::{
    face::{Face, Failure, Session},
    table::{Columns, Row},
    words,
};

/// Show disk usage
#[derive(Debug, Args)]
pub(crate) struct Df {
    #[command(flatten)]
    list: ListFlags,
    /// Show detailed information on space usage
    #[arg(short, long)]
    verbose: bool,
}

const COLUMNS: Columns = Columns {
    row: "disk usage",
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    names: &[
        ("Active", "ACTIVE"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("TotalCount", "TOTAL"),
        ("Type", "TYPE"),
    ],
};

const IMAGE_COLUMNS: Columns = Columns {
    row: "image usage",
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    names: &[
        ("Containers", "CONTAINERS"),
        ("CreatedSince", "CREATED"),
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("SharedSize", "SHARED SIZE"),
        ("Size", "SIZE"),
        ("Tag", "TAG"),
        ("UniqueSize", "UNIQUE SIZE"),
    ],
};

impl Df {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let usage = usage::usage(&session.context)?;
        if self.verbose {
            return self.images(face, &session, &usage);
        }
        self.list.print(face, &COLUMNS, None, rows(&usage))
    }

    fn images(&self, face: &Face, session: &Session, usage: &Usage) -> Result<(), Failure> {
        let sizes: HashMap<_, _> = usage
            .images
            .iter()
            .map(|image| (&image.id, image))
            .collect();
        let images = list::list(
            &session.context,
            &ListOptions {
                all: true,
                ..ListOptions::default()
            },
        )?;
        let now = Timestamp::now();
        let rows = images.into_iter().map(|image| {
            let size = sizes.get(&image.id);
            let none = || "<none>".to_owned();
            let created = image
                .created_secs
                .and_then(|second| Timestamp::from_second(second).ok());
            Row::new([
                ("Containers", image.containers.to_string()),
                ("CreatedSince", words::since(created, now)),
                ("ID", words::id(&image.id.to_string(), false)),
                ("Repository", image.repository.unwrap_or_else(none)),
                (
                    "SharedSize",
                    words::size(size.map_or(0, |size| size.shared_bytes)),
                ),
                ("Size", words::size(image.content_bytes)),
                ("Tag", image.tag.unwrap_or_else(none)),
                (
                    "UniqueSize",
                    words::size(size.map_or(0, |size| size.unique_bytes)),
                ),
            ])
        });
        if !self.list.is_chosen() {
            face.output.line("Images space usage:\n")?;
        }
        self.list.print(face, &IMAGE_COLUMNS, None, rows)
    }
}

fn rows(usage: &Usage) -> [Row; 3] {
    let row = |kind: &str, total: u64, active: u64, size: u64, reclaimable: Option<u64>| {
        let share = |bytes: u64| match u128::from(size) {
            0 => units::human_size(bytes),
            size => format!(
                "{} ({}%)",
                units::human_size(bytes),
                u128::from(bytes) * 100 / size
            ),
        };
        Row::new([
            ("Active", active.to_string()),
            ("Reclaimable", reclaimable.map_or_else(String::new, share)),
            ("Size", units::human_size(size)),
            ("TotalCount", total.to_string()),
            ("Type", kind.to_owned()),
        ])
    };
    let images = u64::try_from(usage.images.len()).unwrap_or(u64::MAX);
    let active = usage
        .images
        .iter()
        .filter(|image| image.containers > 0)
        .count();
    let active = u64::try_from(active).unwrap_or(u64::MAX);
    let derived = usage
        .index_bytes
        .saturating_add(usage.tree_bytes)
        .saturating_add(usage.staging_bytes);
    [
        row(
            "Images",
            images,
            active,
            usage.content_bytes,
            Some(usage.reclaimable_bytes),
        ),
        row(
            "Containers",
            usage.containers,
            0,
            usage.container_bytes,
            None,
        ),
        row(
            "Derived files",
            usage.layers,
            usage.layers,
            derived,
            Some(usage.staging_bytes),
        ),
    ]
}
