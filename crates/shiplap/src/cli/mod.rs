//! The command line: Docker's verbs, one a file; the type of each is its definition, and its doc
//! the help.
//!
//! Never does the work: each verb is one call into `shiplap_ops`.

use std::{ffi::OsString, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    face::{Face, Failure},
    output::Output,
    settings::{Environment, Flags},
};

mod analyze;
mod build;
mod builder;
mod check;
mod commit;
mod compare;
mod container_flags;
mod context;
mod copy;
mod cp;
mod delete;
mod df;
mod exec;
mod export;
mod files;
mod foreign;
mod history;
mod hub;
mod ignore;
mod images;
mod imagetools;
mod import;
mod info;
mod inspect;
mod lint;
mod list;
mod load;
mod login;
mod logs;
mod manifest;
mod mistake;
mod mount;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod rm;
mod rmi;
mod rootless;
mod run;
mod save;
mod sbom;
mod search;
mod shell;
mod slim;
mod stats;
mod step;
mod stop;
mod supervise;
mod tag;
mod tags;
#[cfg(test)]
mod tests;
mod volume;

/// Container images without a daemon
#[derive(Debug, Parser)]
#[command(
    name = "shiplap",
    subcommand_help_heading = "Commands",
    subcommand_value_name = "COMMAND",
    disable_version_flag = true,
    disable_help_subcommand = true,
    max_term_width = 80
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global Options")]
struct Globals {
    /// Settings: a file as config.toml, or a directory with Docker's config.json
    #[arg(long, value_name = "path")]
    config: Option<PathBuf>,
    /// Tell what happens inside
    #[arg(short = 'D', long)]
    debug: bool,
    /// How layers become file systems: auto, erofs or tree
    #[arg(long, value_name = "string")]
    layer_backend: Option<String>,
    /// Directory of the store
    #[arg(long, value_name = "dir")]
    root: Option<PathBuf>,
    /// Print version information and quit
    #[arg(short, long)]
    version: bool,
    #[arg(short = 'H', long, hide = true)]
    host: Vec<String>,
    #[arg(short, long, hide = true)]
    context: Option<String>,
    #[arg(short, long, hide = true)]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(Box<build::BuildVerb>),
    /// Manage builds
    #[command(subcommand)]
    Builder(builder::BuilderCommand),
    /// Manage builds, as with Docker's buildx
    #[command(subcommand)]
    Buildx(builder::BuilderCommand),
    Lint(Box<lint::Lint>),
    /// See what a build is sent
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Manage what a build is not sent
    #[command(subcommand)]
    Ignore(ignore::IgnoreCommand),
    Pull(pull::Pull),
    Push(push::Push),
    Copy(copy::Copy),
    Delete(delete::Delete),
    Images(images::Images),
    Tag(tag::Tag),
    Rmi(rmi::Rmi),
    Inspect(inspect::Inspect),
    History(history::History),
    Analyze(Box<analyze::Analyze>),
    Save(save::Save),
    Sbom(sbom::Sbom),
    Slim(slim::Slim),
    Load(load::Load),
    Import(import::Import),
    Export(export::Export),
    Search(search::Search),
    Tags(tags::Tags),
    Login(login::Login),
    Logout(login::Logout),
    Mount(mount::Mount),
    Umount(mount::Umount),
    Run(Box<run::Run>),
    Create(Box<run::Create>),
    Start(run::Start),
    Attach(run::Attach),
    Port(port::Port),
    Ps(ps::Ps),
    Commit(commit::Commit),
    Cp(cp::ContainerCp),
    Diff(compare::Diff),
    Exec(exec::Exec),
    Logs(logs::Logs),
    Stats(stats::Stats),
    Top(logs::Top),
    Stop(stop::Stop),
    Restart(stop::Restart),
    Kill(stop::Kill),
    Wait(stop::Wait),
    Pause(stop::Pause),
    Unpause(stop::Unpause),
    Rm(rm::Rm),
    Rename(rm::Rename),
    /// Manage containers
    #[command(subcommand)]
    Container(ContainerCommand),
    /// Manage images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Manage volumes
    #[command(subcommand)]
    Volume(VolumeCommand),
    /// Manage the store
    #[command(subcommand)]
    System(SystemCommand),
    /// Manage image manifests and manifest lists of registries
    #[command(subcommand)]
    Manifest(manifest::ManifestCommand),
    /// Run a registry with users and search
    #[command(subcommand)]
    Hub(hub::HubCommand),
    Info(info::InfoVerb),
    Version(info::Version),
    Completion(shell::Completion),
    Man(shell::Man),
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum ImageCommand {
    Analyze(Box<analyze::Analyze>),
    Build(Box<build::Build>),
    Cat(files::Cat),
    Copy(copy::Copy),
    Cp(files::Cp),
    Export(export::Export),
    History(history::History),
    Import(import::Import),
    Inspect(inspect::ImageInspect),
    Load(load::Load),
    #[command(alias = "list")]
    Ls(images::ImageLs),
    Mount(mount::Mount),
    Prune(prune::Prune),
    Pull(pull::Pull),
    Push(push::Push),
    #[command(alias = "remove")]
    Rm(rmi::Rmi),
    Save(save::Save),
    Sbom(sbom::Sbom),
    Slim(slim::Slim),
    Tag(tag::Tag),
    Tags(tags::Tags),
    Umount(mount::Umount),
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum ContainerCommand {
    Attach(run::Attach),
    Commit(commit::Commit),
    Cp(cp::ContainerCp),
    Create(Box<run::Create>),
    Diff(commit::Diff),
    Exec(exec::Exec),
    Export(export::Export),
    Inspect(inspect::ContainerInspect),
    Kill(stop::Kill),
    Logs(logs::Logs),
    #[command(alias = "list", alias = "ps")]
    Ls(ps::Ps),
    Pause(stop::Pause),
    Port(port::Port),
    Prune(rm::ContainerPrune),
    Rename(rm::Rename),
    Restart(stop::Restart),
    #[command(alias = "remove")]
    Rm(rm::Rm),
    Run(Box<run::Run>),
    Start(run::Start),
    Stats(stats::Stats),
    Stop(stop::Stop),
    Top(logs::Top),
    Unpause(stop::Unpause),
    Wait(stop::Wait),
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum VolumeCommand {
    Create(volume::VolumeCreate),
    Inspect(inspect::VolumeInspect),
    #[command(alias = "list")]
    Ls(volume::VolumeLs),
    Prune(volume::VolumePrune),
    #[command(alias = "remove")]
    Rm(volume::VolumeRm),
}

impl VolumeCommand {
    fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Create(verb) => verb.run(face),
            Self::Inspect(verb) => verb.run(face),
            Self::Ls(verb) => verb.run(face),
            Self::Prune(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(face),
        }
    }
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum SystemCommand {
    Check(check::Check),
    Df(df::Df),
    Info(info::InfoVerb),
    Keep(supervise::Keep),
    MapIds(rootless::MapIds),
    Prune(prune::SystemPrune),
    Step(step::Step),
    Supervise(supervise::Supervise),
    Sweep(rmi::Sweep),
}

impl Command {
    fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Build(verb) => verb.run(face),
            Self::Builder(command) | Self::Buildx(command) => command.run(face),
            Self::Lint(verb) => verb.run(face),
            Self::Context(command) => command.run(face),
            Self::Ignore(command) => command.run(face),
            Self::Pull(verb) => verb.run(face),
            Self::Push(verb) => verb.run(face),
            Self::Copy(verb) => verb.run(face),
            Self::Delete(verb) => verb.run(face),
            Self::Images(verb) => verb.run(face),
            Self::Tag(verb) => verb.run(face),
            Self::Rmi(verb) => verb.run(face),
            Self::Inspect(verb) => verb.run(face),
            Self::History(verb) => verb.run(face),
            Self::Analyze(verb) => verb.run(face),
            Self::Save(verb) => verb.run(face),
            Self::Sbom(verb) => verb.run(face),
            Self::Slim(verb) => verb.run(face),
            Self::Load(verb) => verb.run(face),
            Self::Import(verb) => verb.run(face),
            Self::Export(verb) => verb.run(face),
            Self::Search(verb) => verb.run(face),
            Self::Tags(verb) => verb.run(face),
            Self::Login(verb) => verb.run(face),
            Self::Logout(verb) => verb.run(face),
            Self::Mount(verb) => verb.run(face),
            Self::Umount(verb) => verb.run(face),
            Self::Run(verb) => verb.run(face),
            Self::Create(verb) => verb.run(face),
            Self::Start(verb) => verb.run(face),
            Self::Attach(verb) => verb.run(face),
            Self::Port(verb) => verb.run(face),
            Self::Ps(verb) => verb.run(face),
            Self::Commit(verb) => verb.run(face),
            Self::Cp(verb) => verb.run(face),
            Self::Diff(verb) => verb.run(face),
            Self::Exec(verb) => verb.run(face),
            Self::Logs(verb) => verb.run(face),
            Self::Stats(verb) => verb.run(face),
            Self::Top(verb) => verb.run(face),
            Self::Stop(verb) => verb.run(face),
            Self::Restart(verb) => verb.run(face),
            Self::Kill(verb) => verb.run(face),
            Self::Wait(verb) => verb.run(face),
            Self::Pause(verb) => verb.run(face),
            Self::Unpause(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(face),
            Self::Rename(verb) => verb.run(face),
            Self::Container(command) => command.run(face),
            Self::Image(command) => command.run(face),
            Self::System(command) => command.run(face),
            Self::Manifest(command) => command.run(face),
            Self::Hub(command) => command.run(face),
            Self::Volume(command) => command.run(face),
            Self::Info(verb) => verb.run(face),
            Self::Version(verb) => verb.run(face),
            Self::Completion(verb) => verb.run(face),
            Self::Man(verb) => verb.run(face),
        }
    }
}

impl ImageCommand {
    fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Analyze(verb) => verb.run(face),
            Self::Build(verb) => verb.run(face),
            Self::Cat(verb) => verb.run(face),
            Self::Copy(verb) => verb.run(face),
            Self::Cp(verb) => verb.run(face),
            Self::Export(verb) => verb.run(face),
            Self::History(verb) => verb.run(face),
            Self::Import(verb) => verb.run(face),
            Self::Inspect(verb) => verb.run(face),
            Self::Load(verb) => verb.run(face),
            Self::Ls(verb) => verb.run(face),
            Self::Mount(verb) => verb.run(face),
            Self::Prune(verb) => verb.run(face),
            Self::Pull(verb) => verb.run(face),
            Self::Push(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(face),
            Self::Save(verb) => verb.run(face),
            Self::Sbom(verb) => verb.run(face),
            Self::Slim(verb) => verb.run(face),
            Self::Tag(verb) => verb.run(face),
            Self::Tags(verb) => verb.run(face),
            Self::Umount(verb) => verb.run(face),
        }
    }
}

impl ContainerCommand {
    fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Attach(verb) => verb.run(face),
            Self::Commit(verb) => verb.run(face),
            Self::Cp(verb) => verb.run(face),
            Self::Create(verb) => verb.run(face),
            Self::Diff(verb) => verb.run(face),
            Self::Export(verb) => verb.run(face),
            Self::Inspect(verb) => verb.run(face),
            Self::Run(verb) => verb.run(face),
            Self::Start(verb) => verb.run(face),
            Self::Stats(verb) => verb.run(face),
            Self::Exec(verb) => verb.run(face),
            Self::Kill(verb) => verb.run(face),
            Self::Logs(verb) => verb.run(face),
            Self::Ls(verb) => verb.run(face),
            Self::Pause(verb) => verb.run(face),
            Self::Port(verb) => verb.run(face),
            Self::Prune(verb) => verb.run(face),
            Self::Rename(verb) => verb.run(face),
            Self::Restart(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(face),
            Self::Stop(verb) => verb.run(face),
            Self::Top(verb) => verb.run(face),
            Self::Unpause(verb) => verb.run(face),
            Self::Wait(verb) => verb.run(face),
        }
    }
}

