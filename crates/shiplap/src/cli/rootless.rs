//! How an ordinary user's command becomes root of a user namespace of its own, and the helper
//! that is called for it (`system map-ids`).

use std::io;

use clap::Args;
use shiplap_ops::rootless::{self, Ids};

use super::{Command, ContainerCommand, ImageCommand, SystemCommand, builder::BuilderCommand};
use crate::face::{Face, Failure};

impl Command {
    /// Whether the verb works on files that belong to users of containers.
    fn needs_root(&self) -> bool {
        match self {
            Self::Run(_)
            | Self::Create(_)
            | Self::Start(_)
            | Self::Commit(_)
            | Self::Cp(_)
            | Self::Exec(_)
            | Self::Top(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Kill(_)
            | Self::Pause(_)
            | Self::Unpause(_)
            | Self::Rm(_)
            | Self::Rmi(_)
            | Self::Export(_)
            | Self::Volume(_) => true,
            Self::Build(verb) => verb.builds(),
            Self::Diff(verb) => verb.is_of_container(),
            Self::Slim(verb) => verb.runs(),
            Self::Lint(verb) => verb.builds(),
            Self::Builder(command) => {
                matches!(command, BuilderCommand::Build(_) | BuilderCommand::Prune(_))
            }
            Self::Container(command) => !matches!(
                command,
                ContainerCommand::Ls(_)
                    | ContainerCommand::Logs(_)
                    | ContainerCommand::Stats(_)
                    | ContainerCommand::Wait(_)
            ),
            Self::Image(command) => {
                matches!(
                    command,
                    ImageCommand::Build(_) | ImageCommand::Rm(_) | ImageCommand::Prune(_)
                )
            }
            Self::System(command) => {
                matches!(
                    command,
                    SystemCommand::Check(_) | SystemCommand::Prune(_) | SystemCommand::Sweep(_)
                )
            }
            _ => false,
        }
    }
}

/// Makes an ordinary user root, if the verb is one that needs it. Where that can't be, verbs that
/// may do without go on and find out.
pub(super) fn enter(face: &mut Face, command: &Command) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() || !command.needs_root() {
        return Ok(());
    }
    let settings = face.settings()?;
    let entered = rootless::enter(&settings.root, &settings.containers.program);
    // Being root from now on must not change where the store is.
    face.flags.root = Some(settings.root);
    let may_do_without = matches!(
        command,
        Command::Build(_)
            | Command::Builder(_)
            | Command::Buildx(_)
            | Command::Rmi(_)
            | Command::Export(_)
            | Command::Image(_)
            | Command::System(_)
    );
    match entered {
        Ok(Some(Ids::Single { reason }))
            if matches!(command, Command::Run(_) | Command::Create(_)) =>
        {
            face.output.warn(&format!(
                "containers have one user only, root, since {reason}; \
                 programs that change owners or users fail in them"
            ));
            Ok(())
        }
        Ok(Some(Ids::Single { reason })) => {
            face.one_user = Some(reason.to_string());
            Ok(())
        }
        Err(error) if !may_do_without => Err(error.into()),
        _ => Ok(()),
    }
}

/// Map users and groups of another process; stdin says when
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct MapIds {
    /// The process
    #[arg(value_name = "PID")]
    pid: i32,
}

impl MapIds {
    pub(crate) fn run(self, _: &Face) -> Result<(), Failure> {
        rootless::map_ids(self.pid, &mut io::stdin().lock())
            .map_err(|error| Failure::plain(error.to_string()))
    }
}
