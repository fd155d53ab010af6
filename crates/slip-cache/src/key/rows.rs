//! What in a request does not change the answer, and what makes the answer more than a function of the request: a table per
//! dialect. Whatever no row names counts as it stands.
//!
//! A row may only say [`Say::Nothing`] of what is known to leave the answer alone: a wrong row hands out wrong answers, a
//! missing one costs a miss.

use slip_ir::{Dialect, Op};

/// What a member says about the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Nothing: who asked, how it is to be delivered or paid, what a provider may keep.
    Nothing,
    /// This value (in its one spelling) is what silence means, whatever the model.
    Usual(&'static str),
    /// Another name of that member.
    Alias(&'static str),
    /// The answer depends on what is kept or happens elsewhere. `null`, `false` and `[]` say that it does not.
    Live,
    /// So it does if the value begins with one of these words.
    LiveIf(&'static [&'static str]),
}

/// One member, by the names on the way to it; `*` is every element of an array.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub path: &'static [&'static str],
    pub say: Say,
}

impl Row {
    pub fn name(&self) -> String {
        self.path.join(".")
    }
}

/// The rows of a dialect, and where they are from.
#[derive(Debug)]
pub struct Table {
    pub rows: &'static [Row],
    pub source: &'static str,
}

const fn row(path: &'static [&'static str], say: Say) -> Row {
    Row { path, say }
}

/// The rows of this house, which are OpenRouter's, and those of a dialect. The model is said by the scope, as resolved.
macro_rules! table {
    ($source:literal, $($say:expr => [$($path:literal),+],)*) => {
        Table {
            source: $source,
            rows: &[
                row(&["model"], Say::Nothing),
                row(&["stream"], Say::Nothing),
                row(&["stream_options"], Say::Nothing),
                row(&["usage"], Say::Nothing),
                row(&["user"], Say::Nothing),
                row(&["session_id"], Say::Nothing),
                row(&["trace"], Say::Nothing),
                row(&["metadata"], Say::Nothing),
                row(&["service_tier"], Say::Nothing),
                row(&["cache_control"], Say::Nothing),
                row(&["debug"], Say::Live),
                row(&["plugins", "*", "id"], Say::LiveIf(&["web"])),
                $(row(&[$($path),+], $say),)*
            ],
        }
    };
}

/// Tools that a provider runs itself, by what their type begins with.
const RUN_ELSEWHERE: Say = Say::LiveIf(&[
    "openrouter:",
    "web_search",
    "web_fetch",
    "browser",
    "code_interpreter",
    "code_execution",
    "file_search",
    "shell",
    "mcp",
]);

use Say::{Alias, Live, Nothing, Usual};

static CHAT: Table = table! {
    "https://platform.openai.com/docs/api-reference/chat/create and https://openrouter.ai/docs/api-reference, read in November 2026",
    Nothing => ["safety_identifier"],
    Nothing => ["prompt_cache_key"],
    Nothing => ["prompt_cache_options"],
    Nothing => ["prompt_cache_retention"],
    Nothing => ["store"],
    Nothing => ["messages", "*", "cache_control"],
    Nothing => ["messages", "*", "content", "*", "cache_control"],
    Nothing => ["tools", "*", "cache_control"],
    Alias("max_tokens") => ["max_completion_tokens"],
    Usual("1") => ["n"],
    Usual("0") => ["frequency_penalty"],
    Usual("0") => ["presence_penalty"],
    Usual("false") => ["logprobs"],
    Live => ["web_search_options"],
    RUN_ELSEWHERE => ["tools", "*", "type"],
};

static RESPONSES: Table = table! {
    // `store` counts: an answer that was stored can be gone on with by its id, and one that was not cannot.
    "https://platform.openai.com/docs/api-reference/responses/create, read in November 2026",
    Nothing => ["safety_identifier"],
    Nothing => ["prompt_cache_key"],
    Nothing => ["prompt_cache_options"],
    Nothing => ["prompt_cache_retention"],
    Live => ["previous_response_id"],
    Live => ["conversation"],
    Live => ["background"],
    Live => ["prompt"],
    RUN_ELSEWHERE => ["tools", "*", "type"],
};

static COMPLETIONS: Table = table! {
    "https://platform.openai.com/docs/api-reference/completions/create, read in November 2026",
    Usual("1") => ["n"],
    Usual("0") => ["frequency_penalty"],
    Usual("0") => ["presence_penalty"],
    Usual("false") => ["echo"],
};

