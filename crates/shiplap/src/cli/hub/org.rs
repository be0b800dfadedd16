//! `hub org add`, `ls`, `members`, `set`, `rm` and `quota`.

use clap::{Args, Subcommand};
use shiplap_hub::authorization::Role;
use shiplap_model::units;

use super::Data;
use crate::{
    cli::list::ListFlags,
    face::{Face, Failure},
    table::Columns,
};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum OrgCommand {
    Add(Add),
    #[command(alias = "list")]
    Ls(Ls),
    Members(Members),
    Quota(Quota),
    #[command(alias = "remove")]
    Rm(Rm),
    Set(Set),
}

impl OrgCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Add(verb) => verb.run(),
            Self::Ls(verb) => verb.run(face),
            Self::Members(verb) => verb.run(face),
            Self::Quota(verb) => verb.run(),
            Self::Rm(verb) => verb.run(),
            Self::Set(verb) => verb.run(),
        }
    }
}

/// Add an organisation
#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    data: Data,
    /// Name, which is a namespace
    #[arg(value_name = "NAME")]
    name: String,
}

impl Add {
    fn run(self) -> Result<(), Failure> {
        Ok(self.data.admin()?.add_organisation(&self.name)?)
    }
}

/// List organisations
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    list: ListFlags,
}

const COLUMNS: Columns<(String, u64)> = Columns {
    row: "organisation",
    table: "{{.Name}}\t{{.Members}}",
    all: &[
        ("Members", "MEMBERS", |(_, members)| members.to_string()),
        ("Name", "NAME", |(name, _)| name.clone()),
    ],
};

impl Ls {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let rows = self.data.admin()?.organisations()?;
        self.list.print(face, &COLUMNS, None, rows)
    }
}

/// List the members of an organisation
#[derive(Debug, Args)]
pub(crate) struct Members {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    list: ListFlags,
    /// The organisation
    #[arg(value_name = "NAME")]
    name: String,
}

const MEMBERS: Columns<(String, Role)> = Columns {
    row: "member",
    table: "{{.Name}}\t{{.Role}}",
    all: &[
        ("Name", "NAME", |(name, _)| name.clone()),
        ("Role", "ROLE", |(_, role)| role.to_string()),
    ],
};

impl Members {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let rows = self.data.admin()?.members(&self.name)?;
        self.list.print(face, &MEMBERS, None, rows)
    }
}

/// Bound what a user's or organisation's repositories may hold
#[derive(Debug, Args)]
pub(crate) struct Quota {
    #[command(flatten)]
    data: Data,
    /// User or organisation
    #[arg(value_name = "NAME")]
    name: String,
    /// Most bytes, as 10GB; none for no bound
    #[arg(value_name = "SIZE")]
    size: String,
}

impl Quota {
    fn run(self) -> Result<(), Failure> {
        let bytes = match self.size.as_str() {
            "none" => None,
            size => Some(units::parse_size(size, units::SizeBase::Decimal)?),
        };
        Ok(self.data.admin()?.set_quota(&self.name, bytes)?)
    }
}

/// Remove organisations that have no repositories
#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    data: Data,
    /// The organisations
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl Rm {
    fn run(self) -> Result<(), Failure> {
        let admin = self.data.admin()?;
        for name in &self.names {
            admin.remove_organisation(name)?;
        }
        Ok(())
    }
}

/// Give a user a role in an organisation
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    data: Data,
    /// The organisation
    #[arg(value_name = "NAME")]
    name: String,
    /// The user
    #[arg(value_name = "USER")]
    user: String,
    /// reader, writer, owner, or none to take the role away
    #[arg(value_name = "ROLE")]
    role: String,
}

impl Set {
    fn run(self) -> Result<(), Failure> {
        let role = match self.role.as_str() {
            "none" => None,
            role => Some(role.parse::<Role>().map_err(|()| {
                Failure::plain(format!(
                    "there is no role {role:?}: there are reader, writer, owner and none"
                ))
            })?),
        };
        let admin = self.data.admin()?;
        Ok(admin.set_member(&self.name, &self.user, role)?)
    }
}
