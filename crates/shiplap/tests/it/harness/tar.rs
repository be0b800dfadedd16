//! Tars written by hand, byte for byte: also such as no honest tool would write.

/// One entry. What does not fit a plain header goes before it as PAX records.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    path: Vec<u8>,
    kind: u8,
    mode: u32,
    uid: u64,
    gid: u64,
    mtime: u64,
    link: Vec<u8>,
    device: (u32, u32),
    content: Vec<u8>,
    /// Claimed size, where a lie is wanted.
    size: Option<u64>,
    pax: Vec<(String, Vec<u8>)>,
}

/// The time all entries have that say no other.
pub(crate) const MTIME: u64 = 1_700_000_000;

impl Entry {
    fn new(path: &str, kind: u8, mode: u32) -> Self {
        Self {
            path: path.as_bytes().to_vec(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: MTIME,
            link: Vec::new(),
            device: (0, 0),
            content: Vec::new(),
            size: None,
            pax: Vec::new(),
        }
    }

    pub(crate) fn file(path: &str, content: &[u8]) -> Self {
        Self {
            content: content.to_vec(),
            ..Self::new(path, b'0', 0o644)
        }
    }

    pub(crate) fn directory(path: &str) -> Self {
        let path = match path.trim_end_matches('/') {
            "" => ".",
            path => path,
        };
        Self::new(&format!("{path}/"), b'5', 0o755)
    }

    pub(crate) fn symlink(path: &str, target: &str) -> Self {
        Self {
            link: target.as_bytes().to_vec(),
            ..Self::new(path, b'2', 0o777)
        }
    }

    pub(crate) fn hard_link(path: &str, target: &str) -> Self {
        Self {
            link: target.as_bytes().to_vec(),
            ..Self::new(path, b'1', 0o644)
        }
    }

    pub(crate) fn character_device(path: &str, major: u32, minor: u32) -> Self {
        Self {
            device: (major, minor),
            ..Self::new(path, b'3', 0o600)
        }
    }

    pub(crate) fn block_device(path: &str, major: u32, minor: u32) -> Self {
        Self {
            device: (major, minor),
            ..Self::new(path, b'4', 0o660)
        }
    }

    pub(crate) fn fifo(path: &str) -> Self {
        Self::new(path, b'6', 0o644)
    }

    /// `name` of the directory `folder` is gone.
    pub(crate) fn whiteout(folder: &str, name: &str) -> Self {
        Self::file(&join(folder, &format!(".wh.{name}")), b"")
    }

    /// The directory hides what lower layers have in it.
    pub(crate) fn opaque(folder: &str) -> Self {
        Self::file(&join(folder, ".wh..wh..opq"), b"")
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub(crate) fn owner(self, uid: u64, gid: u64) -> Self {
        Self { uid, gid, ..self }
    }

    pub(crate) fn mtime(self, mtime: u64) -> Self {
        Self { mtime, ..self }
    }

    pub(crate) fn claims_size(self, size: u64) -> Self {
        Self {
            size: Some(size),
            ..self
        }
    }

    pub(crate) fn pax(mut self, key: &str, value: &[u8]) -> Self {
        self.pax.push((key.to_owned(), value.to_vec()));
        self
    }

    /// PAX records as raw bytes, however wrong.
    pub(crate) fn raw_pax(self, records: &[u8]) -> Self {
        self.pax("", records)
    }

    pub(crate) fn xattr(self, name: &str, value: &[u8]) -> Self {
        self.pax(&format!("SCHILY.xattr.{name}"), value)
    }
}

fn join(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// A whole tar with its end.
pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        append(&mut out, entry);
    }
    out.extend([0; 1024]);
    out
}

fn append(out: &mut Vec<u8>, entry: &Entry) {
    let size = entry.size.unwrap_or(entry.content.len() as u64);
    let mut pax = entry.pax.clone();
    if entry.path.len() > 100 {
        pax.push(("path".to_owned(), entry.path.clone()));
    }
    if entry.link.len() > 100 {
        pax.push(("linkpath".to_owned(), entry.link.clone()));
    }
    for (key, value, most) in [
        ("uid", entry.uid, 0o7_777_777),
        ("gid", entry.gid, 0o7_777_777),
        ("size", size, 0o77_777_777_777),
    ] {
        if value > most {
            pax.push((key.to_owned(), value.to_string().into_bytes()));
        }
    }
    if !pax.is_empty() {
        let records: Vec<u8> = pax
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        let plain = Entry::file("PaxHeaders/entry", &records);
        out.extend(header(
            &Entry {
                kind: b'x',
                ..plain
            },
            records.len() as u64,
        ));
        padded(out, &records);
    }
    out.extend(header(entry, size));
    padded(out, &entry.content);
}

/// `LENGTH KEY=VALUE\n`, the length counting its own digits.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    if key.is_empty() {
        return value.to_vec();
    }
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn padded(out: &mut Vec<u8>, content: &[u8]) {
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

fn header(entry: &Entry, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, most: usize, bytes: &[u8]| {
        let length = bytes.len().min(most);
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    put(0, 100, &entry.path);
    put(100, 8, format!("{:07o}", entry.mode).as_bytes());
    put(
        108,
        8,
        format!("{:07o}", entry.uid.min(0o7_777_777)).as_bytes(),
    );
    put(
        116,
        8,
        format!("{:07o}", entry.gid.min(0o7_777_777)).as_bytes(),
    );
    put(
        124,
        12,
        format!("{:011o}", size.min(0o77_777_777_777)).as_bytes(),
    );
    put(136, 12, format!("{:011o}", entry.mtime).as_bytes());
    put(156, 1, &[entry.kind]);
    put(157, 100, &entry.link);
    put(257, 8, b"ustar\x0000");
    put(329, 8, format!("{:07o}", entry.device.0).as_bytes());
    put(337, 8, format!("{:07o}", entry.device.1).as_bytes());
    put(148, 8, b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
