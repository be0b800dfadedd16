//! Licences as people declare them, read as SPDX identifiers and expressions ("SPDX Specification", annex on
//! licence expressions; identifiers of the SPDX licence list). What is neither stays a name.

/// Identifiers of the SPDX licence list 3.24, which the schema of CycloneDX 1.6 knows, one a line, sorted by their lower case; exceptions
/// have a `+ ` before them.
const LIST: &str = include_str!("spdx-licences.txt");

/// How deep parentheses may lie: keeps the stack small.
const DEPTH: usize = 20;

/// Longest text that is taken for an expression, in bytes.
const EXPRESSION_BYTES: usize = 4096;

/// Words that are used for licences that SPDX knows by others; in lower case.
const ALIASES: &[(&str, &str)] = &[
    ("3-clause bsd", "BSD-3-Clause"),
    ("3-clause bsd license", "BSD-3-Clause"),
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache software license 2.0", "Apache-2.0"),
    ("apache-2", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("asl 2.0", "Apache-2.0"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("bsd 3-clause license", "BSD-3-Clause"),
    ("bsd-2", "BSD-2-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("expat", "MIT"),
    ("gfdl-1.2", "GFDL-1.2-only"),
    ("gfdl-1.2+", "GFDL-1.2-or-later"),
    ("gfdl-1.3", "GFDL-1.3-only"),
    ("gfdl-1.3+", "GFDL-1.3-or-later"),
    ("gnu general public license v2 (gplv2)", "GPL-2.0-only"),
    (
        "gnu general public license v2 or later (gplv2+)",
        "GPL-2.0-or-later",
    ),
    ("gnu general public license v3 (gplv3)", "GPL-3.0-only"),
    (
        "gnu general public license v3 or later (gplv3+)",
        "GPL-3.0-or-later",
    ),
    (
        "gnu lesser general public license v2 or later (lgplv2+)",
        "LGPL-2.0-or-later",
    ),
    (
        "gnu lesser general public license v3 (lgplv3)",
        "LGPL-3.0-only",
    ),
    (
        "gnu lesser general public license v3 or later (lgplv3+)",
        "LGPL-3.0-or-later",
    ),
    ("gpl-1", "GPL-1.0-only"),
    ("gpl-1+", "GPL-1.0-or-later"),
    ("gpl-2", "GPL-2.0-only"),
    ("gpl-2+", "GPL-2.0-or-later"),
    ("gpl-3", "GPL-3.0-only"),
    ("gpl-3+", "GPL-3.0-or-later"),
    ("gplv2", "GPL-2.0-only"),
    ("gplv2+", "GPL-2.0-or-later"),
    ("gplv3", "GPL-3.0-only"),
    ("gplv3+", "GPL-3.0-or-later"),
    ("isc license", "ISC"),
    ("isc license (iscl)", "ISC"),
    ("lgpl-2", "LGPL-2.0-only"),
    ("lgpl-2+", "LGPL-2.0-or-later"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-2.1+", "LGPL-2.1-or-later"),
    ("lgpl-3", "LGPL-3.0-only"),
    ("lgpl-3+", "LGPL-3.0-or-later"),
    ("lgplv2+", "LGPL-2.0-or-later"),
    ("lgplv2.1+", "LGPL-2.1-or-later"),
    ("lgplv3+", "LGPL-3.0-or-later"),
    ("mit license", "MIT"),
    ("mit no attribution license (mit-0)", "MIT-0"),
    ("modified bsd", "BSD-3-Clause"),
    ("mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"),
    ("mpl 2.0", "MPL-2.0"),
    ("mplv2.0", "MPL-2.0"),
    ("new bsd", "BSD-3-Clause"),
    ("new bsd license", "BSD-3-Clause"),
    ("psf", "PSF-2.0"),
    ("psf-2", "PSF-2.0"),
    ("psfl", "PSF-2.0"),
    ("python software foundation license", "PSF-2.0"),
    ("the mit license", "MIT"),
    ("the mit license (mit)", "MIT"),
    ("the unlicense (unlicense)", "Unlicense"),
    ("zpl 2.1", "ZPL-2.1"),
];

/// A licence as SPDX knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Licence {
    /// One of the list, by its identifier.
    Id(&'static str),
    /// Several, with `AND`, `OR` and `WITH`.
    Expression(String),
    /// Words that SPDX doesn't know.
    Name(String),
}

/// What a declared licence is to SPDX.
#[must_use]
pub fn licence(declared: &str) -> Licence {
    let declared = declared.trim();
    if let Some(id) = id(declared) {
        return Licence::Id(id);
    }
    match expression(declared) {
        Some(expression) => Licence::Expression(expression),
        None => Licence::Name(declared.to_owned()),
    }
}

/// The identifier that the words mean.
fn id(words: &str) -> Option<&'static str> {
    let lower = words.to_lowercase();
    let alias = ALIASES.binary_search_by(|(alias, _)| (*alias).cmp(&lower));
    if let Ok(found) = alias {
        return ALIASES.get(found).map(|(_, id)| *id);
    }
    find(&lower).filter(|line| !line.starts_with("+ "))
}

/// The exception of that name.
fn exception(words: &str) -> Option<&'static str> {
    find(&format!("+ {}", words.to_lowercase()))?.strip_prefix("+ ")
}

fn find(lower: &str) -> Option<&'static str> {
    LIST.lines().find(|line| line.eq_ignore_ascii_case(lower))
}

/// The expression in its usual form; `None` if it is none.
fn expression(text: &str) -> Option<String> {
    if text.len() > EXPRESSION_BYTES {
        return None;
    }
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    let parsed = either(&mut rest, 0)?;
    rest.is_empty().then_some(parsed)
}

fn either(rest: &mut &[&str], depth: usize) -> Option<String> {
    joined(rest, "OR", |rest| {
        joined(rest, "AND", |rest| simple(rest, depth))
    })
}

/// One or more parts with the operator between.
fn joined(
    rest: &mut &[&str],
    operator: &str,
    part: impl Fn(&mut &[&str]) -> Option<String>,
) -> Option<String> {
    let mut text = part(rest)?;
    while let [next, behind @ ..] = *rest
        && next.eq_ignore_ascii_case(operator)
    {
        *rest = behind;
        text = format!("{text} {operator} {}", part(rest)?);
    }
    Some(text)
}

fn simple(rest: &mut &[&str], depth: usize) -> Option<String> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    if *first == "(" {
        if depth == DEPTH {
            return None;
        }
        let inner = either(rest, depth + 1)?;
        let (last, behind) = rest.split_first()?;
        *rest = behind;
        return (*last == ")").then(|| format!("({inner})"));
    }
    let licence = match (id(first), first.strip_suffix('+')) {
        (Some(id), _) => id.to_owned(),
        (None, Some(base)) => format!("{}+", id(base)?),
        (None, None) => return None,
    };
    if let [with, name, behind @ ..] = *rest
        && with.eq_ignore_ascii_case("WITH")
    {
        let exception = exception(name)?;
        *rest = behind;
        return Some(format!("{licence} WITH {exception}"));
    }
    Some(licence)
}

