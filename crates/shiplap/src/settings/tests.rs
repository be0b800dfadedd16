//! Who wins: flag, variable, user's file, system's file, default; and what files may say.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

/// Settings read in a directory of its own.
struct Place {
    directory: tempfile::TempDir,
    variables: BTreeMap<String, OsString>,
    flags: Flags,
    is_root: bool,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let variables = BTreeMap::from([("HOME".to_owned(), directory.path().join("home").into())]);
        Self {
            directory,
            variables,
            flags: Flags::default(),
            is_root: false,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn system(self, text: &str) -> Self {
        self.file("system.toml", text)
    }

    fn user(self, text: &str) -> Self {
        self.file("home/.config/shiplap/config.toml", text)
    }

    fn set(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    fn read(&self) -> Result<Settings, SettingsError> {
        let environment = Environment {
            variable: &|name| self.variables.get(name).cloned(),
            is_root: self.is_root,
            system_file: &self.path("system.toml"),
        };
        Settings::read(&self.flags, &environment)
    }
}

#[test]
fn the_later_wins() {
    let check = |place: &Place, want: &str| {
        assert_eq!(place.read().unwrap().root, Path::new(want));
    };
    let mut place = Place::new();
    assert_eq!(
        place.read().unwrap().root,
        place.path("home/.local/share/shiplap")
    );
    place = place.set("XDG_DATA_HOME", "/data");
    check(&place, "/data/shiplap");
    place.is_root = true;
    check(&place, "/var/lib/shiplap");
    place = place.system("root = '/system'");
    check(&place, "/system");
    place = place.user("root = '/user'");
    check(&place, "/user");
    place = place.set("SHIPLAP_ROOT", "");
    check(&place, "/user");
    place = place.set("SHIPLAP_ROOT", "/variable");
    check(&place, "/variable");
    place.flags.root = Some("/flag".into());
    check(&place, "/flag");
}

#[test]
fn a_named_file_is_the_only_one() {
    let place = Place::new()
        .system("root = '/system'\nkeep_compressed = true")
        .user("root = '/user'");
    assert!(place.read().unwrap().keep_compressed);
    let place = place.file(
        "named.toml",
        "max_concurrent_downloads = 7\nroot = '/named'",
    );
    let named = place.path("named.toml");
    let mut place = place.set("SHIPLAP_CONFIG", &named);
    let settings = place.read().unwrap();
    assert_eq!(settings.root, Path::new("/named"));
    assert_eq!(
        (settings.max_concurrent_downloads, settings.keep_compressed),
        (7, false)
    );
    place = place.file("flag.toml", "root = '/by-flag'");
    place.flags.config = Some(place.path("flag.toml"));
    assert_eq!(place.read().unwrap().root, Path::new("/by-flag"));
}

#[test]
fn a_directory_is_dockers() {
    let mut place = Place::new().user("root = '/user'");
    let file = |place: &Place| place.read().unwrap().credentials.files[0].clone();
    assert_eq!(file(&place), place.path("home/.docker/config.json"));
    place = place.set("DOCKER_CONFIG", "/docker");
    assert_eq!(file(&place), Path::new("/docker/config.json"));
    place.flags.config = Some(place.directory.path().to_owned());
    assert_eq!(file(&place), place.path("config.json"));
    assert_eq!(place.read().unwrap().root, Path::new("/user"));
}

#[test]
fn registries_merge_by_prefix() {
    let system = "[[registry]]\nprefix = 'docker.io'\nmirrors = ['http://127.0.0.1:5055']\n\
                  [[registry]]\nprefix = 'a.example'\nlocation = 'b.example/c'\ninsecure = true\n\
                  token_servers = ['http://127.0.0.1:5001']\n";
    let user =
        "[[registry]]\nprefix = 'docker.io'\nmirrors = ['mirror.example', 'second.example']\n";
    let rules = Place::new().system(system).user(user).read().unwrap().rules;
    let rule = |prefix: &str| {
        rules
            .iter()
            .find(|rule| rule.prefix == prefix)
            .unwrap()
            .clone()
    };
    assert_eq!(rules.len(), 2);
    assert_eq!(
        rule("docker.io").mirrors,
        ["mirror.example", "second.example"]
    );
    assert_eq!(rule("a.example").location.as_deref(), Some("b.example/c"));
    assert!(rule("a.example").insecure);
    assert_eq!(rule("a.example").token_servers, ["http://127.0.0.1:5001"]);
    assert!(rule("docker.io").token_servers.is_empty());
}

#[test]
fn faults_name_file_and_line() {
    let check = |text: &str, want: &str| {
        let place = Place::new().user(text);
        let path = place
            .path("home/.config/shiplap/config.toml")
            .display()
            .to_string();
        let message = place.read().unwrap_err().to_string();
        let rest = message
            .strip_prefix(&format!("read settings {path}:"))
            .unwrap();
        assert!(rest.starts_with(want), "{rest}");
    };
    check("root = '/x'\n\nrooot = 1\n", "3: unknown field `rooot`");
    check(
        "[[registry]]\nprefix = 'a'\nmirror = 'b'\n",
        "3: unknown field `mirror`",
    );
    check("[[registry]]\nmirrors = []\n", "1: missing field `prefix`");
    check(
        "[[registry]]\n\nprefix = ''\n",
        "3: the prefix of a registry is empty",
    );
    check("keep_compressed = 'yes'\n", "1: invalid type");
    check("root = \n", "1: ");
    check("a = 1\na = 2\n", "2: duplicate key");
}

#[test]
fn faults_name_the_variable() {
    let check = |name: &str, value: &str, want: &str| {
        let message = Place::new()
            .set(name, value)
            .read()
            .unwrap_err()
            .to_string();
        assert!(message.starts_with(want), "{message}");
    };
    check(
        "SHIPLAP_LAYER_BACKEND",
        "zip",
        "use SHIPLAP_LAYER_BACKEND=zip: there are auto",
    );
    check(
        "SHIPLAP_KEEP_COMPRESSED",
        "maybe",
        "use SHIPLAP_KEEP_COMPRESSED=maybe: ",
    );
    check(
        "SHIPLAP_MAX_CONCURRENT_DOWNLOADS",
        "-1",
        "use SHIPLAP_MAX_CONCURRENT_DOWNLOADS=-1: ",
    );
    check(
        "SHIPLAP_CONFIG",
        "/nowhere/at/all",
        "read settings /nowhere/at/all: ",
    );
}

#[test]
fn a_store_needs_a_home() {
    let mut place = Place::new();
    place.variables.clear();
    assert!(matches!(place.read(), Err(SettingsError::Homeless)));
}

#[test]
fn backends_are_chosen_by_name() {
    let check = |place: &Place, want: Option<Backend>| {
        assert_eq!(place.read().unwrap().layer_backend, want);
    };
    let mut place = Place::new();
    check(&place, None);
    place = place.user("layer_backend = 'tree'");
    check(&place, Some(Backend::Tree));
    place = place.set("SHIPLAP_LAYER_BACKEND", "erofs");
    check(&place, Some(Backend::Erofs));
    place.flags.layer_backend = Some("auto".into());
    check(&place, None);
}

#[test]
fn proxies_come_from_the_usual_variables() {
    let check = |variables: &[(&str, &str)], want: Option<(Option<&str>, Option<&str>, &str)>| {
        let place = variables
            .iter()
            .fold(Place::new(), |place, (name, value)| place.set(name, value));
        let got = match place.read().unwrap().proxy {
            ProxySettings::Given {
                http,
                https,
                no_proxy,
            } => Some((http, https, no_proxy)),
            _ => None,
        };
        let want = want.map(|(http, https, no)| {
            (
                http.map(str::to_owned),
                https.map(str::to_owned),
                no.to_owned(),
            )
        });
        assert_eq!(got, want);
    };
    check(&[], None);
    check(&[("NO_PROXY", "x")], None);
    check(
        &[("HTTP_PROXY", "a"), ("http_proxy", "b")],
        Some((Some("b"), None, "")),
    );
    check(
        &[
            ("ALL_PROXY", "a"),
            ("HTTPS_PROXY", "c"),
            ("no_proxy", "x,y"),
        ],
        Some((Some("a"), Some("c"), "x,y")),
    );
}
