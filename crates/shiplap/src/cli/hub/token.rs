//! `hub token add`, `ls` and `rm`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use shiplap_hub::authorization::Level;
use shiplap_hub::records::tokens::{self, AccessToken};

use super::{Data, time};
use crate::{
    cli::list::ListFlags,
    face::{Face, Failure},
    table::Columns,
    words,
};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum TokenCommand {
    Add(Add),
    #[command(alias = "list")]
    Ls(Ls),
    #[command(alias = "remove")]
    Rm(Rm),
}

impl TokenCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Add(verb) => verb.run(face),
            Self::Ls(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(),
        }
    }
}

/// Make an access token; it is shown this once
#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    data: Data,
    /// Days until it ends
    #[arg(long, value_name = "int")]
    days: Option<u32>,
    /// What it may do at most: public, read, write, delete or admin
    #[arg(long, value_name = "string", default_value = "read")]
    level: String,
    /// Whose it is
    #[arg(value_name = "USER")]
    user: String,
    /// What it is for
    #[arg(value_name = "LABEL")]
    label: String,
}

impl Add {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let level = &self.level;
        let level = level.parse::<Level>().map_err(|()| {
            Failure::plain(format!(
                "there is no level {level:?}: there are public, read, write, delete and admin"
            ))
        })?;
        let expires = tokens::expiry_us(self.days);
        let admin = self.data.admin()?;
        let token = admin.add_token(&self.user, &self.label, level, expires)?;
        Ok(face.output.line(&token)?)
    }
}

/// List a user's access tokens
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    list: ListFlags,
    /// Whose
    #[arg(value_name = "USER")]
    user: String,
}

const COLUMNS: Columns<(AccessToken, Timestamp)> = Columns {
    row: "token",
    table: "{{.ID}}\t{{.Label}}\t{{.Level}}\t{{.CreatedSince}}\t{{.UsedSince}}\t{{.ExpiresAt}}",
    all: &[
        ("CreatedSince", "CREATED", |(row, now)| {
            words::since(time(row.created_us), *now)
        }),
        ("ExpiresAt", "EXPIRES", |(row, _)| {
            words::at(row.expires_us.and_then(time))
        }),
        ("ID", "ID", |(row, _)| row.id.to_string()),
        ("Label", "LABEL", |(row, _)| row.name.clone()),
        ("Level", "LEVEL", |(row, _)| row.level.to_string()),
        ("UsedSince", "USED", |(row, now)| {
            words::since(row.used_us.and_then(time), *now)
        }),
    ],
};

impl Ls {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let tokens = self.data.admin()?.tokens(&self.user)?;
        let now = Timestamp::now();
        let rows = tokens.into_iter().map(|token| (token, now));
        self.list.print(face, &COLUMNS, None, rows)
    }
}

/// Remove an access token
#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    data: Data,
    /// Whose it is
    #[arg(value_name = "USER")]
    user: String,
    /// Its number in the list
    #[arg(value_name = "ID")]
    id: i64,
}

impl Rm {
    fn run(self) -> Result<(), Failure> {
        Ok(self.data.admin()?.remove_token(&self.user, self.id)?)
    }
}