#[cfg(test)]
mod tests {
    use super::{ALIASES, Licence, find, licence};

    #[test]
    fn declared_licences_as_spdx_has_them() {
        let check = |declared: &str, expected: Licence| {
            assert_eq!(licence(declared), expected, "{declared}");
        };
        let expression = |text: &str| Licence::Expression(text.to_owned());
        let name = |text: &str| Licence::Name(text.to_owned());
        check("MIT", Licence::Id("MIT"));
        check(" mit ", Licence::Id("MIT"));
        check("BSD-3-clause", Licence::Id("BSD-3-Clause"));
        check("GPL-2+", Licence::Id("GPL-2.0-or-later"));
        check("Apache License 2.0", Licence::Id("Apache-2.0"));
        check("Expat or Apache-2.0", expression("MIT OR Apache-2.0"));
        check(
            "(MIT AND (Zlib OR ISC))",
            expression("(MIT AND (Zlib OR ISC))"),
        );
        check(
            "GPL-2.0-only with classpath-exception-2.0",
            expression("GPL-2.0-only WITH Classpath-exception-2.0"),
        );
        check("Apache-2.0+", expression("Apache-2.0+"));
        check("BSD", name("BSD"));
        check("MIT AND", name("MIT AND"));
        check("MIT OR nonsense", name("MIT OR nonsense"));
        check("(MIT", name("(MIT"));
        check("MIT WITH MIT", name("MIT WITH MIT"));
        check("", name(""));
        check("Classpath-exception-2.0", name("Classpath-exception-2.0"));
        let deep = "(".repeat(5000);
        check(&deep, name(&deep));
    }

    #[test]
    fn aliases_are_sorted_and_lead_to_identifiers() {
        assert!(ALIASES.is_sorted());
        for (alias, id) in ALIASES {
            assert_eq!(*alias, alias.to_lowercase());
            assert_eq!(find(id), Some(*id));
        }
    }
}
