//! One recorded exchange between a client and a provider, as kept in a corpus directory (`cases/<id>.json`, `index.json`).

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The largest case of today's corpus is 264 KB; a file past this is not a case.
const MAX_FILE: u64 = 64 * 1024 * 1024;
const MAX_CASES: usize = 100_000;

#[derive(Clone, Debug)]
pub struct Case {
    /// `<provider>.<api>.<s|n>.<source>-<hash>`
    pub id: String,
    pub provider: String,
    /// `chat.completions`, `messages`, `generateContent`, `streamGenerateContent`, …
    pub api: String,
    pub model: Option<String>,
    pub features: Vec<String>,
    pub request: CaseRequest,
    pub response: CaseResponse,
}

#[derive(Clone, Debug)]
pub struct CaseRequest {
    /// False: only the response was kept.
    pub recorded: bool,
    pub method: String,
    pub url: String,
    pub headers: BTreeMap<String, String>,
    /// Null when it is not JSON, or was not kept.
    pub body: Value,
}

#[derive(Clone, Debug)]
pub struct CaseResponse {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub stream: bool,
    /// `json`, `sse`, `eventstream`, `ndjson`, `binary`, `text`, `empty`
    pub framing: String,
    /// `verbatim`: the recorded bytes; else see the corpus's own description.
    pub fidelity: String,
    pub body: Bytes,
}

impl Case {
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

    /// The URL's path and query.
    pub fn path(&self) -> &str {
        let rest = self.request.url.split_once("://").map_or(self.request.url.as_str(), |(_, rest)| rest);
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
    }

    pub fn parse(text: &[u8]) -> anyhow::Result<Case> {
        let value: Value = serde_json::from_slice(text)?;
        let id = string(&value, "id")?;
        let case = || -> anyhow::Result<Case> {
            let (request, response) = (&value["request"], &value["response"]);
            let text = string(response, "body")?;
            let body = match response["body_encoding"].as_str() {
                Some("base64") => Bytes::from(STANDARD.decode(&text)?),
                Some("utf8") | None => Bytes::from(text),
                Some(other) => bail!("unknown body_encoding: {other:?}"),
            };
            Ok(Case {
                id: id.clone(),
                provider: string(&value, "provider")?,
                api: string(&value, "api")?,
                model: value["model"].as_str().map(str::to_owned),
                features: value["features"]
                    .as_array()
                    .map(|f| f.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                    .unwrap_or_default(),
                request: CaseRequest {
                    recorded: request["recorded"].as_bool().unwrap_or(false),
                    method: string(request, "method")?,
                    url: string(request, "url")?,
                    headers: headers(request),
                    body: request["body"].clone(),
                },
                response: CaseResponse {
                    status: response["status"]
                        .as_u64()
                        .and_then(|s| u16::try_from(s).ok())
                        .context("status is not a number")?,
                    headers: headers(response),
                    stream: response["stream"].as_bool().unwrap_or(false),
                    framing: string(response, "framing")?,
                    fidelity: string(response, "fidelity")?,
                    body,
                },
            })
        };
        case().with_context(|| format!("not a case: {id}"))
    }
}

fn string(value: &Value, member: &str) -> anyhow::Result<String> {
    value[member].as_str().map(str::to_owned).with_context(|| format!("{member} is not a string"))
}

fn headers(value: &Value) -> BTreeMap<String, String> {
    let members = value["headers"].as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned()))).collect()
}

/// Every case of a corpus directory, sorted by id.
pub fn load(corpus: &Path) -> anyhow::Result<Vec<Case>> {
    let folder = corpus.join("cases");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read: {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let size = std::fs::metadata(&path)?.len();
        if size > MAX_FILE || cases.len() >= MAX_CASES {
            bail!("more than a corpus should hold: {}", path.display());
        }
        let text = std::fs::read(&path).with_context(|| format!("cannot read: {}", path.display()))?;
        cases.push(Case::parse(&text).with_context(|| format!("cannot use: {}", path.display()))?);
    }
    cases.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(cases)
}
