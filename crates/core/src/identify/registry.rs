//! All families. A new one adds its line here and in [`families`].

use super::families;
use super::rule::{Family, Protocol};

/// Every family. Among rules of the same confidence the earlier wins.
pub const FAMILIES: &[&Family] = &[
    &families::web::FAMILY,
    &families::tls::FAMILY,
    &families::quic::FAMILY,
    &families::ssh::FAMILY,
    &families::dns::FAMILY,
    &families::mail::FAMILY,
    &families::ftp::FAMILY,
    &families::time::FAMILY,
    &families::dhcp::FAMILY,
    &families::snmp::FAMILY,
    &families::voice::FAMILY,
    &families::media::FAMILY,
    &families::bittorrent::FAMILY,
    &families::smb::FAMILY,
    &families::rdp::FAMILY,
    &families::mysql::FAMILY,
    &families::postgres::FAMILY,
    &families::redis::FAMILY,
    &families::mqtt::FAMILY,
    &families::tds::FAMILY,
    &families::oracle::FAMILY,
    &families::docstores::FAMILY,
    &families::memcached::FAMILY,
    &families::clusters::FAMILY,
    &families::blocks::FAMILY,
    &families::ldap::FAMILY,
    &families::auth::FAMILY,
    &families::rpc::FAMILY,
    &families::dcerpc::FAMILY,
    &families::remote::FAMILY,
    &families::lines::FAMILY,
    &families::files::FAMILY,
    &families::logs::FAMILY,
    &families::routing::FAMILY,
    &families::ip::FAMILY,
    &families::lan::FAMILY,
    &families::watch::FAMILY,
    &families::modbus::FAMILY,
    &families::grid::FAMILY,
    &families::cotp::FAMILY,
    &families::plant::FAMILY,
    &families::building::FAMILY,
    &families::things::FAMILY,
    &families::vehicles::FAMILY,
    &families::queues::FAMILY,
    &families::chat::FAMILY,
    &families::vpn::FAMILY,
    &families::meshes::FAMILY,
    &families::peers::FAMILY,
    &families::games::FAMILY,
    &families::coins::FAMILY,
    &families::telecom::FAMILY,
    &families::agents::FAMILY,
    &families::servers::FAMILY,
    &families::calls::FAMILY,
    &families::streams::FAMILY,
    &families::tunnels::FAMILY,
];

/// All protocols with the name of their family, in the order of the list above.
pub fn registry() -> impl Iterator<Item = (&'static str, &'static Protocol)> {
    FAMILIES.iter().flat_map(|family| family.protocols.iter().map(|protocol| (family.name, protocol)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labels_are_short_lower_case_and_unique() {
        let mut seen = HashSet::new();
        for (family, protocol) in registry() {
            let label = protocol.label;
            assert!(seen.insert(label), "{label} twice, again in {family}");
            assert!(
                !label.is_empty()
                    && label.len() <= 20
                    && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{label}"
            );
            assert!(!protocol.title.is_empty() && !protocol.spec.is_empty() && protocol.on != 0, "{label}");
            assert!(!protocol.ports.contains(&0), "{label}");
        }
    }

    #[test]
    fn rules_name_listed_protocols_and_have_names_of_their_own() {
        let labels: HashSet<_> = registry().map(|(_, protocol)| protocol.label).collect();
        let mut seen = HashSet::new();
        for rule in FAMILIES.iter().flat_map(|family| family.rules) {
            assert!(labels.contains(rule.label), "{} is not listed", rule.label);
            assert!(seen.insert((rule.label, rule.name)), "{}.{} twice", rule.label, rule.name);
            assert_ne!(rule.on, 0, "{}.{}", rule.label, rule.name);
        }
    }
}
