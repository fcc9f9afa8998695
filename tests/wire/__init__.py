"""Readable made traffic: build frames and dialogues, write captures, read them back.

Layers nest as they do on the wire, the outermost first::

    ether(vlan(ip4("10.0.0.1", "10.0.0.2", tcp(40000, 443, b"hello", flags="PA")), 7))

Checksums, lengths and the numbers by which one header announces the next are filled in. A
dialogue (`tcp_session`, `udp_dialogue`) is a list of `Packet`, which `pcap` and `pcapng` write.
"""

from .layer import Layer as Layer
from .layer import addr as addr
from .layer import checksum as checksum
from .layer import crc32c as crc32c
from .link import arp as arp
from .link import c_hdlc as c_hdlc
from .link import ether as ether
from .link import ether_llc as ether_llc
from .link import lldp as lldp
from .link import loop as loop
from .link import mpls as mpls
from .link import null as null
from .link import ppi as ppi
from .link import ppp as ppp
from .link import pppoe as pppoe
from .link import pppoe_discovery as pppoe_discovery
from .link import radiotap as radiotap
from .link import sll as sll
from .link import sll2 as sll2
from .link import snap as snap
from .link import stp as stp
from .link import vlan as vlan
from .link import wlan as wlan
from .link import wlan_beacon as wlan_beacon
from .net import ext as ext
from .net import ip as ip
from .net import ip4 as ip4
from .net import ip4_fragments as ip4_fragments
from .net import ip6 as ip6
from .net import ip6_fragments as ip6_fragments
from .net import router_alert as router_alert
from .read import Capture as Capture
from .read import Record as Record
from .read import read as read
from .read import read_pcap as read_pcap
from .read import read_pcapng as read_pcapng
from .talk import MILLISECOND as MILLISECOND
from .talk import SECOND as SECOND
from .talk import START_NS as START_NS
from .talk import Conversation as Conversation
from .talk import Packet as Packet
from .talk import TcpConversation as TcpConversation
from .talk import merged as merged
from .talk import tcp_session as tcp_session
from .talk import udp_dialogue as udp_dialogue
from .transport import icmp as icmp
from .transport import icmp6 as icmp6
from .transport import mss as mss
from .transport import ping as ping
from .transport import sack as sack
from .transport import sack_permitted as sack_permitted
from .transport import sctp as sctp
from .transport import sctp_data as sctp_data
from .transport import sctp_init as sctp_init
from .transport import tcp as tcp
from .transport import timestamps as timestamps
from .transport import udp as udp
from .transport import udplite as udplite
from .transport import wscale as wscale
from .tunnel import capwap as capwap
from .tunnel import erspan as erspan
from .tunnel import geneve as geneve
from .tunnel import gre as gre
from .tunnel import gtpu as gtpu
from .tunnel import l2tp as l2tp
from .tunnel import l2tpv3 as l2tpv3
from .tunnel import pptp as pptp
from .tunnel import teredo as teredo
from .tunnel import vxlan as vxlan
from .write import PCAP_MODIFIED as PCAP_MODIFIED
from .write import PCAP_NETSNIFF as PCAP_NETSNIFF
from .write import Interface as Interface
from .write import custom_block as custom_block
from .write import interface_block as interface_block
from .write import names_block as names_block
from .write import pcap as pcap
from .write import pcapng as pcapng
from .write import secrets_block as secrets_block
from .write import section_header as section_header
from .write import statistics_block as statistics_block
