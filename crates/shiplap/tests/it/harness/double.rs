//! A registry of our own that misbehaves on demand: it serves what it is given, keeps a log of
//! every request, and lets a test answer any request its own way.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use serde_json::json;

use super::http::{self, Message};
use super::image::{Image, digest};

/// What goes back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Arc<Vec<u8>>,
    /// The connection breaks after so many bytes of the body.
    cut: Option<usize>,
    /// The length that is announced, where a lie is wanted.
    claimed: Option<u64>,
    /// A wait before each 16 KiB.
    pace: Option<Duration>,
}

type Answer = Box<dyn Fn(&Message) -> Option<Reply> + Send + Sync>;

#[derive(Default)]
struct Shared {
    documents: RwLock<BTreeMap<String, Reply>>,
    answers: RwLock<Vec<Answer>>,
    log: Mutex<Vec<Message>>,
}

/// A running double. Its threads end with the test process.
pub(crate) struct Double {
    address: String,
    shared: Arc<Shared>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Arc::new(body.to_vec()),
            cut: None,
            claimed: None,
            pace: None,
        }
    }

    /// What the distribution specification says an error looks like.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = json!({ "errors": [{ "code": code, "message": code.to_lowercase() }] });
        Self::new(status, body.to_string().as_bytes()).header("content-type", "application/json")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cut_after(self, bytes: usize) -> Self {
        Self {
            cut: Some(bytes),
            ..self
        }
    }

    pub(crate) fn claims_length(self, bytes: u64) -> Self {
        Self {
            claimed: Some(bytes),
            ..self
        }
    }

    pub(crate) fn slowly(self, pace: Duration) -> Self {
        Self {
            pace: Some(pace),
            ..self
        }
    }

    /// The part of the body that a `Range` header asks for.
    pub(crate) fn ranged(self, request: &Message) -> Self {
        let Some(range) = request.header("range") else {
            return self;
        };
        let from: usize = range
            .trim_start_matches("bytes=")
            .split('-')
            .next()
            .and_then(|from| from.parse().ok())
            .unwrap_or(0);
        let all = self.body.len();
        let rest = self.body.get(from..).unwrap_or_default().to_vec();
        let content_range = format!("bytes {from}-{}/{all}", all.saturating_sub(1));
        Self {
            status: 206,
            body: Arc::new(rest),
            ..self
        }
        .header("content-range", &content_range)
    }
}

impl Double {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        let double = Self { address, shared };
        double.put(
            "/v2/",
            Reply::new(200, b"{}").header("content-type", "application/json"),
        );
        double
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `127.0.0.1:PORT/NAME`.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Answers GET and HEAD of this path.
    pub(crate) fn put(&self, path: &str, reply: Reply) {
        self.shared
            .documents
            .write()
            .unwrap()
            .insert(path.to_owned(), reply);
    }

    /// Serves an image under `repository:tag` and by digest.
    pub(crate) fn fill(&self, name: &str, image: &Image) {
        let (repository, tag) = name.split_once(':').unwrap();
        for (name, blob) in image.all_blobs() {
            self.put_blob(repository, &name, &blob);
        }
        self.put_manifest(repository, tag, &image.media_type, &image.manifest);
    }

    /// Serves these bytes as that blob, whether they are or not.
    pub(crate) fn put_blob(&self, repository: &str, digest: &str, bytes: &[u8]) {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let reply = Reply::new(200, bytes).header("content-type", "application/octet-stream");
        self.put(&path, reply);
    }

    pub(crate) fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        let digest = digest(bytes);
        let reply = Reply::new(200, bytes)
            .header("content-type", media_type)
            .header("docker-content-digest", &digest);
        self.put(&format!("/v2/{repository}/manifests/{tag}"), reply.clone());
        self.put(&format!("/v2/{repository}/manifests/{digest}"), reply);
    }

    /// Asked before what is served, newest first; `None` leaves the request to the others.
    pub(crate) fn answer(
        &self,
        answer: impl Fn(&Message) -> Option<Reply> + Send + Sync + 'static,
    ) {
        self.shared.answers.write().unwrap().push(Box::new(answer));
    }

    /// What it serves for this path, to be sent spoiled.
    pub(crate) fn document(&self, path: &str) -> Reply {
        self.shared.documents.read().unwrap()[path].clone()
    }

    pub(crate) fn log(&self) -> Vec<Message> {
        self.shared.log.lock().unwrap().clone()
    }

    /// How many requests had this method and a path with this part.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.log()
            .iter()
            .filter(|request| request.method() == method && request.path().contains(part))
            .count()
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    let mut output = stream;
    while let Some(request) = http::read(&mut input, false) {
        shared.log.lock().unwrap().push(request.clone());
        let reply = reply(&request, shared);
        let head = request.method() == "HEAD";
        if send(&mut output, &reply, head).is_none() {
            break;
        }
    }
    output.shutdown(Shutdown::Both).ok();
}

fn reply(request: &Message, shared: &Shared) -> Reply {
    let answers = shared.answers.read().unwrap();
    if let Some(reply) = answers.iter().rev().find_map(|answer| answer(request)) {
        return reply;
    }
    drop(answers);
    let found = shared
        .documents
        .read()
        .unwrap()
        .get(request.path())
        .cloned();
    match (request.method(), found) {
        ("GET" | "HEAD", Some(reply)) => reply.ranged(request),
        ("GET" | "HEAD", None) => Reply::error(404, "NAME_UNKNOWN"),
        _ => Reply::error(405, "UNSUPPORTED"),
    }
}

/// `None` when the connection must not go on.
fn send(output: &mut TcpStream, reply: &Reply, head: bool) -> Option<()> {
    let length = reply.claimed.unwrap_or(reply.body.len() as u64);
    let mut text = format!(
        "HTTP/1.1 {} Said\r\ncontent-length: {length}\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    output.write_all(text.as_bytes()).ok()?;
    if head {
        return Some(());
    }
    let sent = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
    for chunk in reply.body[..sent].chunks(16 << 10) {
        if let Some(pace) = reply.pace {
            std::thread::sleep(pace);
        }
        output.write_all(chunk).ok()?;
    }
    (reply.cut.is_none() && reply.claimed.is_none()).then_some(())
}
