//! What a container sees of the network: its own `/etc/hosts`, `/etc/hostname` and
//! `/etc/resolv.conf`, mounted over the image's, and with a private network the way out of it and
//! the ports of the host that lead into it.
//!
//! The host's network is never changed: no interface, no address, no rule.

mod pasta;
mod publish;

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::process::Pid;
use shiplap_model::container::{NetworkMode, NetworkOptions, PortMapping};
use shiplap_run::spec::BundleMount;

use super::bundle::bind;
use super::{Container, ContainerError, State, read_json, write_json};
use crate::context::Context;

pub(crate) use pasta::Uplink;

/// Why a container's network can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// One of its files can't be written.
    #[error("write {path}: {source}")]
    File {
        /// Path from the container's directory.
        path: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The ports that were chosen can't be written down.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The program for it is missing.
    #[error(
        "make a private network: pasta is not installed; \
         install the package passt, or use --network host or none"
    )]
    NoPasta,
    /// There can be no interfaces.
    #[error("make a private network: open /dev/net/tun: {source}")]
    NoTun {
        /// What the system said.
        source: io::Error,
    },
    /// The container's namespace can't be handed on.
    #[error("make a private network: mount its namespace: {source}")]
    Namespace {
        /// What the kernel said.
        source: io::Error,
    },
    /// The program can't be called.
    #[error("make a private network: call pasta: {source}")]
    Call {
        /// What the system said.
        source: io::Error,
    },
    /// The program refuses.
    #[error("make a private network: pasta: {words}")]
    Refused {
        /// Its words.
        words: String,
    },
    /// Somebody else has the port.
    #[error(
        "publish port {}/{protocol}: Bind for {address} failed: port is already allocated",
        address.port()
    )]
    Taken {
        /// Of the host.
        address: SocketAddr,
        /// `tcp` or `udp`.
        protocol: String,
    },
    /// The port can't be had.
    #[error("publish port {}/{protocol}: Bind for {address} failed: {source}{}", address.port(), low(source))]
    Port {
        /// Of the host.
        address: SocketAddr,
        /// `tcp` or `udp`.
        protocol: String,
        /// What the system said.
        source: io::Error,
    },
    /// Ports in the wrong order.
    #[error("publish ports {first}-{last}: the last is before the first")]
    PortOrder {
        /// As asked for.
        first: u16,
        /// As asked for.
        last: u16,
    },
    /// A protocol that is not carried.
    #[error("publish port {port}/{protocol}: only tcp and udp can be published")]
    Protocol {
        /// In the container.
        port: u16,
        /// As asked for.
        protocol: String,
    },
    /// What an image exposes is no port.
    #[error("publish exposed port {text:?}: it is no port")]
    Exposed {
        /// As in the image's config.
        text: String,
    },
}

fn low(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below sysctl net.ipv4.ip_unprivileged_port_start are the machine's root's"
        }
        _ => "",
    }
}

/// Whose network it is: a container's, or a step's of a build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// Where its files go.
    pub(crate) directory: &'a Path,
    /// Which network it has.
    pub(crate) mode: NetworkMode,
    /// What it is called, and finds itself by; `None`: as the host.
    pub(crate) hostname: Option<&'a str>,
    /// What is wanted of it.
    pub(crate) options: &'a NetworkOptions,
}

/// That of a container.
fn owner(container: &Container) -> Owner<'_> {
    let facts = &container.facts;
    Owner {
        directory: &container.directory,
        mode: facts.network,
        hostname: (facts.network != NetworkMode::Host).then_some(&*facts.hostname),
        options: &facts.options.network,
    }
}

/// Files that are mounted into every container, and where.
pub(crate) const MOUNTED_FILES: [(&str, &str); 3] = [
    ("hosts", "/etc/hosts"),
    ("hostname", "/etc/hostname"),
    ("resolv.conf", "/etc/resolv.conf"),
];

/// The file of a container's directory that holds the ports of the host that lead into it.
const PORTS: &str = "ports.json";

