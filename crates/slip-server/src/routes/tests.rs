//! Where paths lead.

use super::*;

fn name(method: Method, path: &str) -> String {
    match find(&method, path) {
        Found::Route(route, captured) => format!("{:?} {}", route.to, captured.join(",")).trim_end().to_owned(),
        Found::Method(allowed) => format!("use {allowed}"),
        Found::Nothing(near) => near.map_or("nothing".to_owned(), |n| format!("near {n}")),
    }
}

#[test]
fn every_prefix_clients_use_leads_to_the_same_place() {
    let rows = [
        (Method::POST, "/api/v1/chat/completions", "Generate(OpenAiChat)"),
        (Method::POST, "/v1/chat/completions", "Generate(OpenAiChat)"),
        (Method::POST, "/v1/v1/chat/completions", "Generate(OpenAiChat)"),
        (Method::POST, "/api/v1/v1/messages", "Generate(Anthropic)"),
        (Method::POST, "/api/v1/chat/completions/", "Generate(OpenAiChat)"),
        (Method::POST, "/v1/messages", "Generate(Anthropic)"),
        (Method::POST, "/v1/completions", "Generate(Completions)"),
        (Method::POST, "/api/chat", "Generate(Ollama)"),
        (Method::POST, "/api/generate", "Generate(OllamaGenerate)"),
        (Method::GET, "/api/tags", "OllamaTags"),
        (Method::POST, "/v2/chat", "Generate(Cohere)"),
        (
            Method::POST,
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "Generate(Gemini) gemini-2.5-pro:generateContent",
        ),
        (Method::POST, "/v1beta/models/sim/echo:generateContent", "Generate(Gemini) sim/echo:generateContent"),
        (Method::POST, "/v1beta/models/sim%2Fecho:generateContent", "Generate(Gemini) sim/echo:generateContent"),
        (Method::POST, "/v1/models/sim/echo:streamGenerateContent", "Generate(Gemini) sim/echo:streamGenerateContent"),
        (Method::POST, "/v1beta/sim/echo:generateContent", "Generate(Gemini) sim/echo:generateContent"),
        (Method::GET, "/v1beta/models", "Models"),
        (Method::GET, "/v1beta/models/sim/echo", "Retrieve sim/echo"),
        (Method::POST, "/model/sim%2Fecho/converse", "Generate(Bedrock) sim/echo/converse"),
        (Method::POST, "/model/us.a.b-v1%3A0/converse-stream", "Generate(Bedrock) us.a.b-v1:0/converse-stream"),
        (Method::GET, "/api/v1/models", "Models"),
        (Method::POST, "/v1/embeddings", "Serve(Embeddings, OpenAi, OpenAiChat)"),
        (Method::POST, "/api/embeddings", "Serve(Embeddings, OllamaOld, Ollama)"),
        (Method::POST, "/api/embed", "Serve(Embeddings, Ollama, Ollama)"),
        (Method::POST, "/v2/embed", "Serve(Embeddings, Cohere, Cohere)"),
        (Method::GET, "/api/v1/embeddings/models", "ServiceModels(Embeddings)"),
        (Method::POST, "/v2/rerank", "Serve(Rerank, Cohere, Cohere)"),
        (Method::POST, "/v1/rerank", "Serve(Rerank, OpenAi, OpenAiChat)"),
        (Method::POST, "/v1/messages/count_tokens", "Serve(CountTokens, Anthropic, Anthropic)"),
        (Method::POST, "/v1/responses/input_tokens", "Serve(CountTokens, Responses, Responses)"),
        (Method::GET, "/api/v1/models/openai/gpt-5/endpoints", "Endpoints openai,gpt-5"),
        (Method::GET, "/api/v1/models/openai/gpt-5%3Afree/endpoints", "Endpoints openai,gpt-5:free"),
        (Method::GET, "/v1/models/openai/gpt-5", "Retrieve openai/gpt-5"),
        (Method::GET, "/v1/models/openai%2Fgpt-5", "Retrieve openai/gpt-5"),
        (Method::GET, "/v1/models/count", "ModelsCount"),
        (Method::GET, "/api/v1/auth/key", "KeyInfo"),
        (Method::GET, "/auth", "SignIn(Ask)"),
        (Method::POST, "/auth", "SignIn(Consent)"),
        (Method::POST, "/api/v1/auth/keys", "SignIn(Exchange)"),
        (Method::POST, "/v1/auth/keys/code", "SignIn(Code)"),
        (Method::GET, "/api/v1/auth/keys", "use POST"),
        (Method::GET, "/api/v1/workspaces/a-b/budgets/daily", "Team(Budget) a-b,daily"),
        (Method::GET, "/api/v1/guardrails/assignments/keys", "Team(AllKeys)"),
        (Method::POST, "/v1/guardrails/g/assignments/keys/remove", "Team(UnassignKeys) g"),
        (Method::PUT, "/api/v1/workspaces/a", "use GET, PATCH, DELETE"),
        (Method::GET, "/healthz", "Health"),
        (Method::GET, "/api/v1/chat/completions", "use POST"),
        (Method::POST, "/chat/completions", "near POST /api/v1/chat/completions"),
        (Method::POST, "/api/v1/chat/completion", "near POST /api/v1/chat/completions"),
        (Method::POST, "/api/v1/chat", "near POST /api/v1/chat/completions"),
        (Method::POST, "/v1/audio", "near POST /api/v1/audio/speech"),
        (Method::GET, "/api/v1/model", "near GET /api/v1/models"),
        (Method::GET, "/nowhere/at/all", "nothing"),
        (Method::GET, "/v1x/models", "near GET /v1beta/models"),
        (Method::GET, "/api/v1/models/a%00b/c/endpoints", "nothing"),
    ];
    for (method, path, want) in rows {
        let got = name(method, path);
        assert!(got == want || (want == "nothing" && got.starts_with("near")), "{path}: {got}, not {want}");
    }
}
