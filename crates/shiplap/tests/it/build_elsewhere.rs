//! A cache that several machines share: put into a registry, a directory or the image itself by one
//! store, and taken by another one that has nothing but the base.

use std::path::Path;

use super::build::course;
use crate::harness::hub::Hub;
use crate::harness::leftovers::holding;
use crate::harness::registry::Registry;
use crate::harness::told::Told;
use crate::harness::{Store, base, scene};

const SECRET: &str = "correct-horse-battery-staple-51";

const STAGES: &str = "FROM busybox AS builder
WORKDIR /build
COPY requirements.txt .
RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /length && date +%N > /when
FROM busybox
WORKDIR /app
COPY --from=builder /length /when /
COPY . .
RUN cat /when app.py > /both
";

/// The steps of the last stage.
const LAST: [&str; 4] = [
    "WORKDIR /app",
    "COPY --from=builder /length /when /",
    "COPY . .",
    "RUN cat /when app.py > /both",
];

/// A machine of its own with the context.
struct Machine {
    store: Store,
    context: String,
}

impl Machine {
    fn new(toml: &str) -> Option<Self> {
        let store = base::store()?.configured(toml);
        let context = course(&store, STAGES);
        // Times are this machine's own.
        scene::set_mtime(&context.join("app.py"), 1_500_000_000);
        std::fs::write(store.path("token"), SECRET).unwrap();
        let context = context.to_str().unwrap().to_owned();
        Some(Self { store, context })
    }

    fn build(&self, flags: &[&str]) -> Told {
        let secret = format!("id=token,src={}", self.store.path("token").display());
        let named = ["build", "-t", "app", "--secret", &secret];
        let line = match flags.contains(&"-t") {
            true => [&named[..1], &named[3..]].concat(),
            false => named.to_vec(),
        };
        let ran = self
            .store
            .run(&[&line[..], flags, &[&self.context]].concat());
        ran.assert_ok();
        Told::of(&ran.stderr)
    }
}

fn trusting(address: &str) -> String {
    format!("[[registry]]\nprefix = \"{address}\"\ninsecure = true\n")
}

/// One machine builds, another one has all steps of it.
fn shared(toml: &str, to: &str, from: &str) {
    let (Some(first), Some(second)) = (Machine::new(toml), Machine::new(toml)) else {
        return;
    };
    let told = first.build(&["--cache-to", to]);
    assert_eq!(told.cached(), Vec::<&str>::new(), "{to}");
    let told = second.build(&["--cache-from", from]);
    assert_eq!(told.made(), Vec::<&str>::new(), "{from}: {told:?}");
    let read = |machine: &Machine| machine.store.ok(&["image", "cat", "app", "/both"]);
    assert_eq!(read(&first), read(&second), "{to}");
    for machine in [&first, &second] {
        assert_eq!(
            machine.store.names().len(),
            6,
            "a cache is no image that one sees"
        );
        assert_eq!(
            holding(machine.store.root(), SECRET.as_bytes()),
            Vec::<std::path::PathBuf>::new()
        );
        machine.store.assert_sound();
    }
    // What came from elsewhere is as good as what was made here.
    std::fs::write(Path::new(&second.context).join("app.py"), "changed\n").unwrap();
    let told = second.build(&[]);
    assert_eq!(told.made(), ["COPY . .", "RUN cat /when app.py > /both"]);
}

#[test]
fn a_cache_in_a_registry() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let name = registry.reference("team/app:cache");
    let place = format!("type=registry,ref={name}");
    shared(
        &trusting(registry.address()),
        &format!("{place},mode=max"),
        &place,
    );
}

#[test]
fn a_cache_in_a_hub() {
    let hub = Hub::start();
    let toml = trusting(hub.address());
    let (Some(first), Some(second)) = (Machine::new(&toml), Machine::new(&toml)) else {
        return;
    };
    let login = ["login", "-u", "ship", "--password-stdin", hub.address()];
    let password = crate::harness::hub::PASSWORD.as_bytes();
    first.store.run_with(&login, password).assert_ok();
    let name = hub.reference("ship/app:cache");
    first.build(&["--cache-to", &format!("type=registry,ref={name}")]);
    let told = second.build(&["--cache-from", &name]);
    assert_eq!(told.made(), Vec::<&str>::new(), "{told:?}");
}

