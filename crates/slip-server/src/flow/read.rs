//! Verb 2, read: the body, bounded in bytes and time, and the little of it that must be known.

use super::admit::Caller;
use super::afford;
use super::carry::{self, Carried, Engine};
use super::heads::Heads;
use super::invoked;
use super::screen::Screen;
use super::upload::Upload;
use super::{bounds, screen};
use crate::world::World;
use crate::{App, clock};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use slip_ir::{Dialect, Fault, FaultKind, Loss, Op};
use slip_wire::envelope::asked::Asked;
use slip_wire::ops::{self, Inquiry, Shape};
use slip_wire::peek::Named;
use slip_wire::{Malformed, Peek, squeeze, wire};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{timeout, timeout_at};

/// A body must be complete in this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// What is read and thrown away of a body that is too large, so that a client which writes before it reads still sees our answer.
const LINGER_BYTES: u64 = 96 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(10);
/// Buffer reserved at once for a declared length; larger bodies grow as they arrive, so that a declared length costs nothing.
const RESERVE: usize = 1024 * 1024;
/// Bytes that are looked through for a guardrail without going elsewhere for it.
const AT_ONCE: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A request that was read but not yet understood. Kept in one place from the beginning, for it is large and passed on by every verb.
pub struct Inbound {
    pub dialect: Dialect,
    pub raw: Bytes,
    pub peek: Peek,
    /// Selected headers that matter later.
    pub heads: Heads,
    /// How files are to be read.
    pub engine: Engine,
    /// Files that were read and pictures that were fetched, for endpoints that cannot.
    pub carried: Option<Arc<Carried>>,
    ir: Option<(slip_ir::Request, Vec<Loss>)>,
    /// Set when it is not a chat.
    pub inquiry: Option<Inquiry>,
    /// Whose words the caller uses inside of InvokeModel.
    pub invoked: Option<Asked>,
    /// What guardrails wanted noted.
    pub noted: Vec<String>,
}

impl Inbound {
    /// It asks for what is missing between a prompt and a suffix.
    pub fn infills(&self) -> bool {
        let suffix = self.peek.member("suffix").and_then(|member| self.raw.get(member.value.clone()));
        suffix.is_some_and(|value| !matches!(value, b"null" | b"\"\""))
    }

    /// Ask for an answer of no more than so many tokens, whatever the caller says.
    pub fn limit(&mut self, tokens: u64) -> Result<(), Fault> {
        let raw = afford::limited(self, tokens);
        let in_path = matches!(self.dialect, Dialect::Gemini | Dialect::Bedrock);
        let model = self.peek.model.clone().filter(|_| in_path);
        let named = model.map(|model| Named { model, stream: self.peek.stream });
        let mut again = chat(self.dialect, raw, self.heads.clone(), named.as_ref())?;
        (again.carried, again.invoked) = (self.carried.take(), self.invoked.take());
        std::mem::swap(self, &mut again);
        Ok(())
    }

    /// It was understood, and there is no conversation in it.
    pub fn says_nothing(&self) -> bool {
        self.ir.as_ref().is_some_and(|(request, _)| request.turns.is_empty())
    }

    /// The request's meaning, decoded once however many attempts need it.
    pub fn ir(&mut self) -> Result<&mut (slip_ir::Request, Vec<Loss>), Fault> {
        if self.ir.is_none() {
            let decoded = wire(self.dialect).decode_request(&self.raw).map_err(bad_request)?;
            self.ir = Some(decoded);
        }
        self.ir.as_mut().ok_or_else(|| Fault::house(FaultKind::Internal, "internal error"))
    }
}

pub fn bad_request(malformed: Malformed) -> Fault {
    let says = malformed.to_string();
    let fault = Fault::caller(FaultKind::BadRequest, says);
    if malformed.at.is_empty() { fault } else { fault.at(malformed.at) }
}

/// What is called: a chat, or a service beside it.
pub struct Call {
    pub dialect: Dialect,
    pub service: Option<(Op, Shape)>,
    /// What is kept in the path.
    pub named: Option<Named>,
    /// Only the body tells whose words it is in.
    pub invoked: bool,
}

impl Call {
    /// Nothing is generated: the tokens of a conversation are counted.
    pub fn counts(&self) -> bool {
        self.service.is_some_and(|(op, _)| op == Op::CountTokens)
    }
}

pub async fn read(
    app: &App,
    world: &World,
    caller: &Caller,
    call: Call,
    request: Request<Upload>,
) -> Result<Box<Inbound>, Fault> {
    let Call { mut dialect, service, named, invoked } = call;
    let (parts, body) = request.into_parts();
    identity_only(&parts.headers)?;
    let mut heads = Heads::of(&parts.headers)?;
    let media_type = parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let limit = service.and_then(|(op, _)| ops::most_bytes(op, media_type)).map_or(world.limits.body, |most| {
        // Where this gateway takes less than the service does, the smaller of the two is told.
        most.min(world.limits.body)
    });
    let mut raw = bytes(&parts.headers, body, limit).await.map_err(|fault| match fault.kind {
        FaultKind::TooLarge if limit < world.limits.body => {
            let says = "the file is larger than 25 MB, the most that is heard at once: send it in parts";
            Fault::caller(FaultKind::TooLarge, says).at("file")
        }
        _ => fault,
    })?;
    raw = text(raw)?;
    let noted = match caller.key() {
        Some(key) => screened(&bounds::of(app, key).screens, media_type, &mut raw).await?,
        None => Vec::new(),
    };
    if let Some((op, shape)) = service {
        let body = ops::Body { media_type, bytes: &raw };
        let (peek, inquiry) = ops::read(op, shape, body, named.as_ref()).map_err(bad_request)?;
        let engine = Engine::default();
        let inquiry = Some(inquiry);
        return Ok(Box::new(Inbound {
            dialect,
            raw,
            peek,
            heads,
            engine,
            carried: None,
            ir: None,
            inquiry,
            invoked: None,
            noted,
        }));
    }
    let invoked = if invoked {
        let understood = invoked::read(&raw, named.as_ref())?;
        dialect = understood.asked.dialect();
        raw = understood.body.into();
        heads.beta = understood.beta.and_then(|beta| HeaderValue::try_from(beta).ok()).or(heads.beta);
        Some(understood.asked)
    } else {
        None
    };
    let mut inbound = chat(dialect, raw, heads, named.as_ref())?;
    (inbound.invoked, inbound.noted) = (invoked, noted);
    Ok(inbound)
}

