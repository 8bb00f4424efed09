//! The inside of a JSON string: finding its end fast, and undoing its escapes.

/// How many bytes from the start need no attention: neither `"`, `\` nor a control character.
///
/// Eight bytes at a time. A bit of `marks` is set in each byte that is one of the three; below the first such
/// byte the arithmetic carries nothing, so its place is exact.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut plain: usize = 0;
    for word in words {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            let place = usize::try_from(marks.trailing_zeros() >> 3).unwrap_or_default();
            return plain.saturating_add(place);
        }
        plain = plain.saturating_add(8);
    }
    let last = rest.iter().take_while(|byte| !needs_attention(**byte)).count();
    plain.saturating_add(last)
}

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);

const fn marks(word: u64) -> u64 {
    let control = word.wrapping_sub(SPACES);
    let quote = (word ^ QUOTES).wrapping_sub(ONES);
    let backslash = (word ^ BACKSLASHES).wrapping_sub(ONES);
    (control | quote | backslash) & !word & HIGH
}

const fn needs_attention(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// What an escape stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// A character, and how many bytes after the backslash spell it.
    Char(char, usize),
    /// Half of a surrogate pair: parsers replace it, keep it or refuse it.
    LoneSurrogate,
    /// No escape of JSON.
    Unknown,
}

/// Reads the escape whose text, without the backslash, `after` begins with.
pub(super) fn unescape(after: &[u8]) -> Escape {
    let plain = |character| Escape::Char(character, 1);
    match after.first() {
        Some(b'"') => plain('"'),
        Some(b'\\') => plain('\\'),
        Some(b'/') => plain('/'),
        Some(b'b') => plain('\u{8}'),
        Some(b'f') => plain('\u{c}'),
        Some(b'n') => plain('\n'),
        Some(b'r') => plain('\r'),
        Some(b't') => plain('\t'),
        Some(b'u') => unicode(after),
        _ => Escape::Unknown,
    }
}

/// `after` begins with `u`.
fn unicode(after: &[u8]) -> Escape {
    let Some(unit) = unit(after.get(1..5)) else {
        return Escape::Unknown;
    };
    if let Some(character) = char::from_u32(unit.into()) {
        return Escape::Char(character, 5);
    }
    // RFC 8259 §7: a character beyond the basic plane is a pair, `\uD834\uDD1E`.
    let low = after
        .get(5..7)
        .filter(|next| *next == b"\\u")
        .and_then(|_| self::unit(after.get(7..11)));
    let pair = low.and_then(|low| char::decode_utf16([unit, low]).next().and_then(Result::ok));
    pair.map_or(Escape::LoneSurrogate, |character| Escape::Char(character, 11))
}

/// One UTF-16 code unit: exactly four hexadecimal digits.
fn unit(digits: Option<&[u8]>) -> Option<u16> {
    let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
