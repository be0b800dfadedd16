//! Fields, dialects and extension headers; damage of every kind.

use proptest::prelude::*;

use super::raw::{
    directory, end, extension, file, hard_link, header, padded, pax, sum, symlink, tar,
};
use super::*;
use crate::tree::FileData;

fn entries(tar: &[u8]) -> Result<Vec<Entry>, TarError> {
    let mut entries = Vec::new();
    let mut scanner = Scanner::default();
    scanner.push(tar, |entry| {
        entries.push(entry);
        Ok(())
    })?;
    scanner.finish().map(|_| entries)
}

fn one(parts: &[Vec<u8>]) -> Entry {
    let mut entries = entries(&tar(parts)).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

#[test]
fn header_fields() {
    let plain = one(&[file("a", b"hello")]);
    assert_eq!(
        (plain.mode, plain.uid, plain.gid, plain.mtime_secs),
        (0o644, 1000, 100, 1_651_928_590)
    );
    let set = |range: std::ops::Range<usize>, value: &'static [u8]| {
        let entry = header(b"a", b'0', 0, |block| {
            block[range.clone()].fill(0);
            block[range.start..range.start + value.len()].copy_from_slice(value);
        });
        entries(&tar(&[entry])).map(|mut entries| entries.remove(0))
    };
    assert_eq!(set(100..108, b" 755 \0").unwrap().mode, 0o755);
    assert_eq!(set(100..108, b"100644 \0").unwrap().mode, 0o644);
    assert_eq!(set(100..108, b"").unwrap().mode, 0);
    assert_eq!(
        set(108..116, &[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe])
            .unwrap()
            .uid,
        u32::MAX - 1
    );
    assert_eq!(
        set(108..116, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe])
            .unwrap()
            .uid,
        u32::MAX - 1
    );
    assert_eq!(set(136..148, &[0xff; 12]).unwrap().mtime_secs, -1);
    for (range, bad) in [
        (100..108, &b"0000x44"[..]),
        (108..116, &[0x80, 0, 0, 1, 0, 0, 0, 0]),
        (124..136, &[0xff; 12]),
        (
            124..136,
            &[
                0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
        ),
        (136..148, &[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        assert!(
            matches!(set(range.clone(), bad), Err(TarError::Field { .. })),
            "{range:?} {bad:?}"
        );
    }
}

#[test]
fn dialects() {
    let prefixed = |magic: &'static [u8], end: &'static [u8], prefix: &'static [u8]| {
        let entry = header(b"name", b'0', 0, |block| {
            block[257..265].copy_from_slice(magic);
            block[345..345 + prefix.len()].copy_from_slice(prefix);
            block[508..508 + end.len()].copy_from_slice(end);
        });
        String::from_utf8(one(&[entry]).path).unwrap()
    };
    assert_eq!(prefixed(b"ustar\x0000", b"", b"some/dir"), "some/dir/name");
    assert_eq!(prefixed(b"ustar\x0000", b"tar\0", b"star"), "star/name");
    assert_eq!(
        prefixed(b"ustar  \0", b"", b"00000000000\x0000000000000\0"),
        "name"
    );
    assert_eq!(
        prefixed(b"ustar  \0", b"", b"by/old/go/tools"),
        "by/old/go/tools/name"
    );
    assert_eq!(prefixed(b"\0\0\0\0\0\0\0\0", b"", b"rubbish"), "name");

    let mut signed = header(b"na\xefve", b'0', 0, |_| {});
    let total: i32 = signed
        .iter()
        .enumerate()
        .map(|(i, b)| {
            if (148..156).contains(&i) {
                32
            } else {
                i32::from(b.cast_signed())
            }
        })
        .sum();
    signed[148..155].copy_from_slice(format!("{total:06o}\0").as_bytes());
    assert_eq!(one(&[signed.clone()]).path, b"na\xefve");
    signed[0] ^= 1;
    assert_eq!(
        entries(&tar(&[signed])),
        Err(TarError::Checksum { offset: 0 })
    );
}

#[test]
fn extension_headers() {
    let long = "long/".repeat(50) + "name";
    let records = [
        ("path", long.as_str()),
        ("uid", "4000000000"),
        ("gid", ""),
        ("mtime", "-1.25"),
        ("SCHILY.xattr.user.both", "schily"),
        ("LIBARCHIVE.xattr.user.both", "bGlicmFyY2hpdmU"),
        ("LIBARCHIVE.xattr.user.a%3Db", "AQI="),
        ("SCHILY.xattr.user.empty", ""),
        ("comment", "nothing"),
    ];
    let entry = one(&[pax(&records), file("short", b"")]);
    assert_eq!(entry.path, long.as_bytes());
    assert_eq!((entry.uid, entry.gid), (4_000_000_000, 100));
    assert_eq!((entry.mtime_secs, entry.mtime_nanos), (-2, 750_000_000));
    let xattrs: Vec<(&[u8], &[u8])> = entry.xattrs.iter().map(|(k, v)| (&k[..], &v[..])).collect();
    assert_eq!(
        xattrs,
        [
            (&b"user.a=b"[..], &[1, 2][..]),
            (b"user.both", b"schily"),
            (b"user.empty", b""),
        ]
    );

    let gnu = one(&[
        extension(b'K', b"target\0"),
        extension(b'L', b"gnu\0"),
        pax(&[("path", "pax")]),
        symlink("s", "t"),
    ]);
    assert_eq!(
        (gnu.path, gnu.kind),
        (b"gnu".to_vec(), EntryKind::Symlink(b"target".to_vec()))
    );
    let sized = one(&[
        pax(&[("size", "3")]),
        header(b"f", b'0', 0, |_| {}),
        padded(b"abc"),
    ]);
    assert!(matches!(
        sized.kind,
        EntryKind::File(FileData { size_bytes: 3, .. })
    ));
    let global = extension(b'g', b"30 mtime=1700000000.123456789\n");
    assert_eq!(one(&[global.clone(), file("f", b"")]).mtime_nanos, 0);
    assert_eq!(
        entries(&[file("f", b""), global].concat()).unwrap().len(),
        1
    );
    let linked = one(&[header(b"l", b'1', 700, |block| block[157] = b'f')]);
    assert_eq!(linked.kind, EntryKind::HardLink(b"f".to_vec()));

    for bad in [
        "9 a=b\n",
        "6 a=bc\n",
        "x a=b\n",
        "6 =bcd\n",
        "6 abcd\n",
        "99999999999999999999 a=b\n",
        "10 uid=x1\n",
        "12 path=a\0b\n",
    ] {
        let refused = entries(&tar(&[extension(b'x', bad.as_bytes()), file("f", b"")]));
        assert!(
            matches!(refused, Err(TarError::Record { .. })),
            "{bad:?}: {refused:?}"
        );
    }
    let huge = header(b"x", b'x', 64 << 20, |_| {});
    assert!(matches!(entries(&huge), Err(TarError::Extensions { .. })));
    let value = "v".repeat(190 << 10);
    let heavy = pax(&[
        ("SCHILY.xattr.user.a", &value),
        ("SCHILY.xattr.user.b", &value),
    ]);
    assert!(matches!(
        entries(&tar(&[heavy, file("f", b"")])),
        Err(TarError::Field { .. })
    ));
}

/// Content 3 zeros, "abc", 4 zeros, "de", 2 zeros.
fn check_sparse(name: &str, parts: &[Vec<u8>]) {
    let bytes = tar(&[&[directory("d")], parts, &[file("after", b"x")]].concat());
    for step in [1, 7, 512, 1000, 1 << 20] {
        let contents = read_by(&bytes, step).unwrap_or_else(|error| panic!("{name}: {error}"));
        let id = find(&contents.tree, "d/sparse").unwrap();
        assert_eq!(
            content(&contents.tree, id, &bytes),
            b"\0\0\0abc\0\0\0\0de\0\0",
            "{name}"
        );
        assert!(find(&contents.tree, "after").is_some(), "{name}");
    }
}

#[test]
fn sparse_files() {
    let runs = |block: &mut [u8], at: usize, runs: &[(u32, u32)]| {
        for (i, (offset, length)) in runs.iter().enumerate() {
            let text = format!("{offset:011o}\0{length:011o}\0");
            block[at + 24 * i..][..24].copy_from_slice(text.as_bytes());
        }
    };
    let old = |continued: u8, map: &[(u32, u32)]| {
        header(b"d/sparse", b'S', 5, |block| {
            block[257..265].copy_from_slice(b"ustar  \0");
            block[345..].fill(0);
            runs(block, 386, map);
            block[482] = continued;
            block[483..494].copy_from_slice(b"00000000016");
        })
    };
    check_sparse(
        "old",
        &[old(0, &[(3, 3), (10, 2), (14, 0)]), padded(b"abcde")],
    );
    let mut more = vec![0; 512];
    runs(&mut more, 0, &[(10, 2), (14, 0)]);
    check_sparse(
        "old, continued",
        &[old(1, &[(3, 3)]), more, padded(b"abcde")],
    );
    let data = [header(b"x", b'0', 5, |_| {}), padded(b"abcde")].concat();
    let zero = |offset: &'static str, length: &'static str| {
        [
            ("GNU.sparse.offset", offset),
            ("GNU.sparse.numbytes", length),
        ]
    };
    let records = [
        &[("GNU.sparse.size", "14"), ("path", "d/sparse")][..],
        &zero("3", "3"),
        &zero("10", "2"),
    ]
    .concat();
    check_sparse("0.0", &[pax(&records), data.clone()]);
    let one = |map| {
        [
            ("GNU.sparse.size", "14"),
            ("GNU.sparse.map", map),
            ("GNU.sparse.name", "d/sparse"),
        ]
    };
    check_sparse("0.1", &[pax(&one("3,3,10,2")), data.clone()]);
    let in_data = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "d/sparse"),
        ("GNU.sparse.realsize", "14"),
    ];
    let in_data = |map: &[u8]| {
        vec![
            pax(&in_data),
            header(b"x", b'0', padded(map).len() + 5, |_| {}),
            padded(map),
            padded(b"abcde"),
        ]
    };
    check_sparse("1.0", &in_data(b"2\n3\n3\n10\n2\n"));
    let map = ["302\n3\n3\n10\n2\n", &"14\n0\n".repeat(300)].concat();
    check_sparse("1.0, long map", &in_data(map.as_bytes()));

    let bad: [(&str, Vec<Vec<u8>>); 8] = [
        ("overlap", vec![pax(&one("3,3,5,2")), data.clone()]),
        ("beyond the size", vec![pax(&one("3,3,13,2")), data.clone()]),
        ("too little data", vec![pax(&one("3,3,10,3")), data.clone()]),
        ("too much data", vec![pax(&one("3,3,10,1")), data.clone()]),
        (
            "overflow",
            vec![pax(&one("3,3,18446744073709551615,2")), data],
        ),
        ("no count", in_data(b"x\n")),
        ("no digits", in_data(b"2\n3\n3\n-1\n2\n")),
        ("no end of count", in_data(&[b'1'; 512])),
    ];
    for (name, parts) in bad {
        assert!(
            matches!(entries(&tar(&parts)), Err(TarError::Sparse { .. })),
            "{name}"
        );
    }
}

