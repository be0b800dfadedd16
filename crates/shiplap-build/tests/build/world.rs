//! A store with a base of busybox, a context, and builds of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use shiplap_build::options::BuildOptions;
use shiplap_build::progress::{BuildProgress, Event};
use shiplap_build::{BuildError, Report, Streams, build};
use shiplap_model::Platform;
use shiplap_model::container::NetworkMode;
use shiplap_ops::import::{ImportOptions, Tarball, import};
use shiplap_ops::progress::Silent;
use shiplap_ops::snapshot;
use shiplap_ops::step::Cancel;
use shiplap_ops::tag::tag;
use shiplap_ops::{ContainerSettings, Context, Program, Settings};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) temp: TempDir,
    pub(crate) ops: Context,
}

pub(crate) fn can_run() -> bool {
    let missing = ["crun", "busybox", "tar"]
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

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// That of the store in `root`.
pub(crate) fn ops(root: &Path) -> Context {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let settings = Settings {
        root: root.to_owned(),
        layer_backend: None,
        keep_compressed: false,
        parallel_layers: 1,
        platform: Platform::new("linux", "amd64"),
        registries: shiplap_ops::RegistrySettings::default(),
        credentials: shiplap_ops::CredentialFiles::default(),
        containers: ContainerSettings {
            program: Program {
                path: "/proc/self/exe".into(),
                arguments: vec![root.into()],
            },
            network: Some(NetworkMode::Host),
            runtime: Some("crun".to_owned()),
            search_path: std::env::split_paths(&path).collect(),
            ..ContainerSettings::default()
        },
    };
    Context::new(settings, Arc::new(|_: &str| {}))
}

const BASE: &str = "mkdir -p bin etc dev tmp proc sys; cp $(which busybox) bin/busybox
    for n in sh ls cat echo sleep touch mkdir rm wc test; do ln -s busybox bin/$n; done
    echo 'root:x:0:0::/root:/bin/sh' > etc/passwd; echo 'root:x:0:' > etc/group";

/// All that a build told, a line each.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl BuildProgress for Told {
    fn event(&self, event: Event<'_>) {
        let line = match event {
            Event::Log { bytes, .. } => format!("log {}", String::from_utf8_lossy(bytes)),
            Event::Missed { reason, .. } => format!("missed {reason}"),
            Event::Explained { detail, .. } => format!("explained {detail}"),
            Event::Cached { name, .. } => format!("cached {name}"),
            Event::Canceled { .. } => "canceled".to_owned(),
            Event::Started { name, .. } => format!("started {name}"),
            Event::Warning(text) => format!("warning {text}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Told {
    pub(crate) fn has(&self, words: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(words))
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let ops = ops(&temp.path().join("store"));
        let base = temp.path().join("base");
        fs::create_dir(&base).unwrap();
        let mut made = Command::new("sh");
        made.args(["-ec", BASE]).current_dir(&base);
        assert!(made.status().unwrap().success());
        let tar = Command::new("tar")
            .arg("-C")
            .arg(&base)
            .args(["-cf", "-", "."])
            .output();
        let tar = Tarball::Stream(&mut &*tar.unwrap().stdout);
        let image = import(&ops, tar, ImportOptions::default(), &Silent).unwrap();
        tag(&ops, &image.to_string(), &"base".parse().unwrap()).unwrap();
        fs::create_dir(temp.path().join("context")).unwrap();
        Self { temp, ops }
    }

    /// A file of the context.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.temp.path().join("context").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn options(&self, dockerfile: &str) -> BuildOptions {
        self.file("Dockerfile", dockerfile);
        let mut options = BuildOptions::default();
        let context = self.temp.path().join("context");
        options.input.context = context.to_str().unwrap().to_owned();
        options
    }

    pub(crate) fn build_with(
        &self,
        options: &BuildOptions,
        cancel: &Cancel,
    ) -> (Result<Report, BuildError>, Told) {
        let told = Told::default();
        let mut streams = Streams {
            stdin: &mut std::io::empty(),
            stdout: &mut std::io::sink(),
        };
        let done = build(&self.ops, options, &told, &mut streams, cancel);
        (done, told)
    }

    #[track_caller]
    pub(crate) fn ok(&self, options: &BuildOptions) -> (Report, Told) {
        let (done, told) = self.build_with(options, &Cancel::new().unwrap());
        match done {
            Ok(report) => (report, told),
            Err(error) => panic!("{error}\n{}", error.excerpt),
        }
    }

    /// Builds, must end well.
    #[track_caller]
    pub(crate) fn build(&self, dockerfile: &str) -> (Report, Told) {
        self.ok(&self.options(dockerfile))
    }

    /// Builds, must fail.
    #[track_caller]
    pub(crate) fn fails(&self, dockerfile: &str) -> (BuildError, Told) {
        let (done, told) = self.build_with(&self.options(dockerfile), &Cancel::new().unwrap());
        (done.err().unwrap(), told)
    }

    /// What a file of the image says; `None`: it is not there.
    pub(crate) fn read(&self, report: &Report, path: &str) -> Option<String> {
        let name = report.images[0].id.to_string();
        let image = snapshot::open(&self.ops, &name).unwrap();
        let root = image.stack.root().unwrap();
        let found = image
            .stack
            .walk(root)
            .map(|entry| entry.unwrap())
            .find(|entry| entry.path == path.as_bytes())?;
        let content = image.stack.content(&found).unwrap();
        let mut reader = content.reader(&image.tars[content.layer]);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        Some(text)
    }
}

/// Which steps came from the cache.
pub(crate) fn cached(report: &Report) -> Vec<bool> {
    report.steps.iter().map(|step| step.is_cached).collect()
}
