//! Sockets: listening, TLS, HTTP/1.1, bounds on slow and many clients, and an orderly end.
//!
//! HTTP/1.1 only: a blob has a connection and its flow control to itself, and there is no stream to
//! open and drop by the thousand. Knows nothing of what is asked.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shiplap_model::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::hub::{Hub, HubError, TlsFiles};
use crate::linger::Lingering;
use crate::service;

/// How long the hub waits for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For anything of a body, and for it to take anything of what it is sent.
    pub(crate) idle: Duration,
    /// For a TLS handshake, and from one answer to the headers of the next request.
    pub(crate) headers: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            headers: Duration::from_secs(30),
        }
    }
}

/// How long requests may go on once the hub is told to end.
const LAST: Duration = Duration::from_secs(30);

/// Connections at once: each may take some 100 KiB while a body passes.
const CONNECTIONS: usize = 4096;

/// A socket that listens, and what is spoken on it.
pub(crate) struct Listening {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listening {
    /// Listens where the hub was told to.
    pub(crate) async fn open(hub: &Hub) -> Result<Self, HubError> {
        let address = hub.options.address;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| HubError::Listen { address, source })?;
        let tls = hub.options.tls.as_ref().map(acceptor).transpose()?;
        Ok(Self { listener, tls })
    }

    /// Where it listens, with the port that was free.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Takes connections until `end` is ready, then lets those go on that are asking something.
    pub(crate) async fn serve(self, hub: Arc<Hub>, end: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut end = std::pin::pin!(end);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut end => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // No descriptors left, mostly: they come back.
                    tracing::warn!("failed to take a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                hub.metrics.refused_connection();
                continue;
            };
            let (hub, tls, watcher) = (Arc::clone(&hub), self.tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                let _place = place;
                connection(hub, stream, peer, tls, watcher).await;
            });
        }
        drop(self.listener);
        if tokio::time::timeout(LAST, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("failed to wait for all requests: some went on for too long");
        }
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, HubError> {
    let wrong = |path: &std::path::Path, message: String| HubError::Tls {
        path: path.to_owned(),
        message,
    };
    let (chain, key) = (&files.certificates, &files.key);
    let read = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(chain, error.to_string()))?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(read, private)
        });
    let mut config = config.map_err(|error| wrong(chain, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn connection(
    hub: Arc<Hub>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
) {
    let _open = hub.metrics.connection();
    // An answer's headers and body may be two packets.
    let _best_effort = stream.set_nodelay(true);
    let patience = hub.patience;
    let stream = Patient::new(stream, patience.idle);
    let Some(tls) = tls else {
        return speak(Arc::clone(&hub), stream, peer, watcher).await;
    };
    match tokio::time::timeout(patience.headers, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(Arc::clone(&hub), stream, peer, watcher).await,
        Ok(Err(error)) => tracing::debug!("failed to agree on TLS with {peer}: {error}"),
        Err(_) => tracing::debug!("failed to agree on TLS with {peer} in time"),
    }
}

async fn speak<S>(hub: Arc<Hub>, stream: S, peer: SocketAddr, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let headers = hub.patience.headers;
    let answering = service_fn(move |request: Request<hyper::body::Incoming>| {
        let hub = Arc::clone(&hub);
        async move {
            let request = request.map(|body| Body::new(Lingering::new(body)));
            Ok::<_, Infallible>(service::answer(hub, peer, request).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .max_headers(limits::HUB_HEADERS)
        .max_buf_size(limits::HUB_HEADER_BYTES)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), answering);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!("failed to go on with {peer}: {error}");
    }
}

/// A stream whose other end must take what it is sent: it ends when nothing goes out for some time.
/// What comes in is watched where it is waited for: headers here, bodies by whoever reads them.
struct Patient<S> {
    stream: S,
    idle: Duration,
    /// Runs while something can't go out.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(stream: S, idle: Duration) -> Self {
        Self {
            stream,
            idle,
            deadline: None,
        }
    }

    fn note<T>(
        &mut self,
        context: &mut Context<'_>,
        moved: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.deadline = None;
            return moved;
        }
        let idle = self.idle;
        let begin = || Box::pin(tokio::time::sleep(idle));
        let deadline = self.deadline.get_or_insert_with(begin);
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(context, moved)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(context, moved)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
