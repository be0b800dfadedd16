//! What is shown of a build: fit lines of output, plain text, JSON, and frames of a terminal.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use shiplap_build::progress::{Stream, VertexId};

use super::*;

fn lines_of(bytes: &[u8]) -> Vec<String> {
    let mut lines = text::Lines::default();
    let mut found = Vec::new();
    lines.take(bytes, &mut |line| found.push(line));
    found.extend(lines.finish());
    found
}

#[test]
fn output_is_shown_not_obeyed() {
    let check = |bytes: &[u8], want: &[&str]| {
        assert_eq!(
            lines_of(bytes),
            want,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    };
    check(b"", &[]);
    check(b"a\nb\n", &["a", "b"]);
    check(b"a\r\n\nb", &["a", "", "b"]);
    check(b" 10%\r 20%\r100%\n", &["100%"]);
    check(b" 10%\r 20%\r", &[" 20%"]);
    check(b"\x1b[1;31mred\x1b[0m \x1b[2Jgone\x1b[H", &["red gone"]);
    check(b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", &["ab"]);
    check(b"\x1b(Ba\x1b=b\x1b7c\x1bM", &["abc"]);
    check("a\u{9b}31mb\u{9d}c".as_bytes(), &["abc"]);
    check(b"a\x07\x00\x0e\x7fb", &["ab"]);
    check(b"-\x08\\\x08|", &["|"]);
    check("x\u{202e}y\u{2066}z".as_bytes(), &["xyz"]);
    check(b"bad \xff\xfe bytes", &["bad \u{fffd}\u{fffd} bytes"]);
    check(b"\x1b[", &[""]);
    check(b"\x1b", &[""]);
    check("tab\there é 中".as_bytes(), &["tab\there é 中"]);
}

#[test]
fn an_endless_line_is_cut() {
    let endless = vec![b'x'; 40_000];
    let lines = lines_of(&endless);
    assert!(lines.len() > 1);
    assert_eq!(lines.concat().len(), endless.len());
}

#[test]
fn letters_that_come_in_parts_are_whole() {
    let mut lines = text::Lines::default();
    let mut found = Vec::new();
    for byte in "é中\n".as_bytes() {
        lines.take(&[*byte], &mut |line| found.push(line));
    }
    assert_eq!(found, ["é中"]);
}

#[test]
fn texts_are_cut_to_columns() {
    let check = |text: &str, columns, want: &str| assert_eq!(text::cut(text, columns), want);
    check("abc", 2, "ab");
    check("中文", 3, "中");
    check("a\tb", 80, "a       b");
    check("a\tb", 4, "a   ");
    check("", 0, "");
}

/// A build of which a test tells what happens when.
struct Story {
    trace: Trace,
    plain: Plain,
    began: Instant,
    now: Instant,
    text: String,
}

impl Story {
    fn new() -> Self {
        let began = Instant::now();
        Self {
            trace: Trace::new(began, true),
            plain: Plain::new(began),
            began,
            now: began,
            text: String::new(),
        }
    }

    fn at(&mut self, seconds: f64) -> &mut Self {
        self.now = self.began + Duration::from_secs_f64(seconds);
        let text = self.plain.tick(&self.trace, self.now);
        self.text.push_str(&text);
        self
    }

    fn event(&mut self, event: &Event<'_>) -> &mut Self {
        let news = self.trace.take(event, self.now);
        let text = self.plain.take(&self.trace, news, self.now);
        self.text.push_str(&text);
        self
    }

    fn start(&mut self, vertex: u32, name: &str) -> &mut Self {
        let vertex = VertexId(vertex);
        self.event(&Event::Started { vertex, name })
    }

    fn log(&mut self, vertex: u32, text: &str) -> &mut Self {
        self.event(&Event::Log {
            vertex: VertexId(vertex),
            stream: Stream::Stdout,
            bytes: text.as_bytes(),
        })
    }

    fn status(&mut self, vertex: u32, text: &str) -> &mut Self {
        let vertex = VertexId(vertex);
        self.event(&Event::Status { vertex, text })
    }

    fn done(&mut self, vertex: u32, seconds: f64) -> &mut Self {
        self.event(&Event::Done {
            vertex: VertexId(vertex),
            took: Duration::from_secs_f64(seconds),
        })
    }

    fn cached(&mut self, vertex: u32, name: &str) -> &mut Self {
        let vertex = VertexId(vertex);
        self.event(&Event::Cached { vertex, name })
    }

    fn failed(&mut self, vertex: u32, reason: &str) -> &mut Self {
        let vertex = VertexId(vertex);
        self.event(&Event::Failed { vertex, reason })
    }

    #[track_caller]
    fn prints(&mut self, want: &str) {
        let text = self.plain.finish(&self.trace, self.now);
        self.text.push_str(&text);
        assert_eq!(self.text, want);
    }

    fn frame(&self, columns: usize, rows: usize, is_end: bool) -> String {
        let mut screen = Screen::new(false);
        screen.draw(&self.trace, Size { columns, rows }, self.now, is_end)
    }

    /// The frame's lines, as they are seen.
    fn seen(&self, columns: usize, rows: usize, is_end: bool) -> Vec<String> {
        let frame = self.frame(columns, rows, is_end);
        let lines = frame.split("\r\n").map(|line| lines_of(line.as_bytes()));
        let lines = lines.map(|line| line.concat());
        let mut lines: Vec<String> = lines.collect();
        assert_eq!(lines.pop().as_deref(), Some(""));
        lines
    }
}

#[test]
fn plain_text_is_buildkits() {
    let mut story = Story::new();
    story
        .start(1, "[internal] load build definition from Dockerfile")
        .status(1, "transferring dockerfile: 97B")
        .done(1, 0.01)
        .cached(2, "[1/3] FROM busybox")
        .at(1.0)
        .start(3, "[2/3] RUN make")
        .event(&Event::Missed {
            vertex: VertexId(3),
            reason: "the command changed",
        })
        .event(&Event::Explained {
            vertex: VertexId(3),
            detail: "it was: make all",
        })
        .at(1.5)
        .log(3, "cc -c main.c\nhalf ")
        .at(12.0)
        .log(3, "a line\n")
        .at(13.0)
        .log(3, "no newline")
        .done(3, 12.0)
        .start(4, "exporting to image")
        .status(4, "writing image sha256:abc")
        .status(4, "naming to docker.io/library/app:latest")
        .done(4, 0.04)
        .prints(
            "#1 [internal] load build definition from Dockerfile\n\
             #1 transferring dockerfile: 97B done\n\
             #1 DONE 0.0s\n\
             \n\
             #2 [1/3] FROM busybox\n\
             #2 CACHED\n\
             \n\
             #3 [2/3] RUN make\n\
             #3 not cached: the command changed\n\
             #3   it was: make all\n\
             #3 0.500 cc -c main.c\n\
             #3 11.00 half a line\n\
             #3 12.00 no newline\n\
             #3 DONE 12.0s\n\
             \n\
             #4 exporting to image\n\
             #4 writing image sha256:abc done\n\
             #4 naming to docker.io/library/app:latest done\n\
             #4 DONE 0.0s\n",
        );
}

#[test]
fn steps_at_the_same_time_take_turns() {
    let mut story = Story::new();
    story
        .start(1, "[a 1/1] RUN one")
        .start(2, "[b 1/1] RUN two")
        .at(0.1)
        .log(1, "one\n")
        .log(2, "two\n")
        .log(1, "one more\n")
        .log(2, "two more\n")
        // The first is silent for a while.
        .at(2.0)
        .log(2, "two again\n")
        .log(1, "one again\n")
        .done(1, 2.0)
        .done(2, 2.5)
        .prints(
            "#1 [a 1/1] RUN one\n\
             #1 0.100 one\n\
             #1 0.100 one more\n\
             #1 ...\n\
             \n\
             #2 [b 1/1] RUN two\n\
             #2 0.100 two\n\
             #2 0.100 two more\n\
             #2 2.000 two again\n\
             #2 DONE 2.5s\n\
             \n\
             #1 [a 1/1] RUN one\n\
             #1 2.000 one again\n\
             #1 DONE 2.0s\n",
        );
}

#[test]
fn a_step_that_talks_without_end_lets_others_speak() {
    let mut story = Story::new();
    story.start(1, "[a] RUN yes").start(2, "[b] RUN two");
    for tenth in 0..80 {
        story.at(f64::from(tenth) / 10.0).log(1, "y\n");
    }
    assert!(story.text.contains("#1 ...\n\n#2 [b] RUN two\n"));
    story.log(2, &"x\n".repeat(5000));
    let lines = story.text.lines().filter(|line| line.ends_with(" x"));
    assert!(lines.count() > 1000, "what waits is bounded");
}

#[test]
fn what_grows_is_told_now_and_then() {
    let mut story = Story::new();
    story.start(1, "[internal] load build context");
    for second in 0..12 {
        let text = format!("transferring context: {second}MB");
        story.at(f64::from(second)).status(1, &text);
    }
    story.done(1, 12.0).prints(
        "#1 [internal] load build context\n\
         #1 transferring context: 4MB\n\
         #1 transferring context: 9MB\n\
         #1 transferring context: 11MB done\n\
         #1 DONE 12.0s\n",
    );
}

#[test]
fn a_failure_is_told_with_its_last_lines() {
    let mut story = Story::new();
    story
        .start(1, "[2/2] RUN make")
        .start(2, "[b 1/1] RUN sleep");
    for line in 0..60 {
        story.log(1, &format!("line {line}\n"));
    }
    story
        .failed(
            1,
            "process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
        )
        .event(&Event::Canceled {
            vertex: VertexId(2),
        });
    let told = failures(&story.trace, 2);
    assert_eq!(
        told,
        "------\n > [2/2] RUN make:\n(58 lines before)\n0.000 line 58\n0.000 line 59\n------\n"
    );
    assert!(failures(&story.trace, 50).contains("(10 lines before)\n0.000 line 10\n"));
    let text = story.plain.finish(&story.trace, story.now);
    story.text.push_str(&text);
    assert!(story.text.ends_with("#2 [b 1/1] RUN sleep\n#2 CANCELED\n"));
    assert!(story.text.contains("#1 ERROR: process \"/bin/sh -c make\""));
    let seen = story.seen(60, 20, true);
    assert!(seen.iter().any(|line| line.starts_with(" => ERROR [2/2]")));
    assert!(seen.iter().any(|line| line.starts_with(" => CANCELED [b")));
}

#[test]
fn json_is_one_object_a_line() {
    let mut trace = Trace::new(Instant::now(), true);
    let vertex = VertexId(3);
    let time = Timestamp::UNIX_EPOCH;
    let mut check = |event: Event<'_>, want: &[&str]| {
        let news = trace.take(&event, trace.began);
        let text = json::lines(&event, &news, time);
        let found: Vec<&str> = text.lines().collect();
        assert_eq!(found, want);
    };
    check(
        Event::Started {
            vertex,
            name: "[1/1] RUN x",
        },
        &[r#"{"time":"1970-01-01T00:00:00Z","event":"started","vertex":3,"name":"[1/1] RUN x"}"#],
    );
    let log = |bytes| Event::Log {
        vertex,
        stream: Stream::Stderr,
        bytes,
    };
    check(log(b"no line"), &[]);
    check(
        log(b" yet\n"),
        &[
            r#"{"time":"1970-01-01T00:00:00Z","event":"log","vertex":3,"text":"no line yet","stream":"stderr","seconds":0.0}"#,
        ],
    );
    check(
        Event::Done {
            vertex,
            took: Duration::from_millis(1500),
        },
        &[r#"{"time":"1970-01-01T00:00:00Z","event":"done","vertex":3,"seconds":1.5}"#],
    );
    check(
        Event::Warning("old"),
        &[r#"{"time":"1970-01-01T00:00:00Z","event":"warning","text":"old"}"#],
    );
}

#[test]
fn frames_fit_their_terminal() {
    let mut story = Story::new();
    story
        .start(1, "[internal] load build definition from Dockerfile")
        .status(1, "transferring dockerfile: 97B")
        .done(1, 0.01)
        .cached(2, "[1/3] FROM docker.io/library/busybox")
        .start(3, "[2/3] RUN pip install -r requirements.txt && echo a very long command line that has no room")
        .at(1.2)
        .log(3, "Collecting flask\n\x1b[32mDownloading\x1b[0m\t10%\r20%");
    assert_eq!(
        story.seen(60, 24, false),
        [
            "[+] Building 1.2s (2/3)",
            " => [internal] load build definition from Dockerfile   0.0s",
            " => => transferring dockerfile: 97B                    0.0s",
            " => CACHED [1/3] FROM docker.io/library/busybox        0.0s",
            " => [2/3] RUN pip install -r requirements.txt && echo  1.2s",
            " => => # Collecting flask",
            " => => # 20%",
        ]
    );
    // What runs is shown first when there is no room for all.
    assert_eq!(
        story.seen(40, 4, false),
        [
            "[+] Building 1.2s (2/3)",
            " => CACHED [1/3] FROM docker.io/li 0.0s",
            " => [2/3] RUN pip install -r requi 1.2s",
        ]
    );
    for columns in 1..100 {
        for rows in 1..12 {
            let seen = story.seen(columns, rows, false);
            assert!(seen.len() < rows.max(2), "{rows}: {seen:?}");
            for line in &seen {
                assert!(text::width(line) < columns.max(2), "{columns}: {line:?}");
            }
        }
    }
    story.done(3, 1.2);
    let end = story.seen(60, 4, true);
    assert_eq!(end[0], "[+] Building 1.2s (3/3) FINISHED");
    assert_eq!(end.len(), 5);
}

#[test]
fn a_frame_is_drawn_over_the_one_before() {
    let mut story = Story::new();
    story.start(1, "[internal] load build definition from Dockerfile");
    let size = |columns| Size { columns, rows: 24 };
    let mut screen = Screen::new(true);
    let first = screen.draw(&story.trace, size(80), story.now, false);
    assert!(first.starts_with("\x1b[?25l\r[+] Building"), "{first:?}");
    assert!(first.ends_with("\x1b[J\x1b[?25h"));
    let second = screen.draw(&story.trace, size(80), story.now, false);
    assert!(second.starts_with("\x1b[?25l\r\x1b[2A[+]"), "{second:?}");
    // The terminal was made narrower: the line of 79 columns now takes two.
    let narrow = screen.draw(&story.trace, size(40), story.now, false);
    assert!(narrow.starts_with("\x1b[?25l\r\x1b[3A[+]"), "{narrow:?}");
    story.done(1, 0.0);
    let end = screen.draw(&story.trace, size(40), story.now, true);
    assert!(end.contains("\x1b[34m => [internal]"), "{end:?}");
    let after = screen.draw(&story.trace, size(40), story.now, true);
    assert!(
        after.starts_with("\x1b[?25l\r[+]"),
        "what ended stays: {after:?}"
    );
}

#[test]
fn raw_json_is_buildkits() {
    let began = Instant::now();
    let mut trace = Trace::new(began, false);
    let start: Timestamp = "2024-05-01T12:00:00Z".parse().unwrap();
    let mut told = |event: Event<'_>, seconds: u64| -> serde_json::Value {
        let instant = began + Duration::from_secs(seconds);
        let time = start + Duration::from_secs(seconds);
        trace.take(&event, instant);
        let line = raw::line(&event, &trace, raw::Now { instant, time });
        serde_json::from_str(&line).unwrap()
    };
    let (vertex, name) = (VertexId(3), "[2/2] RUN make");
    let begun = told(Event::Started { vertex, name }, 1);
    let digest = begun["vertexes"][0]["digest"].clone();
    assert!(digest.as_str().unwrap().starts_with("sha256:"));
    let (first, last) = ("2024-05-01T12:00:01Z", "2024-05-01T12:00:04Z");
    let expected = serde_json::json!({"digest": digest, "name": name, "started": first});
    assert_eq!(begun, serde_json::json!({"vertexes": [expected]}));
    let bytes = b"hi\n";
    let log = told(
        Event::Log {
            vertex,
            stream: Stream::Stderr,
            bytes,
        },
        2,
    );
    let expected = serde_json::json!({
        "vertex": digest, "stream": 2, "data": "aGkK", "timestamp": "2024-05-01T12:00:02Z",
    });
    assert_eq!(log, serde_json::json!({"logs": [expected]}));
    let reason = "exit code: 2";
    let failed = told(Event::Failed { vertex, reason }, 4);
    let expected = serde_json::json!({
        "digest": digest, "name": name, "started": first, "completed": last, "error": reason,
    });
    assert_eq!(failed, serde_json::json!({"vertexes": [expected]}));
    let (vertex, name) = (VertexId(4), "[1/2] FROM a");
    let cached = told(Event::Cached { vertex, name }, 4);
    let cached = &cached["vertexes"][0];
    assert_ne!(cached["digest"], digest);
    assert_eq!(
        (&cached["cached"], &cached["completed"]),
        (&serde_json::json!(true), &serde_json::json!(last))
    );
}
