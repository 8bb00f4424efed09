//! What of a user policies read, beyond the roles, groups and tenants that the user is in.

/// By what policies can tell users apart who are in the same roles, groups and tenants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "one for each attribute of a user")]
pub(in crate::policy) struct Telling {
    /// By who they are.
    pub(in crate::policy) identity: bool,
    pub(in crate::policy) issuer: bool,
    pub(in crate::policy) subject: bool,
    pub(in crate::policy) username: bool,
    pub(in crate::policy) email: bool,
    pub(in crate::policy) scopes: bool,
    pub(in crate::policy) acr: bool,
    pub(in crate::policy) client_id: bool,
    pub(in crate::policy) authenticated: bool,
}

impl Telling {
    /// An attribute of a principal is read.
    pub(in crate::policy) fn read(&mut self, attribute: &str) {
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

    pub(in crate::policy) const fn also(&mut self, other: Self) {
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
