//! `save`, `load`, `import`, `export`: archives that others read, and others' archives.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::Store;
use crate::harness::image::{Compression, compress, docker_archive, small, usual};
use crate::harness::judge::{self, Podman};
use crate::harness::tar::{Entry, tar};
use crate::push::load;

#[test]
fn what_is_saved_loads_again() {
    let (one, two) = (usual().make(), small("two"));
    let store = Store::new();
    load(&store, "team/one:1", &one);
    load(&store, "two:1", &two);
    store.ok(&["tag", "two:1", "two:2"]);
    for format in [&[][..], &["--format", "oci"]] {
        let file = store.path("saved.tar");
        let arguments = [
            &["save"],
            format,
            &["-o", file.to_str().unwrap(), "team/one:1", "two:1", "two:2"],
        ]
        .concat();
        store.ok(&arguments);
        let other = Store::new();
        let ran = other.run(&["load", "-i", file.to_str().unwrap()]);
        ran.assert_ok();
        ran.assert_says(&["Loaded image: team/one:1", "Loaded image: two:1"]);
        assert_eq!(other.names(), ["team/one:1", "two:1", "two:2"]);
        assert_eq!(other.field("team/one:1", "{{.Id}}"), one.id());
        assert_eq!(other.field("two:2", "{{.Id}}"), two.id());
        other.assert_sound();
    }
}

#[test]
fn saving_goes_to_a_pipe_but_not_to_a_terminal() {
    let store = Store::new();
    load(&store, "app:1", &small("x"));
    let output = store.command(&["save", "app:1"]).output().unwrap();
    assert!(output.status.success());
    let other = Store::new();
    other.run_with(&["load"], &output.stdout).assert_ok();
    assert_eq!(other.names(), ["app:1"]);
    store.refused(&["save", "nothing:1"]);
    // The same image saved twice is the same file.
    assert_eq!(
        store.command(&["save", "app:1"]).output().unwrap().stdout,
        output.stdout
    );
}

#[test]
fn peers_load_what_was_saved() {
    let image = usual().make();
    let store = Store::new();
    load(&store, "team/app:1", &image);
    let file = store.path("saved.tar");
    let path = file.to_str().unwrap();
    store.ok(&["save", "-o", path, "team/app:1"]);
    if let Some(podman) = Podman::new() {
        podman.ask(&["load", "-q", "-i", path]);
        let id = podman.ask(&["inspect", "--format", "{{.Id}}", "team/app:1"]);
        assert_eq!(id.trim(), &image.id()[7..]);
    }
    if let Some(mut skopeo) = judge::skopeo() {
        let seen = judge::ask(skopeo.args([
            "inspect",
            "--config",
            "--raw",
            &format!("docker-archive:{path}"),
        ]));
        assert_eq!(seen.into_bytes(), image.config);
    }
    let oci = store.path("oci.tar");
    let oci = oci.to_str().unwrap();
    store.ok(&["save", "--format", "oci", "-o", oci, "team/app:1"]);
    if let Some(mut skopeo) = judge::skopeo() {
        let seen = judge::ask(skopeo.args([
            "inspect",
            "--config",
            "--raw",
            &format!("oci-archive:{oci}"),
        ]));
        assert_eq!(seen.into_bytes(), image.config);
    }
    if let Some(docker) = Dockerd::start() {
        docker.ask(&["load", "-q", "-i", path]);
        let id = docker.ask(&["inspect", "--format", "{{.Id}}", "team/app:1"]);
        assert_eq!(id.trim(), image.id());
    }
}

/// A Docker daemon with everything of its own, gone when dropped.
struct Dockerd {
    process: std::process::Child,
    folder: tempfile::TempDir,
    client: PathBuf,
}

