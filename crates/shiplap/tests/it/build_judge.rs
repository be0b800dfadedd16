//! Builds judged by buildah: the same Dockerfile and context give the same tree, config and history.
//! Where the two differ by design, that is said where it is left out of the comparison.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::harness::table::{self, Deviation};
use crate::harness::tar::{Entry, tar};
use crate::harness::untar::{Node, Saved, Tree};
use crate::harness::{Store, base, judge, scene};

/// Names and Dockerfiles; all are built from the same context.
const CASES: &[(&str, &str)] = &[
    ("copy-file", "FROM busybox\nCOPY src/a.txt /\n"),
    (
        "copy-rename",
        "FROM busybox\nCOPY src/a.txt /deep/er/name\n",
    ),
    ("copy-folder", "FROM busybox\nCOPY src /opt/src\n"),
    (
        "copy-many",
        "FROM busybox\nCOPY src/a.txt src/b.txt src/sub /data/\n",
    ),
    ("copy-glob", "FROM busybox\nCOPY src/*.txt /data/\n"),
    ("copy-all", "FROM busybox\nWORKDIR /app\nCOPY . .\n"),
    (
        "copy-json",
        "FROM busybox\nCOPY [\"with space/f g\", \"/data/\"]\n",
    ),
    ("copy-owner", "FROM busybox\nCOPY --chown=7:8 src /data\n"),
    (
        "copy-owner-names",
        "FROM busybox\nCOPY --chown=daemon:users src /data\n",
    ),
    (
        "copy-mode",
        "FROM busybox\nCOPY --chmod=0711 src/a.txt /x\n",
    ),
    ("copy-link", "FROM busybox\nCOPY link /copied\n"),
    (
        "copy-over",
        "FROM busybox\nCOPY src/a.txt /etc/nsswitch.conf\nCOPY src/b.txt /etc/nsswitch.conf\n",
    ),
    (
        "copy-executable",
        "FROM busybox\nCOPY run.sh /bin/\nRUN run.sh > /out\n",
    ),
    ("add-file", "FROM busybox\nADD src/a.txt /added\n"),
    ("add-archive", "FROM busybox\nADD archive.tar /un/packed/\n"),
    (
        "add-archive-gz",
        "FROM busybox\nADD archive.tar.gz /un/packed/\n",
    ),
    (
        "run-shell",
        "FROM busybox\nRUN echo hi > /hi && mkdir -p /a/b/c\n",
    ),
    (
        "run-exec",
        "FROM busybox\nRUN [\"touch\", \"/with space\"]\n",
    ),
    (
        "run-continued",
        "FROM busybox\nRUN echo a \\\n  # in between\n  b > /ab; \\\n  echo c >> /ab\n",
    ),
    (
        "run-removes",
        "FROM busybox\nRUN rm /etc/nsswitch.conf && rm -rf /var/spool\n",
    ),
    (
        "run-replaces",
        "FROM busybox\nCOPY src /var/www/\nRUN rm -rf /var/www && mkdir /var/www && touch /var/www/new\n",
    ),
    (
        "run-kinds",
        "FROM busybox\nRUN mkfifo /p && ln /etc/passwd /hard && ln -s passwd /etc/soft && chmod 4755 /etc/passwd\n",
    ),
    (
        "run-owners",
        "FROM busybox\nCOPY src /data\nRUN chown -R 5:6 /data && chmod -R go-rwx /data\n",
    ),
    (
        "run-moves",
        "FROM busybox\nCOPY src /data\nRUN mv /data /moved\n",
    ),
    (
        "environment",
        "FROM busybox\nENV A=b C=\"d e\"\nENV D=${A}x E=${NONE:-fall}\nCOPY src/$A.txt /$D/\nRUN env | grep -E '^[ACDE]=' | sort > /env\n",
    ),
    (
        "arguments",
        "ARG TAG=latest\nFROM busybox:$TAG\nARG V=1\nARG W\nRUN echo $V-$W > /v\nLABEL v=$V\n",
    ),
    (
        "labels",
        "FROM busybox\nLABEL a=b \"c d\"=\"e f\"\nLABEL multi=one\\\ntwo\n",
    ),
    (
        "user",
        "FROM busybox\nUSER daemon\nRUN id -un > /tmp/who\nUSER 7:8\nRUN id -u > /tmp/number\n",
    ),
    (
        "workdir",
        "FROM busybox\nWORKDIR /a\nWORKDIR b\nWORKDIR ../c\nRUN pwd > where\n",
    ),
    (
        "volume",
        "FROM busybox\nRUN mkdir /data && echo 1 > /data/1\nVOLUME /data /other\n",
    ),
    ("expose", "FROM busybox\nEXPOSE 80 53/udp 7000-7002\n"),
    (
        "commands",
        "FROM busybox\nENTRYPOINT [\"sh\", \"-c\"]\nCMD [\"echo hi\"]\n",
    ),
    ("command-shell", "FROM busybox\nCMD echo hi\n"),
    (
        "entrypoint-resets-command",
        "FROM busybox\nCMD [\"a\"]\nENTRYPOINT [\"b\"]\n",
    ),
    (
        "healthcheck",
        "FROM busybox\nHEALTHCHECK --interval=5s --timeout=3s --retries=2 CMD true\n",
    ),
    ("stop-signal", "FROM busybox\nSTOPSIGNAL SIGINT\n"),
    (
        "triggers",
        "FROM busybox\nONBUILD COPY . /app\nONBUILD RUN ls /app\n",
    ),
    (
        "shell",
        "FROM busybox\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo $0 $- > /flags\n",
    ),
    ("maintainer", "FROM busybox\nMAINTAINER somebody\n"),
    (
        "scratch",
        "FROM scratch\nCOPY src/a.txt /a\nENV A=b\nCMD [\"/a\"]\n",
    ),
    (
        "stages",
        "FROM busybox AS build\nWORKDIR /out\nRUN echo built > it && chmod 750 it\nFROM busybox\nCOPY --from=build /out /app\n",
    ),
    (
        "stages-number",
        "FROM busybox\nRUN echo zero > /zero\nFROM scratch\nCOPY --from=0 /zero /z\n",
    ),
    (
        "stages-on",
        "FROM busybox AS one\nENV ONE=1\nRUN touch /one\nFROM one AS two\nRUN touch /two\nFROM two\nCMD [\"three\"]\n",
    ),
    (
        "stages-image",
        "FROM busybox\nCOPY --from=alpine /etc/group /groups\n",
    ),
    (
        "mount-bind",
        "FROM busybox AS s\nRUN mkdir /d && echo there > /d/there\nFROM busybox\nRUN --mount=type=bind,from=s,source=/d,target=/home cat /home/there > /got\n",
    ),
    (
        "mount-cache",
        "FROM busybox\nRUN --mount=type=cache,target=/home touch /home/x && ls /home > /list\n",
    ),
    (
        "mount-tmpfs",
        "FROM busybox\nRUN --mount=type=tmpfs,target=/home touch /home/x && ls /home > /list\n",
    ),
];

