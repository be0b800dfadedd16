use std::path::PathBuf;

use shiplap_model::Reference;

use super::{CacheBreadth, CachePlace, CachePlaceError, CacheTarget};

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
    check(
        "type=registry,ref=app:c,image-manifest=true",
        registry("app:c"),
    );
    check(
        "type=local,src=/tmp/c",
        CachePlace::Local(PathBuf::from("/tmp/c")),
    );
    check("type=local,dest=c", CachePlace::Local(PathBuf::from("c")));
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
    check("type=gha,url=http://h", |error| {
        matches!(error, CachePlaceError::Kind(_))
    });
    check(
        "type=local,src=a,digest=sha256:0",
        |error| matches!(error, CachePlaceError::Field { field, .. } if field == "digest=sha256:0"),
    );
}

#[test]
fn targets_say_how_much() {
    let check = |words: &str, breadth: CacheBreadth, ignores_errors: bool| {
        let text = format!("type=local,dest=c{words}");
        let target: CacheTarget = text.parse().expect(&text);
        let place = CachePlace::Local(PathBuf::from("c"));
        let expected = CacheTarget {
            place,
            breadth,
            ignores_errors,
        };
        assert_eq!(target, expected, "{text}");
    };
    check("", CacheBreadth::All, false);
    check(",mode=max", CacheBreadth::All, false);
    check(",mode=min,oci-mediatypes=true", CacheBreadth::Image, false);
    check(",ignore-error=true", CacheBreadth::All, true);
    for words in ["mode=most", "compression=zstd", "oci-mediatypes=false"] {
        let text = format!("type=local,dest=c,{words}");
        let error = text.parse::<CacheTarget>().expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}
