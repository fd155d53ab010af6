//! What of a request's head matters later, taken down in one walk over it: asking a map for a dozen names that are mostly not there
//! costs more than looking at the few that are.

use super::cached::Wish;
use super::{class, metadata};
use http::{HeaderMap, HeaderValue};
use slip_ir::Fault;
use slip_quota::Class;

/// Most characters of a text that are kept.
const MAX: usize = 256;
/// What only this house and OpenRouter understand begins so.
const OURS: [&str; 2] = ["x-openrouter-", "x-slipswitch-"];

#[derive(Clone, Debug, Default)]
pub struct Heads {
    pub referer: Option<String>,
    pub title: Option<String>,
    pub user_agent: Option<String>,
    pub session: Option<String>,
    /// `anthropic-beta` or `x-anthropic-beta`.
    pub beta: Option<HeaderValue>,
    pub anthropic_version: Option<HeaderValue>,
    /// The reply is to tell how it was routed.
    pub metadata: bool,
    /// What its head says of how urgent it is, and what came of it.
    pub priority: Option<Class>,
    pub class: Class,
    /// What it says of answers that are kept.
    pub cache: Wish,
}

impl Heads {
    pub fn of(headers: &HeaderMap) -> Result<Heads, Fault> {
        // What stands under a second name counts where nothing does under the first.
        let (mut heads, mut second, mut ours) = (Heads::default(), Heads::default(), false);
        for (name, value) in headers {
            match name.as_str() {
                "http-referer" => text(&mut heads.referer, value),
                "referer" => text(&mut second.referer, value),
                "x-openrouter-title" => text(&mut heads.title, value),
                "x-title" => text(&mut second.title, value),
                "user-agent" => text(&mut heads.user_agent, value),
                "x-session-id" => text(&mut heads.session, value),
                "anthropic-beta" => whole(&mut heads.beta, value),
                "x-anthropic-beta" => whole(&mut second.beta, value),
                "anthropic-version" => whole(&mut heads.anthropic_version, value),
                name => ours |= OURS.iter().any(|prefix| name.starts_with(prefix)),
            }
        }
        heads.referer = heads.referer.or(second.referer);
        heads.title = heads.title.or(second.title);
        heads.beta = heads.beta.or(second.beta);
        if ours {
            heads.metadata = metadata::wanted(headers);
            heads.cache = Wish::of(headers);
            heads.priority = class::header(headers)?;
        }
        Ok(heads)
    }
}

/// The first of several that says something.
fn text(place: &mut Option<String>, value: &HeaderValue) {
    let said = value.to_str().ok().map(str::trim).filter(|said| !said.is_empty());
    if let (None, Some(said)) = (&place, said) {
        *place = Some(if said.len() <= MAX { said.to_owned() } else { said.chars().take(MAX).collect() });
    }
}

fn whole(place: &mut Option<HeaderValue>, value: &HeaderValue) {
    place.get_or_insert_with(|| value.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(rows: &[(&'static str, &'static str)]) -> Heads {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Heads::of(&headers).expect("nothing wrong")
    }

    #[test]
    fn the_first_name_counts_and_the_second_where_it_says_nothing() {
        let told = heads(&[
            ("x-title", "second"),
            ("x-openrouter-title", "first"),
            ("referer", "second"),
            ("http-referer", "  "),
            ("x-anthropic-beta", "b2"),
            ("user-agent", "one"),
            ("user-agent", "two"),
        ]);
        assert_eq!((told.title.as_deref(), told.referer.as_deref()), (Some("first"), Some("second")));
        assert_eq!(
            (told.beta.expect("one"), told.user_agent.as_deref()),
            (HeaderValue::from_static("b2"), Some("one"))
        );
    }

    #[test]
    fn what_is_ours_is_understood_whoever_else_says_something() {
        let told = heads(&[
            ("x-openrouter-metadata", "enabled"),
            ("x-slipswitch-priority", "batch"),
            ("x-openrouter-cache", "true"),
            ("anthropic-version", "2023-06-01"),
        ]);
        assert!(told.metadata && told.cache.on == Some(true) && told.priority == Some(Class::Batch));
        assert_eq!(told.anthropic_version.expect("one"), "2023-06-01");
        let mut wrong = HeaderMap::new();
        wrong.insert("x-slipswitch-priority", HeaderValue::from_static("now"));
        assert!(Heads::of(&wrong).is_err());
    }
}
