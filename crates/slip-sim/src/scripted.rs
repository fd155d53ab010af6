//! An upstream that gives exactly the responses it was handed, one per request, in order.

use crate::http::{Answer, Framing, Incoming, Outgoing, Server, Step, listen};
use crate::journal::Journal;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Responses waiting; a test that queues more has lost count.
const MAX_QUEUE: usize = 100_000;

/// One response.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Before the status line.
    pub before: Duration,
    pub pieces: Vec<Piece>,
    /// `None`: the length of all pieces if there is at most one, else chunked (each piece a chunk).
    pub framing: Option<Framing>,
    pub end: End,
}

/// Body bytes, written at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// After the piece before it.
    pub after: Duration,
    pub bytes: Bytes,
}

/// What comes after the last piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The proper end of the body.
    Clean,
    /// The connection closes in the middle.
    Cut,
    /// The connection is reset.
    Reset,
    /// Silence until the client leaves.
    Hang,
}

impl Script {
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Script {
        Script {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            before: Duration::ZERO,
            pieces: vec![Piece { after: Duration::ZERO, bytes: body.into() }],
            framing: None,
            end: End::Clean,
        }
    }

    pub fn json(status: u16, body: &Value) -> Script {
        Script::new(status, "application/json", body.to_string())
    }

    /// A stream of exactly these pieces, each a chunk of its own.
    pub fn stream<B: Into<Bytes>>(pieces: impl IntoIterator<Item = B>) -> Script {
        let piece = |bytes: B| Piece { after: Duration::ZERO, bytes: bytes.into() };
        let pieces = pieces.into_iter().map(piece).collect();
        Script { pieces, framing: Some(Framing::Chunked), ..Script::new(200, "text/event-stream", "") }
    }

    /// A stream of OpenAI-shaped events: each value as `data: …`, and `[DONE]` at the end.
    pub fn events(events: &[Value]) -> Script {
        let data = events.iter().map(|e| format!("data: {e}\n\n"));
        Script::stream(data.chain(["data: [DONE]\n\n".to_owned()]))
    }

    pub fn header(mut self, name: &str, value: &str) -> Script {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Wait before the status line.
    pub fn slow(mut self, before: Duration) -> Script {
        self.before = before;
        self
    }

    /// Wait before each piece.
    pub fn paced(mut self, after: Duration) -> Script {
        self.pieces.iter_mut().for_each(|p| p.after = after);
        self
    }

    pub fn ending(mut self, end: End) -> Script {
        self.end = end;
        self
    }

    pub fn framed(mut self, framing: Framing) -> Script {
        self.framing = Some(framing);
        self
    }

    fn outgoing(&self) -> Outgoing {
        let length: usize = self.pieces.iter().map(|p| p.bytes.len()).sum();
        let by_length = self.pieces.len() <= 1;
        let framing = self.framing.unwrap_or(if by_length { Framing::Length(length as u64) } else { Framing::Chunked });
        let mut reply = Outgoing::plain(self.status, "", "");
        reply.headers.clone_from(&self.headers);
        reply.framing = framing;
        reply.coalesce = false;
        reply.steps = vec![Step::Wait(self.before), Step::Head];
        for piece in &self.pieces {
            reply.steps.push(Step::Wait(piece.after));
            reply.steps.push(Step::Send { bytes: piece.bytes.clone(), tokens: 0 });
        }
        reply.steps.push(match self.end {
            End::Clean => Step::End,
            End::Cut => Step::Cut,
            End::Reset => Step::Reset,
            End::Hang => Step::Hang,
        });
        reply
    }
}

/// Running. Dropping it stops it.
pub struct Scripted {
    server: Server,
    queue: Arc<Queue>,
    journal: Journal,
}

#[derive(Default)]
struct Queue {
    scripts: Mutex<Scripts>,
}

#[derive(Default)]
struct Scripts {
    queue: VecDeque<Script>,
    /// Given when the queue is empty.
    always: Option<Script>,
}

impl Scripted {
    pub async fn start() -> anyhow::Result<Scripted> {
        let (queue, journal) = (Arc::new(Queue::default()), Journal::new());
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = listen(anywhere, queue.clone(), journal.clone()).await?;
        Ok(Scripted { server, queue, journal })
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Without a path: the path is not looked at.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// One more response.
    pub fn push(&self, script: Script) {
        let mut scripts = self.queue.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(scripts.queue.len() < MAX_QUEUE, "the queue of scripts is full: {MAX_QUEUE}");
        scripts.queue.push_back(script);
    }

    /// The response to give whenever the queue is empty.
    pub fn always(&self, script: Script) {
        self.queue.scripts.lock().unwrap_or_else(PoisonError::into_inner).always = Some(script);
    }

    /// Responses not given yet.
    pub fn left(&self) -> usize {
        self.queue.scripts.lock().unwrap_or_else(PoisonError::into_inner).queue.len()
    }

    pub fn stop(&self) {
        self.server.stop();
    }
}

impl Answer for Queue {
    fn answer(&self, request: &Incoming) -> Outgoing {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let next = scripts.queue.pop_front().or_else(|| scripts.always.clone());
        match next {
            Some(script) => script.outgoing(),
            None => {
                let message = format!("nothing is scripted for this request: {} {}", request.method, request.target);
                Outgoing::json(599, &json!({"error": {"message": message, "type": "unscripted", "code": 599}}))
            }
        }
    }
}
