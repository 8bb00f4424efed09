//! The messages of the Workload API, as its specification numbers their fields (Workload API §5.1, §6.1). The names of
//! fields don't go over the wire.

use std::collections::BTreeMap;

use prost::bytes::Bytes;

/// The calls of the service, which is in no package.
pub mod path {
    /// X.509-SVIDs and X.509 bundles, as a stream.
    pub const FETCH_X509_SVID: &str = "/SpiffeWorkloadAPI/FetchX509SVID";
    /// X.509 bundles alone, as a stream.
    pub const FETCH_X509_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchX509Bundles";
    /// JWT-SVIDs for an audience.
    pub const FETCH_JWT_SVID: &str = "/SpiffeWorkloadAPI/FetchJWTSVID";
    /// JWT bundles, as a stream.
    pub const FETCH_JWT_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchJWTBundles";
}

/// What every request must carry, with the value `true` (Workload Endpoint §3): a request that somebody is tricked
/// into sending doesn't.
pub const SECURITY_HEADER: &str = "workload.spiffe.io";

/// Asks for X.509-SVIDs.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct X509SvidRequest {}

/// Everything that the workload is entitled to, each time as a whole.
#[derive(Clone, PartialEq, prost::Message)]
pub struct X509SvidResponse {
    /// At least one; the first is the default.
    #[prost(message, repeated, tag = "1")]
    pub svids: Vec<X509SvidEntry>,
    /// Revocation lists, DER.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub crl: Vec<Bytes>,
    /// The bundles of other trust domains, by their SPIFFE ID, DER.
    #[prost(btree_map = "string, bytes", tag = "3")]
    pub federated_bundles: BTreeMap<String, Vec<u8>>,
}

/// One X.509-SVID.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct X509SvidEntry {
    /// Whose.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// The chain, DER, leaf first.
    #[prost(bytes = "bytes", tag = "2")]
    pub x509_svid: Bytes,
    /// The private key, PKCS #8, DER.
    #[prost(bytes = "bytes", tag = "3")]
    pub x509_svid_key: Bytes,
    /// The bundle of its trust domain, DER.
    #[prost(bytes = "bytes", tag = "4")]
    pub bundle: Bytes,
    /// What it is for, in the operator's words.
    #[prost(string, tag = "5")]
    pub hint: String,
}

/// Asks for X.509 bundles.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct X509BundlesRequest {}

/// All X.509 bundles, each time as a whole.
#[derive(Clone, PartialEq, prost::Message)]
pub struct X509BundlesResponse {
    /// Revocation lists, DER.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub crl: Vec<Bytes>,
    /// By the SPIFFE ID of the trust domain, DER.
    #[prost(btree_map = "string, bytes", tag = "2")]
    pub bundles: BTreeMap<String, Vec<u8>>,
}

/// Asks for JWT-SVIDs.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct JwtSvidRequest {
    /// At least one.
    #[prost(string, repeated, tag = "1")]
    pub audience: Vec<String>,
    /// Whose; empty: of all identities of the workload.
    #[prost(string, tag = "2")]
    pub spiffe_id: String,
}

/// JWT-SVIDs.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct JwtSvidResponse {
    /// At least one.
    #[prost(message, repeated, tag = "1")]
    pub svids: Vec<JwtSvidEntry>,
}

/// One JWT-SVID.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct JwtSvidEntry {
    /// Whose.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// The token.
    #[prost(string, tag = "2")]
    pub svid: String,
    /// What it is for, in the operator's words.
    #[prost(string, tag = "3")]
    pub hint: String,
}

/// Asks for JWT bundles.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct JwtBundlesRequest {}

/// All JWT bundles, each time as a whole.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct JwtBundlesResponse {
    /// By the SPIFFE ID of the trust domain, JWK sets.
    #[prost(btree_map = "string, bytes", tag = "1")]
    pub bundles: BTreeMap<String, Vec<u8>>,
}
