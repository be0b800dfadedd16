//! `hub user add`, `ls`, `rm`, `passwd`, `set` and `import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use shiplap_hub::records::users::Account;

use super::{Data, password, time};
use crate::{
    cli::list::ListFlags,
    face::{Face, Failure},
    table::Columns,
    words,
};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum UserCommand {
    Add(Add),
    Import(Import),
    #[command(alias = "list")]
    Ls(Ls),
    Passwd(Passwd),
    #[command(alias = "remove")]
    Rm(Rm),
    Set(Set),
}

impl UserCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Add(verb) => verb.run(face),
            Self::Import(verb) => verb.run(face),
            Self::Ls(verb) => verb.run(face),
            Self::Passwd(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(),
            Self::Set(verb) => verb.run(),
        }
    }
}

/// Add a user
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Let the user run the hub: push official images, see and change everything
    #[arg(long)]
    admin: bool,
    #[command(flatten)]
    data: Data,
    /// Take the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Name, which is the user's namespace, too
    #[arg(value_name = "NAME")]
    name: String,
}

impl Add {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let admin = self.data.admin()?;
        let password = password(face, self.password_stdin)?;
        Ok(admin.add_user(&self.name, &password, self.admin)?)
    }
}

/// Add the users of an htpasswd file with bcrypt hashes
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    data: Data,
    /// The file, as htpasswd -B writes it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Import {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let text = std::fs::read_to_string(&self.file).map_err(|error| {
            Failure::plain(format!("failed to read {}: {error}", self.file.display()))
        })?;
        let count = self.data.admin()?.import_htpasswd(&text)?;
        Ok(face.output.line(&format!("Imported users: {count}"))?)
    }
}

/// List users
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    list: ListFlags,
}

const COLUMNS: Columns<(Account, Timestamp)> = Columns {
    row: "user",
    table: "{{.Name}}\t{{.Role}}\t{{.State}}\t{{.CreatedSince}}",
    all: &[
        ("CreatedAt", "CREATED AT", |(row, _)| {
            words::at(time(row.created_us))
        }),
        ("CreatedSince", "CREATED", |(row, now)| {
            words::since(time(row.created_us), *now)
        }),
        ("Name", "NAME", |(row, _)| row.name.clone()),
        ("Role", "ROLE", |(row, _)| {
            let role = if row.is_admin { "admin" } else { "user" };
            role.to_owned()
        }),
        ("State", "STATE", |(row, _)| {
            let state = if row.is_disabled {
                "disabled"
            } else {
                "active"
            };
            state.to_owned()
        }),
    ],
};

impl Ls {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let users = self.data.admin()?.users()?;
        let now = Timestamp::now();
        let rows = users.into_iter().map(|user| (user, now));
        self.list.print(face, &COLUMNS, None, rows)
    }
}

/// Set a user's password
#[derive(Debug, Args)]
pub(crate) struct Passwd {
    #[command(flatten)]
    data: Data,
    /// Take the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// The user
    #[arg(value_name = "NAME")]
    name: String,
}

impl Passwd {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let admin = self.data.admin()?;
        let password = password(face, self.password_stdin)?;
        Ok(admin.set_password(&self.name, &password)?)
    }
}

/// Remove users who have no repositories
#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    data: Data,
    /// The users
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl Rm {
    fn run(self) -> Result<(), Failure> {
        let admin = self.data.admin()?;
        for name in &self.names {
            admin.remove_user(name)?;
        }
        Ok(())
    }
}

/// Change what a user may do
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Whether the user runs the hub: true or false
    #[arg(long, value_name = "bool")]
    admin: Option<bool>,
    #[command(flatten)]
    data: Data,
    /// Whether the user is kept out: true or false
    #[arg(long, value_name = "bool")]
    disabled: Option<bool>,
    /// The user
    #[arg(value_name = "NAME")]
    name: String,
}

impl Set {
    fn run(self) -> Result<(), Failure> {
        let admin = self.data.admin()?;
        Ok(admin.set_user(&self.name, self.admin, self.disabled)?)
    }
}