impl SystemCommand {
    fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Check(verb) => verb.run(face),
            Self::Df(verb) => verb.run(face),
            Self::Info(verb) => verb.run(face),
            Self::Keep(verb) => verb.run(face),
            Self::MapIds(verb) => verb.run(face),
            Self::Prune(verb) => verb.run(face),
            Self::Step(verb) => verb.run(face),
            Self::Supervise(verb) => verb.run(face),
            Self::Sweep(verb) => verb.run(face),
        }
    }
}

const HELP: &str = "Usage:  {usage}\n\n{about-with-newline}\n{all-args}{after-help}";

/// The definition of the command line, for a program of that name.
fn definition(program: &str) -> clap::Command {
    let command = Cli::command()
        .name(program.to_owned())
        .bin_name(program.to_owned());
    let more = format!("Run '{program} COMMAND --help' for more information on a command.");
    with_usage(command, program, "[OPTIONS] COMMAND").after_help(more)
}

/// The command and all below it with Docker's usage line and layout of help.
fn with_usage(command: clap::Command, path: &str, call: &str) -> clap::Command {
    let described = |verb: clap::Command| {
        let path = format!("{path} {}", verb.get_name());
        let call = if verb.has_subcommands() && verb.get_positionals().next().is_none() {
            "COMMAND".to_owned()
        } else {
            call_of(&verb)
        };
        with_usage(verb, &path, &call)
    };
    let usage = format!("{path} {call}");
    command
        .mut_subcommands(described)
        .override_usage(usage)
        .help_template(HELP)
}

