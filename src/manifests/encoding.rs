//! The encodings in which a file of manifests may come: PowerShell's `>` writes UTF-16.

use std::borrow::Cow;
use std::char::decode_utf16;

/// A byte that is invalid in UTF-8 everywhere: it stands for what is invalid in another encoding.
const INVALID: u8 = 0xFF;

/// Converts to UTF-8 from the encoding that a mark or the first character shows, by the rules of YAML 1.2.
/// What is invalid stays invalid.
pub(crate) fn to_utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    let utf16 = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let units = units.iter().map(|unit| read(*unit));
        encode(decode_utf16(units).map(Result::ok), rest)
    };
    let utf32 = |bytes: &[u8], read: fn([u8; 4]) -> u32| {
        let (units, rest) = bytes.as_chunks::<4>();
        encode(units.iter().map(|unit| char::from_u32(read(*unit))), rest)
    };
    match *bytes {
        [0xEF, 0xBB, 0xBF, ref text @ ..] => Cow::Borrowed(text),
        [0, 0, 0xFE, 0xFF, ref text @ ..] => utf32(text, u32::from_be_bytes),
        [0, 0, 0, 1..=255, ..] => utf32(bytes, u32::from_be_bytes),
        [0xFF, 0xFE, 0, 0, ref text @ ..] => utf32(text, u32::from_le_bytes),
        [1..=255, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
        [0xFE, 0xFF, ref text @ ..] => utf16(text, u16::from_be_bytes),
        [0, 1..=255, ..] => utf16(bytes, u16::from_be_bytes),
        [0xFF, 0xFE, ref text @ ..] => utf16(text, u16::from_le_bytes),
        [1..=255, 0, ..] => utf16(bytes, u16::from_le_bytes),
        _ => Cow::Borrowed(bytes),
    }
}

fn encode(text: impl Iterator<Item = Option<char>>, rest: &[u8]) -> Cow<'static, [u8]> {
    let mut utf8 = vec![];
    for character in text {
        match character {
            Some(character) => {
                utf8.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            None => utf8.push(INVALID),
        }
    }
    if !rest.is_empty() {
        utf8.push(INVALID);
    }
    Cow::Owned(utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn utf32(text: &str, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
        text.chars().map(u32::from).flat_map(bytes).collect()
    }

    fn encodings(text: &str) -> [Vec<u8>; 5] {
        [
            text.as_bytes().to_vec(),
            utf16(text, u16::to_le_bytes),
            utf16(text, u16::to_be_bytes),
            utf32(text, u32::to_le_bytes),
            utf32(text, u32::to_be_bytes),
        ]
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_in_every_encoding_and_needs_its_mark_only_where_yaml_does(
            first in "[!-~]", rest in any::<String>(),
        ) {
            let text = first + &rest.replace('\0', "");
            for bytes in encodings(&text) {
                prop_assert_eq!(&*to_utf8(&bytes), text.as_bytes());
            }
            for bytes in encodings(&format!("\u{feff}{text}")) {
                prop_assert_eq!(&*to_utf8(&bytes), text.as_bytes());
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
            to_utf8(&bytes);
        }
    }

    #[test]
    fn what_is_invalid_stays_invalid_and_affects_nothing_else() {
        let mut odd = utf16("\u{feff}ab", u16::to_le_bytes);
        odd.push(b'c');
        assert_eq!(*to_utf8(&odd), *b"ab\xFF");
        let lone = [0xFF, 0xFE, b'a', 0, 0x00, 0xD8, b'b', 0];
        assert_eq!(*to_utf8(&lone), *b"a\xFFb");
        let beyond = [0xFF, 0xFE, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, b'a', 0, 0, 0];
        assert_eq!(*to_utf8(&beyond), *b"\xFFa");
        assert_eq!(*to_utf8(b"a\xE9"), *b"a\xE9");
        assert_eq!(*to_utf8(b""), *b"");
    }
}