#[test]
fn a_cache_in_a_directory() {
    let folder = tempfile::TempDir::new().unwrap();
    let directory = folder.path().join("cache").display().to_string();
    let to = format!("type=local,dest={directory}");
    shared(
        "",
        &format!("{to},mode=max"),
        &format!("type=local,src={directory}"),
    );
    assert_eq!(
        holding(folder.path(), SECRET.as_bytes()),
        Vec::<std::path::PathBuf>::new()
    );
    // Put there again it is still one that can be taken.
    shared("", &to, &format!("type=local,src={directory}"));
}

#[test]
fn a_cache_of_what_the_image_has() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let toml = trusting(registry.address());
    let folder = tempfile::TempDir::new().unwrap();
    let directory = folder.path().display().to_string();
    let name = registry.reference("team/app:1");
    let machines = (
        Machine::new(&toml),
        Machine::new(&toml),
        Machine::new(&toml),
    );
    let (Some(first), Some(second), Some(third)) = machines else {
        return;
    };
    let least = format!("type=local,dest={directory},mode=min");
    first.build(&[
        "--cache-to",
        &least,
        "--cache-to",
        "type=inline",
        "--push",
        "-t",
        &name,
    ]);
    let places = [format!("type=local,src={directory}"), name.clone()];
    for (machine, from) in [second, third].iter().zip(&places) {
        let told = machine.build(&["--cache-from", from]);
        let cached = told.cached();
        // The other stage is not in the image, so it is made again, with another result.
        for step in [LAST[0], LAST[2]] {
            assert!(cached.contains(&step), "{from}: {step} in {told:?}");
        }
        let made = told.made();
        assert!(
            made.iter().any(|step| step.starts_with("RUN --mount")),
            "{made:?}"
        );
    }
    // An image without a cache in it is none, which is no reason to fail.
    let fourth = Machine::new(&toml);
    let Some(fourth) = fourth else { return };
    let plain = registry.reference("team/plain:1");
    first.build(&["--push", "-t", &plain]);
    assert_eq!(
        fourth.build(&["--cache-from", &plain]).cached(),
        Vec::<&str>::new()
    );
    fourth.store.assert_sound();
}

#[test]
fn a_cache_that_is_not_there() {
    let Some(machine) = Machine::new("") else {
        return;
    };
    let text = "FROM busybox\nRUN true\nCOPY app.py /\n";
    std::fs::write(machine.store.path("app/Dockerfile"), text).unwrap();
    let missing = machine.store.path("nothing").display().to_string();
    let line = |flag: &str, value: &str| {
        let line = ["build", flag, value, &machine.context];
        machine.store.run(&line)
    };
    // What can't be taken is made.
    let local = format!("type=local,src={missing}");
    let registry = "type=registry,ref=127.0.0.1:1/no/cache";
    for (from, word) in [
        (local.as_str(), missing.as_str()),
        (registry, "127.0.0.1:1"),
    ] {
        let ran = line("--cache-from", from);
        ran.assert_ok();
        ran.assert_says(&["warn", "take the cache from", word]);
    }
    // What is meant otherwise than understood is refused before anything is done.
    for (value, word) in [
        ("type=gha", "type=registry"),
        ("type=registry", "ref="),
        ("type=local,dest=x,mode=most", "mode=most"),
        ("type=local,dest=x,compression=zstd", "compression=zstd"),
    ] {
        let ran = line("--cache-to", value);
        ran.assert_refused();
        ran.assert_says(&[word]);
        assert!(!ran.stderr.contains("RUN true"), "{}", ran.stderr);
    }
    // A cache that can't be put there fails the build, unless that is said to be nothing.
    line("--cache-to", registry).assert_refused();
    let ran = line("--cache-to", &format!("{registry},ignore-error=true"));
    ran.assert_ok();
    ran.assert_says(&["warn", "127.0.0.1:1"]);
}
