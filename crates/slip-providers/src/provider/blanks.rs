//! Addresses with blanks: what a cloud's URL leaves to its customer (a resource, a region, a project), filled from configuration.

use super::{List, Provider, Str};
use slip_wire::envelope::escaped;
use std::borrow::Cow;

/// One blank, `{name}` in a base URL or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blank {
    /// The member of the configuration that fills it.
    pub name: Str,
    /// Environment variables that may fill it, the best first.
    pub env: List<Str>,
    /// Taken where nobody fills it; may have blanks itself.
    pub default: Option<Str>,
    /// Taken in the default's place where another blank holds a certain value: blank, value, text.
    pub unless: List<(Str, Str, Str)>,
}

impl Blank {
    /// One that has to be filled.
    pub const REQUIRED: Blank =
        Blank { name: Cow::Borrowed(""), env: Cow::Borrowed(&[]), default: None, unless: Cow::Borrowed(&[]) };
}

/// A blank that nobody filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfilled {
    pub name: Str,
    pub env: List<Str>,
}

/// Blanks within blanks go no deeper than this.
const DEPTH: usize = 4;

impl Provider {
    pub fn blank(&self, name: &str) -> Option<&Blank> {
        self.blanks.iter().find(|blank| blank.name == name)
    }

    /// Fill the blanks of the base URL and the paths. `elsewhere` says that the base URL is the operator's own, so that its blanks
    /// do not matter; `keyed` that there is a plain key.
    pub fn fill(
        &mut self,
        given: &dyn Fn(&str) -> Option<String>,
        elsewhere: bool,
        keyed: bool,
    ) -> Result<(), Unfilled> {
        let blanks = std::mem::take(&mut self.blanks);
        let filled = self.fill_with(&blanks, given, elsewhere, keyed);
        self.blanks = blanks;
        filled
    }

    fn fill_with(
        &mut self,
        blanks: &[Blank],
        given: &dyn Fn(&str) -> Option<String>,
        elsewhere: bool,
        keyed: bool,
    ) -> Result<(), Unfilled> {
        let fill = |text: &Str| filled(text, blanks, given, DEPTH).map(Cow::Owned);
        let unplaced =
            |name: &str| given(name).is_none() && self.bare.as_ref().is_some_and(|bare| !bare.contains(name));
        if keyed
            && let Some(bare) = &self.bare
            && blanks.iter().any(|blank| blank.default.is_none() && unplaced(&blank.name))
        {
            self.base = fill(bare)?;
        } else {
            match fill(&self.base) {
                Ok(base) => self.base = base,
                Err(_) if elsewhere => {}
                Err(unfilled) => return Err(unfilled),
            }
        }
        if let (Some(version), Some(path)) = (given("api_version"), &self.path)
            && let Some(dated) = &self.dated
        {
            self.path = Some(match version.starts_with(|c: char| c.is_ascii_digit()) {
                true => dated.clone(),
                false => format!("{path}?api-version={{api_version}}").into(),
            });
        }
        if let Some(path) = &self.path {
            self.path = Some(fill(path)?);
        }
        let families = self.families.to_mut().iter_mut().map(|family| &mut family.path);
        let also = self.also.to_mut().iter_mut().map(|also| &mut also.path);
        for path in families.chain(also).flatten() {
            *path = fill(path)?;
        }
        Ok(())
    }
}

