//! `rmi`: what goes, what stays, what is said, what is refused.

use jiff::Timestamp;
use shiplap_model::reference::Reference;
use shiplap_store::{
    ContainerRecord, ContainerState, Removal, RemoveError, RemoveOptions, Removed, Resolved,
};

use crate::fixture::{Fixture, Sample};

const GENTLE: RemoveOptions = RemoveOptions {
    force: false,
    all_names: false,
};
const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    all_names: false,
};
const ALL_NAMES: RemoveOptions = RemoveOptions {
    force: false,
    all_names: true,
};

fn remove(fixture: &Fixture, name: &str, options: RemoveOptions) -> Result<Removed, RemoveError> {
    fixture
        .store
        .remove_image(&fixture.store.resolve(name).unwrap(), options)
}

/// As Docker prints it, with digests cut short.
fn told(removed: &Removed) -> Vec<String> {
    let told = |step: &Removal| match step {
        Removal::Untagged(tag) => format!("Untagged: {}", tag.familiar()),
        Removal::UntaggedDigest(gone) => format!("Untagged: {}@", gone.repository.familiar()),
        Removal::Image(_) => "Deleted: image".to_owned(),
        Removal::Layer { .. } => "Deleted: layer".to_owned(),
    };
    removed.steps.iter().map(told).collect()
}

