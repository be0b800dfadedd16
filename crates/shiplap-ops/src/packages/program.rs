//! Libraries that a program is made of, as the program itself says: crates by cargo-auditable's section
//! `.dep-v0`, Go's modules by the section `.go.buildinfo` (in its form since Go 1.18).

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use serde::Deserialize;
use shiplap_layer::stack::Found;
use shiplap_model::limits;

use super::elf::Elf;
use super::files::{ImageFiles, RecordError};
use super::needs::Need;
use super::{Ecosystem, Finds, Key, Location, Package};

/// No program with either section is shorter.
pub(super) const SMALLEST_BYTES: u64 = 64;

/// How a Go program begins to tell of itself.
const GO_MAGIC: &[u8] = b"\xff Go buildinf:";
/// Length of what is before the texts.
const GO_HEADER_BYTES: usize = 32;
/// The texts follow at once, and are not pointed to.
const GO_INLINE: u8 = 2;
/// Length of the marks before and behind the list of modules.
const GO_MARK_BYTES: usize = 16;

/// Takes what the program tells.
pub(super) fn look(files: &ImageFiles<'_>, found: &Found, finds: &mut Finds) {
    if let Err(reason) = try_look(files, found, finds) {
        finds.refuse(&found.path, reason);
    }
}

fn try_look(files: &ImageFiles<'_>, found: &Found, finds: &mut Finds) -> Result<(), RecordError> {
    let file = files.open(found)?;
    let Some(elf) = Elf::open(&file)? else {
        return Ok(());
    };
    if let Some(section) = elf.section(b".dep-v0", limits::PROGRAM_FACTS_BYTES)? {
        let crates = crates(&section, found)?;
        let keys: Vec<Key> = crates.iter().map(|(package, _)| Key::of(package)).collect();
        for (key, (package, needed)) in keys.iter().zip(crates) {
            let needed = needed.iter().filter_map(|at| keys.get(*at)).cloned();
            finds.needs.say(key, needed.map(Need::Package));
            finds.add(package);
        }
    }
    if let Some(section) = elf.section(b".go.buildinfo", limits::PROGRAM_FACTS_BYTES)? {
        for (name, version) in modules(&section)? {
            finds.add(Package::new(
                Ecosystem::Go,
                &name,
                &version,
                Location::of(found),
            ));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Audit {
    packages: Vec<Audited>,
}

#[derive(Deserialize)]
struct Audited {
    name: String,
    version: String,
    #[serde(default)]
    kind: Option<String>,
    /// Places in the list of those it needs.
    #[serde(default)]
    dependencies: Vec<usize>,
}

/// The crates in the section: JSON, compressed by zlib. What only its build needed is no part of it.
/// With each the places of those that it needs.
pub(super) fn crates(
    section: &[u8],
    found: &Found,
) -> Result<Vec<(Package, Vec<usize>)>, RecordError> {
    let most_bytes = limits::PROGRAM_FACTS_BYTES;
    let mut json = Vec::new();
    ZlibDecoder::new(section)
        .take(most_bytes + 1)
        .read_to_end(&mut json)
        .map_err(|_| RecordError::Damaged("its list of crates"))?;
    if json.len() as u64 > most_bytes {
        return Err(RecordError::TooLong { most_bytes });
    }
    let audit: Audit = serde_json::from_slice(&json).map_err(RecordError::Json)?;
    let is_linked = |audited: &&Audited| audited.kind.as_deref() != Some("build");
    let package = |audited: Audited| {
        let (name, version) = (&audited.name, &audited.version);
        let package = Package::new(Ecosystem::Cargo, name, version, Location::of(found));
        (package, audited.dependencies)
    };
    // The places of those that stay.
    let mut next = 0;
    let mut places = Vec::new();
    for audited in &audit.packages {
        places.push(is_linked(&audited).then_some(next));
        next += usize::from(is_linked(&audited));
    }
    let linked = audit
        .packages
        .into_iter()
        .filter(|audited| is_linked(&audited));
    let mut linked: Vec<_> = linked.map(package).collect();
    for (_, needed) in &mut linked {
        let place = |at: &usize| places.get(*at).copied().flatten();
        *needed = needed.iter().filter_map(place).collect();
    }
    Ok(linked)
}

/// Name and version of the modules in the section, Go's own library first.
pub(super) fn modules(section: &[u8]) -> Result<Vec<(String, String)>, RecordError> {
    if !section.starts_with(GO_MAGIC) {
        return Err(RecordError::Damaged("what Go says of its build"));
    }
    if section.get(15).is_none_or(|flags| flags & GO_INLINE == 0) {
        return Err(RecordError::Form(
            "what Go before 1.18 says of the modules in it",
        ));
    }
    let damaged = || RecordError::Damaged("what Go says of its build");
    let mut rest = section.get(GO_HEADER_BYTES..).ok_or_else(damaged)?;
    let version = take_text(&mut rest).ok_or_else(damaged)?;
    let list = take_text(&mut rest).ok_or_else(damaged)?;
    let mut modules = Vec::new();
    let version = String::from_utf8_lossy(version);
    // `go1.22.4`, perhaps with words on experiments behind.
    if let Some(number) = version
        .strip_prefix("go")
        .and_then(|rest| rest.split_whitespace().next())
    {
        modules.push(("stdlib".to_owned(), number.to_owned()));
    }
    if list.len() < 2 * GO_MARK_BYTES {
        return Ok(modules);
    }
    let list = list.get(GO_MARK_BYTES..list.len() - GO_MARK_BYTES);
    let list = String::from_utf8_lossy(list.unwrap_or_default());
    for line in list.lines() {
        let mut fields = line.split('\t');
        let kind = fields.next();
        let (Some(path), version) = (fields.next(), fields.next().unwrap_or_default()) else {
            continue;
        };
        match kind {
            Some("mod" | "dep") => modules.push((path.to_owned(), version.to_owned())),
            // It stands for the one before.
            Some("=>") => {
                modules.pop();
                modules.push((path.to_owned(), version.to_owned()));
            }
            _ => {}
        }
    }
    Ok(modules)
}

/// Takes a text with its length before it off the front.
fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length: u64 = 0;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        length |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            let (text, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            *rest = behind;
            return Some(text);
        }
    }
    None
}
