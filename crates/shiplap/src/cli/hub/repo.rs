//! `hub repo ls`, `set` and `rm`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use shiplap_hub::records::repositories::{Change, Repository};
use shiplap_hub::retention::Rules;
use shiplap_model::limits;

use super::{Data, time};
use crate::{
    cli::list::ListFlags,
    face::{Face, Failure},
    table::Columns,
    words,
};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum RepoCommand {
    #[command(alias = "list")]
    Ls(Ls),
    #[command(alias = "remove")]
    Rm(Rm),
    Set(Set),
}

impl RepoCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Ls(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(face),
            Self::Set(verb) => verb.run(),
        }
    }
}

/// List repositories
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    list: ListFlags,
}

const COLUMNS: Columns<(Repository, Timestamp)> = Columns {
    row: "repository",
    table: "{{.Name}}\t{{.Visibility}}\t{{.Size}}\t{{.Stars}}\t{{.Pulls}}\t{{.UpdatedSince}}",
    all: &[
        ("Description", "DESCRIPTION", |(row, _)| {
            row.description.clone()
        }),
        ("Name", "NAME", |(row, _)| row.name.clone()),
        ("Pulls", "PULLS", |(row, _)| row.pulls.to_string()),
        ("Size", "SIZE", |(row, _)| words::size(row.used_bytes)),
        ("Stars", "STARS", |(row, _)| row.stars.to_string()),
        ("UpdatedAt", "UPDATED AT", |(row, _)| {
            words::at(time(row.updated_us))
        }),
        ("UpdatedSince", "UPDATED", |(row, now)| {
            words::since(time(row.updated_us), *now)
        }),
        ("Visibility", "VISIBILITY", |(row, _)| {
            let seen = if row.is_private { "private" } else { "public" };
            seen.to_owned()
        }),
    ],
};

impl Ls {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let repositories = self.data.admin()?.repositories()?;
        let now = Timestamp::now();
        let rows = repositories.into_iter().map(|row| (row, now));
        self.list.print(face, &COLUMNS, None, rows)
    }
}

/// Remove repositories with all that is in them
#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    data: Data,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// The repositories
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl Rm {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let warning = "This will remove the repositories with all tags and images in them.";
        if !face.confirm(warning, self.force)? {
            return Ok(());
        }
        let admin = self.data.admin()?;
        for name in &self.names {
            admin.remove_repository(name)?;
            face.output.line(name)?;
        }
        Ok(())
    }
}

/// Change a repository, or make one
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    data: Data,
    /// What lists and searches say of it, a line
    #[arg(long, value_name = "string")]
    description: Option<String>,
    /// Keep all tags and manifests: no rules
    #[arg(long, conflicts_with_all = ["keep_days", "keep_newest", "keep_matching", "keep_untagged_days"])]
    keep_all: bool,
    /// Keep tags pushed within so many days, and no others
    #[arg(long, value_name = "int")]
    keep_days: Option<u32>,
    /// Keep tags that fit, as 'v*', however old
    #[arg(long, value_name = "pattern", requires = "keep_days")]
    keep_matching: Vec<String>,
    /// Keep so many of the newest tags, however old
    #[arg(long, value_name = "int", requires = "keep_days")]
    keep_newest: Option<u32>,
    /// Keep manifests without a tag for so many days
    #[arg(long, value_name = "int")]
    keep_untagged_days: Option<u32>,
    /// Only those with a role see it: true or false
    #[arg(long, value_name = "bool")]
    private: Option<bool>,
    /// File with what its page says of it, in Markdown
    #[arg(long, value_name = "path")]
    readme: Option<PathBuf>,
    /// The repository
    #[arg(value_name = "NAME")]
    name: String,
}

impl Set {
    fn run(self) -> Result<(), Failure> {
        let readme = self.readme.as_ref().map(|path| {
            std::fs::read_to_string(path).map_err(|error| {
                Failure::plain(format!("failed to read {}: {error}", path.display()))
            })
        });
        let readme = readme.transpose()?;
        let bounds = [
            (&self.description, limits::DESCRIPTION_BYTES, "description"),
            (&readme, limits::README_BYTES, "README"),
        ];
        for (text, most, what) in bounds {
            if text.as_ref().is_some_and(|text| text.len() > most) {
                let message = format!("the {what} has more than {most} bytes");
                return Err(Failure::plain(message));
            }
        }
        let rules = Rules {
            keep_days: self.keep_days,
            keep_newest: self.keep_newest.unwrap_or(0),
            keep_matching: self.keep_matching,
            keep_untagged_days: self.keep_untagged_days,
        };
        let change = Change {
            is_private: self.private,
            description: self.description,
            readme,
            retention: (self.keep_all || !rules.is_empty()).then_some(rules),
        };
        Ok(self.data.admin()?.set_repository(&self.name, change)?)
    }
}
