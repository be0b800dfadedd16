//! `build`: its flags are Docker's, taken apart into what a build wants to know.
//!
//! Never reads a Dockerfile or a context: that is `shiplap_build`'s.

use std::{io, path::PathBuf, sync::Arc};

use clap::{Args, Subcommand, ValueEnum};
use shiplap_build::{
    BuildError, BuildOptions, Report, Streams,
    build::Cause,
    context::{DockerfileError, LoadError},
    options::OnFailure,
    progress::{BuildProgress as _, Event},
};
use shiplap_model::{
    container::memory::MemoryError, csv::QuoteError, platform::PlatformError,
    reference::ReferenceError,
};
use shiplap_ops::{Context, step::Cancel};

use super::{
    builder,
    foreign::{ForeignError, ForeignFlags},
};
use crate::{
    advice,
    display::{Display, Mode},
    face::{Face, Failure},
    interrupt,
    settings::Environment,
    terminal,
};

mod cache;
mod call;
mod execution;
mod foreign;
mod input;
mod limits;
mod report;
mod result;
#[cfg(test)]
mod tests;
mod values;

/// Build an image from a Dockerfile
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "A first argument that is one of the commands above is that command: a directory of \
                  that\nname is written ./ls."
)]
pub(crate) struct BuildVerb {
    #[command(subcommand)]
    command: Option<BuildCommand>,
    #[command(flatten)]
    build: Build,
}

/// What can be done with builds that were made.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum BuildCommand {
    Logs(builder::BuildLogs),
    Ls(builder::BuildLs),
    Prune(builder::CachePrune),
    Rm(builder::BuildRm),
}

impl BuildVerb {
    /// Whether something is to be built.
    pub(crate) fn builds(&self) -> bool {
        self.command.is_none()
    }

    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self.command {
            Some(BuildCommand::Logs(verb)) => verb.run(face),
            Some(BuildCommand::Ls(verb)) => verb.run(face),
            Some(BuildCommand::Prune(verb)) => verb.run(face),
            Some(BuildCommand::Rm(verb)) => verb.run(face),
            None => self.build.run(face),
        }
    }
}

