//! Request and response bodies whose bytes are counted for as long as the service holds them.

use std::{
    future::Future,
    pin::Pin,
    sync::{atomic::AtomicUsize, Arc},
    task::{ready, Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{header, HeaderMap},
};
use bytes::BytesMut;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{sleep, Sleep};

use super::{
    budget::{Budget, CountGuard, Hold, Kind},
    reservations::Reservation,
    work::ActiveRequest,
};
use crate::{
    server::{BodyWait, Connection, InFlight},
    usage::drop_foreign,
};

/// Smaller frames, in bytes, are not counted separately: the connection's buffers cover them.
const MIN_COUNTED: usize = 4 << 10;
/// Small parts of a body are gathered up to this many bytes: one by one, they would take far more
/// memory than they have bytes.
const MAX_GATHERED: usize = 16 << 10;
/// How long a small part waits for more.
const LINGER: Duration = Duration::from_millis(5);
/// The encodings with which Loco's middleware compresses responses (tower-http 0.6).
const ENCODINGS: [&str; 4] = ["br", "deflate", "gzip", "zstd"];
/// How often a stalled body checks whether there is room for it.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Bytes that stay counted until their last slice is dropped.
struct CountedBytes {
    bytes: Bytes,
    _hold: Hold,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn counted(bytes: Bytes, hold: Hold) -> Bytes {
    Bytes::from_owner(CountedBytes { bytes, _hold: hold })
}

/// Bytes that stay reserved until their last slice is dropped.
struct ReadAhead {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for ReadAhead {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        drop_foreign(std::mem::take(&mut self.bytes));
    }
}

/// Ties a reservation to the bytes that were read under it before their request began.
pub fn read_ahead(bytes: Bytes, reservation: Reservation) -> Bytes {
    Bytes::from_owner(ReadAhead {
        bytes,
        _reservation: reservation,
    })
}

/// The body of a response, counted until the client has taken it.
pub struct ResponseBody {
    body: Body,
    /// Covers the bytes still to come, if the length is known.
    hold: Hold,
    /// What produces a body of unknown length.
    source: Option<Source>,
    /// Ends the request together with its response.
    request: InFlight,
}

enum Source {
    /// A stream, with the memory that the application still holds for it.
    Stream { _memory: Hold },
    /// Compressed on the fly, which takes memory and CPU: the request stays active.
    Compressed(ActiveRequest),
}

impl ResponseBody {
    /// Wraps the body of a response; `active` is its request, if that went through admission.
    pub fn new(
        body: Body,
        headers: &HeaderMap,
        active: Option<ActiveRequest>,
        budget: &Arc<Budget>,
        request: InFlight,
    ) -> Self {
        let length = body.size_hint().exact();
        let bytes = length
            .filter(|length| *length >= MIN_COUNTED as u64)
            .unwrap_or(0);
        let peer = active.as_ref().map(ActiveRequest::peer);
        let hold = budget.hold_for(peer, Kind::Responses, bytes);
        let source = active.filter(|_| length.is_none()).map(|mut active| {
            if is_compressed(headers) {
                request.connection().set_producer(Some(active.watch()));
                Source::Compressed(active)
            } else {
                let bytes = active.held();
                Source::Stream {
                    _memory: active.permit_mut().split(bytes),
                }
            }
        });
        Self {
            body,
            hold,
            source,
            request,
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(Source::Compressed(_)) = self.source {
            self.request.connection().set_producer(None);
        }
    }
}

/// Whether a response with these headers is compressed on the fly.
fn is_compressed(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING);
    encoding.is_some_and(|encoding| ENCODINGS.iter().any(|name| encoding == name))
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let body = Pin::new(&mut this.body);
        let frame = if let Some(Source::Compressed(active)) = &mut this.source {
            active.watch().start(context.waker());
            let frame = active.poll(|| body.poll_frame(context));
            if let Poll::Ready(Some(Ok(frame))) = &frame {
                active.hand_over(frame.data_ref().map_or(0, Bytes::len));
            } else if frame.is_pending() {
                active.watch().pause();
            }
            // By now the encoder has allocated all its memory.
            let held = active.held();
            active.permit_mut().shrink_to(held);
            frame
        } else {
            body.poll_frame(context)
        };
        frame.map(|frame| frame.map(|frame| frame.map(|frame| this.count(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl ResponseBody {
    fn count(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        frame.map_data(|data| {
            if data.len() < MIN_COUNTED {
                return data;
            }
            let bytes = data.len() as u64;
            let mut hold = self.hold.split(bytes);
            hold.set(bytes);
            counted(data, hold)
        })
    }
}

/// The body of a request, read as it arrives.
pub struct RequestBody {
    body: Incoming,
    /// Bytes that were read ahead.
    prefix: Option<Bytes>,
    /// Whether nothing more will come.
    is_read: bool,
    budget: Arc<Budget>,
    wait: BodyWait,
    gathered: BytesMut,
    /// How much longer small parts are gathered.
    linger: Option<Pin<Box<Sleep>>>,
    stalled: Arc<AtomicUsize>,
    /// Whether there is no room for more at the moment.
    is_stalled: bool,
    /// Set until the next check for room.
    retry: Option<(Pin<Box<Sleep>>, CountGuard)>,
}

impl RequestBody {
    pub fn new(
        body: Incoming,
        budget: &Arc<Budget>,
        connection: &Arc<Connection>,
        stalled: &Arc<AtomicUsize>,
    ) -> Self {
        Self {
            body,
            prefix: None,
            is_read: false,
            budget: Arc::clone(budget),
            wait: BodyWait::new(connection),
            gathered: BytesMut::new(),
            linger: None,
            stalled: Arc::clone(stalled),
            is_stalled: false,
            retry: None,
        }
    }

    /// The same body with its first bytes, which are already read and counted, put in front.
    pub fn with_prefix(mut self, prefix: Bytes) -> Self {
        self.prefix = Some(prefix);
        self.wait.set_waiting(false);
        self
    }

    /// Polls for the next part, without counting it.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.wait.set_waiting(frame.is_pending());
        self.is_read = matches!(frame, Poll::Ready(None | Some(Err(_))));
        frame
    }

    /// Polls for the next part once there is room for it. A body without room then counts as one
    /// whose client sends nothing: bodies that fill the room together could otherwise wait for each
    /// other forever.
    fn poll_part(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.poll_room(context).is_ready() {
            self.poll_next(context)
        } else {
            self.wait.set_waiting(true);
            Poll::Pending
        }
    }

    /// Returns what has been gathered.
    fn take_gathered(&mut self) -> Bytes {
        self.linger = None;
        self.gathered.split().freeze()
    }

    /// Waits a moment in case more of the body arrives.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        linger.as_mut().poll(context)
    }

    /// Waits until there is room for more.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some((retry, _)) = &mut self.retry {
            ready!(retry.as_mut().poll(context));
            self.retry = None;
        }
        while self.budget.is_full_for_bodies() {
            if !self.is_stalled {
                self.is_stalled = true;
                self.wait.restart_window();
            }
            let mut retry = Box::pin(sleep(RETRY_INTERVAL));
            if retry.as_mut().poll(context).is_pending() {
                self.retry = Some((retry, CountGuard::new(&self.stalled)));
                return Poll::Pending;
            }
        }
        self.is_stalled = false;
        Poll::Ready(())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.is_read && !self.body.is_end_stream() {
            self.wait.connection().leave_body_unread();
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(prefix) = self.prefix.take() {
            return Poll::Ready(Some(Ok(Frame::data(prefix))));
        }
        let data = loop {
            if self.gathered.len() >= MAX_GATHERED {
                break self.take_gathered();
            }
            match self.poll_part(context) {
                Poll::Ready(Some(Ok(part))) => {
                    // A frame without data holds trailers, which nobody reads.
                    let Ok(data) = part.into_data() else {
                        continue;
                    };
                    let is_large = data.len() >= MIN_COUNTED;
                    self.gathered.extend_from_slice(&data);
                    drop_foreign(data);
                    if is_large {
                        break self.take_gathered();
                    }
                }
                Poll::Pending if self.gathered.is_empty() => return Poll::Pending,
                // hyper yields each part by itself, even if more has arrived.
                Poll::Pending => {
                    ready!(self.poll_linger(context));
                    self.wait.set_waiting(false);
                    break self.take_gathered();
                }
                Poll::Ready(None) if !self.gathered.is_empty() => {
                    break self.take_gathered();
                }
                Poll::Ready(Some(Err(err))) => return Poll::Ready(Some(Err(err))),
                Poll::Ready(None) => return Poll::Ready(None),
            }
        };
        let hold = self.budget.hold(Kind::Bodies, data.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(counted(data, hold)))))
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_none() && self.gathered.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.prefix.as_ref().map_or(0, Bytes::len) + self.gathered.len();
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + read as u64);
        }
        hint.set_lower(hint.lower() + read as u64);
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::ready, pin::pin};

    use axum::http::HeaderValue;
    use futures_util::stream;

    use super::{
        super::{gate::Gate, work::Work, Route},
        *,
    };

    const MIB: u64 = 1 << 20;

    /// A response of unknown length with this encoding, for which the application holds 1 MiB.
    fn response_body(
        encoding: &'static str,
        gate: &Arc<Gate>,
        budget: &Arc<Budget>,
    ) -> ResponseBody {
        let peer = ([192, 0, 2, 1], 1).into();
        let connection = Connection::new(peer, budget.hold(Kind::Connections, 0));
        let connection = Arc::new(connection);
        let permit = gate.try_acquire(&Arc::new(Route::new("/", false)), &gate.peer(peer.ip()));
        let done = pin!(ready(()));
        let mut active = Work::new(done, permit.expect("it is free"), &connection).finish();
        active.set_held(MIB);
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let encoding = HeaderValue::from_static(encoding);
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding)]);
        let request = InFlight::new(&connection);
        ResponseBody::new(body, &headers, Some(active), budget, request)
    }

    #[test]
    fn memory_behind_a_response_is_counted_until_it_ends() {
        for (encoding, active) in [("br", 1), ("identity", 0)] {
            let budget = Budget::new(1 << 30);
            let gate = Gate::new(&budget, None);

            let body = response_body(encoding, &gate, &budget);

            assert_eq!(budget.held(Kind::Work), MIB, "{encoding}");
            assert_eq!(gate.active(), active, "{encoding}");
            drop(body);
            let left = (budget.held(Kind::Work), gate.active(), gate.busy());
            assert_eq!(left, (0, 0, 0), "{encoding}");
        }
    }
}
