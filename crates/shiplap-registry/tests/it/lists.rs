//! Tags, catalogs, searches: pages, and registries that page without end.

use serde_json::json;
use shiplap_model::reference::Repository;
use shiplap_registry::{Error, RegistryRule};

use crate::double::{Asked, Double, Reply};
use crate::{client, client_with, repository};

fn tags(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Result<Vec<String>, String> {
    let double = Double::start(reply);
    client()
        .list_tags(&repository(&double, "a/b"))
        .map_err(|error| error.to_string())
}

fn page(tags: &[&str]) -> Reply {
    Reply::ok(json!({"name": "a/b", "tags": tags}).to_string())
}

#[test]
fn pages_are_followed() {
    let all = tags(|asked| match asked.path.as_str() {
        "/v2/a/b/tags/list" => page(&["1", "2"]).header(
            "Link",
            "</x,y>; rel=prev, </v2/a/b/tags/list?last=2>; rel=\"next\"",
        ),
        "/v2/a/b/tags/list?last=2" => {
            let next = format!(
                "<http://{}/v2/a/b/tags/list?last=3,4>;rel=next",
                asked.header("host").unwrap()
            );
            page(&["3"]).header("Link", next)
        }
        _ => page(&["4"]).header("Link", "<ignored>; title=next"),
    });
    assert_eq!(all.unwrap(), ["1", "2", "3", "4"]);
    assert_eq!(
        tags(|_| Reply::ok(r#"{"name":"a/b","tags":null}"#)).unwrap(),
        [] as [&str; 0]
    );
}

#[test]
fn pages_that_lead_nowhere_good() {
    for (link, words) in [
        ("</v2/a/b/tags/list>; rel=next", "there before"),
        ("</v2/a/b/tags/list?x>; rel=next", "there before"),
        ("<http://elsewhere.test/v2/>; rel=next", "another host"),
        ("<http://127.0.0.1:1/v2/>; rel=next", "another host"),
        ("<file:///etc/passwd>; rel=next", "another host"),
        ("<http://[>; rel=next", "no address"),
    ] {
        let got = tags(move |_| page(&["x"]).header("Link", link));
        let error = got.unwrap_err();
        assert!(error.contains(words), "{link}: {error}");
    }
    assert!(tags(|_| Reply::ok("[]]")).unwrap_err().contains("JSON"));
    assert!(
        tags(|_| Reply::new(200).endless(&[b' '; 65536]))
            .unwrap_err()
            .contains("larger than")
    );
}

#[test]
fn catalog() {
    let double = Double::start(|asked| match asked.path.as_str() {
        "/v2/_catalog" => Reply::ok(r#"{"repositories":["a"]}"#)
            .header("Link", "</v2/_catalog?n=1&last=a>; rel=\"next\""),
        _ => Reply::ok(r#"{"repositories":["b/c"]}"#),
    });
    assert_eq!(client().catalog(&double.host()).unwrap(), ["a", "b/c"]);
}

#[test]
fn search() {
    let double = Double::start(|asked| {
        assert_eq!(asked.path, "/v1/search?q=my+app%2F&n=2");
        Reply::ok(
            json!({"num_results": 3, "results": [
                {"name": "a", "description": "first", "star_count": 7, "is_official": true},
                {"name": "b", "description": null},
                {"name": "more than asked for"},
            ]})
            .to_string(),
        )
    });
    let found = client().search(&double.host(), "my app/", 2).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|result| result.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!((found[0].star_count, found[0].is_official), (7, true));

    let double = Double::start(|asked| match asked.path.as_str() {
        "/v2/_catalog" => Reply::ok(r#"{"repositories":["x/python","y"]}"#),
        _ => Reply::new(404),
    });
    let found = client().search(&double.host(), "pyth", 25).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|result| result.name.as_str())
            .collect::<Vec<_>>(),
        ["x/python"]
    );
    let double = Double::start(|_| Reply::new(404));
    assert!(matches!(
        client().search(&double.host(), "x", 25),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn details_of_tags() {
    let double = Double::start(|asked| {
        let next = format!(
            "http://{}/v2/repositories/library/a/tags?page=2",
            asked.header("host").unwrap()
        );
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        match asked.path.as_str() {
            "/v2/repositories/library/a/tags?page_size=3" => Reply::ok(json!({"count": 3, "next": next, "results": [
                {"name": "3", "last_updated": "2026-01-01T00:00:00Z", "full_size": 10, "digest": digest, "images": [
                    {"os": "linux", "architecture": "arm64", "variant": "v8", "size": 5, "digest": digest},
                    {"os": "linux", "architecture": "amd64", "variant": null},
                ]},
                {"name": "2", "last_updated": null, "full_size": null, "digest": "bad", "images": []},
            ]}).to_string()),
            _ => Reply::ok(json!({"next": null, "results": [{"name": "1"}, {"name": "0"}]}).to_string()),
        }
    });
    let location = Some(double.host());
    let rule = RegistryRule {
        prefix: "docker.io".to_owned(),
        location,
        ..RegistryRule::default()
    };
    let (client, _) = client_with(vec![rule]);
    let details = client
        .tag_details(&Repository::parse("a").unwrap(), 3)
        .unwrap();
    assert_eq!(
        details
            .iter()
            .map(|tag| tag.name.as_str())
            .collect::<Vec<_>>(),
        ["3", "2", "1"]
    );
    assert_eq!(
        (details[0].size_bytes, details[0].images.len()),
        (Some(10), 2)
    );
    assert_eq!(details[0].images[0].variant.as_deref(), Some("v8"));
    assert!(details[0].digest.is_some() && details[1].digest.is_none());
}
