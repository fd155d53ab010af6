//! What may be written in a configuration: the text as it stands, every member optional, nothing understood yet. The JSON Schema
//! of these types is what files are checked against, and what `slipswitch config schema` prints.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Configuration of slipswitch. Strings may hold `${VAR}`, `${VAR:-default}` and `${file:/path}`; every member has an environment
/// twin (`SLIPSWITCH__PROVIDERS__LAB__KEY`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "slipswitch")]
pub struct Raw {
    /// Address and port to listen on: `127.0.0.1:8484`. Port 0 takes a free one.
    #[schemars(example = "127.0.0.1:8484")]
    pub listen: Option<String>,
    /// Directory for keys, generations and settings.
    pub data_dir: Option<String>,
    /// A Postgres database that several gateways may share, instead of a file in `data_dir`: `postgres://user:password@host/database`.
    /// DATABASE_URL stands in where nothing is said; empty, there is none.
    #[schemars(example = "postgres://slipswitch:${PGPASSWORD}@db.internal/slipswitch?sslmode=verify-full")]
    pub database_url: Option<String>,
    /// The pepper that gateways of one database have in common: 32 bytes, or their 64 hex digits. Else it is in `data_dir`.
    pub pepper_file: Option<String>,
    /// What a request outlives once it is answered: the end of this `process`, which is the default, or of the power too (`disk`), for
    /// which it waits twice for the disk.
    #[schemars(extend("enum" = ["process", "disk"]))]
    pub durability: Option<String>,
    /// The master key that seals keys at providers: 64 hex digits; older ones, which still open, on the lines after it. Else it is in
    /// `data_dir`.
    pub master_key_file: Option<String>,
    /// Look for model servers on this machine (Ollama, LM Studio, vLLM, llama.cpp).
    pub probe: Option<bool>,
    /// How long running requests may finish after a stop was asked for: `120s`.
    #[schemars(example = "120s")]
    pub drain_timeout: Option<String>,
    /// How much to log.
    #[schemars(extend("enum" = super::checked::LOG_LEVELS))]
    pub log: Option<String>,
    /// How long to wait for an upstream.
    pub timeouts: Option<Timeouts>,
    /// What a caller may take.
    pub limits: Option<Limits>,
    /// Who waits, how many and how long, when this gateway or an account at a provider takes no more for now.
    pub queue: Option<Queue>,
    /// What callers name by URL and a provider cannot fetch by itself.
    pub fetch: Option<Fetch>,
    /// Answers that are kept to be given again, and requests that share one.
    pub cache: Option<Cache>,
    /// A file with a line of JSON per routed request: what was known, what was chosen, what came of it, and nothing of what was said.
    pub decision_log: Option<DecisionLog>,
    /// Providers by slug: built-in ones (a key is enough), servers that speak a known dialect, and simulated ones.
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
    /// Names of this house, each standing for several endpoints.
    #[serde(default)]
    pub models: BTreeMap<String, House>,
}

/// Durations: `500ms`, `5s`, `2m`, `1h`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// To reach an upstream, TLS included.
    #[schemars(example = "5s")]
    pub connect: Option<String>,
    /// Until the first content of a reply.
    #[schemars(example = "120s")]
    pub first_content: Option<String>,
    /// Between two pieces of a reply.
    #[schemars(example = "60s")]
    pub idle: Option<String>,
    /// For the whole request, attempts included.
    #[schemars(example = "600s")]
    pub total: Option<String>,
    /// A stream's status line waits this long for its first content; then it goes out, and other endpoints are tried behind it.
    #[schemars(example = "15s")]
    pub head_commit: Option<String>,
    /// A quiet stream says it is alive this often.
    #[schemars(example = "10s")]
    pub keepalive: Option<String>,
}