#[test]
fn ends_as_go_has_them() {
    let a = file("a", b"hello");
    let whole = tar(std::slice::from_ref(&a));
    let fine: [(&str, Vec<u8>, usize); 8] = [
        ("nothing", vec![], 0),
        ("end mark only", end(), 0),
        ("no end mark", a.clone(), 1),
        ("half an end mark", [&a[..], &[0; 512]].concat(), 1),
        ("no padding", a[..517].to_vec(), 1),
        ("padding to a record", [&a[..], &[0; 9000]].concat(), 1),
        ("garbage behind", [&whole[..], b"garbage"].concat(), 1),
        ("a tar behind", [&whole[..], &whole].concat(), 1),
    ];
    for (name, bytes, count) in fine {
        assert_eq!(
            entries(&bytes).map(|found| found.len()),
            Ok(count),
            "{name}"
        );
        let contents = read_by(&bytes, 300).unwrap();
        assert_eq!(contents.tar_bytes, bytes.len() as u64, "{name}");
    }
    assert_eq!(
        entries(&[&a[..], &[0; 512], &a].concat()),
        Err(TarError::EndMark { offset: 1536 })
    );
    assert!(matches!(
        entries(b"not a tar at all"),
        Err(TarError::Truncated { .. })
    ));
    assert!(matches!(
        entries(&header(b"s", b's', 0, |_| {})),
        Err(TarError::Type { type_flag: 's', .. })
    ));
    for alone in [
        pax(&[("path", "p")]),
        extension(b'L', b"l"),
        extension(b'x', b""),
    ] {
        assert!(matches!(entries(&alone), Err(TarError::Truncated { .. })));
        assert!(matches!(
            entries(&tar(&[alone])),
            Err(TarError::Truncated { .. })
        ));
    }
}

