//! The state of an open connection, and the stream that records it.

use std::{
    future::Future,
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    task::{ready, Context, Poll},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::{sleep, Sleep},
};

use super::limits::Socket;
use crate::admission::{
    budget::{Hold, Peer},
    network_of, Watch,
};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No part of a request has arrived since the last response.
    Idle,
    /// A request's head is arriving.
    Head,
    /// A request's body is arriving.
    Body,
    /// The application is working on a request.
    Work,
    /// The client has not taken the whole response yet, some of which the kernel may hold.
    Response,
    /// Handed over, for example to a WebSocket.
    Upgraded,
}

impl Phase {
    #[cfg(feature = "metrics")]
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Head,
        Self::Body,
        Self::Work,
        Self::Response,
        Self::Upgraded,
    ];

    /// The label that metrics use.
    #[cfg(feature = "metrics")]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Body => "body",
            Self::Work => "work",
            Self::Response => "answer",
            Self::Upgraded => "upgraded",
        }
    }
}

/// A client, by its network.
#[derive(Debug)]
struct Client {
    network: IpAddr,
    usage: Option<Arc<Peer>>,
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    /// The last request's client, which differs from the peer behind a proxy.
    client: Mutex<Client>,
    /// Requests that have arrived and whose responses have not been passed to the connection.
    requests: AtomicUsize,
    /// Request bodies that the client has yet to send.
    bodies: AtomicUsize,
    bytes_read: AtomicU64,
    /// `bytes_read` when the last request began.
    bytes_read_before: AtomicU64,
    bytes_written: AtomicU64,
    opened: Instant,
    /// When bytes were last read, in milliseconds since `opened`.
    last_read: AtomicU64,
    /// Whether anything has been read since the last response.
    has_head: AtomicBool,
    /// Whether part of a request's body was left unread.
    has_unread_body: AtomicBool,
    /// Whether the socket accepts no more bytes.
    is_blocked: AtomicBool,
    is_upgraded: AtomicBool,
    is_closing: AtomicBool,
    /// Whether closing discards what the client has not taken.
    is_reset_on_close: AtomicBool,
    observation: Mutex<Observation>,
    close: Notify,
    dropped: Notify,
    /// What produces the response, as long as that takes CPU time.
    producer: Mutex<Option<Arc<Watch>>>,
    /// Covers its buffers, a head that is arriving, and what the kernel holds of its responses.
    hold: Mutex<Hold>,
    /// Bytes of the buffers alone.
    buffers: u64,
    /// Bytes of a head that is arriving.
    head: AtomicU64,
    /// Present while the socket is open.
    socket: Mutex<Option<Socket>>,
    /// Bytes that the kernel held for the client when last measured.
    unread: AtomicU64,
    /// `bytes_written` at that time.
    bytes_written_before: AtomicU64,
}

/// Bytes of a head that fit into the buffers.
const BUFFERED_HEAD: u64 = 8 << 10;

/// How long a connection stays open for the rest of a request that nobody reads.
const LINGER: Duration = Duration::from_secs(2);

/// What the last inspection of a connection found.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    pub phase: Phase,
    /// When the connection entered this phase, or this window of it.
    pub since: Instant,
    /// Bytes moved before that.
    pub bytes: u64,
}

impl Connection {
    pub fn new(peer: SocketAddr, hold: Hold) -> Self {
        Self {
            peer,
            client: Mutex::new(Client {
                network: network_of(peer.ip()),
                usage: None,
            }),
            requests: AtomicUsize::new(0),
            bodies: AtomicUsize::new(0),
            bytes_read: AtomicU64::new(0),
            bytes_read_before: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            opened: Instant::now(),
            last_read: AtomicU64::new(0),
            has_head: AtomicBool::new(false),
            has_unread_body: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            is_upgraded: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            is_reset_on_close: AtomicBool::new(false),
            observation: Mutex::new(Observation {
                phase: Phase::Idle,
                since: Instant::now(),
                bytes: 0,
            }),
            close: Notify::new(),
            dropped: Notify::new(),
            producer: Mutex::default(),
            buffers: hold.bytes(),
            hold: Mutex::new(hold),
            head: AtomicU64::new(0),
            socket: Mutex::default(),
            unread: AtomicU64::new(0),
            bytes_written_before: AtomicU64::new(0),
        }
    }

    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The network of the client that sent the last request, or else opened the connection.
    pub fn client(&self) -> IpAddr {
        self.lock_client().network
    }

