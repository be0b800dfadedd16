#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use std::io::{Seek as _, Write};
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU64;

use shiplap_model::digest::{Digest, VerifyingReader};

use super::*;
use crate::compress;
use crate::tar::{Metadata, Writer};

/// Some megabytes, so that every buffer goes round more than once.
fn tar() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for i in 0..20_u32 {
        let content: Vec<u8> = (0..200_000_u32)
            .map(|n| (n.wrapping_mul(i + 7) >> 9) as u8)
            .collect();
        let path = format!("dir/file-{i}");
        writer
            .file(
                path.as_bytes(),
                &Metadata::default(),
                200_000,
                &mut &content[..],
            )
            .unwrap();
    }
    writer.finish().unwrap()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress::gzip(
        data,
        &mut out,
        compress::GzipLevel::default(),
        NonZeroUsize::MIN,
    )
    .unwrap();
    out
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress::zstd(
        data,
        &mut out,
        compress::ZstdLevel::default(),
        NonZeroUsize::MIN,
    )
    .unwrap();
    out
}

/// Pipes `data` through a tool; `None` with a message if it is not installed.
fn through(tool: &str, data: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(tool)
        .arg("-c")
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
    Some(output.stdout)
}

fn take_in(source: impl Read + Send) -> Result<(LayerFacts, File, File), IngestError> {
    let (tar, index) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    ingest(source, &tar, &index, &|_| ()).map(|facts| (facts, tar, index))
}

