//! `system df`.

use std::collections::HashMap;

use clap::Args;
use jiff::Timestamp;
use shiplap_model::{Filters, units};
use shiplap_ops::{
    build_cache,
    container::{
        self,
        list::{ListedContainer, PsOptions},
        volume,
    },
    list::{self, ListOptions},
    usage::{self, Usage},
};

use super::{builder, images::Shown, list::ListFlags, ps};
use crate::{
    face::{Face, Failure, Session},
    table::Columns,
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

/// What one kind of thing takes.
struct KindUsage {
    kind: &'static str,
    total: u64,
    active: u64,
    size_bytes: u64,
    reclaimable_bytes: Option<u64>,
}

impl KindUsage {
    fn reclaimable(&self) -> String {
        let Some(bytes) = self.reclaimable_bytes else {
            return String::new();
        };
        let text = units::human_size(bytes);
        match u128::from(self.size_bytes) {
            0 => text,
            size => format!("{text} ({}%)", u128::from(bytes) * 100 / size),
        }
    }
}

const COLUMNS: Columns<KindUsage> = Columns {
    row: "disk usage",
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    all: &[
        ("Active", "ACTIVE", |row| row.active.to_string()),
        ("Reclaimable", "RECLAIMABLE", KindUsage::reclaimable),
        ("Size", "SIZE", |row| units::human_size(row.size_bytes)),
        ("TotalCount", "TOTAL", |row| row.total.to_string()),
        ("Type", "TYPE", |row| row.kind.to_owned()),
    ],
};

/// An image with what of it is its own.
struct ShownUsage {
    shown: Shown,
    shared_bytes: u64,
    unique_bytes: u64,
}

const IMAGE_COLUMNS: Columns<ShownUsage> = Columns {
    row: "image usage",
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    all: &[
        ("Containers", "CONTAINERS", |row| {
            row.shown.image.containers.to_string()
        }),
        ("CreatedSince", "CREATED", |row| {
            words::since(row.shown.created(), row.shown.now)
        }),
        ("ID", "IMAGE ID", |row| row.shown.id()),
        ("Repository", "REPOSITORY", |row| row.shown.repository()),
        ("SharedSize", "SHARED SIZE", |row| {
            words::size(row.shared_bytes)
        }),
        ("Size", "SIZE", |row| {
            words::size(row.shown.image.content_bytes)
        }),
        ("Tag", "TAG", |row| row.shown.tag()),
        ("UniqueSize", "UNIQUE SIZE", |row| {
            words::size(row.unique_bytes)
        }),
    ],
};

impl Df {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let usage = usage::usage(&session.context)?;
        if self.verbose {
            return self.images(face, &session, &usage);
        }
        let containers = containers(&session, &usage)?;
        let volumes = volumes(&session)?;
        let cache = cache(&session, &usage)?;
        let rows = rows(&usage, [containers, volumes, cache]);
        self.list.print(face, &COLUMNS, None, rows)
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
            ShownUsage {
                shared_bytes: size.map_or(0, |size| size.shared_bytes),
                unique_bytes: size.map_or(0, |size| size.unique_bytes),
                shown: Shown {
                    image,
                    whole: false,
                    now,
                },
            }
        });
        if self.list.is_chosen() {
            return self.list.print(face, &IMAGE_COLUMNS, None, rows);
        }
        face.output.line("Images space usage:\n")?;
        self.list.print(face, &IMAGE_COLUMNS, None, rows)?;
        face.output.line("\nContainers space usage:\n")?;
        let rows = listed(session)?.into_iter().map(|listed| ps::Shown {
            listed,
            whole: false,
            now,
        });
        self.list
            .print(face, &ps::COLUMNS, Some(CONTAINER_TABLE), rows)?;
        face.output.line("\nLocal Volumes space usage:\n")?;
        self.list
            .print(face, &VOLUME_COLUMNS, None, volume_rows(session)?)?;
        let kept = units::human_size(usage.cache_bytes);
        face.output
            .line(&format!("\nBuild cache usage: {kept}\n"))?;
        let objects = build_cache::list(&session.context, &Filters::default())?;
        let rows = objects
            .into_iter()
            .map(|object| builder::ShownObject { object, now });
        self.list
            .print(face, &builder::CACHE_COLUMNS, Some(CACHE_TABLE), rows)
    }
}

