//! Somebody with a browser that has cookies and sends forms, but runs no scripts.

use std::collections::BTreeMap;

use super::http::{self, Message};
use super::hub::{Hub, PASSWORD};

/// A visitor of a hub's pages.
pub(crate) struct Visitor<'h> {
    hub: &'h Hub,
    cookies: BTreeMap<String, String>,
}

impl<'h> Visitor<'h> {
    /// One without cookies.
    pub(crate) fn new(hub: &'h Hub) -> Self {
        Self {
            hub,
            cookies: BTreeMap::new(),
        }
    }

    /// One who is signed in.
    #[track_caller]
    pub(crate) fn signed_in(hub: &'h Hub, user: &str) -> Self {
        let mut visitor = Self::new(hub);
        let reply = visitor.sign_in(user, PASSWORD);
        assert_eq!(reply.status(), 303, "{}", text(&reply));
        visitor
    }

    /// Fills in and sends the form for it.
    #[track_caller]
    pub(crate) fn sign_in(&mut self, user: &str, password: &str) -> Message {
        let fields = [("name", user), ("password", password), ("next", "/account")];
        self.submit("/sign-in", "/sign-in", &fields)
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Has a cookie from elsewhere.
    pub(crate) fn steal(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn get(&mut self, target: &str) -> Message {
        self.send("GET", target, &[], b"")
    }

    /// A page that must be there, as text.
    #[track_caller]
    pub(crate) fn page(&mut self, target: &str) -> String {
        let reply = self.get(target);
        assert_eq!(reply.status(), 200, "{target}: {}", text(&reply));
        text(&reply)
    }

    /// Sends fields as a form, just so.
    pub(crate) fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Message {
        self.post_with(target, fields, &[])
    }

    pub(crate) fn post_with(
        &mut self,
        target: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Message {
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([kind]).collect();
        self.send("POST", target, &headers, body.join("&").as_bytes())
    }

    /// Sends the form that stands on a page.
    #[track_caller]
    pub(crate) fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Message {
        let token = self.form_token(page);
        let token = [("form_token", token.as_str())];
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain(token).collect();
        self.post(action, &fields)
    }

    /// The token in a page's forms.
    #[track_caller]
    pub(crate) fn form_token(&mut self, page: &str) -> String {
        let html = self.page(page);
        let (_, rest) = html
            .split_once("name=\"form_token\" value=\"")
            .unwrap_or_else(|| panic!("no form on {page}: {html}"));
        rest.split('"').next().unwrap().to_owned()
    }

    fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Message {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let own = [
            ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
            ),
            ("cookie", cookies.as_str()),
        ];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty());
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain(own).collect();
        let reply = http::request(self.hub.address(), method, target, &headers, body)
            .unwrap_or_else(|| panic!("{method} {target}: no answer"));
        for (name, value) in &reply.headers {
            if name == "set-cookie" {
                self.keep(value);
            }
        }
        reply
    }

    fn keep(&mut self, given: &str) {
        let (name, value) = given.split(';').next().unwrap().split_once('=').unwrap();
        if given.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// The body of a reply.
pub(crate) fn text(reply: &Message) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
