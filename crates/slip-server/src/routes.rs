//! Every path we answer, who may call it, and where a wrong one should have gone.

use crate::api::sign_in::SignIn;
use crate::api::teams::Team;
use http::Method;
use slip_ir::{Dialect, Op};
use slip_wire::ops::Shape;

mod find;
#[cfg(test)]
mod tests;

pub use find::{Found, decode, find};

/// Who may call a route. There is no default: a route without one does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Anybody: liveness probes only.
    Public,
    /// Anybody, whatever their headers say: a page, or what shows by its body who sent it.
    Open,
    /// Facts of the catalogue: anybody, but a credential that is presented must be good.
    Catalogue,
    /// An API key.
    Key,
    /// An API key or a management key.
    AnyKey,
    /// A management key.
    Management,
    /// A management key, or a peer on loopback (a scraper on the same machine).
    LocalOrManagement,
}

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// A reply of a model, asked for in this dialect.
    Generate(Dialect),
    /// A service beside chat, asked for in this spelling; errors are told in the dialect.
    Serve(Op, Shape, Dialect),
    /// The models that can be asked for a service.
    ServiceModels(Op),
    ImageModels,
    ImageEndpoints,
    Models,
    ModelsCount,
    ModelsUser,
    Model,
    /// The model object itself, without OpenRouter's `data` around it.
    Retrieve,
    Endpoints,
    ZeroRetention,
    Providers,
    Generation,
    Generations,
    GenerationContent,
    AnalyticsMeta,
    AnalyticsQuery,
    /// How a request would be routed.
    Explain,
    KeyInfo,
    Keys(Keys),
    Credits,
    /// Answers that are given again.
    Cache(Cache),
    Activity,
    /// Workspaces, members and guardrails.
    Team(Team),
    /// Keys for apps, by a page that asks.
    SignIn(SignIn),
    Health,
    Ready,
    Metrics,
    Version,
    OllamaTags,
    OllamaShow,
    OllamaRunning,
    OllamaVersion,
}

/// What is done with answers that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    Stats,
    List,
    Purge,
}

/// What is done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    List,
    Create,
    One,
    Edit,
    Delete,
    Rotate,
}

pub struct Route {
    pub method: Method,
    /// Without the `/api/v1` prefix, except where it starts with `//`: then it stands at the root.
    pub pattern: &'static str,
    pub auth: Auth,
    pub to: To,
    /// One line for the documentation.
    pub about: &'static str,
}

const fn route(method: Method, pattern: &'static str, auth: Auth, to: To, about: &'static str) -> Route {
    Route { method, pattern, auth, to, about }
}

