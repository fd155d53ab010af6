//! How urgent a request is: its class, by which it waits where others wait too.
//!
//! | Who says | Where | Known |
//! |---|---|---|
//! | whoever made the key | `priority` of the key; nothing is `interactive` | at the door |
//! | the request | header `X-Slipswitch-Priority` | at the door |
//! | the request | `provider.priority` | once its body was read |
//! | the request | `service_tier: "flex"`, where it says neither: `batch` | once its body was read |
//!
//! Of the key and the request the less urgent counts, and of a request that says two things: a caller may wait longer than its key
//! has to, and never less long.

use super::admit::Caller;
use http::HeaderMap;
use slip_ir::{Fault, FaultKind, Tier};
use slip_quota::Class;

pub const HEADER: &str = "x-slipswitch-priority";

/// Before anything but the head is known. What is misspelt is told once the request is read.
pub fn at_the_door(caller: &Caller, headers: &HeaderMap) -> Class {
    let said = headers.get(HEADER).and_then(|value| value.to_str().ok());
    of(caller, said.and_then(|word| Class::parse(word.trim())), None, None)
}

/// What the header says, if it is there.
pub fn header(headers: &HeaderMap) -> Result<Option<Class>, Fault> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    said(value.to_str().unwrap_or_default().trim()).map(Some)
}

fn said(word: &str) -> Result<Class, Fault> {
    Class::parse(word).ok_or_else(|| {
        let all = Class::ALL.map(Class::name).join(", ");
        let says = format!("{HEADER}: expected one of {all}, got {}", crate::api::shown(word));
        Fault::caller(FaultKind::BadRequest, says).at(HEADER)
    })
}

/// See the head of this file.
pub fn of(caller: &Caller, header: Option<Class>, body: Option<Class>, tier: Option<Tier>) -> Class {
    let key = caller.key().and_then(|key| key.detail.priority.as_deref());
    least(key, header, body, tier)
}

/// A word of a later release is none.
fn least(key: Option<&str>, header: Option<Class>, body: Option<Class>, tier: Option<Tier>) -> Class {
    let flex = (tier == Some(Tier::Flex)).then_some(Class::Batch);
    // Later is less urgent.
    let key = key.and_then(Class::parse).unwrap_or_default();
    key.max(header.max(body).or(flex).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn nobody_is_more_urgent_than_its_key() {
        use Class::*;
        let (flex, hurry) = (Some(Tier::Flex), Some(Tier::Priority));
        let rows = [
            (None, None, None, None, Interactive),
            (None, Some(Batch), None, None, Batch),
            (None, None, Some(Background), None, Background),
            (None, Some(Batch), Some(Interactive), None, Batch),
            (None, None, None, flex, Batch),
            (None, None, Some(Interactive), flex, Interactive),
            (None, None, None, hurry, Interactive),
            (Some("batch"), None, None, None, Batch),
            (Some("batch"), Some(Interactive), Some(Interactive), hurry, Batch),
            (Some("batch"), Some(Background), None, None, Background),
            (Some("background"), None, None, flex, Background),
            (Some("of a later release"), None, None, None, Interactive),
        ];
        for (key, header, body, tier, want) in rows {
            assert_eq!(least(key, header, body, tier), want, "{key:?} {header:?} {body:?} {tier:?}");
        }
        assert_eq!(of(&Caller::Anyone, None, None, None), Interactive);
    }

    #[test]
    fn a_header_is_understood_or_told_what_it_may_be() {
        assert_eq!(said("batch").ok(), Some(Class::Batch));
        let fault = said("urgent").expect_err("no such class");
        assert_eq!((fault.kind.status(), fault.param.as_deref()), (400, Some(HEADER)));
        assert!(fault.says.contains("interactive, batch, background"), "{}", fault.says);
    }
}
