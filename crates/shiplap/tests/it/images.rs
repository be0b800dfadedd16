//! `images`, `tag`, `history`, `image prune`: what is shown and kept, by Docker's words.

use serde_json::json;

use crate::harness::Store;
use crate::harness::image::{Image, noise, recipe, small};
use crate::harness::tar::Entry;
use crate::push::load;

/// Three images under four names, made on different days.
fn stocked() -> (Store, [Image; 3]) {
    let store = Store::new();
    let dated = |word: &str, created: &str, length: usize| {
        recipe(&[&[Entry::file(word, &noise(1, length))]])
            .extra(json!({ "created": created }))
            .config(json!({ "Labels": { "word": word } }))
            .make()
    };
    let images = [
        dated("old", "2020-01-01T00:00:00Z", 3000),
        dated("middle", "2021-01-01T00:00:00Z", 1000),
        dated("new", "2022-01-01T00:00:00Z", 2000),
    ];
    load(&store, "team/old:1", &images[0]);
    load(&store, "middle:1", &images[1]);
    load(&store, "new:1", &images[2]);
    store.ok(&["tag", "new:1", "new:2"]);
    (store, images)
}

#[test]
fn columns_are_dockers() {
    let (store, images) = stocked();
    let table = store.ok(&["images"]);
    let mut lines = table.lines();
    let heads: Vec<&str> = lines
        .next()
        .unwrap()
        .split("  ")
        .filter(|h| !h.is_empty())
        .collect();
    let heads: Vec<&str> = heads.into_iter().map(str::trim).collect();
    assert_eq!(heads, ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    // Newest first.
    let first: Vec<&str> = lines.next().unwrap().split_whitespace().take(3).collect();
    assert_eq!(first[0], "new");
    assert_eq!(first[2], images[2].short_id());
    assert_eq!(table.lines().count(), 5);
    assert_eq!(store.ok(&["image", "ls"]), table);
    assert_eq!(store.ok(&["image", "list"]), table);
    assert_eq!(Store::new().ok(&["images"]).lines().count(), 1);
}

#[test]
fn options_of_images() {
    let (store, images) = stocked();
    let [old, middle, new] = &images;
    let repository = ["--format", "{{.Repository}}:{{.Tag}}"];
    let check = |arguments: &[&str], expected: &[&str]| {
        let all: Vec<&str> = ["images"].iter().chain(arguments).copied().collect();
        let shown = store.ok(&all);
        let mut shown: Vec<&str> = shown.lines().collect();
        if !arguments.contains(&"--sort") {
            shown.sort_unstable();
        }
        assert_eq!(shown, expected, "{arguments:?}");
    };
    // One line a name, as Docker has it.
    let mut ids = [old, middle, new, new].map(Image::short_id);
    ids.sort();
    check(&["-q"], &ids.each_ref().map(String::as_str));
    let mut long = [old, middle, new, new].map(Image::id);
    long.sort();
    check(&["-q", "--no-trunc"], &long.each_ref().map(String::as_str));
    let filtered: &[(&[&str], &[&str])] = &[
        (&["new"], &["new:1", "new:2"]),
        (&["new:2"], &["new:2"]),
        (&["n*"], &["new:1", "new:2"]),
        (&["team/*"], &["team/old:1"]),
        (&["*/*:1"], &["team/old:1"]),
        (&["nothing"], &[]),
        (&["--filter", "reference=mid*"], &["middle:1"]),
        (&["--filter", "before=new:1"], &["middle:1", "team/old:1"]),
        (
            &["--filter", "since=team/old:1"],
            &["middle:1", "new:1", "new:2"],
        ),
        (&["--filter", "label=word=old"], &["team/old:1"]),
        (
            &["--filter", "label=word"],
            &["middle:1", "new:1", "new:2", "team/old:1"],
        ),
        (&["--filter", "label=nothing"], &[]),
        (&["--filter", "dangling=true"], &[]),
        (&["--filter", "until=2020-06-01"], &["team/old:1"]),
        (
            &["--sort", "size"],
            &["team/old:1", "new:1", "new:2", "middle:1"],
        ),
    ];
    for (arguments, expected) in filtered {
        check(&[&repository[..], arguments].concat(), expected);
    }
    for wrong in [
        "nonsense=1",
        "dangling=perhaps",
        "before=nothing:here",
        "reference",
    ] {
        store.refused(&["images", "--filter", wrong]);
    }
    store.refused(&["images", "--format", "{{.Nothing}}"]);
    store.refused(&["images", "--format", "{{.ID"]);
}

#[test]
fn an_image_that_lost_its_name_dangles() {
    let store = Store::new();
    load(&store, "app:1", &small("one"));
    load(&store, "app:1", &small("two"));
    let shown = store.ok(&["images", "--format", "{{.Repository}} {{.Tag}} {{.ID}}"]);
    let mut shown: Vec<&str> = shown.lines().collect();
    shown.sort_unstable();
    let dangling = format!("<none> <none> {}", small("one").short_id());
    assert_eq!(
        shown,
        [dangling, format!("app 1 {}", small("two").short_id())]
    );
    let only = store.ok(&["images", "-q", "--filter", "dangling=true"]);
    assert_eq!(only.trim(), small("one").short_id());
    let ran = store.run(&["image", "prune", "--force"]);
    ran.assert_ok();
    ran.assert_says(&["Total reclaimed space"]);
    assert_eq!(store.names(), ["app:1"]);
}

#[test]
fn names_are_given_and_moved() {
    let store = Store::new();
    let (one, two) = (small("one"), small("two"));
    load(&store, "one:1", &one);
    load(&store, "two:1", &two);
    store.ok(&["tag", "one:1", "registry.example:5000/team/one"]);
    store.ok(&["tag", &one.id(), "by-id:1"]);
    store.ok(&["tag", &one.short_id(), "by-short-id:1"]);
    store.ok(&["image", "tag", "two:1", "by-id:1"]);
    assert_eq!(
        store.field("registry.example:5000/team/one:latest", "{{.Id}}"),
        one.id()
    );
    assert_eq!(store.field("by-short-id:1", "{{.Id}}"), one.id());
    assert_eq!(store.field("by-id:1", "{{.Id}}"), two.id());
    for (source, target) in [
        ("nothing:1", "x:1"),
        ("one:1", "BAD:1"),
        ("one:1", "a@sha256:0"),
    ] {
        store.refused(&["tag", source, target]);
    }
}

#[test]
fn history_tells_every_step() {
    let store = Store::new();
    let image = recipe(&[&[Entry::file("a", &[1; 2000])], &[Entry::file("b", &[2; 3_000_000])]])
        .extra(json!({ "history": [
            { "created": "2023-11-14T22:13:20Z", "created_by": "COPY a /" },
            { "created": "2023-11-14T22:13:21Z", "created_by": "ENV X=1", "empty_layer": true },
            { "created": "2023-11-14T22:13:22Z", "created_by": "COPY b / # a long command line that a table cuts", "comment": "why" },
        ] }))
        .make();
    load(&store, "app:1", &image);
    let table = store.ok(&["history", "app:1"]);
    let heads: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        heads,
        ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    );
    assert_eq!(table.lines().count(), 4);
    // Only the step that made no layer has no ID.
    let ids: Vec<&str> = table
        .lines()
        .skip(1)
        .filter_map(|row| row.split_whitespace().next())
        .collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0], image.short_id());
    assert_eq!(ids[1], "<missing>");
    assert_ne!(ids[2], "<missing>");
    let format = "{{.CreatedBy}}|{{.Size}}|{{.Comment}}";
    let rows = store.ok(&["history", "--no-trunc", "--format", format, "app:1"]);
    assert_eq!(
        rows.lines().collect::<Vec<_>>(),
        [
            "COPY b / # a long command line that a table cuts|3MB|why",
            "ENV X=1|0B|",
            "COPY a /|2kB|"
        ]
    );
    let bytes = store.ok(&["history", "--human=false", "--format", "{{.Size}}", "app:1"]);
    assert_eq!(bytes, "3000000\n0\n2000\n");
    assert_eq!(store.ok(&["history", "-q", "app:1"]).lines().count(), 3);
    store.refused(&["history", "nothing:1"]);
}

