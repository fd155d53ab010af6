//! `/images/generations` and `/images/edits`. What OpenAI does not know is refused here, too.

use super::drawn::png;
use super::form::Field;
use super::{Fields, Kind, Made};
use crate::http::Incoming;
use crate::sim::ask::{Refusal, hash};
use crate::sim::speak::CREATED;
use crate::sim::{picture, tokens};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

const KNOWN: &[&str] = &[
    "model",
    "prompt",
    "n",
    "size",
    "quality",
    "background",
    "output_format",
    "output_compression",
    "response_format",
    "stream",
    "partial_images",
    "user",
    "moderation",
    "style",
    "input_fidelity",
    "image",
    "image[]",
    "images",
    "mask",
];
/// What a picture of this quality costs in tokens.
const TOKENS: u64 = 272;

pub(super) fn draw(request: &Incoming) -> Result<Made, Refusal> {
    let fields = Fields::of(request)?;
    fields.only(KNOWN)?;
    let prompt = fields.needed("prompt")?;
    answer(&fields, &prompt, "image_generation")
}

pub(super) fn edit(request: &Incoming) -> Result<Made, Refusal> {
    let fields = Fields::of(request)?;
    fields.only(KNOWN)?;
    let prompt = fields.needed("prompt")?;
    let mut seen = Vec::new();
    for file in fields.files(&["image", "image[]"]) {
        let (wide, high) = picture::size(file).ok_or_else(|| Refusal::invalid("Invalid image data.").at("image"))?;
        seen.push(format!("{wide}x{high} {:016x}", hash(file)));
    }
    for (name, field) in &fields.0 {
        if let ("images", Field::Json(Value::Array(list))) = (name.as_str(), field) {
            let address = |item: &Value| item["image_url"].as_str().map(str::to_owned);
            seen.extend(list.iter().filter_map(address));
        }
    }
    if seen.is_empty() {
        return Err(Refusal::invalid("Missing required parameter: 'image'.").at("image"));
    }
    answer(&fields, &format!("{prompt} ({})", seen.join(", ")), "image_edit")
}

fn answer(fields: &Fields, prompt: &str, kind: &str) -> Result<Made, Refusal> {
    let n = fields.number("n")?.unwrap_or(1);
    if !(1..=10).contains(&n) {
        return Err(Refusal::invalid("'n' must be from 1 to 10.").at("n"));
    }
    let size = fields.text("size").filter(|size| size != "auto").unwrap_or_else(|| "1024x1024".to_owned());
    let side = |text: &str| text.parse::<u32>().ok().filter(|n| (1..=4096).contains(n));
    let pixels = size.split_once('x').and_then(|(wide, high)| Some((side(wide)?, side(high)?)));
    let pixels = pixels.ok_or_else(|| Refusal::invalid(format!("Invalid size: '{size}'.")).at("size"))?;
    let model = fields.needed("model")?;
    let input = tokens::count(prompt);
    let usage = json!({
        "input_tokens": input,
        "output_tokens": n * TOKENS,
        "total_tokens": input + n * TOKENS,
        "input_tokens_details": { "text_tokens": input, "image_tokens": 0 },
    });
    let drawn = |which: u64| STANDARD.encode(png(prompt, which, pixels));
    let made = |kind| Ok(Made { model, text: prompt.to_owned(), kind });
    if fields.text("stream").as_deref() == Some("true") {
        let mut pieces = Vec::new();
        let mut event = |body: Value| {
            let name = body["type"].as_str().unwrap_or_default().to_owned();
            pieces.push(Bytes::from(format!("event: {name}\ndata: {body}\n\n")));
        };
        for at in 0..fields.number("partial_images")?.unwrap_or(0) {
            let sketch = STANDARD.encode(png(prompt, 0, (pixels.0 / 8 + 1, pixels.1 / 8 + 1)));
            event(json!({
                "type": format!("{kind}.partial_image"), "b64_json": sketch, "partial_image_index": at,
                "created_at": CREATED, "output_format": "png", "size": size,
            }));
        }
        event(json!({
            "type": format!("{kind}.completed"), "b64_json": drawn(0), "created_at": CREATED, "output_format": "png",
            "size": size, "quality": "medium", "background": "opaque", "usage": usage,
        }));
        return made(Kind::Flow { media_type: "text/event-stream; charset=utf-8", pieces });
    }
    let address = fields.text("response_format").as_deref() == Some("url");
    let one = |which: u64| match address {
        true => json!({ "url": format!("https://pictures.example/{:016x}-{which}.png", hash(prompt.as_bytes())) }),
        false => json!({ "b64_json": drawn(which) }),
    };
    made(Kind::Whole(json!({
        "created": CREATED,
        "background": "opaque",
        "data": (0..n).map(one).collect::<Vec<_>>(),
        "output_format": "png",
        "quality": "medium",
        "size": size,
        "usage": usage,
    })))
}