#[test]
fn names_go_first_then_the_image() {
    let check =
        |sample: Sample, name: Option<&str>, options: RemoveOptions, expected: Option<&[&str]>| {
            let fixture = Fixture::new();
            let id = fixture.put(&sample);
            let removed = remove(&fixture, name.unwrap_or(id.hex()), options);
            match (&removed, expected) {
                (Ok(removed), Some(expected)) => assert_eq!(told(removed), expected),
                (Err(RemoveError::ManyNames { .. }), None) => {}
                (Ok(removed), None) => panic!("{:?} was removed", removed.steps),
                (Err(error), _) => panic!("{error}"),
            }
            let is_gone = expected.is_some_and(|steps| steps.contains(&"Deleted: image"));
            drop(removed);
            assert_eq!(fixture.store.image(&id).unwrap().is_none(), is_gone);
            assert_eq!(fixture.files().is_empty(), is_gone, "{:?}", fixture.files());
            assert!(fixture.check(false).findings.is_empty());
        };
    let sample = || Sample::of(&["1", "2"]);
    let whole = ["Deleted: image", "Deleted: layer", "Deleted: layer"];
    let then = |names: &[&'static str]| [names, &whole].concat();
    check(sample(), None, GENTLE, Some(&whole));
    check(
        sample().tagged(&["a"]),
        Some("a"),
        GENTLE,
        Some(&then(&["Untagged: a:latest"])),
    );
    check(
        sample().tagged(&["a"]),
        None,
        GENTLE,
        Some(&then(&["Untagged: a:latest"])),
    );
    check(
        sample().tagged(&["a", "b"]),
        Some("a"),
        GENTLE,
        Some(&["Untagged: a:latest"]),
    );
    check(sample().tagged(&["a", "a:1"]), None, GENTLE, None);
    check(sample().tagged(&["a", "b"]), None, GENTLE, None);
    let both = then(&["Untagged: a:latest", "Untagged: b:latest"]);
    check(sample().tagged(&["a", "b"]), None, FORCE, Some(&both));
    check(sample().tagged(&["a", "b"]), None, ALL_NAMES, Some(&both));
    let with_digest = then(&["Untagged: a:latest", "Untagged: a@"]);
    check(
        sample().tagged(&["a"]).known_as(&["a"]),
        Some("a"),
        GENTLE,
        Some(&with_digest),
    );
    check(
        sample().tagged(&["a"]).known_as(&["a"]),
        None,
        GENTLE,
        Some(&with_digest),
    );
    check(
        sample().tagged(&["a", "a:1"]).known_as(&["a"]),
        Some("a:1"),
        GENTLE,
        Some(&["Untagged: a:1"]),
    );
    check(
        sample().tagged(&["a"]).known_as(&["b"]),
        Some("a"),
        GENTLE,
        Some(&["Untagged: a:latest"]),
    );
    check(sample().tagged(&["a"]).known_as(&["b"]), None, GENTLE, None);
}

#[test]
fn shared_layers_stay() {
    let fixture = Fixture::new();
    let (small, large) = (Sample::of(&["base"]), Sample::of(&["base", "top"]));
    fixture.put(&small.clone().tagged(&["small"]));
    fixture.put(&large.clone().tagged(&["large"]));
    assert_eq!(fixture.store.freed_by(&[large.id()]).unwrap(), 3);
    assert_eq!(fixture.store.freed_by(&[small.id()]).unwrap(), 0);
    assert_eq!(
        fixture.store.freed_by(&[small.id(), large.id()]).unwrap(),
        7
    );
    let usage = fixture.store.usage().unwrap();
    assert_eq!(
        (
            usage.layers,
            usage.content_bytes,
            usage.tar_bytes,
            usage.reclaimable_bytes
        ),
        (2, 3, 7, 3)
    );
    assert_eq!(
        (usage.images[0].shared_bytes, usage.images[0].unique_bytes),
        (2, 1)
    );
    let removed = remove(&fixture, "large", GENTLE).unwrap();
    assert_eq!(
        told(&removed),
        ["Untagged: large:latest", "Deleted: image", "Deleted: layer"]
    );
    drop(removed);
    assert!(fixture.store.layer(&small.diff_id(0)).unwrap().is_some());
    assert!(fixture.store.layer(&large.diff_id(1)).unwrap().is_none());
    assert!(fixture.check(false).findings.is_empty());
}

#[test]
fn trash_may_be_left_to_the_next() {
    let fixture = Fixture::new();
    fixture.put(&Sample::of(&["1"]).tagged(&["a"]));
    remove(&fixture, "a", GENTLE).unwrap().trash.leave();
    assert!(
        fixture
            .files()
            .iter()
            .all(|file| file.starts_with("staging/"))
    );
    assert!(fixture.check(false).is_sound());
    drop(fixture.store.lease().unwrap());
    assert!(fixture.files().is_empty());
}

#[test]
fn images_in_use_are_refused() {
    // By the container's state, how it is asked, and with force: what is said.
    let check = |state, by_name: bool, options, expected: Option<&[&str]>| {
        let fixture = Fixture::new();
        let image = fixture.put(&Sample::of(&["1"]).tagged(&["a"]));
        let container = ContainerRecord {
            id: "c".repeat(64),
            name: "web".to_owned(),
            image: image.clone(),
            state,
            created: Timestamp::UNIX_EPOCH,
        };
        fixture.store.put_container(&container).unwrap();
        let name = if by_name { "a" } else { image.hex() };
        match (remove(&fixture, name, options), expected) {
            (Ok(removed), Some(expected)) => assert_eq!(told(&removed), expected),
            (
                Err(RemoveError::InUse {
                    container: found, ..
                }),
                None,
            ) => assert_eq!(*found, container),
            (Ok(removed), None) => panic!("{:?} was removed", removed.steps),
            (Err(error), _) => panic!("{error}"),
        }
        let left = fixture.store.image(&image).unwrap().unwrap();
        assert_eq!(
            (left.containers, left.is_dangling()),
            (1, expected.is_some())
        );
        assert!(fixture.store.remove_container(&container.id).unwrap());
        drop(
            fixture
                .store
                .remove_image(&Resolved::by_id(image), GENTLE)
                .unwrap(),
        );
        assert!(fixture.files().is_empty());
    };
    for by_name in [true, false] {
        check(ContainerState::Exited, by_name, GENTLE, None);
        check(ContainerState::Running, by_name, GENTLE, None);
        check(
            ContainerState::Exited,
            by_name,
            FORCE,
            Some(&["Untagged: a:latest"]),
        );
    }
    check(
        ContainerState::Running,
        true,
        FORCE,
        Some(&["Untagged: a:latest"]),
    );
    check(ContainerState::Running, false, FORCE, None);
}

#[test]
fn another_name_goes_though_a_container_uses_the_image() {
    let fixture = Fixture::new();
    let image = fixture.put(&Sample::of(&["1"]).tagged(&["a", "b"]));
    let container = ContainerRecord {
        id: "c".repeat(64),
        name: "web".to_owned(),
        image,
        state: ContainerState::Running,
        created: Timestamp::UNIX_EPOCH,
    };
    fixture.store.put_container(&container).unwrap();
    let twin = ContainerRecord {
        id: "d".repeat(64),
        ..container
    };
    assert!(matches!(
        fixture.store.put_container(&twin),
        Err(shiplap_store::ContainerError::NameTaken { .. })
    ));
    assert_eq!(
        told(&remove(&fixture, "a", GENTLE).unwrap()),
        ["Untagged: a:latest"]
    );
    assert_eq!(
        fixture
            .store
            .find(&"a".parse::<Reference>().unwrap())
            .unwrap(),
        None
    );
}
