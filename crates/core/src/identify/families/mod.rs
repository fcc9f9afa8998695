//! One file for each family of protocols; [`super::registry`] lists them.

pub mod bittorrent;
pub mod building;
pub mod cotp;
pub mod dhcp;
pub mod dns;
pub mod ftp;
pub mod grid;
pub mod mail;
pub mod media;
pub mod modbus;
pub mod mqtt;
pub mod mysql;
pub mod plant;
pub mod postgres;
pub mod queues;
pub mod quic;
pub mod rdp;
pub mod redis;
pub mod smb;
pub mod snmp;
pub mod ssh;
pub mod things;
pub mod time;
pub mod tls;
pub mod voice;
pub mod web;
