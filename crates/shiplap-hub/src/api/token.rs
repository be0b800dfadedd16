//! Tokens: for repositories by Docker's protocol, for the whole API by signing in, and access tokens,
//! which programs use for passwords.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use shiplap_model::distribution::TokenResponse;
use shiplap_model::limits;

use crate::authentication::{self, Known};
use crate::authorization::{self, Caller, Decision, Grant, Level, Need, Right};
use crate::call::{self, Call, With as _, answer, json_answer};
use crate::database::Durability;
use crate::issuer::{Bearer, SESSION_SECONDS, TOKEN_SECONDS};
use crate::records::repositories::{self, Name};
use crate::records::{now_us, rfc3339, tokens};
use crate::refusal::Refusal;

fn now() -> u64 {
    u64::try_from(now_us() / 1_000_000).unwrap_or(0)
}

/// `GET /token?service=…&scope=…`: a token for what the caller may do of what is asked; everybody
/// gets one, if only for what is public.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let scopes = call.queries("scope");
    issue(&call, call.caller.clone(), &scopes).await
}

/// `POST /token`: the same by OAuth2's form, with name and password in the body.
pub(crate) async fn post(mut call: Call) -> Result<Response, Refusal> {
    const FORM_BYTES: u64 = 64 << 10;
    let bytes = call.bytes(FORM_BYTES).await?;
    let form: Vec<(String, String)> = call::pairs(&String::from_utf8_lossy(&bytes)).collect();
    let field = |name: &str| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    };
    let caller = match field("grant_type") {
        "password" => {
            let (name, password) = (field("username"), field("password"));
            match authentication::sign_in(&call.hub, name, password).await {
                Ok(user) => Caller {
                    user: Some(user),
                    has_credential: true,
                    grants: None,
                },
                Err(known) => return Err(wrong(known)),
            }
        }
        "" => call.caller.clone(),
        _ => {
            return Err(Refusal::Parameter {
                name: "grant_type",
                reason: "not password",
            });
        }
    };
    let scopes = form.iter().filter(|(key, _)| key == "scope");
    let scopes: Vec<String> = scopes.map(|(_, value)| value.clone()).collect();
    issue(&call, caller, &scopes).await
}

fn wrong(known: Known) -> Refusal {
    match known {
        Known::Failed(refusal) => refusal,
        Known::Nobody => Refusal::Credential {
            challenge: "Basic realm=\"shiplap hub\"".to_owned(),
        },
    }
}

async fn issue(call: &Call, caller: Caller, scopes: &[String]) -> Result<Response, Refusal> {
    // A token makes no further tokens: it would never end.
    if caller.has_credential && caller.user.is_none() || caller.grants.is_some() {
        return Err(wrong(Known::Nobody));
    }
    let scopes: Vec<(Name, Vec<Right>)> = scopes
        .iter()
        .flat_map(|scopes| scopes.split(' '))
        .take(limits::TOKEN_SCOPES)
        .filter_map(scope)
        .collect();
    let asking = caller.clone();
    let read = call.hub.database.read(move |tx| {
        let mut grants = Vec::new();
        for (name, rights) in scopes {
            let place = repositories::place(tx, &name, asking.user.as_ref())?;
            let may = |right: &Right| {
                let need = Need::Repository(*right);
                authorization::decide(&asking, need, Some(&place)) == Decision::Allow
            };
            let rights = rights.into_iter().filter(may);
            grants.push(Grant {
                repository: name.as_str().to_owned(),
                actions: rights.map(|right| right.action().to_owned()).collect(),
            });
        }
        Ok::<_, Refusal>(grants)
    });
    let grants = read.await?;
    let bearer = Bearer {
        user: caller.user.as_ref().map(|user| user.id),
        level: caller
            .user
            .as_ref()
            .map_or(Level::Public, |user| user.level),
        grants: Some(grants),
    };
    let token = token(call, &bearer, TOKEN_SECONDS)?;
    let response = TokenResponse {
        token: Some(token.clone()),
        access_token: Some(token),
        expires_in: Some(TOKEN_SECONDS),
        issued_at: Some(rfc3339(now_us())),
        refresh_token: None,
    };
    Ok(json_answer(StatusCode::OK, &response).with(header::CACHE_CONTROL, "no-store"))
}