    /// The usage counters of the client that sent a request, looked up again only if the client has
    /// changed.
    pub fn client_usage(&self, network: IpAddr, look_up: impl FnOnce() -> Arc<Peer>) -> Arc<Peer> {
        let mut client = self.lock_client();
        if client.network != network {
            *client = Client {
                network,
                usage: None,
            };
        }
        Arc::clone(client.usage.get_or_insert_with(look_up))
    }

    fn lock_client(&self) -> MutexGuard<'_, Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn phase(&self) -> Phase {
        if self.is_upgraded.load(Ordering::Relaxed) {
            Phase::Upgraded
        } else if self.is_blocked.load(Ordering::Relaxed) {
            Phase::Response
        } else if self.bodies.load(Ordering::Relaxed) > 0 {
            Phase::Body
        } else if self.requests.load(Ordering::Relaxed) > 0 {
            Phase::Work
        } else if self.unread.load(Ordering::Relaxed) > 0 {
            Phase::Response
        } else if self.has_head.load(Ordering::Relaxed) {
            Phase::Head
        } else {
            Phase::Idle
        }
    }

    /// Whether nothing has been read since the previous request, so that this one came along with
    /// it.
    pub fn is_pipelined(&self) -> bool {
        let read = self.bytes_read.load(Ordering::Relaxed);
        self.bytes_read_before.swap(read, Ordering::Relaxed) == read
    }

    /// Bytes moved in the direction that matters in this phase.
    pub fn bytes_moved(&self, phase: Phase) -> u64 {
        match phase {
            Phase::Response => {
                let written = self.bytes_written.load(Ordering::Relaxed);
                written.saturating_sub(self.unread.load(Ordering::Relaxed))
            }
            _ => self.bytes_read.load(Ordering::Relaxed),
        }
    }

    /// When the connection was last read from, or opened.
    pub fn last_read(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_read.load(Ordering::Relaxed))
    }

    /// Replaces the last observation, and returns the new one.
    pub fn observe(&self, next: impl FnOnce(Observation) -> Observation) -> Observation {
        let mut observation = self
            .observation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *observation = next(*observation);
        *observation
    }

    /// Measures how much of its responses the client has not taken, and counts that.
    pub fn measure_unread(&self) {
        let written = self.bytes_written.load(Ordering::Relaxed);
        let before = self.bytes_written_before.swap(written, Ordering::Relaxed);
        if written == before && self.unread.load(Ordering::Relaxed) == 0 {
            return;
        }
        let socket = self.socket();
        let unread = socket.map_or(0, Socket::unacknowledged);
        drop(socket);
        if self.unread.swap(unread, Ordering::Relaxed) != unread {
            self.update_hold();
        }
    }

    /// Closes the connection once it is idle, or at once if it is to be reset. Returns whether it
    /// was not closing already.
    pub fn close(&self) -> bool {
        self.close.notify_one();
        !self.is_closing.swap(true, Ordering::Relaxed)
    }

    /// Whether the connection is idle and not about to be closed.
    pub fn is_idle(&self) -> bool {
        self.phase() == Phase::Idle && !self.is_closing.load(Ordering::Relaxed)
    }

    /// Records that the rest of a request's body will not be read.
    pub fn leave_body_unread(&self) {
        self.has_unread_body.store(true, Ordering::Relaxed);
    }

    /// Whether the client may still be sending a request that nobody reads.
    fn has_unread_request(&self) -> bool {
        self.has_unread_body.load(Ordering::Relaxed) || self.phase() == Phase::Head
    }

    /// Resolves once the connection should be closed.
    pub async fn close_requested(&self) {
        self.close.notified().await;
    }

    /// Makes closing discard what the client has not taken, which the kernel would otherwise keep
    /// for minutes.
    pub fn reset_on_close(&self) {
        self.is_reset_on_close.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is closed no matter what it is doing.
    pub fn is_reset_on_close(&self) -> bool {
        self.is_reset_on_close.load(Ordering::Relaxed)
    }

    /// Resolves once the stream has been dropped, even if it was handed over.
    pub async fn stream_dropped(&self) {
        self.dropped.notified().await;
    }

    /// Sets what produces the response, or clears it.
    pub fn set_producer(&self, watch: Option<&Arc<Watch>>) {
        *self.producer() = watch.map(Arc::clone);
    }

    /// Marks what produces the response as paused, since the client takes no more for now.
    fn pause_producer(&self) {
        if let Some(watch) = &*self.producer() {
            watch.pause();
        }
    }

    fn socket(&self) -> MutexGuard<'_, Option<Socket>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn producer(&self) -> MutexGuard<'_, Option<Arc<Watch>>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records bytes that may be part of a head.
    fn record_head(&self, bytes: u64) {
        if self.is_upgraded.load(Ordering::Relaxed) {
            return;
        }
        self.has_head.store(true, Ordering::Relaxed);
        let head = self.head.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.requests.load(Ordering::Relaxed) == 0 && head > BUFFERED_HEAD {
            self.update_hold();
        }
    }

    /// Called when a request begins or ends: whatever arrives from then on belongs to the next
    /// head.
    fn reset_head(&self) {
        if self.head.swap(0, Ordering::Relaxed) > BUFFERED_HEAD {
            self.update_hold();
        }
    }

    fn update_hold(&self) {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.head.load(Ordering::Relaxed);
        let unread = self.unread.load(Ordering::Relaxed);
        hold.set(self.buffers + unread + if head > BUFFERED_HEAD { head } else { 0 });
    }

    /// Marks the connection as handed over, after which it is no longer supervised.
    pub fn upgrade(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
        self.reset_head();
    }
}

