//! A user or an organisation: its repositories, and for its members, who else is one.
//!
//! One of which the reader may see nothing looks like one that is not there.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::account::{PAGE, page};
use super::figures;
use super::frame::{Card, Frame, Pager};
use crate::authorization::{self, Caller, Decision, Need, Place, Role};
use crate::call::Call;
use crate::database::{DatabaseError, Durability};
use crate::records::namespaces::{self, Kind};
use crate::records::search::Page as Found;
use crate::records::{shelves, users};
use crate::refusal::Refusal;

struct Member {
    name: String,
    role: String,
}

#[derive(Template)]
#[template(path = "namespace.html")]
struct Page {
    frame: Frame,
    name: String,
    kind: &'static str,
    is_official: bool,
    found: Vec<Card>,
    count: String,
    is_one: bool,
    pager: Pager,
    /// Nothing for who is no member.
    members: Option<Vec<Member>>,
    is_owner: bool,
    wrong: String,
}

/// What is known of a namespace.
struct Known {
    kind: Kind,
    place: Place,
    found: Found,
    members: Vec<(String, Role)>,
}

fn has(caller: &Caller, role: Role, place: &Place) -> bool {
    authorization::decide(caller, Need::Namespace(role), Some(place)) == Decision::Allow
}

/// `GET /u/<namespace>?page=…`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    told(&call, StatusCode::OK, String::new()).await
}

async fn told(call: &Call, status: StatusCode, wrong: String) -> Result<Response, Refusal> {
    let name = call.parameters.get("namespace").to_owned();
    let page = page(call)?;
    let (wanted, user) = (name.clone(), call.caller.user.clone());
    let read = call.hub.database.read(move |tx| {
        let user = user.as_ref();
        let Some(kind) = namespaces::kind(tx, &wanted)? else {
            return Ok(None);
        };
        Ok::<_, DatabaseError>(Some(Known {
            kind,
            place: namespaces::place(tx, &wanted, user)?,
            found: shelves::of_namespace(tx, user, &wanted, (page - 1) * PAGE, PAGE)?,
            members: namespaces::members(tx, &wanted)?,
        }))
    });
    let known = read.await?.ok_or(Refusal::NameUnknown)?;
    let is_member = has(&call.caller, Role::Reader, &known.place);
    if !is_member && known.found.count == 0 && known.kind != Kind::Official {
        return Err(Refusal::NameUnknown);
    }
    let is_organisation = known.kind == Kind::Organisation;
    let member = |(name, role): (String, Role)| Member {
        name,
        role: role.to_string(),
    };
    let members = known.members.into_iter().map(member).collect();
    let count = known.found.count;
    let path = format!("/u/{name}");
    let page = Page {
        frame: Frame::of(call),
        kind: match known.kind {
            Kind::Official => "Official images",
            Kind::User => "User",
            Kind::Organisation => "Organisation",
            Kind::Mirror => "Mirrored registry",
        },
        is_official: known.kind == Kind::Official,
        found: Card::all(known.found.found),
        count: figures::grouped(count),
        is_one: count == 1,
        pager: Pager::new(page, PAGE, count, |page| format!("{path}?page={page}")),
        members: (is_organisation && is_member).then_some(members),
        is_owner: is_organisation && has(&call.caller, Role::Owner, &known.place),
        wrong,
        name,
    };
    super::html(status, &page)
}

/// `POST /u/<namespace>/-/members`: gives a user a role, or takes it away.
pub(crate) async fn set_member(call: Call) -> Result<Response, Refusal> {
    let organisation = call.parameters.get("namespace").to_owned();
    let name = call.form.get("name").trim().to_owned();
    let role = match call.form.get("role") {
        "none" => None,
        role => Some(role.parse::<Role>().map_err(|()| Refusal::Parameter {
            name: "role",
            reason: "not of reader, writer, owner, none",
        })?),
    };
    let (of, wanted) = (organisation.clone(), name.clone());
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        if namespaces::kind(tx, &of)? != Some(Kind::Organisation) {
            return Err(Refusal::NameUnknown);
        }
        let Some(account) = users::by_name(tx, &wanted)? else {
            return Ok(Some(format!("There is no user {wanted}.")));
        };
        let is_owner = |(name, has): &(String, Role)| *has == Role::Owner && *name != wanted;
        let others = namespaces::members(tx, &of)?.iter().any(is_owner);
        if role != Some(Role::Owner) && !others {
            let told = "An organisation needs an owner: make somebody else one first.";
            return Ok(Some(told.to_owned()));
        }
        namespaces::set_member(tx, &of, account.id, role)?;
        Ok(None)
    });
    match write.await? {
        None => Ok(super::see_other(&format!("/u/{organisation}"))),
        Some(wrong) => told(&call, StatusCode::BAD_REQUEST, wrong).await,
    }
}
