//! Every path that the hub answers, what each asks of its caller, and who answers it.
//!
//! The order counts: the first row that fits is taken. `{name}` is a repository's name, which may
//! have slashes; any other `{…}` is one component. A slash at the end makes no difference.
//!
//! Programs and browsers have rows of their own: no row for programs ever looks at a cookie, none for
//! browsers at an `Authorization` header. In paths of pages stands `-` between a repository's name and
//! what is asked of it, since no component of a name can be a dash.

use std::pin::Pin;

use axum::http::Method;
use axum::response::Response;
use percent_encoding::percent_decode_str;

use crate::api::{
    base, blobs, catalog, health, manifests, referrers, repositories, search, stars, tags, token,
    uploads,
};
use crate::authorization::{Need, Right, Role};
use crate::call::Call;
use crate::refusal::Refusal;
use crate::{openapi, pages};

/// What a handler gives back.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// Whom a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// Programs: they are told who asks by a header, and answer in JSON.
    Api,
    /// Browsers: they are told by a cookie, send forms, and get HTML.
    Page,
}

/// A row of the table.
pub(crate) struct Route {
    pub(crate) face: Face,
    pub(crate) method: Method,
    pub(crate) pattern: &'static str,
    pub(crate) need: Need,
    pub(crate) handler: fn(Call) -> Answering,
}

const PULL: Need = Need::Repository(Right::Pull);
const PUSH: Need = Need::Repository(Right::Push);
const DELETE: Need = Need::Repository(Right::Delete);
const STAR: Need = Need::Repository(Right::Star);
const ADMINISTER: Need = Need::Repository(Right::Administer);
const OWN: Need = Need::Namespace(Role::Owner);

macro_rules! routes {
    ($($face:ident { $($method:ident $pattern:literal $need:expr => $handler:path;)* })*) => {
        &[$($(Route {
            face: Face::$face,
            method: Method::$method,
            pattern: $pattern,
            need: $need,
            handler: |call| Box::pin($handler(call)),
        },)*)*]
    };
}

/// The table.
pub(crate) const ROUTES: &[Route] = routes! {
    Api {
        GET "/health/live" Need::Nothing => health::live;
        GET "/health/ready" Need::Nothing => health::ready;
        GET "/metrics" Need::Site => health::metrics;
        GET "/token" Need::Nothing => token::get;
        POST "/token" Need::Nothing => token::post;
        GET "/v1/_ping" Need::Nothing => base::ping_v1;
        GET "/v1/search" Need::Nothing => search::v1;
        POST "/v2/users/login" Need::Nothing => token::login;
        GET "/v2/search/repositories" Need::Nothing => search::v2;
        GET "/v2/access-tokens" Need::Account => token::list;
        POST "/v2/access-tokens" Need::Account => token::create;
        DELETE "/v2/access-tokens/{token}" Need::Account => token::remove;
        GET "/v2/repositories/{namespace}" Need::Nothing => repositories::list;
        GET "/v2/repositories/{name}/tags" PULL => repositories::tags;
        GET "/v2/repositories/{name}/tags/{tag}" PULL => repositories::tag;
        PUT "/v2/repositories/{name}/star" STAR => stars::add;
        DELETE "/v2/repositories/{name}/star" STAR => stars::remove;
        GET "/v2/repositories/{name}" PULL => repositories::get;
        PATCH "/v2/repositories/{name}" ADMINISTER => repositories::change;
        DELETE "/v2/repositories/{name}" ADMINISTER => repositories::remove;
        GET "/v2" Need::Credential => base::ping;
        HEAD "/v2" Need::Credential => base::ping;
        GET "/v2/_catalog" Need::Nothing => catalog::get;
        GET "/v2/{name}/tags/list" PULL => tags::list;
        GET "/v2/{name}/referrers/{digest}" PULL => referrers::list;
        GET "/v2/{name}/manifests/{reference}" PULL => manifests::get;
        HEAD "/v2/{name}/manifests/{reference}" PULL => manifests::get;
        PUT "/v2/{name}/manifests/{reference}" PUSH => manifests::put;
        DELETE "/v2/{name}/manifests/{reference}" DELETE => manifests::remove;
        POST "/v2/{name}/blobs/uploads" PUSH => uploads::begin;
        GET "/v2/{name}/blobs/uploads/{upload}" PUSH => uploads::status;
        PATCH "/v2/{name}/blobs/uploads/{upload}" PUSH => uploads::append;
        PUT "/v2/{name}/blobs/uploads/{upload}" PUSH => uploads::finish;
        DELETE "/v2/{name}/blobs/uploads/{upload}" PUSH => uploads::cancel;
        GET "/v2/{name}/blobs/{digest}" PULL => blobs::get;
        HEAD "/v2/{name}/blobs/{digest}" PULL => blobs::head;
        DELETE "/v2/{name}/blobs/{digest}" DELETE => blobs::remove;
        GET "/openapi.json" Need::Nothing => openapi::get;
    }
    Page {
        GET "/" Need::Nothing => pages::home::get;
        GET "/search" Need::Nothing => pages::search::get;
        GET "/assets/{asset}" Need::Nothing => pages::assets::get;
        GET "/sign-in" Need::Nothing => pages::sign_in::get;
        POST "/sign-in" Need::Nothing => pages::sign_in::post;
        POST "/sign-out" Need::Nothing => pages::sign_in::out;
        GET "/account" Need::Account => pages::account::repositories;
        GET "/account/stars" Need::Account => pages::account::stars;
        GET "/account/organisations" Need::Account => pages::account::organisations;
        POST "/account/organisations" Need::Site => pages::account::add_organisation;
        GET "/account/password" Need::Account => pages::password::get;
        POST "/account/password" Need::Account => pages::password::post;
        GET "/account/tokens" Need::Account => pages::tokens::get;
        POST "/account/tokens" Need::Account => pages::tokens::add;
        POST "/account/tokens/{token}/revoke" Need::Account => pages::tokens::revoke;
        GET "/u/{namespace}" Need::Nothing => pages::namespace::get;
        POST "/u/{namespace}/-/members" OWN => pages::namespace::set_member;
        GET "/r/{name}/-/tags" PULL => pages::tags::get;
        GET "/r/{name}/-/tags/{tag}" PULL => pages::image::get;
        GET "/r/{name}/-/settings" ADMINISTER => pages::settings::get;
        POST "/r/{name}/-/settings" ADMINISTER => pages::settings::post;
        POST "/r/{name}/-/remove" ADMINISTER => pages::settings::remove;
        POST "/r/{name}/-/star" STAR => pages::repository::star;
        GET "/r/{name}" PULL => pages::repository::get;
    }
};

