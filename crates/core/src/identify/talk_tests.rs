//! Conversations as software in use has them: all of it, one direction alone, and from the middle.

use super::names::tls::tests::{client_hello, in_record};
use super::testkit::{cat, hex, tcp, udp, Dice, Talk};

/// A protocol, a conversation, and the ends (`c`, `s`) that tell it alone.
type Case = (&'static str, &'static str, Talk);

fn text_protocols() -> Vec<Case> {
    let sip = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nCSeq: 1 REGISTER\r\n\r\n";
    let stream = "<?xml version='1.0'?><stream:stream to='a.example' xmlns='jabber:client' \
                  xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    vec![
        (
            "ssh",
            "cs",
            tcp()
                .s("Welcome to bastion\r\nNo trespassing\r\nSSH-2.0-OpenSSH_9.6p1 Debian-3\r\n")
                .c("SSH-2.0-PuTTY_Release_0.80\r\n"),
        ),
        ("ssh", "cs", tcp().s("SSH-1.99-Cisco-1.25\n").c("SSH-2.0-paramiko_3.4.0\r\n")),
        (
            "smtp",
            "c",
            tcp()
                .s("220-mail.example ESMTP Exim 4.96\r\n220-We do not authorize\r\n220 this.\r\n")
                .c("EHLO host\r\n")
                .s("250-mail.example Hello\r\n250-SIZE 1\r\n250 HELP\r\n")
                .c("MAIL FROM:<a@a.example>\r\n"),
        ),
        ("smtp", "c", tcp().s("220 mx\r\n").c("ehlo host\r\n").s("250 mx\r\n")),
        (
            "http",
            "cs",
            tcp()
                .c("GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\nuser-agent: x\r\n\r\n")
                .s("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ),
        (
            "http",
            "cs",
            tcp().c("OPTIONS * HTTP/1.0\r\n\r\n").s("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n\r\n"),
        ),
        ("http", "cs", tcp().c("M-SEARCH /x HTTP/1.1\r\nHost: a\r\n\r\n").s("HTTP/1.1 501 No\r\n\r\n")),
        (
            "ftp",
            "",
            tcp()
                .s("220 (vsFTPd 3.0.3)\r\n")
                .c("USER anonymous\r\n")
                .s("331 Please specify the password.\r\n")
                .c("PASS a@\r\n")
                .s("230 Login successful.\r\n"),
        ),
        (
            "ftp",
            "",
            tcp().s("220-Welcome\r\n220-\r\n220 FTP server ready\r\n").c("AUTH TLS\r\n").s("530 No.\r\n"),
        ),
        ("pop3", "", tcp().s("+OK Dovecot ready.\r\n").c("CAPA\r\n").s("+OK\r\nCAPA\r\nTOP\r\n.\r\n")),
        ("pop3", "", tcp().s("+OK POP3 <1896.69@a>\r\n").c("USER joe\r\n").s("+OK\r\n").c("PASS x\r\n")),
        (
            "imap",
            "cs",
            tcp()
                .s("* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE] Dovecot ready.\r\n")
                .c("a001 LOGIN joe secret\r\n")
                .s("a001 OK Logged in\r\n"),
        ),
        ("imap", "cs", tcp().s("* OK The server is ready\r\n").c("1 CAPABILITY\r\n").s("* CAPABILITY IMAP4rev1\r\n")),
        (
            "irc",
            "cs",
            tcp()
                .c("CAP LS 302\r\nNICK joe\r\nUSER joe 0 * :Joe\r\n")
                .s(":irc.example NOTICE * :*** Looking up your hostname...\r\n"),
        ),
        ("nntp", "s", tcp().s("200 news.example InterNetNews NNRP server ready\r\n").c("MODE READER\r\n").s("200 ok\r\n")),
        (
            "telnet",
            "s",
            tcp().s(hex("fffd18 fffd20 fffd23 fffd27")).c(hex("fffb18 fffb20 fffc23")).s(hex("fffa2001fff0")),
        ),
        ("redis", "c", tcp().c("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n").s("%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n")),
        ("redis", "", tcp().c("PING\r\n").s("+PONG\r\n")),
        ("memcached", "", tcp().c("get key\r\n").s("VALUE key 0 3\r\nabc\r\nEND\r\n")),
        ("memcached", "", tcp().c("stats\r\n").s("STAT pid 1\r\nSTAT uptime 5\r\n")),
        (
            "sip",
            "cs",
            udp()
                .c(format!("REGISTER sip:a.example SIP/2.0\r\n{sip}"))
                .s(format!("SIP/2.0 401 Unauthorized\r\n{sip}")),
        ),
        ("sip", "cs", tcp().c(format!("OPTIONS sips:a SIP/2.0\r\n{sip}")).s(format!("SIP/2.0 200 OK\r\n{sip}"))),
        (
            "rtsp",
            "cs",
            tcp()
                .c("DESCRIBE rtsp://192.0.2.1/1 RTSP/1.0\r\nCSeq: 2\r\n\r\n")
                .s("RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\n\r\n"),
        ),
        ("xmpp", "cs", tcp().c(stream).s(stream.replace("to=", "from="))),
        (
            "svn",
            "s",
            tcp()
                .s("( success ( 2 2 ( ) ( edit-pipeline svndiff1 absent-entries ) ) ) ")
                .c("( 2 ( edit-pipeline svndiff1 ) 15:svn://a.example 10:SVN/1.14.2 ( ) ) "),
        ),
        ("git", "c", tcp().c("002egit-upload-pack /p.git\0host=a.example\0").s("003e01234567890123456789012345678901234567890123 HEAD\0 ofs-delta\n")),
        ("rsync", "cs", tcp().s("@RSYNCD: 31.0 sha512 sha256\n").c("@RSYNCD: 31.0\n")),
        ("vnc", "cs", tcp().s("RFB 003.008\n").c("RFB 003.003\n")),
        ("stomp", "c", tcp().c("CONNECT\naccept-version:1.2\nhost:a\n\n\0").s("CONNECTED\nversion:1.2\n\n\0")),
        ("nats", "s", tcp().s("INFO {\"server_id\":\"x\",\"version\":\"2.10\",\"max_payload\":1048576}\r\n").c("CONNECT {\"verbose\":false}\r\n")),
        ("syslog", "c", udp().c("<34>Oct 11 22:14:15 host su: 'su root' failed").c("<13>Oct  1 02:00:00 host cron[1]: x")),
        ("syslog", "c", udp().c("<165>1 2003-10-11T22:14:15.003Z a.example ev - ID47 [e@1 k=\"v\"] hi")),
        ("ssdp", "c", udp().c("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n")),
    ]
}

fn binary_services() -> Vec<Case> {
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

fn datagrams() -> Vec<Case> {
    let dns = |id: &str, flags: &str, counts: &str, rest: &str| hex(&format!("{id}{flags}{counts}{rest}"));
    let name = "03777777 07 6578616d706c65 03 6f7267 00";
    let local = "07 7072696e746572 05 6c6f63616c 00";
    let wpad = "04 77706164 00";
    let edns = "00 0029 04d0 0000 8000 0000";
    let ike = |marker: &str, version: &str, exchange: &str| {
        let body = hex(&format!(
            "0102030405060708 0000000000000000 {} {version} {exchange} 00 00000000 00000050 \
             0000 0034 0000 0001 0000 0001 0000 0028 0101 0001 0000 0020 0101 0000 8001 0007 8002 0002 8003 0001 \
             8004 000e 800b 0001 800c 0e10",
            if version == "10" { "01" } else { "21" }
        ));
        cat(&[&hex(marker), &body])
    };
    let rtp = |n: u16| {
        let mut packet = hex("80 00");
        packet.extend(n.to_be_bytes());
        packet.extend((u32::from(n) * 160).to_be_bytes());
        packet.extend(hex("1122 3344"));
        packet.extend([0xd5; 160]);
        packet
    };
    let wireguard =
        |kind: u8, len: usize| cat(&[&[kind, 0, 0, 0, 9, 8, 7, 6], &Dice(5).bytes(len - 8 - 16), &[0; 16]]);
    let openvpn = |op: u8, auth: usize| {
        cat(&[
            &[op << 3],
            &Dice(3).bytes(8),
            &Dice(8).bytes(auth),
            &if auth > 0 { hex("00000001 65000000") } else { vec![] },
            &[0],
            &[0; 4],
        ])
    };
    let snmp3 = hex(
        "303e 020103 3011 0204 1234567 8 0203 00ffe3 040104 020103 0410 300e 0400 020100 020100 0400 0400 0400 \
         3014 0400 0400 a00e 0204 3fdd7d8f 020100 020100 3000",
    );
    vec![
        ("dns", "cs", udp().c(dns("1234", "0120", "0001000000000001", &format!("{name} 0001 0001 {edns}"))).s(dns("1234", "81a0", "0001000000000001", &format!("{name} 0001 0001 {edns}")))),
        ("dns", "cs", udp().c(dns("0007", "0100", "0001000000000000", &format!("{name} 001c 0001"))).s(dns("0007", "8380", "0001000000000000", &format!("{name} 001c 0001")))),
        ("mdns", "c", udp().c(dns("0000", "0000", "0001000000000000", &format!("{local} 00ff 0001")))),
        ("mdns", "c", udp().c(dns("0000", "8400", "0000000100000000", &format!("{local} 0001 8001 00000078 0004 c0000201")))),
        ("llmnr", "c", udp().c(dns("abcd", "0000", "0001000000000000", &format!("{wpad} 0001 0001")))),
        ("ntp", "", udp().c(cat(&[&hex("23 00 06 ec"), &[0; 36], &hex("e9000000 12345678")])).s(cat(&[&hex("24 02 06 ec 00000010 00000020 c0000201 e8ffff00 11111111 e9000000 12345678 e9000001 00000001 e9000001 00000002")]))),
        ("ntp", "", udp().c(hex("16 02 0001 0000 0000 0000 0000")).s(cat(&[&hex("16 82 0001 0615 0000 0000 0010"), b"version=\"4.2.8\",\r"]))),
        ("snmp", "cs", udp().c(hex("3026 020100 0406 7075626c6963 a019 0201 01 020100 020100 300e 300c 0608 2b06010201010100 0500")).s(hex("3028 020100 0406 7075626c6963 a21b 020101 020100 020100 3010 300e 0608 2b06010201010100 0402 6869"))),
        ("snmp", "c", udp().c(hex("3026 020101 0406 7075626c6963 a119 020101 020100 020100 300e 300c 0608 2b06010201010100 0500"))),
        ("snmp", "c", udp().c(&snmp3)),
        ("dhcp", "cs", udp().c(dhcp(1)).s(dhcp(2))),
        ("radius", "c", udp().c(cat(&[&hex("01 07 001f"), &[0x5a; 16], &hex("0105 6a6f65 0406 c0000201 0000")[..11]])).s(cat(&[&hex("02 07 0014"), &[0x33; 16]]))),
        ("rtp", "c", udp().c(rtp(1)).c(rtp(2)).c(rtp(3)).c(rtp(4)).c(rtp(5))),
        ("wireguard", "c", udp().c(wireguard(1, 148)).s(cat(&[&hex("02000000 55667788 09080706"), &Dice(6).bytes(64), &[0; 16]]))),
        ("openvpn", "", udp().c(openvpn(7, 0)).s(cat(&[&[8 << 3], &Dice(4).bytes(8), &hex("01 00000000"), &Dice(3).bytes(8), &[0; 4]]))),
        ("openvpn", "", udp().c(openvpn(7, 20)).s(cat(&[&[8 << 3], &Dice(4).bytes(8), &Dice(2).bytes(20), &hex("00000001 65000000 01 00000000"), &Dice(3).bytes(8), &[0; 4]]))),
        ("ike", "c", udp().c(ike("", "10", "02"))),
        ("ike", "c", udp().c(ike("00000000", "10", "02"))),
        ("ike", "c", udp().c(hex("0102030405060708 0000000000000000 29 20 22 08 00000000 00000038 0000 001c 0000 4004 0102030405060708090a0b0c0d0e0f1011121314"))),
        ("stun", "cs", udp().c(hex("0001 0000 2112a442 0102030405060708090a0b0c")).s(hex("0101 000c 2112a442 0102030405060708090a0b0c 0020 0008 0001a147 e112a643"))),
        ("stun", "cs", udp().c(hex("0003 0008 2112a442 0102030405060708090a0b0c 0019 0004 11000000")).s(hex("0113 0008 2112a442 0102030405060708090a0b0c 0009 0004 00000401"))),
        ("coap", "", udp().c(hex("40 01 1234 bb 2e77656c6c2d6b6e6f776e 04 636f7265")[..].to_vec()).s(hex("60 45 1234 c1 28 ff 6869"))),
        ("bittorrent-dht", "cs", udp().c("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe").s("d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re")),
        ("bittorrent-tracker", "", udp().c(hex("0000041727101980 00000000 12345678")).s(hex("00000000 12345678 1122334455667788"))),
        ("tftp", "c", udp().c("\0\x01boot.bin\0octet\0blksize\x001468\0")),
        ("netflow", "c", udp().c(cat(&[&hex("0005 0001 00010000 65000000 00000000 00000001 00 00 0000"), &[1; 48]]))),
        ("kerberos", "c", udp().c(hex("6a81 8e 3081 8b a103020105 a20302010a a37f307d").into_iter().chain(hex("a007030500 40810010 a1123010 a003020101 a1093007 1b05 6a6f656a65 a20b1b09 412e4558414d504c45 a31e301c a003020102 a1153013 1b066b7262746774 1b09 412e4558414d504c45 a511180f 32303337303931333032343830355a a70602047b 8e6fb5 a8083006 020112 020111").into_iter()).collect::<Vec<u8>>())),
        ("teredo", "", udp().c(cat(&[&hex("00010000 0102030405060708 00"), &hex("6000000000083aff"), &hex("fe800000000000000000ffffffffffff ff020000000000000000000000000002"), &hex("8500 0000 00000000")]))),
    ]
}

fn dhcp(op: u8) -> Vec<u8> {
    cat(&[
        &[op, 1, 6, 0],
        &hex("12345678 0000 8000"),
        &[0; 16],
        &hex("001122334455"),
        &[0; 202],
        &hex("63825363 3501"),
        &[op, 255],
        &[0; 20],
    ])
}

fn plants() -> Vec<Case> {
    vec![
        (
            "modbus",
            "",
            tcp().c(hex("0001 0000 0006 01 03 0000 0002")).s(hex("0001 0000 0007 01 03 04 0001 0002")),
        ),
        ("modbus", "", tcp().c(hex("0001 0000 0006 11 01 0013 0025")).s(hex("0001 0000 0003 11 81 02"))),
        (
            "iec104",
            "",
            tcp()
                .c(hex("68 04 07 00 00 00"))
                .s(hex("68 04 0b 00 00 00"))
                .c(hex("68 0e 00 00 00 00 64 01 06 00 01 00 00 00 00 14")),
        ),
        (
            "s7comm",
            "c",
            tcp()
                .c(hex("03000016 11e0 0000 0001 00 c0010a c1020100 c2020102"))
                .s(hex("03000016 11d0 0001 0002 00 c0010a c1020100 c2020102"))
                .c(hex("03000019 02f080 32010000 0000 0008 0000 f000 0001 0001 01e0")),
        ),
        (
            "enip",
            "cs",
            tcp()
                .c(cat(&[&hex("6500 0400 00000000 00000000"), &[1; 8], &hex("00000000 0100 0000")]))
                .s(cat(&[&hex("6500 0400 78563412 00000000"), &[1; 8], &hex("00000000 0100 0000")])),
        ),
        ("bacnet", "c", udp().c(hex("81 0b 000c 01 20 ffff 00 ff 10 08"))),
        ("dnp3", "cs", tcp().c(dnp3(0xc4, [1, 0, 2, 0])).s(dnp3(0x44, [2, 0, 1, 0]))),
        (
            "opcua",
            "c",
            tcp().c(cat(&[
                b"HELF",
                &hex("30000000 00000000 ffff0000 ffff0000 00000000 00000000 10000000"),
                b"opc.tcp://a:4840",
            ])),
        ),
    ]
}

fn dnp3(control: u8, ends: [u8; 4]) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        let crc = bytes.iter().fold(0u16, |crc, &byte| {
            (0..8)
                .fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa6bc } else { crc >> 1 })
        });
        (!crc).to_le_bytes()
    };
    let head = cat(&[&[0x05, 0x64, 0x0b, control], &ends]);
    let body = [0xc0, 0xc1, 0x01, 0x3c, 0x02, 0x06];
    cat(&[&head, &sum(&head), &body, &sum(&body)])
}

