//! Protocols made of lines.

use super::super::testkit::{hex, tcp, udp};
use super::Case;

pub fn cases() -> Vec<Case> {
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
