use std::sync::Mutex;

use super::*;

/// Keeps what it is told.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl BuildProgress for Heard {
    fn event(&self, event: Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// The log with times left out.
fn log_of(reporter: &Reporter<'_>) -> String {
    let text = std::fs::read_to_string(reporter.log_path()).unwrap();
    let lines = text.lines().map(|line| {
        let words = line.split(' ');
        let words = words.filter(|word| word.parse::<f64>().is_err() && !word.ends_with("0s"));
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_log_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let heard = Heard::default();
    let reporter = Reporter::new(&heard, directory.path()).unwrap();
    reporter.cached("FROM busybox");
    let vertex = reporter.start("RUN make");
    vertex.missed("changed a.c");
    vertex.log(Stream::Stdout, b"one\nt");
    vertex.log(Stream::Stderr, b"wo\nthree");
    let long = vec![b'x'; 3 * TAIL_BYTES];
    vertex.log(Stream::Stdout, &long);
    assert_eq!(vertex.tail().len(), TAIL_BYTES);
    vertex.done();
    let other = reporter.start("RUN false");
    other.failed("exit code: 1");
    reporter.warn("beware");
    let long = String::from_utf8(long).unwrap();
    assert_eq!(
        log_of(&reporter),
        format!(
            "#1 FROM busybox\n#1 CACHED\n#2 RUN make\n#2 not cached: changed a.c\n#2 one\n#2 two\n\
             #2 three{long}\n#2 DONE\n#3 RUN false\n#3 ERROR: exit code:\nWARNING: beware"
        )
    );
    assert_eq!(heard.0.lock().unwrap().len(), 10);
}
