//! The header of an installed package (rpm's "Package format", header structure without its magic): an
//! index of tags, and a store of data that the index points into.

use shiplap_layer::stack::Found;
use shiplap_model::limits;

use crate::packages::files::{u16_be, u32_be};
use crate::packages::{Ecosystem, Location, Package, may_be_record};

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const SUMMARY: u32 = 1004;
const VENDOR: u32 = 1011;
const LICENCE: u32 = 1014;
const URL: u32 = 1020;
const ARCHITECTURE: u32 = 1022;
const SOURCE: u32 = 1044;
const PROVIDED: u32 = 1047;
const REQUIRED: u32 = 1049;
const DIRECTORY_NUMBERS: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORIES: u32 = 1118;

/// Where programs are that other packages need by their path.
pub(super) const PROGRAMS: [&[u8]; 4] = [b"/bin/", b"/sbin/", b"/usr/bin/", b"/usr/sbin/"];

/// Length of the two counts at the start.
const START_BYTES: usize = 8;
/// Length of an entry of the index: tag, type, offset, count.
const ENTRY_BYTES: usize = 16;

/// Types of data.
const INT32: u32 = 4;
const STRING: u32 = 6;
const STRINGS: u32 = 8;
const TRANSLATED: u32 = 9;

/// What a header says.
pub(super) struct Read<'a> {
    pub(super) package: Package,
    pub(super) files: Files<'a>,
    /// Names of what it needs, and of what it provides.
    pub(super) required: Vec<&'a [u8]>,
    pub(super) provided: Vec<&'a [u8]>,
}

/// Paths of a package's files: names, and for each the number of its directory.
pub(super) struct Files<'a> {
    directories: Vec<&'a [u8]>,
    numbers: Vec<u32>,
    names: Vec<&'a [u8]>,
}

/// Reads a header; `None` if it is none.
pub(super) fn read<'a>(bytes: &'a [u8], found: &Found) -> Option<Read<'a>> {
    let header = Header::parse(bytes)?;
    let name = header.text(NAME)?;
    let mut version = format!("{}-{}", header.text(VERSION)?, header.text(RELEASE)?);
    if let Some(epoch) = header.numbers(EPOCH).first() {
        version = format!("{epoch}:{version}");
    }
    let package = Package {
        architecture: header.text(ARCHITECTURE),
        source: header.text(SOURCE).and_then(|file| source(&file)),
        licences: header.text(LICENCE).into_iter().collect(),
        supplier: header.text(VENDOR),
        homepage: header.text(URL),
        summary: header.text(SUMMARY),
        ..Package::new(Ecosystem::Rpm, &name, &version, Location::of(found))
    };
    Some(Read {
        package,
        files: Files {
            directories: header.strings(DIRECTORIES),
            numbers: header.numbers(DIRECTORY_NUMBERS),
            names: header.strings(BASE_NAMES),
        },
        required: header.strings(REQUIRED),
        provided: header.strings(PROVIDED),
    })
}

/// `bash-5.2.26-3.fc40.src.rpm`: name, and version with release.
fn source(file: &str) -> Option<(String, String)> {
    let stem = file.strip_suffix(".rpm")?;
    let stem = stem.strip_suffix(".src").or(stem.strip_suffix(".nosrc"))?;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name.to_owned(), format!("{version}-{release}")))
}

impl Files<'_> {
    /// Hands on each path that may tell of a package, or is of a program, as the database has it.
    pub(super) fn each(&self, mut take: impl FnMut(&[u8])) {
        for (number, name) in self.numbers.iter().zip(&self.names) {
            let number = usize::try_from(*number).ok();
            let directory = number.and_then(|number| self.directories.get(number));
            if let Some(directory) = directory
                && (may_be_record(name) || PROGRAMS.contains(directory))
                && directory.len() + name.len() <= limits::PATH_BYTES
            {
                take(&[directory, *name].concat());
            }
        }
    }
}

struct Header<'a> {
    index: &'a [u8],
    store: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let entries = usize::try_from(u32_be(bytes, 0)?).ok()?;
        let data_bytes = usize::try_from(u32_be(bytes, 4)?).ok()?;
        let store_at = entries.checked_mul(ENTRY_BYTES)?.checked_add(START_BYTES)?;
        Some(Self {
            index: bytes.get(START_BYTES..store_at)?,
            store: bytes.get(store_at..store_at.checked_add(data_bytes)?)?,
        })
    }

    /// Type, data from its start on, and count of a tag.
    fn entry(&self, tag: u32) -> Option<(u32, &'a [u8], usize)> {
        let entries = self.index.chunks_exact(ENTRY_BYTES);
        let entry = entries
            .into_iter()
            .find(|entry| u32_be(entry, 0) == Some(tag))?;
        let at = usize::try_from(u32_be(entry, 8)?).ok()?;
        let count = usize::try_from(u32_be(entry, 12)?).ok()?;
        Some((u32_be(entry, 4)?, self.store.get(at..)?, count))
    }

    /// The first text of a tag, if it says anything.
    fn text(&self, tag: u32) -> Option<String> {
        let (kind, data, _) = self.entry(tag)?;
        if !matches!(kind, STRING | STRINGS | TRANSLATED) {
            return None;
        }
        let text = data.split(|byte| *byte == 0).next()?;
        let text = String::from_utf8_lossy(text).into_owned();
        (!text.is_empty() && text != "(none)").then_some(text)
    }

    fn strings(&self, tag: u32) -> Vec<&'a [u8]> {
        match self.entry(tag) {
            Some((STRING | STRINGS, data, count)) => {
                data.split(|byte| *byte == 0).take(count).collect()
            }
            _ => Vec::new(),
        }
    }

    fn numbers(&self, tag: u32) -> Vec<u32> {
        match self.entry(tag) {
            Some((INT32, data, count)) => data
                .chunks_exact(4)
                .take(count)
                .filter_map(|number| u32_be(number, 0))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Whether the first two bytes can begin a header: fewer than 65,536 tags.
pub(super) fn may_be(bytes: &[u8]) -> bool {
    u16_be(bytes, 0) == Some(0) && bytes.len() >= START_BYTES
}