/// Hellos of several ages, in segments, and what a connection looks like from the middle.
fn secure() -> Vec<Case> {
    let asks = |version: u8, len: usize| {
        let mut body = client_hello("a.example", &["h2"]);
        body[1] = version;
        if version < 3 {
            body.truncate(43); // ciphers and no extensions
        }
        let record = in_record(1, &body);
        record.chunks(record.len().div_ceil(len)).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let answers = |version: u8, new: bool| {
        let rest: &[u8] = if new { &[0, 6, 0, 43, 0, 2, 3, 4] } else { &[] };
        in_record(2, &cat(&[&[3, version], &Dice(11).bytes(32), &[0, 0x13, 1, 0], rest]))
    };
    let data = |seed: u64, len: usize| {
        cat(&[&[23, 3, 3, (len >> 8) as u8, len as u8], &Dice(seed).bytes(len)])
    };
    let mut list = Vec::new();
    for (version, new) in [(1, false), (2, false), (3, false), (3, true)] {
        list.push(("tls", "cs", tcp().c(&asks(version, 1)[0]).s(answers(version, new))));
    }
    list.push(("tls", "cs", asks(3, 5).iter().fold(tcp(), |talk, part| talk.c(part)).s(answers(3, true))));
    list.push(("tls", "c", tcp().c(&asks(3, 1)[0]).s([21, 3, 3, 0, 2, 2, 70])));
    list.push(("tls", "", tcp().midway().c(data(1, 100)).s(data(2, 1200)).s(data(3, 300))));
    for version in [0xff, 0xfd] {
        let body = cat(&[&[0xfe, version], &Dice(12).bytes(32), &hex("00 00 0004 c02bc02f 01 00 0000")]);
        let len = body.len() as u8;
        let message = cat(&[&[1, 0, 0, len, 0, 0, 0, 0, 0, 0, 0, len], &body]);
        let ask = cat(&[&[22, 0xfe, version], &[0; 8], &[0, message.len() as u8], &message]);
        let verify = hex("16 feff 0000 000000000000 0023 03 000017 0000 000000 000017 feff 14");
        let verify = cat(&[&verify, &Dice(13).bytes(20)]);
        list.push(("dtls", "cs", udp().c(ask).s(verify)));
    }
    list
}

fn cases() -> Vec<Case> {
    [text_protocols(), binary_services(), secure(), datagrams(), plants()].concat()
}

#[test]
fn conversations_are_named_whole_and_from_the_middle() {
    let mut wrong = Vec::new();
    for (number, (label, _, talk)) in cases().into_iter().enumerate() {
        for (how, talk) in [("whole", talk.clone()), ("no SYN", talk.midway())] {
            let said = talk.label();
            if said != label && !said.ends_with(&format!("/{label}")) {
                wrong.push(format!("{number} {label} {how}: {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn one_direction_is_named_where_it_tells_and_never_something_else() {
    let (mut wrong, mut told, mut all) = (Vec::new(), 0, 0);
    for (number, (label, ends, talk)) in cases().into_iter().enumerate() {
        for (end, letter) in [(0, 'c'), (1, 's')] {
            let Some(half) = talk.only(end) else { continue };
            let said = half.midway().label();
            let named = said == label || said.ends_with(&format!("/{label}"));
            all += 1;
            told += usize::from(named);
            // A client of SMB 2 may begin with a message of SMB 1.
            let kin = matches!((label, &*said), ("smb2", "smb1") | ("epm", "dcerpc"));
            if !named && (!(said.is_empty() || kin) || ends.contains(letter)) {
                wrong.push(format!("{number} {label} {letter}: {said:?}"));
            } else if named && !ends.contains(letter) {
                println!("{number} {label} {letter} is named, too");
            }
        }
    }
    println!("{told} of {all} directions are named alone");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
