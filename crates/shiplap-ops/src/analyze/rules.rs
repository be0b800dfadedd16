//! Where programs leave what an image need not carry: lists, caches, logs, what only a build
//! needs. A table of paths, and what each kind is called.
//!
//! It knows paths only: whether a compiler is the image's purpose is for people to say.

use serde::Serialize;

/// A kind of waste.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WasteKind {
    /// A file that a later layer removes.
    Deleted,
    /// A file that a later layer has with other content.
    Overwritten,
    /// A file that a later layer has again, with the same content: `chown`, `chmod`, `touch`.
    Rewritten,
    /// Lists of packages that can be had, and packages that were unpacked.
    PackageLists,
    /// What package managers of languages and compilers keep for the next time.
    LanguageCache,
    /// Compilers, headers, static libraries: what only builds need.
    BuildTools,
    /// A file that is there a second time, at another path.
    Duplicate,
    /// Logs of the build.
    Log,
    /// The history of a repository.
    VersionControl,
    /// Byte code of sources that are there too.
    ByteCode,
    /// Temporary and backup files, notes of shells, editors and desktops.
    Temporary,
}

impl WasteKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Deleted,
        Self::Overwritten,
        Self::Rewritten,
        Self::PackageLists,
        Self::LanguageCache,
        Self::BuildTools,
        Self::Duplicate,
        Self::Log,
        Self::VersionControl,
        Self::ByteCode,
        Self::Temporary,
    ];

    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Deleted => "deleted in a later layer",
            Self::Overwritten => "overwritten in a later layer",
            Self::Rewritten => "copied again by chown, chmod or touch",
            Self::PackageLists => "package lists and packages",
            Self::LanguageCache => "caches of language tools",
            Self::BuildTools => "build tools",
            Self::Duplicate => "duplicate files",
            Self::Log => "logs",
            Self::VersionControl => "history of a repository",
            Self::ByteCode => "byte code beside its source",
            Self::Temporary => "temporary files",
        }
    }

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Overwritten => "overwritten",
            Self::Rewritten => "rewritten",
            Self::PackageLists => "package-lists",
            Self::LanguageCache => "language-cache",
            Self::BuildTools => "build-tools",
            Self::Duplicate => "duplicate",
            Self::Log => "log",
            Self::VersionControl => "version-control",
            Self::ByteCode => "byte-code",
            Self::Temporary => "temporary",
        }
    }

    /// Whether the image as it runs does without it, whatever it is for: bytes that no layer
    /// shows, and what programs make anew when they need it.
    #[must_use]
    pub fn is_certain(self) -> bool {
        !matches!(self, Self::BuildTools | Self::Duplicate | Self::ByteCode)
    }
}

