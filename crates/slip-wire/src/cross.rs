//! A request on its way from one dialect into another: what the vocabulary has no word for stays behind.

use slip_ir::{Dialect, Loss, Request};
use std::borrow::Cow;

/// The request as an encoder of `to` may have it. Members of another dialect's top level mean nothing to an OpenAI-shaped server,
/// and many refuse what they do not know; the other encoders keep lists of the members they know and tell the rest.
pub fn cross(request: &Request, from: Dialect, to: Dialect) -> (Cow<'_, Request>, Vec<Loss>) {
    if from == Dialect::Responses && to != Dialect::Responses {
        let mut lost = Vec::new();
        let plain = crate::responses::plain(request, &mut lost);
        let (crossed, left) = without_extra(&plain, from, to);
        let crossed = crossed.into_owned();
        lost.extend(left);
        return (Cow::Owned(crossed), lost);
    }
    without_extra(request, from, to)
}

fn without_extra(request: &Request, from: Dialect, to: Dialect) -> (Cow<'_, Request>, Vec<Loss>) {
    let tells = matches!(
        to,
        Dialect::OpenAiChat | Dialect::Completions | Dialect::Ollama | Dialect::OllamaGenerate | Dialect::Cohere
    );
    if from == to || !tells || request.extra.is_empty() {
        return (Cow::Borrowed(request), Vec::new());
    }
    let why = format!("only {from} knows it");
    let lost = request.extra.iter().map(|(name, _)| Loss::new(name.clone(), why.clone())).collect();
    (Cow::Owned(Request { extra: Vec::new(), ..request.clone() }), lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Raw;

    #[test]
    fn members_of_a_foreign_top_level_stay_behind_and_are_told() {
        use Dialect::{Anthropic, Gemini, OpenAiChat};
        let rows: &[(Dialect, Dialect, usize)] = &[
            (OpenAiChat, OpenAiChat, 0),
            (Anthropic, OpenAiChat, 1),
            (Gemini, OpenAiChat, 1),
            // These encoders tell by themselves.
            (OpenAiChat, Anthropic, 0),
            (Anthropic, Anthropic, 0),
        ];
        let extra = vec![("safetySettings".to_owned(), Raw::parse("[]").expect("an array"))];
        let request = Request { extra, ..Request::default() };
        for (from, to, lost) in rows {
            let (crossed, losses) = cross(&request, *from, *to);
            assert_eq!((crossed.extra.len(), losses.len()), (1 - lost, *lost), "{from} to {to}");
        }
    }
}
