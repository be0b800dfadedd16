//! A hub of ours on a free loopback port, with some users; gone when dropped.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::Store;
use super::http::{self, Message};
use super::image::{Image, digest};

/// Password of every user.
pub(crate) const PASSWORD: &str = "lap-secret";

/// How a hub is started.
#[derive(Default)]
pub(crate) struct Start<'s> {
    /// More arguments of `hub serve`.
    pub(crate) arguments: &'s [&'s str],
    /// A program with arguments that runs it.
    pub(crate) within: &'s [&'s str],
    /// Its folder, if not one of its own.
    pub(crate) data: Option<&'s Path>,
    /// Where its database and bucket are.
    pub(crate) world: World,
    /// Whether the database is another hub's, too, which has made the users.
    pub(crate) is_second: bool,
}

/// Where a hub's things lie, as it is told by its environment; nothing said is its folder.
#[derive(Clone, Default)]
pub(crate) struct World(Vec<(String, String)>);

/// What all hubs of this process have in their environment, as `NAME=value` lines; `{}` in a value
/// stands for a name that nothing else has.
pub(crate) const WORLD: &str = "SHIPLAP_TEST_HUB_WORLD";

impl World {
    /// A database and a bucket, each if there is one.
    pub(crate) fn of(database: Option<&str>, place: Option<&str>) -> Self {
        let mut variables = Vec::new();
        let mut set = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
        if let Some(database) = database {
            set("SHIPLAP_HUB_DATABASE", database);
            set("PGPASSWORD", super::postgres::PASSWORD);
        }
        if let Some(place) = place {
            set("SHIPLAP_HUB_STORAGE", place);
            for (name, value) in super::bucket::CREDENTIALS {
                set(name, value);
            }
        }
        Self(variables)
    }

    /// The one that this process's hubs have, if they were told of one: a place of its own in it.
    fn of_process() -> Self {
        let Ok(text) = std::env::var(WORLD) else {
            return Self::default();
        };
        let own = TempDir::new().unwrap();
        let own = own.path().file_name().unwrap().to_str().unwrap();
        let own: String = own.chars().filter(char::is_ascii_alphanumeric).collect();
        let own = own.to_lowercase();
        let variables = text.lines().filter_map(|line| line.split_once('='));
        let variables: Vec<(String, String)> = variables
            .map(|(name, value)| (name.to_owned(), value.replace("{}", &own)))
            .collect();
        // Whoever told of it knows how a database is made there.
        if let Some((_, make)) = variables.iter().find(|(name, _)| name == "MAKE") {
            let mut words = make.split(' ');
            let mut command = std::process::Command::new(words.next().unwrap());
            let password = super::postgres::PASSWORD;
            super::judge::ask(command.args(words).env("PGPASSWORD", password));
        }
        Self(
            variables
                .into_iter()
                .filter(|(name, _)| name != "MAKE")
                .collect(),
        )
    }

    /// As lines of [`WORLD`].
    pub(crate) fn lines(&self) -> String {
        let lines = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"));
        lines.collect()
    }
}

/// A running hub.
pub(crate) struct Hub {
    /// Its own store's environment, for the verbs.
    store: Store,
    data: PathBuf,
    _folder: TempDir,
    process: Child,
    address: String,
    lines: Arc<Mutex<Vec<String>>>,
    arguments: Vec<String>,
}