/// Durations that hold here in the place of `[timeouts]`; what is not named stays as it is there. A model's win over a provider's.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Patience {
    /// To reach an upstream, TLS included.
    #[schemars(example = "2s")]
    pub connect: Option<String>,
    /// Until the first content of a stream.
    #[schemars(example = "5s")]
    pub first_content: Option<String>,
    /// Between two pieces of a reply.
    #[schemars(example = "20s")]
    pub idle: Option<String>,
    /// Of a model: for the whole request, attempts included. Of a provider: for one attempt there.
    #[schemars(example = "60s")]
    pub total: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest request body: `32MiB`.
    #[schemars(example = "32MiB")]
    pub body: Option<String>,
    /// Requests under way at once; more wait as `queue` says, and beyond that are answered 503.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_concurrent: Option<u32>,
    /// How long gateways that share a database wait for a sign of life of one of them, before they take what was lent to it of limits
    /// on spending.
    #[schemars(example = "60s")]
    pub lease: Option<String>,
    /// What all keys together may spend in dollars on a day, in a week (from Monday), in a month (all UTC), and ever: `"50"`.
    #[schemars(example = "50")]
    pub daily_usd: Option<String>,
    #[schemars(example = "200")]
    pub weekly_usd: Option<String>,
    #[schemars(example = "500")]
    pub monthly_usd: Option<String>,
    #[schemars(example = "10000")]
    pub total_usd: Option<String>,
}

/// By the class of a request, which its key and it itself say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Somebody waits for the answer.
    pub interactive: Option<Row>,
    /// Nobody does, but it is wanted.
    pub batch: Option<Row>,
    /// Whenever there is nothing else to do.
    pub background: Option<Row>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// So many may wait in one line; 0: nobody, they are refused at once.
    #[schemars(range(min = 0, max = 100_000))]
    pub length: Option<u32>,
    /// Nobody waits longer: `10s`.
    #[schemars(example = "10s")]
    pub wait: Option<String>,
    /// Who has waited so long is served among the class above, one for every few of those: `30s`.
    #[schemars(example = "30s")]
    pub ages: Option<String>,
}

