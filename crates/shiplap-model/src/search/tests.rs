#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use super::*;

#[test]
fn reads_what_docker_hub_answers() {
    let text = r#"{"num_pages":4,"num_results":100,"results":[
        {"name":"python","description":"A language.","pull_count":1,"star_count":9,"is_trusted":false,"is_automated":false,"is_official":true},
        {"name":"a/b","description":null}],"page_size":25,"query":"python","page":1}"#;
    let found: SearchResults = serde_json::from_str(text).unwrap();
    assert_eq!(
        (
            found.page,
            found.page_size,
            found.num_pages,
            found.num_results
        ),
        (1, 25, 4, 100)
    );
    assert!(found.results[0].is_official && !found.results[0].is_automated);
    assert_eq!(found.results[0].star_count, 9);
    assert_eq!(found.results[1].description, "");
    let none: SearchResults = serde_json::from_str(r#"{"num_results":0,"results":null}"#).unwrap();
    assert!(none.results.is_empty());
    assert!(serde_json::from_str::<SearchResults>(r#"{"results":[{"description":"x"}]}"#).is_err());
}
