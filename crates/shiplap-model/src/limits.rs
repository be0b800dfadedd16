//! Every bound on outside input, with its reason.
//!
//! A bound protects memory, disk or time from an image, an archive or a registry that means
//! harm; each is far above what honest input holds.

/// Longest manifest or index that is read, in bytes: the distribution specification asks
/// registries to take at least 4 MiB, and no known registry takes more.
pub const MANIFEST_BYTES: u64 = 4 << 20;

/// Longest image config that is read, in bytes: real ones hold some kilobytes; the largest seen
/// (many hundred history entries and labels) some hundred.
pub const CONFIG_BYTES: u64 = 8 << 20;

/// How deep indexes may lie within indexes: one is usual, two is seen (attestations).
pub const INDEX_DEPTH: usize = 4;

/// Most manifests one index may name.
pub const INDEX_ENTRIES: usize = 4096;

/// Most layers an image may have: overlayfs takes 500 lower layers, Docker 127.
pub const LAYERS: usize = 500;

/// Longest uncompressed tar of one layer, in bytes (1 TiB): beyond it an EROFS index with
/// 512-byte blocks can't address the data (32 bits of blocks would be 2 TiB).
pub const LAYER_BYTES: u64 = 1 << 40;

/// How many times its compressed size a layer may inflate to. gzip's own bound is 1,032; zstd
/// and xz know none, and a layer of zeros is legal, so small layers are let through by
/// [`INFLATION_FREE_BYTES`].
pub const INFLATION_RATIO: u64 = 1100;

/// Inflated bytes that are free of the ratio (256 MiB).
pub const INFLATION_FREE_BYTES: u64 = 256 << 20;

/// Most entries one layer may have (5 million; the largest real images have 2 million files, and
/// each costs some hundred bytes of memory while its layer is taken in).
pub const LAYER_ENTRIES: u64 = 5_000_000;

/// Most entries of all layers of one image that `analyze` looks at: as many as one layer may have, and
/// each takes some hundred bytes of memory.
pub const ANALYZED_ENTRIES: usize = 5_000_000;

/// Longest path of a layer entry, in bytes: Linux's PATH_MAX.
pub const PATH_BYTES: usize = 4096;

/// Longest name of a directory entry, in bytes: Linux's NAME_MAX.
pub const NAME_BYTES: usize = 255;

/// Longest run of extension headers (PAX, GNU long names) before one entry, in bytes: holds the
/// largest legal set of xattrs (64 KiB each) and paths with room.
pub const TAR_EXTENSION_BYTES: u64 = 4 << 20;

/// All xattrs of one entry together, in bytes: what an EROFS inode can hold inline
/// (16 bits of 4-byte units).
pub const XATTR_BYTES: usize = 200 << 10;

/// How much longer than its tar a layer index may become through sparse files, in bytes (64 MiB):
/// a hole costs a tar nothing but may cost an index chunk entries or copies. A sparse file of
/// 300 GB with some written pages takes 3 MB.
pub const INDEX_EXTRA_BYTES: u64 = 64 << 20;

/// How deep arrays and objects may nest in a JSON document.
pub const JSON_DEPTH: usize = 64;

/// Longest template of `--format`, in bytes: people type some hundred.
pub const TEMPLATE_BYTES: usize = 64 << 10;

/// How deep blocks, parentheses and templates calling templates may nest: keeps the stack small.
pub const TEMPLATE_DEPTH: usize = 100;

/// Steps one execution of a template may take: `range` takes any number to count to.
pub const TEMPLATE_STEPS: u64 = 1_000_000;

/// Longest text one execution of a template may make, in bytes: the JSON of a large image is
/// below one MiB.
pub const TEMPLATE_OUTPUT_BYTES: usize = 16 << 20;

/// How deep `${…}` may lie within `${…}` in one word of an instruction: keeps the stack small.
pub const EXPANSION_DEPTH: usize = 64;

/// Longest text one word of an instruction may expand to, in bytes (1 MiB): Linux gives a program
/// no argument or variable beyond 128 KiB.
pub const EXPANSION_BYTES: usize = 1 << 20;

/// Longest pattern in a `${…}`, in characters: matching takes this times the length of the value.
pub const PATTERN_CHARS: usize = 1024;

/// Longest ignore file that is read, in bytes: the largest seen have some hundred lines.
pub const IGNORE_FILE_BYTES: usize = 1 << 20;

/// Most patterns of one ignore file: each may be asked about each file of a context.
pub const IGNORE_PATTERNS: usize = 10_000;

/// Longest pattern of an ignore file, in bytes: that of a path.
pub const IGNORE_PATTERN_BYTES: usize = PATH_BYTES;

