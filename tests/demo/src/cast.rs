//! Who takes part: an organisation of three regions and twelve mailboxes behind one Autodiscover.

use mockex::{Options, Region, ServerVersion};
use system::Account;

/// The owner of the profile, whom the alert mail goes to.
pub const OWNER: &str = "olga.owner@contoso.example";
/// The profile.
pub const PROFILE: &str = "Contoso Exchange";
/// The region that fails: more than half of the mailboxes live there, so that its failure is the profile's.
pub const FAILING: &str = "europe";

/// The regions, their versions and their people.
const REGIONS: [(&str, ServerVersion, &[&str]); 3] = [
    (FAILING, ServerVersion::Exchange2016, &["ada", "ben", "cleo", "dora", "emil", "frida", "gus"]),
    ("america", ServerVersion::Exchange2013Sp1, &["hana", "ivan", "jana"]),
    ("asia", ServerVersion::Exchange2010Sp3, &["kemal", "lena"]),
];

/// The organisation.
pub fn organization() -> Options {
    let regions = REGIONS.map(|(name, version, people)| {
        let addresses: Vec<String> = people.iter().map(|person| address(person)).collect();
        let mut region = Region::new(name, version, addresses.iter().map(String::as_str));
        region.public_host = Some(format!("mail.{name}.contoso.example"));
        region
    });
    Options::contoso(regions.into())
}

/// The account that impersonates.
pub fn account(organization: &Options) -> Account {
    let account = &organization.service_account;
    Account { user_name: account.principal_name.clone(), password: account.password.clone() }
}

/// Every mailbox's address with its region.
pub fn mailboxes() -> Vec<(String, &'static str)> {
    REGIONS.iter().flat_map(|(region, _, people)| people.iter().map(|person| (address(person), *region))).collect()
}

/// What a region runs.
pub fn version(region: &str) -> &'static str {
    match REGIONS.iter().find(|(name, ..)| *name == region).map(|(_, version, _)| *version) {
        Some(ServerVersion::Exchange2010Sp3) => "Exchange 2010 SP3",
        Some(ServerVersion::Exchange2013Sp1) => "Exchange 2013 SP1",
        _ => "Exchange 2016",
    }
}

fn address(person: &str) -> String {
    format!("{person}@contoso.example")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failing_region_holds_more_than_half_of_twelve() {
        let all = mailboxes();
        let failing = all.iter().filter(|(_, region)| *region == FAILING).count();
        assert_eq!(all.len(), 12);
        assert!(failing * 2 > all.len());
    }
}
