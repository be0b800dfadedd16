//! `inspect` of a container, in the words of Docker's API (`GET /containers/{id}/json`), as far as
//! they mean something here.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use shiplap_model::container::log::{LogDriver, LogOptions};
use shiplap_model::container::{Mount, MountSource, PortMapping, Seccomp};
use shiplap_model::units;

use super::{Container, ContainerError, State, Status, list, network, volume};
use crate::context::Context;

/// Docker's way to say "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A container as Docker's JSON.
///
/// # Errors
/// [`ContainerError`].
pub fn inspect(context: &Context, container: &Container) -> Result<Value, ContainerError> {
    let facts = &container.facts;
    let command = facts.command();
    let (path, args) = match command.split_first() {
        Some((path, args)) => (path.clone(), args.to_vec()),
        None => (String::new(), Vec::new()),
    };
    let file = |name: &str| container.path(name).to_string_lossy().into_owned();
    Ok(json!({
        "Id": facts.id,
        "Created": facts.created.to_string(),
        "Path": path,
        "Args": args,
        "State": state(&container.state()?),
        "Image": facts.image.to_string(),
        "ResolvConfPath": file("resolv.conf"),
        "HostnamePath": file("hostname"),
        "HostsPath": file("hosts"),
        "LogPath": file("log.json"),
        "Name": format!("/{}", container.name),
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": Value::Null,
        "HostConfig": host_config(container),
        "GraphDriver": {
            "Data": {
                "MergedDir": file("rootfs"),
                "UpperDir": file("upper"),
                "WorkDir": file("work"),
            },
            "Name": "overlay2",
        },
        "Mounts": mounts(context, container),
        "Config": config(container),
        "NetworkSettings": network(container),
    }))
}

fn state(state: &State) -> Value {
    let time = |time: Option<Timestamp>| time.map_or_else(|| NEVER.to_owned(), |t| t.to_string());
    json!({
        "Status": state.status.word(),
        "Running": state.status.is_live(),
        "Paused": state.status == Status::Paused,
        "Restarting": false,
        "OOMKilled": false,
        "Dead": false,
        "Pid": if state.status.is_live() { state.pid.unwrap_or(0) } else { 0 },
        "ExitCode": state.exit_code,
        "Error": state.error.clone().unwrap_or_default(),
        "StartedAt": time(state.started),
        "FinishedAt": time(state.finished),
    })
}

fn host_config(container: &Container) -> Value {
    let options = &container.facts.options;
    let (limits, security) = (&options.limits, &options.security);
    let binds: Vec<String> = options.storage.mounts.iter().filter_map(bind).collect();
    let mut security_options = Vec::new();
    if let Some(is_set) = security.no_new_privileges {
        security_options.push(format!("no-new-privileges:{is_set}"));
    }
    if security.seccomp == Seccomp::Unconfined {
        security_options.push("seccomp=unconfined".to_owned());
    }
    let ulimits: Vec<_> = limits
        .ulimits
        .iter()
        .map(|limit| json!({"Name": limit.name, "Hard": limit.hard, "Soft": limit.soft}))
        .collect();
    json!({
        "Binds": binds,
        "NetworkMode": list::network_word(container),
        "PortBindings": bindings(&options.network.publish),
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": options.auto_remove,
        "CapAdd": security.cap_add,
        "CapDrop": security.cap_drop,
        "Dns": options.network.dns,
        "DnsOptions": options.network.dns_options,
        "DnsSearch": options.network.dns_search,
        "ExtraHosts": options.network.add_hosts.iter()
            .map(|(name, address)| format!("{name}:{address}")).collect::<Vec<_>>(),
        "GroupAdd": options.process.groups,
        "OomScoreAdj": limits.oom_score_adj.unwrap_or(0),
        "Privileged": security.privileged,
        "PublishAllPorts": options.network.publish_all,
        "ReadonlyRootfs": options.storage.read_only,
        "SecurityOpt": security_options,
        "ShmSize": options.storage.shm_bytes.unwrap_or(64 << 20),
        "Sysctls": limits.sysctls,
        "Runtime": options.runtime.clone().unwrap_or_default(),
        "Memory": limits.memory_bytes.unwrap_or(0),
        "MemorySwap": limits.memory_swap_bytes.unwrap_or(0),
        "NanoCpus": limits.nano_cpus.unwrap_or(0),
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "CpusetCpus": limits.cpuset.clone().unwrap_or_default(),
        "PidsLimit": limits.pids,
        "Ulimits": ulimits,
        "Init": options.process.init,
        "LogConfig": log_config(&options.log),
    })
}

