//! A store with a base of busybox, and steps on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use shiplap_model::container::{Limits, NetworkMode};
use shiplap_model::{DiffId, Platform};
use shiplap_ops::import::{ImportOptions, Tarball, import};
use shiplap_ops::progress::Silent;
use shiplap_ops::snapshot::{self, Backend};
use shiplap_ops::step::{Cancel, Finished, Step, StepError, Stream, Times, run};
use shiplap_ops::{ContainerSettings, Context, Program, Settings};
use shiplap_store::Lease;
use tempfile::TempDir;

/// A store of its own.
pub(crate) struct World {
    pub(crate) temp: TempDir,
    pub(crate) context: Context,
    pub(crate) lease: Lease,
    pub(crate) base: Vec<DiffId>,
}

pub(crate) fn can_run() -> bool {
    let missing = ["runc", "crun", "busybox", "tar"]
        .into_iter()
        .find(|program| which(program).is_none());
    let reason = match missing {
        _ if !rustix::process::geteuid().is_root() => "root".to_owned(),
        Some(program) => program.to_owned(),
        None => return true,
    };
    assert!(std::env::var_os("CI").is_none(), "CI needs {reason}");
    eprintln!("skipped: needs {reason}");
    false
}

pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

fn settings(root: &Path, runtime: &str, backend: Option<Backend>) -> Settings {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut arguments = vec![root.to_str().unwrap().to_owned(), runtime.to_owned()];
    arguments.extend(backend.map(|backend| backend.name().to_owned()));
    Settings {
        root: root.to_owned(),
        layer_backend: backend,
        keep_compressed: false,
        parallel_layers: 1,
        platform: Platform::new("linux", "amd64"),
        registries: shiplap_ops::RegistrySettings::default(),
        credentials: shiplap_ops::CredentialFiles::default(),
        containers: ContainerSettings {
            program: Program {
                path: "/proc/self/exe".into(),
                arguments: arguments.into_iter().map(Into::into).collect(),
            },
            network: Some(NetworkMode::Host),
            runtime: Some(runtime.to_owned()),
            search_path: std::env::split_paths(&path).collect(),
            ..ContainerSettings::default()
        },
    }
}

pub(crate) fn context(root: &Path, runtime: &str, backend: Option<Backend>) -> Context {
    Context::new(settings(root, runtime, backend), Arc::new(|_: &str| {}))
}

/// That of a call: root, runtime and backend are its first words.
pub(crate) fn context_of(words: &[&str]) -> Context {
    let backend = words.get(2).and_then(|word| word.parse().ok());
    context(Path::new(words[0]), words[1], backend)
}

/// A tar of what `script` makes in an empty directory.
pub(crate) fn tar_of(script: &str) -> Vec<u8> {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("root");
    fs::create_dir(&directory).unwrap();
    let made = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(&directory)
        .status()
        .unwrap();
    assert!(made.success(), "{script}");
    let tar = Command::new("tar")
        .args(["--sort=name", "--numeric-owner", "-C"])
        .arg(&directory)
        .args(["-cf", "-", "."])
        .output()
        .unwrap();
    assert!(tar.status.success());
    tar.stdout
}

/// A root of busybox without `proc` and `sys`.
pub(crate) const BASE: &str = "mkdir -p bin etc dev tmp root data/sub home/alice usr/bin; chmod 1777 tmp
    cp $(which busybox) bin/busybox; for n in sh ls cat echo id env touch mkdir rm ln chmod chown mv cp \
    stat sleep kill pwd hostname test grep find mount umount head wc df awk cut nc seq dd sort true false \
    readlink printf tr rmdir mknod ps ip; do ln -s busybox bin/$n; done
    echo 'root:x:0:0::/root:/bin/sh' > etc/passwd; echo 'alice:x:1000:1000::/home/alice:/bin/sh' >> etc/passwd
    echo 'root:x:0:' > etc/group; echo 'alice:x:1000:' >> etc/group; echo 'boats:x:50:alice' >> etc/group
    echo one > data/one; echo two > data/sub/two; ln data/one data/link; ln -s one data/soft
    chown 7:8 data; chmod 750 data/sub; touch -d @1000000000 data/one data/sub data etc .";

