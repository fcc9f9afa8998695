//! Services over TCP.

use super::super::testkit::{cat, hex, tcp, Dice};
use super::Case;

pub fn cases() -> Vec<Case> {
    let greeting = |version: &str, plugin: &str| {
        let body = cat(&[
            &[10],
            version.as_bytes(),
            &hex("00 2a000000 4142434445464748 00 fff7 08 0200 0f80 15"),
            &[0; 10],
            b"ABCDEFGHIJKL\0",
            plugin.as_bytes(),
            &[0],
        ]);
        cat(&[&[body.len() as u8, 0, 0, 0], &body])
    };
    let login = cat(&[&hex("00000001 85a67f00 00000001 08"), &[0; 23], b"root\0\0"]);
    let login = cat(&[&[(login.len() - 4) as u8, 0, 0, 1], &login[4..]]);
    let kafka = hex("00000014 0012 0003 00000001 0007 636f6e736f6c65 00 02 31");
    let op_msg = |id: &str, to: &str, doc: &[u8]| {
        let body = cat(&[&hex(id), &hex(to), &hex("dd070000 00000000 00"), doc]);
        cat(&[&(body.len() as u32 + 4).to_le_bytes(), &body])
    };
    let hello = cat(&[&hex("10 68656c6c6f 00 01000000 02 2464 62 00 06000000 61646d696e 00"), &[0]]);
    let hello = cat(&[&(hello.len() as u32 + 4).to_le_bytes(), &hello]);
    let okay = hex("11000000 01 6f6b 00 000000000000f03f 00");
    let prelogin = hex("1201002f00000100 00001a0006 01002000 01 02002100 01 03002200 04 04002600 01 ff 11000000 0000 00 00 00000000 00");
    vec![
        ("mysql", "s", tcp().s(greeting("5.7.44-log", "mysql_native_password")).c(&login)),
        ("mysql", "s", tcp().s(greeting("8.0.36", "caching_sha2_password")).c(&login)),
        ("mysql", "s", tcp().s(greeting("5.5.5-10.6.16-MariaDB", "mysql_native_password")).c(&login)),
        (
            "postgresql",
            "c",
            tcp().c(hex("00000008 04d2162f")).s("N").c(cat(&[&hex("00000012 00030000"), b"user\0joe\0\0"])),
        ),
        (
            "postgresql",
            "c",
            tcp()
                .c(cat(&[&hex("00000012 00030000"), b"user\0joe\0\0"]))
                .s(hex("52 0000000c 00000005 01020304")),
        ),
        (
            "postgresql",
            "c",
            tcp()
                .c(cat(&[&hex("00000012 00030000"), b"user\0joe\0\0"]))
                .s(hex("52 00000017 0000000a 534352414d2d5348412d323536 0000")),
        ),
        ("tds", "c", tcp().c(&prelogin)),
        (
            "mongodb",
            "cs",
            tcp().c(op_msg("01000000", "00000000", &hello)).s(op_msg("09000000", "01000000", &okay)),
        ),
        ("mqtt", "c", tcp().c(hex("10 12 0006 4d514973647003 02 003c 0004 61626364")).s(hex("20 02 00 00"))),
        ("mqtt", "c", tcp().c(hex("10 10 0004 4d51545404 02 003c 0004 61626364")).s(hex("20 02 00 00"))),
        (
            "mqtt",
            "c",
            tcp().c(hex("10 11 0004 4d51545405 02 003c 00 0004 61626364")).s(hex("20 03 00 00 00")),
        ),
        (
            "amqp",
            "c",
            tcp()
                .c(hex("414d5150 00 00 09 01"))
                .s(hex("01 0000 0000000c 000a 000a 00 09 00000000 00000000 ce")),
        ),
        ("amqp1", "c", tcp().c(hex("414d5150 03 01 00 00")).s(hex("414d5150 03 01 00 00"))),
        ("kafka", "", tcp().c(&kafka).s(hex("0000000f 00000001 0000 02 0000 0000 0009 00 00"))),
        (
            "socks5",
            "",
            tcp().c(hex("05 02 00 02")).s(hex("05 00")).c(hex("05 01 00 03 09 612e6578616d706c65 01bb")),
        ),
        ("socks4", "", tcp().c(hex("04 01 01bb c0000201 6a6f6500")).s(hex("00 5a 0000 00000000"))),
        ("x11", "c", tcp().c(hex("6c00 0b00 0000 0000 0000 0000")).s(hex("0100 0b00 0000 4100"))),
        (
            "rdp",
            "c",
            tcp()
                .c(hex("03000013 0ee0 0000 0000 00 0100 0800 03000000"))
                .s(hex("03000013 0ed0 0000 1234 00 0200 0800 02000000")),
        ),
        (
            "smb2",
            "s",
            tcp()
                .c(cat(&[
                    &hex("0000002f ff534d42 72 00000000 18 53c8"),
                    &[0; 20],
                    &hex("00 0c00 02"),
                    b"SMB 2.???\0",
                ]))
                .s(smb2(1, 0, 65)),
        ),
        ("smb2", "cs", tcp().c(smb2(0, 0, 36)).s(smb2(1, 0, 65))),
        ("epm", "c", tcp().c(dcerpc(11)).s(dcerpc(12))),
        (
            "ldap",
            "c",
            tcp().c(hex("300c 020101 6007 020103 0400 8000")).s(hex("300c 020101 6107 0a0100 0400 0400")),
        ),
        (
            "ldap",
            "c",
            tcp()
                .c(hex(
                    "3023 020101 631e 0400 0a0100 0a0100 020100 020100 010100 870b 6f626a656374436c617373",
                ))
                .s(hex("3009 020101 6404 0400 3000")),
        ),
        (
            "rtmp",
            "",
            tcp().c(cat(&[&hex("03 00000000 00000000"), &Dice(7).bytes(1528)])).s(cat(&[
                &hex("03 00000001 00000000"),
                &Dice(9).bytes(1528),
                &hex("00000000 00000001"),
            ])),
        ),
        (
            "bittorrent",
            "cs",
            tcp().c(cat(&[&[19], b"BitTorrent protocol", &[0; 8], &[5; 20], &[6; 20]])).s(cat(&[
                &[19],
                b"BitTorrent protocol",
                &[0; 8],
                &[5; 20],
                &[7; 20],
            ])),
        ),
        (
            "bgp",
            "cs",
            tcp()
                .c(cat(&[&[0xff; 16], &hex("001d 01 04 fde8 00b4 c0000201 00")]))
                .s(cat(&[&[0xff; 16], &hex("001d 01 04 fde9 00b4 c0000202 00")])),
        ),
        (
            "bgp",
            "cs",
            tcp().midway().c(cat(&[&[0xff; 16], &hex("0013 04")])).s(cat(&[&[0xff; 16], &hex("0013 04")])),
        ),
    ]
}

fn smb2(flags: u8, command: u8, size: u8) -> Vec<u8> {
    let head = cat(&[&hex("fe534d42 4000 0000 00000000"), &[command, 0, 1, 0, flags, 0, 0, 0], &[0; 44]]);
    let body = cat(&[&head, &[size, 0], &[0; 62]]);
    cat(&[&[0, 0, 0, body.len() as u8], &body])
}

fn dcerpc(kind: u8) -> Vec<u8> {
    // Endpoint mapper and the syntax NDR.
    let bind = hex("b810b810 00000000 01000000 0000 0100 0883afe11f5dc91191a408002b14a0fa 03000000 \
         045d888aeb1cc9119fe808002b104860 02000000");
    let ack = hex(
        "b810b810 01000000 0400 31333500 0000 01000000 0000 0000 045d888aeb1cc9119fe808002b104860 02000000",
    );
    let body = if kind == 11 { bind } else { ack };
    cat(&[&[5, 0, kind, 3, 0x10, 0, 0, 0, body.len() as u8 + 16, 0, 0, 0, 1, 0, 0, 0], &body])
}
