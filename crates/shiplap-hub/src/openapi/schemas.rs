//! The shapes of what the API takes and gives, as JSON Schema.

use serde_json::{Value, json};

/// A schema of the document by name.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A page of a list of things of a named shape.
pub(super) fn list_of(name: &str) -> Value {
    let address = json!({ "type": ["string", "null"], "format": "uri" });
    json!({
        "type": "object",
        "required": ["count", "results"],
        "properties": {
            "count": { "type": "integer", "description": "How many there are in all." },
            "next": address,
            "previous": address,
            "results": { "type": "array", "items": named(name) },
        },
    })
}

/// What a parameter in a path is.
pub(super) fn parameter(name: &str) -> &'static str {
    match name {
        "namespace" => "`library`, a user, an organisation, or a mirrored registry.",
        "repository" => "The rest of the repository's name.",
        "tag" => "A tag.",
        "reference" => "A tag, or the digest of a manifest.",
        "digest" => "A digest, as `sha256:…`.",
        "upload" => "An upload, as `Location` named it.",
        "token" => "The number of an access token.",
        _ => "",
    }
}

fn object(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

/// All that have names.
pub(super) fn schemas() -> Value {
    let mut all = found();
    for more in [repositories(), tokens()] {
        if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
            all.extend(more);
        }
    }
    all
}

fn found() -> Value {
    let (text, number, flag) = (
        json!({ "type": "string" }),
        json!({ "type": "integer", "minimum": 0 }),
        json!({ "type": "boolean" }),
    );
    let time = json!({ "type": "string", "format": "date-time" });
    let names = json!({ "type": "array", "items": text });
    json!({
        "Errors": object(&["errors"], &json!({
            "errors": { "type": "array", "minItems": 1, "items": object(&["code"], &json!({
                "code": text, "message": text, "detail": {},
            })) },
        })),
        "SearchResults": object(&["num_results", "results"], &json!({
            "page": number, "page_size": number, "num_pages": number, "num_results": number, "query": text,
            "results": { "type": "array", "items": object(
                &["name", "description", "star_count", "is_official"],
                &json!({
                    "name": text, "description": text, "star_count": number, "is_official": flag,
                    "is_automated": flag,
                }),
            ) },
        })),
        "Found": object(&["repo_name", "star_count", "pull_count", "is_official"], &json!({
            "repo_name": text, "short_description": text, "star_count": number, "pull_count": number,
            "repo_owner": text, "is_automated": flag, "is_official": flag, "is_private": flag,
            "last_updated": time,
        })),
        "Catalog": object(&["repositories"], &json!({ "repositories": names })),
        "Tags": object(&["name", "tags"], &json!({ "name": text, "tags": names })),
    })
}

fn repositories() -> Value {
    let (text, number, flag) = (
        json!({ "type": "string" }),
        json!({ "type": "integer", "minimum": 0 }),
        json!({ "type": "boolean" }),
    );
    let time = json!({ "type": "string", "format": "date-time" });
    let maybe = json!({ "type": ["string", "null"] });
    json!({
        "Repository": object(&["namespace", "name", "is_private", "star_count", "pull_count"], &json!({
            "user": text, "name": text, "namespace": text, "repository_type": text, "status": number,
            "status_description": text, "description": text, "full_description": text,
            "is_private": flag, "is_automated": flag, "star_count": number, "pull_count": number,
            "storage_size": number, "date_registered": time, "last_updated": time, "has_starred": flag,
        })),
        "RepositoryChange": object(&[], &json!({
            "description": { "type": "string", "description": "A line, of at most 512 bytes." },
            "full_description": { "type": "string", "description": "The README, in Markdown, of at most 256 KiB." },
            "is_private": flag,
        })),
        "Tag": object(&["name", "digest", "images", "full_size"], &json!({
            "name": text, "digest": text, "media_type": text, "content_type": text,
            "full_size": number, "last_updated": time, "tag_last_pushed": time, "tag_status": text, "v2": flag,
            "images": { "type": "array", "items": object(&["os", "architecture", "digest", "size"], &json!({
                "os": text, "architecture": text, "variant": maybe, "digest": text, "size": number,
                "features": text, "os_features": text, "os_version": maybe, "status": text, "last_pushed": time,
            })) },
        })),
    })
}

fn tokens() -> Value {
    let (text, number) = (
        json!({ "type": "string" }),
        json!({ "type": "integer", "minimum": 0 }),
    );
    let time = json!({ "type": "string", "format": "date-time" });
    let maybe = json!({ "type": ["string", "null"], "format": "date-time" });
    let level = json!({ "enum": ["public", "read", "write", "delete", "admin"] });
    json!({
        "Token": object(&["token", "expires_in"], &json!({
            "token": text, "access_token": text, "expires_in": number, "issued_at": time,
        })),
        "TokenForm": object(&["grant_type", "username", "password"], &json!({
            "grant_type": { "const": "password" }, "username": text, "password": text, "scope": text,
        })),
        "Login": object(&["username", "password"], &json!({ "username": text, "password": text })),
        "Session": object(&["token"], &json!({ "token": text })),
        "AccessToken": object(&["uuid", "token_label", "scopes"], &json!({
            "uuid": { "type": "string", "description": "Its number." },
            "token_label": text, "scopes": { "type": "array", "items": level },
            "token": { "type": "string", "description": "Its text; only when it was made just now." },
            "created_at": time, "expires_at": maybe, "last_used": maybe,
        })),
        "NewAccessToken": object(&["token_label"], &json!({
            "token_label": { "type": "string", "description": "What its user calls it." },
            "scopes": { "type": "array", "items": level, "description": "The highest counts; `read` if none." },
            "days": { "type": ["integer", "null"], "minimum": 0, "description": "Until it ends; none is never." },
        })),
    })
}