/// One of everything.
fn specimen() -> Vec<u8> {
    tar(&[
        directory("d/"),
        pax(&[
            ("path", "d/file"),
            ("SCHILY.xattr.user.x", "y"),
            ("mtime", "1.5"),
        ]),
        file("f", &[7; 1300]),
        extension(b'L', &[b'l'; 150]),
        symlink("l", "t"),
        hard_link("h", "d/file"),
        pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "s"),
            ("GNU.sparse.realsize", "9"),
        ]),
        header(b"x", b'0', 515, |_| {}),
        padded(b"1\n3\n3\n"),
        padded(b"abc"),
        header(b"dev", b'4', 0, |b| {
            b[329..337].copy_from_slice(b"0000007\0");
        }),
        file(".wh.gone", b""),
    ])
}

#[test]
fn truncated_tars_are_refused() {
    let whole = specimen();
    let full = read(&whole).unwrap();
    for length in 0..whole.len() {
        match read_by(&whole[..length], 700) {
            // Cut between entries (or in padding) it is a shorter tar.
            Ok(contents) => assert!(
                contents.entries < full.entries || length >= whole.len() - 1024 - 512,
                "{length}"
            ),
            Err(error) => assert!(
                matches!(error, TarError::Truncated { .. }),
                "{length}: {error}"
            ),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096), step in 1_usize..2000) {
        let _ = read_by(&bytes, step);
    }

    #[test]
    fn damaged_tars_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        step in 1_usize..2000,
    ) {
        let mut bytes = specimen();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
            // Let the damage get past the checksum.
            let start = at - at % 512;
            if &bytes[start + 257..start + 262] == b"ustar" {
                sum(&mut bytes[start..start + 512]);
            }
        }
        let _ = read_by(&bytes, step);
    }

    #[test]
    fn pieces_make_no_difference(step in 1_usize..3000) {
        prop_assert_eq!(read_by(&specimen(), step), read(&specimen()));
    }
}
