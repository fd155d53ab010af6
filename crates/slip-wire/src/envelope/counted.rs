//! Bedrock counts what InvokeModel took in the head of a whole answer, and in the last message of a stream. Here the one is put
//! where the other stands, so that readers need to look in one place.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

/// The member that the last message of a stream has.
pub const METRICS: &str = "amazon-bedrock-invocationMetrics";

/// Of the head, and as a stream calls them.
const COUNTS: [(&str, &str); 5] = [
    ("x-amzn-bedrock-input-token-count", "inputTokenCount"),
    ("x-amzn-bedrock-output-token-count", "outputTokenCount"),
    ("x-amzn-bedrock-cache-read-input-token-count", "cacheReadInputTokenCount"),
    ("x-amzn-bedrock-cache-write-input-token-count", "cacheWriteInputTokenCount"),
    ("x-amzn-bedrock-invocation-latency", "invocationLatency"),
];

/// An answer with the counts of its head inside. The rest of it stays byte for byte.
pub fn counted(headers: &HeaderMap, body: Bytes) -> Bytes {
    let mut counts = Map::new();
    for (header, name) in COUNTS {
        let value = headers.get(header).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
        counts.extend(value.map(|n| (name.to_owned(), Value::from(n))));
    }
    let trimmed = body.trim_ascii();
    let (Some(b'{'), Some(inner)) = (trimmed.first(), trimmed.strip_suffix(b"}")) else { return body };
    if counts.is_empty() || crate::json::field(&body, METRICS).is_some() {
        return body;
    }
    let comma: &[u8] = if inner.len() > 1 { b"," } else { b"" };
    let counts = Value::Object(counts).to_string();
    [inner, comma, b"\"", METRICS.as_bytes(), b"\":", counts.as_bytes(), b"}"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_the_head_stand_where_a_stream_has_them() {
        let mut headers = HeaderMap::new();
        let plain = Bytes::from_static(br#"{"a":1.50}"#);
        assert_eq!(counted(&headers, plain.clone()), plain);
        headers.insert("x-amzn-bedrock-input-token-count", http::HeaderValue::from_static("3"));
        headers.insert("x-amzn-bedrock-invocation-latency", http::HeaderValue::from_static("fast"));
        let rows = [
            (r#"{"a":1.50}"#, r#"{"a":1.50,"amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}"#),
            (" {} ", r#"{"amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}"#),
            ("[1]", "[1]"),
            ("", ""),
        ];
        for (body, want) in rows {
            assert_eq!(counted(&headers, Bytes::from_static(body.as_bytes())), want.as_bytes(), "{body}");
        }
    }
}