impl Dockerd {
    fn start() -> Option<Self> {
        if !judge::is_root() {
            judge::skip("dockerd needs root");
            return None;
        }
        let (client, daemon) = (judge::program("docker")?, judge::program("dockerd")?);
        let folder = tempfile::TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let process = Command::new(daemon)
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-masq=false",
                "--bridge=none",
            ])
            .args(["--storage-driver=vfs", "--log-level=error"])
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("-H")
            .arg(format!("unix://{}", at("socket").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        let mut docker = Self {
            process,
            folder,
            client,
        };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while std::time::Instant::now() < deadline {
            let answers = docker
                .command(&["version"])
                .output()
                .unwrap()
                .status
                .success();
            if answers {
                return Some(docker);
            }
            if docker.process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let log = fs::read_to_string(docker.folder.path().join("log")).unwrap_or_default();
        // Not every machine of CI lets a daemon have its cgroups; podman has judged already.
        eprintln!("skipped: dockerd does not start here: {log}");
        None
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.client);
        command
            .arg("-H")
            .arg(format!(
                "unix://{}",
                self.folder.path().join("socket").display()
            ))
            .args(arguments);
        command
    }

    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> String {
        judge::ask(&mut self.command(arguments))
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its containerd; then wait for it.
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().cast_signed()) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        self.process.wait().ok();
    }
}

#[test]
fn archives_come_in_any_wrapping() {
    let image = usual().make();
    let plain = image.docker_archive(&["app:1"]);
    let store = Store::new();
    let wrapped = |program: &str| {
        judge::program(program)?;
        let mut child = Command::new(program)
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let bytes = plain.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Some(output.stdout)
    };
    let cases = [
        Some(plain.clone()),
        Some(compress(&plain, Compression::Gzip)),
        Some(compress(&plain, Compression::Zstd)),
        wrapped("xz"),
        wrapped("bzip2"),
        Some(image.oci_archive("app:1")),
        Some(compress(&image.oci_archive("app:1"), Compression::Gzip)),
    ];
    for (number, archive) in cases.iter().enumerate() {
        let Some(archive) = archive else { continue };
        // Once as a file, once as a stream that can't seek.
        let file = store.path(&format!("archive-{number}"));
        fs::write(&file, archive).unwrap();
        for stream in [false, true] {
            let store = Store::new();
            let ran = if stream {
                store.run_with(&["load"], archive)
            } else {
                store.run(&["load", "-i", file.to_str().unwrap()])
            };
            ran.assert_ok();
            assert_eq!(store.names(), ["app:1"], "case {number}");
            assert_eq!(store.field("app:1", "{{.Id}}"), image.id(), "case {number}");
            store.assert_sound();
        }
    }
}

#[test]
fn an_archive_without_names_loads_by_id() {
    let store = Store::new();
    let image = small("nameless");
    let file = store.path("a.tar");
    fs::write(&file, image.docker_archive(&[])).unwrap();
    let ran = store.run(&["load", "-i", file.to_str().unwrap()]);
    ran.assert_ok();
    ran.assert_says(&[&format!("Loaded image ID: {}", image.id())]);
    let shown = store.ok(&["images", "-q", "--no-trunc"]);
    assert_eq!(shown.trim(), image.id());
}