#[test]
fn prune_takes_what_it_says() {
    let (store, _) = stocked();
    let ran = store.run(&["image", "prune", "--all", "--force", "--dry-run"]);
    ran.assert_ok();
    ran.assert_says(&["team/old:1", "middle:1", "new:1"]);
    assert_eq!(store.names().len(), 4, "a dry run takes nothing");

    store.ok(&[
        "image",
        "prune",
        "--all",
        "--force",
        "--filter",
        "until=2020-06-01",
    ]);
    assert_eq!(store.names(), ["middle:1", "new:1", "new:2"]);
    store.ok(&[
        "image",
        "prune",
        "--all",
        "--force",
        "--filter",
        "label!=word=middle",
    ]);
    assert_eq!(store.names(), ["middle:1"]);
    store.assert_prunes_to_nothing();
}

#[test]
fn prune_keeps_the_last_of_each_repository() {
    let store = Store::new();
    for (tag, created) in [("1", "2020"), ("2", "2021"), ("3", "2022")] {
        let image = recipe(&[&[Entry::file("tag", tag.as_bytes())]])
            .extra(json!({ "created": format!("{created}-01-01T00:00:00Z") }))
            .make();
        load(&store, &format!("app:{tag}"), &image);
    }
    store.ok(&["image", "prune", "--all", "--force", "--keep-last", "2"]);
    assert_eq!(store.names(), ["app:2", "app:3"]);
}

#[test]
fn prune_asks_first() {
    let (store, _) = stocked();
    let ran = store.run_with(&["image", "prune", "--all"], b"n\n");
    ran.assert_says(&["WARNING", "[y/N]"]);
    assert_eq!(store.names().len(), 4);
    store
        .run_with(&["image", "prune", "--all"], b"y\n")
        .assert_ok();
    assert_eq!(store.names(), Vec::<String>::new());
}

#[test]
fn system_df_counts_shared_layers_once() {
    let store = Store::new();
    let base = [Entry::file("base", &noise(9, 100_000))];
    load(
        &store,
        "one:1",
        &recipe(&[&base, &[Entry::file("one", b"1")]]).make(),
    );
    load(
        &store,
        "two:1",
        &recipe(&[&base, &[Entry::file("two", b"2")]]).make(),
    );
    let table = store.ok(&["system", "df"]);
    let heads: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heads, ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    let size = store.ok(&[
        "system",
        "df",
        "--format",
        "{{.Type}}|{{.TotalCount}}|{{.Size}}",
    ]);
    assert!(size.starts_with("Images|2|100"), "{size}");
}