/// Longest Dockerfile, in bytes (4 MiB): the longest ones, made by programs, have some 100 KiB.
pub const DOCKERFILE_BYTES: usize = 4 << 20;

/// Longest line of a Dockerfile, in bytes: BuildKit's own bound.
pub const DOCKERFILE_LINE_BYTES: usize = 65_535;

/// Most instructions of a Dockerfile: each becomes a step, and an image has at most 500 layers.
pub const DOCKERFILE_INSTRUCTIONS: usize = 10_000;

/// Most text that the plan of a build may hold, in bytes (64 MiB): variables multiply, and every
/// command has its environment. Plans of real Dockerfiles have below one MiB.
pub const PLAN_BYTES: usize = 64 << 20;

/// Names of images in a build, and of variables in its checks, for which the nearest known one is looked up,
/// in case they are misspelt.
pub const PLAN_SUGGESTIONS: usize = 64;

/// Most Dockerfiles that are looked for below a directory to be checked: the largest collections of them
/// have some thousand.
pub const LINTED_FILES: usize = 10_000;

/// Most instructions of a Dockerfile that more than BuildKit's checks look at, since rules compare instructions with
/// each other: no image may have half as many layers.
pub const LINTED_INSTRUCTIONS: usize = 1_000;

/// Longest commands of a Dockerfile, all together and in bytes (256 KiB), that more than BuildKit's checks look at,
/// since rules compare commands with each other: the longest ones of known projects have some 20 KiB.
pub const LINTED_COMMAND_BYTES: usize = 256 << 10;

/// How deep subshells and substitutions may lie within one another in a shell's text that is
/// checked: people write three or four; keeps the stack small.
pub const SHELL_DEPTH: usize = 32;

/// Most errors of a Dockerfile that are told: nobody reads on.
pub const DOCKERFILE_ERRORS: usize = 20;

/// Most files of one context directory whose digests are remembered: they take 84 MB, read at
/// once.
pub const STAT_MEMORY_RECORDS: usize = 1_000_000;

/// Longest memory of one file of the web, in bytes: what a server calls a file's state is short, and a
/// longer one is as good as none.
pub const WEB_MEMORY_BYTES: u64 = 64 << 10;

/// Most that one call of git may say where its answer is kept, in bytes: some lines are due.
pub const GIT_OUTPUT_BYTES: u64 = 4 << 20;

/// Largest commit or tree of a git repository that is read, in bytes (32 MiB): a tree of half a million files.
pub const GIT_OBJECT_BYTES: u64 = 32 << 20;

/// Longest path of a repository, in bytes: distribution's own bound.
pub const REPOSITORY_BYTES: usize = 255;

/// Longest tag, in bytes: distribution's own bound.
pub const TAG_BYTES: usize = 128;

/// Longest reference, in bytes: the longest path, tag and SHA-512 digest (135) and DNS name (253)
/// with a port, and room.
pub const REFERENCE_BYTES: usize = 1024;

/// Longest `filters` parameter of the Engine API, in bytes: holds a thousand names.
pub const FILTER_BYTES: u64 = 256 << 10;

/// Most members an archive of images may have: some per layer and image, far fewer than files.
pub const ARCHIVE_MEMBERS: u64 = 1_000_000;

/// Longest `index.json` of an OCI layout, in bytes: it names every image of the layout, so it may
/// be longer than a registry's index.
pub const LAYOUT_INDEX_BYTES: u64 = 16 << 20;

/// Most memory that decompressing one stream may take, in bytes (128 MiB): the window of zstd's
/// `--long` default and twice what `xz -9` needs.
pub const DECODER_MEMORY_BYTES: u64 = 128 << 20;

/// Longest body of a registry's error that is read, in bytes: errors are some hundred bytes.
pub const REGISTRY_ERROR_BYTES: u64 = 64 << 10;

/// Longest answer of a token server, in bytes: tokens that name many groups reach some 10 KiB.
pub const TOKEN_BYTES: u64 = 1 << 20;

/// Longest page of a registry's list (tags, repositories, search results), in bytes: a registry
/// that doesn't page sends all of, say, 100,000 tags at once.
pub const REGISTRY_LIST_BYTES: u64 = 32 << 20;

/// Most pages of a registry's list that are followed.
pub const REGISTRY_LIST_PAGES: usize = 10_000;

/// Most entries of a registry's list.
pub const REGISTRY_LIST_ENTRIES: usize = 1_000_000;

/// Most redirects that are followed for one request; Docker's and Go's number.
pub const REDIRECTS: usize = 10;

/// Longest credential file, and longest answer of a credential helper, in bytes.
pub const CREDENTIAL_BYTES: u64 = 4 << 20;

