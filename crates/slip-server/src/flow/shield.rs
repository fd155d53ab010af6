//! What keeps one request's misfortune from being everybody's: a panic ends that request alone, and the end of a drain ends
//! whatever still waits.

use super::hold;
use crate::App;
use slip_ir::{Fault, FaultKind};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Constant: what went wrong is for the log, not for the caller.
pub fn internal() -> Fault {
    Fault::house(FaultKind::Internal, "internal error")
}

/// Run the future of one request. What it held is dropped on the way out of a panic, and that settles its record.
pub async fn shield<T>(app: &Arc<App>, request: impl Future<Output = T>) -> Result<T, Fault> {
    let mut request = pin!(request);
    poll_fn(|cx| match unharmed(|| request.as_mut().poll(cx)) {
        None => Poll::Ready(Err(internal())),
        Some(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Some(Poll::Pending) if app.cut.load(Ordering::Relaxed) => Poll::Ready(Err(hold::cut())),
        Some(Poll::Pending) => Poll::Pending,
    })
    .await
}

/// `None` if it panicked. The panic's own words went to stderr; whatever it broke must not be used again.
pub fn unharmed<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).inspect_err(|_| tracing::error!("a request panicked and was ended")).ok()
}