/// Where buildah does otherwise.
const DEVIATIONS: &[Deviation] = &[
    (
        "expose",
        "a range of ports is expanded, as in Docker; buildah keeps it as one port",
    ),
    ("mount-bind", TAKEN_AWAY),
    ("mount-cache", TAKEN_AWAY),
    ("mount-tmpfs", TAKEN_AWAY),
    (
        "run-exec",
        "the history has the words of the command, as in Docker; buildah has a shell with JSON",
    ),
    (
        "shell",
        "the history has the shell that ran, as in Docker; buildah always has /bin/sh -c",
    ),
    (
        "triggers",
        "triggers are in the config, not in the history, as with BuildKit",
    ),
    (
        "workdir",
        "every working directory is made, as in Docker; buildah makes the last one",
    ),
];

const TAKEN_AWAY: &str = "buildah takes away the directory that a mount was on";

/// Where containers of others have what the kernel and the network need.
const OF_CONTAINERS: [&str; 7] = [
    "dev",
    "proc",
    "run",
    "sys",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
];

#[test]
fn as_buildah_builds() {
    let Some(judge) = Buildah::new() else { return };
    let Some(store) = base::store() else { return };
    let context = context(&store);
    let cases: Vec<Value> = CASES
        .iter()
        .map(|(name, text)| json!({ "name": name, "dockerfile": text }))
        .collect();
    let archive = store.path("base.tar");
    for name in ["busybox", "alpine"] {
        judge.take(&archive, name);
    }
    let name = |case: &Value| case["name"].as_str().unwrap().to_owned();
    table::work(&cases, name, DEVIATIONS, |case| {
        let name = case["name"].as_str().unwrap();
        let file = store.path(&format!("{name}.dockerfile"));
        fs::write(&file, case["dockerfile"].as_str().unwrap()).unwrap();
        let line = [
            "build",
            "--network",
            "none",
            "-t",
            name,
            "-f",
            file.to_str().unwrap(),
        ];
        let ran = store.run(&[&line[..], &[context.to_str().unwrap()]].concat());
        if ran.code != Some(0) {
            return vec![ran.stderr];
        }
        let ours = store.path(&format!("{name}.tar"));
        store.ok(&["save", "-o", ours.to_str().unwrap(), name]);
        let theirs = judge.build(name, &file, &context);
        compare(&Saved::read(&ours), &Saved::read(&theirs), &[])
    });
}