/// Longest `/etc/passwd` or `/etc/group` of an image that is read, in bytes: holds some hundred
/// thousand users.
pub const USER_FILE_BYTES: u64 = 8 << 20;

/// Longest record of what decided a build step's result, in bytes (16 MiB): names and short
/// digests of a million files, compressed.
pub const CACHE_INPUT_BYTES: u64 = 16 << 20;

/// The same inflated, in bytes (64 MiB): command lines and environments compress well, digests
/// don't.
pub const CACHE_RECORD_BYTES: u64 = 64 << 20;
/// Longest password that is hashed, in bytes: argon2 takes any, so its time would be the sender's to
/// choose.
pub const PASSWORD_BYTES: usize = 1024;

/// Longest name of a user or organisation, in bytes: leaves room for repositories in the 255 of a path.
pub const NAMESPACE_BYTES: usize = 64;

/// Longest header block of a request to the hub, in bytes: tokens reach some 10 KiB.
pub const HUB_HEADER_BYTES: usize = 64 << 10;

/// Most headers of a request to the hub.
pub const HUB_HEADERS: usize = 100;

/// Longest body of a request to the hub's own API, in bytes: a README and room.
pub const HUB_BODY_BYTES: u64 = 2 << 20;

/// Longest README of a repository, in bytes: Docker Hub takes 25,000 characters.
pub const README_BYTES: usize = 256 << 10;

/// Longest HTML of a README, in bytes: of text it is a little longer, of markup within markup it
/// could be any number of times as long.
pub const README_HTML_BYTES: usize = 2 << 20;

/// Longest description of a repository, in bytes: a line of a list; Docker Hub takes 100 characters.
pub const DESCRIPTION_BYTES: usize = 512;

/// Most entries of one page of a list that the hub sends; the rest has a link.
pub const HUB_PAGE: u64 = 10_000;

/// Most results of one page of a search.
pub const SEARCH_PAGE: u64 = 100;

/// Most platforms of a tag on one page: the widest official images have a dozen.
pub const PLATFORMS_SHOWN: usize = 32;

/// Most lines of an image's history on its page: more than an image may have layers.
pub const HISTORY_SHOWN: usize = 1000;

/// Most variables of an image's environment, and labels, on its page: nobody reads more.
pub const FACTS_SHOWN: usize = 200;

/// Longest text out of an image's config on its page, in characters: a long command, not a file.
pub const SHOWN_CHARACTERS: usize = 2000;

/// Longest text that is searched for, in bytes.
pub const SEARCH_BYTES: usize = 256;

/// Most scopes of one request for a token: a push with mounts asks for some.
pub const TOKEN_SCOPES: usize = 32;

/// Most tags that one push of a manifest may set: the specification asks for ten at least.
pub const PUSHED_TAGS: usize = 64;

/// Most repositories that are looked through for a blob to mount that no source was named for.
pub const MOUNT_SOURCES: u64 = 64;

/// Longest secret of a build, in bytes: BuildKit's own bound.
pub const SECRET_BYTES: u64 = 500 << 10;

/// Longest list of installed packages that is read from an image (dpkg's `status`, apk's `installed`, a
/// lock file of npm), in bytes (64 MiB): those of a full desktop have some 10 MB.
pub const PACKAGE_LIST_BYTES: u64 = 64 << 20;

/// Longest description of one package that is read (`package.json`, `METADATA`, `copyright`), in bytes.
/// Of longer ones in lines only the start counts, which holds all that is wanted.
pub const PACKAGE_FACTS_BYTES: u64 = 2 << 20;

/// Most packages that an inventory holds: the largest images have some 20,000, most of them Node's.
pub const PACKAGES: usize = 500_000;

/// Most memory for which package owns which record of another, in bytes (64 MiB): some hundred such
/// records are usual.
pub const PACKAGE_OWNER_BYTES: usize = 64 << 20;

/// Most memory for what packages need and provide, and for names that are looked for, in bytes (32 MiB): a
/// full desktop has some 5 MB.
pub const PACKAGE_NEED_BYTES: usize = 32 << 20;

/// Longest header of one package in an RPM database, in bytes: rpm's own bound is 256 MiB, and the
/// largest real ones, which list 100,000 files, have some 10.
pub const RPM_HEADER_BYTES: u64 = 64 << 20;

/// Most records of an RPM database that are looked at.
pub const RPM_RECORDS: usize = 200_000;

/// Most sections of an ELF file that are looked at: large programs have some 50; the format's own
/// bound is 65,279.
pub const ELF_SECTIONS: u64 = 65_279;

/// Longest list of dependencies in a program, as it lies there, in bytes.
pub const PROGRAM_FACTS_BYTES: u64 = 8 << 20;
