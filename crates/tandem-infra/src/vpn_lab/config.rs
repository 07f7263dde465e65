//! The daemons' files, as text: pure, and compared in tests.

use std::fmt::Write as _;

use super::halves::{End, Half, Offer};

/// Which half a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Waits for the other, as AWS does by default.
    Aws,
    /// Begins, as Cloud VPN does.
    Gcp,
}

impl Side {
    /// A letter for names.
    pub fn letter(self) -> char {
        match self {
            Side::Aws => 'a',
            Side::Gcp => 'g',
        }
    }
}

/// `strongswan.conf`; the section's name is the process's. The two marks keep
/// charon's own packets out of the route that it installs for the tunnel.
pub fn strongswan(folder: &str) -> String {
    format!(
        "charon-systemd {{
  load = random nonce openssl pem pkcs1 pubkey hmac kdf gmp kernel-libipsec kernel-netlink socket-default vici
  install_virtual_ip = no
  retransmit_tries = 5
  retransmit_timeout = 2.0
  retransmit_base = 1.4
  filelog {{
    file {{
      path = {folder}/charon.log
      default = 1
      flush_line = yes
    }}
  }}
  plugins {{
    vici {{
      socket = unix://{folder}/vici
    }}
    kernel-libipsec {{
      allow_peer_ts = yes
    }}
    kernel-netlink {{
      fwmark = !0x42
    }}
    socket-default {{
      fwmark = 0x42
    }}
  }}
}}
"
    )
}

/// `swanctl.conf` of one end.
pub fn swanctl(side: Side, end: &End) -> String {
    let (dpd, start) = match side {
        Side::Aws => ("clear", "none"),
        Side::Gcp => ("restart", "start"),
    };
    format!(
        "connections {{
  t {{
    version = 2
    mobike = no
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = {ike}
    encap = yes
    dpd_delay = 10s
    keyingtries = 0
    local {{
      auth = psk
      id = {local}
    }}
    remote {{
      auth = psk
      id = {remote}
    }}
    children {{
      t {{
        local_ts = 0.0.0.0/0
        remote_ts = 0.0.0.0/0
        esp_proposals = {esp}
        dpd_action = {dpd}
        start_action = {start}
        close_action = {start}
      }}
    }}
  }}
}}
secrets {{
  ike-t {{
    id = {remote}
    secret = \"{key}\"
  }}
}}
",
        local = end.outside,
        remote = end.peer_outside,
        ike = proposals(&end.ike, true),
        esp = proposals(&end.esp, false),
        key = end.key.reveal(),
    )
}

/// strongSwan's words. Algorithms of one proposal are alternatives; those that
/// authenticate themselves need a proposal of their own.
pub fn proposals(offer: &Offer, ike: bool) -> String {
    let groups: Vec<&str> = offer.groups.iter().filter_map(|group| dh(*group)).collect();
    let (combined, plain): (Vec<&String>, Vec<&String>) = offer
        .encryption
        .iter()
        .partition(|word| word.contains("GCM"));
    let sums: Vec<String> = offer
        .integrity
        .iter()
        .map(|word| word.to_lowercase().replace("sha2-", "sha"))
        .collect();
    let mut all = Vec::new();
    if !combined.is_empty() {
        let mut words: Vec<String> = combined.iter().map(|word| cipher(word)).collect();
        if ike {
            words.extend(sums.iter().map(|sum| format!("prf{sum}")));
        }
        words.extend(groups.iter().map(|word| (*word).to_owned()));
        all.push(words.join("-"));
    }
    if !plain.is_empty() {
        let mut words: Vec<String> = plain.iter().map(|word| cipher(word)).collect();
        words.extend(sums);
        words.extend(groups.iter().map(|word| (*word).to_owned()));
        all.push(words.join("-"));
    }
    all.join(",")
}

fn cipher(word: &str) -> String {
    word.to_lowercase().replace("-gcm-16", "gcm16")
}

fn dh(group: u64) -> Option<&'static str> {
    Some(match group {
        2 => "modp1024",
        5 => "modp1536",
        14 => "modp2048",
        15 => "modp3072",
        16 => "modp4096",
        17 => "modp6144",
        18 => "modp8192",
        19 => "ecp256",
        20 => "ecp384",
        21 => "ecp521",
        22 => "modp1024s160",
        23 => "modp2048s224",
        24 => "modp2048s256",
        _ => return None,
    })
}

/// `bird.conf` of one side's router. Routes into our own ranges are refused
/// with a word in the log, which is how an overlap shows.
pub fn bird(half: &Half, folder: &str) -> String {
    let own: Vec<String> = half
        .networks
        .iter()
        .map(|range| format!("{range}+"))
        .collect();
    let mut out = format!(
        "log \"{folder}/bird.log\" all;
router id {router};
protocol device {{ scan time 1; }}
protocol kernel {{ ipv4 {{ export filter {{ if source = RTS_BGP then accept; reject; }}; import none; }}; merge paths on; }}
protocol bfd {{ interface \"vti*\" {{ interval 200 ms; multiplier 4; }}; }}
protocol static {{ ipv4;
",
        router = half.ends.values().next().map_or(std::net::Ipv4Addr::new(192, 0, 2, 1), |end| end.inside),
    );
    for range in &half.advertised {
        let _ = writeln!(out, "  route {range} blackhole;");
    }
    out.push_str("}\n");
    for (tunnel, end) in &half.ends {
        let _ = write!(
            out,
            "protocol bgp t{tunnel} {{
  interface \"vti{tunnel}\"; local {inside} as {asn}; neighbor {peer} as {peer_asn}; direct;
  hold time 30; keepalive time 10; connect retry time 1; connect delay time 1; error wait time 1, 5; bfd on;
  ipv4 {{
    import filter {{ if net ~ [{own}] then {{ print \"OVERLAP \", net; reject; }} accept; }};
    export where source = RTS_STATIC;
  }};
}}
",
            inside = end.inside,
            asn = half.asn,
            peer = end.peer_inside,
            peer_asn = end.peer_asn,
            own = own.join(", "),
        );
    }
    out
}
