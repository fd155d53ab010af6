//! The ways in which a simulated provider can misbehave, and how they are written in a configuration.

use anyhow::{Context as _, bail};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// An event of this size is past anything a gateway should hold; more would only test our own memory.
const MAX_HUGE: u64 = 64 * 1024 * 1024;
/// "Never answers" has a mode of its own; a delay longer than this is a slip of the pen.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// A mode and how often it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub mode: Mode,
    /// 0 to 1. At 1 every generation is hit; below, a generator seeded by the provider's seed decides, in order of arrival.
    pub rate: f64,
}

impl Fault {
    pub fn always(mode: Mode) -> Fault {
        Fault { mode, rate: 1.0 }
    }

    /// From the text form of a mode, striking always.
    pub fn parse(mode: &str) -> anyhow::Result<Fault> {
        Ok(Fault::always(mode.parse()?))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    Status { status: u16, retry_after: Option<u64> },
    Reset { after: u64 },
    ResetHeaders,
    Close,
    Never,
    SlowHeaders(Duration),
    Ttft(Duration),
    Stall { after: u64 },
    Cut { after: u64 },
    EndEarly { after: u64 },
    ErrorFirst,
    ErrorAfter { after: u64 },
    Error200,
    BadJson,
    Html { status: u16 },
    Empty,
    Blank,
    NoUsage,
    NoDone,
    HugeEvent { bytes: u64 },
    ShortBody,
    NotHttp,
    Redirect,
    Auth,
    Quota,
    Context,
}

const MODES: &[(&str, &str)] = &[
    ("status:S[:R]", "answer with HTTP status S and the dialect's error body; R: seconds after which to come back"),
    ("reset:N", "reset the connection after N bytes of the body"),
    ("reset-headers", "read the request, then reset the connection without an answer"),
    ("close", "read the request, then close the connection without an answer"),
    ("never", "read the request and never answer"),
    ("slow-headers:T", "wait T before the status line (2s, 150ms)"),
    ("ttft:T", "answer at once, but take T until the first token; not streamed: T before the answer"),
    ("stall:N", "fall silent after N tokens; not streamed: in the middle of the body"),
    ("cut:N", "close the connection after N tokens, nothing terminated; not streamed: in the middle of the body"),
    ("end:N", "end the body properly after N tokens, but without finish or terminator; not streamed: as cut"),
    ("error-first", "HTTP 200, and an error as the first event; not streamed: as error-200"),
    ("error:N", "an error event after N tokens; not streamed: as error-200"),
    ("error-200", "HTTP 200 with an error as its JSON body, even where a stream was asked for"),
    ("bad-json", "every JSON document breaks off in the middle"),
    ("html[:S]", "a web page, with status S (200)"),
    ("empty", "HTTP 200 and a body of no bytes"),
    ("blank", "a well-formed answer of no tokens"),
    ("no-usage", "the answer does not say what it used"),
    ("no-done", "the stream ends without its terminator ([DONE], message_stop); gemini has none"),
    ("huge-event:N", "one event (not streamed: one answer) with a text of N bytes, then the rest"),
    ("short-body", "promise 100 bytes more than are sent, then close"),
    ("not-http", "answer with bytes that are not HTTP"),
    ("redirect", "HTTP 307 to another path of the same provider"),
    ("auth", "refuse the credential"),
    ("quota", "the account is out of money"),
    ("context", "the prompt is too long for the model"),
];

/// Every mode with a line on what it does.
pub fn modes() -> &'static [(&'static str, &'static str)] {
    MODES
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Status { status, retry_after: None } => write!(f, "status:{status}"),
            Mode::Status { status, retry_after: Some(after) } => write!(f, "status:{status}:{after}"),
            Mode::Reset { after } => write!(f, "reset:{after}"),
            Mode::ResetHeaders => f.write_str("reset-headers"),
            Mode::Close => f.write_str("close"),
            Mode::Never => f.write_str("never"),
            Mode::SlowHeaders(time) => write!(f, "slow-headers:{}ms", time.as_millis()),
            Mode::Ttft(time) => write!(f, "ttft:{}ms", time.as_millis()),
            Mode::Stall { after } => write!(f, "stall:{after}"),
            Mode::Cut { after } => write!(f, "cut:{after}"),
            Mode::EndEarly { after } => write!(f, "end:{after}"),
            Mode::ErrorFirst => f.write_str("error-first"),
            Mode::ErrorAfter { after } => write!(f, "error:{after}"),
            Mode::Error200 => f.write_str("error-200"),
            Mode::BadJson => f.write_str("bad-json"),
            Mode::Html { status } => write!(f, "html:{status}"),
            Mode::Empty => f.write_str("empty"),
            Mode::Blank => f.write_str("blank"),
            Mode::NoUsage => f.write_str("no-usage"),
            Mode::NoDone => f.write_str("no-done"),
            Mode::HugeEvent { bytes } => write!(f, "huge-event:{bytes}"),
            Mode::ShortBody => f.write_str("short-body"),
            Mode::NotHttp => f.write_str("not-http"),
            Mode::Redirect => f.write_str("redirect"),
            Mode::Auth => f.write_str("auth"),
            Mode::Quota => f.write_str("quota"),
            Mode::Context => f.write_str("context"),
        }
    }
}