static ANTHROPIC: Table = table! {
    "https://docs.anthropic.com/en/api/messages, read in November 2026",
    Nothing => ["system", "*", "cache_control"],
    Nothing => ["tools", "*", "cache_control"],
    Nothing => ["messages", "*", "content", "*", "cache_control"],
    Nothing => ["messages", "*", "content", "*", "content", "*", "cache_control"],
    Live => ["container"],
    Live => ["mcp_servers"],
    RUN_ELSEWHERE => ["tools", "*", "type"],
};

static GEMINI: Table = table! {
    "https://ai.google.dev/api/generate-content, read in November 2026; both spellings of a name are accepted there",
    Nothing => ["labels"],
    Nothing => ["serviceTier"],
    Live => ["tools", "*", "googleSearch"],
    Live => ["tools", "*", "google_search"],
    Live => ["tools", "*", "googleSearchRetrieval"],
    Live => ["tools", "*", "google_search_retrieval"],
    Live => ["tools", "*", "googleMaps"],
    Live => ["tools", "*", "google_maps"],
    Live => ["tools", "*", "urlContext"],
    Live => ["tools", "*", "url_context"],
    Live => ["tools", "*", "codeExecution"],
    Live => ["tools", "*", "code_execution"],
    Live => ["tools", "*", "fileSearch"],
    Live => ["tools", "*", "file_search"],
    Live => ["tools", "*", "retrieval"],
};

static OLLAMA: Table = table! {
    "https://github.com/ollama/ollama/blob/main/docs/api.md, read in November 2026",
    Nothing => ["keep_alive"],
};

static COHERE: Table = table! {
    "https://docs.cohere.com/reference/chat, read in November 2026",
    Nothing => ["priority"],
};

static BEDROCK: Table = table! {
    "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, read in November 2026",
    Nothing => ["requestMetadata"],
    Nothing => ["performanceConfig"],
    Nothing => ["serviceTier"],
    Nothing => ["system", "*", "cachePoint"],
    Nothing => ["messages", "*", "content", "*", "cachePoint"],
    Nothing => ["toolConfig", "tools", "*", "cachePoint"],
};

static EMBEDDINGS: Table = table! {
    "https://platform.openai.com/docs/api-reference/embeddings/create, read in November 2026",
    Usual("\"float\"") => ["encoding_format"],
};

static IMAGE: Table = table! {
    "https://platform.openai.com/docs/api-reference/images/create, read in November 2026",
    Usual("1") => ["n"],
    Live => ["callback_url"],
};

/// Other services have nothing of their own to leave out.
static OTHER: Table = table! {
    "https://openrouter.ai/docs/api-reference, read in November 2026",
};

/// The table of a request of this kind.
pub fn table(dialect: Dialect, op: Op) -> &'static Table {
    match (op, dialect) {
        (Op::Chat, Dialect::OpenAiChat) => &CHAT,
        (Op::Chat, Dialect::Responses) => &RESPONSES,
        (Op::Chat, Dialect::Completions) => &COMPLETIONS,
        (Op::Chat, Dialect::Anthropic) => &ANTHROPIC,
        (Op::Chat, Dialect::Gemini) => &GEMINI,
        (Op::Chat, Dialect::Ollama | Dialect::OllamaGenerate) => &OLLAMA,
        (Op::Chat, Dialect::Cohere) => &COHERE,
        (Op::Chat, Dialect::Bedrock) => &BEDROCK,
        (Op::Embeddings, _) => &EMBEDDINGS,
        (Op::Image, _) => &IMAGE,
        _ => &OTHER,
    }
}

pub(super) fn of(dialect: Dialect, op: Op) -> &'static [Row] {
    table(dialect, op).rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_source_and_no_more_rows_than_there_are_bits() {
        for dialect in Dialect::ALL {
            for op in Op::ALL {
                let table = table(dialect, op);
                assert!(table.source.starts_with("https://") && table.source.contains("2026"), "{dialect} {op}");
                assert!(table.rows.len() <= 64);
                for (at, row) in table.rows.iter().enumerate() {
                    assert!(!row.path.is_empty());
                    assert!(table.rows[..at].iter().all(|other| other.path != row.path), "{} twice", row.name());
                }
            }
        }
    }
}
