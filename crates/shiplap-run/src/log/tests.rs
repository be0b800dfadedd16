#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::BufReader;

use super::*;

#[test]
fn lines_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let writer = LogWriter::new(File::create(&path).unwrap());
    let mut cutter = LineCutter::new(&writer, Stream::Stdout);
    cutter.take(b"one\ntw").unwrap();
    cutter.take(b"o\n\nthree \xff").unwrap();
    cutter.finish().unwrap();
    let mut errors = LineCutter::new(&writer, Stream::Stderr);
    errors.take(&vec![b'x'; LINE_BYTES + 1]).unwrap();
    drop(writer);

    let mut file = BufReader::new(File::open(&path).unwrap());
    let mut line = Vec::new();
    let mut found = Vec::new();
    while let Some(entry) = read_entry(&mut file, &mut line).unwrap() {
        found.push((entry.log, entry.stream));
    }
    let out = |text: &str| (text.to_owned(), Stream::Stdout);
    assert_eq!(
        found[..4],
        [out("one\n"), out("two\n"), out("\n"), out("three \u{fffd}")]
    );
    assert_eq!(found[4].0.len(), LINE_BYTES + 1);
    assert_eq!(found.len(), 5);
}

#[test]
fn a_cut_line_waits_for_its_rest() {
    let whole = b"{\"log\":\"a\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.6Z\"}\n";
    let (first, second) = whole.split_at(20);
    let mut line = Vec::new();
    assert_eq!(read_entry(&mut &*first, &mut line).unwrap(), None);
    let entry = read_entry(&mut &*second, &mut line).unwrap().unwrap();
    assert_eq!((entry.log.as_str(), entry.stream), ("a\n", Stream::Stderr));
    let damaged = b"{\"log\":\n";
    assert_eq!(read_entry(&mut &damaged[..], &mut line).unwrap(), None);
}
