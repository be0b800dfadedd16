//! `cargo xtask image`: real images without a hub. The small one is the machine's busybox. Debian's `mmdebstrap` makes the base from the
//! machine's own apt sources; further layers are what `apt-get install` adds, taken from an
//! overlay's upper directory. The result is an OCI layout that `skopeo copy oci:…` serves anywhere.
//!
//! It needs root (overlay mounts, chroot) and trusts the distribution it runs on; it is for
//! measuring and never a way to build images for others.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::process::{find, output, run as run_command};

/// Arguments of `image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder to make the layout in (`FOLDER/oci`), with what lies on the way.
    folder: PathBuf,
    /// What to make: `busybox` (one program), `debian` (one layer) or `python` (six layers, about
    /// 1 GB).
    #[arg(long, default_value = "python")]
    recipe: String,
}

/// The steps of `python` after the base: what each layer installs.
const PYTHON: &[&str] = &[
    "curl wget gnupg netbase sq tzdata",
    "git mercurial openssh-client subversion procps",
    "build-essential autoconf automake bzip2 file libbz2-dev libcurl4-openssl-dev libdb-dev libevent-dev \
     libffi-dev libgdbm-dev libglib2.0-dev libgmp-dev libjpeg-dev libkrb5-dev liblzma-dev libmagickcore-dev \
     libncurses5-dev libpng-dev libpq-dev libreadline-dev libsqlite3-dev libssl-dev libtool libwebp-dev \
     libxml2-dev libxslt-dev libyaml-dev make patch unzip xz-utils zlib1g-dev",
    "python3 python3-dev python3-pip python3-venv python3-setuptools python3-wheel",
    "python-is-python3",
];

/// Makes the layout unless it is there.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let layout = match arguments.recipe.as_str() {
        "busybox" => busybox(&arguments.folder),
        "debian" => make(&arguments.folder, &[]),
        "python" => python(&arguments.folder),
        other => bail!("no recipe {other:?}: busybox, debian or python"),
    };
    layout.map(|layout| println!("{}", layout.display()))
}

/// The six-layer image, made once in `folder`.
pub(crate) fn python(folder: &Path) -> anyhow::Result<PathBuf> {
    make(folder, PYTHON)
}

/// The machine's static busybox with a link for each of its commands, made once in `folder`.
pub(crate) fn busybox(folder: &Path) -> anyhow::Result<PathBuf> {
    let layout = folder.join("oci");
    if layout.join("index.json").is_file() {
        return Ok(layout);
    }
    let program = find("busybox").context("find busybox (Debian package busybox-static)")?;
    let root = folder.join("root");
    fs::create_dir_all(root.join("bin"))?;
    fs::copy(&program, root.join("bin/busybox"))?;
    let mut list = Command::new("chroot");
    list.arg(&root).args(["/bin/busybox", "--list"]);
    let commands =
        output(&mut list).context("busybox is not static (Debian package busybox-static)")?;
    for command in commands.lines().filter(|command| *command != "busybox") {
        symlink("busybox", root.join("bin").join(command))?;
    }
    let tar = folder.join("root.tar");
    run_command(
        Command::new("tar")
            .args(["--create", "--numeric-owner", "--sort=name", "--file"])
            .arg(&tar)
            .arg("--directory")
            .arg(&root)
            .arg("."),
    )?;
    assemble(&layout, &[tar])?;
    Ok(layout)
}

fn make(folder: &Path, steps: &[&str]) -> anyhow::Result<PathBuf> {
    let layout = folder.join("oci");
    if layout.join("index.json").is_file() {
        return Ok(layout);
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    let base = folder.join("base.tar");
    if !base.is_file() {
        bootstrap(&base)?;
    }
    let mut tars = vec![base.clone()];
    if !steps.is_empty() {
        tars.extend(install(&folder, &base, steps)?);
    }
    assemble(&folder.join("oci"), &tars)?;
    Ok(layout)
}

fn bootstrap(tar: &Path) -> anyhow::Result<()> {
    let release = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("this is no Debian release with a name")?;
    let part = tar.with_extension("part.tar");
    run_command(
        Command::new("mmdebstrap")
            .args([
                "--quiet",
                "--variant=minbase",
                "--include=ca-certificates",
                suite,
            ])
            .arg(&part)
            .args(apt_sources()),
    )?;
    fs::rename(&part, tar).with_context(|| format!("name {}", tar.display()))
}

/// The machine's own sources of the distribution.
fn apt_sources() -> Vec<&'static str> {
    [
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/debian.sources",
    ]
    .into_iter()
    .filter(|file| fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0))
    .collect()
}

