//! Mooncake's public trace of conversations: a JSON object a line, with the numbers of the blocks its prompt consists of.

use super::Call;
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    timestamp: u64,
    input_length: u32,
    output_length: u32,
    hash_ids: Vec<u32>,
}

pub fn parse(text: &str) -> Result<Vec<Call>, String> {
    let mut calls = Vec::new();
    for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", nth + 1))?;
        calls.push(Call {
            at_ms: line.timestamp,
            prompt: line.input_length.max(1),
            output: line.output_length.max(1),
            blocks: line.hash_ids.into(),
        });
    }
    calls.sort_by_key(|c| c.at_ms);
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_calls_with_their_blocks() {
        let text = r#"{"timestamp": 27, "input_length": 900, "output_length": 5, "hash_ids": [0, 14]}"#;
        let calls = parse(text).unwrap();
        assert_eq!((calls[0].at_ms, calls[0].prompt, calls[0].output), (27, 900, 5));
        assert_eq!(calls[0].conversation(), Some(14));
        assert!(parse("{}").unwrap_err().starts_with("line 1"));
    }
}