/// Debian with packages from its archive, in a tar that `scripts/test` makes.
pub(crate) fn debian() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/debian.tar");
    let path = std::env::var_os("SHIPLAP_DEBIAN").map_or(tools, PathBuf::from);
    if !path.is_file() {
        judge::skip("no root of Debian: scripts/test makes one, or SHIPLAP_DEBIAN names it");
        return None;
    }
    Some(path)
}

/// On a distribution, with its package manager.
const REAL: &[(&str, &str)] = &[
    (
        "apt",
        "FROM debian\nRUN apt-get update && apt-get install -y --no-install-recommends hello && rm -rf /var/lib/apt/lists/*\nCMD [\"hello\"]\n",
    ),
    (
        "apt-cache-mounts",
        "FROM debian\nRUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked apt-get update && apt-get install -y --no-install-recommends hello\n",
    ),
    (
        "apt-stages",
        "FROM debian AS build\nRUN apt-get update && apt-get install -y --no-install-recommends hello\nFROM debian\nRUN useradd -m -u 1234 app\nCOPY --from=build /usr/bin/hello /usr/local/bin/\nUSER app\nWORKDIR /home/app\nCOPY --chown=app:app src .\nENTRYPOINT [\"hello\"]\n",
    ),
];

/// What a package manager writes otherwise each time.
const OF_APT: [&str; 8] = [
    "var/log",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
    "etc/ld.so.cache",
    "etc/passwd-",
    "etc/shadow",
    "etc/shadow-",
];

#[test]
fn as_buildah_builds_on_debian() {
    let Some(judge) = Buildah::new() else { return };
    let Some(store) = base::store() else { return };
    let Some(root) = debian() else { return };
    let context = context(&store);
    store.ok(&[
        "import",
        "-c",
        "CMD [\"bash\"]",
        root.to_str().unwrap(),
        "debian",
    ]);
    let archive = store.path("debian.tar");
    store.ok(&["save", "-o", archive.to_str().unwrap(), "debian"]);
    judge.take(&archive, "debian");
    for (name, text) in REAL {
        let file = store.path(&format!("{name}.dockerfile"));
        fs::write(&file, text).unwrap();
        let line = [
            "build",
            "--host-certs",
            "-t",
            name,
            "-f",
            file.to_str().unwrap(),
        ];
        store.ok(&[&line[..], &[context.to_str().unwrap()]].concat());
        let ours = store.path("ours.tar");
        store.ok(&["save", "-o", ours.to_str().unwrap(), name]);
        let theirs = judge.build(name, &file, &context);
        let wrong = compare(&Saved::read(&ours), &Saved::read(&theirs), &OF_APT);
        assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    }
}

