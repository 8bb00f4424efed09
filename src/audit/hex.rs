//! Bytes as lower-case hex.

const DIGITS: [u8; 16] = *b"0123456789abcdef";

fn digits(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or_default();
    [digit(byte >> 4), digit(byte)]
}

/// 32 bytes as 64 digits.
pub(super) fn of_32(bytes: &[u8]) -> [u8; 64] {
    let mut text = [b'0'; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&digits(*byte));
    }
    text
}

/// Any bytes.
pub(super) fn of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| digits(*byte))
        .map(char::from)
        .collect()
}
