//! What the scanner accepts, what it refuses and how it says so.

use super::*;
use proptest::prelude::*;

fn serde_accepts(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok()
}

#[test]
fn a_document_is_refused_with_the_place_and_what_was_expected() {
    let rows: &[(&str, &str)] = &[
        ("{\"model\": \"a\", \"b\" 1}", "not JSON: expected `:` at line 1 column 20 (byte 19)"),
        ("", "not JSON: the text ends too early at line 1 column 1 (byte 0)"),
        ("{\n  \"a\": 01}", "not JSON: a number starts with a needless zero at line 2 column 9 (byte 10)"),
        ("{\"a\":1,}", "not JSON: expected a key in double quotes at line 1 column 8 (byte 7)"),
        ("{\"a\":[1 2]}", "not JSON: expected `,` or `]` at line 1 column 9 (byte 8)"),
        ("{\"a\":1}x", "not JSON: expected nothing more at line 1 column 8 (byte 7)"),
        ("{\"a\":\"\\x\"}", "not JSON: expected an escape at line 1 column 8 (byte 7)"),
        ("{\"a\":\"\\u12g4\"}", "not JSON: expected four hexadecimal digits at line 1 column 11 (byte 10)"),
        ("{\"a\":\"\t\"}", "not JSON: a control character stands unescaped in a string at line 1 column 7 (byte 6)"),
        ("<html>", "not JSON: expected a value at line 1 column 1 (byte 0)"),
        ("[1]", "must be a JSON object"),
        ("{\"a\":1,\"\\u0061\":2}", "the member `a` appears twice"),
    ];
    for (text, want) in rows {
        assert_eq!(members(text.as_bytes()).map_err(|m| m.to_string()), Err((*want).to_owned()), "{text}");
    }
    let bad_utf8 = members(b"{\"a\":\"ok\xff\"}").map_err(|m| m.to_string());
    assert_eq!(bad_utf8, Err("not JSON: a string is not UTF-8 at line 1 column 9 (byte 8)".to_owned()));
}

#[test]
fn sixty_four_levels_are_read_and_sixty_five_refused() {
    let nest = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(check(nest(64).as_bytes()), Ok(()));
    assert_eq!(check(nest(65).as_bytes()).map_err(|m| m.why), Err("nested deeper than 64 levels".to_owned()));
    let inside = |n: usize| format!("{{\"a\":{}}}", nest(n));
    assert!(members(inside(63).as_bytes()).is_ok());
    assert!(members(inside(64).as_bytes()).is_err());
    assert!(check("{\"a\":".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn members_are_spans_in_order() {
    let body = br#" { "a" : 1 , "b\n":{"c":[true,null]}, "":"x" } "#;
    let found = members(body).unwrap();
    let texts: Vec<(&str, &[u8], &[u8])> =
        found.iter().map(|m| (m.key.as_str(), &body[m.whole.clone()], &body[m.value.clone()])).collect();
    let want: Vec<(&str, &[u8], &[u8])> = vec![
        ("a", b"\"a\" : 1", b"1"),
        ("b\n", br#""b\n":{"c":[true,null]}"#, br#"{"c":[true,null]}"#),
        ("", br#""":"x""#, br#""x""#),
    ];
    assert_eq!(texts, want);
}

#[test]
fn strings_decode_as_their_author_meant() {
    let rows: &[(&str, &str)] = &[
        (r#""plain""#, "plain"),
        (r#""a\"b\\c\/d\n\t\u0041""#, "a\"b\\c/d\n\tA"),
        (r#""\ud83d\ude00 ok""#, "😀 ok"),
        (r#""\ud83d alone""#, "\u{fffd} alone"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        ("\"żółć\"", "żółć"),
    ];
    for (span, want) in rows {
        let found = Str::of(span.as_bytes()).unwrap();
        assert_eq!(found.text(), *want, "{span}");
        assert_eq!(found.text_len(), want.len(), "{span}");
    }
}

#[test]
fn integers_are_read_whatever_their_spelling() {
    let rows: &[(&str, Option<i64>)] =
        &[("3", Some(3)), ("-3", Some(-3)), ("3.0", Some(3)), ("3e2", Some(300)), ("3.5", None), ("1e300", None)];
    for (text, want) in rows {
        assert_eq!(integer(text.as_bytes()), *want, "{text}");
    }
    assert_eq!(integer(b"\"3\""), None);
    assert_eq!(integer(b"nan"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_exactly_when_serde_json_accepts_them(bytes in proptest::collection::vec(
        prop_oneof![3 => proptest::sample::select(b"{}[]\":,\\0129.eE+-truefalsn \n\tu".to_vec()), 1 => any::<u8>()], 0..40)) {
        prop_assert_eq!(check(&bytes).is_ok(), serde_accepts(&bytes));
    }

    #[test]
    fn a_written_string_reads_back_the_same(text in any::<String>()) {
        let mut out = Vec::new();
        write_string(&text, &mut out);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.clone());
        prop_assert_eq!(string(&out).unwrap(), text);
    }

    #[test]
    fn long_strings_are_checked_like_short_ones(
        length in prop_oneof![0usize..200, 8000usize..20_000], at in prop_oneof![0usize..200, 8000usize..20_000],
        byte in prop_oneof![Just(b'"'), Just(b'\\'), Just(0x1f), Just(0xc3), Just(0x80), Just(b'x'), Just(0x20)],
    ) {
        let mut bytes = vec![b'a'; length + 2];
        bytes[0] = b'"';
        bytes[length + 1] = b'"';
        if at < length {
            bytes[at + 1] = byte;
        }
        prop_assert_eq!(check(&bytes).is_ok(), serde_accepts(&bytes));
    }
}
