//! What of a user policies read, beyond the roles, groups and tenants that the user is in.

/// By what policies can tell users apart who are in the same roles, groups and tenants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "one for each attribute of a user")]
pub(super) struct Telling {
    /// By who they are.
    pub(super) identity: bool,
    pub(super) issuer: bool,
    pub(super) subject: bool,
    pub(super) username: bool,
    pub(super) email: bool,
    pub(super) scopes: bool,
    pub(super) acr: bool,
    pub(super) client_id: bool,
    pub(super) authenticated: bool,
}

impl Telling {
    /// An attribute of a principal is read.
    pub(super) fn read(&mut self, attribute: &str) {
        let told = match attribute {
            "issuer" => &mut self.issuer,
            "subject" => &mut self.subject,
            "username" => &mut self.username,
            "email" => &mut self.email,
            "scopes" => &mut self.scopes,
            "acr" => &mut self.acr,
            "clientId" => &mut self.client_id,
            "authenticated" => &mut self.authenticated,
            // Who is in other tenants is no peer anyway; the others are of workloads.
            "tenants" | "spiffeId" | "trustDomain" | "path" => return,
            _ => &mut self.identity,
        };
        *told = true;
    }

    pub(super) const fn also(&mut self, other: Self) {
        self.identity |= other.identity;
        self.issuer |= other.issuer;
        self.subject |= other.subject;
        self.username |= other.username;
        self.email |= other.email;
        self.scopes |= other.scopes;
        self.acr |= other.acr;
        self.client_id |= other.client_id;
        self.authenticated |= other.authenticated;
    }
}
