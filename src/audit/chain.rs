//! The hash chain over a journal's lines: what shows that one was changed, removed, added or moved.
//!
//! Each line ends in `,"seq":N,"hash":"H"}`. `H` is the SHA-256, in hex, of the hex hash of the line before (64 zeros
//! before the first) followed by the line up to, and without, `,"hash"`. So anybody can check it:
//! `printf '%s%s' "$hash_of_the_line_before" "$line_without_hash" | sha256sum`.

use std::fmt;
use std::io::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

use super::hex;

const SEQ: &[u8] = b",\"seq\":";
const HASH: &[u8] = b",\"hash\":\"";
const END: &[u8] = b"\"}";

/// A hash in hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 64]);

/// The end of a chain: what the next line is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The number of the last line, counted from 1.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A line of a chain, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Its number and hash, as it says.
    pub link: Link,
    /// What is hashed besides the hash before.
    text: &'a [u8],
}

impl Link {
    /// Before the first line.
    pub const NONE: Self = Self {
        seq: 0,
        hash: Hash([b'0'; 64]),
    };

    /// Adds a line, an object without its newline, to `sealed`, with its number, its hash and a newline.
    #[must_use]
    pub fn seal(self, line: &[u8], sealed: &mut Vec<u8>) -> Self {
        let begin = sealed.len();
        let seq = self.seq.saturating_add(1);
        sealed.extend_from_slice(line.strip_suffix(b"}").unwrap_or(line));
        sealed.extend_from_slice(SEQ);
        // A Vec takes every byte.
        let _ = write!(sealed, "{seq}");
        let hash = self.hash.of(sealed.get(begin..).unwrap_or_default());
        sealed.extend_from_slice(HASH);
        sealed.extend_from_slice(&hash.0);
        sealed.extend_from_slice(END);
        sealed.push(b'\n');
        Self { seq, hash }
    }
}

impl<'a> Sealed<'a> {
    /// Takes a line, without its newline, apart; `None` if it is none of a chain.
    #[must_use]
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_suffix(END)?;
        let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
        let text = rest.strip_suffix(HASH)?;
        let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (before, digits) = text.split_at_checked(text.len().checked_sub(digits)?)?;
        let seq: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let plain = !digits.starts_with(b"0") && before.ends_with(SEQ);
        plain.then_some(Self {
            link: Link {
                seq,
                hash: Hash::read(hash)?,
            },
            text,
        })
    }

    /// The hash that the line should have after one with the hash `before`.
    #[must_use]
    pub fn hash_after(&self, before: Hash) -> Hash {
        before.of(self.text)
    }
}

impl Hash {
    /// A hash as it is written: 64 lower-case hex digits.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        text.iter().all(hex).then(|| text.try_into().ok().map(Self))?
    }

    fn of(self, text: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(text);
        Self(hex::of_32(context.finish().as_ref()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_linked_as_the_documentation_says() {
        let mut text = Vec::new();
        let one = Link::NONE.seal(b"{\"a\":1}", &mut text);
        let two = one.seal(b"{\"b\":2}", &mut text);
        assert_eq!((one.seq, two.seq), (1, 2));
        // printf '%064d{"a":1,"seq":1' 0 | sha256sum
        let expected = "{\"a\":1,\"seq\":1,\"hash\":\"FIRST\"}\n{\"b\":2,\"seq\":2,\"hash\":\"SECOND\"}\n";
        assert_eq!(
            String::from_utf8(text).unwrap(),
            expected
                .replace(
                    "FIRST",
                    "8994f4ece8de92cb7d52d9461e501111abfc1c4b64b88011b6d6fa990fb3f6e3"
                )
                .replace(
                    "SECOND",
                    "db41072b999cb12b4cc4acf0c91fe84e8b09473bd13f6f30432cbaa47be63f7f"
                )
        );
    }

    #[test]
    fn a_line_reads_back_and_another_is_none() {
        let mut text = Vec::new();
        let link = Link::NONE.seal(b"{\"a\":1}", &mut text);
        let line = text.strip_suffix(b"\n").unwrap();
        let sealed = Sealed::read(line).unwrap();
        assert_eq!(sealed.link, link);
        assert_eq!(sealed.hash_after(Link::NONE.hash), link.hash);
        assert_ne!(sealed.hash_after(link.hash), link.hash);
        let text = std::str::from_utf8(line).unwrap();
        for other in [
            "",
            "{}",
            "\"}",
            "{\"a\":1}",
            &text.replace("\"seq\":1", "\"seq\":01"),
            &text.replace("\"seq\":1", "\"seq\":"),
            &text.replace(",\"seq\"", ",\"sea\""),
            &text.to_uppercase(),
            &text[..text.len() - 1],
        ] {
            assert_eq!(Sealed::read(other.as_bytes()), None, "{other}");
        }
    }
}
