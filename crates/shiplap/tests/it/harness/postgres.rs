//! A PostgreSQL server of the test's own: a cluster in a folder, made and run by an ordinary user, who
//! must give a password; gone when dropped. No cluster of the machine's is touched.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::judge;

/// The user `nobody`, whom every machine has: PostgreSQL won't run as root.
const NOBODY: u32 = 65_534;

/// The password of its only user, `hub`.
pub(crate) const PASSWORD: &str = "tide-table";

/// A cluster and its server.
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Postgres {
    /// A fresh cluster with a running server; none where PostgreSQL is not installed.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            judge::skip("PostgreSQL is not installed");
            return None;
        };
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("password"), PASSWORD).unwrap();
        let cluster = folder.path().join("cluster");
        fs::create_dir(&cluster).unwrap();
        if judge::is_root() {
            chown(&cluster, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let server = Self {
            programs,
            port: free_port(),
            folder,
        };
        let password = server.folder.path().join("password");
        let mut command = server.command("initdb");
        command
            .arg("-D")
            .arg(&cluster)
            .args(["-U", "hub", "-E", "UTF8", "--no-locale", "--no-sync"])
            .args(["--auth=scram-sha-256", "--no-instructions"])
            .arg(format!("--pwfile={}", password.display()));
        judge::ask(&mut command);
        server.go();
        Some(server)
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir("/")
            .env("LC_ALL", "C.UTF-8")
            .env("PGPASSWORD", PASSWORD);
        if judge::is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Starts the server, after it was ended, and waits until it takes connections.
    pub(crate) fn go(&self) {
        let cluster = self.cluster();
        let tls = if cluster.join("server.key").exists() {
            "-c ssl=on"
        } else {
            ""
        };
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off {tls}",
            self.port
        );
        let mut command = self.command("pg_ctl");
        command
            .args(["-s", "-w", "-t", "60", "start", "-o", &options, "-D"])
            .arg(&cluster)
            .arg("-l")
            .arg(cluster.join("log"));
        // What it starts keeps these open.
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let log = fs::read_to_string(cluster.join("log")).unwrap_or_default();
        assert!(started.unwrap().success(), "{command:?}\n{log}");
    }

    /// Starts it anew so that it speaks TLS; its certificate, which vouches for itself.
    pub(crate) fn seal(&self) -> Option<PathBuf> {
        let openssl = judge::program("openssl")?;
        let (certificate, key) = (
            self.cluster().join("server.crt"),
            self.cluster().join("server.key"),
        );
        let mut command = Command::new(openssl);
        command
            .args(["req", "-x509", "-newkey", "ec", "-nodes", "-subj", "/CN=db"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        judge::ask(&mut command);
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        if judge::is_root() {
            chown(&key, Some(NOBODY), Some(NOBODY)).unwrap();
            chown(&certificate, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        self.end();
        self.go();
        Some(certificate)
    }

    /// Ends it as a power cut would: nothing is finished, connections break.
    pub(crate) fn kill(&self) {
        self.stop("immediate");
    }

    /// Ends it in order, though not for those who are connected.
    pub(crate) fn end(&self) {
        self.stop("fast");
    }

    fn stop(&self, mode: &str) {
        let mut command = self.command("pg_ctl");
        command.args(["-s", "-w", "stop", "-m", mode, "-D"]);
        judge::ask(command.arg(self.cluster()));
    }

    /// A new database, by its URL without the password.
    pub(crate) fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// The URL of a database without the password.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://hub@127.0.0.1:{}/{name}", self.port)
    }

    /// The command line that makes a database.
    pub(crate) fn making(&self, name: &str) -> String {
        let program = self.programs.join("createdb");
        let port = self.port;
        format!("{} -h 127.0.0.1 -p {port} -U hub {name}", program.display())
    }

    /// Runs SQL beside hubs at work, who may be in its way: then it does nothing.
    pub(crate) fn disturb(&self, database: &str, sql: &str) {
        let mut command = self.psql(database, sql);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap();
    }

    /// What SQL in a database yields.
    #[track_caller]
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        judge::ask(&mut self.psql(database, sql))
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let port = self.port.to_string();
        let mut command = self.command("psql");
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "hub", "-d", database]);
        command.args(["-qAtX", "-c", sql]);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut command = self.command("pg_ctl");
        command.args(["-s", "-w", "stop", "-m", "immediate", "-D"]);
        // It may be ended already.
        command
            .arg(self.cluster())
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}

/// The folder of the newest server's programs, where Debian has it.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions
        .map_while(Result::ok)
        .map(|entry| entry.path().join("bin"));
    folders
        .filter(|folder: &PathBuf| folder.join("initdb").is_file())
        .max_by_key(|folder| version(folder))
}

fn version(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name);
    let name = name.and_then(|name| name.to_str()).unwrap_or_default();
    name.parse().unwrap_or(0)
}

/// A loopback port that nobody has.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
