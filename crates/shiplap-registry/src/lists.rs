//! What a registry has: tags, repositories, search results, Docker Hub's details of tags.

use std::collections::HashSet;

use bytes::Bytes;
use reqwest::header::LINK;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shiplap_model::digest::Digest;
use shiplap_model::distribution::{Catalog, TagList};
use shiplap_model::limits;
use shiplap_model::reference::Repository;
use shiplap_model::search::{SearchResult, SearchResults};
use url::{Url, form_urlencoded};

use crate::answer::clean;
use crate::authorization::Scopes;
use crate::client::Client;
use crate::error::{Error, Item, ProtocolFault};
use crate::exchange::{self, Exchange};
use crate::place::{self, Place, Service};
use crate::transport::{Address, Request};

/// Most tags on one page of Docker Hub.
const HUB_PAGE: usize = 100;
/// Most results of one search on Docker Hub.
const SEARCH_PAGE: usize = 100;

/// What Docker Hub tells of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDetails {
    /// The tag.
    pub name: String,
    /// When it was pushed last (RFC 3339).
    pub last_updated: Option<String>,
    /// Compressed size of the image, in bytes.
    pub size_bytes: Option<u64>,
    /// Digest of the manifest or index.
    pub digest: Option<Digest>,
    /// What it runs on.
    pub images: Vec<TagPlatform>,
}

/// One image of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPlatform {
    /// Operating system.
    pub os: String,
    /// Processor.
    pub architecture: String,
    /// Its variant.
    pub variant: Option<String>,
    /// Digest of the manifest.
    pub digest: Option<Digest>,
    /// Compressed size, in bytes.
    pub size_bytes: Option<u64>,
}

impl Client {
    /// All tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list_tags(&self, repository: &Repository) -> Result<Vec<String>, Error> {
        let exchange = self.exchange();
        self.run(async {
            let places = exchange.places(repository, None)?;
            let ask = async |place: &Place| {
                let path = format!("/v2/{}/tags/list", place.repository);
                let request = exchange::request(place, Method::GET, path, Item::Tags);
                let scopes = Scopes::repository(&place.repository, &["pull"]);
                pages(exchange, request, &scopes, |page: TagList| page.tags).await
            };
            exchange.first_of(repository.registry(), &places, ask).await
        })
    }

    /// Docker Hub's details of at most `limit` tags, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the registry has no such API.
    pub fn tag_details(
        &self,
        repository: &Repository,
        limit: usize,
    ) -> Result<Vec<TagDetails>, Error> {
        let exchange = self.exchange();
        self.run(async {
            let (registry, path) = (repository.registry(), repository.path());
            let place =
                place::registry_place(exchange.settings(), registry, path, Service::HubApi)?;
            let page_size = limit.clamp(1, HUB_PAGE);
            let path = format!(
                "/v2/repositories/{}/tags?page_size={page_size}",
                place.repository
            );
            let mut request = exchange::request(&place, Method::GET, path, Item::Tags);
            let mut found = Vec::new();
            let mut seen = HashSet::new();
            while found.len() < limit {
                let answer = exchange
                    .send(&request, &Bytes::new(), &Scopes::default())
                    .await?
                    .success()
                    .await?;
                let (url, own, target) = (answer.url.clone(), answer.own, answer.target.clone());
                let page: HubPage = answer.json(limits::REGISTRY_LIST_BYTES).await?;
                found.extend(page.results.into_iter().map(HubTag::into_details));
                let Some(next) = page.next.filter(|next| !next.is_empty()) else {
                    break;
                };
                let next = next_page(&url, own, &next, &mut seen);
                request.address =
                    Address::Given(next.map_err(|fault| Error::Protocol { target, fault })?);
            }
            found.truncate(limit);
            Ok(found)
        })
    }

    /// All repositories of a registry that it tells of.
    ///
    /// # Errors
    /// [`Error`].
    pub fn catalog(&self, registry: &str) -> Result<Vec<String>, Error> {
        let exchange = self.exchange();
        self.run(async {
            let place =
                place::registry_place(exchange.settings(), registry, "", Service::Distribution)?;
            catalog(exchange, &place).await
        })
    }

    /// At most `limit` repositories whose name or description fits `term`. A registry without
    /// search is searched by the names in its catalog.
    ///
    /// # Errors
    /// [`Error`].
    pub fn search(
        &self,
        registry: &str,
        term: &str,
        limit: usize,
    ) -> Result<Vec<SearchResult>, Error> {
        let exchange = self.exchange();
        self.run(async {
            let place = place::registry_place(exchange.settings(), registry, "", Service::Search)?;
            let mut query = form_urlencoded::Serializer::new(String::new());
            query
                .append_pair("q", term)
                .append_pair("n", &limit.clamp(1, SEARCH_PAGE).to_string());
            let path = format!("/v1/search?{}", query.finish());
            let request = exchange::request(&place, Method::GET, path, Item::Search);
            let answer = exchange
                .send(&request, &Bytes::new(), &Scopes::default())
                .await?;
            let mut results = match answer.status() {
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                    let refusal = answer.refusal().await;
                    // What the registry said of the search is the better error.
                    let names = catalog(exchange, &place).await.map_err(|_| refusal)?;
                    names
                        .into_iter()
                        .filter(|name| name.contains(term))
                        .map(named)
                        .collect()
                }
                _ => {
                    answer
                        .success()
                        .await?
                        .json::<SearchResults>(limits::REGISTRY_LIST_BYTES)
                        .await?
                        .results
                }
            };
            results.truncate(limit);
            Ok(results)
        })
    }
}

