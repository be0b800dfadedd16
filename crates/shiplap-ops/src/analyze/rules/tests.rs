use super::{RULES, Rules, WasteKind, matches_name};

fn check(path: &str, expected: Option<(WasteKind, &str)>) {
    let class = Rules::new().of(path.as_bytes());
    let found = class.map(|class| (class.kind, class.tool));
    assert_eq!(found, expected, "{path}");
}

#[test]
fn what_paths_tell() {
    let lists = |tool| Some((WasteKind::PackageLists, tool));
    let cache = |tool| Some((WasteKind::LanguageCache, tool));
    check("var/lib/apt/lists/debian_InRelease", lists("apt"));
    check("var/lib/apt/lists", None);
    check("var/cache/apt/pkgcache.bin", lists("apt"));
    check("var/lib/dpkg/status-old", lists("apt"));
    check("var/lib/dpkg/status", None);
    check("var/cache/apk/APKINDEX.tar.gz", lists("apk"));
    check("root/.cache/pip/http", cache("pip"));
    check("home/me/.cache/pip/http", cache("pip"));
    check("home/.cache/pip/http", None);
    check("opt/miniconda3/pkgs/python.conda", cache("conda"));
    check("root/.cargo/registry/cache", cache("cargo"));
    check("usr/local/cargo/bin/cargo", None);
    let tools = Some((WasteKind::BuildTools, "compilers"));
    check("usr/bin/x86_64-linux-gnu-gcc-12", tools);
    check("usr/lib/x86_64-linux-gnu/libc.a", tools);
    check("usr/lib/x86_64-linux-gnu/libc.so.6", None);
    check("app/.git", Some((WasteKind::VersionControl, "git")));
    check("app/.gitignore", None);
    let temporary = Some((WasteKind::Temporary, "temporary files"));
    check("tmp/x", temporary);
    check("srv/.main.c.swp", temporary);
    check("var/log/dpkg.log", Some((WasteKind::Log, "logs")));
}

#[test]
fn stars_in_names() {
    let check = |pattern: &str, name: &str, expected: bool| {
        let found = matches_name(pattern.as_bytes(), name.as_bytes());
        assert_eq!(found, expected, "{name} as {pattern}");
    };
    check("a", "a", true);
    check("a", "ab", false);
    check("*", "", true);
    check("*", "abc", true);
    check("a*", "abc", true);
    check("a*c", "abc", true);
    check("a*c", "ac", true);
    check("a*a", "a", false);
    check("*b*", "abc", true);
    check("*b*", "acc", false);
    check("*-linux-gnu-*", "x86_64-linux-gnu-gcc", true);
    check("a*b*c", "a-b-b-c", true);
    check("a*b*c", "acb", false);
}

/// A rule that can't match is a slip of the pen.
#[test]
fn every_rule_has_a_path() {
    for (pattern, kind, tool) in RULES {
        let path = pattern
            .replacen("**/", "any/", 1)
            .replacen("~/", "home/me/", 1);
        let path = path.replace('*', "x");
        let class = Rules::new().of(path.as_bytes());
        let class = class.unwrap_or_else(|| panic!("{pattern}: {path}"));
        assert_eq!((class.kind, class.tool), (*kind, *tool), "{pattern}");
    }
}
