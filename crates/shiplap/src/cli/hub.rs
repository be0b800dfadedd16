//! `hub serve`, and the hub's users, organisations, repositories and tokens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use shiplap_hub::{Options, Origin, Place, Stop, TlsFiles};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::place::{Blobs, Data};
use crate::face::{Face, Failure};

mod check;
mod org;
mod place;
mod repo;
mod token;
mod user;
mod webhook;

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum HubCommand {
    Check(check::Check),
    Serve(Serve),
    /// Manage users
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage organisations: namespaces of several users
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// Manage repositories
    #[command(subcommand)]
    Repo(repo::RepoCommand),
    /// Manage access tokens: passwords for programs
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Manage webhooks: who is told of pushes and deletions
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
}

impl HubCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Check(verb) => verb.run(face),
            Self::Serve(verb) => verb.run(face),
            Self::User(command) => command.run(face),
            Self::Org(command) => command.run(face),
            Self::Repo(command) => command.run(face),
            Self::Token(command) => command.run(face),
            Self::Webhook(command) => command.run(face),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AccessLog {
    /// A JSON object a line, on stderr
    Json,
    /// Nothing
    None,
}

/// Serve a hub
///
/// A registry with users, search, and public and private repositories.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// What to log of each request: json or none
    #[arg(
        long,
        value_name = "string",
        value_enum,
        default_value = "json",
        hide_possible_values = true
    )]
    access_log: AccessLog,
    /// Where to listen
    #[arg(long, value_name = "address", default_value = "127.0.0.1:5000")]
    address: SocketAddr,
    #[command(flatten)]
    data: Data,
    /// Let webhooks be on this machine or its network
    #[arg(long)]
    inner_webhooks: bool,
    /// Listen beyond this machine without TLS, as behind a proxy that speaks it
    #[arg(long)]
    insecure: bool,
    /// Fetch and keep another registry's images, as docker.io or name=url
    ///
    /// They lie in a namespace of its name; the first registry is also asked for what is not here.
    #[arg(long, value_name = "registry")]
    mirror: Vec<String>,
    /// Sign in to a mirrored registry, as docker.io=path; the file has a line of the form name:password
    #[arg(long, value_name = "registry=path")]
    mirror_login: Vec<String>,
    /// Let anybody see the numbers at /metrics
    #[arg(long)]
    open_metrics: bool,
    /// Make repositories private that a push makes
    #[arg(long)]
    private: bool,
    /// Send clients to the bucket for blobs, which they must reach then
    #[arg(long)]
    redirect: bool,
    #[command(flatten)]
    blobs: Blobs,
    /// Certificate and its chain, in PEM
    #[arg(long, value_name = "path", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Key of the certificate, in PEM
    #[arg(long, value_name = "path", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// What the world calls the hub, as `https://hub.example`
    #[arg(long, value_name = "url")]
    url: Option<String>,
}

impl Serve {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let output = Arc::clone(&face.output);
        let log: shiplap_hub::LineTaker = Arc::new(move |line: &str| output.talk(line));
        let tls = self.tls_certificate.zip(self.tls_key);
        let origin = |text: &String| {
            Origin::parse(text).ok_or_else(|| {
                let wanted = "want a registry's host, or a name and a URL as docker.io=https://x";
                Failure::plain(format!("failed to mirror {text:?}: {wanted}"))
            })
        };
        let mirrors = self.mirror.iter().map(origin);
        let mut mirrors = mirrors.collect::<Result<Vec<_>, _>>()?;
        for login in &self.mirror_login {
            sign_in(&mut mirrors, login)?;
        }
        let options = Options {
            place: Place {
                storage: self.blobs.bucket()?,
                ..self.data.place()?
            },
            redirect: self.redirect,
            address: self.address,
            tls: tls.map(|(certificates, key)| TlsFiles { certificates, key }),
            insecure: self.insecure,
            url: self.url,
            inner_webhooks: self.inner_webhooks,
            private_by_default: self.private,
            open_metrics: self.open_metrics,
            mirrors,
            access_log: (self.access_log == AccessLog::Json).then_some(log),
        };
        let stop = Stop::default();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let stopper = stop.clone();
        std::thread::spawn(move || {
            // The second one ends the process at once.
            for (number, signal) in signals.forever().enumerate() {
                stopper.stop();
                if number > 0 {
                    std::process::exit(128 + signal);
                }
            }
        });
        let ready = |address: SocketAddr| {
            face.output.talk(&format!("listening on {address}"));
        };
        Ok(shiplap_hub::serve(options, &stop, ready)?)
    }
}

/// Gives the mirror of a registry the name and password of a file.
fn sign_in(mirrors: &mut [Origin], login: &str) -> Result<(), Failure> {
    let fail =
        |why: String| Failure::plain(format!("failed to use --mirror-login {login:?}: {why}"));
    let (host, path) = login.split_once('=').ok_or_else(|| {
        fail("want a registry and a path, as docker.io=/etc/hub/login".to_owned())
    })?;
    let mirror = mirrors.iter_mut().find(|mirror| mirror.host == host);
    let mirror = mirror.ok_or_else(|| fail(format!("there is no --mirror {host}")))?;
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default();
    let (name, password) = line
        .split_once(':')
        .ok_or_else(|| fail("its first line is not of the form name:password".to_owned()))?;
    mirror.credential = Some((name.to_owned(), password.to_owned()));
    Ok(())
}

/// A password from stdin or the terminal.
fn password(face: &Face, from_stdin: bool) -> Result<String, Failure> {
    if from_stdin {
        let text = face.output.all_input()?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    let first = face.output.ask("Password: ", true)?;
    if face.output.ask("Again: ", true)? != first {
        return Err(Failure::plain("the passwords differ"));
    }
    Ok(first)
}

/// A time of the hub as lists show it.
fn time(us: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_microsecond(us).ok()
}
