//! Azure's public traces of LLM inference, 2023: `TIMESTAMP,ContextTokens,GeneratedTokens`, a request a line.

use super::Call;
use std::sync::Arc;

const DAY_MS: u64 = 86_400_000;

pub fn parse(text: &str) -> Result<Vec<Call>, String> {
    let mut calls: Vec<Call> = Vec::new();
    let (mut first, mut day, mut last) = (None, 0, 0);
    let empty: Arc<[u32]> = Arc::new([]);
    for (nth, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let bad = || format!("line {} is not TIMESTAMP,ContextTokens,GeneratedTokens: {line}", nth + 1);
        let mut cells = line.trim().split(',');
        let mut cell = || cells.next().ok_or_else(bad);
        let (time, prompt, output) = (cell()?, cell()?, cell()?);
        let of_day = time_of_day(time).ok_or_else(bad)?;
        if of_day + DAY_MS / 2 < last {
            day += DAY_MS;
        }
        last = of_day;
        let at = day + of_day;
        let tokens = |text: &str| text.trim().parse::<u32>().map_err(|_| bad());
        calls.push(Call {
            at_ms: at.saturating_sub(*first.get_or_insert(at)),
            prompt: tokens(prompt)?.max(1),
            output: tokens(output)?.max(1),
            blocks: empty.clone(),
        });
    }
    calls.sort_by_key(|c| c.at_ms);
    Ok(calls)
}

/// `2023-11-16 18:15:46.6805900`: the date is left aside, the traces are of an hour.
fn time_of_day(text: &str) -> Option<u64> {
    let (_, time) = text.trim().split_once(' ')?;
    let mut parts = time.split(':');
    let (hours, minutes): (u64, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some((hours * 60 + minutes) * 60_000 + (seconds * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_calls_counted_from_the_first_over_midnight_too() {
        let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 23:59:59.5000000,374,44\n\
                    2023-11-17 00:00:01.0000000,396,109\n";
        let got: Vec<_> = parse(text).unwrap().iter().map(|c| (c.at_ms, c.prompt, c.output)).collect();
        assert_eq!(got, [(0, 374, 44), (1_500, 396, 109)]);
        assert!(parse("head\nnonsense").unwrap_err().contains("line 2"));
    }
}
