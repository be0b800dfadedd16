//! What every page has around its own content, and what lists on several pages have in common.

use super::figures::{self, When};
use crate::api::search::familiar;
use crate::authorization::{self, Decision, Need, Place, Right};
use crate::browser;
use crate::call::Call;
use crate::records::namespaces::OFFICIAL;
use crate::records::repositories::Repository;
use crate::records::search::Found;

/// What every page has around its own content.
pub(super) struct Frame {
    /// The reader, if signed in.
    pub(super) user: Option<String>,
    /// What forms need to be taken.
    pub(super) form_token: String,
    /// What was searched for.
    pub(super) search: String,
    /// Where signing in leads back to.
    pub(super) here: String,
    /// The versions of style sheet and scripts.
    pub(super) version: &'static str,
}

impl Frame {
    /// Of a request that may be done.
    pub(super) fn of(call: &Call) -> Self {
        let user = call.caller.user.as_ref();
        let uri = &call.parts.uri;
        let here = uri.path_and_query().map_or("/", |whole| whole.as_str());
        Self {
            here: super::encoded(here),
            ..Self::with(user.map(|user| user.name.clone()), call.secret.as_deref())
        }
    }

    /// Of a request that was refused.
    pub(super) fn with(user: Option<String>, secret: Option<&str>) -> Self {
        Self {
            user,
            form_token: secret.map(browser::form_token).unwrap_or_default(),
            search: String::new(),
            here: super::encoded("/"),
            version: super::assets::version(),
        }
    }
}

/// A repository in a list.
pub(super) struct Card {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) stars: String,
    pub(super) pulls: String,
    pub(super) is_official: bool,
    pub(super) is_private: bool,
    pub(super) updated: When,
    /// Whether the reader may change it.
    pub(super) is_owned: bool,
}

impl Card {
    pub(super) fn of(found: Found) -> Self {
        Self {
            name: familiar(&found.name).to_owned(),
            is_official: is_official(&found.name),
            description: found.description,
            stars: figures::count(found.stars),
            pulls: figures::count(found.pulls),
            is_private: found.is_private,
            updated: When::of(found.updated_us),
            is_owned: false,
        }
    }

    pub(super) fn all(found: Vec<Found>) -> Vec<Self> {
        found.into_iter().map(Self::of).collect()
    }
}

fn is_official(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(namespace, _)| namespace == OFFICIAL)
}

/// Which page of a list this is, and where its neighbours are.
pub(super) struct Pager {
    pub(super) page: u64,
    pub(super) pages: u64,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

impl Pager {
    /// `address` makes the address of a page of its number.
    pub(super) fn new(page: u64, size: u64, count: u64, address: impl Fn(u64) -> String) -> Self {
        let pages = count.div_ceil(size).max(1);
        Self {
            page,
            pages,
            previous: (page > 1).then(|| address(page.min(pages + 1) - 1)),
            next: (page < pages).then(|| address(page + 1)),
        }
    }
}

/// The head of a repository's pages.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) rest: String,
    pub(super) description: String,
    pub(super) stars: String,
    pub(super) pulls: String,
    pub(super) is_official: bool,
    pub(super) is_private: bool,
    pub(super) is_starred: bool,
    pub(super) may_administer: bool,
    /// The page of it that this is.
    pub(super) tab: &'static str,
}

impl Head {
    pub(super) fn of(
        call: &Call,
        repository: &Repository,
        is_starred: bool,
        tab: &'static str,
    ) -> Self {
        let (namespace, rest) = repository.name.split_once('/').unwrap_or(("", ""));
        Self {
            name: familiar(&repository.name).to_owned(),
            namespace: namespace.to_owned(),
            rest: rest.to_owned(),
            description: repository.description.clone(),
            stars: figures::count(repository.stars),
            pulls: figures::count(repository.pulls),
            is_official: is_official(&repository.name),
            is_private: repository.is_private,
            is_starred,
            may_administer: may(call, Right::Administer, call.place.as_ref()),
            tab,
        }
    }
}

/// Whether the reader has a right, so that its button is shown.
pub(super) fn may(call: &Call, right: Right, place: Option<&Place>) -> bool {
    authorization::decide(&call.caller, Need::Repository(right), place) == Decision::Allow
}

/// How a repository of this name is called by clients, with the hub's address.
pub(super) fn reference(call: &Call, name: &str) -> String {
    let url = call.url();
    let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
    format!("{host}/{}", familiar(name))
}
