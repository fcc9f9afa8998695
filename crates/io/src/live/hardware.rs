//! What frames of an interface look like, by its hardware type (ARPHRD of linux/if_arp.h).

/// Link type of Ethernet in the LINKTYPE registry.
pub const ETHERNET: u16 = 1;
/// Raw IP, of either version.
pub const RAW: u16 = 101;
/// Linux cooked capture, version 2: the header is made here, the packet begins at its network header.
pub const COOKED: u16 = 276;

/// Hardware type of the loopback interface, which shows each packet on its way out and on its way in.
pub const LOOPBACK: u16 = 772;

/// Hardware types whose frames begin with an Ethernet header.
pub const ETHERNETS: [u16; 2] = [1, LOOPBACK];
/// Hardware types without a link header: tun (65534), raw IP of modems (519), IP tunnels (768, 769, 776), SLIP.
pub const RAWS: [u16; 6] = [0xfffe, 519, 768, 769, 776, 256];

/// The link type under which packets of a hardware type are kept. What is not known here is cooked: it needs
/// only the network header, whose place the kernel knows.
pub fn link_of(hatype: u16) -> u16 {
    match hatype {
        h if ETHERNETS.contains(&h) => ETHERNET,
        h if RAWS.contains(&h) => RAW,
        801 => 105, // IEEE 802.11
        802 => 119, // with Prism header
        803 => 127, // with radiotap
        280 => 227, // CAN
        804 => 195, // IEEE 802.15.4
        805 => 230, // the same for monitors, without check sequence
        824 => 253, // netlink
        _ => COOKED,
    }
}