/// The network of a new container.
///
/// # Errors
/// [`NetworkError`] if a private one is asked for and can't be had.
pub(crate) fn decide(
    context: &Context,
    options: &NetworkOptions,
    warnings: &mut Vec<String>,
) -> Result<NetworkMode, NetworkError> {
    let mode = match options.mode.or(context.settings().containers.network) {
        Some(NetworkMode::Private) => {
            program(context)?;
            NetworkMode::Private
        }
        Some(mode) => mode,
        None => match program(context) {
            Ok(_) => NetworkMode::Private,
            Err(error) => {
                let reason = match error {
                    NetworkError::NoPasta => "pasta is not installed".to_owned(),
                    error => error.to_string(),
                };
                warnings.push(format!(
                    "{reason}, so the container shares the host's network; \
                     --network says which one is meant"
                ));
                NetworkMode::Host
            }
        },
    };
    // Where the user named it, the command line knows as much.
    let publishes = !options.publish.is_empty() || options.publish_all;
    let is_surprise = options.mode.is_none() && publishes;
    let word = match mode {
        NetworkMode::Host => "host",
        NetworkMode::None => "none",
        NetworkMode::Private => return Ok(mode),
    };
    if is_surprise {
        warnings.push(format!(
            "Published ports are discarded when using {word} network mode"
        ));
    }
    Ok(mode)
}

/// `pasta`, if it is there and may make interfaces.
fn program(context: &Context) -> Result<PathBuf, NetworkError> {
    let program = context.settings().containers.find_program("pasta");
    let program = program.ok_or(NetworkError::NoPasta)?;
    // An interface is made of it only by what pasta asks of it then.
    let tun = File::options().read(true).write(true).open("/dev/net/tun");
    tun.map_err(|source| NetworkError::NoTun { source })?;
    Ok(program)
}

/// A private network, decided before anything of the container is made.
pub(crate) struct Plan {
    call: pasta::Call,
    held: publish::Held,
    /// The user named no network, and no port leads in.
    is_dispensable: bool,
}

/// What is to be done for the container's network: `None` where the runtime does it all. The ports
/// chosen are the container's from now on.
///
/// # Errors
/// [`NetworkError`].
pub(super) fn plan(context: &Context, container: &Container) -> Result<Option<Plan>, NetworkError> {
    let facts = &container.facts;
    if facts.network != NetworkMode::Private {
        return Ok(None);
    }
    let wanted = publish::wanted(&facts.options.network, &facts.config.exposed_ports)?;
    let (ports, held) = publish::choose(&wanted)?;
    write_json(&container.path(PORTS), &ports)?;
    plan_with(context, owner(container), ports, held).map(Some)
}

/// The same for a step, into which no port leads.
pub(crate) fn plan_of_step(
    context: &Context,
    owner: Owner<'_>,
) -> Result<Option<Plan>, NetworkError> {
    if owner.mode != NetworkMode::Private {
        return Ok(None);
    }
    plan_with(context, owner, Vec::new(), publish::Held::default()).map(Some)
}

fn plan_with(
    context: &Context,
    owner: Owner<'_>,
    ports: Vec<PortMapping>,
    held: publish::Held,
) -> Result<Plan, NetworkError> {
    let options = owner.options;
    Ok(Plan {
        is_dispensable: options.mode.is_none() && ports.is_empty(),
        call: pasta::Call {
            program: program(context)?,
            ports,
            maps_host: names_host(options),
            forwards_names: options.dns.is_empty() && resolver(&host_resolv_conf()).1,
        },
        held,
    })
}

/// Whether the user wants the container to reach the host.
fn names_host(options: &NetworkOptions) -> bool {
    options
        .add_hosts
        .iter()
        .any(|(_, address)| address == HOST_GATEWAY)
}

/// The address of `--add-host` that stands for the host.
const HOST_GATEWAY: &str = "host-gateway";

impl Plan {
    /// Gives the network namespace of a process its way out. `None`: there is none, as the host
    /// has none either.
    pub(super) fn attach(
        self,
        container: &Container,
        pid: Pid,
    ) -> Result<Option<Uplink>, NetworkError> {
        let process = format!("/proc/{}", pid.as_raw_nonzero());
        self.attach_to(owner(container), process.as_ref())
    }

