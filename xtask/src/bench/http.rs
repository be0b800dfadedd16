//! As much of an HTTP/1.1 client as it takes to load a registry: one connection that stays, bodies
//! read and let go. Trusts the servers that the benchmarks start, and nobody else.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, bail};

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    host: String,
    authorization: String,
}

/// What is kept of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Path and query of the `Location`, if one was given.
    pub(crate) location: String,
    pub(crate) body: Vec<u8>,
    /// Of the body, which is kept only where it is short.
    pub(crate) body_bytes: u64,
}

/// Longer bodies are counted, not kept.
const KEPT_BYTES: usize = 64 << 10;

impl Client {
    /// `authorization` is the header's value, or nothing.
    pub(crate) fn connect(address: &str, authorization: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).context("connect to a registry")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(256 << 10, stream),
            host: address.to_owned(),
            authorization: authorization.to_owned(),
        })
    }

    /// Asks, and reads the answer to its end.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in [
            ("Authorization", self.authorization.as_str()),
            ("Content-Type", kind),
            // Without it docker-registry says of an OCI manifest that it is not there.
            ("Accept", "application/vnd.oci.image.manifest.v1+json, */*"),
        ] {
            if !value.is_empty() {
                head += &format!("{name}: {value}\r\n");
            }
        }
        if method != "GET" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        let out = self.stream.get_mut();
        if body.len() < KEPT_BYTES {
            bytes.extend_from_slice(body);
            out.write_all(&bytes)?;
        } else {
            out.write_all(&bytes)?;
            out.write_all(body)?;
        }
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).unwrap_or_default();
        let mut answer = Answer {
            status: status.parse().context("read an HTTP status")?,
            location: String::new(),
            body: Vec::new(),
            body_bytes: 0,
        };
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().context("read a length")?,
                "transfer-encoding" => is_chunked = value == "chunked",
                "location" => answer.location = path_of(value).to_owned(),
                _ => {}
            }
        }
        while is_chunked {
            let line = self.line()?;
            let size = u64::from_str_radix(line.trim(), 16).context("read a chunk")?;
            self.body(size, &mut answer)?;
            self.line()?;
            is_chunked = size > 0;
        }
        self.body(length, &mut answer)?;
        Ok(answer)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("a registry closed the connection");
        }
        Ok(line.trim_end().to_owned())
    }

    fn body(&mut self, bytes: u64, answer: &mut Answer) -> anyhow::Result<()> {
        let mut rest = bytes;
        while rest > 0 {
            let available = self.stream.fill_buf()?;
            if available.is_empty() {
                bail!("a registry broke off an answer");
            }
            let count = available.len().min(usize::try_from(rest)?);
            if answer.body.len() < KEPT_BYTES {
                answer.body.extend_from_slice(&available[..count]);
            }
            self.stream.consume(count);
            rest -= count as u64;
            answer.body_bytes += count as u64;
        }
        Ok(())
    }
}

/// What comes after scheme and host.
fn path_of(location: &str) -> &str {
    let Some((_, rest)) = location.split_once("://") else {
        return location;
    };
    rest.find('/').map_or("/", |at| &rest[at..])
}
