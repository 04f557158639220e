//! Bodies whose bytes are counted for as long as the service holds them.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
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
    budget::{Budget, Hold, Kind},
    work::Begun,
};
use crate::server::{AwaitedBody, Connection, InFlight};

/// Frames of fewer bytes are not counted: the connection's buffers are.
const COUNTED: usize = 4 << 10;
/// Small parts of a body are gathered up to so many bytes: each by itself would take far more memory
/// than it has bytes.
const GATHERED: usize = 16 << 10;
/// How long a small part waits at most for more.
const LINGER: Duration = Duration::from_millis(5);
/// Bytes that compressing an answer takes until its end, by `Content-Encoding`, as Loco's middleware
/// (tower-http 0.6) does it: measured with an answer of 6 MB.
const ENCODERS: [(&str, u64); 4] = [
    ("br", 16 << 20),
    ("zstd", 4 << 20),
    ("gzip", 320 << 10),
    ("deflate", 320 << 10),
];
/// How often a body looks whether there is room for it.
const PAUSE: Duration = Duration::from_millis(20);

/// Bytes with what is counted for them.
struct Counted<H> {
    bytes: Bytes,
    _hold: H,
}

impl<H> AsRef<[u8]> for Counted<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts these bytes until the last part of them is dropped, wherever that is.
pub fn counted(bytes: Bytes, hold: impl Send + 'static) -> Bytes {
    Bytes::from_owner(Counted { bytes, _hold: hold })
}

/// A body of an answer: counted until the client has taken it.
pub struct Answer {
    body: Body,
    /// For what is still to come, as far as that is known.
    hold: Hold,
    /// What a body of unknown length is made of.
    source: Option<Source>,
    /// The answer's end is the request's.
    request: InFlight,
}

enum Source {
    /// What the application still holds of it.
    Stream { _memory: Hold },
    /// It is compressed on its way, which takes memory and the CPU: the request goes on.
    Compressed(Begun),
}