    /// The same for whoever owns the network, and any process or thread in it, by its directory in
    /// `/proc`.
    pub(crate) fn attach_to(
        mut self,
        owner: Owner<'_>,
        process: &Path,
    ) -> Result<Option<Uplink>, NetworkError> {
        // Only a process with all rights of the container's may look at its namespaces by way of
        // it; pasta has less.
        let failed = |source| NetworkError::Namespace { source };
        let namespace = owner.directory.join("netns");
        File::create(&namespace).map_err(failed)?;
        mount_bind(process.join("ns/net"), &namespace).map_err(|errno| failed(errno.into()))?;
        self.held.release();
        let attached = self.call.attach(&namespace);
        // It has it open.
        unmount(&namespace, UnmountFlags::DETACH).map_err(|errno| failed(errno.into()))?;
        fs::remove_file(&namespace).map_err(failed)?;
        match attached {
            Err(error) if self.is_dispensable && !has_way_out() => {
                tracing::warn!(%error, "the container has a loopback only");
                Ok(None)
            }
            attached => {
                let uplink = attached?;
                follow_gateway(owner, process)?;
                Ok(Some(uplink))
            }
        }
    }
}

/// Rewrites what the container reads of the network where pasta chose other addresses than it was
/// told, as it does where the host has no network.
fn follow_gateway(owner: Owner<'_>, process: &Path) -> Result<(), NetworkError> {
    let routes = fs::read_to_string(process.join("net/route"));
    let found = routes.unwrap_or_default().lines().find_map(gateway);
    match found {
        Some(gateway) if gateway != pasta::GATEWAY => {
            let text = hosts(owner, &gateway, LOOPBACK_NAME);
            let path = "hosts";
            fs::write(owner.directory.join(path), text)
                .map_err(|source| NetworkError::File { path, source })
        }
        _ => Ok(()),
    }
}

/// Whether the host itself reaches more than its own networks.
fn has_way_out() -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let by_ipv6 = read("/proc/net/ipv6_route").lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Destination and its length in bits; the last is the interface.
        fields.get(1) == Some(&"00") && fields.last() != Some(&"lo")
    });
    by_ipv6
        || read("/proc/net/route")
            .lines()
            .any(|line| gateway(line).is_some())
}

/// The gateway of a line of `/proc/net/route`, if it is the way to everywhere.
fn gateway(line: &str) -> Option<String> {
    let mut fields = line.split_whitespace().skip(1);
    let (destination, gateway) = (fields.next()?, fields.next()?);
    let number = u32::from_str_radix(gateway, 16).ok()?;
    let is_default = destination == "00000000" && number != 0;
    // The kernel writes it in the byte order of the machine.
    is_default.then(|| std::net::Ipv4Addr::from(number.to_ne_bytes()).to_string())
}

/// The ports of the host that lead into a container now: none if it does not run.
///
/// # Errors
/// [`ContainerError`].
pub fn ports(container: &Container) -> Result<Vec<PortMapping>, ContainerError> {
    ports_in(container, &container.state()?)
}

/// The same in a state that is known.
pub(super) fn ports_in(
    container: &Container,
    state: &State,
) -> Result<Vec<PortMapping>, ContainerError> {
    let is_joined = state.status.is_live() && !state.unwatched;
    if container.facts.network != NetworkMode::Private || !is_joined {
        return Ok(Vec::new());
    }
    read_json(&container.path(PORTS))
}

/// Writes the files of a container's network; how they are mounted.
pub(super) fn files(container: &Container) -> Result<Vec<BundleMount>, NetworkError> {
    let facts = &container.facts;
    let owner = owner(container);
    let asked = |target: &str| {
        let mounts = &facts.options.storage.mounts;
        mounts.iter().any(|mount| mount.target == target)
    };
    let mut mounts = Vec::new();
    for (path, target) in MOUNTED_FILES {
        let text = match path {
            "hostname" => format!("{}\n", facts.hostname),
            _ => text_of(path, owner),
        };
        let file = write(path, &text, owner)?;
        if !asked(target) {
            mounts.push(bind(file, target, facts.options.storage.read_only));
        }
    }
    Ok(mounts)
}