/// What stands behind a verb: `[OPTIONS] IMAGE [IMAGE...]`.
fn call_of(verb: &clap::Command) -> String {
    let has_options = verb.get_opts().any(|option| !option.is_hide_set());
    let mut words: Vec<String> = has_options
        .then(|| "[OPTIONS]".to_owned())
        .into_iter()
        .collect();
    for argument in verb.get_positionals() {
        let names = argument.get_value_names().unwrap_or_default();
        let name = names.first().map_or("", |name| name.as_str());
        if let [first, middle @ .., last] = names {
            words.push(first.to_string());
            words.extend(middle.iter().map(|name| format!("[{name}]")));
            words.push(format!("[{last}...]"));
            continue;
        }
        let is_open = matches!(argument.get_action(), clap::ArgAction::Append);
        words.push(match (argument.is_required_set(), is_open) {
            (true, true) => format!("{name} [{name}...]"),
            (true, false) => name.to_owned(),
            (false, true) => format!("[{name}...]"),
            (false, false) => format!("[{name}]"),
        });
    }
    words.join(" ")
}

/// Runs the program on its arguments.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let output = Arc::new(Output::new(Environment::of_process().is_plain()));
    let program = mistake::program(arguments.first());
    let mut command = definition(&program);
    let arguments = mistake::plain_switches(&command, arguments);
    let matches = command.try_get_matches_from_mut(&arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return mistake::tell(&mut command, &arguments, &output, &error),
    };
    if cli.globals.debug {
        debug();
    }
    let flags = Flags {
        root: cli.globals.root,
        config: cli.globals.config,
        layer_backend: cli.globals.layer_backend,
    };
    if !cli.globals.host.is_empty() || cli.globals.context.is_some() {
        output.warn("there is no daemon: --host and --context mean nothing");
    }
    let mut face = Face {
        program,
        output,
        flags,
        one_user: None,
    };
    let done = match cli.command {
        _ if cli.globals.version => {
            let line = format!("Shiplap version {}", env!("CARGO_PKG_VERSION"));
            face.output.line(&line).map_err(Failure::from)
        }
        Some(command) => rootless::enter(&mut face, &command).and_then(|()| command.run(&face)),
        None => face
            .output
            .data(&command.render_help().to_string())
            .map_err(Failure::from),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if face.output.reader_gone() && !failure.is_unread => ExitCode::SUCCESS,
        Err(failure) => {
            face.tell(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// Events of all crates on stderr.
fn debug() {
    let crates = [
        "shiplap",
        "shiplap_build",
        "shiplap_ops",
        "shiplap_hub",
        "shiplap_store",
        "shiplap_registry",
        "shiplap_layer",
        "shiplap_run",
    ];
    let all = || crates.map(|name| format!("{name}=debug")).join(",");
    let wanted = Environment::of_process().log().unwrap_or_else(all);
    let filter = tracing_subscriber::EnvFilter::new(wanted);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