/// One overlay per step over all before it; each upper directory becomes a tar.
fn install(folder: &Path, base: &Path, steps: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let root = folder.join("layers/0");
    fs::create_dir_all(&root)?;
    run_command(
        Command::new("tar")
            .arg("-xpf")
            .arg(base)
            .arg("-C")
            .arg(&root),
    )?;
    let mut lower = vec![root];
    for (number, packages) in steps.iter().enumerate() {
        let upper = folder.join(format!("layers/{}", number + 1));
        let (work, merged) = (folder.join("work"), folder.join("merged"));
        for path in [&upper, &work, &merged] {
            fs::create_dir_all(path)?;
        }
        let below: Vec<String> = lower
            .iter()
            .rev()
            .map(|l| l.display().to_string())
            .collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            below.join(":"),
            upper.display(),
            work.display()
        );
        run_command(
            Command::new("mount")
                .args(["-t", "overlay", "overlay", "-o", &options])
                .arg(&merged),
        )?;
        let installed = install_in(&merged, packages);
        run_command(Command::new("umount").arg("--recursive").arg(&merged))?;
        installed?;
        lower.push(upper);
    }
    let mut tars = Vec::new();
    for upper in &lower[1..] {
        whiteouts(upper)?;
        let tar = upper.with_extension("tar");
        run_command(
            Command::new("tar")
                .args([
                    "--create",
                    "--numeric-owner",
                    "--sort=name",
                    "--format=posix",
                    "--xattrs",
                ])
                .args([
                    "--xattrs-exclude=trusted.*",
                    "--pax-option=delete=atime,delete=ctime",
                ])
                .arg("--file")
                .arg(&tar)
                .arg("--directory")
                .arg(upper)
                .arg("."),
        )?;
        tars.push(tar);
    }
    Ok(tars)
}

fn install_in(root: &Path, packages: &str) -> anyhow::Result<()> {
    let resolver = root.join("etc/resolv.conf");
    if !resolver.exists() {
        File::create(&resolver)?;
    }
    run_command(
        Command::new("mount")
            .args(["--bind", "/etc/resolv.conf"])
            .arg(&resolver),
    )?;
    run_command(
        Command::new("mount")
            .args(["-t", "proc", "proc"])
            .arg(root.join("proc")),
    )?;
    let script = format!(
        "apt-get update -qq && apt-get install -y -qq --no-install-recommends {packages} >/dev/null && \
         rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb"
    );
    run_command(
        Command::new("chroot")
            .arg(root)
            .args(["sh", "-c", &script])
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Overlayfs's marks for deleted names, as OCI writes them.
fn whiteouts(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            whiteouts(&entry.path())?;
        } else if kind.is_char_device() && entry.metadata()?.rdev() == 0 {
            fs::remove_file(entry.path())?;
            let mut name = std::ffi::OsString::from(".wh.");
            name.push(entry.file_name());
            File::create(folder.join(name))?;
        }
    }
    let opaque = output(
        Command::new("getfattr")
            .args([
                "--absolute-names",
                "--only-values",
                "-m",
                "^trusted.overlay.opaque$",
                "-d",
            ])
            .arg(folder),
    )?;
    if opaque.starts_with('y') {
        File::create(folder.join(".wh..wh..opq"))?;
    }
    Ok(())
}

/// Writes the layout: gzipped layers, config, manifest, index.
fn assemble(layout: &Path, tars: &[PathBuf]) -> anyhow::Result<()> {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    for tar in tars {
        let (diff_id, layer) = compress(tar, &blobs)?;
        diff_ids.push(diff_id);
        layers.push(layer);
    }
    let history: Vec<Value> = (0..tars.len())
        .map(|step| json!({ "created": "2024-01-01T00:00:00Z", "created_by": format!("step {step}") }))
        .collect();
    let config = json!({
        "created": "2024-01-01T00:00:00Z",
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": { "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["sh"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    });
    let config = put(&blobs, "application/vnd.oci.image.config.v1+json", &config)?;
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers });
    let mut entry = put(&blobs, manifest_type, &manifest)?;
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(layout.join("index.json"), index.to_string())?;
    Ok(())
}

fn put(blobs: &Path, media_type: &str, document: &Value) -> anyhow::Result<Value> {
    let bytes = serde_json::to_vec(document)?;
    let hex = hex(&Sha256::digest(&bytes));
    fs::write(blobs.join(&hex), &bytes)?;
    Ok(json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len() }))
}

/// Gzips one tar into the blobs: its DiffID and descriptor.
fn compress(tar: &Path, blobs: &Path) -> anyhow::Result<(String, Value)> {
    let mut source = File::open(tar).with_context(|| format!("open {}", tar.display()))?;
    let part = blobs.join("part");
    let mut target = GzEncoder::new(Hashed::new(File::create(&part)?), Compression::default());
    let mut plain = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = source.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        plain.update(&buffer[..length]);
        target.write_all(&buffer[..length])?;
    }
    let hashed = target.finish()?;
    let digest = hex(&hashed.hash.finalize());
    fs::rename(&part, blobs.join(&digest))?;
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": format!("sha256:{digest}"),
        "size": hashed.written,
    });
    Ok((format!("sha256:{}", hex(&plain.finalize())), layer))
}

/// A file that knows the digest and length of what was written to it.
struct Hashed {
    file: File,
    hash: Sha256,
    written: u64,
}

impl Hashed {
    fn new(file: File) -> Self {
        Self {
            file,
            hash: Sha256::new(),
            written: 0,
        }
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.hash.update(&bytes[..length]);
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Lowercase digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
