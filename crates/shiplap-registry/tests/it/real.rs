//! The client against Debian's docker-registry.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use shiplap_model::digest::Digest;
use shiplap_model::media_type::OCI_MANIFEST;
use shiplap_model::reference::Repository;
use shiplap_registry::{
    Client, CredentialStore, Error, ManifestName, RegistryRule, Settings, TlsSettings, UploadMode,
};

use crate::{client, client_with, content, read, settings};

struct Registry {
    child: Child,
    host: String,
    _directory: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Registry {
    fn start() -> Option<Self> {
        Self::start_with("", tempfile::tempdir().unwrap())
    }

    /// One that speaks TLS with a certificate that nobody knows, and the certificate's file.
    fn start_tls() -> Option<(Self, PathBuf)> {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (
            directory.path().join("cert.pem"),
            directory.path().join("key.pem"),
        );
        let mut command = Command::new("openssl");
        command.args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(' '),
        );
        command
            .args("-subj /CN=registry.test -addext basicConstraints=critical,CA:FALSE".split(' '));
        command.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
        command
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) => assert!(status.success()),
            Err(error) => {
                skipped(&format!("openssl: {error}"));
                return None;
            }
        }
        let tls = format!(
            ", tls: {{certificate: {}, key: {}}}",
            certificate.display(),
            key.display()
        );
        Self::start_with(&tls, directory).map(|registry| (registry, certificate))
    }

    /// `None`, with the reason printed, where there is none on this machine.
    fn start_with(http: &str, directory: tempfile::TempDir) -> Option<Self> {
        let host = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let config = directory.path().join("config.yml");
        let root = directory.path().join("root");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n  \
             filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"{host}\"{http}}}\n",
            root.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                skipped(&format!("docker-registry: {error}"));
                return None;
            }
        };
        while TcpStream::connect(&host).is_err() {
            assert!(
                child.try_wait().unwrap().is_none(),
                "docker-registry ended at once"
            );
            thread::yield_now();
        }
        Some(Self {
            child,
            host,
            _directory: directory,
        })
    }

    fn repository(&self, path: &str) -> Repository {
        Repository::parse(&format!("{}/{path}", self.host)).unwrap()
    }
}

#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[test]
fn certificates_are_verified() {
    let Some((registry, certificate)) = Registry::start_tls() else {
        return;
    };
    let trusting = TlsSettings {
        extra_roots: vec![certificate.clone()],
        ..TlsSettings::default()
    };
    let only = TlsSettings {
        only_roots: vec![certificate],
        ..TlsSettings::default()
    };
    let strict = format!("https://{}", registry.host);
    for (name, location, insecure, tls, trusted) in [
        (
            "https asked for",
            Some(&strict),
            false,
            TlsSettings::default(),
            false,
        ),
        ("certificate given", Some(&strict), false, trusting, true),
        ("no other roots", Some(&strict), false, only, true),
        (
            "insecure",
            Some(&strict),
            true,
            TlsSettings::default(),
            true,
        ),
        ("loopback", None, false, TlsSettings::default(), true),
    ] {
        let location = location.map_or_else(|| registry.host.clone(), Clone::clone);
        let prefix = "reg.test".to_owned();
        let rule = RegistryRule {
            prefix,
            location: Some(location),
            insecure,
            ..RegistryRule::default()
        };
        let settings = Settings {
            tls,
            ..settings(vec![rule])
        };
        let pinged = Client::new(settings, CredentialStore::default()).ping("reg.test");
        match trusted {
            true => assert!(pinged.is_ok(), "{name}: {pinged:?}"),
            false => assert!(
                matches!(pinged, Err(Error::Tls { .. })),
                "{name}: {pinged:?}"
            ),
        }
    }
    // TLS spoken to plain http.
    let Some(plain) = Registry::start() else {
        return;
    };
    let location = Some(format!("https://{}", plain.host));
    let rule = RegistryRule {
        prefix: "reg.test".to_owned(),
        location,
        ..RegistryRule::default()
    };
    let pinged = client_with(vec![rule]).0.ping("reg.test");
    assert!(matches!(pinged, Err(Error::Tls { .. })), "{pinged:?}");
}

