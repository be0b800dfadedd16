//! What a build brings from the web: repositories and files, by `ADD` and as contexts.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::build::tree;
use crate::harness::double::{Double, Reply};
use crate::harness::git::GitServer;
use crate::harness::http::Message;
use crate::harness::image::digest;
use crate::harness::told::Told;
use crate::harness::{Ran, Store, base, judge, leftovers, scene};

/// A store with a server of repositories: `app` has a branch, tags and a folder.
struct Scene {
    store: Store,
    server: GitServer,
    first: String,
    second: String,
}

impl Scene {
    fn new() -> Option<Self> {
        let store = base::store()?;
        let server = GitServer::start(&store.path("served"))?;
        let app = server.repository(
            "app",
            &[
                ("Dockerfile", "FROM scratch\nCOPY . /\n"),
                ("app.py", "first\n"),
                ("sub/Dockerfile", "FROM scratch\nCOPY . /sub\n"),
                ("sub/inner.py", "inner\n"),
            ],
        );
        let first = server.git(&app, &["rev-parse", "HEAD"]);
        server.git(&app, &["tag", "-a", "v1", "-m", "one"]);
        server.git(&app, &["checkout", "-q", "-b", "work"]);
        fs::write(app.join("app.py"), "second\n").unwrap();
        server.git(&app, &["add", "-A"]);
        let second = server.commit(&app, "second");
        server.git(&app, &["checkout", "-q", "main"]);
        Some(Self {
            store,
            server,
            first,
            second,
        })
    }

    fn build(&self, dockerfile: &str) -> Ran {
        let line = ["build", "-t", "app", "-"];
        self.store.run_with(&line, dockerfile.as_bytes())
    }

    #[track_caller]
    fn has(&self, path: &str, content: &str) {
        assert_eq!(
            self.store.ok(&["image", "cat", "app", path]),
            content,
            "{path}"
        );
    }
}

#[test]
fn repositories_are_added() {
    let Some(scene) = Scene::new() else { return };
    let url = scene.server.url("app");
    let (first, second) = (&scene.first, &scene.second);
    let add = |rest: &str| {
        let ran = scene.build(&format!("FROM scratch\nADD {rest} /src/\n"));
        ran.assert_ok();
    };
    add(&url);
    scene.has("/src/app.py", "first\n");
    assert!(!tree(&scene.store, "app").contains_key("src/.git"));
    for reference in ["work", "refs/heads/work", second] {
        add(&format!("{url}#{reference}"));
        scene.has("/src/app.py", "second\n");
    }
    add(&format!("{url}#v1:sub"));
    scene.has("/src/inner.py", "inner\n");
    assert!(!tree(&scene.store, "app").contains_key("src/app.py"));
    // All files have git's modes and the commit's time.
    let found = tree(&scene.store, "app");
    let node = &found["src/inner.py"];
    assert_eq!(
        (node.mode & 0o777, node.mtime, node.owner),
        (0o644, 1_600_000_000, (0, 0))
    );
    add(&format!("--checksum={first} {url}#v1"));
    scene.has("/src/app.py", "first\n");
    add(&format!("--keep-git-dir=true {url}#work"));
    let found = tree(&scene.store, "app");
    assert!(found.contains_key("src/.git/HEAD"));
    let config = scene.store.ok(&["image", "cat", "app", "/src/.git/config"]);
    assert!(
        config.contains(&url) && !config.contains("served"),
        "{config}"
    );

    let refuse = |rest: &str, words: &[&str]| {
        let ran = scene.build(&format!("FROM scratch\nADD {rest} /src/\n"));
        ran.assert_refused();
        ran.assert_says(words);
        ran.assert_says(&["Dockerfile:2", ">>>"]);
    };
    refuse(
        &format!("--checksum={second} {url}#v1"),
        &["expected checksum to match", second, first],
    );
    refuse(
        &format!("--checksum=nonsense {url}"),
        &["invalid checksum", "nonsense"],
    );
    refuse(
        &format!("{url}#no-such"),
        &["does not contain ref", "no-such"],
    );
    refuse(&format!("{url}#main:nowhere"), &["no directory", "nowhere"]);
    refuse(&scene.server.url("missing"), &["missing.git"]);
    leftovers::assert_none(&scene.store);
}

#[test]
fn what_a_repository_has_is_cached_by_its_content() {
    let Some(scene) = Scene::new() else { return };
    let text = format!(
        "FROM busybox\nADD {} /src/\nRUN cat /src/app.py\n",
        scene.server.url("app")
    );
    let build = || {
        let ran = scene.build(&text);
        ran.assert_ok();
        Told::of(&ran.stderr)
    };
    assert_eq!(build().made().len(), 2);
    assert_eq!(build().made().len(), 0);
    // A commit that changes no file changes nothing; another one is explained.
    let tree = scene.store.path("served/app");
    scene
        .server
        .git(&tree, &["commit", "-q", "--allow-empty", "-m", "empty"]);
    assert_eq!(build().made().len(), 0);
    fs::write(tree.join("app.py"), "third\n").unwrap();
    scene
        .server
        .git(&tree, &["commit", "-q", "-a", "-m", "third"]);
    let told = build();
    assert_eq!(told.made().len(), 2);
    assert_eq!(told.why(told.made()[0]), ["changed app.py"]);
}

