//! `search` and `tags`: what a registry says of its repositories.

use serde_json::json;

use crate::harness::Store;
use crate::harness::double::{Double, Reply};
use crate::harness::image::{digest, recipe, small};
use crate::harness::tar::Entry;

/// A registry with Docker Hub's search.
fn searchable() -> Double {
    let double = Double::start();
    let results: Vec<_> = [
        ("python", "Python is a language", 9000, true),
        (
            "team/python",
            "Ours, with a very long description that a table has to cut somewhere",
            12,
            false,
        ),
        ("other/python", "", 0, false),
    ]
    .iter()
    .map(|(name, description, stars, official)| {
        json!({ "name": name, "description": description, "star_count": stars,
                "is_official": official, "is_automated": false })
    })
    .collect();
    let body = json!({ "num_results": 3, "query": "python", "results": results });
    double.put(
        "/v1/search",
        Reply::new(200, body.to_string().as_bytes()).header("content-type", "application/json"),
    );
    double
}

#[test]
fn search_is_dockers() {
    let double = searchable();
    let store = Store::new();
    let term = double.reference("python");
    let table = store.ok(&["search", &term]);
    let heads: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heads[..4], ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]);
    assert!(table.contains("[OK]"), "{table}");
    assert!(!table.contains("somewhere"), "{table}");
    assert!(
        store
            .ok(&["search", "--no-trunc", &term])
            .contains("somewhere")
    );
    let names = |more: &[&str]| {
        store.ok(&[&["search", "--format", "{{.Name}}"], more, &[term.as_str()]].concat())
    };
    assert_eq!(names(&[]).lines().count(), 3);
    assert_eq!(names(&["--filter", "is-official=true"]).lines().count(), 1);
    assert_eq!(names(&["--filter", "stars=10"]).lines().count(), 2);
    names(&["--limit", "1"]);
    assert!(
        double
            .log()
            .iter()
            .any(|request| request.target().contains("n=1"))
    );
    for wrong in ["stars=many", "nothing=1"] {
        store.refused(&["search", "--filter", wrong, &term]);
    }
}

#[test]
fn tags_tell_which_is_mine() {
    let double = Double::start();
    let dated = |word: &str, created: &str| {
        recipe(&[&[Entry::file("word", word.as_bytes())]])
            .extra(json!({ "created": created }))
            .make()
    };
    let (old, new) = (
        dated("old", "2020-01-01T00:00:00Z"),
        dated("new", "2022-01-01T00:00:00Z"),
    );
    double.fill("app:1", &old);
    double.fill("app:2", &new);
    double.fill("app:latest", &new);
    let list = json!({ "name": "app", "tags": ["1", "2", "latest"] });
    double.put(
        "/v2/app/tags/list",
        Reply::new(200, list.to_string().as_bytes()).header("content-type", "application/json"),
    );
    let store = Store::new();
    store.ok(&["pull", &double.reference("app:2")]);
    let table = store.ok(&["tags", &double.reference("app")]);
    for part in [
        "TAG",
        "1",
        "latest",
        "linux/amd64",
        &digest(&old.manifest)[7..19],
    ] {
        assert!(table.contains(part), "{part:?} not in {table}");
    }
    let ran = store.run(&["tags", &double.reference("nothing")]);
    ran.assert_refused();
    let small = small("x");
    double.fill("other:1", &small);
    store.refused(&["tags", &double.reference("BAD")]);
}
