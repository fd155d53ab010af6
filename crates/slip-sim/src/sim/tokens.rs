//! The simulated tokeniser: simple enough to predict by hand, and the same for prompt, answer, stream and plain reply.
//!
//! A token is the white space before a word and up to twelve characters of the word. "tok1 tok2" is two tokens, "tok1" and
//! " tok2"; a longer word is cut every twelve characters, and so is a longer run of white space.

/// Characters of a word (or of white space) in one token.
const MAX_PIECE: usize = 12;

/// Joined together, the tokens are the text.
pub fn split(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let (mut spaces, mut letters) = (0, 0);
    for (at, c) in text.char_indices() {
        let ends = if c.is_whitespace() { letters > 0 || spaces == MAX_PIECE } else { letters == MAX_PIECE };
        if ends {
            out.push(&text[start..at]);
            (start, spaces, letters) = (at, 0, 0);
        }
        if c.is_whitespace() {
            spaces += 1;
        } else {
            letters += 1;
        }
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

pub fn count(text: &str) -> u64 {
    split(text).len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_word_piece_with_the_space_before_it() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[]),
            ("tok1 tok2", &["tok1", " tok2"]),
            ("echo: grüß dich ", &["echo:", " grüß", " dich", " "]),
            ("abcdefghijklmnop", &["abcdefghijkl", "mnop"]),
            ("\n\na", &["\n\na"]),
            ("              a", &["            ", "  a"]),
        ];
        for (text, expected) in rows {
            assert_eq!(split(text), *expected, "{text:?}");
            assert_eq!(split(text).concat(), *text);
        }
    }
}
