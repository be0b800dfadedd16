//! apk's packages: `lib/apk/db/installed` (apk-tools 2, "Alpine package database").

use shiplap_layer::stack::{Found, StackError};
use shiplap_model::limits;

use super::files::{ImageFiles, text};
use super::needs::Need;
use super::{Ecosystem, Finds, Key, Location, Package};

const INSTALLED: [&[u8]; 2] = [b"lib/apk/db/installed", b"usr/lib/apk/db/installed"];

pub(super) fn read(files: &ImageFiles<'_>, finds: &mut Finds) -> Result<(), StackError> {
    let mut seen = None;
    for path in INSTALLED {
        let Some(found) = files.find_file(path)? else {
            continue;
        };
        // One of the two may be a link to the other.
        if seen.replace(found.path.clone()).as_ref() == Some(&found.path) {
            continue;
        }
        match files.read(&found, limits::PACKAGE_LIST_BYTES) {
            Ok(bytes) => read_installed(&text(bytes), &found, finds),
            Err(reason) => finds.refuse(&found.path, reason),
        }
    }
    Ok(())
}

fn read_installed(text: &str, found: &Found, finds: &mut Finds) {
    for stanza in text.split("\n\n") {
        let line = |key: char| {
            let value = stanza.lines().find_map(|line| field(line, key))?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let (Some(name), Some(version)) = (line('P'), line('V')) else {
            continue;
        };
        let package = Package {
            architecture: line('A'),
            source: line('o').map(|origin| (origin, version.clone())),
            licences: line('L').into_iter().collect(),
            supplier: line('m'),
            homepage: line('U'),
            summary: line('T'),
            ..Package::new(Ecosystem::Apk, &name, &version, Location::of(found))
        };
        let key = Key::of(&package);
        let words = |key: char| {
            let line = stanza.lines().find_map(|line| field(line, key));
            line.unwrap_or_default().split_whitespace()
        };
        // What must not be there begins with an exclamation mark.
        let needed = words('D').filter(|word| !word.starts_with('!'));
        let needs = needed.map(|word| Need::OneOf(vec![name_of(word).to_owned()]));
        finds.needs.say(&key, needs);
        for word in words('p') {
            finds.needs.provide(&key, name_of(word));
        }
        finds.add(package);
        let mut directory = "";
        for line in stanza.lines() {
            if let Some(path) = field(line, 'F') {
                directory = path;
            } else if let Some(name) = field(line, 'R') {
                finds.own(format!("{directory}/{name}").as_bytes(), &key);
            }
        }
    }
}

/// The name in `so:libssl.so.3=3.0.0` or `name>=1`.
fn name_of(word: &str) -> &str {
    word.split(['<', '>', '=', '~', '@'])
        .next()
        .unwrap_or_default()
}

/// The value of a line with that key.
fn field(line: &str, key: char) -> Option<&str> {
    line.strip_prefix(key)?.strip_prefix(':')
}
