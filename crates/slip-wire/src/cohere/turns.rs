//! The turns of a conversation as Cohere's messages. Documents given as text are gathered: they stand beside the conversation.

use crate::openai_chat::encode::Losses;
use crate::openai_chat::ids::Ids;
use crate::openai_chat::media;
use crate::openai_chat::write::{Arr, Obj};
use crate::quirks::ToolIds;
use bytes::BytesMut;
use slip_ir::{Block, Media, MediaKind, Role, Source, ThinkingKind, Turn};

pub(super) struct Telling<'a, 'l> {
    pub losses: &'l mut Losses,
    pub documents: Vec<&'a Media>,
    ids: Ids,
}

impl<'a, 'l> Telling<'a, 'l> {
    pub(super) fn new(losses: &'l mut Losses) -> Telling<'a, 'l> {
        Telling { losses, documents: Vec::new(), ids: Ids::new(ToolIds::Any) }
    }

    pub(super) fn turns(&mut self, a: &mut Arr<'_, BytesMut>, turns: &'a [Turn]) {
        for turn in turns {
            let mut rest = Vec::new();
            for block in &turn.blocks {
                let Block::ToolResult(result) = block else {
                    rest.push(block);
                    continue;
                };
                if result.is_error {
                    self.losses.push("tool result error mark", "this dialect cannot mark a result as failed");
                }
                let id = self.ids.result(&result.id, result.name.as_deref());
                let (texts, images) = self.said(result.content.iter(), false);
                if !images.is_empty() {
                    self.losses.push("tool result media", "tool messages hold text only");
                }
                a.obj(|o| {
                    o.str("role", "tool");
                    o.str("tool_call_id", &id);
                    o.str("content", &texts.join("\n"));
                });
            }
            if rest.is_empty() && !turn.blocks.is_empty() {
                continue;
            }
            match turn.role {
                Role::Assistant => self.assistant(a, &rest),
                Role::System | Role::Developer => self.plain(a, "system", &rest, false),
                Role::User | Role::Tool => self.plain(a, "user", &rest, true),
            }
        }
    }

    fn plain(&mut self, a: &mut Arr<'_, BytesMut>, role: &str, blocks: &[&'a Block], documents: bool) {
        let (texts, images) = self.said(blocks.iter().copied(), documents);
        a.obj(|o| {
            o.str("role", role);
            content(o, &texts, &images);
        });
    }

    fn assistant(&mut self, a: &mut Arr<'_, BytesMut>, blocks: &[&'a Block]) {
        let mut thought = String::new();
        let mut calls = Vec::new();
        for block in blocks {
            match block {
                Block::Thinking(thinking) => {
                    if thinking.kind == ThinkingKind::Encrypted || thinking.signature.is_some() {
                        let why = "this provider takes reasoning back as plain text only";
                        self.losses.push("messages[].reasoning_details", why);
                    }
                    thought.push_str(&thinking.text);
                }
                Block::ToolCall(call) => calls.push((self.ids.call(&call.id, &call.name), call)),
                _ => {}
            }
        }
        let (texts, images) = self.said(blocks.iter().copied(), false);
        if !images.is_empty() {
            self.losses.push("messages[].images", "this provider takes no media in an assistant's message");
        }
        a.obj(|o| {
            o.str("role", "assistant");
            // What was thought before calling is the plan.
            let planned = !calls.is_empty();
            if planned && !thought.is_empty() {
                o.str("tool_plan", &thought);
            }
            if !planned && !thought.is_empty() {
                o.arr("content", |a| {
                    a.obj(|o| {
                        o.str("type", "thinking");
                        o.str("thinking", &thought);
                    });
                    if !texts.is_empty() {
                        a.obj(|o| {
                            o.str("type", "text");
                            o.str("text", &texts.concat());
                        });
                    }
                });
            } else if !texts.is_empty() || !planned {
                o.str("content", &texts.concat());
            }
            if planned {
                o.arr("tool_calls", |a| {
                    for (id, call) in &calls {
                        a.obj(|o| {
                            o.str("id", id);
                            o.str("type", "function");
                            o.obj("function", |o| {
                                o.str("name", &call.name);
                                o.str("arguments", if call.arguments.is_empty() { "{}" } else { &call.arguments });
                            });
                        });
                    }
                });
            }
        });
    }

    /// What of the blocks can be told in a message: texts and pictures.
    fn said(
        &mut self,
        blocks: impl Iterator<Item = &'a Block>,
        documents: bool,
    ) -> (Vec<&'a str>, Vec<(String, Option<&'a str>)>) {
        let (mut texts, mut images) = (Vec::new(), Vec::new());
        for block in blocks {
            match block {
                Block::Text(text) => {
                    if text.cache.is_some() {
                        self.losses.push("cache_control", "this provider has no cache breakpoints");
                    }
                    texts.push(text.text.as_str());
                }
                Block::Refusal(words) => texts.push(words),
                Block::Media(media) => match (&media.source, media.kind) {
                    (Source::Text(_), _) if documents => self.documents.push(media),
                    (Source::Text(text), _) => texts.push(text),
                    (source, MediaKind::Image) if media::to_url(source).is_some() => {
                        images.push((media::to_url(source).unwrap_or_default(), media.detail.as_deref()));
                    }
                    (_, kind) => {
                        self.losses
                            .push(format!("messages[].{}", kind.name()), "this dialect takes text and pictures only");
                    }
                },
                Block::Opaque { dialect, .. } => {
                    self.losses.push("messages[].content", format!("a part only {dialect} knows"));
                }
                Block::Thinking(_) | Block::ToolCall(_) | Block::ToolResult(_) => {}
            }
        }
        (texts, images)
    }
}

/// A string where that says it all, else parts.
fn content(o: &mut Obj<'_, BytesMut>, texts: &[&str], images: &[(String, Option<&str>)]) {
    if images.is_empty() && texts.len() < 2 {
        return o.str("content", texts.first().copied().unwrap_or_default());
    }
    o.arr("content", |a| {
        for text in texts {
            a.obj(|o| {
                o.str("type", "text");
                o.str("text", text);
            });
        }
        for (url, detail) in images {
            a.obj(|o| {
                o.str("type", "image_url");
                o.obj("image_url", |o| {
                    o.str("url", url);
                    o.opt_str("detail", *detail);
                });
            });
        }
    });
}
