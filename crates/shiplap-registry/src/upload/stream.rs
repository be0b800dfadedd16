//! A request whose body is read by the caller's thread while it is sent.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use reqwest::Body;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::answer::{Answer, Failure};
use crate::authorization::Scopes;
use crate::client::Client;
use crate::error::Error;
use crate::transport::Request;

/// Bytes handed over at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces waiting to be sent.
const PIECES: usize = 8;
/// How much longer than other answers the one to a blob may take: the registry may hash it first.
const COMMIT_PATIENCE: u32 = 10;

/// The pieces as a body. Its end must be told, so that a source that failed doesn't look complete.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: Option<u64>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(ctx).map(|piece| {
            let piece = piece?;
            if let (Ok(bytes), Some(left)) = (&piece, &mut self.left) {
                *left = left.saturating_sub(bytes.len() as u64);
            }
            Some(piece.map(Frame::data))
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Sends `request` with what `content` yields: `length` bytes, or all there is.
pub(super) fn send(
    client: &Client,
    request: &Request,
    scopes: &Scopes,
    content: &mut dyn Read,
    length: Option<u64>,
) -> Result<Answer, Error> {
    let handle = client.handle()?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let body = Body::wrap(Pieces {
        pieces,
        left: length,
    });
    let (exchange, sent, needed) = (client.exchange().clone(), request.clone(), scopes.clone());
    let task = handle.spawn(async move { exchange.send_stream(&sent, body, &needed).await });
    let patience = &client.exchange().settings().patience;
    let stalled = || Failure::stalled().into_error(request.target.clone(), 1);
    let mut left = length;
    let read = loop {
        let piece = match piece(content, &mut left) {
            Ok(None) => break Ok(()),
            Ok(Some(piece)) => Ok(piece),
            Err(error) => Err(error),
        };
        let failed = piece
            .as_ref()
            .err()
            .map(|error| io::Error::new(error.kind(), error.to_string()));
        match handle.block_on(async { timeout(patience.stall, sender.send(piece)).await }) {
            Err(_) => {
                task.abort();
                return Err(stalled());
            }
            // The answer came before the end of the body: it says why.
            Ok(Err(_)) => break Ok(()),
            Ok(Ok(())) => {}
        }
        if let Some(error) = failed {
            break Err(error);
        }
    };
    drop(sender);
    if let Err(source) = read {
        task.abort();
        return Err(Error::Source {
            target: request.target.clone(),
            source,
        });
    }
    let abort = task.abort_handle();
    let longest = patience.response.saturating_mul(COMMIT_PATIENCE);
    match handle.block_on(async { timeout(longest, task).await }) {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(Error::Start(error.to_string())),
        Err(_) => {
            abort.abort();
            Err(stalled())
        }
    }
}

/// The next piece; `None` at the end.
fn piece(content: &mut dyn Read, left: &mut Option<u64>) -> io::Result<Option<Bytes>> {
    let most = left.map_or(PIECE_BYTES, |left| {
        usize::try_from(left)
            .unwrap_or(PIECE_BYTES)
            .min(PIECE_BYTES)
    });
    let mut piece = BytesMut::zeroed(most);
    let mut filled = 0;
    while filled < most {
        match content.read(piece.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(left) = left {
        if filled < most {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= filled as u64;
    }
    piece.truncate(filled);
    Ok(Some(piece.freeze()).filter(|piece| !piece.is_empty()))
}
