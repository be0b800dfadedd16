#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::BufReader;

use super::*;

#[test]
fn lines_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let writer = LogWriter::open(&path, LogOptions::default()).unwrap();
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

fn texts(files: Vec<File>) -> Vec<Vec<String>> {
    let texts = |file| {
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        let next = || read_entry(&mut file, &mut line).unwrap();
        std::iter::from_fn(next)
            .map(|entry| entry.log.trim().to_owned())
            .collect()
    };
    files.into_iter().map(texts).collect()
}

#[test]
fn a_full_file_gets_a_number_and_the_oldest_goes() {
    let check = |max_files, want: &[&[&str]]| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.json");
        let options = LogOptions {
            max_file_bytes: 200,
            max_files,
            ..LogOptions::default()
        };
        let mut first = None;
        for lines in [["1", "2", "3"], ["4", "5", "6"]] {
            // The second goes on where the first left off.
            let writer = LogWriter::open(&path, options).unwrap();
            let mut cutter = LineCutter::new(&writer, Stream::Stdout);
            for line in lines {
                cutter.take(format!("{line}\n").as_bytes()).unwrap();
                first.get_or_insert_with(|| File::open(&path).unwrap());
            }
        }
        assert_eq!(texts(files(&path).unwrap()), want, "{max_files} files");
        let newest = File::open(&path).unwrap();
        assert!(files_after(&path, &newest).unwrap().is_empty());
        let after = files_after(&path, &first.unwrap()).unwrap();
        let is_kept = want[0][0] == "1";
        assert_eq!(texts(after), want[usize::from(is_kept)..]);
    };
    check(1, &[&["5", "6"]]);
    check(2, &[&["3", "4"], &["5", "6"]]);
    check(3, &[&["1", "2"], &["3", "4"], &["5", "6"]]);
    check(9, &[&["1", "2"], &["3", "4"], &["5", "6"]]);
}

#[test]
fn no_log_is_kept_if_none_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.json");
    let options = LogOptions {
        driver: LogDriver::None,
        ..LogOptions::default()
    };
    let writer = LogWriter::open(&path, options).unwrap();
    let mut cutter = LineCutter::new(&writer, Stream::Stdout);
    cutter.take(b"unheard\n").unwrap();
    assert!(files(&path).unwrap().is_empty());
}
