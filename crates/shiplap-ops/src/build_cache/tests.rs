//! Filters of what builds keep.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

#[test]
fn filters() {
    let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
    let object = CacheObject {
        id: "abc123".into(),
        kind: CacheKind::Mount,
        description: "/root/.cache/pip".into(),
        size_bytes: 5,
        layer: None,
        created: now,
        used: "2026-04-30T12:00:00Z".parse().unwrap(),
        uses: 1,
        is_shared: false,
        is_in_use: false,
    };
    let check = |words: &[&str], want: Option<bool>| {
        let mut filters = Filters::default();
        for word in words {
            filters.add_argument(word).unwrap();
        }
        let found = Wanted::new(&filters, now).map(|wanted| wanted.takes(&object));
        assert_eq!(found.ok(), want, "{words:?}");
    };
    check(&[], Some(true));
    check(&["until=12h"], Some(true));
    check(&["unused-for=48h"], Some(false));
    check(&["until=12h", "until=48h"], Some(false));
    check(&["id=abc"], Some(true));
    check(&["id=bc"], Some(false));
    check(&["type=exec.cachemount"], Some(true));
    check(&["type=regular"], Some(false));
    check(&["type=moon"], None);
    check(&["description=pip"], Some(true));
    check(&["description=apt"], Some(false));
    check(&["shared=true"], Some(false));
    check(&["private=true", "inuse=false"], Some(true));
    check(&["shared=maybe"], None);
    check(&["nope=1"], None);
    check(&["until=yesterday"], None);
}
