//! The tree of a Dockerfile. Words are as written, quotes and variables included, unless a field
//! says otherwise: they are expanded when the build is planned, with what is known by then.

/// Lines of the file, counted from 1, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// First line.
    pub first: u32,
    /// Last line.
    pub last: u32,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// `# escape=`: what continues a line and takes a variable's meaning away.
    pub escape: char,
    /// `# syntax=`, as written. The builder is this program whatever it says.
    pub syntax: Option<String>,
    /// `# check=`, as written, up to a blank.
    pub check: Option<String>,
    /// `ARG`s before the first `FROM`.
    pub global_args: Vec<Instruction>,
    /// At least one.
    pub stages: Vec<Stage>,
    /// Blank lines where a line was to continue.
    pub gaps: Vec<Gap>,
}

/// A blank line where a line was to continue. It is passed over, but nobody means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where what was continued ends.
    pub line: u32,
    /// What was continued.
    pub text: String,
}

/// What one `FROM` begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its `FROM`.
    pub from: From,
    /// Where that stands.
    pub span: Span,
    /// The text of it, continued lines joined.
    pub text: String,
    /// The word as written: `from`, `FROM`.
    pub word: String,
    /// Comment lines straight before it, without `#`.
    pub comments: Vec<String>,
    /// What follows, in order.
    pub instructions: Vec<Instruction>,
}

/// `FROM [--platform=P] IMAGE [AS NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// `--platform`, as written.
    pub platform: Option<String>,
    /// Image, stage or `scratch`, as written.
    pub image: String,
    /// `AS` as written, if there is a name.
    pub keyword: Option<String>,
    /// Name of the stage, as written (compared without case).
    pub name: Option<String>,
}

/// One instruction after a `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it stands, heredocs included.
    pub span: Span,
    /// Its text with continued lines joined and comments between them left out, as histories show
    /// it; heredocs are not in it.
    pub text: String,
    /// The word as written: `run`, `RUN`.
    pub word: String,
    /// Comment lines straight before it, without `#`.
    pub comments: Vec<String>,
    /// What it says.
    pub kind: Kind,
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `ADD`.
    Add(Transfer),
    /// `ARG`: one or more.
    Arg(Vec<ArgDeclaration>),
    /// `CMD`.
    Cmd(Command),
    /// `COPY`.
    Copy(Transfer),
    /// `ENTRYPOINT`.
    Entrypoint(Command),
    /// `ENV`.
    Env(Vec<Pair>),
    /// `EXPOSE`.
    Expose(Expose),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `LABEL`.
    Label(Vec<Pair>),
    /// `MAINTAINER`, as written.
    Maintainer(String),
    /// `ONBUILD`: the instruction that waits, and its text as the config keeps it.
    Onbuild {
        /// As the config keeps it.
        text: String,
        /// The same, read.
        trigger: Box<Instruction>,
    },
    /// `RUN`.
    Run(Run),
    /// `SHELL`, unquoted: it is JSON.
    Shell(Vec<String>),
    /// `STOPSIGNAL`, as written.
    Stopsignal(String),
    /// `USER`, as written.
    User(String),
    /// `VOLUME`, each as written.
    Volume(Vec<String>),
    /// `WORKDIR`, as written.
    Workdir(String),
}

/// `name[=default]` of `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// As written.
    pub name: String,
    /// As written; `None`: no default.
    pub default: Option<String>,
}

/// `name=value` of `ENV` or `LABEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// As written.
    pub name: String,
    /// As written.
    pub value: String,
    /// Written without `=`, as `ENV name value`: the value is all of the rest.
    pub is_legacy: bool,
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// For the shell, as written, continued lines joined.
    Shell(String),
    /// JSON's words, unquoted.
    Exec(Vec<String>),
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run. With heredocs in shell form: the line as written, `<<EOF` included.
    pub command: Command,
    /// Heredocs of the line, in order.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`s, in order.
    pub mounts: Vec<Mount>,
    /// `--network`.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// `--device`s, in order.
    pub devices: Vec<Device>,
}

impl Run {
    /// The heredoc, if there is nothing on the line but one: then its content is what is run.
    #[must_use]
    pub fn script(&self) -> Option<&Heredoc> {
        match (&self.command, self.heredocs.as_slice()) {
            (Command::Shell(line), [heredoc]) => {
                let announced = super::heredoc::read(line).ok().flatten();
                announced.map(|_| heredoc)
            }
            _ => None,
        }
    }
}

/// `RUN --device=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As CDI names it.
    pub name: String,
    /// The step fails without it.
    pub required: bool,
}

