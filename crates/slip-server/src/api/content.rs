//! `GET /generation/content?id=`: what was asked and answered, where the key has it kept (`store_content_days`).

use super::generation::found;
use super::{Query, iso, ok, unavailable};
use crate::App;
use crate::body::Body;
use crate::contents;
use crate::flow::admit::Caller;
use http::{HeaderValue, Response, header};
use serde_json::json;
use slip_ir::{Fault, FaultKind};

pub async fn content(app: &App, caller: &Caller, query: &Query) -> Result<Response<Body>, Fault> {
    let row = found(app, caller, query).await?;
    app.contents.flush().await;
    let body = app.store.content(&row.id, super::now()).await.map_err(|e| unavailable(&e))?;
    let kept = body.as_deref().and_then(contents::read).ok_or_else(|| {
        let says = "the content of this generation is not kept (any more): a key keeps what it asks and is answered when its \
                    `store_content_days` says for how long";
        Fault::caller(FaultKind::NotFound, says)
    })?;
    let told = json!({ "data": {
        "input": kept.input(),
        "output": { "completion": kept.completion, "reasoning": kept.reasoning },
        "error": kept.error,
        "slipswitch": {
            "created_at": iso(row.created_ms),
            "dialect": kept.dialect,
            "operation": kept.operation,
            "request": kept.request,
            "request_text": kept.request_text,
            "request_bytes": kept.request_bytes,
            "request_cut": kept.request_cut,
            "reply": kept.reply,
            "reply_text": kept.reply_text,
            "reply_cut": kept.reply_cut,
            "tool_calls": kept.tool_calls,
        },
    } });
    let mut response = ok(&told);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