/// A request on a connection, until its response has been passed on.
#[derive(Debug)]
pub struct InFlight(Arc<Connection>);

impl InFlight {
    pub fn new(connection: &Arc<Connection>) -> Self {
        connection.requests.fetch_add(1, Ordering::Relaxed);
        connection.reset_head();
        Self(Arc::clone(connection))
    }

    pub const fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.has_head.store(false, Ordering::Relaxed);
        self.0.reset_head();
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a request waits for its body.
#[derive(Debug)]
pub struct BodyWait {
    connection: Arc<Connection>,
    is_waiting: bool,
}

impl BodyWait {
    pub fn new(connection: &Arc<Connection>) -> Self {
        Self {
            connection: Arc::clone(connection),
            is_waiting: false,
        }
    }

    pub fn set_waiting(&mut self, waiting: bool) {
        match (self.is_waiting, waiting) {
            (false, true) => drop(self.connection.bodies.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.connection.bodies.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        self.is_waiting = waiting;
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Measures the rate from here on, without what has arrived so far.
    pub fn restart_window(&self) {
        let bytes = self.connection.bytes_moved(Phase::Body);
        self.connection.observe(|_| Observation {
            phase: Phase::Body,
            since: Instant::now(),
            bytes,
        });
    }
}

impl Drop for BodyWait {
    fn drop(&mut self) {
        self.set_waiting(false);
    }
}

/// A connection's stream, which counts the bytes that it moves.
pub struct Stream {
    inner: TcpStream,
    connection: Arc<Connection>,
    /// Set once the response has been sent and the rest of the request is being discarded.
    linger: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub fn new(stream: TcpStream, connection: &Arc<Connection>) -> Self {
        *connection.socket() = Some(Socket::new(&stream));
        Self {
            inner: stream,
            connection: Arc::clone(connection),
            linger: None,
        }
    }

    fn record_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let connection = &self.connection;
        connection
            .is_blocked
            .store(written.is_pending(), Ordering::Relaxed);
        if written.is_pending() {
            connection.pause_producer();
        }
        if let Poll::Ready(Ok(bytes)) = &written {
            connection
                .bytes_written
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
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.connection
                .bytes_read
                .fetch_add(bytes as u64, Ordering::Relaxed);
            let last_read = self.connection.opened.elapsed().as_millis();
            self.connection.last_read.store(
                u64::try_from(last_read).unwrap_or(u64::MAX),
                Ordering::Relaxed,
            );
            self.connection.record_head(bytes as u64);
        }
        read
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        *self.connection.socket() = None;
        if self.connection.is_reset_on_close() {
            let socket = SockRef::from(&self.inner);
            // If the system refuses, the kernel keeps the bytes for a while.
            drop(socket.set_linger(Some(Duration::ZERO)));
        }
        self.connection.dropped.notify_one();
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.record_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.record_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    /// Shuts down writing, and then discards what the client is still sending: the kernel answers
    /// unread bytes with a reset, at which the client may lose the response.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            inner,
            connection,
            linger,
        } = &mut *self;
        let linger = if let Some(linger) = linger {
            linger
        } else {
            ready!(Pin::new(&mut *inner).poll_shutdown(context))?;
            if !connection.has_unread_request() {
                return Poll::Ready(Ok(()));
            }
            linger.insert(Box::pin(sleep(LINGER)))
        };
        let mut discarded = [0; 4096];
        while linger.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut discarded);
            ready!(Pin::new(&mut *inner).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::budget::{Budget, Kind};

    fn connection(budget: &Arc<Budget>) -> Arc<Connection> {
        let hold = budget.hold(Kind::Connections, 1000);
        Arc::new(Connection::new(([192, 0, 2, 1], 1).into(), hold))
    }

    #[test]
    fn a_head_is_counted_until_its_request_begins() {
        let budget = Budget::new(1 << 20);
        let connection = connection(&budget);

        connection.record_head(500);
        assert_eq!(budget.held(Kind::Connections), 1000);
        connection.record_head(40_000);
        assert_eq!(budget.held(Kind::Connections), 41_500);
        let request = InFlight::new(&connection);
        assert_eq!(budget.held(Kind::Connections), 1000);

        // A body.
        connection.record_head(40_000);
        assert_eq!(budget.held(Kind::Connections), 1000);
        drop((request, connection));
        assert_eq!(budget.held(Kind::Connections), 0);
    }

    #[test]
    fn all_but_the_first_of_several_requests_are_pipelined() {
        let connection = connection(&Budget::new(1 << 20));

        for _ in 0..2 {
            connection.bytes_read.fetch_add(100, Ordering::Relaxed);
            assert!(!connection.is_pipelined());
            assert!(connection.is_pipelined());
            assert!(connection.is_pipelined());
        }
    }

    #[test]
    fn what_comes_after_an_upgrade_is_no_head() {
        let budget = Budget::new(1 << 20);
        let connection = connection(&budget);
        connection.record_head(40_000);

        connection.upgrade();
        for _ in 0..100 {
            connection.record_head(40_000);
        }

        assert_eq!(budget.held(Kind::Connections), 1000);
        assert_eq!(connection.phase(), Phase::Upgraded);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_unread_response_in_the_kernel_is_counted() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        const LENGTH: usize = 100_000;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a listener");
        let client = tokio::net::TcpSocket::new_v4().expect("a socket");
        client.set_recv_buffer_size(4096).expect("a small buffer");
        let client = client.connect(listener.local_addr().expect("an address"));
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (stream, _) = accepted.expect("a connection");
        let budget = Budget::new(1 << 20);
        let connection = connection(&budget);
        let mut stream = Stream::new(stream, &connection);
        assert_eq!(connection.phase(), Phase::Idle);

        stream
            .write_all(&vec![0; LENGTH])
            .await
            .expect("the kernel takes it");
        connection.measure_unread();

        assert_eq!(connection.phase(), Phase::Response);
        assert!(!connection.is_idle());
        let counted = budget.held(Kind::Connections);
        assert!(
            (50_000..=LENGTH as u64 + 1000).contains(&counted),
            "{counted}"
        );

        let mut client = client.expect("a client");
        client
            .read_exact(&mut vec![0; LENGTH])
            .await
            .expect("a response");
        while connection.phase() == Phase::Response {
            tokio::time::sleep(Duration::from_millis(1)).await;
            connection.measure_unread();
        }
        assert_eq!(budget.held(Kind::Connections), 1000);
        assert_eq!(connection.bytes_moved(Phase::Response), LENGTH as u64);
        drop(stream);
        connection.measure_unread();
        assert!(connection.is_idle());
    }
}
