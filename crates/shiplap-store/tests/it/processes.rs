//! Several processes on one store, and processes that die in the middle. A child is this test
//! binary again, running [`act`] only.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use shiplap_model::Digest;
use shiplap_store::{Access, RemoveOptions, Resolved, Store, check};

use crate::fixture::{FakePort, Fixture, Sample, files_in, put_layer};

const ROLE: &str = "STORE_TEST_ROLE";
const ROOT: &str = "STORE_TEST_ROOT";

/// Another process that plays a role.
pub(crate) fn child(role: &str, root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::act", "--test-threads=1"]);
    command
        .env(ROLE, role)
        .env(ROOT, root)
        .stdout(Stdio::null());
    command
}

/// What a child does; nothing in the parent.
#[test]
fn act() {
    let (Ok(role), Some(root)) = (std::env::var(ROLE), std::env::var_os(ROOT)) else {
        return;
    };
    let root = PathBuf::from(root);
    match role.as_str() {
        "list" => {
            let store = Store::open(&root, Access::Read).unwrap();
            assert_eq!(store.images().unwrap().len(), 1);
        }
        "put" => {
            let store = Store::open(&root, Access::Write).unwrap();
            let lease = store.lease().unwrap();
            Sample::of(&["base"])
                .by(&std::process::id().to_string())
                .put(&lease)
                .unwrap();
        }
        "churn" => churn(&root, u64::MAX),
        "churn a while" => churn(&root, 60),
        "collect a while" => {
            let store = Store::open(&root, Access::Write).unwrap();
            for _ in 0..60 {
                store.collect().unwrap();
            }
        }
        "count" => count(&root),
        role => panic!("no role {role}"),
    }
}

/// Puts, tags, removes and collects, with layers that others use, too.
fn churn(root: &Path, rounds: u64) {
    let mut random = Random::new();
    let store = Store::open(root, Access::Write).unwrap();
    for _ in 0..rounds {
        let lease = store.lease().unwrap();
        let top = vec![b'x'; usize::try_from(random.below(100_000)).unwrap()];
        let middle = format!("shared {}", random.below(5)).into_bytes();
        let sample = Sample {
            layers: vec![b"base".to_vec(), middle, top],
            ..Sample::default()
        };
        let id = sample
            .by(&random.below(20).to_string())
            .put(&lease)
            .unwrap();
        drop(lease);
        let tag = format!("app:{}", random.below(8)).parse().unwrap();
        // Others may have removed it by now.
        drop(store.tag(&id, &tag));
        let images = store.images().unwrap();
        if images.len() > 10 {
            let place = usize::try_from(random.below(images.len() as u64)).unwrap();
            let target = Resolved::by_id(images[place].id.clone());
            drop(store.remove_image(
                &target,
                RemoveOptions {
                    force: true,
                    all_names: true,
                },
            ));
        }
        if random.below(4) == 0 {
            store.collect().unwrap();
        }
    }
}

/// Adds one to a number in a file under a lock, many times.
fn count(root: &Path) {
    let store = Store::open(root, Access::Write).unwrap();
    let file = root.join("number");
    let key = Digest::of(b"key");
    for round in 0..200 {
        let _lock = if round % 2 == 0 {
            store.lock(&key).unwrap()
        } else {
            loop {
                if let Some(lock) = store.try_lock(&key).unwrap() {
                    break lock;
                }
                std::thread::yield_now();
            }
        };
        let number: u64 = std::fs::read_to_string(&file).map_or(0, |text| text.parse().unwrap());
        std::fs::write(&file, (number + 1).to_string()).unwrap();
    }
}

#[test]
fn locks_exclude_across_processes_and_leave_no_files() {
    let fixture = Fixture::new();
    let children: Vec<_> = (0..4)
        .map(|_| child("count", &fixture.root).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        std::fs::read_to_string(fixture.root.join("number")).unwrap(),
        "800"
    );
    assert!(fixture.files().is_empty());
}

/// Whatever moment a writer dies, the next one finds a sound store, and a collection leaves
/// nothing that no image needs.
#[test]
fn killed_writers_leave_a_sound_store() {
    let fixture = Fixture::new();
    let mut random = Random::new();
    for _ in 0..25 {
        let mut children: Vec<_> = (0..2)
            .map(|_| child("churn", &fixture.root).spawn().unwrap())
            .collect();
        std::thread::sleep(Duration::from_millis(20 + random.below(150)));
        for child in &mut children {
            child.kill().unwrap();
        }
        for mut child in children {
            child.wait().unwrap();
        }
        let before = check(&fixture.root, false, &FakePort, &|_, _| {}).unwrap();
        assert!(before.is_sound(), "{:?}", before.findings);
        fixture.store.collect().unwrap();
        let after = check(&fixture.root, false, &FakePort, &|_, _| {}).unwrap();
        let findings: Vec<String> = after
            .findings
            .iter()
            .map(|finding| finding.fault.to_string())
            .filter(|text| !text.contains("saved names"))
            .collect();
        assert!(findings.is_empty(), "{findings:?}");
        let left = files_in(&fixture.root);
        assert!(
            !left
                .iter()
                .any(|file| file.starts_with("staging") || file.starts_with("locks")),
            "{left:?}"
        );
    }
    for image in fixture.store.images().unwrap() {
        drop(fixture.store.remove_image(
            &Resolved::by_id(image.id),
            RemoveOptions {
                force: true,
                all_names: true,
            },
        ));
    }
    fixture.store.collect().unwrap();
    assert!(fixture.files().is_empty(), "{:?}", fixture.files());
}

#[test]
fn writers_and_collectors_work_at_once() {
    let fixture = Fixture::new();
    let roles = ["churn a while", "churn a while", "collect a while"];
    let children: Vec<_> = roles
        .iter()
        .map(|role| child(role, &fixture.root).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let report = fixture.check(false);
    assert!(report.is_sound(), "{:?}", report.findings);
}

/// Threads of one process that commit the same layers while another thread collects.
#[test]
fn threads_share_one_lease() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..20 {
                    put_layer(&lease, format!("layer {number}").as_bytes()).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                fixture.store.collect().unwrap();
            }
        });
    });
    for number in 0..20 {
        let diff_id = Digest::of(format!("layer {number}").as_bytes()).into();
        assert!(lease.hold_layer(&diff_id).unwrap().is_some());
    }
    drop(lease);
    assert_eq!(fixture.store.collect().unwrap().layers, 20);
    assert!(fixture.files().is_empty());
}

/// xorshift; another seed each time.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        Self((now.as_nanos() as u64) ^ (u64::from(std::process::id()) << 32) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
