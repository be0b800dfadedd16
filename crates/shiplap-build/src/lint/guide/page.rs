//! The page of the documentation that tells each rule, made of the table itself.

use std::fmt::Write as _;

use super::{Family, Guide, all};

/// Begins the part of the page that is made.
const BEGIN: &str = "<!-- rules: made of the table; a test compares them -->\n";

/// The rules as a page: a table, and what is to be said of each rule of our own.
#[must_use]
pub fn page() -> String {
    let mut page = BEGIN.to_owned();
    for family in Family::ALL {
        let of_family = || all().filter(|guide| guide.family == family);
        // A string takes whatever is written.
        let _ = writeln!(
            page,
            "\n## {}\n\n| rule | severity | also called | `--fix` |\n|---|---|---|---|",
            family.title()
        );
        for guide in of_family() {
            let name = match guide.url() {
                Some(url) => format!("[`{}`]({url})", guide.name),
                None => format!("[`{}`](#{})", guide.name, guide.name.to_lowercase()),
            };
            let mended = match (guide.is_mended, guide.is_daring()) {
                (false, _) => "",
                (true, false) => "yes",
                (true, true) => "with `--unsafe-fixes`",
            };
            let _ = writeln!(
                page,
                "| {name} | {} | {} | {mended} |",
                guide.severity,
                guide.codes.join(", ")
            );
        }
        for guide in of_family().filter(|guide| guide.url().is_none()) {
            one(&mut page, guide);
        }
    }
    page
}

fn one(page: &mut String, guide: &Guide) {
    let _ = write!(
        page,
        "\n### {}\n\n{}. {}\n",
        guide.name, guide.wants, guide.reason
    );
    let samples = [("Found in", guide.bad), ("Better", guide.good)];
    for (word, sample) in samples.iter().filter(|(_, sample)| !sample.is_empty()) {
        let _ = write!(page, "\n{word}:\n\n```dockerfile\n{sample}```\n");
    }
}
