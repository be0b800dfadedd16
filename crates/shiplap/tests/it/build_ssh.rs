//! `build --ssh` on real agents: steps ask them to sign, and neither a key nor where an agent is stays
//! anywhere.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::build::course;
use crate::harness::leftovers::{self, holding};
use crate::harness::{Ran, Store, base, judge};

/// An agent of the machine's with one key.
struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    fn new(folder: &Path, key: &Path) -> Self {
        let socket = folder.join(format!(
            "{}.sock",
            key.file_name().unwrap().to_str().unwrap()
        ));
        let mut process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It says where it is once it listens there.
        let mut line = String::new();
        let said = process.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        judge::ask(
            Command::new("ssh-add")
                .arg("-q")
                .arg(key)
                .env("SSH_AUTH_SOCK", &socket),
        );
        Self { process, socket }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A key of a name; what `ssh-add -l` says of it.
fn key(folder: &Path, name: &str, phrase: &str) -> (PathBuf, String) {
    let file = folder.join(name);
    judge::ask(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", phrase, "-C", name, "-f"])
            .arg(&file),
    );
    let listed = judge::ask(Command::new("ssh-keygen").arg("-lf").arg(&file));
    (file, listed)
}

/// The machine's `ssh-add` with the libraries it needs, as files of a context.
fn client(folder: &Path) -> Option<()> {
    let program = judge::program("ssh-add")?;
    judge::program("ssh-agent")?;
    let listed = judge::ask(Command::new("ldd").arg(&program));
    let words = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for file in words.chain(["/usr/bin/ssh-add"]) {
        let source = if file.ends_with("ssh-add") {
            &program
        } else {
            Path::new(file)
        };
        let target = folder.join(file.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(source, target).unwrap();
    }
    Some(())
}

const SIGNED: &str = "FROM busybox
COPY client /
RUN --mount=type=ssh ssh-add -l > /default; echo $? > /status; echo $SSH_AUTH_SOCK > /socket
RUN --mount=type=ssh,id=deploy,target=/run/deploy,required=true \
    --mount=type=bind,source=deploy.pub,target=/deploy.pub \
    ssh-add -T /deploy.pub && ssh-add -l > /deploy && echo $SSH_AUTH_SOCK >> /socket
RUN test -z \"$SSH_AUTH_SOCK\" && test ! -e /run/deploy && test ! -e /run/buildkit && ! ssh-add -l
RUN --mount=type=ssh,id=deploy,uid=65534,mode=0600 stat -c '%u %a' $SSH_AUTH_SOCK > /mode && \
    chmod 777 /root && su -s /bin/sh nobody -c 'SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0 ssh-add -l' > /nobody
";

/// A store, a context with a client, keys, and an agent with one of them.
struct Scene {
    store: Store,
    context: PathBuf,
    keys: PathBuf,
}

impl Scene {
    fn new() -> Option<Self> {
        let store = base::store()?;
        let context = course(&store, SIGNED);
        client(&context.join("client"))?;
        let keys = store.path("keys");
        fs::create_dir(&keys).unwrap();
        Some(Self {
            store,
            context,
            keys,
        })
    }

    fn build(&self, agent: Option<&Path>, flags: &[&str]) -> Ran {
        let line = ["build", "-t", "app", "--network", "none"];
        let line = [&line[..], flags, &[self.context.to_str().unwrap()]].concat();
        let mut command = self.store.command(&line);
        if let Some(agent) = agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        Ran::new(&line, &command.output().unwrap())
    }

    fn read(&self, path: &str) -> String {
        self.store.ok(&["image", "cat", "app", path])
    }

    /// Nothing of a key, and not where an agent was.
    fn assert_secret(&self, files: &[&Path]) {
        for file in files {
            let content = fs::read_to_string(file).unwrap();
            let line = content.lines().nth(2).unwrap();
            for needle in [line, file.to_str().unwrap()] {
                let found = holding(self.store.root(), needle.as_bytes());
                assert_eq!(found, Vec::<PathBuf>::new(), "{needle}");
            }
        }
        leftovers::assert_none(&self.store);
    }
}

#[test]
fn steps_sign_with_agents() {
    let Some(scene) = Scene::new() else { return };
    let (mine, listed) = key(&scene.keys, "mine", "");
    let (deploy, deploy_listed) = key(&scene.keys, "deploy", "");
    fs::copy(
        scene.keys.join("deploy.pub"),
        scene.context.join("deploy.pub"),
    )
    .unwrap();
    let agents = [
        Agent::new(&scene.keys, &mine),
        Agent::new(&scene.keys, &deploy),
    ];
    let other = format!("deploy={}", agents[1].socket.display());
    let flags = ["--ssh", "default", "--ssh", &other];
    let ran = scene.build(Some(&agents[0].socket), &flags);
    ran.assert_ok();
    assert_eq!(scene.read("/default"), listed);
    assert_eq!(scene.read("/deploy"), deploy_listed);
    assert_eq!(scene.read("/nobody"), deploy_listed);
    assert_eq!(scene.read("/mode"), "65534 600\n");
    assert_eq!(
        scene.read("/socket"),
        "/run/buildkit/ssh_agent.0\n/run/deploy\n"
    );
    let saved = super::build::saved(&scene.store, "app");
    assert!(
        !saved.config["config"].to_string().contains("SSH_AUTH_SOCK"),
        "{}",
        saved.config
    );
    scene.assert_secret(&[&mine, &deploy]);
    for agent in &agents {
        let socket = agent.socket.to_str().unwrap();
        assert_eq!(
            holding(scene.store.root(), socket.as_bytes()),
            Vec::<PathBuf>::new()
        );
    }

    // Who signs is no reason to do a step again; and one who must be there is named if he is not.
    let ran = scene.build(None, &[]);
    assert!(ran.stderr.matches(" CACHED").count() >= 5, "{}", ran.stderr);
    let ran = scene.build(None, &["--no-cache"]);
    ran.assert_refused();
    ran.assert_says(&[
        "ssh agent deploy: not found",
        "--ssh deploy",
        "Dockerfile:4",
    ]);
    let ran = scene.build(None, &["--ssh", "default"]);
    ran.assert_refused();
    ran.assert_says(&["SSH_AUTH_SOCK is not set"]);
}

#[test]
fn keys_get_an_agent_for_the_time_of_the_build() {
    let Some(scene) = Scene::new() else { return };
    let (mine, listed) = key(&scene.keys, "mine", "");
    let (deploy, deploy_listed) = key(&scene.keys, "deploy", "");
    fs::copy(
        scene.keys.join("deploy.pub"),
        scene.context.join("deploy.pub"),
    )
    .unwrap();
    let both = format!("default={},{}", mine.display(), deploy.display());
    let one = format!("deploy={}", deploy.display());
    scene
        .build(None, &["--ssh", &both, "--ssh", &one])
        .assert_ok();
    assert_eq!(scene.read("/default"), format!("{listed}{deploy_listed}"));
    assert_eq!(scene.read("/deploy"), deploy_listed);
    scene.assert_secret(&[&mine, &deploy]);
    assert_eq!(agents_in(scene.store.root()), 0);

    // Whatever ends the build ends the agent.
    let text = "FROM busybox\nRUN --mount=type=ssh sleep 1000\n";
    fs::write(scene.context.join("Dockerfile"), text).unwrap();
    let context = scene.context.to_str().unwrap();
    let mut child = scene.store.start(&["build", "--ssh", &both, context]);
    crate::harness::container::until("the agent is there", || agents_in(scene.store.root()) == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    crate::harness::container::until("the agent is gone", || agents_in(scene.store.root()) == 0);
    leftovers::assert_no_processes(&scene.store);
}

/// How many agents work in a store's directories.
fn agents_in(root: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let is_ours = |entry: &fs::DirEntry| {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        name == "ssh-agent\n" && place.starts_with(root)
    };
    processes.filter(is_ours).count()
}

#[test]
fn keys_that_no_agent_takes() {
    let Some(scene) = Scene::new() else { return };
    let (phrase, _) = key(&scene.keys, "phrase", "swordfish");
    let (open, _) = key(&scene.keys, "open", "");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let missing = scene.keys.join("missing");
    let public = scene.keys.join("open.pub");
    let text = scene.keys.join("text");
    fs::write(&text, "no key\n").unwrap();
    for (file, words) in [
        (&phrase, &["passphrase", "ssh-add"][..]),
        (&open, &["permissions", "open"]),
        (&missing, &["missing", "No such file"]),
        (&public, &["open.pub"]),
        (&text, &["text"]),
        (&scene.keys, &["private keys"]),
    ] {
        let ran = scene.build(None, &["--ssh", &format!("default={}", file.display())]);
        ran.assert_refused();
        ran.assert_says(words);
        assert!(!ran.stderr.contains("RUN"), "{}", ran.stderr);
    }
    leftovers::assert_none(&scene.store);
}