/// Build an image from a Dockerfile
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Build {
    /// The context: a directory, a URL of a tar or a git repository, or - for a tar or a Dockerfile
    /// on stdin
    #[arg(value_name = "PATH | URL | -", required = true)]
    context: Option<String>,
    /// What is done: "build", or, without building, "check", "outline" (what a target takes) or
    /// "targets"; with ",format=json" for programs
    #[arg(
        long,
        alias = "print",
        value_name = "string",
        default_value = "build",
        hide_default_value = true
    )]
    call: call::Call,
    /// Check the Dockerfile and build nothing: shorthand for "--call=check"
    #[arg(long)]
    check: bool,
    /// Say for each step that was not in the cache what changed, file by file
    #[arg(long)]
    explain: bool,
    /// Where a step fails, run a shell in its root before the build fails: fail or shell
    #[arg(
        long,
        value_name = "string",
        default_value = "fail",
        hide_default_value = true,
        hide_possible_values = true
    )]
    on_error: OnError,
    /// Set type of progress output: auto, json, none, plain, quiet, rawjson or tty
    #[arg(long, value_name = "string", hide_possible_values = true)]
    progress: Option<Progress>,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    input: input::InputFlags,
    #[command(flatten)]
    values: values::ValueFlags,
    #[command(flatten)]
    execution: execution::ExecutionFlags,
    #[command(flatten)]
    cache: cache::CacheFlags,
    #[command(flatten)]
    result: result::ResultFlags,
    #[command(flatten)]
    foreign: ForeignFlags<foreign::OfBuilds>,
    // Flags of the classic builder and of buildx that ask for what is done anyway.
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true)]
    compress: bool,
    #[arg(long, hide = true)]
    force_rm: bool,
    #[arg(long, hide = true)]
    rm: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Progress {
    Auto,
    Json,
    // As quiet, and the image's ID is not told either.
    None,
    Plain,
    Quiet,
    // As buildx tells it: BuildKit's own words.
    #[value(name = "rawjson")]
    RawJson,
    Tty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnError {
    Fail,
    Shell,
}

/// What the flags come to.
#[derive(Debug)]
struct Call {
    options: BuildOptions,
    /// What the user should know.
    warnings: Vec<String>,
    /// Where the image's ID is to be written.
    id_file: Option<PathBuf>,
    /// Where what came of it is to be written.
    metadata_file: Option<PathBuf>,
}

impl Build {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let environment = Environment::of_process();
        let lookup = |name: &str| {
            let value = (environment.variable)(name)?;
            Some(value.to_string_lossy().into_owned())
        };
        let progress = self.progress(&lookup)?;
        let can_draw = environment.can_draw();
        let mode = match progress {
            Progress::Auto if face.output.talk_on_terminal() && can_draw => Mode::Terminal,
            Progress::Tty if face.output.talk_on_terminal() => Mode::Terminal,
            Progress::Tty => return Err(FlagError::NoTerminal.into()),
            Progress::Auto | Progress::Plain => Mode::Plain,
            Progress::Json => Mode::Json,
            Progress::RawJson => Mode::RawJson,
            Progress::None | Progress::Quiet => Mode::Quiet,
        };
        if self.on_error == OnError::Shell
            && !(terminal::input_is_terminal() && face.output.data_on_terminal())
        {
            return Err(FlagError::NoShell.into());
        }
        let (explain, asked) = (self.explain, self.asked());
        let mut call = self.into_call(&lookup, face.output.data_on_terminal())?;
        for warning in &call.warnings {
            face.output.warn(warning);
        }
        if asked.method != call::Method::Build {
            return asked.run(face, &call.options);
        }
        report::forget(call.id_file.as_deref())?;
        let display = Arc::new(Display::new(Arc::clone(&face.output), mode, explain)?);
        let warner = Arc::clone(&display);
        let warn = Arc::new(move |line: &str| warner.event(Event::Warning(line)));
        let settings = face.settings()?;
        call.options.cache.keep_bytes = settings.build_keep_bytes;
        let context = Context::new(settings.into_ops(), warn);
        let report = build(face, &context, &call.options, &display)?;
        if let Some(path) = &call.id_file {
            report::write_id(path, &report)?;
        }
        if let Some(path) = &call.metadata_file {
            report::write_metadata(path, &report)?;
        }
        if progress == Progress::Quiet && report::is_image(&call.options) {
            face.output.line(&report::id(&report))?;
        }
        Ok(())
    }

    fn asked(&self) -> call::Call {
        match self.call.method {
            call::Method::Build if self.check => call::Call::check(),
            _ => self.call,
        }
    }

    /// The flag wins, then the variable that buildx knows.
    fn progress(&self, lookup: Lookup) -> Result<Progress, FlagError> {
        let asked = match self.progress {
            Some(progress) => progress,
            None => match lookup("BUILDKIT_PROGRESS").filter(|name| !name.is_empty()) {
                Some(name) => {
                    Progress::from_str(&name, false).map_err(|_| FlagError::Progress(name))?
                }
                None => Progress::Auto,
            },
        };
        match (self.quiet, asked) {
            (true, Progress::Auto | Progress::Quiet | Progress::None) => Ok(Progress::Quiet),
            // The variable is what holds in general, the flag what is meant now.
            (true, _) if self.progress.is_none() => Ok(Progress::Quiet),
            (true, _) => Err(FlagError::Quiet),
            (false, asked) => Ok(asked),
        }
    }

    fn into_call(self, lookup: Lookup, to_terminal: bool) -> Result<Call, FlagError> {
        let context = self.context.ok_or(FlagError::NoContext)?;
        let mut warnings = self.foreign.check()?;
        let id_file = self.result.iidfile.clone();
        let metadata_file = self.result.metadata_file.clone();
        let (result, effects) = self.result.into_options(to_terminal)?;
        let mut values = self.values.into_options(lookup)?;
        let mut execution = self.execution.into_options(lookup)?;
        values.annotations.extend(effects.annotations);
        execution.reproducible |= effects.reproducible;
        execution.on_failure = match self.on_error {
            OnError::Fail => OnFailure::Fail,
            OnError::Shell => OnFailure::Shell,
        };
        warnings.extend(effects.warnings);
        let cache = self.cache.into_options(&values);
        let options = BuildOptions {
            input: self.input.into_options(context)?,
            values,
            execution,
            cache,
            result,
        };
        Ok(Call {
            options,
            warnings,
            id_file,
            metadata_file,
        })
    }
}

/// Builds, and can be interrupted meanwhile: what was finished stays in the cache.
fn build(
    face: &Face,
    context: &Context,
    options: &BuildOptions,
    display: &Display,
) -> Result<Report, Failure> {
    let cancel = Arc::new(Cancel::new()?);
    let signals = interrupt::listen(&cancel)?;
    let (mut stdin, mut stdout) = (io::stdin(), face.output.stream());
    let mut streams = Streams {
        stdin: &mut stdin,
        stdout: &mut stdout,
    };
    let built = shiplap_build::build(context, options, display, &mut streams, &cancel);
    signals.close();
    display.finish();
    built.map_err(|error| failed(face, display, options, &error))
}

/// Tells where and why a build failed.
fn failed(face: &Face, display: &Display, options: &BuildOptions, error: &BuildError) -> Failure {
    if error.is_canceled() {
        let message = "the build was canceled; steps that were finished are in the cache";
        return display.failed(message, "").with_code(interrupt::EXIT_CODE);
    }
    let message = format!("failed to build: {error}");
    let mut failure = display.failed(&message, &error.excerpt);
    let build = error.build.as_ref().filter(|_| error.step.is_some());
    let log = build.map(|id| {
        let id = id.get(..12).unwrap_or(id);
        format!("all that was said: {} build logs {id}", face.program)
    });
    let users = face.one_user.as_ref().filter(|_| error.step.is_some());
    let users = users.map(|reason| format!("steps have one user only, root, since {reason}"));
    let file = is_without_dockerfile(error).then(|| {
        let context = &options.input.context;
        format!("a Dockerfile is looked for in {context}; --file names another one")
    });
    failure.advice = advice::of(error).or(file).or(users).or(log);
    failure
}