#[test]
fn takes_and_gives() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let client = client();
    client.ping(&registry.host).unwrap();
    let repository = registry.repository("team/app");
    let missing = client.manifest(&repository, ManifestName::Tag("1"));
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );

    for (size, mode) in [
        (0, UploadMode::Auto),
        (1, UploadMode::Auto),
        (100_000, UploadMode::Monolithic),
        (100_001, UploadMode::SinglePost),
        (300_000, UploadMode::Chunked { bytes: 70_000 }),
        (300_001, UploadMode::Chunked { bytes: 300_000 }),
        (9_000_001, UploadMode::Auto),
    ] {
        let blob = content(size);
        let digest = Digest::of(&blob);
        assert_eq!(client.blob_exists(&repository, &digest).unwrap(), None);
        client
            .upload(&repository, &digest, size as u64, &blob, mode)
            .unwrap();
        assert_eq!(
            client.blob_exists(&repository, &digest).unwrap(),
            Some(size as u64),
            "{mode:?}"
        );
        assert!(
            read(&client, &repository, &digest, size).unwrap() == blob,
            "{mode:?}"
        );
    }
    let streamed = content(2_000_003);
    let layer = client
        .upload_stream(&repository, &mut streamed.as_slice())
        .unwrap();
    assert!(read(&client, &repository, &layer.digest, streamed.len()).unwrap() == streamed);
    let wrong = client.upload(
        &repository,
        &Digest::of(b"other"),
        3,
        &b"abc".to_vec(),
        UploadMode::Auto,
    );
    assert!(matches!(wrong, Err(Error::Refused { .. })), "{wrong:?}");

    let other = registry.repository("team/other");
    assert!(client.mount(&other, &repository, &layer.digest).unwrap());
    assert!(
        !client
            .mount(&other, &repository, &Digest::of(b"nowhere"))
            .unwrap()
    );
    assert_eq!(
        client.blob_exists(&other, &layer.digest).unwrap(),
        Some(layer.size_bytes)
    );
    client.delete_blob(&other, &layer.digest).unwrap();
    assert_eq!(client.blob_exists(&other, &layer.digest).unwrap(), None);
}

#[test]
fn keeps_manifests() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let client = client();
    let repository = registry.repository("team/app");
    let config = Digest::of(b"{}");
    client
        .upload(&repository, &config, 2, &b"{}".to_vec(), UploadMode::Auto)
        .unwrap();
    assert_eq!(
        client.blob_bytes(&repository, &config, 2, 100).unwrap(),
        b"{}"
    );
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#
    );
    let digest = Digest::of(manifest.as_bytes());
    for name in [
        ManifestName::Digest(&digest),
        ManifestName::Tag("1"),
        ManifestName::Tag("latest"),
    ] {
        assert_eq!(
            client
                .put_manifest(&repository, name, OCI_MANIFEST, manifest.as_bytes())
                .unwrap(),
            digest
        );
        let head = client.head_manifest(&repository, name).unwrap();
        assert_eq!(
            (head.digest, head.size_bytes),
            (digest.clone(), Some(manifest.len() as u64))
        );
        let fetched = client.manifest(&repository, name).unwrap();
        assert_eq!(fetched.bytes, manifest.as_bytes());
        assert_eq!(
            (fetched.digest, fetched.media_type.as_deref()),
            (digest.clone(), Some(OCI_MANIFEST))
        );
    }
    let mut tags = client.list_tags(&repository).unwrap();
    tags.sort();
    assert_eq!(tags, ["1", "latest"]);
    assert_eq!(client.catalog(&registry.host).unwrap(), ["team/app"]);
    assert_eq!(
        client.search(&registry.host, "app", 10).unwrap()[0].name,
        "team/app"
    );
    let lacking = manifest.replace(config.encoded(), digest.encoded());
    let lacking = client.put_manifest(
        &repository,
        ManifestName::Tag("bad"),
        OCI_MANIFEST,
        lacking.as_bytes(),
    );
    let refused = lacking.unwrap_err();
    let refusal = refused.refusal().unwrap();
    assert!(refusal.has_code("MANIFEST_BLOB_UNKNOWN"), "{refused:?}");
    client
        .delete_manifest(&repository, ManifestName::Digest(&digest))
        .unwrap();
    let gone = client.manifest(&repository, ManifestName::Tag("1"));
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}