/// What the provider lets one account do. An account is a key, or, where no key is wanted, a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// In any minute, wherever it begins.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub requests_per_minute: Option<u64>,
    /// Prompts and answers together, in any minute.
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub tokens_per_minute: Option<u64>,
    /// At once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrent: Option<u64>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// Pictures and files may also be fetched from private and loopback addresses, and from any port.
    pub allow_private: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// For every request that does not say otherwise. Off; a key may say so for itself.
    pub enabled: Option<bool>,
    /// Whether a request may ask for it by `X-OpenRouter-Cache: true` where it is off.
    pub allow: Option<bool>,
    /// How long an answer is given again: `5m`, at most `24h`.
    #[schemars(example = "5m")]
    pub ttl: Option<String>,
    /// Who shares answers: the requests of a key, or those of all keys of a workspace.
    pub scope: Option<CacheScope>,
    /// Also answers that call tools.
    pub tool_calls: Option<bool>,
    /// The same request, asked while it is being answered, waits for that answer.
    pub single_flight: Option<bool>,
    /// Pause between two events of a stream that is told again: `20ms`. `0s` is all at once.
    #[schemars(example = "20ms")]
    pub pace: Option<String>,
    /// Memory for them: `256MiB`. Takes effect when the gateway starts.
    #[schemars(example = "256MiB")]
    pub memory: Option<String>,
    /// The largest that is kept: `2MiB`.
    #[schemars(example = "2MiB")]
    pub largest: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CacheScope {
    #[default]
    Key,
    Workspace,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionLog {
    /// The file; old ones stand beside it as `path.1` (the youngest), `path.2`, …
    #[schemars(example = "decisions.ndjson")]
    pub path: Option<String>,
    /// A file of this many megabytes is put aside and a new one begun (64).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_mb: Option<u32>,
    /// How many old files are kept (4).
    #[schemars(range(min = 0, max = 1_000))]
    pub keep: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// `simulated`: an upstream inside this process. Otherwise a built-in slug, or a server that `dialect` and `base_url` describe.
    #[schemars(extend("enum" = ["simulated"]))]
    pub kind: Option<String>,
    /// Display name.
    pub title: Option<String>,
    /// What the server speaks.
    #[schemars(extend("enum" = super::checked::dialects()))]
    pub dialect: Option<String>,
    /// How a cloud that serves another house's dialect wraps it: Anthropic's in Bedrock's InvokeModel or Vertex AI's raw prediction,
    /// and what Converse cannot reach in the words of its maker (`invoke-…`), or Cohere's chat as it was in its first version.
    #[schemars(extend("enum" = super::checked::envelopes()))]
    pub envelope: Option<String>,
    /// The provider's API key; `none` for a server that wants none.
    pub key: Option<String>,
    /// Several keys, used in proportion to their weights.
    pub keys: Option<Vec<WeightedKey>>,
    /// Where the server is, path prefix included: `http://127.0.0.1:9000/v1`.
    #[schemars(example = "http://127.0.0.1:9000/v1")]
    pub base_url: Option<String>,
    /// Several instances of one server, used as one pool.
    pub base_urls: Option<Vec<String>>,
    /// Headers every request carries.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The server may be reached on a private or loopback address even when a caller could have chosen it.
    pub allow_private: Option<bool>,
    /// Ask the server this often whether it is well, so that no request has to find out: `30s`. Not asked when not said.
    #[schemars(example = "30s")]
    pub probe: Option<String>,
    /// What it does with prompts, where its ordinary terms do not hold: your own server, or an agreement.
    pub policy: Option<Policy>,
    /// Azure: the resource, as in `https://<resource>.openai.azure.com`.
    pub resource: Option<String>,
    /// Clouds: another host than the usual one: `https://my-resource.cognitiveservices.azure.com`.
    #[schemars(example = "https://my-resource.openai.azure.com")]
    pub endpoint: Option<String>,
    /// Azure: a dated version such as `2024-10-21` means the API below `/openai/deployments`; else it is the one below `/openai/v1`.
    #[schemars(example = "2024-10-21")]
    pub api_version: Option<String>,
    /// Azure: the deployment that answers for the one model of `models`.
    pub deployment: Option<String>,
    /// Azure: models by the name callers use, each with the deployment that answers for it.
    #[serde(default)]
    pub deployments: BTreeMap<String, String>,
    /// Amazon Bedrock: the region, as in `us-east-1`.
    #[schemars(example = "us-east-1")]
    pub region: Option<String>,
    /// Google Vertex: the project.
    pub project: Option<String>,
    /// Google Vertex: the location, as in `europe-west4` (`global`).
    #[schemars(example = "europe-west4")]
    pub location: Option<String>,
    /// Google Vertex: a file of credentials; else `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's own, or the machine's account.
    pub credentials_file: Option<String>,
    /// Sign requests with the credentials of an AWS account.
    pub aws: Option<Aws>,
    /// Take tokens from Microsoft Entra.
    pub entra: Option<Entra>,
    /// What it serves.
    pub models: Option<Vec<ModelEntry>>,
    /// Price of models that name none.
    pub price: Option<Price>,
    /// How long to wait for it, where that is another time than for everybody.
    pub timeouts: Option<Patience>,
    /// What it lets each account do: each of its keys, or each of its servers where no key is wanted. Held to, and waited for.
    pub limits: Option<Account>,
    /// Simulated: time to the first token.
    #[schemars(example = "50ms")]
    pub ttft: Option<String>,
    /// Simulated: speed of the tokens after it.
    #[schemars(range(min = 0.001, max = 1_000_000.0))]
    pub tokens_per_second: Option<f64>,
    /// Simulated: how it misbehaves.
    pub fault: Option<FaultTable>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Trains on prompts.
    pub trains: Option<bool>,
    /// Keeps prompts beyond the request.
    pub retains: Option<bool>,
    /// Keeps nothing at all.
    pub zdr: Option<bool>,
}

/// Without a key of its own: the environment, the profile, the container or the machine, as every AWS tool looks for them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
    /// Of temporary credentials.
    pub session_token: Option<String>,
    /// The service that requests are signed for (`bedrock`).
    pub service: Option<String>,
}

