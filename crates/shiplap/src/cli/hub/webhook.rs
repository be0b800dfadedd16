//! `hub webhook add`, `ls` and `rm`.

use clap::{Args, Subcommand};
use shiplap_hub::records::webhooks::Webhook;

use super::Data;
use crate::{
    cli::list::ListFlags,
    face::{Face, Failure},
    table::Columns,
};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum WebhookCommand {
    Add(Add),
    #[command(alias = "list")]
    Ls(Ls),
    #[command(alias = "remove")]
    Rm(Rm),
}

impl WebhookCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Add(verb) => verb.run(face),
            Self::Ls(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(),
        }
    }
}

/// Tell a URL of what is pushed and deleted
///
/// Prints the secret that messages are signed with, this once.
#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    data: Data,
    /// User or organisation whose repositories it is told of
    #[arg(value_name = "NAME")]
    name: String,
    /// Where it is, by http or https
    #[arg(value_name = "URL")]
    url: String,
}

impl Add {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let secret = self.data.admin()?.add_webhook(&self.name, &self.url)?;
        Ok(face.output.line(&secret)?)
    }
}

/// List webhooks
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    list: ListFlags,
}

const COLUMNS: Columns<Webhook> = Columns {
    row: "webhook",
    table: "{{.ID}}\t{{.Namespace}}\t{{.URL}}",
    all: &[
        ("ID", "ID", |row| row.id.to_string()),
        ("Namespace", "NAMESPACE", |row| row.namespace.clone()),
        ("URL", "URL", |row| row.url.clone()),
    ],
};

impl Ls {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let rows = self.data.admin()?.webhooks()?;
        self.list.print(face, &COLUMNS, None, rows)
    }
}

/// Remove a webhook
#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    data: Data,
    /// Its number in the list
    #[arg(value_name = "ID")]
    id: i64,
}

impl Rm {
    fn run(self) -> Result<(), Failure> {
        Ok(self.data.admin()?.remove_webhook(self.id)?)
    }
}