/// A context with something of everything.
fn context(store: &Store) -> PathBuf {
    let context = store.path("context");
    scene::files(
        &context,
        &[
            ("src/a.txt", "a\n"),
            ("src/b.txt", "b\n"),
            ("src/sub/c.md", "c\n"),
            ("with space/f g", "space\n"),
            ("run.sh", "#!/bin/sh\necho ran\n"),
            ("big.log", "log\n"),
            ("keep.log", "keep\n"),
            (".dockerignore", "*.log\n!keep.log\nsrc/**/*.tmp\n"),
        ],
    );
    fs::set_permissions(context.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(context.join("src/b.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("src/a.txt", context.join("link")).unwrap();
    symlink("src/sub", context.join("folder")).unwrap();
    let archive = tar(&[
        Entry::directory("dir").mode(0o750),
        Entry::file("dir/file", b"packed\n").owner(3, 4),
        Entry::symlink("dir/link", "file"),
    ]);
    fs::write(context.join("archive.tar"), &archive).unwrap();
    let gzip = crate::harness::image::compress(&archive, crate::harness::image::Compression::Gzip);
    fs::write(context.join("archive.tar.gz"), gzip).unwrap();
    context
}

/// buildah with storage of its own.
struct Buildah {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Buildah {
    fn new() -> Option<Self> {
        if !judge::is_root() {
            judge::skip("containers of the machine's root need root");
            return None;
        }
        let program = judge::program("buildah")?;
        let folder = tempfile::TempDir::new().unwrap();
        let policy = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
        fs::write(folder.path().join("policy.json"), policy).unwrap();
        fs::write(folder.path().join("registries.conf"), "").unwrap();
        Some(Self { program, folder })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        let at = |name: &str| self.folder.path().join(name);
        command
            .env("CONTAINERS_REGISTRIES_CONF", at("registries.conf"))
            .env("TMPDIR", self.folder.path())
            .arg("--root")
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .args(["--storage-driver", "overlay", verb]);
        if ["pull", "bud", "push"].contains(&verb) {
            command.arg("--signature-policy").arg(at("policy.json"));
        }
        command
    }

    /// Takes an image from an archive.
    fn take(&self, archive: &Path, name: &str) {
        let source = format!("docker-archive:{}:{name}:latest", archive.display());
        judge::ask(self.command("pull").arg(source));
    }

    /// Builds; the image as an archive.
    fn build(&self, name: &str, file: &Path, context: &Path) -> PathBuf {
        let line = [
            "--layers",
            "--isolation",
            "chroot",
            "--network",
            "host",
            "--format",
            "docker",
            "-t",
            name,
            "-f",
        ];
        judge::ask(self.command("bud").args(line).arg(file).arg(context));
        let archive = self.folder.path().join(format!("{name}.tar"));
        let target = format!("docker-archive:{}", archive.display());
        judge::ask(self.command("push").arg(name).arg(target));
        archive
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        // What it has mounted would keep its folder.
        drop(self.command("umount").arg("--all").output());
    }
}

/// What differs between two images, but for these paths.
fn compare(ours: &Saved, theirs: &Saved, left_out: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (our_config, their_config) = (config(&ours.config), config(&theirs.config));
    for key in our_config.keys().chain(their_config.keys()) {
        let (our, their) = (our_config.get(key), their_config.get(key));
        if our != their {
            wrong.push(format!("{key}: {our:?}, buildah {their:?}"));
        }
    }
    let (our, their) = (history(&ours.config), history(&theirs.config));
    if our != their {
        wrong.push(format!("history: {our:#?}\nbuildah {their:#?}"));
    }
    let is_left_out = |path: &&String| {
        let mut names = OF_CONTAINERS.iter().chain(left_out);
        names.any(|name| {
            path == name
                || path
                    .strip_prefix(*name)
                    .is_some_and(|rest| rest.starts_with('/'))
        })
    };
    let (our, their) = (ours.tree(), theirs.tree());
    let paths: BTreeSet<&String> = our.keys().chain(their.keys()).collect();
    for path in paths.into_iter().filter(|path| !is_left_out(path)) {
        let fact = |tree: &Tree| tree.get(path).map(facts);
        if fact(&our) != fact(&their) {
            wrong.push(format!(
                "/{path}: {:?}\nbuildah {:?}",
                our.get(path),
                their.get(path)
            ));
        }
    }
    wrong
}

/// All of a path but times, which are those of two builds.
fn facts(node: &Node) -> Node {
    Node {
        mtime: 0,
        ..node.clone()
    }
}

/// What containers take from a config, without what says nothing.
fn config(document: &Value) -> Map<String, Value> {
    const KEYS: [&str; 11] = [
        "Cmd",
        "Entrypoint",
        "Env",
        "ExposedPorts",
        "Healthcheck",
        "Labels",
        "OnBuild",
        "Shell",
        "StopSignal",
        "User",
        "Volumes",
    ];
    let mut config = Map::new();
    for key in KEYS {
        let mut value = document["config"][key].clone();
        if let Some(labels) = value.as_object_mut() {
            labels.remove("io.buildah.version");
        }
        let says_nothing = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !says_nothing {
            config.insert(key.to_owned(), value);
        }
    }
    // An empty one is the root.
    let workdir = document["config"]["WorkingDir"]
        .as_str()
        .unwrap_or_default();
    let workdir = if workdir.is_empty() { "/" } else { workdir };
    config.insert("WorkingDir".to_owned(), json!(workdir));
    config
}

/// The instructions of a history; of `RUN` the command, too. buildah keeps what is copied as a digest, and
/// makes no layer for `WORKDIR`.
fn history(document: &Value) -> Vec<String> {
    let entries = document["history"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| {
            let text = entry["created_by"].as_str().unwrap_or_default();
            let text = text.strip_suffix(" # buildkit").unwrap_or(text).trim_end();
            let text = text.strip_prefix("RUN ").unwrap_or(text);
            let Some(instruction) = text.strip_prefix("/bin/sh -c #(nop) ") else {
                return run(text);
            };
            instruction.split(' ').next().unwrap_or_default().to_owned()
        })
        .collect()
}

/// `RUN`'s command without the arguments of the build before it, and without the flags that buildah
/// leaves in; another instruction's name.
fn run(text: &str) -> String {
    const INSTRUCTIONS: [&str; 16] = [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    let first = text.split(' ').next().unwrap_or_default();
    if INSTRUCTIONS.contains(&first) {
        return first.to_owned();
    }
    let mut words = text
        .split(' ')
        .skip_while(|word| word.starts_with('|') || word.contains('='));
    let command: Vec<&str> = words
        .by_ref()
        .filter(|word| !word.starts_with("--"))
        .collect();
    format!("RUN {}", command.join(" "))
}

#[test]
fn histories_are_read_alike() {
    let read = |line: &str| {
        let document = json!({ "history": [{ "created_by": line }] });
        history(&document).concat()
    };
    let check = |ours: &str, theirs: &str, want: &str| {
        assert_eq!((read(ours).as_str(), read(theirs).as_str()), (want, want));
    };
    check(
        "COPY . . # buildkit",
        "/bin/sh -c #(nop) COPY dir:12 in . ",
        "COPY",
    );
    check(
        "CMD [\"/bin/sh\" \"-c\" \"x\"]",
        "/bin/sh -c #(nop) CMD x",
        "CMD",
    );
    check(
        "RUN /bin/sh -c echo hi # buildkit",
        "/bin/sh -c echo hi",
        "RUN /bin/sh -c echo hi",
    );
    check(
        "RUN |1 V=1 /bin/sh -c x # buildkit",
        "|1 V=1 /bin/sh -c x",
        "RUN /bin/sh -c x",
    );
}
