//! What an upstream's chunk or whole reply says: choices, usage, sources and errors.

use super::choice::{Choice, some};
use super::node::raw;
use super::usage::parse_usage;
use super::{error, write};
use crate::{Malformed, json};
use slip_ir::event::Start;
use slip_ir::{Event, Raw, Reply, Tier, Usage, fold};

/// More choices than any server offers; numbers beyond it are noise.
const MAX_CHOICES: usize = 128;
/// Sources listed beside one reply.
const MAX_CITATIONS: usize = 256;

/// Everything remembered of one reply. Chunks and whole bodies go through the same door.
#[derive(Default)]
pub(super) struct Reading {
    pub choices: Vec<Choice>,
    pub citations: Vec<(String, Raw)>,
    usage: Option<Usage>,
    /// The last tier of service it named, and how.
    tier: Option<Tier>,
    said: Vec<u8>,
    started: bool,
}

impl Reading {
    /// Take in one JSON object. The error in it, if there is one, is left to the caller: it must be told last.
    pub(super) fn object<'a>(&mut self, span: &'a [u8], out: &mut Vec<Event>) -> Option<&'a [u8]> {
        let mut start = Start::default();
        let (mut choices, mut usage, mut fault, mut groq, mut tier) = (None, None, None, None, None);
        for (key, value) in json::fields(span) {
            if value == b"null" {
                continue;
            }
            match &*key.bytes() {
                b"id" => start.id = some(value),
                b"model" => start.model = some(value),
                b"created" => {
                    start.created = json::integer(value).and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0)
                }
                b"system_fingerprint" => start.fingerprint = some(value),
                b"service_tier" => (start.service_tier, tier) = (some(value), Some(value)),
                b"choices" => choices = Some(value),
                b"usage" => usage = parse_usage(value),
                b"x_groq" => groq = Some(value),
                b"citations" | b"search_results" => self.cite(value),
                b"error" if error::says_something(value) => fault = Some(span),
                _ => {}
            }
        }
        if let Some(groq) = groq {
            usage = usage.or_else(|| json::field(groq, "usage").and_then(parse_usage));
            if json::field(groq, "error").is_some_and(error::says_something) {
                fault = fault.or(Some(groq));
            }
        }
        self.served(tier);
        let has_choices = choices.is_some_and(|c| json::items(c).next().is_some());
        // A first chunk of filter results has no id yet; the next one has.
        if !self.started && (has_choices || usage.is_some() || (start.id.is_some() && choices.is_some())) {
            self.started = true;
            out.push(Event::Start(start));
        }
        for (position, choice) in choices.into_iter().flat_map(json::items).enumerate() {
            let number = json::field(choice, "index").and_then(json::integer).and_then(|n| u32::try_from(n).ok());
            usage = usage.or_else(|| json::field(choice, "usage").and_then(parse_usage));
            if json::field(choice, "error").is_some_and(error::says_something) {
                fault = fault.or(Some(choice));
            }
            if let Some(state) = self.choice(number.unwrap_or(position as u32)) {
                state.feed(choice, out);
            }
        }
        // Counters are cumulative and often repeated.
        if let Some(usage) = usage.map(|usage| Usage { tier: self.tier, ..usage })
            && self.usage.as_ref() != Some(&usage)
        {
            self.usage = Some(usage.clone());
            out.push(Event::Usage(usage));
        }
        fault
    }

    /// The tier of service, as it is written. Most chunks repeat what the one before said.
    pub(super) fn served(&mut self, said: Option<&[u8]>) {
        if let Some(said) = said.filter(|said| *said != self.said) {
            said.clone_into(&mut self.said);
            self.tier = json::string(said).and_then(|word| Tier::parse(&word)).or(self.tier);
        }
    }

    /// More text of a choice that has begun to speak; false, and nothing done, where it has not.
    pub(super) fn goes_on(&mut self, index: u32, text: &str, out: &mut Vec<Event>) -> bool {
        let Some(choice) = self.choices.iter_mut().find(|c| c.index == index).filter(|_| self.started) else {
            return false;
        };
        choice.goes_on(text, out)
    }

    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        if let Some(at) = self.choices.iter().position(|c| c.index == index) {
            return self.choices.get_mut(at);
        }
        if self.choices.len() >= MAX_CHOICES {
            return None;
        }
        self.choices.push(Choice::new(index));
        self.choices.last_mut()
    }

    /// `citations: ["url", …]` and `search_results: [{"url", "title"}, …]`, where the richer one wins.
    fn cite(&mut self, list: &[u8]) {
        for item in json::items(list) {
            let title = json::field(item, "title").and_then(some);
            let Some(url) = some(item).or_else(|| json::field(item, "url").and_then(some)) else { continue };
            let known = self.citations.iter().position(|(known, _)| *known == url);
            if known.is_some() && title.is_none() || self.citations.len() >= MAX_CITATIONS {
                continue;
            }
            let mut text = Vec::new();
            write::object(&mut text, |o| {
                o.str("type", "url_citation");
                o.obj("url_citation", |o| {
                    o.str("url", &url);
                    o.str("title", title.as_deref().unwrap_or_default());
                    o.num("start_index", 0);
                    o.num("end_index", 0);
                });
            });
            let Some(annotation) = raw(&text) else { continue };
            match known.and_then(|at| self.citations.get_mut(at)) {
                Some(slot) => slot.1 = annotation,
                None => self.citations.push((url, annotation)),
            }
        }
    }

    pub(super) fn settle(&mut self, out: &mut Vec<Event>) {
        for choice in &mut self.choices {
            choice.settle(&self.citations, out);
        }
    }

    /// The upstream said it is over.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        for choice in &mut self.choices {
            choice.finish(&self.citations, out);
        }
    }

    /// It is over without that: what is open is closed, and only choices that had ended say so.
    pub(super) fn abandon(&mut self, out: &mut Vec<Event>) {
        for choice in &mut self.choices {
            if choice.has_ending() {
                choice.finish(&self.citations, out);
            } else {
                choice.close(&self.citations, out);
            }
        }
    }

    pub(super) fn all_ended(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(Choice::has_ending)
    }
}

/// Read a whole successful reply.
pub(crate) fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    json::check(body)?;
    let body = body.trim_ascii();
    let mut reading = Reading::default();
    let mut events = Vec::new();
    let fault = reading.object(body, &mut events);
    let has_choices = json::field(body, "choices").is_some_and(|c| c.first() == Some(&b'['));
    if fault.is_none() && !has_choices {
        return match error::looks_like(body) {
            true => Ok(Reply { fault: Some(error::inside(body)), ..Reply::default() }),
            false => Err(Malformed::new("choices", "expected an array")),
        };
    }
    reading.finish(&mut events);
    events.extend(fault.map(|span| Event::Fault(error::inside(span))));
    Ok(fold(events))
}
