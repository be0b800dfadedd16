#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

#[test]
fn messages_come_back() {
    let all = [
        Message::Stdin(b"in\0put".to_vec()),
        Message::StdinEnd,
        Message::Resize {
            rows: 24,
            columns: 300,
        },
        Message::Signal(15),
        Message::Stdout(Vec::new()),
        Message::Stderr(vec![255; 70_000]),
        Message::Started { pid: 123_456 },
        Message::Failed {
            code: 127,
            reason: "start it".into(),
        },
        Message::Exited { code: 137 },
    ];
    let mut bytes = Vec::new();
    for message in &all {
        message.write(&mut bytes).unwrap();
    }
    let mut from = &*bytes;
    for message in all {
        assert_eq!(Message::read(&mut from).unwrap(), Some(message));
    }
    assert_eq!(Message::read(&mut from).unwrap(), None);
}

#[test]
fn what_is_none_is_refused() {
    let check = |bytes: &[u8]| assert!(Message::read(&mut &*bytes).is_err(), "{bytes:?}");
    check(&[99, 0, 0, 0, 0]);
    check(&[0, 0, 0]);
    check(&[0, 0, 0, 0, 5, 1]);
    check(&[0, 255, 255, 255, 255]);
    check(&[2, 0, 0, 0, 1, 0]);
    check(&[18, 0, 0, 0, 2, 0, 0]);
    check(&[19, 0, 0, 0, 0]);
}

#[test]
fn who_is_gone_is_forgotten() {
    let audience = Audience::default();
    let (here, there) = UnixStream::pair().unwrap();
    let (gone, end) = UnixStream::pair().unwrap();
    drop(end);
    audience.join(here);
    audience.join(gone);
    audience.tell(&Message::Stdout(b"one".to_vec()));
    audience.dismiss(
        &Message::Exited { code: 0 },
        std::time::Duration::from_secs(1),
    );
    let mut there = there;
    assert_eq!(
        Message::read(&mut there).unwrap(),
        Some(Message::Stdout(b"one".to_vec()))
    );
    assert_eq!(
        Message::read(&mut there).unwrap(),
        Some(Message::Exited { code: 0 })
    );
    assert_eq!(Message::read(&mut there).unwrap(), None);
}
