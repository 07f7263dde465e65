# The first boot of a machine that carries an etcd member, as cloud-init for Debian 12. No provider: any cloud that
# takes user data can run the witness with it.
#
# No key travels in user data, which anybody with read rights on the machine's description can see. The member waits
# until its certificates lie in /etc/etcd/tls (ca.crt, member.crt, member.key; `tandem init` makes them).

locals {
  settings = {
    ETCD_NAME                        = var.member
    ETCD_DATA_DIR                    = "/var/lib/etcd/member"
    ETCD_INITIAL_CLUSTER             = join(",", [for name in ["aws", "gcp", "witness"] : "${name}=https://${var.initial_cluster[name]}:${var.peer_port}"])
    ETCD_INITIAL_CLUSTER_STATE       = "new"
    ETCD_INITIAL_CLUSTER_TOKEN       = var.cluster_token
    ETCD_INITIAL_ADVERTISE_PEER_URLS = "https://${var.initial_cluster[var.member]}:${var.peer_port}"
    ETCD_ADVERTISE_CLIENT_URLS       = "https://${var.initial_cluster[var.member]}:${var.client_port}"
    ETCD_LISTEN_PEER_URLS            = "https://0.0.0.0:${var.peer_port}"
    ETCD_LISTEN_CLIENT_URLS          = "https://0.0.0.0:${var.client_port}"
    ETCD_CLIENT_CERT_AUTH            = "true"
    ETCD_TRUSTED_CA_FILE             = "/etc/etcd/tls/ca.crt"
    ETCD_CERT_FILE                   = "/etc/etcd/tls/member.crt"
    ETCD_KEY_FILE                    = "/etc/etcd/tls/member.key"
    ETCD_PEER_CLIENT_CERT_AUTH       = "true"
    ETCD_PEER_TRUSTED_CA_FILE        = "/etc/etcd/tls/ca.crt"
    ETCD_PEER_CERT_FILE              = "/etc/etcd/tls/member.crt"
    ETCD_PEER_KEY_FILE               = "/etc/etcd/tls/member.key"
    ETCD_PRE_VOTE                    = "true"
    ETCD_STRICT_RECONFIG_CHECK       = "true"
    ETCD_HEARTBEAT_INTERVAL          = "100"
    ETCD_ELECTION_TIMEOUT            = "1000"
    ETCD_AUTO_COMPACTION_RETENTION   = "1h"
  }

  mounted = "[Unit]\nRequiresMountsFor=/var/lib/etcd\nConditionPathExists=/etc/etcd/tls/member.key\n"
  watched = "[Unit]\nDescription=Start etcd once its certificates are there\n[Path]\nPathExists=/etc/etcd/tls/member.key\nUnit=etcd.service\n[Install]\nWantedBy=multi-user.target\n"

  cloud_init = {
    package_update  = true
    package_upgrade = true
    # A disk is attached once the machine runs; formatting is tried at the first boot alone.
    bootcmd  = [["sh", "-c", "n=0; until [ -b ${var.data_device} ] || [ $n -ge 150 ]; do n=$((n+1)); sleep 2; done"]]
    fs_setup = [{ label = "etcd", filesystem = "ext4", device = var.data_device, overwrite = false }]
    mounts   = [[var.data_device, "/var/lib/etcd", "ext4", "defaults,noatime,nofail", "0", "2"]]
    write_files = [
      { path = "/etc/default/etcd", permissions = "0644", content = join("", [for name, value in local.settings : "${name}=\"${value}\"\n"]) },
      { path = "/etc/systemd/system/etcd.service.d/tandem.conf", permissions = "0644", content = local.mounted },
      { path = "/etc/systemd/system/etcd-when-ready.path", permissions = "0644", content = local.watched },
    ]
    packages = ["etcd-server", "etcd-client", "unattended-upgrades"]
    runcmd = [
      ["install", "-d", "-m", "0750", "-o", "root", "-g", "etcd", "/etc/etcd/tls"],
      ["chown", "etcd:etcd", "/var/lib/etcd"],
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "etcd.service"],
      ["systemctl", "enable", "--now", "etcd-when-ready.path"],
    ]
  }
}
