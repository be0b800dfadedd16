#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;

use super::{receive, send};

#[test]
fn message_and_files_arrive() {
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"content").unwrap();
    // More than a socket holds.
    let long = vec![7; 4 << 20];
    let sent = long.clone();
    let handle = file.try_clone().unwrap();
    let sender = thread::spawn(move || {
        send(&mut near, &sent, &[handle.as_fd(), handle.as_fd()]).unwrap();
        send(&mut near, b"", &[]).unwrap();
    });
    let (message, files) = receive(&mut far).unwrap();
    assert!(message == long);
    assert_eq!(files.len(), 2);
    let mut got = File::from(files.into_iter().next().unwrap());
    got.rewind().unwrap();
    let mut text = String::new();
    got.read_to_string(&mut text).unwrap();
    assert_eq!(text, "content");
    let (message, files) = receive(&mut far).unwrap();
    assert!(message.is_empty() && files.is_empty());
    sender.join().unwrap();
    assert_eq!(
        receive(&mut far).unwrap_err().kind(),
        io::ErrorKind::UnexpectedEof
    );
}

#[test]
fn what_is_cut_short_is_no_message() {
    let (mut near, mut far) = UnixStream::pair().unwrap();
    near.write_all(&5_u64.to_be_bytes()).unwrap();
    near.write_all(b"abc").unwrap();
    drop(near);
    assert_eq!(
        receive(&mut far).unwrap_err().kind(),
        io::ErrorKind::UnexpectedEof
    );
    let (mut near, mut far) = UnixStream::pair().unwrap();
    near.write_all(&u64::MAX.to_be_bytes()).unwrap();
    assert_eq!(
        receive(&mut far).unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
    let null = File::open("/dev/null").unwrap();
    let four = [null.as_fd(); 4];
    assert_eq!(
        send(&mut near, b"x", &four).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
}
