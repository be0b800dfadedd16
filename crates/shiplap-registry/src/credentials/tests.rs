//! Credential files and helpers, Docker's and podman's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn store(directory: &Path, files: &[(&str, Value)]) -> CredentialStore {
    let write = |(name, content): &(&str, Value)| {
        let path = directory.join(name);
        fs::write(&path, content.to_string()).unwrap();
        path
    };
    CredentialStore::new(CredentialFiles {
        files: files.iter().map(write).collect(),
        helper_directories: vec![directory.to_owned()],
    })
}

fn shown(credential: Option<&Credential>) -> String {
    match credential {
        None => "none".to_owned(),
        Some(Credential::Password { username, password }) => {
            format!("{username}:{}", password.expose())
        }
        Some(Credential::IdentityToken { username, token }) => {
            format!("{username} token {}", token.expose())
        }
        Some(Credential::RegistryToken(token)) => format!("registry token {}", token.expose()),
    }
}

fn auth(pair: &str) -> Value {
    use base64::Engine as _;
    json!({"auth": base64::engine::general_purpose::STANDARD.encode(pair)})
}

/// A helper that keeps entries in files beside it, and writes what it was asked to a log.
fn helper(directory: &Path, name: &str) {
    let script = r#"#!/bin/sh
dir=$(dirname "$0")
input=$(cat)
echo "$1 $input" >> "$dir/log"
case "$1" in
store) printf '%s' "$input" > "$dir/kept" ;;
erase) rm -f "$dir/kept" ;;
get)
  if [ "$input" = broken.test ]; then echo "vault is locked"; exit 1; fi
  if grep -q "\"$input\"" "$dir/kept" 2>/dev/null; then cat "$dir/kept"; else
    echo "credentials not found in native keychain"; exit 1
  fi ;;
esac
"#;
    let path = directory.join(format!("docker-credential-{name}"));
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn names_and_entries() {
    let directory = tempfile::tempdir().unwrap();
    let docker = json!({
        "auths": {
            "https://index.docker.io/v1/": auth("hub:pw"),
            "https://old.test/v1/": auth("old:pw"),
            "plain.test": {"username": "u", "password": "p:q"},
            "padded.test": auth("nul:pw\0\0"),
            "unpadded.test": {"auth": "YTpi"},
            "token.test": {"auth": "dTo=", "identitytoken": "refresh"},
            "registry-token.test": {"registrytoken": "direct"},
            "empty.test": {},
            "bad.test": {"auth": "***"},
            "localhost:5000": auth("local:pw"),
        },
        "credHelpers": {"absent.test": "not-installed"},
    });
    let podman = json!({"auths": {
        "ghcr.io/org/app": auth("app:pw"),
        "ghcr.io/org": auth("org:pw"),
        "ghcr.io": auth("all:pw"),
        "plain.test": auth("never:asked"),
        "absent.test": auth("fallback:pw"),
    }});
    let store = store(
        directory.path(),
        &[("config.json", docker), ("auth.json", podman)],
    );
    for (name, want) in [
        ("docker.io", "hub:pw"),
        ("docker.io/library/python", "hub:pw"),
        ("index.docker.io", "hub:pw"),
        ("registry-1.docker.io/a", "hub:pw"),
        ("old.test/a/b", "old:pw"),
        ("plain.test", "u:p:q"),
        ("padded.test", "nul:pw"),
        ("unpadded.test", "a:b"),
        ("token.test", "u token refresh"),
        ("registry-token.test", "registry token direct"),
        ("empty.test", "none"),
        ("localhost:5000/x", "local:pw"),
        ("localhost:5001", "none"),
        ("ghcr.io/org/app", "app:pw"),
        ("ghcr.io/org/app/sub", "app:pw"),
        ("ghcr.io/org/other", "org:pw"),
        ("ghcr.io/organ/x", "all:pw"),
        ("GHCR.IO/org/other", "org:pw"),
        ("absent.test", "fallback:pw"),
        ("io", "none"),
    ] {
        assert_eq!(shown(store.lookup(name).unwrap().as_ref()), want, "{name}");
    }
    let bad = store.lookup("bad.test").unwrap_err();
    assert!(matches!(bad, CredentialError::Format { .. }), "{bad:?}");
    assert!(!bad.to_string().contains("***"));
}

#[test]
fn absent_empty_and_broken_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let files = CredentialFiles {
        files: vec![path.clone()],
        helper_directories: Vec::new(),
    };
    let store = CredentialStore::new(files);
    assert_eq!(store.lookup("a.test").unwrap(), None);
    assert!(!store.erase("a.test").unwrap());
    fs::write(&path, "\n").unwrap();
    assert_eq!(store.lookup("a.test").unwrap(), None);
    fs::write(&path, "{\"auths\": {\"secret").unwrap();
    let error = store.lookup("a.test").unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
    assert!(matches!(
        CredentialStore::default().save("a", &password()),
        Err(CredentialError::NoFile)
    ));
}

