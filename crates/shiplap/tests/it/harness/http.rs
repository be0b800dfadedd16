//! Just enough HTTP/1.1 to fill a real registry and to play a bad one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request as it came, or a reply: both have a first line, headers and a body.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The first line without its end.
    pub(crate) first: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(value)
    }

    /// Method of a request.
    pub(crate) fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or("")
    }

    /// Path of a request without its query.
    pub(crate) fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or("")
    }

    /// Path and query of a request.
    pub(crate) fn target(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or("")
    }

    /// Status of a reply.
    pub(crate) fn status(&self) -> u16 {
        self.first
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0)
    }
}

/// Reads one message; `None` at the end of the connection or of sense. `bodiless` is for replies
/// to HEAD.
pub(crate) fn read(stream: &mut impl BufRead, bodiless: bool) -> Option<Message> {
    let first = line(stream)?;
    let mut headers = Vec::new();
    loop {
        let header = line(stream)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut message = Message {
        first,
        headers,
        body: Vec::new(),
    };
    if bodiless {
        return Some(message);
    }
    if message.header("transfer-encoding") == Some("chunked") {
        message.body = chunks(stream)?;
    } else if let Some(length) = message.header("content-length") {
        message.body = vec![0; length.parse().ok()?];
        stream.read_exact(&mut message.body).ok()?;
    }
    Some(message)
}

fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    stream.take(65_536).read_until(b'\n', &mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.strip_suffix('\n')?.trim_end_matches('\r').to_owned())
}

fn chunks(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(line(stream)?.trim(), 16).ok()?;
        let at = body.len();
        body.resize(at + length, 0);
        stream.read_exact(&mut body[at..]).ok()?;
        line(stream)?;
        if length == 0 {
            return Some(body);
        }
    }
}

/// Sends one request on a connection of its own; `None` when nobody answers.
pub(crate) fn request(
    address: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Message> {
    let mut stream = TcpStream::connect(address).ok()?;
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(b"\r\n").ok()?;
    stream.write_all(body).ok()?;
    read(&mut BufReader::new(stream), method == "HEAD")
}
