//! A blob on its way here from another registry, and those who get it while it comes.
//!
//! Whoever follows gets what has come at once, as far as some megabytes of it are kept in memory;
//! who is slower, or comes later, gets the rest from the storage once all is there. The last byte is
//! let go only when the whole is verified and stored: what is not what its digest says ends too early
//! for everybody, and nobody takes it for whole.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::watch;

use crate::lock::lock;
use crate::refusal::Refusal;

/// What is kept in memory of a blob that comes, in bytes.
const WINDOW: usize = 16 << 20;

/// How a fetch ended.
pub(crate) type Ended = Result<(), Arc<Refusal>>;

/// How far a fetch is.
#[derive(Clone, Default)]
struct State {
    /// How long the blob is, once the upstream has said so.
    length: Option<u64>,
    arrived: u64,
    ended: Option<Ended>,
}

/// The newest of what has come.
#[derive(Default)]
struct Window {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// Where the first piece begins.
    start: u64,
}

/// What a window has at a place.
enum Found {
    Piece(Bytes),
    /// Not any longer.
    Gone,
    NotYet,
}

impl Window {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
        while self.bytes > WINDOW
            && let Some(first) = self.pieces.pop_front()
        {
            self.bytes -= first.len();
            self.start += first.len() as u64;
        }
    }

    /// What there is from `at`, up to `end`.
    fn find(&self, at: u64, end: u64) -> Found {
        if at < self.start {
            return Found::Gone;
        }
        let mut start = self.start;
        for piece in &self.pieces {
            let past = start + piece.len() as u64;
            if at < past && at < end {
                let place = |whole: u64| usize::try_from(whole - start).unwrap_or(piece.len());
                return Found::Piece(piece.slice(place(at)..place(past.min(end))));
            }
            start = past;
        }
        Found::NotYet
    }
}

/// A blob that comes.
pub(crate) struct Coming {
    state: watch::Sender<State>,
    window: Mutex<Window>,
}

impl Coming {
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::default(),
            window: Mutex::default(),
        }
    }

    /// The upstream has begun to send so many bytes.
    pub(crate) fn begun(&self, length: u64) {
        self.state.send_modify(|state| state.length = Some(length));
    }

    fn push(&self, piece: Bytes) {
        let length = piece.len() as u64;
        let mut window = lock(&self.window);
        window.push(piece);
        drop(window);
        self.state.send_modify(|state| state.arrived += length);
    }

    /// All is verified and stored, or will not be.
    pub(crate) fn end(&self, ended: Ended) {
        self.state.send_modify(|state| state.ended = Some(ended));
    }

    /// Waits until it is known how long the blob is; none if it is here before that.
    pub(crate) async fn length(&self) -> Result<Option<u64>, Arc<Refusal>> {
        let mut watching = self.state.subscribe();
        let known = |state: &State| state.length.is_some() || state.ended.is_some();
        match watching.wait_for(known).await.map(|state| state.clone()) {
            Ok(State {
                ended: Some(ended), ..
            }) => ended.map(|()| None),
            Ok(state) => Ok(state.length),
            Err(_) => Ok(None),
        }
    }

    /// Waits until it is here.
    pub(crate) async fn ended(&self) -> Ended {
        let mut watching = self.state.subscribe();
        let state = watching.wait_for(|state| state.ended.is_some()).await;
        state.map_or(Ok(()), |state| state.ended.clone().unwrap_or(Ok(())))
    }

    /// The upstream's body, which is seen by those who follow while it passes.
    pub(crate) fn passing(self: &Arc<Self>, body: Body) -> Body {
        Body::new(Passing {
            body,
            coming: Arc::clone(self),
        })
    }

    /// The blob as a body of `length` bytes; `rest` gets it from the storage, from an offset on, once
    /// it is there.
    pub(crate) fn follow(self: &Arc<Self>, length: u64, rest: Rest) -> Body {
        let follower = Follower {
            watching: self.state.subscribe(),
            coming: Arc::clone(self),
            at: 0,
            length,
            rest,
            stored: None,
        };
        Body::new(Following {
            next: Some(Box::pin(follower.step())),
            left: length,
        })
    }
}

/// The stored blob, got.
pub(crate) type Getting = Pin<Box<dyn Future<Output = Result<Body, Refusal>> + Send>>;

/// Gets the stored blob from an offset on.
pub(crate) type Rest = Box<dyn Fn(u64) -> Getting + Send + Sync>;

/// A body that is shown to those who follow while it passes.
struct Passing {
    body: Body,
    coming: Arc<Coming>,
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
        {
            self.coming.push(piece.clone());
        }
        Poll::Ready(frame)
    }
}

/// One who follows.
struct Follower {
    coming: Arc<Coming>,
    watching: watch::Receiver<State>,
    at: u64,
    length: u64,
    rest: Rest,
    /// What is left, from the storage.
    stored: Option<Body>,
}

type Step = (Follower, io::Result<Option<Bytes>>);

impl Follower {
    async fn step(mut self) -> Step {
        let next = self.next().await;
        (self, next)
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.at >= self.length {
                return Ok(None);
            }
            if let Some(stored) = &mut self.stored {
                return piece_of(stored).await;
            }
            let state = self.watching.borrow_and_update().clone();
            // The last byte waits for the proof.
            let end = match &state.ended {
                Some(Err(refusal)) => return Err(io::Error::other(refusal.to_string())),
                Some(Ok(())) => self.length,
                None => self.length - 1,
            };
            let found = lock(&self.coming.window).find(self.at, end);
            match (found, state.ended) {
                (Found::Piece(piece), _) => {
                    self.at += piece.len() as u64;
                    return Ok(Some(piece));
                }
                (_, Some(_)) => {
                    let stored = (self.rest)(self.at).await;
                    self.stored =
                        Some(stored.map_err(|error| io::Error::other(error.to_string()))?);
                }
                (Found::Gone | Found::NotYet, None) => {
                    if self.watching.changed().await.is_err() {
                        return Err(io::Error::other("the fetch ended"));
                    }
                }
            }
        }
    }
}

async fn piece_of(body: &mut Body) -> io::Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

/// What one who follows gets.
struct Following {
    next: Option<Pin<Box<dyn Future<Output = Step> + Send>>>,
    left: u64,
}

impl http_body::Body for Following {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(None);
        };
        let (follower, outcome) = ready!(next.as_mut().poll(context));
        self.next = None;
        match outcome {
            Ok(Some(piece)) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                self.next = Some(Box::pin(follower.step()));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests;
