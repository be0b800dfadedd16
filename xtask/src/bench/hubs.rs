//! Registries measured as servers: ours beside Debian's docker-registry, each with its data on the
//! same disk and every write synced. The clients are threads of this process with a connection
//! each; what they send is made before the clock runs.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Bench;
use super::http::Client;
use super::measure::Line;
use super::peers::{Registry, Tool, wait_for};
use crate::image::hex;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MEGABYTE: usize = 1_000_000;
const USER: &str = "bench";
const PASSWORD: &str = "a password for the bench";

/// A registry that is measured.
struct Server {
    name: &'static str,
    address: String,
    authorization: String,
    _process: Process,
}

enum Process {
    Hub(Child),
    /// Ends when dropped.
    Registry {
        _registry: Registry,
    },
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Hub(child) = self {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Server {
    /// Ours first.
    fn all(bench: &Bench) -> anyhow::Result<Vec<Self>> {
        let mut servers = Vec::new();
        for tool in &bench.tools {
            if let Tool::Shiplap(binary) = tool {
                servers.push(Self::hub(binary, &bench.fresh(tool)?)?);
            }
        }
        let folder = tempfile::tempdir_in(bench.scratch())?.keep();
        let registry = Registry::start(&folder)?;
        servers.push(Self {
            name: "registry",
            address: registry.address().to_owned(),
            authorization: String::new(),
            _process: Process::Registry {
                _registry: registry,
            },
        });
        Ok(servers)
    }

    fn hub(binary: &Path, data: &Path) -> anyhow::Result<Self> {
        let mut add = Command::new(binary)
            .args(["hub", "user", "add", "--password-stdin", "--data"])
            .arg(data)
            .arg(USER)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut stdin = add.stdin.take().context("talk to hub user add")?;
        std::io::Write::write_all(&mut stdin, PASSWORD.as_bytes())?;
        drop(stdin);
        if !add.wait()?.success() {
            bail!("hub user add failed");
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let process = Command::new(binary)
            .args([
                "hub",
                "serve",
                "--access-log",
                "none",
                "--address",
                &address,
            ])
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .stderr(fs::File::create(data.join("log"))?)
            .spawn()?;
        let mut server = Self {
            name: "shiplap",
            address,
            authorization: String::new(),
            _process: Process::Hub(process),
        };
        wait_for(|| Ok(TcpStream::connect(&server.address).is_ok()))?;
        server.authorization = server.token()?;
        Ok(server)
    }

    /// A token for the repository that everything is measured in.
    fn token(&self) -> anyhow::Result<String> {
        let basic = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let mut client = Client::connect(&self.address, &format!("Basic {basic}"))?;
        let path = format!("/token?scope=repository:{REPOSITORY}:pull,push");
        let answer = client.ask("GET", &path, "", b"")?;
        let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let token = body["token"].as_str().context("take a token")?;
        Ok(format!("Bearer {token}"))
    }

    fn client(&self) -> anyhow::Result<Client> {
        Client::connect(&self.address, &self.authorization)
    }
}

const REPOSITORY: &str = "bench/app";

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// A blob that no other number gives.
fn blob(number: u64, bytes: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(bytes);
    content
}

/// An image of one layer, ready to be sent.
struct Image {
    blobs: [(String, Vec<u8>); 2],
    tag: String,
    manifest: Vec<u8>,
}

impl Image {
    fn new(number: u64, layer_bytes: usize) -> Self {
        let layer = blob(number, layer_bytes);
        let config = json!({"architecture": "amd64", "os": "linux", "created": null,
            "config": {"Labels": {"number": number.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}});
        let config = config.to_string().into_bytes();
        let described = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": described(CONFIG, &config), "layers": [described(LAYER, &layer)]});
        Self {
            blobs: [(digest(&layer), layer), (digest(&config), config)],
            tag: format!("t{number}"),
            manifest: manifest.to_string().into_bytes(),
        }
    }

    fn push(&self, client: &mut Client) -> anyhow::Result<()> {
        for (digest, bytes) in &self.blobs {
            let begun = client.ask("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), "", b"")?;
            expect(begun.status, 202)?;
            let joint = if begun.location.contains('?') {
                '&'
            } else {
                '?'
            };
            let path = format!("{}{joint}digest={digest}", begun.location);
            let done = client.ask("PUT", &path, "application/octet-stream", bytes)?;
            expect(done.status, 201)?;
        }
        let path = format!("/v2/{REPOSITORY}/manifests/{}", self.tag);
        expect(
            client.ask("PUT", &path, MANIFEST, &self.manifest)?.status,
            201,
        )
    }
}

fn expect(status: u16, wanted: u16) -> anyhow::Result<()> {
    if status == wanted {
        return Ok(());
    }
    bail!("a registry answered {status} in place of {wanted}")
}

/// How many requests (or pushes) a second, of the best of `rounds` and of the median.
struct Rates(Vec<f64>);

impl Rates {
    fn line(mut self, server: &Server, unit: &str, ours: &mut f64) -> Line {
        self.0.sort_by(f64::total_cmp);
        let median = self.0[self.0.len() / 2];
        let best = self.0.last().copied().unwrap_or(median);
        if *ours == 0.0 {
            *ours = median;
        }
        let ratio = *ours / median;
        let fact = format!("{median:>9.1} {unit}  (best {best:.1}; ours is {ratio:.2} times that)");
        Line::fact(server.name, fact)
    }
}

/// Lets `clients` each do their part at once; servers take turns. `unit` is how much one call of
/// `act` counts for.
fn rates<W: Sync>(
    bench: &Bench,
    servers: &[Server],
    clients: usize,
    unit: (&str, f64),
    mut prepare: impl FnMut(usize) -> Vec<Vec<W>>,
    act: impl Fn(&mut Client, &W) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<Vec<Line>> {
    let mut all: Vec<Rates> = servers.iter().map(|_| Rates(Vec::new())).collect();
    for round in 0..=bench.runs {
        let work = prepare(round);
        let count: usize = work.iter().map(Vec::len).sum();
        for (rates, server) in all.iter_mut().zip(servers) {
            let barrier = Barrier::new(clients + 1);
            let took = thread::scope(|scope| {
                let threads: Vec<_> = work
                    .iter()
                    .map(|part| {
                        let (barrier, act) = (&barrier, &act);
                        scope.spawn(move || {
                            let client = server.client();
                            barrier.wait();
                            let mut client = client?;
                            part.iter().try_for_each(|item| act(&mut client, item))
                        })
                    })
                    .collect();
                barrier.wait();
                let start = Instant::now();
                for thread in threads {
                    thread
                        .join()
                        .map_err(|_| anyhow::anyhow!("a client died"))??;
                }
                anyhow::Ok(start.elapsed())
            })?;
            if round > 0 {
                rates.0.push(count as f64 * unit.1 / took.as_secs_f64());
            }
        }
    }
    let mut ours = 0.0;
    let lines = all.into_iter().zip(servers);
    Ok(lines
        .map(|(rates, server)| rates.line(server, unit.0, &mut ours))
        .collect())
}

/// The same work for each of the clients.
fn same<W: Clone>(clients: usize, each: usize, item: &W) -> Vec<Vec<W>> {
    vec![vec![item.clone(); each]; clients]
}

fn get(client: &mut Client, path: &str) -> anyhow::Result<()> {
    expect(client.ask("GET", path, "", b"")?.status, 200)
}

/// Manifests by tag, and the list of tags.
pub(super) fn manifests(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    reads(bench, 16, 300, 100, &["manifests/t1", "tags/list?n=100"])
}

/// Blobs of 1 MB.
pub(super) fn pull_small(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let path = format!("blobs/{}", digest(&blob(1, MEGABYTE)));
    reads(bench, 10, 60, 2, &[&path])
}

/// Blobs of 100 MB.
pub(super) fn pull_large(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let servers = Server::all(bench)?;
    let image = Image::new(7, 100 * MEGABYTE);
    for server in &servers {
        image.push(&mut server.client()?)?;
    }
    let path = format!("/v2/{REPOSITORY}/blobs/{}", image.blobs[0].0);
    rates(
        bench,
        &servers,
        4,
        ("MB/s", 100.0),
        |_| same(4, 3, &path),
        |client, path| get(client, path),
    )
}

fn reads(
    bench: &Bench,
    clients: usize,
    each: usize,
    images: u64,
    paths: &[&str],
) -> anyhow::Result<Vec<Line>> {
    let servers = Server::all(bench)?;
    for server in &servers {
        let mut client = server.client()?;
        for number in 1..=images {
            Image::new(number, MEGABYTE).push(&mut client)?;
        }
    }
    let mut lines = Vec::new();
    for path in paths {
        let path = format!("/v2/{REPOSITORY}/{path}");
        lines.extend(rates(
            bench,
            &servers,
            clients,
            ("/s", 1.0),
            |_| same(clients, each, &path),
            |client, path| get(client, path),
        )?);
    }
    Ok(lines)
}

/// Images of one layer of 1 MB, by that many clients at once.
pub(super) fn push(bench: &Bench, clients: usize) -> anyhow::Result<Vec<Line>> {
    let servers = Server::all(bench)?;
    let each = (60 / clients).max(2);
    let images = |round: usize| -> Vec<Vec<Image>> {
        let number =
            |client: usize, nth: usize| ((round * clients + client) * each + nth + 1) as u64;
        (0..clients)
            .map(|client| {
                (0..each)
                    .map(|nth| Image::new(number(client, nth), MEGABYTE))
                    .collect()
            })
            .collect()
    };
    rates(
        bench,
        &servers,
        clients,
        ("pushes/s", 1.0),
        images,
        |client, image| image.push(client),
    )
}