/// Paths from the root; `~` is a home, `**` any directory, `*` any part of one name. What matches
/// counts with all that is below it. With each the kind, and whose it is.
const RULES: &[(&str, WasteKind, &str)] = &[
    ("var/lib/apt/lists/*", WasteKind::PackageLists, "apt"),
    ("var/cache/apt/*", WasteKind::PackageLists, "apt"),
    ("var/cache/debconf/*-old", WasteKind::PackageLists, "apt"),
    ("var/lib/dpkg/*-old", WasteKind::PackageLists, "apt"),
    ("var/cache/apk/*", WasteKind::PackageLists, "apk"),
    ("etc/apk/cache/*", WasteKind::PackageLists, "apk"),
    ("var/cache/dnf/*", WasteKind::PackageLists, "dnf"),
    ("var/cache/libdnf5/*", WasteKind::PackageLists, "dnf"),
    ("var/cache/yum/*", WasteKind::PackageLists, "yum"),
    ("var/cache/zypp/*", WasteKind::PackageLists, "zypper"),
    ("var/cache/pacman/pkg/*", WasteKind::PackageLists, "pacman"),
    ("var/lib/pacman/sync/*", WasteKind::PackageLists, "pacman"),
    ("~/.cache/pip/*", WasteKind::LanguageCache, "pip"),
    ("~/.cache/uv/*", WasteKind::LanguageCache, "uv"),
    ("~/.cache/pypoetry/*", WasteKind::LanguageCache, "poetry"),
    ("~/.cache/pipenv/*", WasteKind::LanguageCache, "pipenv"),
    ("~/.npm/*", WasteKind::LanguageCache, "npm"),
    ("~/.cache/node-gyp/*", WasteKind::LanguageCache, "npm"),
    ("~/.cache/yarn/*", WasteKind::LanguageCache, "yarn"),
    ("~/.yarn/berry/cache/*", WasteKind::LanguageCache, "yarn"),
    ("usr/local/share/.cache/*", WasteKind::LanguageCache, "yarn"),
    (
        "~/.local/share/pnpm/store/*",
        WasteKind::LanguageCache,
        "pnpm",
    ),
    ("~/.cache/pnpm/*", WasteKind::LanguageCache, "pnpm"),
    ("~/.bun/install/cache/*", WasteKind::LanguageCache, "bun"),
    ("opt/*conda*/pkgs/*", WasteKind::LanguageCache, "conda"),
    ("opt/mamba*/pkgs/*", WasteKind::LanguageCache, "conda"),
    (
        "usr/local/*conda*/pkgs/*",
        WasteKind::LanguageCache,
        "conda",
    ),
    ("~/*conda*/pkgs/*", WasteKind::LanguageCache, "conda"),
    ("~/.conda/pkgs/*", WasteKind::LanguageCache, "conda"),
    ("~/.cargo/registry/*", WasteKind::LanguageCache, "cargo"),
    ("~/.cargo/git/*", WasteKind::LanguageCache, "cargo"),
    (
        "usr/local/cargo/registry/*",
        WasteKind::LanguageCache,
        "cargo",
    ),
    ("usr/local/cargo/git/*", WasteKind::LanguageCache, "cargo"),
    ("~/.cache/go-build/*", WasteKind::LanguageCache, "go"),
    ("~/go/pkg/mod/cache/*", WasteKind::LanguageCache, "go"),
    ("go/pkg/mod/cache/*", WasteKind::LanguageCache, "go"),
    ("~/.m2/repository/*", WasteKind::LanguageCache, "maven"),
    ("~/.gradle/caches/*", WasteKind::LanguageCache, "gradle"),
    (
        "~/.gradle/wrapper/dists/*",
        WasteKind::LanguageCache,
        "gradle",
    ),
    ("~/.composer/cache/*", WasteKind::LanguageCache, "composer"),
    ("~/.cache/composer/*", WasteKind::LanguageCache, "composer"),
    ("usr/local/bundle/cache/*", WasteKind::LanguageCache, "gem"),
    (
        "usr/lib/ruby/gems/*/cache/*",
        WasteKind::LanguageCache,
        "gem",
    ),
    (
        "usr/local/lib/ruby/gems/*/cache/*",
        WasteKind::LanguageCache,
        "gem",
    ),
    ("var/lib/gems/*/cache/*", WasteKind::LanguageCache, "gem"),
    (
        "~/.local/share/NuGet/*-cache/*",
        WasteKind::LanguageCache,
        "nuget",
    ),
    ("~/.cache/ccache/*", WasteKind::LanguageCache, "ccache"),
    ("~/.ccache/*", WasteKind::LanguageCache, "ccache"),
    ("usr/lib/gcc/*", WasteKind::BuildTools, "compilers"),
    ("usr/libexec/gcc/*", WasteKind::BuildTools, "compilers"),
    ("usr/lib/llvm-*/*", WasteKind::BuildTools, "compilers"),
    ("usr/include/*", WasteKind::BuildTools, "compilers"),
    ("usr/local/include/*", WasteKind::BuildTools, "compilers"),
    ("usr/lib/*.a", WasteKind::BuildTools, "compilers"),
    ("usr/lib/*/*.a", WasteKind::BuildTools, "compilers"),
    ("usr/local/lib/*.a", WasteKind::BuildTools, "compilers"),
    ("usr/local/lib/*/*/*.a", WasteKind::BuildTools, "compilers"),
    ("usr/lib/*/pkgconfig/*", WasteKind::BuildTools, "compilers"),
    ("usr/lib/*/libbfd-*", WasteKind::BuildTools, "compilers"),
    ("usr/lib/*/libopcodes-*", WasteKind::BuildTools, "compilers"),
    ("usr/lib/*/lib*san.so*", WasteKind::BuildTools, "compilers"),
    ("usr/bin/*-linux-gnu-*", WasteKind::BuildTools, "compilers"),
    (
        "usr/bin/*-alpine-linux-musl-*",
        WasteKind::BuildTools,
        "compilers",
    ),
    ("usr/bin/make", WasteKind::BuildTools, "compilers"),
    ("usr/bin/ninja", WasteKind::BuildTools, "compilers"),
    ("usr/bin/cmake", WasteKind::BuildTools, "compilers"),
    ("usr/share/cmake*/*", WasteKind::BuildTools, "compilers"),
    ("usr/share/autoconf/*", WasteKind::BuildTools, "compilers"),
    ("usr/share/automake*/*", WasteKind::BuildTools, "compilers"),
    ("usr/local/go/*", WasteKind::BuildTools, "the Go toolchain"),
    ("usr/lib/go-*/*", WasteKind::BuildTools, "the Go toolchain"),
    (
        "usr/local/rustup/*",
        WasteKind::BuildTools,
        "the Rust toolchain",
    ),
    ("~/.rustup/*", WasteKind::BuildTools, "the Rust toolchain"),
    (
        "usr/lib/rustlib/*",
        WasteKind::BuildTools,
        "the Rust toolchain",
    ),
    ("usr/lib/git-core/*", WasteKind::BuildTools, "git"),
    ("usr/libexec/git-core/*", WasteKind::BuildTools, "git"),
    ("usr/bin/git", WasteKind::BuildTools, "git"),
    ("var/log/*", WasteKind::Log, "logs"),
    ("**/.git", WasteKind::VersionControl, "git"),
    ("**/.hg", WasteKind::VersionControl, "mercurial"),
    ("**/.svn", WasteKind::VersionControl, "subversion"),
    ("tmp/*", WasteKind::Temporary, "temporary files"),
    ("var/tmp/*", WasteKind::Temporary, "temporary files"),
    ("var/cache/man/*", WasteKind::Temporary, "temporary files"),
    (
        "var/cache/ldconfig/*",
        WasteKind::Temporary,
        "temporary files",
    ),
    ("~/.bash_history", WasteKind::Temporary, "temporary files"),
    ("~/.ash_history", WasteKind::Temporary, "temporary files"),
    ("~/.python_history", WasteKind::Temporary, "temporary files"),
    (
        "~/.node_repl_history",
        WasteKind::Temporary,
        "temporary files",
    ),
    ("~/.wget-hsts", WasteKind::Temporary, "temporary files"),
    ("~/.viminfo", WasteKind::Temporary, "temporary files"),
    ("**/.DS_Store", WasteKind::Temporary, "temporary files"),
    ("**/Thumbs.db", WasteKind::Temporary, "temporary files"),
    ("**/.*.swp", WasteKind::Temporary, "temporary files"),
    ("**/.pytest_cache", WasteKind::Temporary, "temporary files"),
    ("**/.mypy_cache", WasteKind::Temporary, "temporary files"),
    ("**/.ruff_cache", WasteKind::Temporary, "temporary files"),
    ("**/*.dpkg-old", WasteKind::Temporary, "temporary files"),
    ("**/*.rpmsave", WasteKind::Temporary, "temporary files"),
];

