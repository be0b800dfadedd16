//! The course's Dockerfiles as they are written, on Python from the distribution's packages, with packages
//! from the machine's index.

use std::fs;
use std::path::PathBuf;

use super::build_judge::debian;
use crate::harness::told::Told;
use crate::harness::{Store, judge, leftovers, scene};

const PYTHON: &str = "FROM debian
RUN apt-get update \\
 && apt-get install -y --no-install-recommends python3 python3-pip \\
 && ln -s python3 /usr/bin/python \\
 && rm -rf /var/lib/apt/lists/*
# Debian leaves Python's packages to apt; in an image of its own pip may install them.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
CMD [\"python3\"]
";

const ONE: &str = "FROM python:3.11
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY . .
EXPOSE 5000
CMD [\"python\", \"app.py\"]
";

const TWO: &str = "FROM python:3.11 as builder
WORKDIR /app
COPY requirements.txt .
RUN pip install --user -r requirements.txt

FROM python:3.11-slim
WORKDIR /app
COPY --from=builder /root/.local /root/.local
COPY . .
ENV PATH=/root/.local/bin:$PATH
CMD [\"python\", \"app.py\"]
";

#[test]
fn the_course_on_python() {
    if !judge::is_root() {
        return judge::skip("containers of the machine's root need root");
    }
    let (Some(_), Some(root)) = (judge::program("crun"), debian()) else {
        return;
    };
    let store = Store::new();
    let made = store.path("python");
    scene::files(&made, &[("Dockerfile", PYTHON)]);
    store.ok(&["import", root.to_str().unwrap(), "debian"]);
    let build = |line: &[&str]| {
        let ran = store.run(&[&["build", "--host-certs"][..], line].concat());
        ran.assert_ok();
        Told::of(&ran.stderr)
    };
    build(&[
        "-t",
        "python:3.11",
        "-t",
        "python:3.11-slim",
        made.to_str().unwrap(),
    ]);
    let context: PathBuf = store.path("app");
    let app = "import itsdangerous, click\nprint('signed', itsdangerous.Signer('k').sign('x').decode()[:2])\n";
    scene::files(
        &context,
        &[
            ("Dockerfile", ONE),
            ("Dockerfile.two", TWO),
            ("app.py", app),
            ("requirements.txt", "itsdangerous==2.2.0\nclick\n"),
            (".dockerignore", "Dockerfile*\n.git\n"),
        ],
    );
    let folder = context.to_str().unwrap();
    let two = format!("{folder}/Dockerfile.two");
    let run = |name: &str| store.ok(&["run", "--rm", "--network", "none", name]);
    let one = build(&["-t", "my-app:latest", folder]);
    assert_eq!(one.made().len(), 4);
    assert_eq!(run("my-app"), "signed x.\n");
    build(&["-t", "two", "-f", &two, folder]);
    assert_eq!(run("two"), "signed x.\n");
    // Nothing changed; then only the application; then what it needs.
    assert_eq!(build(&["-t", "my-app", folder]).made(), Vec::<&str>::new());
    assert_eq!(
        build(&["-t", "two", "-f", &two, folder]).made(),
        Vec::<&str>::new()
    );
    fs::write(context.join("app.py"), "print('changed')\n").unwrap();
    let told = build(&["-t", "my-app", folder]);
    assert_eq!(told.made(), ["COPY . ."]);
    assert_eq!(told.why("COPY . ."), ["changed app.py"]);
    assert_eq!(run("my-app"), "changed\n");
    // The same files at the same place are the layer that was just made.
    let told = build(&["-t", "two", "-f", &two, folder]);
    assert_eq!(told.made(), Vec::<&str>::new());
    assert_eq!(run("two"), "changed\n");
    let certificates = store.run(&["image", "ls", "my-app", "/run/secrets"]);
    assert!(!certificates.stdout.contains("crt"), "{certificates:?}");
    leftovers::assert_none(&store);
    store.assert_sound();
}
