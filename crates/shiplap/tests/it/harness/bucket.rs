//! A store of objects that speaks S3's protocol, on loopback: s3s-fs within this process, or moto, which
//! is Python's. Both want signed requests.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{http, judge, postgres};

const KEY: &str = "lapkey";
const SECRET: &str = "lap-bucket-secret";

/// The only bucket.
const BUCKET: &str = "ships";

/// What hubs have in their environment to ask it.
pub(crate) const CREDENTIALS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", KEY),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
];

/// A running store with one bucket, that can be ended and started again.
pub(crate) struct Bucket {
    folder: TempDir,
    port: u16,
    runtime: Option<Runtime>,
}

impl Bucket {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let port = postgres::free_port();
        let mut bucket = Self {
            folder,
            port,
            runtime: None,
        };
        bucket.go();
        bucket
    }

    /// Starts it, after it was ended, where it was.
    pub(crate) fn go(&mut self) {
        let files = s3s_fs::FileSystem::new(self.folder.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let runtime = Runtime::new().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    connection.await.ok();
                });
            }
        });
        self.runtime = Some(runtime);
    }

    /// Ends it; connections break.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// The URL of a place in the bucket, as hubs take it.
    pub(crate) fn place(&self, prefix: &str) -> String {
        place(self.port, prefix)
    }

    /// Files of all that is below a place; some are the store's own.
    pub(crate) fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        super::files_below(&self.folder.path().join(BUCKET).join(prefix), &mut found);
        found
    }
}

fn place(port: u16, prefix: &str) -> String {
    format!("s3://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{port}")
}

/// moto's server, as the second opinion.
pub(crate) struct Moto {
    process: Child,
    port: u16,
}

impl Moto {
    /// None where the virtual environment with it is not known.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("SHIPLAP_PYTHON") else {
            judge::skip("SHIPLAP_PYTHON names no Python with moto");
            return None;
        };
        let port = postgres::free_port();
        let mut process = Command::new(python)
            .args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p"])
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            let is_ready = line.contains("Running on");
            said.push(line);
            if is_ready {
                break;
            }
        }
        // Nobody reads the rest, and it must not block.
        std::thread::spawn(move || lines.for_each(drop));
        let moto = Self { process, port };
        let address = format!("127.0.0.1:{port}");
        let made = http::request(&address, "PUT", &format!("/{BUCKET}"), &[], b"");
        let made = made.unwrap_or_else(|| panic!("moto does not answer: {said:?}"));
        assert_eq!(made.status(), 200);
        Some(moto)
    }

    /// The URL of a place in its bucket, as hubs take it.
    pub(crate) fn place(&self, prefix: &str) -> String {
        place(self.port, prefix)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
