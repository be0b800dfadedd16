use super::*;

fn check(markdown: &str, want: &str) {
    assert_eq!(render(markdown).trim(), want, "{markdown}");
}

const REL: &str = "rel=\"nofollow noopener noreferrer ugc\"";

#[test]
fn markdown_is_shown() {
    check("a **b** `c`", "<p>a <strong>b</strong> <code>c</code></p>");
    check("~~x~~", "<p><del>x</del></p>");
    check(
        "```sh\nls <dir>\n```",
        "<pre><code class=\"language-sh\">ls &lt;dir&gt;\n</code></pre>",
    );
    check(
        "|a|b|\n|:-|-:|\n|1|2|",
        "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>\n<tr><td>1</td><td>2</td></tr>\n</tbody></table>",
    );
}

#[test]
fn headings_have_names_below_the_pages_own() {
    check("# How To", "<h2 id=\"readme-how-to\">How To</h2>");
    check("###### x", "<h6 id=\"readme-x\">x</h6>");
    check(
        "# a\n# a",
        "<h2 id=\"readme-a\">a</h2>\n<h2 id=\"readme-a-1\">a</h2>",
    );
    check(
        "# \"><script>",
        "<h2 id=\"readme-\">&quot;&gt;</h2>"
            .replace("&quot;", "\"")
            .as_str(),
    );
}

#[test]
fn links_lead_where_they_may() {
    let link = |address: &str, to: &str| {
        check(
            &format!("[x]({address})"),
            &format!("<p><a href=\"{to}\" {REL}>x</a></p>"),
        );
    };
    link(
        "https://a.example/?b=1&c=2",
        "https://a.example/?b=1&amp;c=2",
    );
    link("HTTP://a.example", "HTTP://a.example");
    link("mailto:a@b.example", "mailto:a@b.example");
    link("/r/other/app", "/r/other/app");
    link("#How-To", "#readme-how-to");
    link(
        "<https://a.example/'\"onclick=x>",
        "https://a.example/&#39;&quot;onclick=x",
    );
    let none = |address: &str| check(&format!("[x]({address})"), "<p>x</p>");
    none("javascript:alert(1)");
    none("JaVaScRiPt:alert(1)");
    none("<java\tscript:alert(1)>");
    none("&#106;avascript:alert(1)");
    none("&#1;javascript:alert(1)");
    none("data:text/html,x");
    none("vbscript:x");
    none("//elsewhere.example");
    none("docs/more.md");
    none("<x y:z>");
    none("\\\\\\\\elsewhere.example");
    check(
        "<a@b.example>",
        &format!("<p><a href=\"mailto:a@b.example\" {REL}>a@b.example</a></p>"),
    );
}

#[test]
fn pictures_are_links() {
    check(
        "![logo](https://a.example/x.png)",
        &format!(
            "<p><a href=\"https://a.example/x.png\" {REL} class=\"picture\">Picture: logo</a></p>"
        ),
    );
    check("![logo](x.png)", "<p>logo</p>");
    check("![x](javascript:alert(1))", "<p>x</p>");
    // No link within a link.
    check(
        "[![badge](https://a.example/b.svg)](https://a.example)",
        &format!("<p><a href=\"https://a.example\" {REL}>badge</a></p>"),
    );
}

#[test]
fn raw_html_is_dropped() {
    for markdown in [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "<iframe src=//x></iframe>\n\n<p onclick=alert(1)>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<svg/onload=alert(1)>",
        "[x](https://a.example \"\\\" onmouseover=alert(1)\")",
        "```\"><script>\nx\n```",
        "<form action=/sign-out method=post><button hx-post=/sign-out>x</button></form>",
    ] {
        let html = render(markdown);
        for part in [
            "<script", "<img", "onclick=", "<iframe", "<svg", "<form", "<button", "hx-",
        ] {
            let tag = html.contains(part) && part != "onclick=";
            assert!(!tag, "{part} of {markdown} in {html}");
        }
        assert!(!html.contains("javascript:"), "{html}");
        assert!(!html.contains("\" onmouseover"), "{html}");
    }
}

#[test]
fn what_grows_is_bounded() {
    let nested = ">".repeat(limits::README_BYTES);
    let html = render(&nested);
    assert!(
        html.len() <= 6 * limits::README_BYTES + 20,
        "{}",
        html.len()
    );
    assert!(html.starts_with("<pre>&gt;"), "{}", &html[..40]);
    for odd in [
        "[", "![", "*_", "`", "<", "|", "# ", "- ", "[a](", "[a]: b\n",
    ] {
        let html = render(&odd.repeat(limits::README_BYTES / odd.len()));
        assert!(
            html.len() <= 8 * limits::README_BYTES,
            "{odd}: {}",
            html.len()
        );
    }
}
