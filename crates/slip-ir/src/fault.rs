//! What went wrong, who is to blame, and what may be done about it.
//!
//! A small enum for deciding, long text for reading. Building a fault has no side effect; it is logged once, where the request
//! ends.

use std::borrow::Cow;
use std::time::Duration;

/// Closed. Drives the HTTP status, the dialect's error body and the metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    BadRequest,
    ContextTooLong,
    UnknownModel,
    Unauthorised,
    NoFunds,
    Forbidden,
    Moderated,
    NotFound,
    NoEndpoint,
    MethodNotAllowed,
    RequestTimeout,
    TooLarge,
    UnsupportedMedia,
    Unprocessable,
    RateLimited,
    /// This process is draining or saturated.
    Busy,
    /// The upstream is overloaded.
    Overloaded,
    /// The upstream could not be reached, answered nonsense or failed.
    Upstream,
    /// The upstream refused our own credential.
    UpstreamAuth,
    /// Our account at the upstream is out of money or quota.
    UpstreamQuota,
    UpstreamTimeout,
    /// The caller went away.
    Gone,
    Internal,
}

impl Kind {
    pub const ALL: [Kind; 23] = [
        Kind::BadRequest,
        Kind::ContextTooLong,
        Kind::UnknownModel,
        Kind::Unauthorised,
        Kind::NoFunds,
        Kind::Forbidden,
        Kind::Moderated,
        Kind::NotFound,
        Kind::NoEndpoint,
        Kind::MethodNotAllowed,
        Kind::RequestTimeout,
        Kind::TooLarge,
        Kind::UnsupportedMedia,
        Kind::Unprocessable,
        Kind::RateLimited,
        Kind::Busy,
        Kind::Overloaded,
        Kind::Upstream,
        Kind::UpstreamAuth,
        Kind::UpstreamQuota,
        Kind::UpstreamTimeout,
        Kind::Gone,
        Kind::Internal,
    ];

    /// The HTTP status a caller sees. 4xx for what the caller must change, 429/503 for what will pass, 502/504 only for a real
    /// upstream failure: client libraries retry by these.
    pub const fn status(self) -> u16 {
        match self {
            Kind::BadRequest | Kind::ContextTooLong | Kind::UnknownModel => 400,
            Kind::Unauthorised => 401,
            Kind::NoFunds => 402,
            Kind::Forbidden | Kind::Moderated => 403,
            Kind::NotFound | Kind::NoEndpoint => 404,
            Kind::MethodNotAllowed => 405,
            Kind::RequestTimeout => 408,
            Kind::TooLarge => 413,
            Kind::UnsupportedMedia => 415,
            Kind::Unprocessable => 422,
            Kind::RateLimited => 429,
            Kind::Gone => 499,
            Kind::Internal => 500,
            Kind::Upstream | Kind::UpstreamAuth | Kind::UpstreamQuota => 502,
            Kind::Busy | Kind::Overloaded => 503,
            Kind::UpstreamTimeout => 504,
        }
    }

    /// OpenRouter's `error.metadata.error_type`.
    pub const fn error_type(self) -> &'static str {
        match self {
            Kind::BadRequest | Kind::UnknownModel | Kind::UnsupportedMedia | Kind::MethodNotAllowed => {
                "invalid_request"
            }
            Kind::ContextTooLong => "context_length_exceeded",
            Kind::Unauthorised => "authentication",
            Kind::NoFunds => "payment_required",
            Kind::Forbidden => "permission_denied",
            Kind::Moderated => "content_policy_violation",
            Kind::NotFound | Kind::NoEndpoint => "not_found",
            Kind::RequestTimeout | Kind::UpstreamTimeout => "timeout",
            Kind::TooLarge => "payload_too_large",
            Kind::Unprocessable => "unprocessable",
            Kind::RateLimited => "rate_limit_exceeded",
            Kind::Busy | Kind::Overloaded => "provider_overloaded",
            Kind::Upstream | Kind::UpstreamAuth | Kind::UpstreamQuota => "provider_unavailable",
            Kind::Gone => "client_closed",
            Kind::Internal => "server",
        }
    }

    /// Our own finer word, stable, for logs, metrics and `error.metadata.reason`.
    pub const fn reason(self) -> &'static str {
        match self {
            Kind::BadRequest => "bad_request",
            Kind::ContextTooLong => "context_length_exceeded",
            Kind::UnknownModel => "model_not_found",
            Kind::Unauthorised => "invalid_api_key",
            Kind::NoFunds => "budget_exceeded",
            Kind::Forbidden => "forbidden",
            Kind::Moderated => "moderated",
            Kind::NotFound => "not_found",
            Kind::NoEndpoint => "no_endpoints",
            Kind::MethodNotAllowed => "method_not_allowed",
            Kind::RequestTimeout => "request_timeout",
            Kind::TooLarge => "request_too_large",
            Kind::UnsupportedMedia => "unsupported_encoding",
            Kind::Unprocessable => "unprocessable",
            Kind::RateLimited => "rate_limited",
            Kind::Busy => "server_busy",
            Kind::Overloaded => "upstream_overloaded",
            Kind::Upstream => "upstream_failed",
            Kind::UpstreamAuth => "upstream_auth_failed",
            Kind::UpstreamQuota => "upstream_quota_exhausted",
            Kind::UpstreamTimeout => "upstream_timeout",
            Kind::Gone => "client_closed",
            Kind::Internal => "internal_error",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The caller sent something that cannot work.
    Caller,
    /// This gateway.
    House,
    /// The provider.
    Upstream,
}

/// What the plan may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Nothing will help; tell the caller.
    Stop,
    /// Another endpoint may succeed.
    Elsewhere,
    /// The same endpoint may succeed (nothing was sent, or it said "again"), after a pause; another may too.
    Again,
    /// Another *model* may succeed (context too long, moderated): only for an explicit `models` list.
    OtherModel,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub kind: Kind,
    pub origin: Origin,
    pub remedy: Remedy,
    /// Safe for the caller. Lower case unless it quotes.
    pub says: Cow<'static, str>,
    /// The upstream's own words, bounded and cleaned of control characters; becomes `error.metadata.raw`.
    pub raw: Option<String>,
    /// The upstream's own error code or type.
    pub code: Option<String>,
    /// The status the upstream answered with.
    pub status: Option<u16>,
    /// When the upstream (or we) asked to come back.
    pub retry_after: Option<Duration>,
    /// Display name of the provider, filled in by the journey.
    pub provider: Option<String>,
    /// Which member of the request is at fault (`messages[2].content`).
    pub param: Option<String>,
}

impl Fault {
    pub fn new(kind: Kind, origin: Origin, remedy: Remedy, says: impl Into<Cow<'static, str>>) -> Fault {
        Fault {
            kind,
            origin,
            remedy,
            says: says.into(),
            raw: None,
            code: None,
            status: None,
            retry_after: None,
            provider: None,
            param: None,
        }
    }

    pub fn caller(kind: Kind, says: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(kind, Origin::Caller, Remedy::Stop, says)
    }

    pub fn house(kind: Kind, says: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(kind, Origin::House, Remedy::Stop, says)
    }

    pub fn upstream(kind: Kind, remedy: Remedy, says: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(kind, Origin::Upstream, remedy, says)
    }

    pub fn at(mut self, param: impl Into<String>) -> Fault {
        self.param = Some(param.into());
        self
    }
}