/// What guardrails wanted noted; what they wanted taken out is.
async fn screened(screens: &[Arc<Screen>], media_type: &str, raw: &mut Bytes) -> Result<Vec<String>, Fault> {
    if screens.is_empty() || raw.len() < AT_ONCE {
        return screen::screen(screens, media_type, raw);
    }
    // Others wait for this worker meanwhile.
    let (screens, media_type, mut body) = (screens.to_vec(), media_type.to_owned(), raw.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let noted = screen::screen(&screens, &media_type, &mut body)?;
        Ok::<_, Fault>((noted, body))
    });
    let (noted, body) = looked.await.map_err(|_| Fault::house(FaultKind::Internal, "internal error"))??;
    *raw = body;
    Ok(noted)
}

/// The body as it was meant: not empty, and without what some editors and shells put in front of JSON.
pub fn text(mut raw: Bytes) -> Result<Bytes, Fault> {
    if raw.starts_with(BYTE_ORDER_MARK) {
        raw = raw.slice(BYTE_ORDER_MARK.len()..);
    }
    if raw.trim_ascii().is_empty() {
        return Err(Fault::caller(FaultKind::BadRequest, "the request body is empty: send a JSON object"));
    }
    Ok(raw)
}

/// A chat whose body has been read.
pub fn chat(dialect: Dialect, raw: Bytes, heads: Heads, named: Option<&Named>) -> Result<Box<Inbound>, Fault> {
    let (peek, ir) = Peek::of(dialect, &raw, named).map_err(bad_request)?;
    let mut inbound = Box::new(Inbound {
        dialect,
        raw,
        peek,
        heads,
        engine: Engine::default(),
        carried: None,
        ir,
        inquiry: None,
        invoked: None,
        noted: Vec::new(),
    });
    if inbound.peek.session_id.is_none() {
        inbound.peek.session_id.clone_from(&inbound.heads.session);
    }
    carry::mark(&mut inbound);
    inbound.peek.want.compress = squeeze::wanted(&inbound.peek, &inbound.raw);
    Ok(inbound)
}

fn identity_only(headers: &HeaderMap) -> Result<(), Fault> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding.as_bytes() != b"identity" => Err(Fault::caller(
            FaultKind::UnsupportedMedia,
            "compressed request bodies are not accepted: send it without Content-Encoding",
        )),
        _ => Ok(()),
    }
}

/// The body, if it is no larger than `limit` and comes in time.
pub async fn bytes<B>(headers: &HeaderMap, mut body: B, limit: u64) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
{
    let declared = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|n| n > limit) {
        throw_away(body, declared.unwrap_or(0)).await;
        return Err(too_large(limit));
    }
    let deadline = clock::now() + BODY_TIMEOUT;
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    loop {
        let frame = match timeout_at(deadline.into(), body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                return Err(Fault::caller(FaultKind::BadRequest, "the request body ended before it was complete"));
            }
            Ok(None) => break,
            Err(_) => {
                return Err(Fault::caller(
                    FaultKind::RequestTimeout,
                    format!("the request body did not arrive within {} s", BODY_TIMEOUT.as_secs()),
                ));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        let have = first.as_ref().map_or(0, Bytes::len) + all.len();
        if (have + data.len()) as u64 > limit {
            throw_away(body, LINGER_BYTES).await;
            return Err(too_large(limit));
        }
        // A small body arrives in one piece and is never copied.
        if have == 0 {
            first = Some(data);
            continue;
        }
        if let Some(head) = first.take() {
            let expected =
                declared.map_or(0, |n| n as usize).clamp(head.len() + data.len(), RESERVE.max(head.len() + data.len()));
            all.reserve(expected);
            all.extend_from_slice(&head);
        }
        all.extend_from_slice(&data);
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

/// Read and forget the body of a request that is refused unread, if it is one this gateway would have read.
pub async fn linger(request: Request<Incoming>, limit: u64) {
    let (parts, body) = request.into_parts();
    let declared = parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|n| 0 < n && n <= limit) {
        throw_away(body, declared.unwrap_or(0)).await;
    }
}

async fn throw_away(mut body: impl Body<Data = Bytes> + Unpin, declared: u64) {
    if declared > LINGER_BYTES {
        return;
    }
    let mut left = LINGER_BYTES;
    let _ = timeout(LINGER, async {
        while let Some(Ok(frame)) = body.frame().await {
            let n = frame.data_ref().map_or(0, |d| d.len() as u64);
            left = left.saturating_sub(n);
            if left == 0 {
                break;
            }
        }
    })
    .await;
}

fn too_large(limit: u64) -> Fault {
    Fault::caller(
        FaultKind::TooLarge,
        format!("the request body is larger than this gateway accepts: {} MiB (limits.body)", limit / (1024 * 1024)),
    )
}
