//! Refusals: which status a provider's becomes, and what the client is told of it.

use super::read::error_text;
use super::said::text;
use super::{Differences, Surface};
use crate::harness::Got;
use serde_json::Value;

/// What an answer of `status` becomes; 0 for an error inside a successful answer, which says its own.
pub fn becomes(status: u16, body: &str) -> &'static [u16] {
    let says = |words: &[&str]| words.iter().any(|w| body.to_ascii_lowercase().contains(w));
    match status {
        400 if says(&["api_key_invalid", "api key not valid"]) => &[502],
        400 => &[400],
        401 | 402 => &[502],
        403 if says(&["moderation", "policy", "region"]) => &[403],
        403 => &[502],
        404 => &[404],
        408 => &[504],
        413 => &[413],
        424 => &[502],
        422 => &[422],
        429 if says(&["insufficient_quota"]) => &[502],
        429 => &[429],
        503 | 529 => &[503],
        504 | 524 => &[502, 504],
        500..=599 => &[502],
        _ => &[400, 429, 502, 503],
    }
}

pub fn refused(status: u16, body: &[u8], surface: Surface, got: &Got, out: &mut Differences) {
    let told = String::from_utf8_lossy(body);
    let want = becomes(status, &told);
    if !want.contains(&got.status) {
        return out.say(
            "error.status",
            format!("{status} became {} where {want:?} was right: {:.300}", got.status, got.text()),
        );
    }
    if got.header("content-type") != "application/json" {
        return out.say("error.content-type", got.header("content-type"));
    }
    let said = serde_json::from_slice::<Value>(body).unwrap_or_default();
    // Gemini without `alt=sse` answers in an array.
    let said = if said.is_array() { said[0].clone() } else { said };
    let words = error_text(if said["error"].is_null() { &said } else { &said["error"] });
    let heard = got.json();
    let error = &heard["error"];
    match surface {
        Surface::Chat => {
            let whole = error["code"] == got.status && text(&error["message"]).is_some();
            let metadata = &error["metadata"];
            if !whole || text(&metadata["provider_name"]).is_none() || text(&metadata["error_type"]).is_none() {
                out.say("error.form", heard.to_string());
            }
            let coded = [&said["error"]["code"], &said["error"]["type"], &said["error"]["status"], &said["code"]];
            if coded.iter().any(|c| text(c).is_some()) && text(&metadata["provider_code"]).is_none() {
                out.say("error.provider_code", heard.to_string());
            }
            let raw = plain(&metadata["raw"].as_str().unwrap_or_default().replace("\\n", " "));
            if !raw.contains(&plain(&words)) && !masked(&raw) {
                out.say("error.raw", format!("{words:?} is not in {raw:?}"));
            }
            if !heard["user_id"].is_null() && !heard["user_id"].is_string() {
                out.say("error.form", heard.to_string());
            }
        }
        Surface::Responses => {
            let coded = !error["code"].is_null() && text(&error["message"]).is_some();
            if !coded || text(&error["metadata"]["provider_name"]).is_none() {
                out.say("error.form", heard.to_string());
            }
        }
        Surface::Messages => {
            let whole = heard["type"] == "error" && text(&error["type"]).is_some() && text(&error["message"]).is_some();
            if !whole {
                out.say("error.form", heard.to_string());
            }
        }
        Surface::Native(native) => native.refused(got, out),
        Surface::Invoked(_) => unreachable!("no client speaks it"),
        Surface::Bedrock => {
            if text(&heard["message"]).is_none() || !got.header("x-amzn-errortype").ends_with("Exception") {
                out.say("error.form", format!("{heard} {:?}", got.headers));
            }
        }
        Surface::Gemini => {
            let whole =
                error["code"] == got.status && text(&error["status"]).is_some() && text(&error["message"]).is_some();
            if !whole {
                out.say("error.form", heard.to_string());
            }
        }
    }
    if status == 429 && told.contains("retryDelay") && got.header("retry-after").is_empty() {
        out.say("error.retry-after", "missing");
    }
}

/// Quotes and escapes differ between a text and its quotation.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// What looked like a credential was struck out, so that the words are not all there.
fn masked(raw: &str) -> bool {
    raw.contains("sk")
}
