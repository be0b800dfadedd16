//! `build` as people use it: the course's Dockerfiles, results in all their forms, what is written beside
//! them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::untar::{Saved, Tree, apply, entries};
use crate::harness::user::User;
use crate::harness::{Store, base, judge, scene};

/// The context of an application as the course has it.
pub(crate) fn course(store: &Store, dockerfile: &str) -> PathBuf {
    let context = store.path("app");
    scene::files(
        &context,
        &[
            ("Dockerfile", dockerfile),
            ("requirements.txt", "flask==3.0\n"),
            ("app.py", "print('hello')\n"),
            ("src/util.py", "pass\n"),
            ("notes/secret-plans.md", "do not ship\n"),
            (".git/HEAD", "ref: refs/heads/main\n"),
            (".dockerignore", ".git\nnotes\n*.md\n"),
        ],
    );
    context
}

/// What stands in for pip: it takes a list, and leaves files where pip does.
const PIP: &str = "FROM busybox
COPY <<'EOF' /bin/pip
#!/bin/sh
for list; do :; done
mkdir -p /root/.local/bin && cp \"$list\" /root/.local/installed
printf '#!/bin/sh\\necho works\\n' > /root/.local/bin/tool && chmod +x /root/.local/bin/tool
EOF
RUN chmod +x /bin/pip
";

