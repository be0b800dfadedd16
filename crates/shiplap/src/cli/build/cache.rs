//! Flags that decide what is taken from the cache, and put there.

use clap::Args;
use shiplap_build::options::{Cache, Values};

#[derive(Debug, Args)]
#[command(next_help_heading = "Cache Options")]
pub(super) struct CacheFlags {
    /// External cache sources (e.g., "user/app:cache", "type=local,src=path/to/dir")
    #[arg(long, value_name = "string")]
    cache_from: Vec<String>,
    /// Cache export destinations (e.g., "user/app:cache", "type=local,dest=path/to/dir")
    #[arg(long, value_name = "string")]
    cache_to: Vec<String>,
    /// Do not use cache when building the image
    #[arg(long)]
    no_cache: bool,
    /// Do not cache specified stages
    #[arg(long, value_name = "string", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
}

/// The build argument by which older Dockerfiles' users ask for `--cache-to type=inline`.
const INLINE_CACHE: &str = "BUILDKIT_INLINE_CACHE";

impl CacheFlags {
    pub(super) fn into_options(self, values: &Values) -> Cache {
        let given = |flags: Vec<String>| flags.into_iter().filter(|flag| !flag.is_empty());
        let mut to: Vec<String> = given(self.cache_to).collect();
        let inline = values.build_args.get(INLINE_CACHE).cloned().flatten();
        if inline.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true")) {
            to.push("type=inline".to_owned());
        }
        Cache {
            ignore: self.no_cache,
            ignored_stages: given(self.no_cache_filter).collect(),
            from: given(self.cache_from).collect(),
            to,
            keep_bytes: None,
        }
    }
}
