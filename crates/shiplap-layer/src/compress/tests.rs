#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use std::process::{Command, Stdio};
use std::thread;

use proptest::prelude::*;

use super::*;

/// `count` bytes, somewhat compressible.
fn sample(count: usize) -> Vec<u8> {
    (0..count)
        .map(|n| ((n.wrapping_mul(2_654_435_761)) >> 24) as u8 & 0x3f)
        .collect()
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn packed(format: Format, level: u8, data: &[u8], count: usize) -> (Vec<u8>, Compressed) {
    let mut out = Vec::new();
    let compressed = match format {
        Format::Gzip => gzip(
            data,
            &mut out,
            GzipLevel::new(level).unwrap(),
            threads(count),
        ),
        _ => zstd(
            data,
            &mut out,
            ZstdLevel::new(level).unwrap(),
            threads(count),
        ),
    };
    (out, compressed.unwrap())
}

fn unpacked(data: &[u8]) -> io::Result<(Format, Vec<u8>)> {
    let (format, mut reader) = open(io::BufReader::with_capacity(777, data))?;
    let mut out = Vec::new();
    reader.read_to_end(&mut out)?;
    Ok((format, out))
}

/// Pipes `data` through a tool; `None` with a message if it is not installed.
fn through(tool: &str, arguments: &[&str], data: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: no {tool} here");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(data).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{tool}");
    Some(output.stdout)
}

#[test]
fn the_bytes_depend_on_input_and_level_alone() {
    for length in [0, 1, 1 << 20, (1 << 20) + 1, 9_000_000] {
        let data = sample(length);
        for format in [Format::Gzip, Format::Zstd] {
            let (one, facts) = packed(format, 2, &data, 1);
            assert_eq!(facts.digest, Digest::of(&one));
            assert_eq!(
                (facts.size_bytes, facts.source_bytes),
                (one.len() as u64, length as u64)
            );
            assert!(packed(format, 2, &data, 3).0 == one, "{format} {length}");
            assert_eq!(Format::of(&one), format);
            assert!(
                unpacked(&one).unwrap() == (format, data.clone()),
                "{format} {length}"
            );
        }
    }
}

#[test]
fn other_tools_read_what_is_written() {
    let data = sample(2_500_000);
    let python =
        "import gzip,sys,shutil\nshutil.copyfileobj(gzip.open(sys.stdin.buffer),sys.stdout.buffer)";
    let judges: [(Format, &str, &[&str]); 3] = [
        (Format::Gzip, "gzip", &["-dc"]),
        (Format::Gzip, "python3", &["-c", python]),
        (Format::Zstd, "zstd", &["-dc"]),
    ];
    for (format, tool, arguments) in judges {
        for level in [1, 9] {
            let (form, _) = packed(format, level, &data, 2);
            if let Some(back) = through(tool, arguments, &form) {
                assert!(back == data, "{tool} {level}");
            }
        }
    }
}

#[test]
fn what_other_tools_write_is_read() {
    let data = sample(400_000);
    assert!(unpacked(&data).unwrap() == (Format::Plain, data.clone()));
    for (format, tool) in [
        (Format::Gzip, "gzip"),
        (Format::Zstd, "zstd"),
        (Format::Xz, "xz"),
        (Format::Bzip2, "bzip2"),
    ] {
        let Some(form) = through(tool, &["-c"], &data) else {
            continue;
        };
        assert!(unpacked(&form).unwrap() == (format, data.clone()), "{tool}");
        let twice = [&form[..], &form].concat();
        assert!(
            unpacked(&twice).unwrap() == (format, [&data[..], &data].concat()),
            "{tool} twice"
        );
        assert!(unpacked(&form[..form.len() - 3]).is_err(), "{tool} cut");
        let empty = through(tool, &["-c"], b"").unwrap();
        assert_eq!(
            unpacked(&empty).unwrap(),
            (format, vec![]),
            "{tool} of nothing"
        );
    }
}

#[test]
fn short_data_is_plain() {
    for data in [&b""[..], b"B", b"\x1f\x8b", b"BZh9 is no bzip2", b"\xfd7zX"] {
        assert_eq!(unpacked(data).unwrap(), (Format::Plain, data.to_vec()));
    }
}

#[test]
fn failures_say_which_end_failed() {
    struct Bad;
    impl Read for Bad {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no"))
        }
    }
    impl Write for Bad {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let read = gzip(Bad, io::sink(), GzipLevel::default(), threads(2));
    assert!(matches!(read, Err(CompressError::Read(_))));
    let write = zstd(&sample(50 << 20)[..], Bad, ZstdLevel::default(), threads(2));
    assert!(matches!(write, Err(CompressError::Write(_))));
}

#[test]
fn levels_have_bounds() {
    assert_eq!((GzipLevel::new(0), GzipLevel::new(13)), (None, None));
    assert_eq!((ZstdLevel::new(0), ZstdLevel::new(23)), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_bytes_never_panic(mut data in prop::collection::vec(any::<u8>(), 12..600), mark in 0..5_usize) {
        let marks: [&[u8]; 5] = [b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh91AY&SY", b""];
        data[..marks[mark].len()].copy_from_slice(marks[mark]);
        let (_, reader) = open(&data[..]).unwrap();
        let _ = reader.take(1 << 20).read_to_end(&mut Vec::new());
    }
}
