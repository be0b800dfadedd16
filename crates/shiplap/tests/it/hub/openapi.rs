//! The API's own document: Python's validators judge it, and answers by it.

use std::process::Command;

use serde_json::{Value, json};

use super::pages::furnished;
use crate::harness::judge;

/// Judges the document, then each answer by the schema that the document has for it.
const JUDGE: &str = r##"
import json, sys
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
told = json.load(sys.stdin)
document = told["document"]
OpenAPIV31SpecValidator(document).validate()
for answer in told["answers"]:
    operation = document["paths"][answer["path"]][answer["method"]]
    response = operation["responses"].get(str(answer["status"]), operation["responses"]["default"])
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].split("/")[-1]]
    schema = dict(next(iter(response["content"].values()))["schema"])
    schema["components"] = document["components"]
    Draft202012Validator.check_schema(schema)
    faults = [fault.message for fault in Draft202012Validator(schema).iter_errors(answer["body"])]
    assert not faults, (answer["path"], faults)
print("valid")
"##;

#[test]
fn the_document_is_valid_and_answers_keep_to_it() {
    let hub = furnished();
    let ask = |user: &str, method: &str, target: &str, body: &str| {
        let reply = hub.ask(user, method, target, &[], body.as_bytes());
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        (reply.status(), body)
    };
    let (status, document) = ask("", "GET", "/openapi.json", "");
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let repository = "/v2/repositories/{namespace}/{repository}";
    let login = r#"{"username":"ship","password":"lap-secret"}"#;
    let token = r#"{"token_label":"x","scopes":["read"]}"#;
    let change = r#"{"description":"new"}"#;
    let asked = [
        ("/v1/search", "get", "/v1/search?q=python", ""),
        ("/v1/_ping", "get", "/v1/_ping", ""),
        (
            "/v2/search/repositories",
            "get",
            "/v2/search/repositories?query=app&page_size=1",
            "",
        ),
        (
            "/v2/repositories/{namespace}",
            "get",
            "/v2/repositories/ship",
            "",
        ),
        (repository, "get", "/v2/repositories/ship/app", ""),
        (repository, "patch", "/v2/repositories/ship/app", change),
        (
            &format!("{repository}/tags"),
            "get",
            "/v2/repositories/ship/app/tags?page_size=2",
            "",
        ),
        (
            &format!("{repository}/tags/{{tag}}"),
            "get",
            "/v2/repositories/ship/app/tags/1.4",
            "",
        ),
        ("/token", "get", "/token?scope=repository:ship/app:pull", ""),
        ("/v2/users/login", "post", "/v2/users/login", login),
        ("/v2/access-tokens", "post", "/v2/access-tokens", token),
        ("/v2/access-tokens", "get", "/v2/access-tokens", ""),
        ("/v2/_catalog", "get", "/v2/_catalog", ""),
        (
            "/v2/{namespace}/{repository}/tags/list",
            "get",
            "/v2/ship/app/tags/list",
            "",
        ),
        (repository, "get", "/v2/repositories/ship/none", ""),
        ("/v2/_catalog", "get", "/v2/_catalog?n=x", ""),
    ];
    let answers: Vec<Value> = asked
        .iter()
        .map(|(path, method, target, body)| {
            let (status, body) = ask("ship", &method.to_uppercase(), target, body);
            json!({ "path": path, "method": method, "status": status, "body": body })
        })
        .collect();
    let Some(python) = judge::python("openapi_spec_validator") else {
        return;
    };
    let told = json!({ "document": document, "answers": answers });
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("told.json");
    std::fs::write(&file, told.to_string()).unwrap();
    let output = Command::new(python)
        .args(["-c", JUDGE])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(output.stdout, b"valid\n");
}