impl World {
    pub(crate) fn new(runtime: &str, backend: Option<Backend>) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("store");
        Self::made(temp, context(&root, runtime, backend), BASE)
    }

    /// With a store in that directory.
    pub(crate) fn at(root: &Path, runtime: &str, base: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self::made(temp, context(root, runtime, None), base)
    }

    fn made(temp: TempDir, context: Context, base: &str) -> Self {
        let lease = context.store().unwrap().lease().unwrap();
        let mut world = Self {
            temp,
            context,
            lease,
            base: Vec::new(),
        };
        world.base = world.layer(base);
        world
    }

    /// Each runtime, and each backend.
    pub(crate) fn each(test: impl Fn(&Self)) {
        for (runtime, backend) in [("runc", None), ("crun", Some(Backend::Tree))] {
            let world = Self::new(runtime, backend);
            test(&world);
            world.assert_nothing_left();
        }
    }

    /// A layer of what `script` makes.
    pub(crate) fn layer(&self, script: &str) -> Vec<DiffId> {
        let tar = tar_of(script);
        let options = ImportOptions::default();
        let tar = Tarball::Stream(&mut &*tar);
        let image = import(&self.context, tar, options, &Silent).unwrap();
        let layers = self.context.store().unwrap().image_layers(&image).unwrap();
        layers.into_iter().map(|layer| layer.diff_id).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// `sh -c words` on the base.
    pub(crate) fn step(&self, words: &str) -> Step {
        step(&self.base, words)
    }

    pub(crate) fn run(&self, step: &Step) -> Result<(Finished, String, String), StepError> {
        self.run_until(step, &Cancel::new().unwrap())
    }

    pub(crate) fn run_until(
        &self,
        step: &Step,
        cancel: &Cancel,
    ) -> Result<(Finished, String, String), StepError> {
        let said = Mutex::new((Vec::new(), Vec::new()));
        let output = |stream: Stream, bytes: &[u8]| {
            let mut said = said.lock().unwrap();
            match stream {
                Stream::Stdout => said.0.extend_from_slice(bytes),
                Stream::Stderr => said.1.extend_from_slice(bytes),
            }
        };
        let finished = run(&self.context, &self.lease, step, &output, cancel)?;
        let (out, errors) = said.into_inner().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ok((finished, text(out), text(errors)))
    }

    /// Runs, must end well; what it said.
    #[track_caller]
    pub(crate) fn ok(&self, step: &Step) -> (Finished, String) {
        let (finished, out, errors) = self.run(step).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(finished.exit_code, 0, "{:?}: {out}{errors}", step.args);
        (finished, out)
    }

    /// Runs on `layers`; those and the new one, if there is one.
    #[track_caller]
    pub(crate) fn build(&self, layers: &[DiffId], words: &str) -> Vec<DiffId> {
        let finished = self.ok(&step(layers, words)).0;
        let layer = finished
            .changes
            .into_layer(&self.lease, Times::Kept)
            .unwrap();
        let new = layer.map(|layer| layer.diff_id);
        layers.iter().cloned().chain(new).collect()
    }

    /// The entries of a layer: path, and what it is; attributes where they are not the usual.
    pub(crate) fn entries(&self, layer: &DiffId) -> Vec<String> {
        let tar = self.context.store().unwrap().tar_path(layer).unwrap();
        listing(&tar)
    }

    /// What a finished step makes a layer of.
    #[track_caller]
    pub(crate) fn changes(&self, finished: Finished) -> Vec<String> {
        let layer = finished
            .changes
            .into_layer(&self.lease, Times::Kept)
            .unwrap();
        layer.map_or_else(Vec::new, |layer| self.entries(&layer.diff_id))
    }

    /// Soon nothing is mounted, runs, or lies in the lease.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let root = self.temp.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(root), "{mounts}");
        await_that(|| !processes().values().any(|line| line.contains(root)));
        let staging = self.path("store/staging");
        let is_empty = |lease: &Path| fs::read_dir(lease).unwrap().next().is_none();
        await_that(|| {
            let mut leases = fs::read_dir(&staging).unwrap();
            leases.all(|lease| is_empty(&lease.unwrap().path()))
        });
    }
}

/// Waits for the thing itself.
#[track_caller]
pub(crate) fn await_that(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn step(layers: &[DiffId], words: &str) -> Step {
    Step {
        layers: layers.to_vec(),
        args: ["/bin/sh", "-c", words].map(str::to_owned).into(),
        env: vec!["PATH=/usr/bin:/bin".to_owned()],
        user: String::new(),
        working_dir: String::new(),
        mounts: Vec::new(),
        network: None,
        add_hosts: Vec::new(),
        hostname: None,
        shm_bytes: None,
        limits: Limits::default(),
        privileged: false,
        host_certs: false,
        platform: Platform::new("linux", "amd64"),
    }
}

/// Command lines of all processes.
pub(crate) fn processes() -> BTreeMap<u32, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if pid == std::process::id() {
            continue;
        }
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        found.insert(pid, line);
    }
    found
}

/// The entries of a tar as GNU tar lists them: `mode owner name`, without times and sizes.
pub(crate) fn listing(tar: &Path) -> Vec<String> {
    let listed = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(tar)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines()
        .map(|line| {
            let mut fields = line.split_whitespace();
            let (mode, owner) = (fields.next().unwrap(), fields.next().unwrap());
            let name: Vec<_> = fields.skip(3).collect();
            let owner = match owner {
                "0/0" => String::new(),
                owner => format!("{owner} "),
            };
            format!("{mode} {owner}{}", name.join(" "))
        })
        .collect()
}

/// What is at `path` of layers, read in user space.
pub(crate) fn content(world: &World, layers: &[DiffId], path: &str) -> String {
    let open = snapshot::open_layers(world.context.store().unwrap(), layers).unwrap();
    let found = open.stack.resolve(path.as_bytes(), true).unwrap();
    let content = open.stack.content(&found).unwrap();
    let mut text = String::new();
    let mut reader = content.reader(&open.tars[content.layer]);
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    text
}
