variables {
  member          = "witness"
  initial_cluster = { aws = "198.51.100.1", gcp = "198.51.100.2", witness = "witness.example.com" }
  data_device     = "/dev/nvme1n1"
}

run "member" {
  assert {
    condition = output.settings == {
      ETCD_NAME                        = "witness"
      ETCD_DATA_DIR                    = "/var/lib/etcd/member"
      ETCD_INITIAL_CLUSTER             = "aws=https://198.51.100.1:2380,gcp=https://198.51.100.2:2380,witness=https://witness.example.com:2380"
      ETCD_INITIAL_CLUSTER_STATE       = "new"
      ETCD_INITIAL_CLUSTER_TOKEN       = "tandem"
      ETCD_INITIAL_ADVERTISE_PEER_URLS = "https://witness.example.com:2380"
      ETCD_ADVERTISE_CLIENT_URLS       = "https://witness.example.com:2379"
      ETCD_LISTEN_PEER_URLS            = "https://0.0.0.0:2380"
      ETCD_LISTEN_CLIENT_URLS          = "https://0.0.0.0:2379"
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
    error_message = "Three members, mutual TLS on both ports, pre-vote: ${jsonencode(output.settings)}"
  }
  assert {
    condition     = startswith(output.user_data, "#cloud-config\n") && can(yamldecode(output.user_data)) && toset(keys(yamldecode(output.user_data))) == toset(["package_update", "package_upgrade", "bootcmd", "fs_setup", "mounts", "write_files", "packages", "runcmd"])
    error_message = "cloud-init reads it."
  }
  assert {
    condition     = yamldecode(output.user_data).fs_setup == [{ label = "etcd", filesystem = "ext4", device = "/dev/nvme1n1", overwrite = false }] && yamldecode(output.user_data).mounts[0][0] == "/dev/nvme1n1" && yamldecode(output.user_data).mounts[0][1] == "/var/lib/etcd"
    error_message = "The data disk is formatted once, and mounted."
  }
  assert {
    condition     = yamldecode(output.user_data).bootcmd == [["sh", "-c", "n=0; until [ -b /dev/nvme1n1 ] || [ $n -ge 150 ]; do n=$((n+1)); sleep 2; done"]]
    error_message = "The first boot waits for the disk, five minutes at most."
  }
  assert {
    condition     = [for f in yamldecode(output.user_data).write_files : f.path] == ["/etc/default/etcd", "/etc/systemd/system/etcd.service.d/tandem.conf", "/etc/systemd/system/etcd-when-ready.path"] && strcontains(yamldecode(output.user_data).write_files[0].content, "ETCD_NAME=\"witness\"\n") && strcontains(yamldecode(output.user_data).write_files[1].content, "ConditionPathExists=/etc/etcd/tls/member.key") && strcontains(yamldecode(output.user_data).write_files[1].content, "RequiresMountsFor=/var/lib/etcd") && strcontains(yamldecode(output.user_data).write_files[2].content, "Unit=etcd.service")
    error_message = "etcd waits for its disk and its certificates."
  }
  assert {
    condition     = !strcontains(output.user_data, "PRIVATE KEY") && contains(yamldecode(output.user_data).packages, "etcd-server") && yamldecode(output.user_data).package_upgrade && yamldecode(output.user_data).package_update && contains([for c in yamldecode(output.user_data).runcmd : join(" ", c)], "systemctl enable --now etcd-when-ready.path")
    error_message = "No key travels in user data."
  }
}

run "two_members_are_refused" {
  command = plan
  variables {
    initial_cluster = { aws = "198.51.100.1", gcp = "198.51.100.2" }
  }
  expect_failures = [var.initial_cluster]
}

run "a_fourth_place_is_refused" {
  command = plan
  variables {
    member = "azure"
  }
  expect_failures = [var.member]
}
