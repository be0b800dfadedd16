//! The tools that are measured, each with storage of its own, and the registry they talk to.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::process::{find, run};

/// A measured tool.
pub(crate) enum Tool {
    /// Ours.
    Shiplap(PathBuf),
    /// Copies only: unpacks and keeps nothing.
    Skopeo,
    /// With storage and settings under the folder.
    Podman(PathBuf),
    /// With a daemon of its own.
    Docker(Daemon),
}

impl Tool {
    /// Ours first, then what is installed and works.
    pub(crate) fn all(binary: PathBuf, scratch: &Path) -> anyhow::Result<Vec<Self>> {
        let mut tools = vec![Self::Shiplap(binary)];
        if find("skopeo").is_some() {
            tools.push(Self::Skopeo);
        }
        if find("podman").is_some() {
            let folder = scratch.join("podman-settings");
            fs::create_dir_all(&folder)?;
            fs::write(
                folder.join("policy.json"),
                r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
            )?;
            fs::write(folder.join("registries.conf"), "")?;
            tools.push(Self::Podman(folder));
        }
        match Daemon::start(&scratch.join("docker")) {
            Ok(daemon) => tools.push(Self::Docker(daemon)),
            Err(error) => println!("without docker: {error:#}"),
        }
        Ok(tools)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Shiplap(_) => "shiplap",
            Self::Skopeo => "skopeo",
            Self::Podman(_) => "podman",
            Self::Docker(_) => "docker",
        }
    }

    /// The tool with this store directory (docker has the daemon's) and these arguments.
    pub(crate) fn command(&self, store: &Path, arguments: &[&str]) -> Command {
        match self {
            Self::Shiplap(binary) => {
                let mut command = Command::new(binary);
                command.env("SHIPLAP_ROOT", store).args(arguments);
                command
            }
            Self::Skopeo => {
                let mut command = Command::new("skopeo");
                command.arg("--insecure-policy").args(arguments);
                command
            }
            Self::Podman(settings) => podman(settings, store, arguments),
            Self::Docker(daemon) => {
                let mut command = Command::new("docker");
                command.arg("-H").arg(&daemon.address).args(arguments);
                command.env("DOCKER_BUILDKIT", "1");
                command
            }
        }
    }

    /// Whether a fresh directory makes a fresh store.
    pub(crate) fn has_own_store(&self) -> bool {
        matches!(self, Self::Shiplap(_) | Self::Podman(_))
    }
}

fn podman(settings: &Path, store: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("podman");
    command
        .env(
            "CONTAINERS_REGISTRIES_CONF",
            settings.join("registries.conf"),
        )
        .arg("--root")
        .arg(store.join("root"))
        .arg("--runroot")
        .arg(store.join("run"))
        .arg("--tmpdir")
        .arg(store.join("tmp"))
        .args([
            "--storage-driver",
            "overlay",
            "--cgroup-manager",
            "cgroupfs",
        ])
        .args(["--events-backend", "file"]);
    // Docker's; crun refuses machines with both versions of control groups.
    if find("runc").is_some() {
        command.args(["--runtime", "runc"]);
    }
    if let Some((verb, rest)) = arguments.split_first() {
        command.arg(verb);
        if ["pull", "load", "push"].contains(verb) {
            command
                .arg("--signature-policy")
                .arg(settings.join("policy.json"));
        }
        if ["pull", "push"].contains(verb) {
            command.arg("--tls-verify=false");
        }
        if *verb == "build" {
            // Without namespaces of its own: control groups in both versions are none of its matter.
            command.args(["--isolation=chroot", "--layers", "--pull=missing"]);
        }
        if *verb == "run" {
            // Those of its own are more than every machine allows.
            command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
        }
        command.args(rest);
    }
    command
}

/// A Docker daemon with everything of its own.
pub(crate) struct Daemon {
    process: Child,
    address: String,
}

impl Daemon {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let program = find("dockerd").context("dockerd is not installed")?;
        fs::create_dir_all(folder)?;
        let address = format!("unix://{}", folder.join("socket").display());
        let process = Command::new(program)
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-masq=false",
                "--bridge=none",
            ])
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("pid"))
            .args(["-H", &address])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log"))?)
            .spawn()?;
        let mut daemon = Self { process, address };
        wait_for(|| {
            if daemon.process.try_wait()?.is_some() {
                bail!("dockerd ended, see {}", folder.join("log").display());
            }
            let mut version = Command::new("docker");
            version.args(["-H", &daemon.address, "version"]);
            Ok(version.output().is_ok_and(|output| output.status.success()))
        })?;
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its containerd.
        Command::new("kill")
            .arg(self.process.id().to_string())
            .status()
            .ok();
        self.process.wait().ok();
    }
}

/// Debian's docker-registry on a free loopback port.
pub(crate) struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    /// An empty one with its data in `folder`.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let config = folder.join("config.yml");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
                folder.join("data").display()
            ),
        )?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start docker-registry")?;
        let registry = Self { process, address };
        wait_for(|| Ok(TcpStream::connect(&registry.address).is_ok()))?;
        Ok(registry)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Puts the image of an OCI layout there, as `REPOSITORY:TAG`.
    pub(crate) fn fill(&self, layout: &Path, name: &str) -> anyhow::Result<()> {
        run(Command::new("skopeo")
            .args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
            ])
            .arg(format!("oci:{}:latest", layout.display()))
            .arg(format!("docker://{}/{name}", self.address)))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

pub(super) fn wait_for(mut ready: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if ready()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("not ready after 30 s")
}
