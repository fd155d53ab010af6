//! Files as text, for models that take no files. Plain text goes as it is, PDFs are read by a process of their own.

pub mod pdf;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use slip_wire::carry::FileText;
use std::collections::HashMap;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Of one file, decoded.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Of the text of one file; the rest is cut, and the cut is said.
const MAX_TEXT: usize = 2 * 1024 * 1024;

/// What a file is sent as.
pub struct Sent<'a> {
    pub name: Option<&'a str>,
    pub mime: &'a str,
    pub base64: &'a str,
}

/// Its text, or why it has none. `told` is what the conversation says of files that were read before.
pub async fn read(file: Sent<'_>, told: &HashMap<String, Vec<String>>) -> Result<FileText, String> {
    let name = file.name.unwrap_or("document").chars().filter(|c| !c.is_control()).take(256).collect::<String>();
    if file.base64.len() / 4 * 3 > MAX_BYTES {
        return Err(format!("it is larger than {} MiB", MAX_BYTES / (1024 * 1024)));
    }
    // OpenRouter's hash, so that its annotations are understood here and ours there.
    let hash = hex(&Sha256::digest(file.base64.as_bytes()));
    if let Some(content) = told.get(&hash) {
        return Ok(FileText { name, hash: Some(hash), content: content.clone() });
    }
    let bytes = LENIENT.decode(file.base64).map_err(|_| "it is not base64".to_owned())?;
    if bytes.starts_with(b"%PDF-") || file.mime == "application/pdf" {
        let pages = pdf::read(bytes).await?;
        let content = cut(pages);
        if content.iter().all(|page| page.trim().is_empty()) {
            return Err("no text was found in it (scanned pages are not read)".to_owned());
        }
        return Ok(FileText { name, hash: Some(hash), content });
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(FileText { name, hash: None, content: cut(vec![text]) }),
        _ => Err(format!("only text and PDF files can be read here, not {}", file.mime)),
    }
}

fn cut(pages: Vec<String>) -> Vec<String> {
    let mut left = MAX_TEXT;
    let mut kept = Vec::with_capacity(pages.len());
    for mut page in pages {
        if page.len() > left {
            let end = (0..=left).rev().find(|at| page.is_char_boundary(*at)).unwrap_or(0);
            page.truncate(end);
            kept.push(page);
            kept.push("[the rest of the file was cut]".to_owned());
            break;
        }
        left -= page.len();
        kept.push(page);
    }
    kept
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn text_is_taken_as_it_is_and_what_was_read_before_is_not_read_again() {
        let none = HashMap::new();
        let sent = |mime: &'static str, base64: &'static str| Sent { name: Some("a.csv"), mime, base64 };
        let read = read(sent("text/csv", "YSxiCjEsMg=="), &none).await.expect("text");
        assert_eq!((read.name.as_str(), read.content, read.hash), ("a.csv", vec!["a,b\n1,2".to_owned()], None));
        for (mime, base64, why) in
            [("application/zip", "UEsDBAD/", "only text and PDF"), ("text/plain", "a", "not base64")]
        {
            let got = super::read(sent(mime, base64), &none).await;
            assert!(got.as_ref().is_err_and(|e| e.contains(why)), "{mime}: {got:?}");
        }
        let told = HashMap::from([(hex(&Sha256::digest(b"JVBERi0=")), vec!["page".to_owned()])]);
        let again = super::read(sent("application/pdf", "JVBERi0="), &told).await.expect("told");
        assert_eq!(again.content, ["page"]);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_says_so() {
        let kept = cut(vec!["a".repeat(MAX_TEXT - 1), "ü".to_owned(), "x".to_owned()]);
        assert_eq!((kept.len(), kept[1].as_str(), kept[2].starts_with("[the rest")), (3, "", true));
        assert_eq!(cut(vec!["a".into(), "b".into()]), ["a", "b"]);
    }
}
