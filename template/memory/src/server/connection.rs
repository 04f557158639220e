//! What is known of an open connection, and the stream that tells it.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};

use crate::admission::{budget::Hold, Watch};

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing of a request has come since the last answer.
    Idle,
    /// A request's head is on its way.
    Head,
    /// A request's body is on its way.
    Body,
    /// The application works on a request.
    Work,
    /// The client has not taken the answer yet.
    Answer,
    /// It was handed over, to a WebSocket for example.
    Upgraded,
}

impl Phase {
    #[cfg(feature = "metrics")]
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Head,
        Self::Body,
        Self::Work,
        Self::Answer,
        Self::Upgraded,
    ];

    /// As metrics call it.
    #[cfg(feature = "metrics")]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Body => "body",
            Self::Work => "work",
            Self::Answer => "answer",
            Self::Upgraded => "upgraded",
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    /// Requests that have come and whose answers have not been handed to the connection.
    requests: AtomicUsize,
    /// Bodies of requests that are waited for.
    bodies: AtomicUsize,
    read: AtomicU64,
    written: AtomicU64,
    opened: Instant,
    /// Milliseconds from then until it was last read from.
    last_read: AtomicU64,
    /// Something has been read since the last answer.
    has_head: AtomicBool,
    /// The socket takes nothing more.
    is_blocked: AtomicBool,
    is_upgraded: AtomicBool,
    is_closing: AtomicBool,
    seen: Mutex<Seen>,
    close: Notify,
    /// What its answer is made by, as long as that takes the CPU.
    producing: Mutex<Option<Arc<Watch>>>,
    _hold: Hold,
}

/// What whoever looks after the connections saw last.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub phase: Phase,
    /// Since when it is in this phase, or in this window of it.
    pub since: Instant,
    /// Bytes read or written before that.
    pub bytes: u64,
}

impl Connection {
    pub fn new(peer: SocketAddr, hold: Hold) -> Self {
        Self {
            peer,
            requests: AtomicUsize::new(0),
            bodies: AtomicUsize::new(0),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            opened: Instant::now(),
            last_read: AtomicU64::new(0),
            has_head: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            is_upgraded: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            seen: Mutex::new(Seen {
                phase: Phase::Idle,
                since: Instant::now(),
                bytes: 0,
            }),
            close: Notify::new(),
            producing: Mutex::default(),
            _hold: hold,
        }
    }

    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub fn phase(&self) -> Phase {
        if self.is_upgraded.load(Ordering::Relaxed) {
            Phase::Upgraded
        } else if self.is_blocked.load(Ordering::Relaxed) {
            Phase::Answer
        } else if self.bodies.load(Ordering::Relaxed) > 0 {
            Phase::Body
        } else if self.requests.load(Ordering::Relaxed) > 0 {
            Phase::Work
        } else if self.has_head.load(Ordering::Relaxed) {
            Phase::Head
        } else {
            Phase::Idle
        }
    }

    /// Bytes that it has moved, in the direction that its phase waits for.
    pub fn moved(&self, phase: Phase) -> u64 {
        match phase {
            Phase::Answer => self.written.load(Ordering::Relaxed),
            _ => self.read.load(Ordering::Relaxed),
        }
    }

    /// When it was last read from, or opened.
    pub fn last_read(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_read.load(Ordering::Relaxed))
    }

    /// What was seen last; from now on, this is.
    pub fn seen(&self, next: impl FnOnce(Seen) -> Seen) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = next(*seen);
        *seen
    }

    /// Closes it, whatever it does. Whether it was not closing already.
    pub fn close(&self) -> bool {
        self.close.notify_one();
        !self.is_closing.swap(true, Ordering::Relaxed)
    }

    /// Whether it is idle, and stays open.
    pub fn is_idle(&self) -> bool {
        self.phase() == Phase::Idle && !self.is_closing.load(Ordering::Relaxed)
    }

    /// Resolves when it is to be closed.
    pub async fn closed(&self) {
        self.close.notified().await;
    }

    /// Its answer is made by this, or is no longer.
    pub fn set_producing(&self, watch: Option<&Arc<Watch>>) {
        *self.producing() = watch.map(Arc::clone);
    }

    /// The client takes nothing more for now: what makes its answer does not go on either.
    fn hold_up(&self) {
        if let Some(watch) = &*self.producing() {
            watch.pause();
        }
    }

    fn producing(&self) -> MutexGuard<'_, Option<Arc<Watch>>> {
        self.producing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// It is handed over: nobody looks after it any more.
    pub fn upgrade(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }
}

/// A request on a connection, until its answer has been handed over.
#[derive(Debug)]
pub struct InFlight(Arc<Connection>);

impl InFlight {
    pub fn new(connection: &Arc<Connection>) -> Self {
        connection.requests.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }

    pub const fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.has_head.store(false, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that is waited for.
#[derive(Debug)]
pub struct AwaitedBody {
    connection: Arc<Connection>,
    is_awaited: bool,
}

impl AwaitedBody {
    pub fn new(connection: &Arc<Connection>) -> Self {
        Self {
            connection: Arc::clone(connection),
            is_awaited: false,
        }
    }

    pub fn is(&mut self, awaited: bool) {
        match (self.is_awaited, awaited) {
            (false, true) => drop(self.connection.bodies.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.connection.bodies.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        self.is_awaited = awaited;
    }

    /// What has come of it until now counts no longer.
    pub fn begin_window(&self) {
        let bytes = self.connection.moved(Phase::Body);
        self.connection.seen(|seen| Seen {
            since: Instant::now(),
            bytes,
            ..seen
        });
    }
}

impl Drop for AwaitedBody {
    fn drop(&mut self) {
        self.is(false);
    }
}

/// A connection's stream, which counts what it moves.
pub struct Stream {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Stream {
    pub fn new(stream: TcpStream, connection: &Arc<Connection>) -> Self {
        Self {
            stream,
            connection: Arc::clone(connection),
        }
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let connection = &self.connection;
        connection
            .is_blocked
            .store(written.is_pending(), Ordering::Relaxed);
        if written.is_pending() {
            connection.hold_up();
        }
        if let Poll::Ready(Ok(bytes)) = &written {
            connection
                .written
                .fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.connection
                .read
                .fetch_add(bytes as u64, Ordering::Relaxed);
            let last_read = self.connection.opened.elapsed().as_millis();
            self.connection.last_read.store(
                u64::try_from(last_read).unwrap_or(u64::MAX),
                Ordering::Relaxed,
            );
            self.connection.has_head.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.count(written)
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
