//! A real registry: Debian's `docker-registry` on a free loopback port, gone when dropped.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::http;
use super::image::{Image, digest};
use super::judge;

/// User and password that a registry with accounts knows.
pub(crate) const USER: &str = "ship";
pub(crate) const PASSWORD: &str = "lap-secret";
/// bcrypt of [`PASSWORD`].
const PASSWORD_HASH: &str = "$2b$04$Uo21IxhafXUeKE2ql0jkfum52xlfVK.A1rwXK3NZrNJlEbCNuwiu2";

/// A running registry.
#[derive(Debug)]
pub(crate) struct Registry {
    process: Child,
    _folder: TempDir,
    address: String,
}

impl Registry {
    /// `None` where the package is missing; the reason is printed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// One that lets in nobody but [`USER`].
    pub(crate) fn start_with_accounts() -> Option<Self> {
        Self::start_with("auth: {htpasswd: {realm: tests, path: PASSWORDS}}\n")
    }

    fn start_with(more: &str) -> Option<Self> {
        let program = judge::program("docker-registry")?;
        let folder = TempDir::new().unwrap();
        let passwords = folder.path().join("passwords");
        fs::write(&passwords, format!("{USER}:{PASSWORD_HASH}\n")).unwrap();
        // Another process may take the free port first: then the next one.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let address = format!("127.0.0.1:{port}");
            let config = folder.path().join("config.yml");
            let data = folder.path().join("data");
            let text = format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
                 http: {{addr: '{address}'}}\n{}",
                data.display(),
                more.replace("PASSWORDS", passwords.to_str().unwrap()),
            );
            fs::write(&config, text).unwrap();
            let process = Command::new(&program)
                .arg("serve")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut registry = Self {
                process,
                _folder: TempDir::new().unwrap(),
                address,
            };
            if registry.is_ready() {
                registry._folder = folder;
                return Some(registry);
            }
        }
        panic!("docker-registry does not answer");
    }

    /// Waits until it answers, at most ten seconds.
    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if http::request(&self.address, "GET", "/v2/", &[], b"").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `127.0.0.1:PORT/NAME`.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Uploads blobs and manifest, `name` being `repository:tag`, without help of the product.
    pub(crate) fn fill(&self, name: &str, image: &Image) {
        let (repository, tag) = name.split_once(':').unwrap();
        for blob in image.all_blobs().values() {
            self.upload(repository, blob);
        }
        self.put_manifest(repository, tag, &image.media_type, &image.manifest);
    }

    fn upload(&self, repository: &str, blob: &[u8]) {
        let started = self.expect(
            "POST",
            &format!("/v2/{repository}/blobs/uploads/"),
            &[],
            b"",
            202,
        );
        let location = started.header("location").unwrap();
        let target = location
            .split_once(&self.address)
            .map_or(location, |(_, target)| target);
        let joint = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{joint}digest={}", digest(blob));
        let headers = [("content-type", "application/octet-stream")];
        self.expect("PUT", &target, &headers, blob, 201);
    }

    pub(crate) fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        let target = format!("/v2/{repository}/manifests/{tag}");
        self.expect("PUT", &target, &[("content-type", media_type)], bytes, 201);
    }

    /// The manifest's bytes and media type as the registry has them.
    pub(crate) fn manifest(&self, repository: &str, tag: &str) -> (Vec<u8>, String) {
        let accept = [
            super::image::OCI_MANIFEST,
            super::image::OCI_INDEX,
            super::image::DOCKER_MANIFEST,
            super::image::DOCKER_LIST,
        ]
        .join(", ");
        let target = format!("/v2/{repository}/manifests/{tag}");
        let reply = self.expect("GET", &target, &[("accept", &accept)], b"", 200);
        let media_type = reply.header("content-type").unwrap().to_owned();
        (reply.body, media_type)
    }

    pub(crate) fn has_blob(&self, repository: &str, digest: &str) -> bool {
        let target = format!("/v2/{repository}/blobs/{digest}");
        http::request(&self.address, "HEAD", &target, &[], b"")
            .unwrap()
            .status()
            == 200
    }

    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Vec<u8> {
        self.expect(
            "GET",
            &format!("/v2/{repository}/blobs/{digest}"),
            &[],
            b"",
            200,
        )
        .body
    }

    fn expect(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        status: u16,
    ) -> http::Message {
        let reply = http::request(&self.address, method, target, headers, body).unwrap();
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status(), status, "{method} {target}: {text}");
        reply
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
