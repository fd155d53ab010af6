//! A provider's own list of models, asked for with the operator's key.

use crate::upstream::{self, Deadlines};
use crate::world::Seat;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use slip_ir::{Fault, FaultKind, Remedy};
use std::time::Duration;

/// A list larger than this is not a list of models.
pub const MAX_LIST: usize = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// The list as the provider writes it, or its refusal.
pub async fn listing(seat: &Seat) -> Result<Bytes, Fault> {
    let no = |says: &'static str| Fault::house(FaultKind::NotFound, says);
    let path = seat.provider.models_path.as_deref();
    let path = path.ok_or_else(|| no("this provider has no list of models that could be asked for"))?;
    if seat.keeper.is_some() {
        return Err(no("this provider is asked for its models with a plain key only"));
    }
    let deadlines = Deadlines { connect: PATIENCE, headers: PATIENCE, alone: true };
    let response = upstream::get(&seat.target, path, deadlines).await.map_err(|failed| failed.fault)?;
    let (parts, body) = response.into_parts();
    let body = tokio::time::timeout(PATIENCE, Limited::new(body, MAX_LIST).collect()).await;
    let cut = || Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, "the list did not come to its end");
    let body = body.ok().and_then(Result::ok).ok_or_else(cut)?.to_bytes();
    if parts.status.is_success() {
        return Ok(body);
    }
    let status = parts.status.as_u16();
    let fault = slip_wire::wire(seat.provider.dialect).decode_error(status, &parts.headers, &body);
    Err(Fault { status: Some(status), ..fault })
}