#[test]
fn lies_are_refused_and_leave_nothing() {
    let (one, two) = (small("one"), small("two"));
    let honest = |config: &[u8], layer: &[u8], manifest: Value| {
        tar(&[
            Entry::file("config.json", config),
            Entry::file("layer.tar", layer),
            Entry::file("manifest.json", manifest.to_string().as_bytes()),
        ])
    };
    let usual = json!([{ "Config": "config.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"] }]);
    let with = |key: &str, value: Value| {
        let mut manifest = usual.clone();
        manifest[0][key] = value;
        manifest
    };
    let (config, layer) = (&one.config[..], &one.tars[0][..]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "another layer than the config says",
            honest(config, &two.tars[0], usual.clone()),
        ),
        (
            "too few layers",
            honest(config, layer, with("Layers", json!([]))),
        ),
        (
            "too many layers",
            honest(
                config,
                layer,
                with("Layers", json!(["layer.tar", "layer.tar"])),
            ),
        ),
        (
            "a layer that is not there",
            honest(config, layer, with("Layers", json!(["nothing.tar"]))),
        ),
        (
            "a config that is not there",
            honest(config, layer, with("Config", json!("nothing.json"))),
        ),
        (
            "a name that is none",
            honest(config, layer, with("RepoTags", json!(["BAD NAME"]))),
        ),
        (
            "a config that is no JSON",
            honest(b"{", layer, usual.clone()),
        ),
        (
            "a config by a path out of the archive",
            honest(config, layer, with("Config", json!("../../etc/passwd"))),
        ),
        ("a null manifest", honest(config, layer, json!(null))),
        ("a list of null", honest(config, layer, json!([null]))),
        ("no manifest", tar(&[Entry::file("x", b"y")])),
        ("nothing", Vec::new()),
        ("no tar", b"hello, I am no archive".to_vec()),
        ("cut short", one.docker_archive(&["a:1"])[..2500].to_vec()),
        ("gzip cut short", {
            let whole = compress(&one.docker_archive(&["a:1"]), Compression::Gzip);
            whole[..whole.len() / 2].to_vec()
        }),
        ("oci blob of another digest", {
            let mut archive = one.oci_archive("a:1");
            let at = archive
                .windows(9)
                .position(|bytes| bytes == b"\"created\"")
                .unwrap();
            archive[at + 1] = b'C';
            archive
        }),
        (
            "links in a circle",
            tar(&[
                Entry::file("config.json", config),
                Entry::symlink("layer.tar", "other.tar"),
                Entry::symlink("other.tar", "layer.tar"),
                Entry::file("manifest.json", usual.to_string().as_bytes()),
            ]),
        ),
        (
            "a link out of the archive",
            tar(&[
                Entry::file("config.json", config),
                Entry::symlink("layer.tar", "../../../../etc/passwd"),
                Entry::file("manifest.json", usual.to_string().as_bytes()),
            ]),
        ),
    ];
    for (name, archive) in cases {
        let store = Store::new();
        let file = store.path("lie.tar");
        fs::write(&file, archive).unwrap();
        let ran = store.run(&["load", "-i", file.to_str().unwrap()]);
        assert!(ran.code.is_some_and(|code| code != 0), "{name}: {ran:?}");
        ran.assert_refused();
        assert_eq!(store.names(), Vec::<String>::new(), "{name}");
        assert_eq!(store.kept_files(), Vec::<PathBuf>::new(), "{name}");
        store.assert_sound();
    }
}

#[test]
fn two_images_in_one_archive() {
    let (one, two) = (small("one"), small("two"));
    let store = Store::new();
    let archive = docker_archive(&[(&one, &["one:1", "also/one:1"]), (&two, &["two:1"])]);
    store.run_with(&["load"], &archive).assert_ok();
    assert_eq!(store.names(), ["also/one:1", "one:1", "two:1"]);
    let quiet = Store::new().run_with(&["load", "-q"], &archive);
    quiet.assert_ok();
    assert_eq!(quiet.stderr, "");
}

/// Where archives of other projects' tests are, if they are: not everyone may pass them on.
pub(crate) fn archives() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/image-fixtures");
    let given = std::env::var_os("SHIPLAP_IMAGE_FIXTURES").map(PathBuf::from);
    [Some(beside), given]
        .into_iter()
        .flatten()
        .find(|folder| folder.join("dive__test-docker-image.tar").is_file())
}

/// Archives that others load and we refuse, and what we say. This one was edited by hand: its config
/// lies under the digest of what it was before.
const REFUSED: &[(&str, &str)] = &[(
    "go-containerregistry__source_image_with_empty_layer_history.tar",
    "has the digest",
)];