fn log_config(log: &LogOptions) -> Value {
    let config = match log.driver {
        LogDriver::None => json!({}),
        LogDriver::JsonFile if log.max_file_bytes == 0 => json!({"max-size": "-1"}),
        LogDriver::JsonFile => json!({
            "max-size": units::human_size(log.max_file_bytes),
            "max-file": log.max_files.to_string(),
        }),
    };
    json!({"Type": log.driver.word(), "Config": config})
}

/// A mount as `-v` says it, if it is one of the host's paths or a named volume.
fn bind(mount: &Mount) -> Option<String> {
    let source = match &mount.source {
        MountSource::Bind { path, .. } => path,
        MountSource::Volume { name, .. } => name.as_ref()?,
        MountSource::Tmpfs { .. } => return None,
    };
    let access = if mount.read_only { "ro" } else { "rw" };
    Some(format!("{source}:{}:{access}", mount.target))
}

fn bindings(ports: &[PortMapping]) -> Map<String, Value> {
    let mut bindings = Map::new();
    for port in ports {
        let key = format!("{}/{}", port.container_port, port.protocol);
        let host_ip = port.host_ip.map_or_else(String::new, |ip| ip.to_string());
        let binding = json!({"HostIp": host_ip, "HostPort": port.host_port.to_string()});
        let entry = bindings.entry(key).or_insert_with(|| json!([]));
        if let Some(list) = entry.as_array_mut() {
            list.push(binding);
        }
    }
    bindings
}

fn mounts(context: &Context, container: &Container) -> Vec<Value> {
    let facts = &container.facts;
    let volumes = facts.volumes.iter().map(|used| {
        let source = volume::data(context, &used.name);
        let source = source.map_or_else(
            |_| String::new(),
            |path| path.to_string_lossy().into_owned(),
        );
        json!({
            "Type": "volume",
            "Name": used.name,
            "Source": source,
            "Destination": used.target,
            "Driver": "local",
            "Mode": "",
            "RW": !used.read_only,
            "Propagation": "",
        })
    });
    let others = facts.options.storage.mounts.iter().filter_map(|mount| {
        let (kind, source, propagation) = match &mount.source {
            MountSource::Bind {
                path, propagation, ..
            } => {
                let propagation = propagation.clone();
                (
                    "bind",
                    path.clone(),
                    propagation.unwrap_or_else(|| "rprivate".to_owned()),
                )
            }
            MountSource::Tmpfs { .. } => ("tmpfs", String::new(), String::new()),
            MountSource::Volume { .. } => return None,
        };
        Some(json!({
            "Type": kind,
            "Source": source,
            "Destination": mount.target,
            "Mode": "",
            "RW": !mount.read_only,
            "Propagation": propagation,
        }))
    });
    volumes.chain(others).collect()
}

fn config(container: &Container) -> Value {
    let facts = &container.facts;
    let (config, process) = (&facts.config, &facts.options.process);
    let set = |names: &mut dyn Iterator<Item = &String>| -> Map<String, Value> {
        names.map(|name| (name.clone(), json!({}))).collect()
    };
    json!({
        "Hostname": facts.hostname,
        "Domainname": facts.options.network.domainname.clone().unwrap_or_default(),
        "User": config.user,
        "AttachStdin": process.interactive,
        "AttachStdout": true,
        "AttachStderr": true,
        "ExposedPorts": set(&mut config.exposed_ports.iter()),
        "Tty": process.tty,
        "OpenStdin": process.interactive,
        "StdinOnce": process.interactive,
        "Env": config.env,
        "Cmd": config.cmd,
        "Image": facts.image_name,
        "Volumes": set(&mut config.volumes.iter()),
        "WorkingDir": config.working_dir,
        "Entrypoint": config.entrypoint,
        "OnBuild": Value::Null,
        "Labels": config.labels,
        "StopSignal": config.stop_signal.clone().unwrap_or_else(|| "SIGTERM".to_owned()),
        "StopTimeout": process.stop_timeout_secs,
    })
}

fn network(container: &Container) -> Value {
    // What can't be read is published nowhere.
    let ports = bindings(&network::ports(container).unwrap_or_default());
    // An address of the private network leads nowhere outside of the container: none is promised.
    let mut endpoint = json!({"IPAddress": "", "IPPrefixLen": 0, "Gateway": "", "MacAddress": ""});
    let networks = json!({ list::network_word(container): endpoint.clone() });
    endpoint["Ports"] = json!(ports);
    endpoint["Networks"] = networks;
    endpoint
}