fn password() -> Credential {
    Credential::Password {
        username: "me".to_owned(),
        password: Secret::new("s:1"),
    }
}

#[test]
fn writes_for_the_user_alone_and_keeps_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("real.json");
    let before = json!({
        "HttpHeaders": {"X": "y"}, "psFormat": "table", "auths": {"index.docker.io": auth("old:pw"), "b.test": {}}
    });
    fs::write(&path, before.to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let link = directory.path().join("config.json");
    symlink("real.json", &link).unwrap();
    let files = CredentialFiles {
        files: vec![link.clone()],
        helper_directories: Vec::new(),
    };
    let store = CredentialStore::new(files);
    let read = || serde_json::from_slice::<Value>(&fs::read(&path).unwrap()).unwrap();

    assert_eq!(
        store.save("docker.io", &password()).unwrap(),
        Kept::File(link.clone())
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        2,
        "nothing staged is left"
    );
    let mut want = before.clone();
    want["auths"] = json!({"https://index.docker.io/v1/": auth("me:s:1"), "b.test": {}});
    assert_eq!(read(), want);
    assert_eq!(store.lookup("docker.io").unwrap(), Some(password()));

    let token = Credential::IdentityToken {
        username: "me".to_owned(),
        token: Secret::new("t"),
    };
    store.save("c.test:5000", &token).unwrap();
    assert_eq!(store.lookup("c.test:5000/x").unwrap(), Some(token));
    assert!(store.erase("registry-1.docker.io").unwrap());
    assert!(!store.erase("docker.io").unwrap());
    assert_eq!(store.lookup("docker.io").unwrap(), None);
    assert_eq!(read()["psFormat"], "table");

    let fresh = directory.path().join("new/dir/config.json");
    let files = CredentialFiles {
        files: vec![fresh.clone()],
        helper_directories: Vec::new(),
    };
    CredentialStore::new(files)
        .save("a.test", &password())
        .unwrap();
    assert_eq!(
        fs::metadata(&fresh).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn helpers_keep_credentials() {
    let directory = tempfile::tempdir().unwrap();
    helper(directory.path(), "vault");
    let store = store(
        directory.path(),
        &[("config.json", json!({"credsStore": "vault"}))],
    );
    assert_eq!(store.lookup("docker.io").unwrap(), None);
    assert_eq!(
        store.save("docker.io", &password()).unwrap(),
        Kept::Helper("vault".to_owned())
    );
    assert_eq!(
        store.lookup("docker.io/library/a").unwrap(),
        Some(password())
    );
    let kept: Value =
        serde_json::from_slice(&fs::read(directory.path().join("kept")).unwrap()).unwrap();
    let want =
        json!({"ServerURL": "https://index.docker.io/v1/", "Username": "me", "Secret": "s:1"});
    assert_eq!(kept, want);
    let file = fs::read_to_string(directory.path().join("config.json")).unwrap();
    assert!(
        file.contains("https://index.docker.io/v1/") && !file.contains("s:1"),
        "{file}"
    );

    let token = Credential::IdentityToken {
        username: String::new(),
        token: Secret::new("t"),
    };
    store.save("a.test", &token).unwrap();
    assert_eq!(store.lookup("a.test").unwrap(), Some(token));
    assert!(store.erase("a.test").unwrap());
    assert_eq!(store.lookup("a.test").unwrap(), None);
    let error = store.lookup("broken.test").unwrap_err().to_string();
    assert_eq!(error, "run docker-credential-vault: vault is locked");
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(
        log.contains("get https://index.docker.io/v1/\n") && log.contains("erase a.test\n"),
        "{log}"
    );
}

#[test]
fn a_helper_is_a_program_in_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    helper(directory.path(), "vault");
    fs::create_dir(directory.path().join("docker-credential-x")).unwrap();
    for name in ["../docker-credential-vault", "x/../../vault", "absent", "x"] {
        let config = json!({"credHelpers": {"a.test": name}});
        let store = store(directory.path(), &[("config.json", config)]);
        assert_eq!(store.lookup("a.test").unwrap(), None, "{name}");
        let refused = store.save("a.test", &password());
        assert!(
            matches!(refused, Err(CredentialError::HelperMissing { .. })),
            "{name}: {refused:?}"
        );
    }
    assert!(!directory.path().join("log").exists());
}