/// Writes the files of a step's network; how they are mounted. Its name is in no file, as the image
/// may have one of its own, and nothing that it writes to them would stay.
pub(crate) fn files_of_step(owner: Owner<'_>) -> Result<Vec<BundleMount>, NetworkError> {
    let files = MOUNTED_FILES.iter().filter(|(path, _)| *path != "hostname");
    files
        .map(|(path, target)| {
            let file = write(path, &text_of(path, owner), owner)?;
            Ok(bind(file, target, true))
        })
        .collect()
}

fn text_of(path: &str, owner: Owner<'_>) -> String {
    match (path, owner.mode) {
        ("hosts", NetworkMode::Private) => hosts(owner, pasta::GATEWAY, pasta::ADDRESS),
        ("hosts", _) => hosts(owner, "127.0.0.1", LOOPBACK_NAME),
        _ => resolv_conf(&host_resolv_conf(), owner.mode, owner.options),
    }
}

fn write(path: &'static str, text: &str, owner: Owner<'_>) -> Result<PathBuf, NetworkError> {
    let file = owner.directory.join(path);
    fs::write(&file, text).map_err(|source| NetworkError::File { path, source })?;
    Ok(file)
}

/// The address of a name that nothing but a loopback has.
const LOOPBACK_NAME: &str = "127.0.1.1";

/// `/etc/hosts`, where `host` is the host's address seen from inside, and `own` the container's.
fn hosts(owner: Owner<'_>, host: &str, own: &str) -> String {
    let mut text = match (owner.mode, fs::read_to_string("/etc/hosts")) {
        (NetworkMode::Host, Ok(text)) => text,
        _ => "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if let Some(hostname) = owner.hostname {
        let full = match &owner.options.domainname {
            Some(domain) => format!("{hostname}.{domain} {hostname}"),
            None => hostname.to_owned(),
        };
        text.push_str(&format!("{own}\t{full}\n"));
    }
    for (name, address) in &owner.options.add_hosts {
        let address = match address.as_str() {
            HOST_GATEWAY => host,
            given => given,
        };
        text.push_str(&format!("{address}\t{name}\n"));
    }
    text
}

fn host_resolv_conf() -> String {
    fs::read_to_string(Path::new("/etc/resolv.conf")).unwrap_or_default()
}

/// The lines of the host's `resolv.conf` as they hold in a private network, and whether questions
/// must be forwarded: name servers on the host's loopback are not reached from inside. The first
/// of IPv4 is the one that pasta forwards to.
fn resolver(host: &str) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let mut forwards = false;
    let mut is_first = true;
    for line in host.lines() {
        let mut words = line.split_whitespace();
        let server = match (words.next(), words.next()) {
            (Some("nameserver"), Some(server)) => server.parse::<IpAddr>().ok(),
            _ => None,
        };
        match server {
            Some(server) if server.is_loopback() => {
                if server.is_ipv4() && is_first {
                    forwards = true;
                    lines.push(format!("nameserver {}", pasta::NAME_SERVER));
                }
            }
            _ => lines.push(line.to_owned()),
        }
        is_first &= !server.is_some_and(|server| server.is_ipv4());
    }
    (lines, forwards)
}

/// The resolver's settings: the user's where given, else the host's.
fn resolv_conf(host: &str, mode: NetworkMode, options: &NetworkOptions) -> String {
    let lines = match mode {
        NetworkMode::Private => resolver(host).0,
        NetworkMode::Host | NetworkMode::None => host.lines().map(str::to_owned).collect(),
    };
    let given = [
        ("nameserver", &options.dns),
        ("search", &options.dns_search),
        ("options", &options.dns_options),
    ];
    let mut text = String::new();
    for line in lines {
        let word = line.split_whitespace().next().unwrap_or_default();
        let is_replaced = given
            .iter()
            .any(|(name, values)| *name == word && !values.is_empty());
        if !is_replaced {
            text.push_str(&line);
            text.push('\n');
        }
    }
    for server in &options.dns {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (name, values) in &given[1..] {
        if !values.is_empty() {
            text.push_str(&format!("{name} {}\n", values.join(" ")));
        }
    }
    text
}

#[cfg(test)]
mod tests;
