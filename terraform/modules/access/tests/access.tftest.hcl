run "until_adopted" {
  assert {
    condition     = contains(keys(output.flows), "aws-application_aws-database_5432") && contains(keys(output.flows), "gcp-application_gcp-cache_6378") && contains(keys(output.flows), "gcp-database_aws-database_5432")
    error_message = "On day one the application and the subscription connect directly."
  }
  assert {
    condition     = length(output.flows) == 54 && length(output.flows) == length(split("\n", output.firewall_requests)) - 2
    error_message = "Every flow is a row of the table, no key is lost: ${length(output.flows)}"
  }
  assert {
    condition     = alltrue([for site in ["aws", "gcp"] : output.flows["${site}-tandem_${site}-etcd_2379"].tls == "mutual TLS" && output.flows["${site}-tandem_witness_8400"].tls == "mutual TLS" && output.flows["${site}-etcd_witness_2380"].tls == "mutual TLS"])
    error_message = "Agents, etcd and the witness know each other by certificates."
  }
  assert {
    condition     = strcontains(output.firewall_requests, "| gcp-tandem | aws-tandem | 6434/tcp | TLS | writes to the primary's gate |")
    error_message = "The table names source, destination, port, TLS and purpose."
  }
  assert {
    condition     = output.ports == { postgres = 5432, aws_redis = 6379, gcp_redis = 6378, gate_rw = 6432, gate_ro = 6433, gate_peer = 6434, gate_admin = 6435, cache_gateway = 6380, cache_sync = 6381, agent = 8400, relay = 8401, etcd_client = 2379, etcd_peer = 2380, application = 8080 }
    error_message = "The ports are those of the configuration's example."
  }
  assert {
    condition     = toset([for key, f in output.flows : key if !contains(["TLS", "mutual TLS"], f.tls)]) == toset(["aws-alb_aws-application_8080", "google-probes_gcp-application_8080"])
    error_message = "Only the load balancers' own side is without TLS."
  }
}

run "adopted" {
  variables {
    application_direct_access = false
    direct_replication        = false
    ports                     = { gate_rw = 7432 }
  }
  assert {
    condition     = toset([for f in output.flows : f.from if endswith(f.to, "-database")]) == toset(["aws-tandem", "gcp-tandem"]) && toset([for f in output.flows : f.from if endswith(f.to, "-cache")]) == toset(["aws-tandem", "gcp-tandem"])
    error_message = "Once adopted, only gates, cache gateways, agents and relay reach database and cache."
  }
  assert {
    condition     = contains(keys(output.flows), "aws-application_aws-tandem_7432") && output.flows["gcp-database_gcp-tandem_8401"].why == "the subscription, through the relay"
    error_message = "Ports are variables; the subscription goes through the relay."
  }
}

run "odd_ports_are_refused" {
  command = plan
  variables {
    ports = { agent = 70000 }
  }
  expect_failures = [var.ports]
}

run "shared_ports_are_refused" {
  command = plan
  variables {
    ports = { relay = 8400 }
  }
  expect_failures = [var.ports]
}