impl FromStr for Mode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Mode> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let args: Vec<&str> = parts.collect();
        let form = MODES.iter().map(|(form, _)| *form).find(|form| bare(form) == name);
        let Some(form) = form else {
            let known: Vec<&str> = MODES.iter().map(|(form, _)| bare(form)).collect();
            bail!("unknown fault mode, expected one of {}: {text:?}", known.join(", "));
        };
        let wanted = form.matches(':').count();
        let optional = form.matches('[').count();
        if args.len() > wanted || args.len() + optional < wanted {
            bail!("fault mode is written {form}: {text:?}");
        }
        let first = args.first().copied();
        let number = || -> anyhow::Result<u64> {
            let digits = first.unwrap_or_default();
            digits.parse().with_context(|| format!("fault mode {form} wants a whole number: {digits:?}"))
        };
        let status = |text: &str| match text.parse::<u16>() {
            Ok(status @ 200..=599) => Ok(status),
            _ => bail!("fault mode {form} wants a status from 200 to 599: {text:?}"),
        };
        Ok(match name {
            "status" => {
                let retry_after = match args.get(1) {
                    None => None,
                    Some(s) => Some(s.parse().with_context(|| format!("fault mode {form} wants seconds: {s:?}"))?),
                };
                Mode::Status { status: status(first.unwrap_or_default())?, retry_after }
            }
            "reset" => Mode::Reset { after: number()? },
            "reset-headers" => Mode::ResetHeaders,
            "close" => Mode::Close,
            "never" => Mode::Never,
            "slow-headers" => Mode::SlowHeaders(delay(form, first.unwrap_or_default())?),
            "ttft" => Mode::Ttft(delay(form, first.unwrap_or_default())?),
            "stall" => Mode::Stall { after: number()? },
            "cut" => Mode::Cut { after: number()? },
            "end" => Mode::EndEarly { after: number()? },
            "error-first" => Mode::ErrorFirst,
            "error" => Mode::ErrorAfter { after: number()? },
            "error-200" => Mode::Error200,
            "bad-json" => Mode::BadJson,
            "html" => Mode::Html { status: first.map_or(Ok(200), status)? },
            "empty" => Mode::Empty,
            "blank" => Mode::Blank,
            "no-usage" => Mode::NoUsage,
            "no-done" => Mode::NoDone,
            "huge-event" => match number()? {
                bytes if bytes <= MAX_HUGE => Mode::HugeEvent { bytes },
                bytes => bail!("fault mode {form} wants at most {MAX_HUGE} bytes: {bytes}"),
            },
            "short-body" => Mode::ShortBody,
            "not-http" => Mode::NotHttp,
            "redirect" => Mode::Redirect,
            "auth" => Mode::Auth,
            "quota" => Mode::Quota,
            "context" => Mode::Context,
            _ => bail!("fault mode is listed but not understood: {text:?}"),
        })
    }
}

/// `html[:S]` is named `html`.
fn bare(form: &'static str) -> &'static str {
    form.split([':', '[']).next().unwrap_or(form)
}

fn delay(form: &str, text: &str) -> anyhow::Result<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let per_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => bail!("fault mode {form} wants a time such as 2s or 150ms: {text:?}"),
    };
    let seconds = number.parse::<f64>().ok().map(|n| n * per_unit);
    let time = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).filter(|t| *t <= MAX_DELAY);
    time.with_context(|| format!("fault mode {form} wants a time of at most an hour: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_mode_parses_and_prints_as_it_was_written() {
        for (form, doc) in modes() {
            let example =
                form.replace("S[:R]", "503").replace(":T", ":20ms").replace("[:S]", ":502").replace(":N", ":3");
            let mode: Mode = example.parse().unwrap_or_else(|e| panic!("{form}: {e}"));
            assert_eq!(mode.to_string(), example);
            assert!(!doc.is_empty());
        }
    }

    #[test]
    fn bad_modes_are_refused_with_what_was_expected() {
        for (text, expected) in [
            ("", "unknown fault mode"),
            ("stal:3", "unknown fault mode"),
            ("stall", "fault mode is written stall:N"),
            ("never:1", "fault mode is written never"),
            ("stall:x", "wants a whole number: \"x\""),
            ("stall:-1", "wants a whole number"),
            ("status:99", "wants a status from 200 to 599: \"99\""),
            ("status:429:soon", "wants seconds: \"soon\""),
            ("ttft:5", "wants a time such as 2s or 150ms: \"5\""),
            ("ttft:99999s", "at most an hour"),
            ("huge-event:999999999999", "at most 67108864 bytes"),
        ] {
            let error = text.parse::<Mode>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn arguments_are_understood() {
        let rows = [
            ("status:429:2", Mode::Status { status: 429, retry_after: Some(2) }),
            ("status:529", Mode::Status { status: 529, retry_after: None }),
            ("html", Mode::Html { status: 200 }),
            ("slow-headers:2s", Mode::SlowHeaders(Duration::from_secs(2))),
            ("ttft:1.5s", Mode::Ttft(Duration::from_millis(1500))),
            ("reset:0", Mode::Reset { after: 0 }),
        ];
        for (text, mode) in rows {
            assert_eq!(text.parse::<Mode>().unwrap(), mode, "{text}");
        }
    }
}
