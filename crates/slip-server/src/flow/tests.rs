//! What happens to everybody else when one request breaks.

use super::shield::shield;
use super::waiting::Waiting;
use super::{Attempts, Trip, settle::InFlight};
use crate::body::Body;
use crate::testing::app;
use http_body_util::BodyExt;
use slip_ir::{Dialect, FaultKind};
use slip_quota::Class;
use slip_quota::line::Terms;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Of the futures of one request, in bytes: a plain one, a streamed one, the whole journey.
const ROOMS: [usize; 3] = [5 * 1024, 5 * 1024, 9 * 1024];

#[tokio::test]
async fn a_panic_is_a_500_of_constant_text_and_gives_its_place_back() {
    let app = app();
    app.door.set(1, Terms::default());
    let place = InFlight::enter(&app, Class::Interactive).expect("the only place");
    assert!(InFlight::enter(&app, Class::Interactive).is_none());
    let broken = shield::<()>(&app, async {
        let _place = place;
        tokio::task::yield_now().await;
        panic!("with a secret in it");
    });
    let fault = broken.await.expect_err("a fault");
    assert_eq!((fault.kind, &*fault.says), (FaultKind::Internal, "internal error"));
    assert_eq!(app.in_flight.load(Ordering::SeqCst), 0);
    assert_eq!(shield(&app, async { 7 }).await, Ok(7), "the next one is served");
}

#[tokio::test]
async fn a_panic_behind_a_committed_head_becomes_an_error_inside_the_stream() {
    let rows = [
        (Dialect::OpenAiChat, "data: [DONE]\n\n"),
        (Dialect::Anthropic, "event: error"),
        (Dialect::Gemini, "data: "),
        (Dialect::Responses, "\"type\":\"response.failed\""),
    ];
    for (dialect, end) in rows {
        let attempts: Attempts = Box::pin(async { panic!("with a secret in it") });
        let waiting = Waiting::new(app(), attempts, dialect, "gen-1-x".into(), Duration::from_secs(1));
        let said = Body::Waiting(Box::new(waiting)).collect().await.expect("an ending").to_bytes();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("internal error") && said.contains(end) && !said.contains("secret"), "{said}");
    }
}

#[tokio::test]
async fn the_end_of_a_drain_ends_whoever_still_waits() {
    let app = app();
    app.cut.store(true, Ordering::SeqCst);
    let fault = shield::<()>(&app, std::future::pending()).await.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::Busy);
    let waiting = Waiting::new(
        app,
        Box::pin(std::future::pending()),
        Dialect::OpenAiChat,
        "gen-1-x".into(),
        Duration::from_secs(9),
    );
    let said = Body::Waiting(Box::new(waiting)).collect().await.expect("an ending").to_bytes();
    assert!(String::from_utf8_lossy(&said).contains("shutting down"));
}

/// Room that the future of a function takes.
trait Room<Args> {
    fn room(&self) -> usize;
}

macro_rules! room {
    ($($arg:ident)*) => {
        impl<Call: Fn($($arg),*) -> Made, Made: Future, $($arg),*> Room<($($arg,)*)> for Call {
            fn room(&self) -> usize {
                size_of::<Made>()
            }
        }
    };
}

room!(A);
room!(A B C D E);

#[test]
fn what_is_rare_takes_no_room_in_what_every_request_carries() {
    let rooms = [Trip::whole.room(), Trip::streamed.room(), super::journey.room()];
    for (room, most) in rooms.into_iter().zip(ROOMS) {
        assert!(room <= most, "{room} bytes");
    }
}
