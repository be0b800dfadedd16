//! What each route for programs does, takes and gives: the words beside the route table.

use axum::http::Method;
use serde_json::{Value, json};

use super::schemas::{list_of, named};

/// The chapters of the document.
pub(super) const TAGS: &[(&str, &str)] = &[
    (FIND, "Searching, in Docker Hub's two shapes."),
    (REPOSITORIES, "Repositories and tags in Docker Hub's shape."),
    (TOKENS, "Signing in, tokens and access tokens."),
    (REGISTRY, "The OCI distribution API 1.1."),
    (SITE, "For those who run the hub."),
];

const FIND: &str = "find";
const REPOSITORIES: &str = "repositories";
const TOKENS: &str = "tokens";
const REGISTRY: &str = "registry";
const SITE: &str = "site";

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const BYTES: &str = "application/octet-stream";
const FORM: &str = "application/x-www-form-urlencoded";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A parameter in the query.
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Value,
    pub(super) is_required: bool,
}

/// An answer when it is done.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    /// Media type and schema.
    pub(super) body: Option<(&'static str, Value)>,
}

/// What is told of a route beyond the table.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) pattern: &'static str,
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: Vec<Query>,
    pub(super) body: Option<(&'static str, Value)>,
    pub(super) answers: Vec<Answer>,
}

fn operation(
    tag: &'static str,
    method: Method,
    pattern: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        pattern,
        id,
        tag,
        summary,
        query: Vec::new(),
        body: None,
        answers: Vec::new(),
    }
}

impl Operation {
    fn text(self, name: &'static str, description: &'static str) -> Self {
        self.query(name, description, json!({ "type": "string" }), false)
    }

    fn needed(self, name: &'static str, description: &'static str) -> Self {
        self.query(name, description, json!({ "type": "string" }), true)
    }

    fn number(self, name: &'static str, description: &'static str) -> Self {
        let schema = json!({ "type": "integer", "minimum": 0 });
        self.query(name, description, schema, false)
    }

    fn query(
        mut self,
        name: &'static str,
        description: &'static str,
        schema: Value,
        is_required: bool,
    ) -> Self {
        self.query.push(Query {
            name,
            description,
            schema,
            is_required,
        });
        self
    }

    fn paged(self) -> Self {
        self.number("page", "Which page, from 1.")
            .number("page_size", "How many on a page, at most 100.")
    }

    fn takes(mut self, kind: &'static str, schema: Value) -> Self {
        self.body = Some((kind, schema));
        self
    }

    fn gives(
        mut self,
        status: u16,
        description: &'static str,
        kind: &'static str,
        schema: Value,
    ) -> Self {
        self.answers.push(Answer {
            status,
            description,
            body: Some((kind, schema)),
        });
        self
    }

    fn says(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push(Answer {
            status,
            description,
            body: None,
        });
        self
    }
}

fn bytes() -> Value {
    json!({})
}

fn string() -> Value {
    json!({ "type": "string" })
}

