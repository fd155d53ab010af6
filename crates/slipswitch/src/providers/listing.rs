//! What the lists of servers people run themselves say beside names: vLLM, SGLang, llama.cpp, LM Studio, Ollama, TGI.

use crate::listing;
use serde_json::Value;

const MAX_MODELS: usize = 500;

/// What a list says of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    /// Tokens it can hold, as it is served.
    pub context: Option<u64>,
    /// It makes vectors and does not talk.
    pub embeds: bool,
    /// It reads pictures.
    pub sees: bool,
    /// Precision of the weights.
    pub quantization: Option<String>,
}

/// The models of a list. `None` for what is no list of models.
pub fn read(list: &Value) -> Option<Vec<Listed>> {
    let (items, names) = listing::items(list)?;
    Some(items.iter().filter_map(|item| one(item, names)).take(MAX_MODELS).collect())
}

fn one(item: &Value, names: [&str; 2]) -> Option<Listed> {
    let told = listing::told(item, names)?;
    let number = |places: &[&str]| places.iter().find_map(|place| item.pointer(place)?.as_u64()).filter(|n| *n > 0);
    let kind = item["type"].as_str().unwrap_or_default();
    let says = |list: &Value, word: &str| list.as_array().is_some_and(|l| l.iter().any(|w| w == word));
    let methods = &item["supportedGenerationMethods"];
    Some(Listed {
        // As it is served, before what it could be.
        context: number(&["/loaded_context_length", "/max_model_len", "/meta/n_ctx"])
            .or(told.context)
            .or(number(&["/meta/n_ctx_train"])),
        embeds: matches!(kind, "embedding" | "embeddings")
            || says(methods, "embedContent") && !says(methods, "generateContent")
            || says(&item["capabilities"], "embedding")
            || told.id.contains("embed"),
        sees: kind == "vlm"
            || says(&item["capabilities"], "vision")
            || says(&item["capabilities"], "multimodal")
            || item["capabilities"]["vision"] == true
            || says(&item["architecture"]["input_modalities"], "image"),
        quantization: ["/quantization", "/details/quantization_level"]
            .iter()
            .find_map(|place| item.pointer(place)?.as_str())
            .map(str::to_lowercase),
        id: told.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_read_as_servers_write_them_and_nothing_else_is() {
        let listed = |id: &str, context: Option<u64>| Listed { id: id.into(), context, ..Listed::default() };
        let rows = [
            (json!({ "data": [{ "id": "a" }, { "id": "b c" }, {}] }), vec![listed("a", None)]),
            (
                json!({ "object": "list", "data": [{ "id": "q", "owned_by": "vllm", "max_model_len": 8192 }] }),
                vec![listed("q", Some(8192))],
            ),
            (
                json!({ "data": [{ "id": "l", "owned_by": "llamacpp", "meta": { "n_ctx_train": 131072 } }] }),
                vec![listed("l", Some(131_072))],
            ),
            (
                json!({ "data": [{ "id": "m", "type": "vlm", "max_context_length": 32768, "loaded_context_length": 4096, "quantization": "Q4_K_M" }] }),
                vec![Listed { sees: true, quantization: Some("q4_k_m".into()), ..listed("m", Some(4096)) }],
            ),
            (
                json!({ "models": [{ "name": "llama3:8b", "model": "llama3:8b", "details": { "quantization_level": "Q4_0" } }] }),
                vec![Listed { quantization: Some("q4_0".into()), ..listed("llama3:8b", None) }],
            ),
            (
                json!({ "models": [{ "name": "models/g-1", "inputTokenLimit": 1000, "supportedGenerationMethods": ["embedContent"] }] }),
                vec![Listed { embeds: true, ..listed("g-1", Some(1000)) }],
            ),
            (json!([{ "id": "t", "context_length": 4096 }]), vec![listed("t", Some(4096))]),
        ];
        for (list, want) in rows {
            assert_eq!(read(&list), Some(want), "{list}");
        }
        for strange in [json!({ "hello": 1 }), json!("x"), json!(null), json!({ "data": {} })] {
            assert_eq!(read(&strange), None, "{strange}");
        }
    }
}