fn bytes(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn every_form_gives_the_same_layer() {
    let tar = tar();
    let (half, rest) = tar.split_at(1_000_000);
    let forms = [
        ("plain", Some(tar.clone())),
        ("own gzip", Some(gzip(&tar))),
        ("own zstd", Some(zstd(&tar))),
        (
            "two members",
            Some([gzip(half), gzip(&[]), gzip(rest)].concat()),
        ),
        ("padded gzip", Some([gzip(&tar), vec![0; 70_000]].concat())),
        ("two frames", Some([zstd(half), zstd(rest)].concat())),
        ("gzip", through("gzip", &tar)),
        ("zstd", through("zstd", &tar)),
        ("xz", through("xz", &tar)),
        ("bzip2", through("bzip2", &tar)),
    ];
    let mut first_index: Option<Vec<u8>> = None;
    for (name, form) in forms {
        let Some(form) = form else { continue };
        let (facts, tar_out, index) =
            take_in(&form[..]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(facts.diff_id, DiffId::from(Digest::of(&tar)), "{name}");
        assert_eq!(
            (facts.tar_bytes, facts.content_bytes, facts.entries),
            (tar.len() as u64, 4_000_000, 20),
            "{name}"
        );
        assert!(bytes(&tar_out) == tar, "{name}");
        let index_bytes = bytes(&index);
        assert!(
            *first_index.get_or_insert_with(|| index_bytes.clone()) == index_bytes,
            "{name}"
        );
        let again = tempfile::tempfile().unwrap();
        assert_eq!(reindex(&tar_out, &again).unwrap(), facts, "{name}");
        assert!(bytes(&again) == index_bytes, "{name}");
        assert_eq!(verify(&tar_out).unwrap(), facts.diff_id, "{name}");
    }
}

#[test]
fn an_empty_source_is_an_empty_layer() {
    let (facts, ..) = take_in(&[][..]).unwrap();
    assert_eq!((facts.tar_bytes, facts.entries), (0, 0));
}

#[test]
fn progress_reaches_the_length_of_the_source() {
    let source = gzip(&tar());
    let seen = AtomicU64::new(0);
    let files = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    ingest(&source[..], &files.0, &files.1, &|total| {
        seen.store(total, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(seen.into_inner(), source.len() as u64);
}

#[test]
fn damage_is_named() {
    let tar = tar();
    let (gz, zst) = (gzip(&tar), zstd(&tar));
    let xz = through("xz", &tar).unwrap_or_default();
    let flipped = |data: &[u8], at: usize| {
        let mut data = data.to_vec();
        data[at] ^= 0x55;
        data
    };
    let decompress = |error: &IngestError| matches!(error, IngestError::Decompress { .. });
    let bad_tar = |error: &IngestError| matches!(error, IngestError::Tar(_));
    type Expected<'a> = &'a dyn Fn(&IngestError) -> bool;
    let cases: Vec<(&str, Vec<u8>, Expected<'_>)> = vec![
        ("cut gzip", gz[..gz.len() - 1].to_vec(), &decompress),
        ("cut gzip header", gz[..5].to_vec(), &decompress),
        ("cut zstd", zst[..zst.len() / 2].to_vec(), &decompress),
        ("cut xz", xz[..xz.len() / 2].to_vec(), &decompress),
        ("gzip checksum", flipped(&gz, gz.len() - 6), &decompress),
        ("gzip length", flipped(&gz, gz.len() - 2), &decompress),
        ("gzip data", flipped(&gz, 100_000), &decompress),
        ("zstd data", flipped(&zst, zst.len() / 2), &decompress),
        (
            "garbage behind gzip",
            [&gz[..], b"garbage"].concat(),
            &decompress,
        ),
        (
            "garbage behind padding",
            [&gz[..], &[0; 600], b"garbage"].concat(),
            &decompress,
        ),
        (
            "garbage behind zstd",
            [&zst[..], b"garbage"].concat(),
            &decompress,
        ),
        ("cut tar", tar[..100_000].to_vec(), &bad_tar),
        ("cut tar in gzip", gzip(&tar[..100_000]), &bad_tar),
        ("text", b"404 page not found\n".repeat(100), &bad_tar),
    ];
    for (name, source, expected) in cases {
        if source.is_empty() {
            continue;
        }
        let error = take_in(&source[..]).map(|(facts, ..)| facts).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        // The same from a source that knows better.
        let wrong =
            VerifyingReader::new(&source[..], Digest::of(b"else"), source.len() as u64).unwrap();
        let error = take_in(wrong).map(|(facts, ..)| facts).unwrap_err();
        assert!(matches!(error, IngestError::Source(_)), "{name}: {error:?}");
    }
}

#[test]
fn the_source_has_the_last_word() {
    for form in [tar(), gzip(&tar()), zstd(&tar())] {
        for (digest, length) in [
            (Digest::of(b"else"), form.len()),
            (Digest::of(&form), form.len() + 1),
        ] {
            let source = VerifyingReader::new(&form[..], digest, length as u64).unwrap();
            let error = take_in(source).map(|(facts, ..)| facts).unwrap_err();
            assert!(matches!(error, IngestError::Source(_)), "{error:?}");
        }
    }
}

#[test]
fn bombs_are_refused() {
    let frame = zstd(&vec![0; 4 << 20]);
    assert!(frame.len() < 1000);
    let bomb = frame.repeat(80);
    let error = take_in(&bomb[..]).map(|(facts, ..)| facts).unwrap_err();
    assert!(matches!(error, IngestError::Inflation { .. }), "{error:?}");
}

#[test]
fn an_unwritable_tar_ends_it_all() {
    let full = match File::options().read(true).write(true).open("/dev/full") {
        Ok(full) => full,
        Err(error) => {
            eprintln!("skipped: no /dev/full: {error}");
            return;
        }
    };
    for form in [tar(), gzip(&tar())] {
        let error = ingest(&form[..], &full, &tempfile::tempfile().unwrap(), &|_| ()).unwrap_err();
        assert!(matches!(error, IngestError::Write(_)), "{error:?}");
    }
}

#[test]
fn a_layer_made_here_is_the_one_that_its_tar_would_be() {
    let file = || tempfile::tempfile().unwrap();
    let (tar_out, index_out, taken_out, taken_index) = (file(), file(), file(), file());
    let bytes = tar();
    let make = |out: &mut dyn Write| out.write_all(&bytes).map_err(|error| error.to_string());
    let made = ingest_made(make, &tar_out, &index_out).unwrap();
    let taken = ingest(&bytes[..], &taken_out, &taken_index, &|_| ()).unwrap();
    assert_eq!(made, taken);
    assert!(read_all(&tar_out) == bytes);
    assert!(read_all(&index_out) == read_all(&taken_index));
}

fn read_all(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Whoever fails first is the one that is named.
#[test]
fn a_layer_made_here_may_fail_on_both_sides() {
    let outcome = |bytes: &[u8], own: Option<&str>, tar_out: &File| {
        let make = |out: &mut dyn Write| {
            // More than all buffers hold, so that the other side is heard of.
            for part in bytes.chunks(4096).cycle().take(3000) {
                out.write_all(part).map_err(|error| error.to_string())?;
            }
            own.map_or(Ok(()), |own| Err(own.to_owned()))
        };
        ingest_made(make, tar_out, &tempfile::tempfile().unwrap()).unwrap_err()
    };
    let file = || tempfile::tempfile().unwrap();
    let error = outcome(&[0; 4096], Some("mine"), &file());
    assert!(
        matches!(&error, MadeError::Make(own) if own == "mine"),
        "{error:?}"
    );
    let error = outcome(&[b'x'; 4096], None, &file());
    assert!(
        matches!(error, MadeError::Ingest(IngestError::Tar(_))),
        "{error:?}"
    );
    if let Ok(full) = File::options().read(true).write(true).open("/dev/full") {
        let error = outcome(&tar(), None, &full);
        assert!(
            matches!(error, MadeError::Ingest(IngestError::Write(_))),
            "{error:?}"
        );
    }
}

/// Whatever the pieces and the file system, the file holds the bytes and is as it was opened.
fn check_out(file: &File, pieces: &[usize]) {
    let mut written = Vec::new();
    let mut out = TarOut::new(file);
    let mut chunk = Chunk::new(TAR_BUFFERS.0);
    for (number, &bytes) in pieces.iter().enumerate() {
        chunk.clear();
        let content = vec![number as u8; bytes];
        assert_eq!(chunk.extend(&content), bytes);
        out.write(&chunk).unwrap();
        written.extend_from_slice(&content);
    }
    drop(out);
    let flags = rustix::fs::fcntl_getfl(file).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::DIRECT));
    assert_eq!(file.metadata().unwrap().len(), written.len() as u64);
    let mut read = vec![0; written.len()];
    file.read_exact_at(&mut read, 0).unwrap();
    assert!(read == written, "{} bytes came out otherwise", read.len());
}

#[test]
fn long_tars_are_written_past_the_cache() {
    let whole = TAR_BUFFERS.0;
    let long = vec![whole; 36];
    let odd_end = [vec![whole; 36], vec![1000]].concat();
    let odd_middle = [vec![whole; 36], vec![4096 + 512], vec![whole; 3], vec![512]].concat();
    let folders = [std::env::temp_dir(), "/dev/shm".into(), ".".into()];
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for pieces in [&long, &odd_end, &odd_middle] {
            check_out(&tempfile::tempfile_in(folder).unwrap(), pieces);
        }
    }
}
