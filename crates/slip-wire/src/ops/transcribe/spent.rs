//! What hearing costs: tokens, seconds, or a guess from the file.

use super::Task;
use crate::Stamp;
use crate::ops::speech::format::wav_ms;
use crate::ops::told::{self, count, thousandths};
use crate::{json, openai_chat};
use serde_json::value::RawValue;
use slip_ir::Usage;

/// A file of unknown making is taken for sound of 128 kbit/s.
const BYTES_PER_SECOND: u64 = 16_000;

/// `{"type": "tokens", …}`, `{"type": "duration", "seconds": …}`, and the names of Mistral and OpenRouter.
pub(in crate::ops) fn usage(span: &[u8], stamp: &Stamp) -> Option<Usage> {
    let chat = openai_chat::usage::parse_usage(span);
    let seconds = ["seconds", "prompt_audio_seconds"].into_iter().find_map(|name| thousandths(span, name));
    let upstream_cost = cost(span);
    let tokens = match (count(span, "input_tokens"), count(span, "output_tokens")) {
        (Some(input), Some(output)) => {
            let details =
                ["input_token_details", "input_tokens_details"].into_iter().find_map(|n| json::field(span, n));
            let audio_in = details.and_then(|details| count(details, "audio_tokens")).unwrap_or(0).min(input);
            Some(Usage { input: input - audio_in, audio_in, output, ..Usage::default() })
        }
        _ => chat,
    };
    let timed = stamp.price.as_ref().is_some_and(|price| price.second.0 > 0);
    let usage = match (tokens.filter(|usage| usage.total() > 0), seconds) {
        (Some(tokens), None) => tokens,
        (Some(tokens), Some(_)) if !timed => tokens,
        (Some(tokens), Some(audio_ms)) => Usage { audio_ms, ..tokens },
        (None, Some(audio_ms)) => Usage { audio_ms, ..Usage::default() },
        (None, None) => return None,
    };
    Some(Usage { upstream_cost: upstream_cost.or(usage.upstream_cost), ..usage })
}

/// What another router says it charged, whatever it counted.
fn cost(span: &[u8]) -> Option<slip_ir::Nano> {
    let cost = json::field(span, "cost")?;
    let told = [b"{\"prompt_tokens\":1,\"completion_tokens\":0,\"cost\":", cost, b"}"].concat();
    openai_chat::usage::parse_usage(&told)?.upstream_cost
}

/// From where the last words end, from the head of a WAV, or from the size of the file.
pub(super) fn guess(task: &Task, last_ms: Option<u64>, stamp: &Stamp) -> Usage {
    let data = &task.sound.data;
    let by_size = || data.len() as u64 * 1000 / BYTES_PER_SECOND;
    let audio_ms = wav_ms(data).or(last_ms.filter(|ms| *ms > 0)).unwrap_or_else(by_size);
    let timed = stamp.price.as_ref().is_none_or(|price| price.second.0 > 0);
    if timed {
        return Usage { audio_ms, estimated: true, ..Usage::default() };
    }
    // OpenAI's models that count tokens hear ten of them in a second.
    Usage { audio_in: audio_ms / 100, estimated: true, ..Usage::default() }
}

/// The provider's own account, or OpenAI's words for ours.
pub(super) fn spelt(own: Option<&[u8]>, usage: &Usage, stamp: &Stamp) -> Box<RawValue> {
    let (input, output) = (usage.prompt_total(), usage.completion_total());
    let seconds = ("seconds", seconds(usage.audio_ms));
    let words = if usage.total() == 0 {
        vec![("type", "\"duration\"".to_owned()), seconds]
    } else {
        let details = format!("{{\"audio_tokens\":{},\"text_tokens\":{}}}", usage.audio_in, input - usage.audio_in);
        let mut words = vec![
            ("type", "\"tokens\"".to_owned()),
            ("input_tokens", input.to_string()),
            ("output_tokens", output.to_string()),
            ("total_tokens", (input + output).to_string()),
            ("input_token_details", details),
        ];
        words.extend((usage.audio_ms > 0).then_some(seconds));
        words
    };
    told::priced(own, &words, usage, stamp)
}

/// Thousandths as a JSON number of seconds.
pub(super) fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
