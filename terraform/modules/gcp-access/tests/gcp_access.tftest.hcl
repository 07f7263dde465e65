variables {
  project_id   = "example"
  network_name = "crm-dr"
  flows = {
    aws-tandem_gcp-tandem_8400         = { from = "aws-tandem", to = "gcp-tandem", port = 8400, tls = "mutual TLS", why = "agents" }
    gcp-application_gcp-tandem_6432    = { from = "gcp-application", to = "gcp-tandem", port = 6432, tls = "TLS", why = "writes" }
    gcp-database_gcp-tandem_8401       = { from = "gcp-database", to = "gcp-tandem", port = 8401, tls = "TLS", why = "relay" }
    google-probes_gcp-application_8080 = { from = "google-probes", to = "gcp-application", port = 8080, tls = "none", why = "users" }
    witness_gcp-etcd_2380              = { from = "witness", to = "gcp-etcd", port = 2380, tls = "mutual TLS", why = "consensus" }
    aws-etcd_gcp-etcd_2380             = { from = "aws-etcd", to = "gcp-etcd", port = 2380, tls = "mutual TLS", why = "consensus" }
    gcp-tandem_gcp-database_5432       = { from = "gcp-tandem", to = "gcp-database", port = 5432, tls = "TLS", why = "gates" }
    gcp-tandem_gcp-cache_6378          = { from = "gcp-tandem", to = "gcp-cache", port = 6378, tls = "TLS", why = "cache" }
    gcp-tandem_aws-database_5432       = { from = "gcp-tandem", to = "aws-database", port = 5432, tls = "TLS", why = "relay" }
  }
  node_cidrs            = ["10.20.0.0/20", "10.21.0.0/16"]
  private_services_cidr = "10.23.0.0/20"
  aws_cidr              = "10.30.0.0/16"
  aws_etcd_cidrs        = ["198.51.100.1/32"]
  witness_cidrs         = ["203.0.113.9/32"]
}

run "adopted" {
  assert {
    condition = { for key, r in google_compute_firewall.ingress : key => r.source_ranges } == {
      aws-tandem_gcp-tandem_8400         = toset(["10.30.0.0/16"])
      gcp-application_gcp-tandem_6432    = toset(["10.20.0.0/20", "10.21.0.0/16"])
      gcp-database_gcp-tandem_8401       = toset(["10.23.0.0/20"])
      google-probes_gcp-application_8080 = toset(["130.211.0.0/22", "35.191.0.0/16"])
      witness_gcp-etcd_2380              = toset(["203.0.113.9/32"])
      aws-etcd_gcp-etcd_2380             = toset(["10.30.0.0/16", "198.51.100.1/32"])
    }
    error_message = "Each flow into a machine comes from its own ranges."
  }
  assert {
    condition     = { for key, r in google_compute_firewall.ingress : key => one(r.target_tags) }["witness_gcp-etcd_2380"] == "crm-dr-etcd" && toset(google_compute_firewall.ingress["aws-tandem_gcp-tandem_8400"].target_tags) == toset(["crm-dr-tandem"])
    error_message = "Rules hit the place's tag."
  }
  assert {
    condition     = alltrue([for key, r in google_compute_firewall.ingress : r.direction == "INGRESS" && r.priority == 1000 && one(r.allow).protocol == "tcp" && one(r.allow).ports == tolist([tostring(var.flows[key].port)]) && r.network == "crm-dr" && r.project == "example" && r.name == "crm-dr-${replace(key, "_", "-")}" && length(r.name) <= 62])
    error_message = "One TCP port a rule, under a name that Google accepts."
  }
  assert {
    condition     = google_compute_firewall.ingress["aws-tandem_gcp-tandem_8400"].description == "aws-tandem: agents (mutual TLS)"
    error_message = "A rule says what it is for."
  }
  assert {
    condition     = google_compute_firewall.application_to_data["this"].direction == "EGRESS" && toset(one(google_compute_firewall.application_to_data["this"].deny).ports) == toset(["5432", "6378"]) && one(google_compute_firewall.application_to_data["this"].deny).protocol == "tcp" && toset(google_compute_firewall.application_to_data["this"].destination_ranges) == toset(["10.23.0.0/20", "10.30.0.0/16"]) && toset(google_compute_firewall.application_to_data["this"].target_tags) == toset(["crm-dr-application"])
    error_message = "The application's nodes reach no database and no cache of either cloud."
  }
  assert {
    condition     = google_compute_firewall.application_to_data["this"].priority == 900 && google_compute_firewall.application_to_data["this"].network == "crm-dr" && google_compute_firewall.application_to_data["this"].project == "example" && google_compute_firewall.application_to_data["this"].name == "crm-dr-application-not-to-data" && google_compute_firewall.application_to_data["this"].log_config[0].metadata == "INCLUDE_ALL_METADATA" && google_compute_firewall.application_to_data["this"].description != null
    error_message = "The refusal comes before other rules and is logged."
  }
  assert {
    condition     = output.tags == { application = "crm-dr-application", tandem = "crm-dr-tandem", etcd = "crm-dr-etcd" }
    error_message = "Nodes and machines take these tags."
  }
}

run "not_adopted_yet" {
  command = plan
  variables {
    flows = {
      gcp-application_gcp-database_5432 = { from = "gcp-application", to = "gcp-database", port = 5432, tls = "TLS", why = "application not adopted yet" }
      witness_gcp-etcd_2380             = { from = "witness", to = "gcp-etcd", port = 2380, tls = "mutual TLS", why = "consensus" }
    }
    witness_cidrs = []
  }
  assert {
    condition     = length(google_compute_firewall.application_to_data) == 0 && length(google_compute_firewall.ingress) == 0
    error_message = "Until adopted nothing is refused; without a witness nothing is opened for it."
  }
}

run "the_internet_is_no_witness" {
  command = plan
  variables {
    witness_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.witness_cidrs]
}

run "the_internet_is_no_member" {
  command = plan
  variables {
    aws_etcd_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.aws_etcd_cidrs]
}