/// A path that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) kind: WasteKind,
    /// Whose it is: `apt`, `pip`, `compilers`, …
    pub(super) tool: &'static str,
}

/// The names of a path from the root, with what it is.
type Anchored = (Vec<&'static [u8]>, Class);

/// The rules, taken apart.
pub(crate) struct Rules {
    /// From the root, by the number of names.
    anchored: Vec<Vec<Anchored>>,
    /// Of the last name alone.
    anywhere: Vec<(&'static [u8], Class)>,
}

impl Rules {
    pub(crate) fn new() -> Self {
        let mut rules = Self {
            anchored: Vec::new(),
            anywhere: Vec::new(),
        };
        for &(pattern, kind, tool) in RULES {
            let class = Class { kind, tool };
            if let Some(name) = pattern.strip_prefix("**/") {
                rules.anywhere.push((name.as_bytes(), class));
            } else if let Some(rest) = pattern.strip_prefix("~/") {
                rules.anchor(&["root"], rest, class);
                rules.anchor(&["home", "*"], rest, class);
            } else {
                rules.anchor(&[], pattern, class);
            }
        }
        rules
    }

    fn anchor(&mut self, home: &[&'static str], rest: &'static str, class: Class) {
        let names = home.iter().copied().chain(rest.split('/'));
        let names: Vec<_> = names.map(str::as_bytes).collect();
        if self.anchored.len() <= names.len() {
            self.anchored.resize(names.len() + 1, Vec::new());
        }
        self.anchored[names.len()].push((names, class));
    }

    /// What a path from the root is, if a rule names it itself.
    pub(crate) fn of(&self, path: &[u8]) -> Option<Class> {
        let depth = path.iter().filter(|byte| **byte == b'/').count() + 1;
        let named = self.anchored.get(depth).and_then(|rules| {
            let matches = |names: &[&[u8]]| {
                let mut parts = path.split(|byte| *byte == b'/');
                names
                    .iter()
                    .all(|name| parts.next().is_some_and(|part| matches_name(name, part)))
            };
            rules.iter().find(|(names, _)| matches(names))
        });
        if let Some((_, class)) = named {
            return Some(*class);
        }
        let name = path.rsplit(|byte| *byte == b'/').next()?;
        let found = (self.anywhere.iter()).find(|(pattern, _)| matches_name(pattern, name));
        found.map(|(_, class)| *class)
    }
}

/// Whether a name is one that the pattern, with `*`, means.
fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    let Some(mut rest) = rest.strip_suffix(last) else {
        return false;
    };
    for part in parts {
        let at = rest.windows(part.len().max(1)).position(|at| at == part);
        let Some(at) = at else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests;
