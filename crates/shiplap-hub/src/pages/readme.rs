//! READMEs: Markdown to HTML that can do nothing.
//!
//! Raw HTML is dropped. Links lead by http, https or mailto, to a place of the README, or to a path of
//! the hub; of any other the text is left. Pictures are not loaded, since whoever serves them would learn
//! who reads: each becomes a link to it. Headings begin a level lower, below the page's own, and their
//! names have a prefix, so that none of the page's own is meant.

use std::collections::HashMap;
use std::fmt;

use pulldown_cmark::{
    Alignment, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html,
};
use shiplap_model::{limits, quote};

/// What stands before the name of a heading.
const PREFIX: &str = "readme-";

/// The HTML of a README.
pub(super) fn render(markdown: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut inert = Inert::default();
    for event in Parser::new_ext(markdown, options) {
        inert.take(event);
    }
    let mut bounded = Bounded(String::new());
    match html::write_html_fmt(&mut bounded, inert.events.into_iter()) {
        Ok(()) => bounded.0,
        // Markup that grows so is no README's; its text is.
        Err(fmt::Error) => format!("<pre>{}</pre>", quote::html(markdown)),
    }
}

/// Text that may have [`limits::README_HTML_BYTES`].
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > limits::README_HTML_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Events that can do no harm, in order.
#[derive(Default)]
struct Inert<'m> {
    events: Vec<Event<'m>>,
    /// Links and pictures that are open, and whether each is shown as a link.
    open: Vec<bool>,
    /// Where the text of the heading begins that is open.
    heading: Option<usize>,
    /// How often each name was wanted.
    names: HashMap<String, usize>,
}

impl<'m> Inert<'m> {
    fn take(&mut self, event: Event<'m>) {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => {}
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                ..
            }) => {
                let is_mail = link_type == LinkType::Email && !dest_url.starts_with("mailto:");
                let scheme = if is_mail { "mailto:" } else { "" };
                self.begin(&format!("{scheme}{dest_url}"), "");
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                self.begin(&dest_url, " class=\"picture\"");
                if self.open.last() == Some(&true) {
                    self.events.push(Event::Text("Picture: ".into()));
                }
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if self.open.pop() == Some(true) {
                    self.events.push(Event::InlineHtml("</a>".into()));
                }
            }
            Event::Start(Tag::Heading { level, .. }) => {
                self.heading = Some(self.events.len());
                self.events.push(heading(lower(level), None));
            }
            Event::End(TagEnd::Heading(level)) => {
                self.name();
                let end = TagEnd::Heading(lower(level));
                self.events.push(Event::End(end));
            }
            Event::Start(Tag::Table(columns)) => {
                // Aligned ones would need inline style, which pages don't allow.
                let columns = vec![Alignment::None; columns.len()];
                self.events.push(Event::Start(Tag::Table(columns)));
            }
            other => self.events.push(other),
        }
    }

    /// Begins a link, unless it leads where it must not or stands in another one.
    fn begin(&mut self, address: &str, more: &str) {
        let target = (!self.open.contains(&true))
            .then(|| target(address))
            .flatten();
        if let Some(target) = &target {
            let address = quote::html(target);
            let link =
                format!("<a href=\"{address}\" rel=\"nofollow noopener noreferrer ugc\"{more}>");
            self.events.push(Event::InlineHtml(link.into()));
        }
        self.open.push(target.is_some());
    }

    /// Names the heading that ends after its text.
    fn name(&mut self) {
        let Some(start) = self.heading.take() else {
            return;
        };
        let mut slug = String::new();
        for event in self.events.iter().skip(start) {
            if let Event::Text(text) | Event::Code(text) = event {
                slug.push_str(&name_of(text));
            }
        }
        let wanted = self.names.entry(slug.clone()).or_default();
        let name = match *wanted {
            0 => slug,
            number => format!("{slug}-{number}"),
        };
        *wanted += 1;
        if let Some(Event::Start(Tag::Heading { id, .. })) = self.events.get_mut(start) {
            *id = Some(format!("{PREFIX}{name}").into());
        }
    }
}

fn heading<'m>(level: HeadingLevel, id: Option<pulldown_cmark::CowStr<'m>>) -> Event<'m> {
    Event::Start(Tag::Heading {
        level,
        id,
        classes: Vec::new(),
        attrs: Vec::new(),
    })
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H2,
        HeadingLevel::H2 => HeadingLevel::H3,
        HeadingLevel::H3 => HeadingLevel::H4,
        HeadingLevel::H4 => HeadingLevel::H5,
        HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

/// A heading's text as the name that links mean it by.
fn name_of(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            ' ' | '-' | '_' => Some('-'),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Where a link leads, if it may.
fn target(address: &str) -> Option<String> {
    // Browsers pass over such characters, so that a scheme can hide behind them.
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if address.is_empty() || address.contains(is_odd) {
        return None;
    }
    if let Some(place) = address.strip_prefix('#') {
        return Some(format!("#{PREFIX}{}", place.to_lowercase()));
    }
    let is_of_hub = address.starts_with('/') && !address.starts_with("//");
    let (scheme, _) = address.split_once(':').unwrap_or(("", ""));
    let is_known = ["http", "https", "mailto"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    (is_of_hub || is_known).then(|| address.to_owned())
}

#[cfg(test)]
mod tests;
