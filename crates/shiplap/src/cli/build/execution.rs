//! Flags that decide how steps are run, and what they may see.

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf};

use clap::Args;
use shiplap_build::options::{BuildNetwork, Execution, Secret, SecretSource, SshAgent};
use shiplap_model::{
    container::{host, memory},
    csv,
};

use super::{FlagError, Lookup, limits::LimitFlags};

#[derive(Debug, Args)]
#[command(next_help_heading = "Execution Options")]
pub(super) struct ExecutionFlags {
    /// Add a custom host-to-IP mapping (host:ip)
    #[arg(long, value_name = "list", value_delimiter = ',', value_parser = host::parse_add_host)]
    add_host: Vec<(String, String)>,
    /// Allow extra privileges (e.g., "network.host", "security.insecure")
    #[arg(long, value_name = "string", value_delimiter = ',')]
    allow: Vec<String>,
    /// Give steps the host's certificates and proxies; nothing of them gets into the image
    #[arg(long)]
    host_certs: bool,
    /// Steps that run at once (default: as many as there are processors)
    #[arg(long, value_name = "int")]
    jobs: Option<NonZeroUsize>,
    /// Set the networking mode for the "RUN" instructions: default, host or none
    #[arg(long, alias = "net", value_name = "string", value_parser = network)]
    network: Option<BuildNetwork>,
    /// Set the times of files that "RUN" writes, too, so that a build can be repeated bit by bit
    #[arg(long)]
    reproducible: bool,
    /// Secret to expose to the build (e.g., "id=mysecret[,src=/local/secret|,env=NAME]")
    #[arg(long, value_name = "string")]
    secret: Vec<String>,
    /// Shared memory size for build containers
    #[arg(long, value_name = "bytes", value_parser = memory::parse)]
    shm_size: Option<u64>,
    /// SSH agent socket or keys to expose to the build (format: "default", "id=socket" or "id=key,key")
    #[arg(long, value_name = "string")]
    ssh: Vec<String>,
    #[command(flatten)]
    limits: LimitFlags,
}

impl ExecutionFlags {
    pub(super) fn into_options(self, lookup: Lookup) -> Result<Execution, FlagError> {
        Ok(Execution {
            secrets: secrets(&self.secret, lookup)?,
            ssh: agents(&self.ssh, lookup)?,
            add_hosts: self.add_host,
            network: self.network.unwrap_or_default(),
            shm_bytes: self.shm_size.filter(|bytes| *bytes > 0),
            limits: self.limits.into_options()?,
            allow_insecure: allows_insecure(&self.allow)?,
            host_certs: self.host_certs,
            jobs: self.jobs,
            reproducible: self.reproducible,
            ..Execution::default()
        })
    }
}

fn network(name: &str) -> Result<BuildNetwork, &'static str> {
    match name {
        "" | "default" | "bridge" | "private" => Ok(BuildNetwork::Default),
        "host" => Ok(BuildNetwork::Host),
        "none" => Ok(BuildNetwork::None),
        _ => Err("there are default, host and none"),
    }
}

/// Whether `RUN --security=insecure` is; the host's network always is, and so are the files of
/// the caller.
fn allows_insecure(flags: &[String]) -> Result<bool, FlagError> {
    let mut is_allowed = false;
    for word in flags {
        match word.split_once('=').map_or(word.as_str(), |(name, _)| name) {
            "" | "network.host" | "fs" | "fs.read" | "fs.write" | "buildx.local.delete" => {}
            "security.insecure" => is_allowed = true,
            _ => return Err(FlagError::Allow(word.clone())),
        }
    }
    Ok(is_allowed)
}

/// The secrets, each ID once, the last of it.
fn secrets(flags: &[String], lookup: Lookup) -> Result<Vec<Secret>, FlagError> {
    let mut secrets: Vec<Secret> = Vec::new();
    for flag in flags.iter().filter(|flag| !flag.is_empty()) {
        let secret = secret(flag, lookup)?;
        secrets.retain(|known| known.id != secret.id);
        secrets.push(secret);
    }
    Ok(secrets)
}

/// `id=…,src=…` or `id=…,env=…`; without either, the variable of that name or else the file.
fn secret(flag: &str, lookup: Lookup) -> Result<Secret, FlagError> {
    let wrong = |reason: &'static str| FlagError::Secret {
        flag: flag.to_owned(),
        reason,
    };
    let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
    for field in csv::fields(flag)? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(wrong("each field must be a key=value pair"));
        };
        let value = Some(value.to_owned()).filter(|value| !value.is_empty());
        match key.to_ascii_lowercase().as_str() {
            "id" => id = value,
            "source" | "src" => file = value,
            "env" => variable = value,
            "type" => kind = value,
            _ => return Err(wrong("its keys are id, src, env and type")),
        }
    }
    match kind.as_deref() {
        None | Some("file") => {}
        Some("env") if variable.is_none() => variable = file.take(),
        Some("env") => {}
        Some(_) => return Err(wrong("its type is file or env")),
    }
    let id = id.ok_or_else(|| wrong("it has no id"))?;
    let source = match (variable, file) {
        // As everywhere, a variable that is not set is empty.
        (Some(name), _) => SecretSource::Value(lookup(&name).unwrap_or_default()),
        (None, Some(path)) => SecretSource::File(readable(&id, path)?),
        (None, None) => match lookup(&id) {
            Some(value) => SecretSource::Value(value),
            None => SecretSource::File(readable(&id, id.clone())?),
        },
    };
    Ok(Secret { id, source })
}

/// A file that is missing is better known before hours of building.
fn readable(id: &str, path: String) -> Result<PathBuf, FlagError> {
    let path = PathBuf::from(path);
    match path.metadata() {
        Ok(_) => Ok(path),
        Err(source) => Err(FlagError::SecretFile {
            id: id.to_owned(),
            path,
            source,
        }),
    }
}

/// `default`, `ID`, `ID=SOCKET`, `ID=KEY,…`.
fn agents(flags: &[String], lookup: Lookup) -> Result<BTreeMap<String, SshAgent>, FlagError> {
    let mut agents = BTreeMap::new();
    for flag in flags.iter().filter(|flag| !flag.is_empty()) {
        let (id, paths) = match flag.split_once('=') {
            Some((id, paths)) => (id, paths.split(',').map(str::to_owned).collect()),
            None => (flag.as_str(), Vec::new()),
        };
        let mut paths: Vec<String> = paths;
        paths.retain(|path| !path.is_empty());
        if paths.is_empty() {
            let socket = lookup("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
            paths.push(socket.ok_or(FlagError::NoAgent)?);
        }
        let id = if id.is_empty() { "default" } else { id };
        agents.insert(id.to_owned(), agent(&paths)?);
    }
    Ok(agents)
}

/// One socket, or files of keys.
fn agent(paths: &[String]) -> Result<SshAgent, FlagError> {
    use std::os::unix::fs::FileTypeExt as _;
    let mut keys = Vec::with_capacity(paths.len());
    for path in paths {
        let path = PathBuf::from(path);
        let failed = |source| FlagError::Agent {
            path: path.clone(),
            source,
        };
        let kind = path.metadata().map_err(failed)?.file_type();
        match (kind.is_socket(), kind.is_file()) {
            (true, _) if paths.len() == 1 => return Ok(SshAgent::Socket(path)),
            (false, true) => keys.push(std::path::absolute(&path).map_err(failed)?),
            _ => return Err(FlagError::AgentKind(path)),
        }
    }
    Ok(SshAgent::Keys(keys))
}