fn is_without_dockerfile(error: &BuildError) -> bool {
    match &error.cause {
        Cause::Load(LoadError::Dockerfile(DockerfileError::Read { source, .. })) => {
            source.kind() == io::ErrorKind::NotFound
        }
        _ => false,
    }
}

/// Why flags come to no build.
#[derive(Debug, thiserror::Error)]
enum FlagError {
    /// Nothing to build from.
    #[error("build: it needs a context, by PATH, URL or -")]
    NoContext,
    /// A list with quotes in it that can't be understood.
    #[error("read a list of fields: {0}")]
    Quote(#[from] QuoteError),
    /// A flag of Docker's whose value can't be had.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// A named context without its name.
    #[error("use --build-context {0}: it must be name=value")]
    Context(String),
    /// A named context whose name is none.
    #[error("use --build-context {name}: {source}")]
    ContextName {
        /// What was to be its name.
        name: String,
        /// Why it is none.
        source: ReferenceError,
    },
    /// No platform.
    #[error("use --platform {text}: {source}")]
    Platform {
        /// What was given.
        text: String,
        /// Why it is none.
        source: PlatformError,
    },
    /// A build argument without a name.
    #[error("use --build-arg {0}: it has no name")]
    BuildArg(String),
    /// An annotation without key or value.
    #[error("use --annotation {0}: it must be key=value")]
    Annotation(String),
    /// A right that can't be given.
    #[error("use --allow {0}: there are network.host and security.insecure")]
    Allow(String),
    /// A secret that is not said right.
    #[error("use --secret {flag}: {reason}")]
    Secret {
        /// What was given: places, never the secret.
        flag: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A secret's file that is not there.
    #[error("use secret {id}: {path}: {source}")]
    SecretFile {
        /// Which.
        id: String,
        /// Its file.
        path: PathBuf,
        /// Why it can't be used.
        source: io::Error,
    },
    /// No agent where one is wanted.
    #[error("use --ssh: there is no agent, since SSH_AUTH_SOCK is not set")]
    NoAgent,
    /// Neither an agent's socket nor a key, or a socket among keys.
    #[error("use --ssh: {0}: it must be the socket of one agent, or files of private keys")]
    AgentKind(PathBuf),
    /// An agent's socket, or a key, that is not there.
    #[error("use --ssh: {path}: {source}")]
    Agent {
        /// It.
        path: PathBuf,
        /// Why it can't be used.
        source: io::Error,
    },
    /// A shell where nobody could type.
    #[error("use --on-error shell: the standard input and output are no terminal")]
    NoShell,
    /// Limits that don't go together.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// No name for an image.
    #[error("use tag {text:?}: {source}")]
    Tag {
        /// What was given.
        text: String,
        /// Why it is none.
        source: ReferenceError,
    },
    /// A digest can't be given, it comes about.
    #[error("use tag {0:?}: it can't have a digest")]
    TagWithDigest(String),
    /// Nothing to push it as.
    #[error("push the result: it needs a name, by --tag")]
    PushWithoutTag,
    /// Files have no ID.
    #[error("use --iidfile: files (type=local or tar) have no image ID")]
    NoImageId,
    /// A field of an output without `=`.
    #[error("use --output: field {0:?} is not key=value")]
    OutputField(String),
    /// A key that no output has, or not with that value.
    #[error("use --output: {key}={value} is not supported")]
    OutputKey {
        /// Which.
        key: String,
        /// What it was given.
        value: String,
    },
    /// An output of no kind.
    #[error("use --output: it has no type")]
    OutputType,
    /// An output of an unknown kind.
    #[error(
        "use --output type={0}: there are cacheonly, docker, image, local, oci, registry and tar"
    )]
    OutputKind(String),
    /// Nowhere to write it to.
    #[error("use --output type={0}: it needs a destination, by dest=PATH")]
    Destination(String),
    /// Bytes for a terminal.
    #[error("use --output type={0}: refusing to write it to a terminal; say dest=FILE")]
    Terminal(String),
    /// Two flags that can't both be meant.
    #[error("use --progress and --quiet together")]
    Quiet,
    /// A way to tell progress that is none.
    #[error("use BUILDKIT_PROGRESS={0}: there are auto, json, none, plain, quiet, rawjson and tty")]
    Progress(String),
    /// An area where none can be drawn.
    #[error("use --progress=tty: the standard error is no terminal")]
    NoTerminal,
}

/// Looks a variable of the caller's environment up.
type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;
