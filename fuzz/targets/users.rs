//! The user and group files of images: whatever they say, an id is in range.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_run::users::{ExecUser, additional_groups, lookup};

const ID_MAX: u32 = i32::MAX as u32;

fuzz_target!(|input: (&str, Option<&str>, Option<&str>)| {
    let (user, passwd, group) = input;
    if let Ok(found) = lookup(user, passwd, group, &ExecUser::default()) {
        assert!(found.uid <= ID_MAX && found.gid <= ID_MAX);
        assert!(found.additional_gids.iter().all(|gid| *gid <= ID_MAX));
    }
    let names: Vec<String> = user.split(':').map(str::to_owned).collect();
    if let Ok(gids) = additional_groups(&names, group) {
        assert!(gids.len() <= names.len());
        assert!(gids.iter().all(|gid| *gid <= ID_MAX));
    }
});
