//! Pages in a headless Chromium: they render without a complaint, in every width and colour, and what
//! scripts add works. `SHIPLAP_PICTURES=DIR` keeps a picture of each.

use std::path::PathBuf;

use serde_json::json;

use super::pages::{HARM, furnished, harmful};
use crate::harness::browser::Browser;
use crate::harness::hub::{Hub, PASSWORD};
use crate::harness::image::small;

fn url(hub: &Hub, path: &str) -> String {
    format!("http://{}{path}", hub.address())
}

/// Signs the browser in as a user, by the page.
fn sign_in(browser: &mut Browser, hub: &Hub, user: &str) {
    browser.open(&url(hub, "/sign-in"));
    browser.write("input[name=name]", user);
    browser.write("input[name=password]", PASSWORD);
    browser.leave("document.querySelector('main form button').click()");
    assert_eq!(browser.evaluate("location.pathname"), "/");
    assert_eq!(
        browser.evaluate("document.querySelector('.menu summary').innerText.trim()"),
        user
    );
}

/// A README with one of everything.
const README: &str = "# What it is\n\nThe **language**, with `pip`, on [Debian](https://debian.example).\n\n\
  ## Use\n\n```sh\nshiplap run --rm hub.example/python:3.13 -c 'print(1)'\n```\n\n\
  > Pin a digest where it must stay the same.\n\n\
  | Tag | Base | Until |\n|:--|:-:|--:|\n| `3.13` | bookworm | 2029-10 |\n| `3.12` | bookworm | 2028-10 |\n\n\
  - [x] small\n- [ ] smaller\n\n1. one\n2. two\n\n![A snake](https://pictures.example/snake.png)\n\n\
  A word that is too long for a phone: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";

/// Pages that are looked at: a name, and a path.
const PAGES: &[(&str, &str)] = &[
    ("home", "/"),
    ("search", "/search?q=p"),
    ("repository", "/r/python"),
    ("tags", "/r/ship/app/-/tags"),
    ("image", "/r/ship/app/-/tags/1.4"),
    ("settings", "/r/ship/app/-/settings"),
    ("organisation", "/u/team"),
    ("account", "/account"),
    ("stars", "/account/stars"),
    ("organisations", "/account/organisations"),
    ("tokens", "/account/tokens"),
    ("password", "/account/password"),
];

