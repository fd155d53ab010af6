//! Chat models that draw: the task is told as a conversation of one turn, and the pictures are taken out of the reply.

use super::{Made, Picture, Reply, Task, check, openai, size, written};
use crate::ops::{Answer, Shape, unknown};
use crate::{Malformed, Stamp};
use slip_ir::{
    Block, Fault, FaultKind, Finish, Loss, Media, MediaKind, Raw, Remedy, Request, Role, Source, Turn, Usage,
};

pub fn to_chat(task: &Task, model: &str) -> Result<(Request, Vec<Loss>), Malformed> {
    if task.n.is_some_and(|n| n > 1) {
        return Err(Malformed::new("n", "this provider makes one picture at a time"));
    }
    if task.mask.is_some() {
        return Err(Malformed::new("mask", "this provider cannot be shown which part to change"));
    }
    if task.pictures.iter().any(|picture| matches!(picture, Picture::FileId(_))) {
        return Err(Malformed::new("images", "this provider has no such file"));
    }
    let shown = task.pictures.iter().map(|picture| Block::Media(media(picture)));
    let blocks = shown.chain([Block::text(task.prompt.as_str())]).collect();
    let config = [("aspect_ratio", size::shape(task)), ("image_size", size::tier(task).filter(|tier| tier != "1K"))];
    let config: serde_json::Map<String, serde_json::Value> =
        config.into_iter().filter_map(|(name, word)| Some((name.to_owned(), word?.into()))).collect();
    let mut request =
        Request { model: model.to_owned(), turns: vec![Turn::new(Role::User, blocks)], ..Request::default() };
    request.params.modalities = vec!["image".into(), "text".into()];
    request.params.image_config = if config.is_empty() { None } else { Raw::of(&config) };
    request.params.seed = task.seed.and_then(|seed| i64::try_from(seed).ok());
    request.params.user.clone_from(&task.user);
    let left = [
        ("quality", task.quality.is_some()),
        ("background", task.background.is_some()),
        ("output_format", task.output_format.is_some()),
        ("output_compression", task.output_compression.is_some()),
        ("partial_images", task.partial_images.is_some()),
    ];
    let why = "a chat model is not told it";
    let mut losses: Vec<Loss> = left.iter().filter(|(_, told)| *told).map(|(name, _)| Loss::new(*name, why)).collect();
    losses.extend(task.extra.iter().map(|(name, _)| Loss::new(name.clone(), why)));
    Ok((request, losses))
}

fn media(picture: &Picture) -> Media {
    let url = openai::address(picture).unwrap_or_default();
    let source = match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((mime, base64)) => Source::Data { mime: mime.to_owned(), base64: base64.to_owned() },
        None => Source::Url(url),
    };
    Media { kind: MediaKind::Image, source, name: None, detail: None, cache: None, extra: None }
}

#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub fn from_chat(task: &Task, caller: Shape, said: &slip_ir::Reply, stamp: &Stamp) -> Result<Answer, Fault> {
    if let Some(fault) = &said.fault {
        return Err(fault.clone());
    }
    let blocks = || said.choices.iter().flat_map(|choice| &choice.blocks);
    let pictures: Vec<Made> = blocks().filter_map(made).collect();
    if pictures.is_empty() {
        let refused = said.choices.iter().any(|choice| choice.finish == Some(Finish::ContentFilter))
            || blocks().any(|block| matches!(block, Block::Refusal(_)));
        return Err(if refused {
            Fault::upstream(FaultKind::Moderated, Remedy::Stop, "the provider declined to make this picture")
        } else {
            unknown("words where a picture was asked for")
        });
    }
    let usage = said.usage.clone().map(|usage| {
        let untold = usage.image_out == 0;
        Usage {
            image_out: if untold { usage.output } else { usage.image_out },
            output: if untold { 0 } else { usage.output },
            ..usage
        }
    });
    let spent = task.settled(usage, pictures.len() as u64, stamp);
    let reply = Reply { pictures, usage: None, created: None };
    check(task, caller, &reply)?;
    let mut answer = written::answer(task, caller, &reply, spent, stamp);
    answer.tally.upstream_id.clone_from(&said.start.id);
    answer.tally.upstream_model.clone_from(&said.start.model);
    Ok(answer)
}

fn made(block: &Block) -> Option<Made> {
    let Block::Media(media) = block else { return None };
    match &media.source {
        _ if media.kind != MediaKind::Image => None,
        Source::Data { mime, base64 } => {
            Some(Made { base64: Some(base64.clone()), media_type: Some(mime.clone()), ..Made::default() })
        }
        Source::Url(url) => Some(Made { url: Some(url.clone()), ..Made::default() }),
        Source::Text(_) | Source::FileId(_) => None,
    }
}
