//! `delete`: tags and images out of registries.

use crate::harness::Store;
use crate::harness::hub::{Hub, PASSWORD};
use crate::harness::image::small;
use crate::harness::registry::Registry;

#[test]
fn a_tag_goes_alone_and_an_image_with_its_tags() {
    let hub = Hub::start();
    let (one, other) = (small("one"), small("other"));
    for tag in ["1", "2", "latest"] {
        hub.fill(&format!("ship/app:{tag}"), &one);
    }
    hub.fill("ship/app:other", &other);
    let store = Store::new();
    let name = |rest: &str| hub.reference(&format!("ship/app{rest}"));
    let nobody = store.refused(&["delete", &name(":1")]);
    assert!(nobody.contains("login"), "{nobody}");
    let line = ["login", "-u", "ship", "--password-stdin", hub.address()];
    store.run_with(&line, PASSWORD.as_bytes()).assert_ok();

    let said = store.ok(&["delete", &name(":1")]);
    assert_eq!(said, format!("Deleted: {}\n", name(":1")));
    let tags = || store.ok(&["tags", "-q", &name("")]);
    assert_eq!(tags(), "2\nlatest\nother\n");
    let twice = store.run(&["delete", &name(":1"), &format!("docker://{}", name(":2"))]);
    twice.assert_refused();
    twice.assert_says(&["MANIFEST_UNKNOWN", "Deleted"]);
    assert_eq!(tags(), "latest\nother\n");
    let by_digest = format!("@{}", one.manifest_digest());
    store.ok(&["delete", &name(&by_digest)]);
    assert_eq!(tags(), "other\n");
}

#[test]
fn a_registry_that_removes_no_tag_alone_loses_nothing() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let image = small("kept");
    registry.fill("team/app:1", &image);
    registry.fill("team/app:2", &image);
    let store = Store::new();
    let name = registry.reference("team/app:1");
    let refused = store.refused(&["delete", &name]);
    let by_digest = registry.reference(&format!("team/app@{}", image.manifest_digest()));
    assert!(
        refused.contains(&format!("by: delete {by_digest}")),
        "{refused}"
    );
    registry.manifest("team/app", "1");
    store.ok(&["delete", &by_digest]);
    for tag in ["1", "2"] {
        store.refused(&[
            "manifest",
            "inspect",
            &registry.reference(&format!("team/app:{tag}")),
        ]);
    }
}
