#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method itself is for one lifetime only"
)]

use super::*;
use FaultKind::{
    ByteOrderMark, DuplicateKey, LoneSurrogate, Nesting, NotUtf8, NulByte, NumberRange, Syntax, TrailingBytes,
};

fn fault(text: &[u8]) -> (usize, FaultKind) {
    let fault = read(text, 64).expect_err("should be refused");
    (fault.at, fault.kind)
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

const VALUE: FaultKind = Syntax("a value");
const DIGIT: FaultKind = Syntax("a digit");
const KEY: FaultKind = Syntax("a key in quotes");
const RAW: FaultKind = Syntax("no raw control character in a string");
const ESCAPE: FaultKind = Syntax("an escape of JSON");

/// The text, where it is refused, why.
static REFUSED: &[(&[u8], usize, FaultKind)] = &[
    (b"", 0, VALUE),
    (b"  ", 2, VALUE),
    (br#"{"a":1,"a":2}"#, 0, DuplicateKey),
    (br#"{"method":1,"\u006dethod":2}"#, 0, DuplicateKey),
    (br#"[{"x":{"a":[],"b":0,"a":1}}]"#, 6, DuplicateKey),
    (br#"{"a":{"b":1,"b":1}}"#, 5, DuplicateKey),
    (br#"{"":1,"":1}"#, 0, DuplicateKey),
    (br#"{"/":1,"\/":1}"#, 0, DuplicateKey),
    (b"{}x", 2, TrailingBytes),
    (b"{} {}", 3, TrailingBytes),
    (b"1 2", 2, TrailingBytes),
    (b"01", 1, TrailingBytes),
    (b"{}\0", 2, NulByte),
    (b"\"a\0b\"", 2, NulByte),
    (b"{\0}\0", 1, NulByte),
    (b"\xef\xbb\xbf{}", 0, ByteOrderMark),
    (b"\xff\xfe{\0}\0", 0, ByteOrderMark),
    (b"\xfe\xff\0{\0}", 0, ByteOrderMark),
    (b"\"\xe9\"", 1, NotUtf8),
    (b"\"\xc0\xaf\"", 1, NotUtf8),
    (b"\"ab\xed\xa0\x80\"", 3, NotUtf8),
    (br#""\ud800""#, 1, LoneSurrogate),
    (br#""\udc00\ud800""#, 1, LoneSurrogate),
    (br#""a\ud800\n""#, 2, LoneSurrogate),
    (br#""\ud800\ud800""#, 1, LoneSurrogate),
    (br#"{"\udfff":1}"#, 2, LoneSurrogate),
    (b"NaN", 0, VALUE),
    (b"[Infinity]", 1, VALUE),
    (b"-Infinity", 1, DIGIT),
    (b"+1", 0, VALUE),
    (b".5", 0, VALUE),
    (b"1.", 2, DIGIT),
    (b"1e", 2, DIGIT),
    (b"1e+", 3, DIGIT),
    (b"0x10", 1, TrailingBytes),
    (b"-", 1, DIGIT),
    (b"/* */ 1", 0, VALUE),
    (b"[1] // x", 4, TrailingBytes),
    (b"[1,]", 3, VALUE),
    (br#"{"a":1,}"#, 7, KEY),
    (b"{a:1}", 1, KEY),
    (b"{'a':1}", 1, KEY),
    (br#"{"a" 1}"#, 5, Syntax("`:`")),
    (br#"{"a":1 "b":2}"#, 7, Syntax("`,` or `}`")),
    (b"[1 2]", 3, Syntax("`,` or `]`")),
    (b"[1", 2, Syntax("`,` or `]`")),
    (b"True", 0, VALUE),
    (b"nul", 0, VALUE),
    (b"\"a\nb\"", 2, RAW),
    (b"\"\x1f\"", 1, RAW),
    (b"\"abcdefgh\tb\"", 9, RAW),
    (b"\"abc", 4, Syntax("the end of a string")),
    (br#""\x41""#, 1, ESCAPE),
    (br#""\u12g4""#, 1, ESCAPE),
    (br#""\u+123""#, 1, ESCAPE),
    (br#""\u12""#, 1, ESCAPE),
    (b"\x0c1", 0, VALUE),
    (b"\xc2\xa01", 0, VALUE),
    (b"1e400", 0, NumberRange),
    (b"[1,-1e400]", 3, NumberRange),
    (b"1e-400", 0, NumberRange),
    (b"1e99999999999999999999", 0, NumberRange),
];

#[test]
fn refuses_what_parsers_read_differently() {
    for (text, at, kind) in REFUSED {
        assert_eq!(fault(text), (*at, *kind), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn whoever_passes_by_is_refused_the_same_but_for_keys_that_nobody_asks_for() {
    for (text, at, kind) in REFUSED {
        let passed = walk(text, 64, |walk| walk.pass()).map_err(|fault| (fault.at, fault.kind));
        match kind {
            DuplicateKey => assert_eq!(passed, Ok(0..text.len())),
            _ => assert_eq!(passed, Err((*at, *kind)), "{}", String::from_utf8_lossy(text)),
        }
    }
    assert_eq!(walk(nested(64).as_bytes(), 64, |walk| walk.pass()), Ok(0..128));
    let deep = "[".repeat(1 << 20);
    let passed = walk(deep.as_bytes(), usize::MAX, |walk| walk.pass());
    assert_eq!(passed.map_err(|fault| fault.at), Err(NESTING_CEILING));
    let gone_into = walk(deep.as_bytes(), usize::MAX, |walk| {
        walk.array(|item| item.pass().map(drop))
    });
    assert_eq!(
        gone_into.map_err(|fault| (fault.at, fault.kind)),
        Err((NESTING_CEILING, Nesting))
    );
}

#[test]
fn who_goes_into_what_is_something_else_passes_by() {
    let whole = |text: &str| 0..text.len();
    for text in ["[{\"a\":1}]", "\"{}\"", "1e3", "null", "true"] {
        let object = walk(text.as_bytes(), 64, |walk| walk.object(|_, _| panic!("{text}")));
        assert_eq!(object, Ok(None), "{text}");
    }
    for text in ["{\"a\":[1]}", "\"[]\"", "false"] {
        let array = walk(text.as_bytes(), 64, |walk| walk.array(|_| panic!("{text}")));
        assert_eq!(array, Ok(None), "{text}");
    }
    assert_eq!(walk(b"{\"a\":\"b\"}", 64, |walk| walk.string()), Ok(None));
    assert_eq!(
        walk(br#""\u0061b""#, 64, |walk| walk.string()),
        Ok(Some("ab".to_owned()))
    );
    let text = r#"{ "a" : [ 1, 2 ] }"#;
    let object = walk(text.as_bytes(), 64, |walk| {
        walk.object(|_, value| value.pass().map(drop))
    });
    assert_eq!(object, Ok(Some(whole(text))));
}

#[test]
fn refuses_numbers_of_absurd_length() {
    assert_eq!(fault("9".repeat(310).as_bytes()), (0, NumberRange));
    assert_eq!(
        fault(format!("0.{}", "1".repeat(2000)).as_bytes()),
        (0, NumberRange)
    );
    assert!(read("9".repeat(308).as_bytes(), 64).is_ok());
    assert!(read(format!("0.{}", "1".repeat(800)).as_bytes(), 64).is_ok());
}

#[test]
fn nesting_is_bounded_by_the_limit_and_the_ceiling() {
    assert!(read(nested(64).as_bytes(), 64).is_ok());
    assert_eq!(fault(nested(65).as_bytes()), (64, Nesting));
    assert_eq!(fault("{\"a\":".repeat(65).as_bytes()), (64 * 5, Nesting));
    assert_eq!(fault("[".repeat(1 << 20).as_bytes()), (64, Nesting));
    let far = read("[".repeat(1 << 20).as_bytes(), usize::MAX);
    assert_eq!(
        far,
        Err(Fault {
            at: NESTING_CEILING,
            kind: Nesting
        })
    );
}

#[test]
fn keeps_numbers_as_spelt_and_strings_as_meant() {
    let spellings = [
        "0",
        "-0",
        "7",
        "48.858370",
        "9007199254740993",
        "1E+2",
        "0e9999999999",
        "123456789012345678901234567890",
    ];
    for spelling in spellings {
        let Value::Number(number) = read(spelling.as_bytes(), 64).unwrap() else {
            panic!("{spelling}")
        };
        assert_eq!(number.as_str(), spelling);
    }
    let strings = [
        (r#""""#, ""),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0000\uFFFF""#, "\0\u{ffff}"),
        (r#""\ud834\udd1e und 𝄞""#, "𝄞 und 𝄞"),
        (
            r#""plain text of some length, then \u00e9""#,
            "plain text of some length, then é",
        ),
    ];
    for (text, meant) in strings {
        assert_eq!(read(text.as_bytes(), 64).unwrap().as_str(), Some(meant));
    }
}

#[test]
fn forty_thousand_keys_cost_forty_thousand_steps() {
    let object = |keys: std::ops::Range<u32>, last: &str| {
        let members: Vec<_> = keys.map(|key| format!("\"key{key}\":{key}")).collect();
        format!("{{{}{last}}}", members.join(","))
    };
    let read = |text: &str| super::read(text.as_bytes(), 64);
    let value = read(&object(0..40_000, "")).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 40_000);
    assert_eq!(
        read(&object(0..40_000, ",\"key0\":1")).unwrap_err().kind,
        DuplicateKey
    );
    assert_eq!(
        read(&object(0..40_000, ",\"key3999\\u0039\":1"))
            .unwrap_err()
            .kind,
        DuplicateKey
    );
}

#[test]
fn says_which_integers_serde_json_rounds() {
    for (spelling, rounded) in [
        ("9223372036854775808", false),
        ("18446744073709551615", false),
        ("18446744073709551616", true),
        ("-9223372036854775808", false),
        ("-9223372036854775809", true),
        ("0.1", false),
        ("-0", false),
    ] {
        assert_eq!(Number::new(spelling).is_rounded(), rounded, "{spelling}");
    }
}

#[test]
fn the_words_of_the_string_scan_find_the_first_of_its_bytes() {
    for length in 0..40_usize {
        for place in 0..=length {
            for byte in [b'"', b'\\', 0x00, 0x1f] {
                let mut bytes = vec![b'\x7f'; length];
                bytes.extend([0x80, 0xff, b' ', b'!', b'#', b'[', b']']);
                bytes.insert(place, byte);
                bytes.extend([b'"', 0x01]);
                assert_eq!(text::plain_prefix(&bytes), place, "{byte} at {place} of {length}");
            }
        }
    }
}

mod with_serde_json {
    use super::super::{Value, read, walk};
    use proptest::prelude::*;
    use serde_json::Value as Json;

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
            "[a-z\"\\\\/\u{0}-\u{1f}é𝄞]{0,40}".prop_map(Json::from),
        ];
        leaf.prop_recursive(6, 64, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Json::from),
                prop::collection::vec((any::<String>(), inner), 0..12)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Equal, but for the last place of doubles: `serde_json` doesn't round them exactly by default.
    fn alike(ours: &Json, theirs: &Json) -> bool {
        match (ours, theirs) {
            (Json::Array(ours), Json::Array(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| alike(a, b))
            }
            (Json::Object(ours), Json::Object(theirs)) => {
                ours.len() == theirs.len()
                    && ours
                        .iter()
                        .zip(theirs)
                        .all(|((a, x), (b, y))| a == b && alike(x, y))
            }
            (Json::Number(ours), Json::Number(theirs)) if ours.is_f64() && theirs.is_f64() => {
                let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
                (ours - theirs).abs() <= theirs.abs() * 4.0 * f64::EPSILON
            }
            (ours, theirs) => ours == theirs,
        }
    }

    fn assert_alike(value: &Value, theirs: &Json, text: &str) {
        let ours = value.to_serde();
        assert!(alike(&ours, theirs), "{text}\n{ours}\n{theirs}");
    }

    proptest! {
        #[test]
        fn reads_whatever_serde_json_writes(value in json()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let read = read(text.as_bytes(), 64).unwrap();
                assert_eq!(walk(text.as_bytes(), 64, |walk| walk.pass()), Ok(0..text.len()));
                assert_alike(&read, &value, &text);
            }
        }

        #[test]
        fn what_is_read_serde_json_reads_alike(text in r#"[\[\]{}",:\\/ntu0-9a-fA-F.eE+\- ]{0,24}"#) {
            if let Ok(value) = read(text.as_bytes(), 64) {
                assert_alike(&value, &serde_json::from_str(&text).unwrap(), &text);
            }
        }

        #[test]
        fn a_changed_byte_is_refused_or_read_alike(value in json(), place: prop::sample::Index, byte: u8) {
            let mut bytes = value.to_string().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let ours = read(&bytes, 64);
            if let (Ok(ours), Ok(theirs)) = (&ours, serde_json::from_slice::<Json>(&bytes)) {
                assert_alike(ours, &theirs, &String::from_utf8_lossy(&bytes));
            } else {
                assert!(ours.is_err(), "{}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}