impl Hub {
    /// With the users `ship` and `other`, and `admin`, who runs it.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments of `hub serve`.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::begin(&Start {
            arguments,
            ..Start::default()
        })
    }

    /// The same in any way.
    pub(crate) fn begin(start: &Start<'_>) -> Self {
        let (mut store, folder) = (Store::new(), TempDir::new().unwrap());
        let world = match &start.world {
            World(variables) if variables.is_empty() => World::of_process(),
            world => world.clone(),
        };
        for (name, value) in &world.0 {
            store = store.with(name, value);
        }
        let data = start.data.unwrap_or(folder.path()).to_path_buf();
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (arguments, within): (Vec<String>, Vec<String>) =
            (owned(start.arguments), owned(start.within));
        let (process, address, lines) = launch(&store, &data, &arguments, &within);
        let hub = Self {
            store,
            data,
            _folder: folder,
            process,
            address,
            lines,
            arguments,
        };
        if start.is_second {
            return hub;
        }
        for (name, more) in [("ship", None), ("other", None), ("admin", Some("--admin"))] {
            let verb = ["user", "add", "--password-stdin", name];
            let verb: Vec<&str> = verb.into_iter().chain(more).collect();
            hub.verb_with(&verb, PASSWORD.as_bytes()).assert_ok();
        }
        hub
    }

    /// Ends it as a power cut would, without a word.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same data, mostly with another port.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let started = launch(&self.store, &self.data, &self.arguments, &[]);
        (self.process, self.address, self.lines) = started;
    }

    /// Ends it by a signal, and waits; its exit status.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap().code()
    }

    /// A verb of `hub` on its data.
    #[track_caller]
    pub(crate) fn verb(&self, words: &[&str]) -> super::Ran {
        self.verb_with(words, b"")
    }

    pub(crate) fn verb_with(&self, words: &[&str], input: &[u8]) -> super::Ran {
        let data = self.data.to_str().unwrap();
        // `check` has no verb below it.
        let group = if words[0] == "check" { 1 } else { 2 };
        let (group, rest) = words.split_at(group);
        let arguments: Vec<&str> = ["hub"]
            .into_iter()
            .chain(group.iter().copied())
            .chain(["--data", data])
            .chain(rest.iter().copied())
            .collect();
        self.store.run_with(&arguments, input)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `127.0.0.1:PORT/NAME`.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// What it said on stderr so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// All files of blobs and uploads.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for name in ["blobs", "uploads"] {
            super::files_below(&self.data.join(name), &mut found);
        }
        found
    }

    /// What a user's requests say in `Authorization`.
    pub(crate) fn basic(&self, user: &str) -> String {
        format!("Basic {}", base64(&format!("{user}:{PASSWORD}")))
    }

    /// Asks as a user, or as nobody if the name is empty.
    pub(crate) fn ask(
        &self,
        user: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Message {
        let mut headers = headers.to_vec();
        let basic = self.basic(user);
        if !user.is_empty() {
            headers.push(("authorization", &basic));
        }
        http::request(&self.address, method, target, &headers, body)
            .unwrap_or_else(|| panic!("{method} {target}: no answer"))
    }

    /// Asks as `ship`; must be answered with this status.
    #[track_caller]
    pub(crate) fn expect(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        status: u16,
    ) -> Message {
        let reply = self.ask("ship", method, target, headers, body);
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status(), status, "{method} {target}: {text}");
        reply
    }

    /// Uploads a blob in one request.
    #[track_caller]
    pub(crate) fn upload(&self, repository: &str, blob: &[u8]) -> String {
        self.upload_as("ship", repository, blob)
    }

    #[track_caller]
    fn upload_as(&self, user: &str, repository: &str, blob: &[u8]) -> String {
        let digest = digest(blob);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let reply = self.ask(user, "POST", &target, &[], blob);
        assert_eq!(reply.status(), 201, "POST {target}");
        digest
    }

    /// Uploads blobs and manifest, `name` being `repository:tag`.
    #[track_caller]
    pub(crate) fn fill(&self, name: &str, image: &Image) {
        self.fill_as("ship", name, image);
    }

    /// The same as a user.
    #[track_caller]
    pub(crate) fn fill_as(&self, user: &str, name: &str, image: &Image) {
        let (repository, tag) = name.split_once(':').unwrap();
        for blob in image.all_blobs().values() {
            self.upload_as(user, repository, blob);
        }
        let target = format!("/v2/{repository}/manifests/{tag}");
        let headers = [("content-type", image.media_type.as_str())];
        let reply = self.ask(user, "PUT", &target, &headers, &image.manifest);
        assert_eq!(reply.status(), 201, "PUT {target}");
    }
}

/// Starts a hub and waits for the line that names its address.
fn launch(
    store: &Store,
    data: &Path,
    arguments: &[String],
    within: &[String],
) -> (Child, String, Arc<Mutex<Vec<String>>>) {
    let data = data.to_str().unwrap();
    let fixed = ["hub", "serve", "--data", data, "--address", "127.0.0.1:0"];
    let words = fixed
        .into_iter()
        .chain(arguments.iter().map(String::as_str));
    let words: Vec<&str> = words.collect();
    let mut command = match within.split_first() {
        None => store.command(&words),
        Some((program, before)) => {
            let shiplap = env!("CARGO_BIN_EXE_shiplap");
            let before = before.iter().map(String::as_str).chain([shiplap]);
            let words: Vec<&str> = before.chain(words).collect();
            store.command_as(Path::new(program), &words)
        }
    };
    let mut process = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(process.stderr.take().unwrap()).lines();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let address = loop {
        let line = stderr.next().expect("the hub does not start").unwrap();
        lines.lock().unwrap().push(line.clone());
        if let Some(address) = line.strip_prefix("listening on ") {
            break address.to_owned();
        }
    };
    let kept = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in stderr.map_while(Result::ok) {
            kept.lock().unwrap().push(line);
        }
    });
    (process, address, lines)
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= three.len() {
                let digit = bits >> (18 - 6 * place) & 63;
                encoded.push(char::from(DIGITS[digit as usize]));
            } else {
                encoded.push('=');
            }
        }
    }
    encoded
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