fn named(name: String) -> SearchResult {
    SearchResult {
        name,
        ..SearchResult::default()
    }
}

async fn catalog(exchange: &Exchange, place: &Place) -> Result<Vec<String>, Error> {
    let request = exchange::request(place, Method::GET, "/v2/_catalog".to_owned(), Item::Catalog);
    pages(exchange, request, &Scopes::catalog(), |page: Catalog| {
        page.repositories
    })
    .await
}

/// All pages of a list, following `Link` (RFC 8288) on the registry itself.
async fn pages<P: DeserializeOwned>(
    exchange: &Exchange,
    mut request: Request,
    scopes: &Scopes,
    entries: impl Fn(P) -> Vec<String>,
) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    loop {
        let answer = exchange
            .send(&request, &Bytes::new(), scopes)
            .await?
            .success()
            .await?;
        let (url, own, target) = (answer.url.clone(), answer.own, answer.target.clone());
        let next = answer
            .headers()
            .get_all(LINK)
            .iter()
            .filter_map(|link| link.to_str().ok())
            .find_map(next_link);
        let next = next
            .map(|next| next_page(&url, own, &next, &mut seen))
            .transpose();
        all.extend(entries(answer.json(limits::REGISTRY_LIST_BYTES).await?));
        let protocol = |fault| Error::Protocol { target, fault };
        if all.len() > limits::REGISTRY_LIST_ENTRIES {
            return Err(protocol(ProtocolFault::Link("there are too many entries")));
        }
        match next.map_err(protocol)? {
            Some(next) => request.address = Address::Given(next),
            None => return Ok(all),
        }
    }
}

/// The next page, if it is on the same registry and was not there before.
fn next_page(
    from: &Url,
    own: bool,
    next: &str,
    seen: &mut HashSet<String>,
) -> Result<Url, ProtocolFault> {
    let mut url = from
        .join(next)
        .map_err(|_| ProtocolFault::Link("it is no address"))?;
    // Behind a proxy that ends TLS, registries name themselves by http.
    if from.scheme() == "https"
        && url.scheme() == "http"
        && url.host() == from.host()
        && url.port().is_none()
    {
        url.set_scheme("https")
            .map_err(|()| ProtocolFault::Link("it is no address"))?;
    }
    if !own || url.origin() != from.origin() || !url.username().is_empty() {
        return Err(ProtocolFault::Link("it is on another host"));
    }
    if url == *from || !seen.insert(url.to_string()) {
        return Err(ProtocolFault::Link("it was there before"));
    }
    if seen.len() > limits::REGISTRY_LIST_PAGES {
        return Err(ProtocolFault::Link("there are too many pages"));
    }
    Ok(url)
}

/// The address of the link with `rel=next` in a `Link` header.
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, link)) = rest.split_once('<') {
        let (address, after) = link.split_once('>')?;
        let params = after.split('<').next().unwrap_or_default();
        let is_next = params.split([';', ',']).any(|param| {
            param.split_once('=').is_some_and(|(name, value)| {
                let value = value.trim().trim_matches('"');
                name.trim().eq_ignore_ascii_case("rel")
                    && value
                        .split(' ')
                        .any(|relation| relation.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(address.to_owned());
        }
        rest = after;
    }
    None
}

/// Docker Hub's `/v2/repositories/NAMESPACE/NAME/tags`.
#[derive(Deserialize)]
struct HubPage {
    next: Option<String>,
    #[serde(default)]
    results: Vec<HubTag>,
}

#[derive(Deserialize)]
struct HubTag {
    name: String,
    last_updated: Option<String>,
    full_size: Option<u64>,
    digest: Option<String>,
    #[serde(default)]
    images: Vec<HubImage>,
}

#[derive(Deserialize)]
struct HubImage {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    digest: Option<String>,
    size: Option<u64>,
}

impl HubTag {
    fn into_details(self) -> TagDetails {
        let digest = |digest: Option<String>| digest.and_then(|digest| digest.parse().ok());
        let platform = |image: HubImage| TagPlatform {
            os: clean(&image.os.unwrap_or_default()),
            architecture: clean(&image.architecture.unwrap_or_default()),
            variant: image
                .variant
                .map(|variant| clean(&variant))
                .filter(|variant| !variant.is_empty()),
            digest: digest(image.digest),
            size_bytes: image.size,
        };
        TagDetails {
            name: clean(&self.name),
            last_updated: self.last_updated.map(|time| clean(&time)),
            size_bytes: self.full_size,
            digest: digest(self.digest),
            images: self.images.into_iter().map(platform).collect(),
        }
    }
}