/// `<<[-]["']NAME["']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// `EOF`, without quotes.
    pub name: String,
    /// Number of the file descriptor before `<<`; 0 if none.
    pub file_descriptor: u32,
    /// Its lines as they are used: tabs at their beginning taken away if it began with `<<-`.
    pub content: String,
    /// Its lines as written.
    pub raw: String,
    /// Variables in it are expanded: its name was not quoted.
    pub expands: bool,
    /// It began with `<<-`.
    pub strips_tabs: bool,
}

/// `RUN --network=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// As the build is told.
    #[default]
    Default,
    /// None at all.
    None,
    /// The host's.
    Host,
}

/// `RUN --security=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// As containers have it.
    #[default]
    Sandbox,
    /// All rights; only if the build allows it.
    Insecure,
}

/// `RUN --mount=type=…`, values as written and not yet expanded. Where a variable decides of
/// `type` and the like, [`Mount::expanded`] knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The flag's value as written; [`Mount::expanded`] reads it again.
    pub text: String,
    /// `type`.
    pub kind: MountType,
    /// `from`: stage, image or named context.
    pub from: Option<String>,
    /// `source`, `src`.
    pub source: Option<String>,
    /// `target`, `dst`, `destination`.
    pub target: Option<String>,
    /// `readonly`, `ro`, `rw`, `readwrite`; `None`: the type's default.
    pub read_only: Option<bool>,
    /// `id`.
    pub id: Option<String>,
    /// `sharing` of a cache: `shared`, `private`, `locked`.
    pub sharing: Option<String>,
    /// `required` of a secret or ssh.
    pub required: bool,
    /// `env` of a secret: the variable it is put into.
    pub env: Option<String>,
    /// `mode`, octal.
    pub mode: Option<String>,
    /// `uid`, decimal.
    pub uid: Option<String>,
    /// `gid`, decimal.
    pub gid: Option<String>,
    /// `size` of a tmpfs, as [`crate::units::parse_size`] reads it.
    pub size: Option<String>,
}

/// `type=` of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MountType {
    /// Part of the context, a stage or an image.
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret of the caller.
    Secret,
    /// An ssh agent of the caller.
    Ssh,
}

/// `ADD` or `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What is copied, at least one.
    pub sources: Vec<TransferSource>,
    /// Where to, as written.
    pub destination: String,
    /// `COPY --from=`, as written.
    pub from: Option<String>,
    /// `--chown=`, as written.
    pub chown: Option<String>,
    /// `--chmod=`, as written: octal or symbolic.
    pub chmod: Option<String>,
    /// `--link`.
    pub link: bool,
    /// `COPY --parents`.
    pub parents: bool,
    /// `--exclude=`, each as written.
    pub excludes: Vec<String>,
    /// `ADD --checksum=`, as written.
    pub checksum: Option<String>,
    /// `ADD --keep-git-dir`; `None`: as the source says.
    pub keep_git_dir: Option<bool>,
    /// `ADD --unpack`; `None`: local archives only.
    pub unpack: Option<bool>,
}

/// One source of `ADD` or `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSource {
    /// A path, a pattern, a URL, a git reference, as written.
    Path(String),
    /// Content in the Dockerfile itself; its name is the heredoc's.
    Heredoc(Heredoc),
}

/// `EXPOSE`, each as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// `80`, `53/udp`, `7000-7002`, `$PORT`.
    pub ports: Vec<String>,
}

/// `HEALTHCHECK`: flags and durations are read already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`.
    None,
    /// `CMD`.
    Check {
        /// What is run.
        command: Command,
        /// Nanoseconds; 0: inherited.
        interval: i64,
        /// Nanoseconds; 0: inherited.
        timeout: i64,
        /// Nanoseconds; 0: inherited.
        start_period: i64,
        /// Nanoseconds; 0: inherited.
        start_interval: i64,
        /// 0: inherited.
        retries: i64,
    },
}

/// As images keep it.
impl std::convert::From<&Healthcheck> for crate::config::Healthcheck {
    fn from(check: &Healthcheck) -> Self {
        match check {
            Healthcheck::None => Self {
                test: vec!["NONE".to_owned()],
                ..Self::default()
            },
            Healthcheck::Check {
                command,
                interval,
                timeout,
                start_period,
                start_interval,
                retries,
            } => Self {
                test: match command {
                    Command::Exec(words) => [&["CMD".to_owned()], words.as_slice()].concat(),
                    Command::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
                },
                interval: *interval,
                timeout: *timeout,
                start_period: *start_period,
                start_interval: *start_interval,
                retries: *retries,
                ..Self::default()
            },
        }
    }
}