pub(crate) const SINGLE: &str = "FROM python:3.11
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY . .
EXPOSE 5000
ENV FLASK_ENV=production
CMD [\"cat\", \"app.py\"]
";

const TWO_STAGES: &str = "FROM python:3.11 as builder
WORKDIR /app
COPY requirements.txt .
RUN pip install --user -r requirements.txt

FROM python:3.11-slim
WORKDIR /app
COPY --from=builder /root/.local /root/.local
COPY . .
ENV PATH=/root/.local/bin:$PATH
CMD [\"cat\", \"app.py\"]
";

/// A store with the course's base images.
pub(crate) fn course_store() -> Option<Store> {
    let store = base::store()?;
    store
        .run_with(&["build", "-q", "-t", "python:3.11", "-"], PIP.as_bytes())
        .assert_ok();
    store.ok(&["tag", "busybox", "python:3.11-slim"]);
    Some(store)
}

/// The tree of an image of the store.
pub(crate) fn tree(store: &Store, image: &str) -> Tree {
    saved(store, image).tree()
}

pub(crate) fn saved(store: &Store, image: &str) -> Saved {
    let archive = store.path("saved.tar");
    store.ok(&["save", "-o", archive.to_str().unwrap(), image]);
    let saved = Saved::read(&archive);
    fs::remove_file(archive).unwrap();
    saved
}

#[test]
fn the_course() {
    let Some(store) = course_store() else { return };
    let context = course(&store, SINGLE);
    let context = context.to_str().unwrap();
    let ran = store.run(&["build", "-t", "my-app:latest", context]);
    ran.assert_ok();
    ran.assert_says(&[
        "load build definition from Dockerfile",
        "[2/5] WORKDIR /app",
        "[4/5] RUN pip install -r requirements.txt",
        "naming to docker.io/library/my-app:latest",
    ]);
    assert_eq!(ran.stdout, "");
    assert_eq!(
        store.ok(&["run", "--rm", "--network", "none", "my-app"]),
        "print('hello')\n"
    );
    let found = tree(&store, "my-app");
    for path in [
        "app/app.py",
        "app/src/util.py",
        "app/requirements.txt",
        "root/.local/installed",
    ] {
        assert!(found.contains_key(path), "{path}");
    }
    for path in ["app/notes", "app/.git", "app/.git/HEAD"] {
        assert!(!found.contains_key(path), "{path}");
    }
    assert_eq!(store.field("my-app", "{{.Config.WorkingDir}}"), "/app");
    assert_eq!(
        store.field("my-app", "{{json .Config.Cmd}}"),
        r#"["cat","app.py"]"#
    );
    let history = store.ok(&[
        "history",
        "--format",
        "{{.CreatedBy}}",
        "--no-trunc",
        "my-app",
    ]);
    assert!(
        history.starts_with("CMD [\"cat\" \"app.py\"]\n"),
        "{history}"
    );
    assert!(history.contains("COPY . . # buildkit\n"), "{history}");

    let two = context.to_owned() + "/Dockerfile.two";
    fs::write(&two, TWO_STAGES).unwrap();
    store.ok(&["build", "-t", "two", "-f", &two, context]);
    let found = tree(&store, "two");
    assert!(found.contains_key("root/.local/bin/tool"));
    assert!(
        !found.contains_key("bin/pip"),
        "only what is copied comes over"
    );
    let run = ["run", "--rm", "--network", "none", "two", "tool"];
    assert_eq!(store.ok(&run), "works\n");
    store.assert_sound();
}

#[test]
fn called_by_all_its_names() {
    let Some(store) = base::store() else { return };
    let context = course(&store, "FROM scratch\nCOPY app.py /\n");
    let context = context.to_str().unwrap();
    let first = store.ok(&["build", "-q", context]);
    assert!(first.starts_with("sha256:") && first.len() == 72, "{first}");
    for verb in [
        &["image", "build"][..],
        &["builder", "build"],
        &["buildx", "build", "--load", "--provenance=false"],
        &["buildx", "b"],
    ] {
        let again = store.ok(&[verb, &["--quiet", "--rm", context]].concat());
        assert_eq!(again, first, "{verb:?}");
    }
    let file = store.path("id");
    store.ok(&["build", "--iidfile", file.to_str().unwrap(), context]);
    assert_eq!(fs::read_to_string(&file).unwrap(), first.trim_end());
    // A file of an earlier build does not outlive one that fails.
    fs::write(
        store.path("app/Dockerfile"),
        "FROM scratch\nCOPY missing /\n",
    )
    .unwrap();
    store.refused(&["build", "--iidfile", file.to_str().unwrap(), context]);
    assert!(!file.exists());
}

#[test]
fn metadata_is_buildxs() {
    let Some(store) = base::store() else { return };
    let context = course(&store, "FROM scratch\nCOPY app.py /\n");
    let file = store.path("metadata.json");
    let line = ["build", "-t", "a/b:c", "-t", "d", "--metadata-file"];
    let rest = [file.to_str().unwrap(), context.to_str().unwrap()];
    store.ok(&[&line[..], &rest[..]].concat());
    let metadata: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let id = store.field("a/b:c", "{{.Id}}");
    assert_eq!(metadata["containerimage.config.digest"], id);
    assert_eq!(
        metadata["image.name"],
        "docker.io/a/b:c,docker.io/library/d:latest"
    );
    let descriptor = &metadata["containerimage.descriptor"];
    assert_eq!(descriptor["digest"], metadata["containerimage.digest"]);
    assert_eq!(
        descriptor["mediaType"],
        "application/vnd.oci.image.manifest.v1+json"
    );
    assert!(descriptor["size"].as_u64().unwrap() > 100);
    assert!(metadata["buildx.build.ref"].is_string());
}

#[test]
fn a_failing_step_says_where_and_why() {
    let Some(store) = base::store() else { return };
    let dockerfile = "FROM busybox\nWORKDIR /app\n\
        RUN for n in $(seq 1 200); do echo line $n; done; echo oh no >&2; exit 7\nRUN never\n";
    let context = course(&store, dockerfile);
    let ran = store.run(&["build", "-t", "x", context.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    ran.assert_says(&["Dockerfile:3", "oh no", "line 200", "exit code: 7", ">>>"]);
    assert_eq!(ran.stdout, "");
    store.refused(&["inspect", "x"]);
    // Whoever is quiet still hears why.
    let quiet = store.run(&["build", "-q", context.to_str().unwrap()]);
    assert_eq!(quiet.code, Some(1));
    quiet.assert_says(&["exit code: 7", "oh no"]);
    let builds = store.ok(&["build", "ls", "--format", "{{.Status}}"]);
    assert_eq!(builds, "Error\nError\n");
    let log = store.ok(&["build", "logs"]);
    for line in ["line 1\n", "line 100\n", "line 200\n", "oh no\n"] {
        assert!(log.contains(line), "{line:?} in {log}");
    }
    store.refused(&["build", "logs", "nope"]);
}

#[test]
fn results_in_all_their_forms() {
    let Some(store) = base::store() else { return };
    let dockerfile = "FROM busybox AS base\nRUN echo made > /made\nFROM scratch\n\
        COPY --from=base /made /\nCOPY src /src\nCMD [\"/made\"]\n";
    let context = course(&store, dockerfile);
    let context = context.to_str().unwrap();
    let at = |name: &str| store.path(name).display().to_string();
    store.ok(&["build", "-t", "app", context]);
    let wanted = tree(&store, "app");

    store.ok(&["build", "-o", &at("files"), context]);
    assert_eq!(fs::read_to_string(at("files/made")).unwrap(), "made\n");
    assert!(Path::new(&at("files/src/util.py")).is_file());
    store.ok(&[
        "build",
        "-o",
        &format!("type=tar,dest={}", at("files.tar")),
        context,
    ]);
    let mut found = Tree::new();
    apply(&mut found, &entries(&fs::read(at("files.tar")).unwrap()));
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>()
    );
    let streamed = store
        .command(&["build", "-o", "-", context])
        .output()
        .unwrap();
    assert!(streamed.status.success());
    assert_eq!(streamed.stdout, fs::read(at("files.tar")).unwrap());

    let oci = format!("type=oci,dest={},name=app:oci", at("oci.tar"));
    store.ok(&["build", "-t", "app", "-o", &oci, context]);
    let docker = format!("type=docker,dest={}", at("docker.tar"));
    store.ok(&["build", "-t", "app", "-o", &docker, context]);
    assert_eq!(Saved::read(Path::new(&at("docker.tar"))).tree(), wanted);
    let id = store.field("app", "{{.Id}}");
    for source in [
        "oci-archive:".to_owned() + &at("oci.tar"),
        "docker-archive:".to_owned() + &at("docker.tar"),
    ] {
        let Some(mut skopeo) = judge::skopeo() else {
            return;
        };
        let config = judge::ask(skopeo.args(["inspect", "--config", "--raw", &source]));
        assert_eq!(
            crate::harness::image::digest(config.as_bytes()),
            id,
            "{source}"
        );
    }
    let layout = format!("type=oci,tar=false,dest={}", at("layout"));
    store.ok(&["build", "-o", &layout, context]);
    assert!(Path::new(&at("layout/oci-layout")).is_file());
    let before = store.names();
    store.ok(&["build", "--no-cache", "-o", "type=cacheonly", context]);
    assert_eq!(store.names(), before);
}

#[test]
fn pushed_as_built() {
    let Some(registry) = crate::harness::registry::Registry::start() else {
        return;
    };
    let Some(store) = base::store() else { return };
    let toml = format!(
        "[[registry]]\nprefix = \"{}\"\ninsecure = true\n",
        registry.address()
    );
    let store = store.configured(&toml);
    let context = course(&store, "FROM busybox\nCOPY app.py /\n");
    let name = registry.reference("team/app:1");
    store.ok(&["build", "--push", "-t", &name, context.to_str().unwrap()]);
    let Some(mut skopeo) = judge::skopeo() else {
        return;
    };
    let config = judge::ask(skopeo.args([
        "inspect",
        "--tls-verify=false",
        "--config",
        "--raw",
        &format!("docker://{name}"),
    ]));
    let id = crate::harness::image::digest(config.as_bytes());
    assert_eq!(store.field(&name, "{{.Id}}"), id);
}

#[test]
fn contexts_of_all_kinds() {
    let Some(store) = base::store() else { return };
    let context = course(&store, "FROM scratch\nCOPY app.py /from-directory\n");
    let text = b"FROM scratch\nLABEL from=stdin\n";
    store
        .run_with(&["build", "-t", "text", "-"], text)
        .assert_ok();
    assert_eq!(store.field("text", "{{.Config.Labels.from}}"), "stdin");
    let text = b"FROM scratch\nCOPY app.py /from-stdin\n";
    let line = ["build", "-t", "file", "-f", "-", context.to_str().unwrap()];
    store.run_with(&line, text).assert_ok();
    assert!(tree(&store, "file").contains_key("from-stdin"));
    let tar = judge::ask_bytes(
        Command::new("tar")
            .args(["-czf", "-", "-C"])
            .arg(&context)
            .arg("."),
    );
    store
        .run_with(&["build", "-t", "tar", "-"], &tar)
        .assert_ok();
    assert!(tree(&store, "tar").contains_key("from-directory"));
    let served = crate::harness::double::Double::start();
    served.put(
        "/context.tar.gz",
        crate::harness::double::Reply::new(200, &tar),
    );
    let url = format!("http://{}/context.tar.gz", served.address());
    store.ok(&["build", "-t", "url", &url]);
    assert!(tree(&store, "url").contains_key("from-directory"));
    let other = store.path("other");
    scene::files(&other, &[("file", "named\n")]);
    let named = format!("--build-context=other={}", other.display());
    let text = b"FROM scratch\nCOPY --from=other file /\n";
    store
        .run_with(
            &[
                "build",
                "-t",
                "named",
                &named,
                "-f",
                "-",
                context.to_str().unwrap(),
            ],
            text,
        )
        .assert_ok();
    assert!(tree(&store, "named").contains_key("file"));
    let image = "--build-context=busybox=docker-image://alpine";
    store
        .run_with(
            &["build", "-t", "swapped", image, "-"],
            b"FROM busybox\nRUN true\n",
        )
        .assert_ok();
}

#[test]
fn checks_are_buildkits() {
    let Some(store) = base::store() else { return };
    let dockerfile = "FROM busybox as base\nCMD echo hi\nFROM base\nENV A b\n";
    let context = course(&store, dockerfile);
    let context = context.to_str().unwrap();
    let ran = store.run(&["build", "--check", context]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout
            .starts_with("Check complete, 3 warnings have been found!\n\nWARNING: ")
    );
    for (rule, line) in [
        ("FromAsCasing", 1),
        ("JSONArgsRecommended", 2),
        ("LegacyKeyValueFormat", 4),
    ] {
        ran.assert_says(&[
            &format!("WARNING: {rule} - https://docs.docker.com/"),
            &format!("Dockerfile:{line}\n"),
        ]);
    }
    assert_eq!(ran.stderr, "");
    let json = store.run(&["build", "--call=check,format=json", context]);
    assert_eq!(json.code, Some(1));
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["warnings"][0]["ruleName"], "FromAsCasing");
    // Nothing is built, and a build tells the same beside its steps.
    assert!(store.ok(&["build", "ls", "-q"]).is_empty());
    store
        .run(&["build", context])
        .assert_says(&["FromAsCasing"]);
    let text = b"FROM scratch\nCOPPY a b\n";
    let ran = store.run_with(&["build", "--check", "-"], text);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    ran.assert_says(&[
        "unknown instruction: COPPY (did you mean COPY?)",
        ">>>",
        "^^^^^",
    ]);
    let clean = store.run_with(&["build", "--check", "-"], b"FROM scratch\n");
    clean.assert_ok();
    assert_eq!(clean.stdout, "Check complete, no warnings found.\n");
}

#[test]
fn an_ordinary_user_builds() {
    let Some(user) = User::new(true) else { return };
    let context = user.store.path("app");
    scene::files(
        &context,
        &[
            (
                "Dockerfile",
                "FROM box\nCOPY file /file\nRUN id -u > /who && chown 7:8 /file && cat /file\n",
            ),
            ("Copies", "FROM scratch\nCOPY --chown=7:8 file /file\n"),
            ("file", "mine\n"),
        ],
    );
    let context = context.to_str().unwrap();
    let ran = user.run(&["build", "--network", "none", "-t", "app", context]);
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let shown = user.ok(&["image", "cat", "app", "/who"]);
    assert_eq!(shown, "0\n");
    let listed = user.ok(&["image", "ls", "app", "/file"]);
    assert!(listed.contains("7:8"), "{listed}");
    // What only copies needs no users.
    let Some(alone) = User::new(false) else {
        return;
    };
    scene::files(
        &alone.store.path("app"),
        &[
            ("file", "x\n"),
            ("Dockerfile", "FROM scratch\nCOPY --chown=7:8 file /file\n"),
        ],
    );
    let context = alone.store.path("app");
    alone.ok(&["build", "-t", "copies", context.to_str().unwrap()]);
    let listed = alone.ok(&["image", "ls", "copies", "/file"]);
    assert!(listed.contains("7:8"), "{listed}");
}