/// The table. `docs/api.md` is checked against it.
pub static ROUTES: &[Route] = &[
    route(
        Method::POST,
        "/chat/completions",
        Auth::Key,
        To::Generate(Dialect::OpenAiChat),
        "chat with any model, streamed or not",
    ),
    route(
        Method::POST,
        "/messages",
        Auth::Key,
        To::Generate(Dialect::Anthropic),
        "the same, as Anthropic clients say it",
    ),
    route(
        Method::POST,
        "/responses",
        Auth::Key,
        To::Generate(Dialect::Responses),
        "the same, as clients of OpenAI's Responses say it",
    ),
    route(
        Method::POST,
        "/completions",
        Auth::Key,
        To::Generate(Dialect::Completions),
        "a prompt to be continued, as legacy OpenAI clients say it",
    ),
    route(
        Method::POST,
        "//v1beta/models/{model...}",
        Auth::Key,
        To::Generate(Dialect::Gemini),
        "the same, as Gemini clients say it",
    ),
    route(
        Method::POST,
        "//model/{model...}",
        Auth::Key,
        To::Generate(Dialect::Bedrock),
        "the same, as Bedrock clients say it (`/converse`, `/converse-stream`, `/invoke`, `/invoke-with-response-stream`, `/count-tokens`)",
    ),
    route(
        Method::POST,
        "//v1beta/{model...}",
        Auth::Key,
        To::Generate(Dialect::Gemini),
        "the same, as `@ai-sdk/google` says it of names with a slash",
    ),
    route(
        Method::POST,
        "/models/{model...}",
        Auth::Key,
        To::Generate(Dialect::Gemini),
        "the same, as newer Gemini clients say it (at `/v1`)",
    ),
    route(Method::GET, "//v1beta/models", Auth::Catalogue, To::Models, "the models, as Gemini clients read them"),
    route(
        Method::GET,
        "//v1beta/models/{model...}",
        Auth::Catalogue,
        To::Retrieve,
        "one model, as Gemini clients read it",
    ),
    route(
        Method::POST,
        "/embeddings",
        Auth::Key,
        To::Serve(Op::Embeddings, Shape::OpenAi, Dialect::OpenAiChat),
        "vectors of texts",
    ),
    route(
        Method::POST,
        "//v2/embed",
        Auth::Key,
        To::Serve(Op::Embeddings, Shape::Cohere, Dialect::Cohere),
        "the same, as Cohere clients say it",
    ),
    route(
        Method::POST,
        "//api/embed",
        Auth::Key,
        To::Serve(Op::Embeddings, Shape::Ollama, Dialect::Ollama),
        "the same, as Ollama clients say it",
    ),
    route(
        Method::POST,
        "//api/embeddings",
        Auth::Key,
        To::Serve(Op::Embeddings, Shape::OllamaOld, Dialect::Ollama),
        "the same, as Ollama clients said it once",
    ),
    route(
        Method::GET,
        "/embeddings/models",
        Auth::Catalogue,
        To::ServiceModels(Op::Embeddings),
        "the models that make vectors",
    ),
    route(
        Method::POST,
        "/rerank",
        Auth::Key,
        To::Serve(Op::Rerank, Shape::OpenAi, Dialect::OpenAiChat),
        "documents, the best answers first",
    ),
    route(
        Method::POST,
        "//v2/rerank",
        Auth::Key,
        To::Serve(Op::Rerank, Shape::Cohere, Dialect::Cohere),
        "the same, as Cohere clients say it",
    ),
    route(
        Method::POST,
        "/moderations",
        Auth::Key,
        To::Serve(Op::Moderation, Shape::OpenAi, Dialect::OpenAiChat),
        "whether a text is harmful",
    ),
    route(
        Method::POST,
        "/messages/count_tokens",
        Auth::Key,
        To::Serve(Op::CountTokens, Shape::Anthropic, Dialect::Anthropic),
        "how many tokens a conversation would take",
    ),
    route(
        Method::POST,
        "/responses/input_tokens",
        Auth::Key,
        To::Serve(Op::CountTokens, Shape::Responses, Dialect::Responses),
        "the same, as OpenAI clients say it",
    ),
    route(
        Method::POST,
        "/images",
        Auth::Key,
        To::Serve(Op::Image, Shape::OpenRouter, Dialect::OpenAiChat),
        "pictures from a description or from other pictures",
    ),
    route(
        Method::POST,
        "/images/generations",
        Auth::Key,
        To::Serve(Op::Image, Shape::OpenAi, Dialect::OpenAiChat),
        "the same, as OpenAI clients ask for it",
    ),
    route(
        Method::POST,
        "/images/edits",
        Auth::Key,
        To::Serve(Op::Image, Shape::OpenAiEdits, Dialect::OpenAiChat),
        "pictures changed, as OpenAI clients ask for it",
    ),
    route(Method::GET, "/images/models", Auth::Catalogue, To::ImageModels, "the models that make pictures"),
    route(
        Method::GET,
        "/images/models/{author}/{slug}/endpoints",
        Auth::Catalogue,
        To::ImageEndpoints,
        "who serves such a model, and for how much",
    ),
    route(
        Method::POST,
        "/audio/speech",
        Auth::Key,
        To::Serve(Op::Speech, Shape::OpenAi, Dialect::OpenAiChat),
        "text into sound, as it is spoken",
    ),
    route(
        Method::POST,
        "/audio/transcriptions",
        Auth::Key,
        To::Serve(Op::Transcription, Shape::OpenAi, Dialect::OpenAiChat),
        "sound into text",
    ),
    route(
        Method::POST,
        "/audio/translations",
        Auth::Key,
        To::Serve(Op::Translation, Shape::OpenAi, Dialect::OpenAiChat),
        "sound into English text",
    ),
    route(Method::GET, "/models", Auth::Catalogue, To::Models, "every model that can be reached"),
    route(Method::GET, "/models/count", Auth::Catalogue, To::ModelsCount, "how many"),
    route(Method::GET, "/models/user", Auth::Key, To::ModelsUser, "those this key may use"),
    route(Method::GET, "/model/{author}/{slug}", Auth::Catalogue, To::Model, "one model"),
    route(Method::GET, "/models/{author}/{slug}/endpoints", Auth::Catalogue, To::Endpoints, "who serves a model"),
    route(Method::GET, "/models/{model...}", Auth::Catalogue, To::Retrieve, "one model, as OpenAI clients ask for it"),
    route(Method::GET, "/endpoints/zdr", Auth::Catalogue, To::ZeroRetention, "endpoints that keep nothing"),
    route(Method::GET, "/providers", Auth::Catalogue, To::Providers, "the providers that are switched on"),
    route(
        Method::GET,
        "/generation",
        Auth::AnyKey,
        To::Generation,
        "what one generation cost and how it went (`?id=`)",
    ),
    route(Method::GET, "/generations", Auth::AnyKey, To::Generations, "the records of many, the newest first"),
    route(
        Method::GET,
        "/generation/content",
        Auth::AnyKey,
        To::GenerationContent,
        "what was asked and answered (`?id=`), where the key has it kept",
    ),
    route(
        Method::POST,
        "/explain",
        Auth::Key,
        To::Explain,
        "how a request would be routed, and why; nothing is asked of anybody",
    ),
    route(Method::GET, "/key", Auth::AnyKey, To::KeyInfo, "the key you are using"),
    route(Method::GET, "/auth/key", Auth::AnyKey, To::KeyInfo, "its old name"),
    route(
        Method::GET,
        "/cache",
        Auth::Management,
        To::Cache(Cache::Stats),
        "how many answers are kept, and what giving them again has saved",
    ),
    route(
        Method::GET,
        "/cache/entries",
        Auth::Management,
        To::Cache(Cache::List),
        "the answers that are kept, without what they say",
    ),
    route(
        Method::DELETE,
        "/cache/entries",
        Auth::Management,
        To::Cache(Cache::Purge),
        "forget those of a model, a key or a prefix; all of them with `?all=true`",
    ),
    route(Method::GET, "/keys", Auth::Management, To::Keys(Keys::List), "all keys of a workspace"),
    route(
        Method::POST,
        "/keys",
        Auth::Management,
        To::Keys(Keys::Create),
        "make a key; its secret is told here and never again",
    ),
    route(Method::GET, "/keys/{hash}", Auth::Management, To::Keys(Keys::One), "one key"),
    route(Method::PATCH, "/keys/{hash}", Auth::Management, To::Keys(Keys::Edit), "change a key"),
    route(
        Method::DELETE,
        "/keys/{hash}",
        Auth::Management,
        To::Keys(Keys::Delete),
        "delete a key; what it used stays on record",
    ),
    route(
        Method::POST,
        "/keys/{hash}/rotate",
        Auth::Management,
        To::Keys(Keys::Rotate),
        "give a key another secret; the old one opens it for a while",
    ),
    route(Method::GET, "/credits", Auth::AnyKey, To::Credits, "what may be spent, and what has been"),
    route(Method::GET, "/activity", Auth::Management, To::Activity, "what was used, by day and model"),
    route(Method::GET, "/analytics/meta", Auth::Management, To::AnalyticsMeta, "what can be asked of what was used"),
    route(
        Method::POST,
        "/analytics/query",
        Auth::Management,
        To::AnalyticsQuery,
        "what was used: sums by time, model, provider, key, user, workspace",
    ),
    route(Method::GET, "//healthz", Auth::Public, To::Health, "alive"),
    route(Method::GET, "//livez", Auth::Public, To::Health, "alive"),
    route(Method::GET, "//readyz", Auth::Public, To::Ready, "able to serve"),
    route(Method::GET, "//metrics", Auth::LocalOrManagement, To::Metrics, "Prometheus metrics"),
    route(Method::GET, "//version", Auth::Public, To::Version, "name and version"),
    route(
        Method::POST,
        "//api/chat",
        Auth::Key,
        To::Generate(Dialect::Ollama),
        "chat, as Ollama's programs and libraries say it",
    ),
    route(
        Method::POST,
        "//api/generate",
        Auth::Key,
        To::Generate(Dialect::OllamaGenerate),
        "a prompt to be answered, as they say it",
    ),
    route(Method::POST, "//v2/chat", Auth::Key, To::Generate(Dialect::Cohere), "chat, as Cohere's clients say it"),
    route(Method::GET, "//api/tags", Auth::Catalogue, To::OllamaTags, "every model, as Ollama lists them"),
    route(Method::POST, "//api/show", Auth::Catalogue, To::OllamaShow, "what one model can do, as Ollama tells it"),
    route(Method::GET, "//api/ps", Auth::Catalogue, To::OllamaRunning, "models held in memory: none"),
    route(Method::GET, "//api/version", Auth::Public, To::OllamaVersion, "the release of Ollama whose API is spoken"),
    route(Method::GET, "/workspaces", Auth::Management, To::Team(Team::Workspaces), "the workspaces"),
    route(Method::POST, "/workspaces", Auth::Management, To::Team(Team::MakeWorkspace), "a new workspace"),
    route(
        Method::GET,
        "/workspaces/{id}",
        Auth::Management,
        To::Team(Team::Workspace),
        "one workspace, by its id or slug",
    ),
    route(Method::PATCH, "/workspaces/{id}", Auth::Management, To::Team(Team::ChangeWorkspace), "change it"),
    route(
        Method::DELETE,
        "/workspaces/{id}",
        Auth::Management,
        To::Team(Team::RemoveWorkspace),
        "remove it with its budgets and guardrails; not while it has keys",
    ),
    route(
        Method::GET,
        "/workspaces/{id}/budgets",
        Auth::Management,
        To::Team(Team::Budgets),
        "what a workspace may spend",
    ),
    route(
        Method::GET,
        "/workspaces/{id}/budgets/{interval}",
        Auth::Management,
        To::Team(Team::Budget),
        "the same of one interval (`daily`, `weekly`, `monthly`, `lifetime`)",
    ),
    route(
        Method::PUT,
        "/workspaces/{id}/budgets/{interval}",
        Auth::Management,
        To::Team(Team::PutBudget),
        "set it; budgets grow with the interval",
    ),
    route(
        Method::DELETE,
        "/workspaces/{id}/budgets/{interval}",
        Auth::Management,
        To::Team(Team::RemoveBudget),
        "lift it",
    ),
    route(
        Method::GET,
        "/workspaces/{id}/members",
        Auth::Management,
        To::Team(Team::Joined),
        "who belongs to a workspace; to the default one everybody",
    ),
    route(Method::POST, "/workspaces/{id}/members/add", Auth::Management, To::Team(Team::Join), "add members"),
    route(
        Method::POST,
        "/workspaces/{id}/members/remove",
        Auth::Management,
        To::Team(Team::Leave),
        "remove members; not those with keys in it",
    ),
    route(Method::GET, "/organization/members", Auth::Management, To::Team(Team::Members), "the members"),
    route(
        Method::POST,
        "/organization/members",
        Auth::Management,
        To::Team(Team::MakeMember),
        "a new member (ours; OpenRouter has a sign-up)",
    ),
    route(Method::GET, "/organization/members/{id}", Auth::Management, To::Team(Team::Member), "one member (ours)"),
    route(
        Method::PATCH,
        "/organization/members/{id}",
        Auth::Management,
        To::Team(Team::ChangeMember),
        "change one (ours)",
    ),
    route(
        Method::DELETE,
        "/organization/members/{id}",
        Auth::Management,
        To::Team(Team::RemoveMember),
        "remove one who has no keys (ours)",
    ),
    route(
        Method::GET,
        "/guardrails/assignments/keys",
        Auth::Management,
        To::Team(Team::AllKeys),
        "which guardrail holds for which key",
    ),
    route(
        Method::GET,
        "/guardrails/assignments/members",
        Auth::Management,
        To::Team(Team::AllMembers),
        "which guardrail holds for which member",
    ),
    route(
        Method::GET,
        "/guardrails",
        Auth::Management,
        To::Team(Team::Guardrails),
        "the guardrails of a workspace (`?workspace_id=`)",
    ),
    route(
        Method::POST,
        "/guardrails",
        Auth::Management,
        To::Team(Team::MakeGuardrail),
        "a new guardrail; it holds for nobody yet",
    ),
    route(Method::GET, "/guardrails/{id}", Auth::Management, To::Team(Team::Guardrail), "one guardrail"),
    route(
        Method::PATCH,
        "/guardrails/{id}",
        Auth::Management,
        To::Team(Team::ChangeGuardrail),
        "change it; a workspace's default guardrail is made by this",
    ),
    route(Method::DELETE, "/guardrails/{id}", Auth::Management, To::Team(Team::RemoveGuardrail), "remove it"),
    route(
        Method::GET,
        "/byok",
        Auth::Management,
        To::Team(Team::ProviderKeys),
        "the keys a workspace has at providers",
    ),
    route(
        Method::POST,
        "/byok",
        Auth::Management,
        To::Team(Team::MakeProviderKey),
        "put one in; its secret is never shown",
    ),
    route(Method::GET, "/byok/{id}", Auth::Management, To::Team(Team::ProviderKey), "one key at a provider"),
    route(Method::PATCH, "/byok/{id}", Auth::Management, To::Team(Team::ChangeProviderKey), "change it, or its secret"),
    route(
        Method::DELETE,
        "/byok/{id}",
        Auth::Management,
        To::Team(Team::RemoveProviderKey),
        "remove it, secret and all",
    ),
    route(
        Method::GET,
        "/guardrails/{id}/assignments/keys",
        Auth::Management,
        To::Team(Team::Keys),
        "the keys it holds for",
    ),
    route(
        Method::POST,
        "/guardrails/{id}/assignments/keys",
        Auth::Management,
        To::Team(Team::AssignKeys),
        "let it hold for keys, in place of what held before",
    ),
    route(
        Method::POST,
        "/guardrails/{id}/assignments/keys/remove",
        Auth::Management,
        To::Team(Team::UnassignKeys),
        "let it hold for them no more",
    ),
    route(
        Method::GET,
        "/guardrails/{id}/assignments/members",
        Auth::Management,
        To::Team(Team::Assigned),
        "the members it holds for",
    ),
    route(
        Method::POST,
        "/guardrails/{id}/assignments/members",
        Auth::Management,
        To::Team(Team::AssignMembers),
        "let it hold for members, in place of what held before",
    ),
    route(
        Method::POST,
        "/guardrails/{id}/assignments/members/remove",
        Auth::Management,
        To::Team(Team::UnassignMembers),
        "let it hold for them no more",
    ),
    route(
        Method::GET,
        "//auth",
        Auth::Open,
        To::SignIn(SignIn::Ask),
        "the page on which somebody allows an app (`?callback_url=`)",
    ),
    route(Method::POST, "//auth", Auth::Open, To::SignIn(SignIn::Consent), "its form"),
    route(
        Method::POST,
        "/auth/keys/code",
        Auth::AnyKey,
        To::SignIn(SignIn::Code),
        "allow an app without the page: a code for it",
    ),
    route(Method::POST, "/auth/keys", Auth::Open, To::SignIn(SignIn::Exchange), "an app's code for a key of its own"),
];

impl Route {
    /// The path as a caller should write it.
    pub fn public(&self) -> String {
        match self.pattern.strip_prefix("//") {
            Some(rooted) => format!("/{rooted}"),
            None => format!("/api/v1{}", self.pattern),
        }
    }
}
