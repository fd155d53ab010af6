//! The chunk that nearly all chunks are: one choice, one piece of text, and nothing else that says anything. Found, and proven to be
//! JSON, in one pass; every other chunk is for the reader that knows them all.

use crate::json::{Bad, Cursor, Str};

/// Which choice goes on, and with what.
pub(super) struct Piece<'a> {
    pub index: u32,
    pub text: Str<'a>,
    /// The tier of service, where the chunk names one.
    pub tier: Option<&'a [u8]>,
}

/// Members of the top level that say nothing once a reply has begun.
fn is_idle(key: &[u8]) -> bool {
    matches!(key, b"id" | b"created" | b"model" | b"system_fingerprint" | b"provider" | b"obfuscation" | b"p")
}

/// `None` for a chunk that may say more.
pub(super) fn read(chunk: &[u8]) -> Result<Option<Piece<'_>>, Bad> {
    let mut cursor = Cursor::new(chunk);
    let (mut piece, mut tier) = (None, None);
    cursor.object()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        match &*key.bytes() {
            b"service_tier" => tier = Some(cursor.value()?).filter(|value| *value != b"null"),
            b"choices" if cursor.peek() == Some(b'[') && piece.is_none() => {
                cursor.array()?;
                let mut first = true;
                while cursor.item(&mut first)? {
                    if piece.is_some() || cursor.peek() != Some(b'{') {
                        return Ok(None);
                    }
                    piece = choice(&mut cursor)?;
                    if piece.is_none() {
                        return Ok(None);
                    }
                }
            }
            b"object" => {
                if cursor.value()? != b"\"chat.completion.chunk\"" {
                    return Ok(None);
                }
            }
            key if is_idle(key) => {
                cursor.value()?;
            }
            _ => {
                if cursor.value()? != b"null" {
                    return Ok(None);
                }
            }
        }
    }
    cursor.end()?;
    Ok(piece.map(|piece| Piece { tier, ..piece }))
}

fn choice<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Piece<'a>>, Bad> {
    cursor.object()?;
    let (mut index, mut text) = (None, None);
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        match &*key.bytes() {
            b"index" => index = crate::json::integer(cursor.value()?).and_then(|n| u32::try_from(n).ok()),
            b"delta" if cursor.peek() == Some(b'{') && text.is_none() => {
                cursor.object()?;
                let mut first = true;
                while let Some(key) = cursor.key(&mut first)? {
                    match &*key.bytes() {
                        b"content" if cursor.peek() == Some(b'"') && text.is_none() => text = Some(cursor.string()?),
                        b"role" => {
                            cursor.value()?;
                        }
                        _ => {
                            if cursor.value()? != b"null" {
                                return Ok(None);
                            }
                        }
                    }
                }
            }
            _ => {
                if cursor.value()? != b"null" {
                    return Ok(None);
                }
            }
        }
    }
    Ok(index.zip(text).map(|(index, text)| Piece { index, text, tier: None }))
}