/// Values of a pattern's `{…}`, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// The value of one; empty if the pattern has none such.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(its, _)| *its == name);
        found.map_or("", |(_, value)| value)
    }
}

/// The route of a request.
pub(crate) fn find(method: &Method, path: &str) -> Result<(&'static Route, Parameters), Refusal> {
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(parameters) = fit(route.pattern, path) else {
            continue;
        };
        // Browsers and what checks their links may ask for a page's headers alone.
        let is_head = route.face == Face::Page && *method == Method::HEAD;
        if route.method == *method || (is_head && route.method == Method::GET) {
            return Ok((route, parameters));
        }
        allowed.push(route.method.clone());
    }
    if allowed.is_empty() {
        return Err(Refusal::NoRoute);
    }
    Err(Refusal::Method {
        method: method.clone(),
        allowed,
    })
}

/// Whether a path fits a pattern, and what its parameters are then.
fn fit(pattern: &'static str, path: &str) -> Option<Parameters> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
    let (before, name) = match pattern.split_once("{name}") {
        Some((before, after)) => (before, Some(after)),
        None => (pattern, None),
    };
    let mut parameters = Parameters::default();
    let Some(after) = name else {
        return components(before, path, &mut parameters).then_some(parameters);
    };
    let rest = path.strip_prefix(before)?;
    // What stands behind the name has a known number of components.
    let mut end = rest.len();
    for _ in 0..after.matches('/').count() {
        end = rest[..end].rfind('/')?;
    }
    let (name, last) = rest.split_at(end);
    if name.is_empty() || !components(after, last, &mut parameters) {
        return None;
    }
    parameters.0.push(("name", decoded(name)?));
    Some(parameters)
}

fn components(pattern: &'static str, path: &str, parameters: &mut Parameters) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) => {
                let variable = wanted
                    .strip_prefix('{')
                    .and_then(|name| name.strip_suffix('}'));
                match variable {
                    Some(variable) => match decoded(found) {
                        Some(value) if !value.is_empty() => parameters.0.push((variable, value)),
                        _ => return false,
                    },
                    None if wanted == found => {}
                    None => return false,
                }
            }
            _ => return false,
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests;