/// `text` with its blanks filled. What is in braces and no blank's name is left for [`path`].
fn filled(
    text: &str,
    blanks: &[Blank],
    given: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<String, Unfilled> {
    pieces(text, |name| {
        let Some(blank) = blanks.iter().find(|blank| blank.name == name) else { return Ok(None) };
        if let Some(value) = given(name).filter(|v| !v.is_empty()) {
            return Ok(Some(value));
        }
        let holds = |name: &str, value: &str| {
            filled(&format!("{{{name}}}"), blanks, given, depth - 1).is_ok_and(|v| v == value)
        };
        let unfilled = || Unfilled { name: blank.name.clone(), env: blank.env.clone() };
        if depth == 0 {
            return Err(unfilled());
        }
        let special = blank.unless.iter().find(|(name, value, _)| holds(name, value)).map(|(_, _, text)| text);
        match special.or(blank.default.as_ref()) {
            Some(text) => filled(text, blanks, given, depth - 1).map(Some),
            None => Err(unfilled()),
        }
    })
}

/// The path of one request: `{model}` is the model's name as one segment, and of `{this|that}` the first is for a whole reply, the
/// second for a stream.
pub(super) fn path(template: &str, model: &str, stream: bool) -> String {
    let known = |name: &str| {
        Ok::<_, std::convert::Infallible>(match (name, name.split_once('|')) {
            ("model", _) => Some(escaped(model)),
            (_, Some((whole, streamed))) => Some(if stream { streamed } else { whole }.to_owned()),
            _ => None,
        })
    };
    match pieces(template, known) {
        Ok(path) => path,
        Err(never) => match never {},
    }
}

/// Copies `text`, giving what stands in braces to `known`; what it does not know stays as it is.
fn pieces<E>(text: &str, mut known: impl FnMut(&str) -> Result<Option<String>, E>) -> Result<String, E> {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            rest = &rest[before.len()..];
            break;
        };
        match known(name)? {
            Some(value) => out.push_str(&value),
            None => {
                out.push('{');
                out.push_str(name);
                out.push('}');
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::path;
    use crate::{Provider, by_id};

    fn filled(id: &str, given: &[(&str, &str)], keyed: bool) -> Result<Provider, String> {
        let mut provider = by_id(id).expect("a provider").clone();
        let look = |name: &str| given.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        provider.fill(&look, false, keyed).map_err(|unfilled| unfilled.name.into_owned()).map(|()| provider)
    }

    /// A provider, what is given, and the base URL and path that come of it, or the blank that is missing.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Result<(&'a str, Option<&'a str>), &'a str>);

    #[test]
    fn a_clouds_address_is_made_of_what_its_customer_says() {
        let dated = "/deployments/{model}/chat/completions?api-version=2024-10-21";
        let rows: &[Row<'_>] = &[
            ("azure", &[("resource", "r")], Ok(("https://r.openai.azure.com/openai", Some("/v1/chat/completions")))),
            (
                "azure",
                &[("resource", "r"), ("api_version", "2024-10-21")],
                Ok(("https://r.openai.azure.com/openai", Some(dated))),
            ),
            (
                "azure",
                &[("endpoint", "https://r.cognitiveservices.azure.com"), ("api_version", "preview")],
                Ok(("https://r.cognitiveservices.azure.com/openai", Some("/v1/chat/completions?api-version=preview"))),
            ),
            ("azure", &[], Err("resource")),
            (
                "azure-foundry",
                &[("resource", "r")],
                Ok((
                    "https://r.services.ai.azure.com",
                    Some("/models/chat/completions?api-version=2024-05-01-preview"),
                )),
            ),
            (
                "google-vertex",
                &[("project", "p"), ("location", "europe-west4")],
                Ok((
                    "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4",
                    Some("/publishers/google/models/{model}:{generateContent|streamGenerateContent?alt=sse}"),
                )),
            ),
            (
                "google-vertex",
                &[("project", "p")],
                Ok((
                    "https://aiplatform.googleapis.com/v1/projects/p/locations/global",
                    Some("/publishers/google/models/{model}:{generateContent|streamGenerateContent?alt=sse}"),
                )),
            ),
            ("google-vertex", &[("location", "us-east5")], Err("project")),
            (
                "amazon-bedrock",
                &[("region", "eu-west-1")],
                Ok(("https://bedrock-runtime.eu-west-1.amazonaws.com", None)),
            ),
            ("amazon-bedrock", &[], Err("region")),
            ("openai", &[], Ok(("https://api.openai.com/v1", None))),
        ];
        for (id, given, want) in rows {
            let got = filled(id, given, false);
            let got = got.as_ref().map(|p| (&*p.base, p.path.as_deref())).map_err(String::as_str);
            assert_eq!(got, *want, "{id} {given:?}");
        }
    }

    #[test]
    fn a_plain_key_needs_no_project_where_the_cloud_has_a_door_for_it() {
        let bare = filled("google-vertex", &[], true).expect("filled");
        assert_eq!(bare.base, "https://aiplatform.googleapis.com/v1");
        let own = filled("google-vertex", &[("endpoint", "https://proxy.example")], true).expect("filled");
        assert_eq!(own.base, "https://proxy.example/v1", "a key goes where its owner says");
        let placed = filled("google-vertex", &[("project", "p")], true).expect("filled");
        assert_eq!(placed.base, "https://aiplatform.googleapis.com/v1/projects/p/locations/global");
        assert_eq!(filled("azure", &[], true).map(|_| ()), Err("resource".to_owned()));
    }

    #[test]
    fn a_path_takes_the_models_name_as_one_segment() {
        let rows = [
            ("/a/{model}:{x|y?alt=sse}", "gemini-2.5", false, "/a/gemini-2.5:x"),
            ("/a/{model}:{x|y?alt=sse}", "gemini-2.5", true, "/a/gemini-2.5:y?alt=sse"),
            ("/a/{model}/b", "../c?d#e/f", false, "/a/..%2Fc%3Fd%23e%2Ff/b"),
            ("/a/{model}", "v1:0@5", false, "/a/v1%3A0@5"),
            ("/plain", "m", true, "/plain"),
            ("/odd/{what}/{", "m", true, "/odd/{what}/{"),
        ];
        for (template, model, stream, want) in rows {
            assert_eq!(path(template, model, stream), want, "{template}");
        }
    }
}