/// All of them.
pub(super) fn operations() -> Vec<Operation> {
    [
        site(),
        find(),
        repositories(),
        tokens(),
        registry(),
        contents(),
        uploads(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn site() -> Vec<Operation> {
    let get = |pattern, id, summary| operation(SITE, Method::GET, pattern, id, summary);
    vec![
        get("/health/live", "live", "Whether the process answers.").gives(
            200,
            "It does.",
            TEXT,
            string(),
        ),
        get(
            "/health/ready",
            "ready",
            "Whether the database answers, too.",
        )
        .gives(200, "It does.", TEXT, string()),
        get("/metrics", "metrics", "Numbers for Prometheus.").gives(
            200,
            "In Prometheus' text form.",
            TEXT,
            string(),
        ),
        get("/openapi.json", "openapi", "This document.").gives(
            200,
            "By OpenAPI 3.1.",
            JSON,
            json!({ "type": "object" }),
        ),
    ]
}

fn find() -> Vec<Operation> {
    let get = |pattern, id, summary| operation(FIND, Method::GET, pattern, id, summary);
    vec![
        get(
            "/v1/search",
            "search",
            "Repositories by words, as `docker search` asks.",
        )
        .text(
            "q",
            "Words of name, description, labels or README; the beginning of one will do.",
        )
        .number("n", "How many on a page, at most 100.")
        .number("page", "Which page, from 1.")
        .gives(200, "The best first.", JSON, named("SearchResults")),
        get(
            "/v1/_ping",
            "pingV1",
            "Whether this is a registry, as old clients ask.",
        )
        .gives(200, "It is.", JSON, json!({ "const": true })),
        get(
            "/v2/search/repositories",
            "searchRepositories",
            "Repositories by words, in Docker Hub's newer shape.",
        )
        .text("query", "Words, as above.")
        .paged()
        .gives(200, "The best first.", JSON, list_of("Found")),
    ]
}

fn repositories() -> Vec<Operation> {
    let on = |method, pattern, id, summary| operation(REPOSITORIES, method, pattern, id, summary);
    let one = "/v2/repositories/{name}";
    vec![
        on(
            Method::GET,
            "/v2/repositories/{namespace}",
            "listRepositories",
            "Repositories of a namespace that the caller may see.",
        )
        .paged()
        .gives(200, "By name.", JSON, list_of("Repository")),
        on(Method::GET, one, "getRepository", "A repository.").gives(
            200,
            "With its README.",
            JSON,
            named("Repository"),
        ),
        on(
            Method::PATCH,
            one,
            "changeRepository",
            "Changes description, README or visibility; what is not said stays.",
        )
        .takes(JSON, named("RepositoryChange"))
        .gives(200, "As it is now.", JSON, named("Repository")),
        on(
            Method::DELETE,
            one,
            "removeRepository",
            "Removes a repository with all that is in it.",
        )
        .says(202, "It is gone."),
        on(
            Method::GET,
            "/v2/repositories/{name}/tags",
            "listTagsWithImages",
            "Tags with sizes and platforms.",
        )
        .paged()
        .text("name", "A part of the tags' names.")
        .gives(200, "The newest first.", JSON, list_of("Tag")),
        on(
            Method::GET,
            "/v2/repositories/{name}/tags/{tag}",
            "getTag",
            "A tag with sizes and platforms.",
        )
        .gives(200, "The tag.", JSON, named("Tag")),
        on(
            Method::PUT,
            "/v2/repositories/{name}/star",
            "star",
            "Likes a repository.",
        )
        .says(204, "It is liked."),
        on(
            Method::DELETE,
            "/v2/repositories/{name}/star",
            "unstar",
            "Likes it no longer.",
        )
        .says(204, "It is not liked."),
    ]
}

fn tokens() -> Vec<Operation> {
    let on = |method, pattern, id, summary| operation(TOKENS, method, pattern, id, summary);
    vec![
        on(
            Method::GET,
            "/token",
            "getToken",
            "A token for what the caller may do of what is asked, good for five minutes.",
        )
        .text("service", "What the challenge said.")
        .text(
            "scope",
            "`repository:NAME:pull,push,delete`; may be given often.",
        )
        .gives(200, "A token.", JSON, named("Token")),
        on(
            Method::POST,
            "/token",
            "postToken",
            "The same by OAuth2's form, with name and password in the body.",
        )
        .takes(FORM, named("TokenForm"))
        .gives(200, "A token.", JSON, named("Token")),
        on(
            Method::POST,
            "/v2/users/login",
            "login",
            "A token for the whole API, good for twelve hours.",
        )
        .takes(JSON, named("Login"))
        .gives(200, "A token.", JSON, named("Session")),
        on(
            Method::GET,
            "/v2/access-tokens",
            "listAccessTokens",
            "The caller's access tokens.",
        )
        .gives(200, "Without their texts.", JSON, list_of("AccessToken")),
        on(
            Method::POST,
            "/v2/access-tokens",
            "createAccessToken",
            "Makes an access token.",
        )
        .takes(JSON, named("NewAccessToken"))
        .gives(
            201,
            "Its text is told this once.",
            JSON,
            named("AccessToken"),
        ),
        on(
            Method::DELETE,
            "/v2/access-tokens/{token}",
            "removeAccessToken",
            "Revokes an access token.",
        )
        .says(204, "It is good no more."),
    ]
}

const LAST: &str = "The last of the page before.";

fn registry() -> Vec<Operation> {
    let on = |method, pattern, id, summary| operation(REGISTRY, method, pattern, id, summary);
    let page = "How many, at most 10,000.";
    vec![
        on(Method::GET, "/v2", "ping", "Whether this is a registry.").gives(
            200,
            "It is.",
            JSON,
            json!({ "type": "object" }),
        ),
        on(Method::HEAD, "/v2", "pingHead", "The same, without a body.").says(200, "It is."),
        on(
            Method::GET,
            "/v2/_catalog",
            "catalog",
            "Names of repositories that the caller may see.",
        )
        .number("n", page)
        .text("last", LAST)
        .gives(
            200,
            "Sorted; `Link` leads to the next page.",
            JSON,
            named("Catalog"),
        ),
        on(
            Method::GET,
            "/v2/{name}/tags/list",
            "listTags",
            "Names of tags.",
        )
        .number("n", page)
        .text("last", LAST)
        .gives(
            200,
            "Sorted; `Link` leads to the next page.",
            JSON,
            named("Tags"),
        ),
    ]
}

/// Manifests and blobs.
fn contents() -> Vec<Operation> {
    let on = |method, pattern, id, summary| operation(REGISTRY, method, pattern, id, summary);
    let (manifest, blob) = (
        "/v2/{name}/manifests/{reference}",
        "/v2/{name}/blobs/{digest}",
    );
    vec![
        on(
            Method::GET,
            "/v2/{name}/referrers/{digest}",
            "listReferrers",
            "Manifests that are about another one.",
        )
        .text("artifactType", "Only of this type.")
        .text("last", LAST)
        .gives(200, "An index.", INDEX, json!({ "type": "object" })),
        on(
            Method::GET,
            manifest,
            "getManifest",
            "A manifest or index, by tag or digest.",
        )
        .gives(200, "Its bytes.", MANIFEST, json!({ "type": "object" })),
        on(
            Method::HEAD,
            manifest,
            "headManifest",
            "Its digest, type and length.",
        )
        .says(200, "In the headers."),
        on(
            Method::PUT,
            manifest,
            "putManifest",
            "Pushes a manifest or index.",
        )
        .text("tag", "A further tag; may be given often.")
        .takes(MANIFEST, json!({ "type": "object" }))
        .says(201, "It is stored."),
        on(
            Method::DELETE,
            manifest,
            "removeManifest",
            "Takes a tag away, or a manifest with its tags.",
        )
        .says(202, "It is gone."),
        on(Method::GET, blob, "getBlob", "A blob, or a range of it.")
            .gives(200, "Its bytes.", BYTES, bytes())
            .gives(206, "A range of them.", BYTES, bytes()),
        on(Method::HEAD, blob, "headBlob", "Its length.").says(200, "In the headers."),
        on(
            Method::DELETE,
            blob,
            "removeBlob",
            "Takes a blob from a repository.",
        )
        .says(202, "It is gone."),
    ]
}

fn uploads() -> Vec<Operation> {
    let on = |method, pattern, id, summary| operation(REGISTRY, method, pattern, id, summary);
    let upload = "/v2/{name}/blobs/uploads/{upload}";
    vec![
        on(
            Method::POST,
            "/v2/{name}/blobs/uploads",
            "beginUpload",
            "Begins an upload, takes a blob whole, or mounts one of another repository.",
        )
        .text("digest", "The digest of the blob that the body is.")
        .text("mount", "The digest of a blob to be mounted.")
        .text("from", "The repository that has it.")
        .text(
            "digest-algorithm",
            "By what the blob will be named, if not sha256.",
        )
        .says(201, "The blob is there; `Location` is where.")
        .says(202, "The upload goes on at `Location`."),
        on(Method::GET, upload, "uploadStatus", "How far an upload is.")
            .says(204, "`Range` says it."),
        on(
            Method::PATCH,
            upload,
            "appendUpload",
            "Appends to an upload.",
        )
        .takes(BYTES, bytes())
        .says(202, "`Range` says how far it is."),
        on(
            Method::PUT,
            upload,
            "finishUpload",
            "Appends what it brings, and makes the upload a blob.",
        )
        .needed("digest", "What the blob's bytes have.")
        .takes(BYTES, bytes())
        .says(201, "The blob is there; `Location` is where."),
        on(Method::DELETE, upload, "cancelUpload", "Forgets an upload.")
            .says(204, "It is forgotten."),
    ]
}
