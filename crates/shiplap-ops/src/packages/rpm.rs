//! rpm's packages: its database in each of the three forms it has had (SQLite, ndb, and Berkeley DB's hash)
//! is a table of headers, and a header says all that is wanted of its package.
//!
//! The forms are read here and by nothing else's code, page by page and within bounds: a database of an
//! image is input like any other.

mod bdb;
mod header;
mod ndb;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use shiplap_layer::stack::{Found, StackError};

use super::files::{ImageFiles, OpenFile, RecordError};
use super::needs::Need;
use super::{Finds, Key};

/// Where distributions keep it; all but the first may be a link to another.
const PLACES: [&str; 3] = ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];

/// Reads one form: hands each header to the sink.
type Reader = fn(&OpenFile<'_>, Option<&OpenFile<'_>>, &mut Sink<'_>) -> Result<(), RecordError>;

/// Takes a header's bytes.
type Sink<'a> = dyn FnMut(&[u8]) + 'a;

/// The file of each form and its reader.
const FORMS: [(&str, Reader); 3] = [
    ("rpmdb.sqlite", sqlite::read),
    ("Packages.db", ndb::read),
    ("Packages", bdb::read),
];

pub(super) fn read(files: &ImageFiles<'_>, finds: &mut Finds) -> Result<(), StackError> {
    let mut seen = BTreeSet::new();
    for place in PLACES {
        for (name, reader) in FORMS {
            let Some(found) = files.find_file(format!("{place}/{name}").as_bytes())? else {
                continue;
            };
            if !seen.insert(found.path.clone()) {
                continue;
            }
            let journal = files.find_file(format!("{place}/{name}-wal").as_bytes())?;
            if let Err(reason) = read_one(files, &found, journal.as_ref(), reader, finds) {
                finds.refuse(&found.path, reason);
            }
        }
    }
    Ok(())
}

fn read_one(
    files: &ImageFiles<'_>,
    found: &Found,
    journal: Option<&Found>,
    reader: Reader,
    finds: &mut Finds,
) -> Result<(), RecordError> {
    let file = files.open(found)?;
    let journal = journal.map(|found| files.open(found)).transpose()?;
    let mut is_damaged = false;
    let mut take = |bytes: &[u8]| match header::read(bytes, found) {
        // Keys to check signatures with are kept as packages.
        Some(read) if read.package.name == "gpg-pubkey" => {}
        Some(read) => {
            let key = Key::of(&read.package);
            finds.add(read.package);
            let name = |bytes: &&[u8]| String::from_utf8_lossy(bytes).into_owned();
            let required = read.required.iter().map(name);
            let needs = required.map(|name| Need::OneOf(vec![name]));
            finds.needs.say(&key, needs);
            for provided in read.provided.iter().map(name) {
                finds.needs.provide(&key, &provided);
            }
            read.files.each(|path| {
                finds.own(path, &key);
                let is_program = |place: &&[u8]| path.starts_with(place);
                if header::PROGRAMS.iter().any(is_program) {
                    finds.needs.provide(&key, &String::from_utf8_lossy(path));
                }
            });
        }
        None => is_damaged = true,
    };
    reader(&file, journal.as_ref(), &mut take)?;
    if is_damaged {
        return Err(RecordError::Damaged("the header of a package"));
    }
    Ok(())
}