fn token(call: &Call, bearer: &Bearer, seconds: u64) -> Result<String, Refusal> {
    let issued = call.hub.issuer.issue(bearer, now(), seconds);
    issued.map_err(|error| {
        tracing::error!("failed to {error}");
        Refusal::Busy
    })
}

/// Reads `repository:<name>:<action>,<action>`; other scopes mean nothing here.
fn scope(text: &str) -> Option<(Name, Vec<Right>)> {
    let (name, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
    let mut rights = Vec::new();
    for action in actions.split(',') {
        match action {
            "*" => rights.extend([Right::Pull, Right::Push, Right::Delete]),
            action => rights.extend(Right::of_action(action)),
        }
    }
    Some((Name::parse(name).ok()?, rights))
}

/// A name and a password.
#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

/// `POST /v2/users/login`: a token for the whole API, as Docker Hub gives it.
pub(crate) async fn login(mut call: Call) -> Result<Response, Refusal> {
    let login: Login = call.json().await?;
    let signing_in = authentication::sign_in(&call.hub, &login.username, &login.password);
    let user = signing_in.await.map_err(wrong)?;
    let bearer = Bearer {
        user: Some(user.id),
        level: user.level,
        grants: None,
    };
    let token = token(&call, &bearer, SESSION_SECONDS)?;
    let body = json!({ "token": token });
    Ok(json_answer(StatusCode::OK, &body).with(header::CACHE_CONTROL, "no-store"))
}

fn described(token: &tokens::AccessToken) -> serde_json::Value {
    json!({
        "uuid": token.id.to_string(),
        "token_label": token.name,
        "scopes": [token.level.to_string()],
        "created_at": rfc3339(token.created_us),
        "expires_at": token.expires_us.map(rfc3339),
        "last_used": token.used_us.map(rfc3339),
    })
}

/// `GET /v2/access-tokens`: the caller's.
pub(crate) async fn list(call: Call) -> Result<Response, Refusal> {
    let user = call.user()?.id;
    let read = call.hub.database.read(move |tx| tokens::of_user(tx, user));
    let tokens = read.await?;
    let body = json!({
        "count": tokens.len(),
        "results": tokens.iter().map(described).collect::<Vec<_>>(),
    });
    Ok(json_answer(StatusCode::OK, &body))
}

/// A wanted access token.
#[derive(Deserialize)]
struct Wanted {
    token_label: String,
    #[serde(default)]
    scopes: Vec<String>,
    /// Days until it ends; none is never.
    #[serde(default)]
    days: Option<u32>,
}

/// `POST /v2/access-tokens`: makes one; its text is told this once.
pub(crate) async fn create(mut call: Call) -> Result<Response, Refusal> {
    let user = call.user()?.id;
    let wanted: Wanted = call.json().await?;
    let label: String = wanted.token_label.chars().take(100).collect();
    let levels = wanted.scopes.iter().map(|scope| scope.parse::<Level>());
    let levels = levels.collect::<Result<Vec<_>, ()>>();
    let levels = levels.map_err(|()| Refusal::Parameter {
        name: "scopes",
        reason: "not of public, read, write, delete, admin",
    })?;
    let level = levels.into_iter().max().unwrap_or(Level::Read);
    let expires = tokens::expiry_us(wanted.days);
    let named = label.clone();
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        tokens::add(tx, user, &named, level, expires)
    });
    let (id, token) = write.await?;
    let body = json!({
        "uuid": id.to_string(),
        "token_label": label,
        "scopes": [level.to_string()],
        "token": token,
    });
    Ok(json_answer(StatusCode::CREATED, &body).with(header::CACHE_CONTROL, "no-store"))
}

/// `DELETE /v2/access-tokens/<number>`.
pub(crate) async fn remove(call: Call) -> Result<Response, Refusal> {
    revoke(&call).await?;
    Ok(answer(StatusCode::NO_CONTENT, Body::empty()))
}

/// Ends the token that the path names; one that is not the caller's is not there.
pub(crate) async fn revoke(call: &Call) -> Result<(), Refusal> {
    let user = call.user()?.id;
    let number = call.parameters.get("token").parse::<i64>();
    let id = number.map_err(|_| Refusal::NoRoute)?;
    let write = call
        .hub
        .database
        .write(Durability::Durable, move |tx| tokens::remove(tx, user, id));
    match write.await? {
        true => Ok(()),
        false => Err(Refusal::NoRoute),
    }
}