fn look(browser: &mut Browser, hub: &Hub, name: &str, path: &str) {
    let pictures = std::env::var_os("SHIPLAP_PICTURES").map(PathBuf::from);
    for (width, is_dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        browser.show(width, is_dark);
        browser.open(&url(hub, path));
        let wide = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert!(
            wide.as_i64().unwrap() <= 0,
            "{path} is wider than {width}: {wide}"
        );
        let ground = browser.evaluate("getComputedStyle(document.body).backgroundColor");
        let want = if is_dark {
            "rgb(17, 22, 26)"
        } else {
            "rgb(246, 245, 241)"
        };
        assert_eq!(ground, want, "{path}");
        if let Some(folder) = &pictures {
            let colour = if is_dark { "dark" } else { "light" };
            browser.picture(&folder.join(format!("{name}-{width}-{colour}.png")));
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{path}");
}

#[test]
fn pages_render_without_a_complaint() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let hub = furnished();
    let readme = json!({ "full_description": README }).to_string();
    let python = "/v2/repositories/library/python";
    hub.ask("admin", "PATCH", python, &[], readme.as_bytes());
    hub.ask("ship", "PUT", &format!("{python}/star"), &[], b"");
    look(&mut browser, &hub, "sign-in", "/sign-in");
    sign_in(&mut browser, &hub, "ship");
    for (name, path) in PAGES {
        look(&mut browser, &hub, name, path);
    }
    // A page that is not there is told by its status, which Chromium notes.
    browser.open(&url(&hub, "/r/none"));
    let told = browser.complaints();
    assert!(
        told.iter().all(|told| told.contains("status of 404")),
        "{told:?}"
    );
    let title = browser.evaluate("document.querySelector('h1').innerText");
    assert_eq!(title, "Nothing to see here");
}

#[test]
fn search_answers_while_one_types() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let hub = furnished();
    browser.show(1280, false);
    browser.open(&url(&hub, "/"));
    let found = "document.querySelector('#found').innerText";
    browser.write("main input[name=q]", "pyth");
    browser.until(&format!("{found}.includes('1 image for “pyth”')"));
    assert_eq!(
        browser.evaluate(&format!("{found}.includes('debian')")),
        false
    );
    browser.evaluate("document.querySelector('main input[name=q]').value = ''");
    browser.write("main input[name=q]", "debian");
    browser.until(&format!("{found}.includes('Small and stable')"));
    assert_eq!(
        browser.evaluate("document.querySelectorAll('html').length"),
        1
    );
    // On the page of results the address goes along, so that it can be kept.
    browser.open(&url(&hub, "/search"));
    browser.write("input[name=q]", "platforms");
    browser.until("location.search === '?q=platforms'");
    browser.until(&format!("{found}.includes('1 image for “platforms”')"));
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // Without scripts it is a form.
    browser.run_scripts(false);
    browser.open(&url(&hub, "/"));
    browser.write("main input[name=q]", "tool");
    browser.leave("document.querySelector('main form').requestSubmit()");
    assert_eq!(
        browser.evaluate("location.pathname + location.search"),
        "/search?q=tool"
    );
    assert_eq!(
        browser.evaluate(&format!("{found}.includes('other/tool')")),
        true
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn pages_do_what_their_buttons_say() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let hub = furnished();
    hub.fill_as("other", "other/liked:1", &small("liked"));
    browser.show(1280, false);
    sign_in(&mut browser, &hub, "ship");
    browser.open(&url(&hub, "/r/other/liked"));
    browser.leave("document.querySelector('.star button').click()");
    let star = "document.querySelector('.star button').textContent.trim()";
    assert_eq!(browser.evaluate(star), "Starred 1");
    let grant = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.command("Browser.grantPermissions", &grant);
    let copy = "document.querySelector('button[data-copy]')";
    assert_eq!(browser.evaluate(&format!("{copy}.hidden")), false);
    browser.evaluate(&format!("{copy}.click()"));
    browser.until(&format!(
        "['Copied', 'Selected'].includes({copy}.textContent.trim())"
    ));

    browser.open(&url(&hub, "/r/ship/app/-/tags/1.4"));
    browser.leave("document.querySelector('.choices a:nth-child(2)').click()");
    let chosen = browser.evaluate("document.querySelector('.choices [aria-current]').innerText");
    assert!(
        chosen.as_str().unwrap().starts_with("linux/arm64/v8"),
        "{chosen}"
    );

    browser.open(&url(&hub, "/r/ship/app/-/settings"));
    browser.evaluate("document.querySelector('textarea').value = '# Written here'");
    browser.leave("document.querySelector('main form.panel button').click()");
    let readme = browser.evaluate("document.querySelector('.readme h2').innerText");
    assert_eq!(readme, "Written here");
    browser.leave("document.querySelector('.menu form button').click()");
    let who = browser.evaluate("document.querySelector('.who').innerText.trim()");
    assert_eq!(who, "Sign in");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn nothing_that_was_pushed_runs() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let hub = harmful();
    sign_in(&mut browser, &hub, "ship");
    let term = "%22%27%3E%3Cscript%3Ewindow.harmed%3D1%3C%2Fscript%3E";
    for path in [
        "/",
        "/search?q=harm",
        &format!("/search?q={term}"),
        "/r/ship/harm",
        "/r/ship/harm/-/tags/1",
        "/r/ship/harm/-/settings",
    ] {
        browser.open(&url(&hub, path));
        let scripts = "[...document.scripts].filter((it) => !it.src.includes('/assets/')).length";
        assert_eq!(browser.evaluate(scripts), 0, "{path}");
        assert_eq!(
            browser.evaluate("window.harmed === undefined"),
            true,
            "{path}"
        );
        assert_eq!(browser.evaluate("document.images.length"), 0, "{path}");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{path}");
    }
    let shown = browser.evaluate("document.querySelector('input[name=description]').value");
    assert_eq!(shown, HARM);
    // What a script asks for while somebody types is as harmless.
    browser.open(&url(&hub, "/search"));
    browser.write("input[name=q]", "harm");
    browser.until("document.querySelector('#found').innerText.includes('window.harmed')");
    assert_eq!(browser.evaluate("window.harmed === undefined"), true);
    // The policy holds where a page should fail to.
    browser.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.harmed=1\">')",
    );
    browser.until("document.images[0].complete");
    assert_eq!(browser.evaluate("window.harmed === undefined"), true);
}
