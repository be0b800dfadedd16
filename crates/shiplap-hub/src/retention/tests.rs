#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use tempfile::TempDir;

use super::*;
use crate::database::Database;
use crate::records::namespaces::{self, Kind};
use crate::records::repositories::{self, Name};

#[test]
fn patterns_fit_whole_names() {
    let check = |pattern: &str, name: &str, want: bool| {
        assert_eq!(fits(pattern, name), want, "{pattern} {name}");
    };
    check("latest", "latest", true);
    check("latest", "latest2", false);
    check("v*", "v1.2", true);
    check("v*", "1v", false);
    check("*-rc", "1-rc", true);
    check("*-rc", "1-rc2", false);
    check("v*.*-rc*", "v1.2-rc3", true);
    check("v*.*-rc*", "v1-rc3", false);
    check("*", "", true);
    check("**", "x", true);
    check("a*a", "a", false);
    check("", "x", false);
}

/// A repository with tags `old`, `new` and `index`: the index has `part`, which no tag names.
fn filled(tx: &dyn Tx, now: i64) -> Result<i64, DatabaseError> {
    namespaces::add(tx, "ship", Kind::User)?;
    let name = Name::parse("ship/app").unwrap();
    let id = repositories::ensure(tx, &name, false)?;
    let manifest = |word: &str, days: i64, subject: Option<&str>| {
        let sql = "INSERT INTO manifests (repository, digest, media_type, subject, image_bytes,
          size_bytes, content, pushed_us) VALUES (?1, ?2, 'x', ?3, 0, 0, ?4, ?5)";
        let digest = Digest::of(word.as_bytes());
        let pushed = now - days * DAY_US;
        tx.execute(sql, values![id, &digest, subject, vec![0_u8], pushed])
    };
    let tag = |name: &str, word: &str, days: i64| {
        let sql = "INSERT INTO tags (repository, name, digest, pushed_us) VALUES (?1, ?2, ?3, ?4)";
        let digest = Digest::of(word.as_bytes());
        tx.execute(sql, values![id, name, &digest, now - days * DAY_US])
    };
    for word in ["old", "new", "index", "part", "loose"] {
        manifest(word, 50, None)?;
    }
    manifest("about-new", 50, Some(Digest::of(b"new").as_str()))?;
    manifest("about-none", 50, Some(Digest::of(b"none").as_str()))?;
    tag("old", "old", 40)?;
    tag("new", "new", 1)?;
    tag("index", "index", 40)?;
    let sql = "INSERT INTO manifest_parts (repository, manifest, digest, is_manifest)
      VALUES (?1, ?2, ?3, 1)";
    let (index, part) = (Digest::of(b"index"), Digest::of(b"part"));
    tx.execute(sql, values![id, &index, &part])?;
    Ok(id)
}

#[test]
fn rules_take_what_they_let_go() {
    let check = |rules: Rules, tags: &[&str], manifests: &[&str]| {
        let folder = TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("hub.db")).unwrap();
        let now = 1_000 * DAY_US;
        let kept = database.write_now(move |tx| {
            let id = filled(tx, now)?;
            rules.apply(tx, id, now)?;
            let texts = |sql: &str| {
                let rows = tx.rows(sql, values![id])?;
                let texts = rows.iter().map(|row| row.text(0));
                texts.collect::<Result<Vec<_>, DatabaseError>>()
            };
            Ok::<_, DatabaseError>((
                texts("SELECT name FROM tags WHERE repository = ?1 ORDER BY name")?,
                texts("SELECT digest FROM manifests WHERE repository = ?1")?,
            ))
        });
        let (found_tags, found_manifests) = kept.unwrap();
        assert_eq!(found_tags, tags);
        let named = |word: &&str| {
            let digest = Digest::of(word.as_bytes());
            found_manifests.iter().any(|it| it == digest.as_str())
        };
        let all = [
            "old",
            "new",
            "index",
            "part",
            "loose",
            "about-new",
            "about-none",
        ];
        let found: Vec<&str> = all.into_iter().filter(named).collect();
        assert_eq!(found, manifests);
    };
    let all = [
        "old",
        "new",
        "index",
        "part",
        "loose",
        "about-new",
        "about-none",
    ];
    let rules = Rules::default;
    check(rules(), &["index", "new", "old"], &all);
    let days = |days| Rules {
        keep_days: Some(days),
        ..rules()
    };
    check(days(60), &["index", "new", "old"], &all);
    check(days(30), &["new"], &all);
    let newest = Rules {
        keep_newest: 2,
        ..days(30)
    };
    check(newest, &["index", "new"], &all);
    let matching = Rules {
        keep_matching: vec!["o*".to_owned()],
        ..days(30)
    };
    check(matching, &["new", "old"], &all);
    let untagged = Rules {
        keep_untagged_days: Some(30),
        ..rules()
    };
    let kept = ["old", "new", "index", "part", "about-new"];
    check(untagged, &["index", "new", "old"], &kept);
    // An index that loses its tag goes with its parts, and not before.
    let both = Rules {
        keep_untagged_days: Some(30),
        ..days(30)
    };
    check(both, &["new"], &["new", "about-new"]);
}
