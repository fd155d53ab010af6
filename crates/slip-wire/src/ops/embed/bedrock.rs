//! Amazon Bedrock's InvokeModel: no spelling of its own, but that of each model's maker, told by the model's name. Counts of tokens
//! stand in the answer's head; see [`crate::envelope::counted`]
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html>, 2026-11).

use super::{Input, Purpose, Reply, Task, Vector, cohere};
use crate::Malformed;
use crate::envelope::{METRICS, escaped};
use crate::json;
use crate::ops::{Sent, Shape, count};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use slip_ir::{Loss, Usage};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Cohere,
    /// Amazon's for texts. The first version has one length of vector.
    Titan {
        first: bool,
    },
    /// Amazon's for a text, a picture, or both in one vector.
    TitanImage,
    Nova,
}

impl Maker {
    /// A name may have a region before it, or be a whole ARN.
    fn of(model: &str) -> Maker {
        match model {
            _ if model.contains("cohere.") => Maker::Cohere,
            _ if model.contains("nova") => Maker::Nova,
            _ if model.contains("titan-embed-image") => Maker::TitanImage,
            _ => Maker::Titan { first: model.contains("titan-embed-text-v1") || model.contains("titan-embed-g1") },
        }
    }
}

pub(super) fn lower(task: &Task, caller: Shape, model: &str) -> Result<Sent, Malformed> {
    let maker = Maker::of(model);
    let (body, losses) = match maker {
        Maker::Cohere => cohere::asked(task, caller == Shape::Cohere)?,
        _ => {
            let [input] = task.inputs.as_slice() else {
                return Err(Malformed::new("input", "this model makes one vector at a time"));
            };
            let mut losses = Vec::new();
            if task.user.is_some() {
                losses.push(Loss::new("user", "this provider has no place for it"));
            }
            task.lose_extra("only the caller's spelling knows it", &mut losses);
            let body = match maker {
                Maker::Nova => nova(task, input, &mut losses)?,
                _ => titan(task, input, maker, &mut losses)?,
            };
            (body, losses)
        }
    };
    Ok(Sent::json(format!("/model/{}/invoke", escaped(model)), &body, losses))
}

fn titan(task: &Task, input: &Input, maker: Maker, losses: &mut Vec<Loss>) -> Result<Map<String, Value>, Malformed> {
    let mut body = Map::new();
    match input {
        Input::Text(text) => body.insert("inputText".into(), text.as_str().into()),
        Input::Image(url) if maker == Maker::TitanImage => body.insert("inputImage".into(), picture(url)?.1.into()),
        _ => return Err(no_text()),
    };
    if task.purpose.is_some() {
        losses.push(Loss::new("input_type", "this provider has no word for it"));
    }
    match (task.dimensions, maker) {
        (None, _) => {}
        (Some(_), Maker::Titan { first: true }) => {
            return Err(Malformed::new("dimensions", "this model has vectors of one length only"));
        }
        (Some(n), Maker::TitanImage) => {
            body.insert("embeddingConfig".into(), json!({ "outputEmbeddingLength": n }));
        }
        (Some(n), _) => {
            body.insert("dimensions".into(), n.into());
        }
    }
    Ok(body)
}

fn nova(task: &Task, input: &Input, losses: &mut Vec<Loss>) -> Result<Map<String, Value>, Malformed> {
    // What the vectors of documents are for is to be found by any of the others.
    let purpose = match &task.purpose {
        None | Some(Purpose::Document) => "GENERIC_INDEX",
        Some(Purpose::Query | Purpose::Question) => "GENERIC_RETRIEVAL",
        Some(Purpose::Classification) => "CLASSIFICATION",
        Some(Purpose::Clustering) => "CLUSTERING",
        Some(Purpose::Other(word)) => word.as_str(),
        Some(Purpose::Similarity | Purpose::Code) => {
            losses.push(Loss::new("input_type", "this provider has no word for it"));
            "GENERIC_INDEX"
        }
    };
    let mut asked = Map::new();
    asked.insert("embeddingPurpose".into(), purpose.into());
    match input {
        Input::Text(text) => asked.insert("text".into(), json!({ "truncationMode": "NONE", "value": text })),
        Input::Image(url) => {
            let (format, data) = picture(url)?;
            asked.insert("image".into(), json!({ "format": format, "source": { "bytes": data } }))
        }
        _ => return Err(no_text()),
    };
    task.dimensions.map(|n| asked.insert("embeddingDimension".into(), n.into()));
    let mut body = Map::new();
    body.insert("schemaVersion".into(), "nova-multimodal-embed-v1".into());
    body.insert("taskType".into(), "SINGLE_EMBEDDING".into());
    body.insert("singleEmbeddingParams".into(), asked.into());
    Ok(body)
}

fn no_text() -> Malformed {
    Malformed::new("input", "this model takes neither token ids nor parts")
}

/// Format and base64 of a picture that travels with its request.
fn picture(url: &str) -> Result<(&str, &str), Malformed> {
    let parts = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    parts.ok_or_else(|| Malformed::new("input", "this provider takes pictures as `data:` URLs only"))
}

pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let vector = |span: &[u8]| {
        let text = std::str::from_utf8(span).ok()?;
        Vector::of(serde_json::from_str::<&RawValue>(text).ok()?, false)
    };
    let counted = json::field(body, METRICS).and_then(|metrics| json::field(metrics, "inputTokenCount"));
    let tokens = json::field(body, "inputTextTokenCount").or(counted).and_then(count);
    let usage = tokens.map(|input| Usage { input, ..Usage::default() });
    if let Some(one) = json::field(body, "embedding") {
        return Some(Reply { vectors: vec![vector(one)?], usage, model: None });
    }
    let list = json::field(body, "embeddings").filter(|list| list.first() == Some(&b'['));
    let each = |list| json::items(list).map(|item| json::field(item, "embedding")).collect::<Option<Vec<_>>>();
    let nova = list.and_then(each).filter(|found| !found.is_empty());
    if let Some(found) = nova {
        let vectors = found.into_iter().map(vector).collect::<Option<Vec<_>>>()?;
        return Some(Reply { vectors, usage, model: None });
    }
    let reply = cohere::parse(body)?;
    Some(Reply { usage: reply.usage.clone().or(usage), ..reply })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(task: &Task, model: &str) -> Result<Value, String> {
        let sent = lower(task, Shape::OpenAi, model).map_err(|bad| bad.to_string())?;
        assert!(sent.path.starts_with("/model/") && sent.path.ends_with("/invoke"), "{}", sent.path);
        Ok(serde_json::from_slice(&sent.body).expect("JSON"))
    }

    #[test]
    fn each_maker_is_asked_in_its_own_words() {
        let texts = |texts: &[&str]| Task {
            inputs: texts.iter().map(|text| Input::Text((*text).to_owned())).collect(),
            dimensions: Some(256),
            purpose: Some(Purpose::Query),
            ..Task::default()
        };
        let image = Task { inputs: vec![Input::Image("data:image/png;base64,AAAA".into())], ..Task::default() };
        let one = texts(&["a"]);
        let rows: [(&Task, &str, Value); 6] = [
            (
                &texts(&["a", "b"]),
                "us.cohere.embed-v4:0",
                json!({ "texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 256 }),
            ),
            (&one, "amazon.titan-embed-text-v2:0", json!({ "inputText": "a", "dimensions": 256 })),
            (
                &Task { dimensions: None, ..one.clone() },
                "arn:aws:bedrock:eu-west-1:0:foundation-model/amazon.titan-embed-text-v1",
                json!({ "inputText": "a" }),
            ),
            (
                &one,
                "amazon.titan-embed-image-v1",
                json!({ "inputText": "a", "embeddingConfig": { "outputEmbeddingLength": 256 } }),
            ),
            (&image, "amazon.titan-embed-image-v1", json!({ "inputImage": "AAAA" })),
            (
                &one,
                "amazon.nova-2-multimodal-embeddings-v1:0",
                json!({
                    "schemaVersion": "nova-multimodal-embed-v1", "taskType": "SINGLE_EMBEDDING",
                    "singleEmbeddingParams": {
                        "embeddingPurpose": "GENERIC_RETRIEVAL", "embeddingDimension": 256,
                        "text": { "truncationMode": "NONE", "value": "a" },
                    },
                }),
            ),
        ];
        for (task, model, want) in rows {
            assert_eq!(asked(task, model), Ok(want), "{model}");
        }
    }

    #[test]
    fn what_a_maker_cannot_do_is_refused_by_name() {
        let task = |inputs: Vec<Input>, dimensions| Task { inputs, dimensions, ..Task::default() };
        let text = || Input::Text("a".into());
        let rows = [
            (
                task(vec![text(), text()], None),
                "amazon.titan-embed-text-v2:0",
                "input: this model makes one vector at a time",
            ),
            (
                task(vec![text()], Some(8)),
                "amazon.titan-embed-text-v1",
                "dimensions: this model has vectors of one length only",
            ),
            (
                task(vec![Input::Image("https://a/b.png".into())], None),
                "amazon.nova-2-multimodal-embeddings-v1:0",
                "input: this provider takes pictures as `data:` URLs only",
            ),
        ];
        for (task, model, want) in rows {
            assert_eq!(asked(&task, model), Err(want.to_owned()), "{model}");
        }
    }

    #[test]
    fn each_maker_s_answer_is_read_with_its_count() {
        let rows = [
            (r#"{"embedding":[0.10,2],"inputTextTokenCount":3}"#, 1, Some(3)),
            (
                r#"{"embeddings":[{"embeddingType":"TEXT","embedding":[1,2]}],"amazon-bedrock-invocationMetrics":{"inputTokenCount":4}}"#,
                1,
                Some(4),
            ),
            (
                r#"{"embeddings":{"float":[[1],[2]]},"amazon-bedrock-invocationMetrics":{"inputTokenCount":5}}"#,
                2,
                Some(5),
            ),
            (r#"{"embeddings":[[1],[2]],"id":"x"}"#, 2, None),
        ];
        for (body, vectors, tokens) in rows {
            let reply = parse(body.as_bytes()).expect("an answer");
            assert_eq!((reply.vectors.len(), reply.usage.map(|u| u.input)), (vectors, tokens), "{body}");
        }
        for body in ["{}", "[]", r#"{"embedding":7}"#, r#"{"embeddings":7}"#] {
            assert!(parse(body.as_bytes()).is_none_or(|reply| reply.vectors.is_empty()), "{body}");
        }
    }
}