#[test]
fn archives_of_other_projects() {
    let Some(folder) = archives() else {
        eprintln!("skipped: set SHIPLAP_IMAGE_FIXTURES to the folder of the archives");
        return;
    };
    let manifest =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/image-fixtures/manifest.json");
    let manifest: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), 17);
    for case in files {
        let store = Store::new();
        let name = case["file"].as_str().unwrap();
        let ran = store.run(&["load", "-i", folder.join(name).to_str().unwrap()]);
        let Some(images) = case["images"].as_array() else {
            assert!(ran.code != Some(0), "{name} should be refused: {ran:?}");
            ran.assert_refused();
            assert_eq!(store.kept_files(), Vec::<PathBuf>::new(), "{name}");
            continue;
        };
        if let Some((_, reason)) = REFUSED.iter().find(|(file, _)| *file == name) {
            ran.assert_refused();
            ran.assert_says(&[reason]);
            continue;
        }
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        let ids = store.ok(&["images", "-q", "--no-trunc"]);
        assert_eq!(ids.lines().count(), images.len(), "{name}: {ids}");
        for image in images {
            assert_is(&store, name, image, ids.trim());
        }
        store.assert_sound();
    }
}

/// The loaded image is what the manifest of the archives says.
fn assert_is(store: &Store, name: &str, expected: &Value, only: &str) {
    let tags = expected["tags"].as_array();
    let reference = tags.map_or(only, |tags| tags[0].as_str().unwrap());
    let shown = store.json(&["inspect", "--format", "{{json .}}", reference]);
    let layers = shown["RootFS"]["Layers"].as_array().unwrap().len();
    assert_eq!(layers as u64, expected["layers"], "{name}");
    let environment = |value: &Value| value.as_array().cloned().unwrap_or_default();
    assert_eq!(
        environment(&shown["Config"]["Env"]),
        environment(&expected["config_env"]),
        "{name}"
    );
    let listed = store.ok(&[
        "image",
        "ls",
        "--recursive",
        "--format",
        "{{.Path}}",
        reference,
        "/",
    ]);
    let found = listed
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    match &expected["files"] {
        Value::Object(files) => {
            for path in files.keys().filter(|path| !path.is_empty()) {
                assert!(
                    listed.contains(path.as_str()),
                    "{name}: no {path} in {listed}"
                );
            }
            let expected = files.keys().filter(|path| !path.is_empty()).count();
            assert_eq!(found, expected, "{name}: {listed}");
        }
        number => assert_eq!(found as u64, *number, "{name}"),
    }
}

#[test]
fn a_root_file_system_comes_in_and_goes_out() {
    let store = Store::new();
    let rootfs = tar(&[
        Entry::directory("etc"),
        Entry::file("etc/hostname", b"imported\n"),
        Entry::symlink("lib", "usr/lib"),
    ]);
    let file = store.path("root.tar");
    fs::write(&file, &rootfs).unwrap();
    let path = file.to_str().unwrap();
    let id = store.ok(&[
        "import",
        "-c",
        "CMD [\"sh\"]",
        "-m",
        "a word",
        path,
        "base:1",
    ]);
    assert_eq!(id.trim(), store.field("base:1", "{{.Id}}"));
    assert_eq!(store.field("base:1", "{{json .Config.Cmd}}"), r#"["sh"]"#);
    assert_eq!(store.field("base:1", "{{.Comment}}"), "a word");
    assert_eq!(
        store.ok(&["image", "cat", "base:1", "/etc/hostname"]),
        "imported\n"
    );
    let from_stdin = store.run_with(
        &["import", "-", "base:2"],
        &compress(&rootfs, Compression::Gzip),
    );
    from_stdin.assert_ok();
    assert_eq!(
        store.field("base:2", "{{json .RootFS.Layers}}"),
        store.field("base:1", "{{json .RootFS.Layers}}")
    );

    // Flattened: what a lower layer had and an upper took away is not in it.
    load(&store, "usual:1", &usual().make());
    let flat = store.path("flat.tar");
    store.ok(&["export", "-o", flat.to_str().unwrap(), "usual:1"]);
    let listed = judge::ask(Command::new("tar").arg("-tf").arg(&flat));
    assert!(
        listed.contains("etc/hostname") && listed.contains("etc/new"),
        "{listed}"
    );
    assert!(
        !listed.contains("gone") && !listed.contains(".wh."),
        "{listed}"
    );
}