const CACHE_TABLE: &str = "table {{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}";

const CONTAINER_TABLE: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";

/// A volume with what it takes.
struct VolumeUsage {
    name: String,
    links: usize,
    size_bytes: u64,
}

const VOLUME_COLUMNS: Columns<VolumeUsage> = Columns {
    row: "volume usage",
    table: "{{.Name}}\t{{.Links}}\t{{.Size}}",
    all: &[
        ("Links", "LINKS", |row| row.links.to_string()),
        ("Name", "VOLUME NAME", |row| row.name.clone()),
        ("Size", "SIZE", |row| units::human_size(row.size_bytes)),
    ],
};

fn volume_rows(session: &Session) -> Result<Vec<VolumeUsage>, Failure> {
    let used = volume::in_use(&session.context)?;
    let volumes = volume::list(&session.context)?.into_iter();
    Ok(volumes
        .map(|volume| VolumeUsage {
            size_bytes: volume::size_bytes(&volume),
            links: used.get(&volume.name).copied().unwrap_or(0),
            name: volume.name,
        })
        .collect())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn listed(session: &Session) -> Result<Vec<ListedContainer>, Failure> {
    let options = PsOptions {
        all: true,
        sizes: true,
        ..PsOptions::default()
    };
    Ok(container::list::list(&session.context, &options)?)
}

/// The containers; what those that don't run have changed could be had back.
fn containers(session: &Session, usage: &Usage) -> Result<KindUsage, Failure> {
    let listed = listed(session)?;
    let (live, ended): (Vec<_>, Vec<_>) = listed
        .iter()
        .partition(|listed| listed.state.status.is_live());
    let sizes = ended.iter().filter_map(|ended| ended.size_bytes);
    let reclaimable: u64 = sizes.map(|(own, _)| own).sum();
    Ok(KindUsage {
        kind: "Containers",
        total: count(listed.len()),
        active: count(live.len()),
        size_bytes: usage.container_bytes,
        reclaimable_bytes: Some(reclaimable.min(usage.container_bytes)),
    })
}

/// The volumes; those that no container has could be had back.
fn volumes(session: &Session) -> Result<KindUsage, Failure> {
    let volumes = volume_rows(session)?;
    let (active, idle): (Vec<_>, Vec<_>) = volumes.iter().partition(|volume| volume.links > 0);
    let sum = |volumes: &[&VolumeUsage]| volumes.iter().map(|volume| volume.size_bytes).sum();
    let (used_bytes, idle_bytes): (u64, u64) = (sum(&active), sum(&idle));
    Ok(KindUsage {
        kind: "Local Volumes",
        total: count(volumes.len()),
        active: count(active.len()),
        size_bytes: used_bytes.saturating_add(idle_bytes),
        reclaimable_bytes: Some(idle_bytes),
    })
}

/// What builds keep; what none is at work with could be had back.
fn cache(session: &Session, usage: &Usage) -> Result<KindUsage, Failure> {
    let objects = build_cache::list(&session.context, &Filters::default())?;
    let active = objects.iter().filter(|object| object.is_in_use);
    Ok(KindUsage {
        kind: "Build Cache",
        total: usage.cache_objects,
        active: count(active.count()),
        size_bytes: usage.cache_bytes,
        reclaimable_bytes: Some(usage.reclaimable_cache_bytes),
    })
}

fn rows(usage: &Usage, others: [KindUsage; 3]) -> [KindUsage; 5] {
    let [containers, volumes, cache] = others;
    let used = usage.images.iter().filter(|image| image.containers > 0);
    let derived = usage
        .index_bytes
        .saturating_add(usage.tree_bytes)
        .saturating_add(usage.staging_bytes);
    [
        KindUsage {
            kind: "Images",
            total: count(usage.images.len()),
            active: count(used.count()),
            size_bytes: usage.content_bytes,
            reclaimable_bytes: Some(usage.reclaimable_bytes),
        },
        containers,
        volumes,
        cache,
        KindUsage {
            kind: "Derived files",
            total: usage.layers,
            active: usage.layers,
            size_bytes: derived,
            reclaimable_bytes: Some(usage.staging_bytes),
        },
    ]
}
