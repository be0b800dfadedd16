//! A repository's tags, the newest first: size, platforms, date.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use shiplap_model::{Document, limits};

use super::account::page;
use super::figures::{self, When};
use super::frame::{Frame, Head, Pager};
use super::image::{entries, platform_of};
use super::repository::find;
use crate::call::Call;
use crate::database::{DatabaseError, Tx};
use crate::records::tags::{self, Tag};
use crate::refusal::Refusal;

/// Tags a page.
const PAGE: u64 = 25;

/// A tag in a list.
pub(super) struct Row {
    pub(super) name: String,
    /// The beginning of what it names.
    pub(super) digest: String,
    pub(super) platforms: Vec<String>,
    /// Platforms that are left out.
    pub(super) more: usize,
    pub(super) size: String,
    pub(super) pushed: When,
}

#[derive(Template)]
#[template(path = "tags.html")]
struct Page {
    frame: Frame,
    head: Head,
    part: String,
    tags: Vec<Row>,
    count: String,
    is_one: bool,
    pager: Pager,
}

/// The newest tags whose name has `part` in it.
pub(super) fn newest(
    tx: &dyn Tx,
    repository: i64,
    part: &str,
    skip: u64,
    most: u64,
) -> Result<Vec<Row>, DatabaseError> {
    let found = tags::newest(tx, repository, part, skip, most)?;
    found
        .into_iter()
        .map(|tag| row(tx, repository, tag))
        .collect()
}

fn row(tx: &dyn Tx, repository: i64, tag: Tag) -> Result<Row, DatabaseError> {
    let mut platforms = Vec::new();
    let mut sizes = Vec::new();
    let mut more = 0;
    match Document::parse(&tag.content, None) {
        Ok(Document::Index(index)) => {
            let images = entries(&index);
            more = images.len().saturating_sub(limits::PLATFORMS_SHOWN);
            for entry in images.into_iter().take(limits::PLATFORMS_SHOWN) {
                sizes.extend(tags::image_bytes(tx, repository, &entry.digest)?);
                platforms.push(platform_of(entry));
            }
        }
        _ => {
            sizes.push(tag.image_bytes);
            platforms.extend(tag.platform.clone());
        }
    }
    let (least, most) = (sizes.iter().min(), sizes.iter().max());
    let size = match (least, most) {
        (Some(least), Some(most)) if least != most => {
            format!("{} – {}", figures::size(*least), figures::size(*most))
        }
        (Some(only), _) => figures::size(*only),
        _ => "–".to_owned(),
    };
    Ok(Row {
        digest: short(tag.digest.encoded()),
        name: tag.name,
        platforms,
        more,
        size,
        pushed: When::of(tag.pushed_us),
    })
}

/// The beginning of a digest, enough to tell it from others by eye.
pub(super) fn short(hex: &str) -> String {
    hex.chars().take(12).collect()
}

/// `GET /r/<name>/-/tags?name=…&page=…`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let (repository, likes) = find(&call).await?;
    let (id, page) = (repository.id, page(&call)?);
    let part: String = call.query("name").unwrap_or_default();
    let part: String = part.trim().chars().take(128).collect();
    let wanted = part.clone();
    let read = call.hub.database.read(move |tx| {
        let rows = newest(tx, id, &wanted, (page - 1) * PAGE, PAGE)?;
        Ok::<_, DatabaseError>((rows, tags::count(tx, id, &wanted)?))
    });
    let (rows, count) = read.await?;
    let head = Head::of(&call, &repository, likes, "tags");
    let name = match part.as_str() {
        "" => String::new(),
        part => format!("&name={}", super::encoded(part)),
    };
    let address = |page: u64| format!("/r/{}/-/tags?page={page}{name}", head.name);
    let page = Page {
        pager: Pager::new(page, PAGE, count, address),
        frame: Frame::of(&call),
        head,
        part,
        tags: rows,
        count: figures::grouped(count),
        is_one: count == 1,
    };
    super::html(StatusCode::OK, &page)
}
