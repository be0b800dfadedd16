//! A registry that misbehaves as it is told: a small HTTP server, one thread a connection.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How often this method and path were asked before.
    pub(crate) before: usize,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What goes out.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

enum Body {
    Full(Vec<u8>),
    /// Says one length and sends less.
    Cut {
        declared: usize,
        sent: Vec<u8>,
    },
    /// Chunks without end.
    Endless(Vec<u8>),
    /// Chunked, ended well.
    Chunked(Vec<u8>),
    /// Says one length, sends less, and keeps the connection.
    Stalled {
        declared: usize,
        sent: Vec<u8>,
    },
    /// Closes without a word.
    Nothing,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Full(Vec::new()),
        }
    }

    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::new(200).body(body)
    }

    pub(crate) fn nothing() -> Self {
        Self {
            body: Body::Nothing,
            ..Self::new(0)
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Body::Full(body.as_ref().to_vec());
        self
    }

    pub(crate) fn cut(mut self, whole: &[u8], at: usize) -> Self {
        self.body = Body::Cut {
            declared: whole.len(),
            sent: whole[..at].to_vec(),
        };
        self
    }

    pub(crate) fn stalled(mut self, whole: &[u8], at: usize) -> Self {
        self.body = Body::Stalled {
            declared: whole.len(),
            sent: whole[..at].to_vec(),
        };
        self
    }

    pub(crate) fn declared(mut self, declared: usize) -> Self {
        self.body = Body::Cut {
            declared,
            sent: Vec::new(),
        };
        self
    }

    pub(crate) fn endless(mut self, chunk: &[u8]) -> Self {
        self.body = Body::Endless(chunk.to_vec());
        self
    }

    pub(crate) fn chunked(mut self, body: &[u8]) -> Self {
        self.body = Body::Chunked(body.to_vec());
        self
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;
/// How much of a request's body is read before the connection breaks.
type Appetite = dyn Fn(&Asked) -> usize + Send + Sync;

/// The running double. Its threads end with the test process.
pub(crate) struct Double {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Double {
    pub(crate) fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::hungry(|_| usize::MAX, handler)
    }

    /// The same, but breaks the connection after so many bytes of a request's body.
    pub(crate) fn hungry(
        appetite: impl Fn(&Asked) -> usize + Send + Sync + 'static,
        handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::<Mutex<Vec<Asked>>>::default();
        let (kept, handler, appetite) = (log.clone(), Arc::new(handler), Arc::new(appetite));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, handler, appetite) = (kept.clone(), handler.clone(), appetite.clone());
                thread::spawn(move || serve(&stream, &log, &*handler, &*appetite));
            }
        });
        Self { address, log }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    /// `METHOD path` of all that was asked.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

fn serve(stream: &TcpStream, log: &Mutex<Vec<Asked>>, handler: &Handler, appetite: &Appetite) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(mut asked) = head(&mut reader) else {
        return;
    };
    let limit = appetite(&asked);
    let whole = read_body(&mut reader, &mut asked, limit);
    {
        let mut log = log.lock().unwrap();
        asked.before = log
            .iter()
            .filter(|other| other.line() == asked.line())
            .count();
        log.push(asked.clone());
    }
    let reply = handler(&asked);
    if whole {
        // A client that goes away while it is answered is part of many tests.
        let _gone = answer(stream, &asked, reply);
    }
}

fn head(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Some(Asked {
        method,
        path,
        headers,
        body: Vec::new(),
        before: 0,
    })
}

/// Whether the whole body was read.
fn read_body(reader: &mut impl BufRead, asked: &mut Asked, limit: usize) -> bool {
    if asked.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut size = String::new();
            if reader.read_line(&mut size).is_err() {
                return false;
            }
            let Ok(size) = usize::from_str_radix(size.trim(), 16) else {
                return false;
            };
            let mut chunk = vec![0; size + 2];
            if reader.read_exact(&mut chunk).is_err() {
                return false;
            }
            asked.body.extend(&chunk[..size]);
            if asked.body.len() > limit {
                asked.body.truncate(limit);
                return false;
            }
            if size == 0 {
                return true;
            }
        }
    }
    let length: usize = asked
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length.min(limit)];
    let read = reader.read_exact(&mut body);
    asked.body = body;
    read.is_ok() && length <= limit
}

fn answer(mut stream: &TcpStream, asked: &Asked, reply: Reply) -> std::io::Result<()> {
    if matches!(reply.body, Body::Nothing) {
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} Said\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n").map_err(|_| ErrorKind::Other)?;
    }
    let said = reply
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = match &reply.body {
        Body::Full(body) => Some(body.len()),
        Body::Cut { declared, .. } | Body::Stalled { declared, .. } => Some(*declared),
        Body::Endless(_) | Body::Chunked(_) | Body::Nothing => None,
    };
    match length {
        Some(_) if said || reply.status == 204 => {}
        Some(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
        None => head.push_str("Transfer-Encoding: chunked\r\n"),
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if asked.method == "HEAD" {
        return Ok(());
    }
    match reply.body {
        Body::Full(body) | Body::Cut { sent: body, .. } => stream.write_all(&body),
        Body::Chunked(body) => {
            write!(stream, "{:x}\r\n", body.len())?;
            stream.write_all(&body)?;
            stream.write_all(b"\r\n0\r\n\r\n")
        }
        Body::Endless(chunk) => loop {
            write!(stream, "{:x}\r\n", chunk.len())?;
            stream.write_all(&chunk)?;
            stream.write_all(b"\r\n")?;
        },
        Body::Stalled { sent, .. } => {
            stream.write_all(&sent)?;
            // Until the client gives up.
            stream.read(&mut [0]).map(drop)
        }
        Body::Nothing => Ok(()),
    }
}