#[test]
fn repositories_are_contexts() {
    let Some(scene) = Scene::new() else { return };
    let url = scene.server.url("app");
    let build = |context: &str, flags: &[&str]| {
        let line = ["build", "-t", "app"];
        scene.store.ok(&[&line[..], flags, &[context]].concat());
    };
    build(&url, &[]);
    scene.has("/app.py", "first\n");
    build(&format!("{url}#work"), &[]);
    scene.has("/app.py", "second\n");
    build(&format!("{url}#:sub"), &[]);
    scene.has("/sub/inner.py", "inner\n");
    build(&format!("{url}#v1"), &["-f", "sub/Dockerfile"]);
    scene.has("/sub/app.py", "first\n");
    // One with a name.
    let named = format!("other={url}#work");
    let text = b"FROM scratch\nCOPY --from=other app.py /got\n";
    let line = ["build", "-t", "app", "--build-context", &named, "-"];
    scene.store.run_with(&line, text).assert_ok();
    scene.has("/got", "second\n");
    let ran = scene.store.run(&["build", &format!("{url}#no-such")]);
    ran.assert_refused();
    ran.assert_says(&["does not contain ref", "no-such"]);
    // An address of a password tells it to nobody.
    let with_password = url.replace("http://", "http://me:swordfish@");
    build(&with_password, &[]);
    scene.store.ok(&["build", &with_password]);
    let names = scene.store.ok(&["build", "ls", "--format", "{{.Name}}"]);
    assert!(
        names.starts_with("http://") && names.contains("/app.git\n"),
        "{names}"
    );
    let found = leftovers::holding(scene.store.root(), b"swordfish");
    assert_eq!(found, Vec::<std::path::PathBuf>::new());
}

#[test]
fn submodules_come_and_hooks_do_not_run() {
    let Some(scene) = Scene::new() else { return };
    let server = &scene.server;
    server.repository("library", &[("library.py", "library\n")]);
    let super_tree = server.repository("super", &[("Dockerfile", "FROM scratch\nCOPY . /\n")]);
    server.git(
        &super_tree,
        &["submodule", "--quiet", "add", &server.url("library"), "lib"],
    );
    server.commit(&super_tree, "with a library");
    scene
        .store
        .ok(&["build", "-t", "app", &server.url("super")]);
    scene.has("/lib/library.py", "library\n");
    let found = tree(&scene.store, "app");
    assert!(
        found
            .keys()
            .all(|path| !path.contains(".git/") && path != "lib/.git"),
        "{:?}",
        found.keys()
    );

    // Everything that could run something.
    let victim = scene.store.path("victim");
    let script = format!("#!/bin/sh\necho ran >> {}\n", victim.display());
    let hooks = scene.store.path("hooks");
    fs::create_dir(&hooks).unwrap();
    for name in [
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "post-merge",
    ] {
        scene::files(&hooks, &[(name, &script)]);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(hooks.join(name), mode).unwrap();
        fs::create_dir_all(scene.store.path("template/hooks")).unwrap();
        fs::copy(
            hooks.join(name),
            scene.store.path("template/hooks").join(name),
        )
        .unwrap();
    }
    let config = format!(
        "[core]\nhooksPath = {hooks}\nfsmonitor = {hooks}/post-merge\n[init]\ntemplateDir = {template}\n\
         [filter \"evil\"]\nsmudge = {hooks}/post-merge\nrequired = true\n[protocol \"ext\"]\nallow = always\n",
        hooks = hooks.display(),
        template = scene.store.path("template").display(),
    );
    fs::write(scene.store.home().join(".gitconfig"), config).unwrap();
    let modules = format!(
        "[submodule \"lib\"]\npath = lib\nurl = {}\nupdate = !{}/post-merge\n\
         [submodule \"out\"]\npath = out\nurl = ext::{}/post-merge\n",
        server.url("library"),
        hooks.display(),
        hooks.display(),
    );
    let evil = server.repository(
        "evil",
        &[("Dockerfile", "FROM scratch\nCOPY . /\n"), ("a", "a\n")],
    );
    server.git(
        &evil,
        &["submodule", "--quiet", "add", &server.url("library"), "lib"],
    );
    scene::files(&evil, &[(".gitattributes", "* filter=evil\n")]);
    server.git(&evil, &["add", "-A"]);
    server.commit(&evil, "filters");
    scene.store.ok(&["build", "-t", "app", &server.url("evil")]);
    scene.has("/a", "a\n");
    assert!(!victim.exists(), "{:?}", fs::read_to_string(&victim));
    fs::write(evil.join(".gitmodules"), modules).unwrap();
    server.git(&evil, &["commit", "-q", "-a", "-m", "runs"]);
    let ran = scene
        .store
        .run(&["build", "-t", "app", &server.url("evil")]);
    assert!(ran.code.is_some_and(|code| code != 101), "{ran:?}");
    assert!(!victim.exists(), "{:?}", fs::read_to_string(&victim));
    // A submodule of this machine's files.
    let text = format!(
        "[submodule \"lib\"]\npath = lib\nurl = file://{}\n",
        evil.display()
    );
    fs::write(evil.join(".gitmodules"), text).unwrap();
    server.git(&evil, &["commit", "-q", "-a", "-m", "reads"]);
    let ran = scene
        .store
        .run(&["build", "-t", "app", &server.url("evil")]);
    ran.assert_refused();
    ran.assert_says(&["fetch submodules of", "not allowed"]);
    leftovers::assert_none(&scene.store);
}