/// An application (`tenant`, `client_id`, and `client_secret` or `federated_token_file`), or the identity of the machine (`managed_identity`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entra {
    pub tenant: Option<String>,
    /// The application; with `managed_identity`, which of several identities.
    pub client_id: Option<String>,
    pub client_secret: Option<String>,
    /// In the secret's place, a file with a federated token, as Kubernetes workloads have one.
    pub federated_token_file: Option<String>,
    /// Ask the machine this runs on.
    pub managed_identity: Option<bool>,
    /// Where tokens are given out (`https://login.microsoftonline.com`); with `managed_identity`, the machine's metadata service.
    pub authority: Option<String>,
    /// What the token is for (`https://cognitiveservices.azure.com/.default`).
    pub scope: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedKey {
    pub key: Option<String>,
    /// Share of the requests (1).
    #[schemars(range(min = 1, max = 10_000))]
    pub weight: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelEntry {
    /// The name callers use, which is also the server's own.
    Id(String),
    Table(Box<ModelTable>),
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    /// The name callers use: `lab/two`.
    pub id: Option<String>,
    /// The server's own name for it.
    pub upstream: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Tokens the model can hold.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub context: Option<u64>,
    /// Tokens it may produce.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_output: Option<u64>,
    /// What it reads besides text.
    pub input: Option<Vec<Modality>>,
    /// What it produces besides text; or what it does instead of talking.
    pub output: Option<Vec<Modality>>,
    /// Request parameters it understands (`temperature`, `tools`, …).
    pub params: Option<Vec<String>>,
    /// Precision of the weights: `fp8`, `int4`, …
    pub quantization: Option<String>,
    pub price: Option<Price>,
}

/// What goes in and comes out; the last ones are services in place of talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    Text,
    Image,
    Audio,
    Video,
    File,
    Embeddings,
    Rerank,
    Moderation,
    Speech,
    Transcription,
}

/// USD per million tokens, as decimal strings: `"0.5"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    #[schemars(example = "0.5")]
    pub input: Option<String>,
    #[schemars(example = "0.5")]
    pub output: Option<String>,
    /// Prompt tokens read from a cache (else at the input price).
    #[schemars(example = "0.5")]
    pub cache_read: Option<String>,
    /// Prompt tokens written to a cache (else at the input price).
    #[schemars(example = "0.5")]
    pub cache_write: Option<String>,
    /// The same, kept for an hour.
    #[schemars(example = "0.5")]
    pub cache_write_1h: Option<String>,
    /// Reasoning tokens (else at the output price).
    #[schemars(example = "0.5")]
    pub reasoning: Option<String>,
    #[schemars(example = "0.5")]
    pub audio_in: Option<String>,
    /// Tokens of pictures that are shown, where the provider counts them apart (else at the input price).
    #[schemars(example = "0.5")]
    pub image_in: Option<String>,
    #[schemars(example = "0.5")]
    pub audio_out: Option<String>,
    #[schemars(example = "0.5")]
    pub image_out: Option<String>,
    /// USD per request.
    #[schemars(example = "0.5")]
    pub request: Option<String>,
    /// USD per web search.
    #[schemars(example = "0.5")]
    pub web_search: Option<String>,
    /// USD per search through documents, as rerankers count.
    #[schemars(example = "0.5")]
    pub search: Option<String>,
    /// USD per picture made.
    #[schemars(example = "0.5")]
    pub image: Option<String>,
    /// USD per second of sound heard.
    #[schemars(example = "0.5")]
    pub second: Option<String>,
    /// USD per million characters spoken.
    #[schemars(example = "0.5")]
    pub characters: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultTable {
    /// `status:503`, `stall:10`, `cut:12`, …
    pub mode: Option<String>,
    /// Share of the requests it strikes, 0 to 1 (1).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rate: Option<f64>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct House {
    /// Models it may be served by.
    pub endpoints: Option<Vec<String>>,
    /// How one is chosen.
    pub load_balancer: Option<String>,
    /// How long to wait for answers under this name, where that is another time than for everybody.
    pub timeouts: Option<Patience>,
    /// When a first content is long in coming, ask another endpoint beside the first, and take whichever is sooner. Costs a second
    /// prompt each time.
    pub hedge: Option<Hedge>,
    /// When a stream breaks off in the middle of its words, let another endpoint go on with it, inside the same stream.
    pub continue_streams: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Hedge {
    /// With what is usual: after `p95`, for one request in fifty.
    Flag(bool),
    Table(HedgeTable),
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HedgeTable {
    /// What the first one is given: a percentile of its own lately (`p50`, `p75`, `p90`, `p95`, `p99`), or a time (`p95`).
    #[schemars(example = &"p95")]
    pub after: Option<String>,
    /// Share of the requests, and of what they cost, that may be spent on it (0.02).
    #[schemars(range(min = 0.001, max = 0.05))]
    pub max_share: Option<f64>,
    /// Whether requests are hedged that do not ask for it by `provider.hedge` (true).
    pub unasked: Option<bool>,
}

/// The schema, as a value.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Raw).to_value()
}