impl Answer {
    /// The body of an answer, where a request was admitted for it with what had begun, and the bytes
    /// that this still holds.
    pub fn new(
        body: Body,
        headers: &HeaderMap,
        begun: Option<(Begun, u64)>,
        budget: &Arc<Budget>,
        request: InFlight,
    ) -> Self {
        let length = body.size_hint().exact();
        let bytes = length.filter(|length| *length >= COUNTED as u64);
        let hold = budget.hold(Kind::Answers, bytes.unwrap_or(0));
        let source =
            begun
                .filter(|_| length.is_none())
                .map(|(mut begun, held)| match encoder_of(headers) {
                    0 => Source::Stream {
                        _memory: begun.permit().split(held),
                    },
                    encoder => {
                        begun.permit().holds(held + encoder);
                        begun.permit().gives_back(held + encoder);
                        request.connection().set_producing(Some(begun.watch()));
                        Source::Compressed(begun)
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

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(Source::Compressed(_)) = self.source {
            self.request.connection().set_producing(None);
        }
    }
}

/// Bytes of what compresses an answer with these headers.
fn encoder_of(headers: &HeaderMap) -> u64 {
    let encoding = headers.get(header::CONTENT_ENCODING);
    ENCODERS
        .iter()
        .find(|(name, _)| encoding.is_some_and(|encoding| encoding == name))
        .map_or(0, |(_, bytes)| *bytes)
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(Source::Compressed(begun)) = &self.source {
            begun.watch().start(context.waker());
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let (Some(Source::Compressed(begun)), true) = (&self.source, frame.is_pending()) {
            begun.watch().pause();
        }
        frame.map(|frame| frame.map(|frame| frame.map(|frame| self.count(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Answer {
    fn count(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        frame.map_data(|data| {
            if data.len() < COUNTED {
                return data;
            }
            let bytes = data.len() as u64;
            let mut hold = self.hold.split(bytes);
            hold.set(bytes);
            counted(data, hold)
        })
    }
}

/// A body of a request, on its way in.
pub struct Upload {
    body: Incoming,
    /// What was read of it ahead.
    first: Option<Bytes>,
    budget: Arc<Budget>,
    awaited: AwaitedBody,
    gathered: BytesMut,
    /// For how long small parts are still gathered.
    linger: Option<Pin<Box<Sleep>>>,
    held_up: Arc<AtomicUsize>,
    /// There is no room for more at the moment.
    is_held_up: bool,
    /// Until it looks again whether there is.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    pub fn new(
        body: Incoming,
        budget: &Arc<Budget>,
        connection: &Arc<Connection>,
        held_up: &Arc<AtomicUsize>,
    ) -> Self {
        Self {
            body,
            first: None,
            budget: Arc::clone(budget),
            awaited: AwaitedBody::new(connection),
            gathered: BytesMut::new(),
            linger: None,
            held_up: Arc::clone(held_up),
            is_held_up: false,
            pause: None,
        }
    }

    /// The same body, of which this was read already, and counted.
    pub fn beginning_with(mut self, first: Bytes) -> Self {
        self.first = Some(first);
        self
    }

    /// The next part of it, which is not counted.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.awaited.is(frame.is_pending());
        frame
    }

    /// The same, once there is room for it. From then on a body without room counts as one whose client
    /// sends nothing: otherwise those that hold the room together could wait for each other for ever.
    fn poll_part(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.poll_room(context).is_ready() {
            self.poll_next(context)
        } else {
            self.awaited.is(true);
            Poll::Pending
        }
    }

    /// What was gathered.
    fn gather(&mut self) -> Bytes {
        self.linger = None;
        self.gathered.split().freeze()
    }

    /// Waits for a moment in which more of the body may come.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        linger.as_mut().poll(context)
    }

    /// Waits while there is no room for more.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
            self.held_up.fetch_sub(1, Ordering::Relaxed);
        }
        while self.budget.is_full_for_bodies() {
            if !self.is_held_up {
                self.is_held_up = true;
                self.awaited.begin_window();
            }
            let mut pause = Box::pin(sleep(PAUSE));
            if pause.as_mut().poll(context).is_pending() {
                self.pause = Some(pause);
                self.held_up.fetch_add(1, Ordering::Relaxed);
                return Poll::Pending;
            }
        }
        self.is_held_up = false;
        Poll::Ready(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.pause.is_some() {
            self.held_up.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let data = loop {
            if self.gathered.len() >= GATHERED {
                break self.gather();
            }
            match self.poll_part(context) {
                Poll::Ready(Some(Ok(part))) => match part.into_data() {
                    Ok(data) if data.len() < COUNTED => self.gathered.extend_from_slice(&data),
                    Ok(data) if self.gathered.is_empty() => break data,
                    Ok(data) => {
                        self.gathered.extend_from_slice(&data);
                        break self.gather();
                    }
                    // Trailers, which nobody reads
                    Err(_) => {}
                },
                Poll::Pending if self.gathered.is_empty() => return Poll::Pending,
                // hyper hands over each part by itself, whatever else has come.
                Poll::Pending => {
                    ready!(self.poll_linger(context));
                    break self.gather();
                }
                Poll::Ready(None) if !self.gathered.is_empty() => {
                    break self.gather();
                }
                Poll::Ready(Some(Err(err))) => return Poll::Ready(Some(Err(err))),
                Poll::Ready(None) => return Poll::Ready(None),
            }
        };
        let hold = self.budget.hold(Kind::Bodies, data.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(counted(data, hold)))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.gathered.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.first.as_ref().map_or(0, Bytes::len) + self.gathered.len();
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

    /// What an answer of unknown length is counted for that is encoded so, and of which the
    /// application holds a mebibyte.
    fn held(encoding: &'static str) -> u64 {
        let budget = Budget::new(1 << 30);
        let peer = ([192, 0, 2, 1], 1).into();
        let connection = Connection::new(peer, budget.hold(Kind::Connections, 0));
        let connection = Arc::new(connection);
        let gate = Gate::new(&budget, None);
        let permit = gate.try_begin(&Arc::new(Route::new("/", false)));
        let done = pin!(ready(()));
        let mut work = Work::new(done, permit.expect("it is free"), &connection);
        work.holds(MIB);
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let encoding = HeaderValue::from_static(encoding);
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding)]);

        let request = InFlight::new(&connection);
        let answer = Answer::new(body, &headers, Some(work.end()), &budget, request);

        let held = budget.held(Kind::Work);
        assert_eq!(gate.begun(), usize::from(held > MIB));
        drop(answer);
        assert_eq!(
            (budget.held(Kind::Work), gate.begun(), gate.busy()),
            (0, 0, 0)
        );
        held
    }

    #[test]
    fn what_an_answer_is_made_of_is_counted_until_its_end() {
        assert_eq!(held("br"), 17 * MIB);
        assert_eq!(held("identity"), MIB);
    }
}
