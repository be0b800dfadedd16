use std::path::PathBuf;

use shiplap_model::Reference;

use super::{CachePlace, CachePlaceError};

#[test]
fn places_of_caches() {
    let check = |text: &str, expected: CachePlace| {
        assert_eq!(text.parse::<CachePlace>(), Ok(expected), "{text}");
    };
    let registry = |name: &str| CachePlace::Registry(Reference::parse(name).expect("a name"));
    check("user/app:cache", registry("user/app:cache"));
    check("user/app", registry("user/app:latest"));
    check(
        "type=registry,ref=localhost:5000/app",
        registry("localhost:5000/app:latest"),
    );
    check("type=registry,mode=max,ref=app:c", registry("app:c"));
    check(
        "type=local,src=/tmp/c",
        CachePlace::Local(PathBuf::from("/tmp/c")),
    );
    check(
        "type=local,dest=c,mode=max",
        CachePlace::Local(PathBuf::from("c")),
    );
    check(
        "\"type=local\",\"dest=a,b\"",
        CachePlace::Local(PathBuf::from("a,b")),
    );
    check("type=inline", CachePlace::Inline);
}

#[test]
fn places_that_are_none() {
    let check = |text: &str, is_expected: fn(&CachePlaceError) -> bool| {
        let error = text.parse::<CachePlace>().expect_err(text);
        assert!(is_expected(&error), "{text}: {error}");
    };
    check("type=gha", |error| {
        matches!(error, CachePlaceError::Kind(_))
    });
    check("ref=app", |error| matches!(error, CachePlaceError::Kind(_)));
    check("type=registry", |error| {
        matches!(error, CachePlaceError::Missing { key: "ref", .. })
    });
    check("type=local", |error| {
        matches!(error, CachePlaceError::Missing { key: "dest", .. })
    });
    check("user/APP", |error| {
        matches!(error, CachePlaceError::Reference { .. })
    });
    check("type=\"local", |error| {
        matches!(error, CachePlaceError::Quotes(_))
    });
}