/// A server that speaks TLS with a certificate of its own.
struct Tls(Child, u16);

impl Tls {
    fn start(folder: &Path, served: &Path) -> Option<Self> {
        let openssl = judge::program("openssl")?;
        let at = |name: &str| folder.join(name).display().to_string();
        judge::ask(Command::new(&openssl).args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            &at("key.pem"),
            "-out",
            &at("cert.pem"),
        ]));
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let child = Command::new(&openssl)
            .args([
                "s_server",
                "-quiet",
                "-WWW",
                "-accept",
                &format!("127.0.0.1:{port}"),
            ])
            .args(["-key", &at("key.pem"), "-cert", &at("cert.pem")])
            .current_dir(served)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self(child, port);
        crate::harness::container::until("it listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(server)
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn over_tls_with_a_certificate_that_is_trusted() {
    let Some(scene) = Scene::new() else { return };
    // Files of a repository are all that this server can give.
    let served = scene.store.path("dumb");
    let bare = served.join("app.git");
    fs::create_dir_all(&served).unwrap();
    let tree = scene.store.path("served/app");
    scene.server.git(
        &tree,
        &["clone", "-q", "--bare", ".", bare.to_str().unwrap()],
    );
    scene.server.git(&bare, &["update-server-info"]);
    // It takes what git asks for as the name of a file.
    let refs = bare.join("info/refs");
    fs::copy(&refs, bare.join("info/refs?service=git-upload-pack")).unwrap();
    fs::write(served.join("file.txt"), "of the web\n").unwrap();
    let Some(tls) = Tls::start(&scene.store.path(""), &served) else {
        return;
    };
    let url = format!("https://127.0.0.1:{}", tls.1);
    let text = format!("FROM scratch\nADD {url}/file.txt /file\nADD {url}/app.git#work /src\n");
    let line = ["build", "-t", "app", "-"];
    let ran = scene.store.run_with(&line, text.as_bytes());
    ran.assert_refused();
    ran.assert_says(&["certificate"]);
    let certificate = scene.store.path("cert.pem");
    let Scene { store, .. } = scene;
    let store = store.with("SSL_CERT_FILE", certificate.to_str().unwrap());
    store.run_with(&line, text.as_bytes()).assert_ok();
    assert_eq!(store.ok(&["image", "cat", "app", "/file"]), "of the web\n");
    assert_eq!(
        store.ok(&["image", "cat", "app", "/src/app.py"]),
        "second\n"
    );
}

#[test]
fn files_of_the_web() {
    let Some(store) = base::store() else { return };
    let web = Double::start();
    let current = Arc::new(Mutex::new(String::new()));
    let asked = Arc::clone(&current);
    web.answer(move |request| {
        let is_current = request.header("if-none-match") == Some(asked.lock().unwrap().as_str());
        is_current.then(|| Reply::new(304, b""))
    });
    let put = |content: &[u8], tag: &str| {
        tag.clone_into(&mut current.lock().unwrap());
        let reply = Reply::new(200, content)
            .header("etag", tag)
            .header("last-modified", "Sun, 13 Sep 2020 12:26:40 GMT");
        web.put("/files/tool.sh", reply);
    };
    put(b"one\n", "\"1\"");
    let url = format!("http://{}/files/tool.sh", web.address());
    let build = |add: &str| {
        let text = format!("FROM busybox\nADD {add}\nRUN cat /tool* > /got\n");
        store.run_with(&["build", "-t", "app", "-"], text.as_bytes())
    };
    let told = |add: &str| {
        let ran = build(add);
        ran.assert_ok();
        Told::of(&ran.stderr).made().len()
    };
    assert_eq!(told(&format!("{url} /")), 2);
    let found = tree(&store, "app");
    let node = &found["tool.sh"];
    assert_eq!((node.mode & 0o777, node.mtime), (0o600, 1_600_000_000));
    assert_eq!(told(&format!("{url} /")), 0, "the same content is a hit");
    put(b"two\n", "\"2\"");
    assert_eq!(told(&format!("{url} /")), 2);
    assert_eq!(store.ok(&["image", "cat", "app", "/got"]), "two\n");
    put(b"one\n", "\"3\"");
    assert_eq!(
        told(&format!("{url} /")),
        0,
        "what was there before is there still"
    );
    let checksum = digest(b"one\n");
    assert_eq!(
        told(&format!("--checksum={checksum} {url} /")),
        0,
        "a checksum that fits is nothing new"
    );
    assert_eq!(told(&format!("--chmod=755 {url} /tool")), 2);
    assert_eq!(tree(&store, "app")["tool"].mode & 0o777, 0o755);

    let refuse = |add: &str, words: &[&str]| {
        let ran = build(add);
        ran.assert_refused();
        ran.assert_says(words);
        ran.assert_says(&["Dockerfile:2", ">>>"]);
    };
    let wrong = digest(b"other\n");
    refuse(
        &format!("--checksum={wrong} {url} /"),
        &["digest mismatch", &checksum, &wrong],
    );
    // What did not change comes again only if its bytes are needed.
    let is_conditional = |request: &&Message| request.header("if-none-match").is_some();
    let log = web.log();
    let conditional = log.iter().filter(is_conditional).count();
    let tool = log
        .iter()
        .filter(|request| request.path() == "/files/tool.sh")
        .count();
    assert_eq!((tool, conditional), (8, 5), "{log:#?}");
    refuse(&format!("--checksum=md5:00 {url} /"), &["md5"]);
    refuse(
        &format!("http://{}/nothing /", web.address()),
        &["404", "/nothing"],
    );
    refuse("http://127.0.0.1:1/nothing /", &["127.0.0.1:1"]);
    web.put("/cut", Reply::new(200, &[7; 100_000]).cut_after(50_000));
    refuse(&format!("http://{}/cut /", web.address()), &["/cut"]);
    leftovers::assert_none(&store);
    store.assert_sound();
}

#[test]
fn archives_of_the_web() {
    let Some(store) = base::store() else { return };
    let folder = store.path("packed");
    scene::files(
        &folder,
        &[
            ("Dockerfile", "FROM scratch\nCOPY . /\n"),
            ("other/Dockerfile", "FROM scratch\nCOPY app.py /other\n"),
            ("app.py", "packed\n"),
            ("ignored", "no\n"),
            (".dockerignore", "ignored\n"),
        ],
    );
    let tar = judge::ask_bytes(
        Command::new("tar")
            .args(["-cJf", "-", "-C"])
            .arg(&folder)
            .arg("."),
    );
    let web = Double::start();
    web.put("/context.tar.xz", Reply::new(200, &tar));
    let url = format!("http://{}/context.tar.xz", web.address());
    store.ok(&["build", "-t", "app", &url]);
    assert_eq!(store.ok(&["image", "cat", "app", "/app.py"]), "packed\n");
    assert!(!tree(&store, "app").contains_key("ignored"));
    store.ok(&["build", "-t", "app", "-f", "other/Dockerfile", &url]);
    assert_eq!(store.ok(&["image", "cat", "app", "/other"]), "packed\n");
    let again = store.run(&["build", "-t", "app", &url]);
    assert_eq!(Told::of(&again.stderr).made(), Vec::<&str>::new());
    // Added it stays an archive, unless one says otherwise.
    let add = |flags: &str| {
        let text = format!("FROM scratch\nADD {flags} {url} /a/\n");
        store
            .run_with(&["build", "-t", "app", "-"], text.as_bytes())
            .assert_ok();
        tree(&store, "app")
    };
    assert!(add("").contains_key("a/context.tar.xz"));
    assert!(add("--unpack=true").contains_key("a/app.py"));
    for (path, reply, words) in [
        ("/empty", Reply::new(200, b""), &["empty"][..]),
        ("/gone", Reply::new(410, b"gone"), &["410"]),
        (
            "/text",
            Reply::new(200, b"FROM scratch\nCOPPY a b\n"),
            &["COPPY"],
        ),
        (
            "/cut.tar",
            Reply::new(200, &tar[..tar.len() / 2]),
            &["unpack context"],
        ),
    ] {
        web.put(path, reply);
        let ran = store.run(&["build", &format!("http://{}{path}", web.address())]);
        ran.assert_refused();
        ran.assert_says(words);
    }
    leftovers::assert_none(&store);
}
