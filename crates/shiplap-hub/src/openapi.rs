//! `/openapi.json`: the hub's API told to programs, by OpenAPI 3.1.
//!
//! Made from the route table, so no route for programs can be missing; who may call it is told from
//! what the route asks of its caller. Pages are for people and not in it.

mod operations;
mod schemas;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::authorization::{Need, Right, Role};
use crate::call::{Call, json_answer};
use crate::refusal::Refusal;
use crate::routes::{Face, ROUTES, Route};

use self::operations::{Answer, Operation, operations};

/// `GET /openapi.json`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    Ok(json_answer(StatusCode::OK, &document(&call.url())))
}

/// The document, for a hub at `url`.
fn document(url: &str) -> Value {
    let operations = operations();
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.face == Face::Api) {
        let is_its =
            |told: &&Operation| told.method == route.method && told.pattern == route.pattern;
        let told = operations.iter().find(is_its);
        let path = paths
            .entry(path_of(route.pattern))
            .or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = described(route, told);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Shiplap hub",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A registry of container images, with search, users and organisations.",
            "description": "The OCI distribution API 1.1, Docker's token protocol, and Docker Hub's way of \
              finding. What one may not see is answered as if it were not there. A repository's name has two \
              components or more: further ones are part of `repository`, their slashes as they are or as `%2F`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": url }],
        "tags": operations::TAGS.iter().map(|(name, description)| {
            json!({ "name": name, "description": description })
        }).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas::schemas(),
            "responses": {
                "Problem": {
                    "description": "Not done; `code` and `message` say why.",
                    "content": { "application/json": { "schema": schemas::named("Errors") } },
                },
            },
            "securitySchemes": {
                "basic": {
                    "type": "http", "scheme": "basic",
                    "description": "A name with a password or an access token.",
                },
                "bearer": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A token of `/token`, for repositories, or of `/v2/users/login`, for all.",
                },
            },
        },
    })
}

/// A pattern of the table as a path of OpenAPI, whose parameters are single components.
fn path_of(pattern: &str) -> String {
    pattern.replace("{name}", "{namespace}/{repository}")
}

fn described(route: &Route, told: Option<&Operation>) -> Value {
    let mut operation = json!({
        "operationId": told.map_or_else(|| id_of(route), |told| told.id.to_owned()),
        "description": who_may(route.need),
        "security": security(route.need),
        "parameters": parameters(route, told),
        "responses": { "default": { "$ref": "#/components/responses/Problem" } },
    });
    let Some(told) = told else {
        return operation;
    };
    operation["summary"] = told.summary.into();
    operation["tags"] = json!([told.tag]);
    for answer in &told.answers {
        operation["responses"][answer.status.to_string()] = answered(answer, &route.method);
    }
    if let Some((kind, schema)) = &told.body {
        let content = json!({ *kind: { "schema": schema } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn id_of(route: &Route) -> String {
    format!("{} {}", route.method, route.pattern)
}

fn answered(answer: &Answer, method: &Method) -> Value {
    let mut told = json!({ "description": answer.description });
    if let Some((kind, schema)) = answer.body.as_ref().filter(|_| *method != Method::HEAD) {
        told["content"] = json!({ *kind: { "schema": schema } });
    }
    told
}

fn who_may(need: Need) -> &'static str {
    match need {
        Need::Nothing => "Everybody may; what is told depends on what the caller may see.",
        Need::Credential => "Any credential will do, also the token that everybody gets.",
        Need::Account => "With the user's password, or a credential of level `admin`.",
        Need::Site => "Those who run the hub.",
        Need::Repository(Right::Pull) => "Whoever may pull: everybody, if it is public.",
        Need::Repository(Right::Push) => "Whoever may push: writers and owners of the namespace.",
        Need::Repository(Right::Delete) => {
            "Whoever may delete: writers and owners of the namespace."
        }
        Need::Repository(Right::Star) => "Any user who sees the repository.",
        Need::Repository(Right::Administer) => "Owners of the namespace.",
        Need::Namespace(Role::Reader) => "Members of the namespace.",
        Need::Namespace(Role::Writer | Role::Owner) => "Owners of the namespace.",
    }
}

/// An empty entry is nobody in particular.
fn security(need: Need) -> Value {
    match need {
        Need::Nothing | Need::Repository(Right::Pull) => {
            json!([{}, { "basic": [] }, { "bearer": [] }])
        }
        _ => json!([{ "basic": [] }, { "bearer": [] }]),
    }
}

fn parameters(route: &Route, told: Option<&Operation>) -> Vec<Value> {
    let path = path_of(route.pattern);
    let names = path.split('/').filter_map(|component| {
        component
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
    });
    let mut parameters: Vec<Value> = names
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true,
                "description": schemas::parameter(name), "schema": { "type": "string" },
            })
        })
        .collect();
    for query in told.map_or(&[][..], |told| &told.query) {
        parameters.push(json!({
            "name": query.name, "in": "query", "required": query.is_required,
            "description": query.description, "schema": query.schema,
        }));
    }
    parameters
}

#[cfg(test)]
mod tests;
