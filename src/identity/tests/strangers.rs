//! Whatever strangers send, the parsers answer, and what they take they take in one spelling only.

use proptest::prelude::*;

use super::jwt::Unverified;
use super::*;
use crate::spiffe::SpiffeId;

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let _ = SpiffeId::parse(&text);
        let _ = xfcc::uri(&text);
        let _ = Unverified::parse(&text);
        let _ = strict::object(&bytes);
        let _ = jwk::read_set(&bytes, &[jsonwebtoken::Algorithm::ES256]);
        let _ = text.parse::<settings::ClaimPath>();
        let mut exchange = exchange(&[]);
        exchange.headers.push("authorization", bytes);
        exchange.path = text;
        let _ = credential::token(&exchange);
    }

    #[test]
    fn nearly_xfcc_makes_no_panic(text in r#"((URI|By|Hash|Subject|DNS)?=?"?[a-z:/\\\\"]{0,9}"?[;,=]?){0,6}"#) {
        let _ = xfcc::uri(&text);
    }

    #[test]
    fn a_quoted_value_never_names_the_workload(inner in r"[a-zA-Z0-9:/;,= ]{0,40}") {
        let header = format!(r#"Subject="{inner}";URI=spiffe://td/a"#);
        prop_assert_eq!(xfcc::uri(&header), Ok(Some("spiffe://td/a".into())));
    }

    #[test]
    fn a_spiffe_id_is_what_it_was_read_from(domain in "[a-z0-9._-]{1,20}", path in "(/[a-zA-Z0-9_-]{1,8}){1,5}") {
        let text = format!("spiffe://{domain}{path}");
        let id = SpiffeId::parse(&text).unwrap();
        prop_assert_eq!((id.as_str(), id.trust_domain(), id.path()), (text.as_str(), domain.as_str(), path.as_str()));
    }

    #[test]
    fn a_claim_path_reads_what_it_writes(names in prop::collection::vec(r"[a-z.\\ /:]{1,8}", 1..4)) {
        let path = settings::ClaimPath::new(names.iter().map(String::as_str));
        prop_assert_eq!(path.to_string().parse::<settings::ClaimPath>().unwrap(), path);
    }
}
