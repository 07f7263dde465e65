# Who may talk to whom: one table, read by the firewalls of both clouds and printed for the people who run others.
#
# Places: SITE-application and SITE-tandem (Kubernetes nodes), SITE-database, SITE-cache, SITE-etcd, aws-alb, gcp-lb,
# witness, edge (Cloudflare), google-probes. What is not in the table is not reachable.

locals {
  p     = var.ports
  sites = ["aws", "gcp"]
  far   = { aws = "gcp", gcp = "aws" }

  within_a_site = flatten([for site in local.sites : [
    { from = "${site}-application", to = "${site}-tandem", port = local.p.gate_rw, tls = "TLS", why = "writes, through the gate" },
    { from = "${site}-application", to = "${site}-tandem", port = local.p.gate_ro, tls = "TLS", why = "reads, through the gate" },
    { from = "${site}-application", to = "${site}-tandem", port = local.p.cache_gateway, tls = "TLS", why = "cache, through the cache gateway" },
    { from = "${site}-application", to = "${site}-tandem", port = local.p.gate_admin, tls = "TLS", why = "GET /v1/writer for schedulers" },
    { from = "${site}-tandem", to = "${site}-tandem", port = local.p.gate_admin, tls = "TLS", why = "agents look at gates" },
    { from = "${site}-tandem", to = "${site}-tandem", port = local.p.agent, tls = "mutual TLS", why = "gates and agents ask agents" },
    { from = "${site}-tandem", to = "${site}-database", port = local.p.postgres, tls = "TLS", why = "gates, agents and relay" },
    { from = "${site}-tandem", to = "${site}-cache", port = local.p["${site}_redis"], tls = "TLS", why = "cache gateways" },
    { from = "${site}-tandem", to = "${site}-etcd", port = local.p.etcd_client, tls = "mutual TLS", why = "agents renew the right to write" },
    { from = "${site}-database", to = "${site}-tandem", port = local.p.relay, tls = "TLS", why = "the subscription, through the relay" },
  ]])

  between_sites = flatten([for site in local.sites : [
    { from = "${site}-tandem", to = "${local.far[site]}-tandem", port = local.p.gate_peer, tls = "TLS", why = "writes to the primary's gate" },
    { from = "${site}-tandem", to = "${local.far[site]}-tandem", port = local.p.agent, tls = "mutual TLS", why = "agents watch the other site" },
    { from = "${site}-tandem", to = "${local.far[site]}-tandem", port = local.p.cache_sync, tls = "mutual TLS", why = "cache synchronisation" },
    { from = "${site}-tandem", to = "${local.far[site]}-database", port = local.p.postgres, tls = "TLS", why = "relay to the other database" },
    { from = "${site}-tandem", to = "${local.far[site]}-etcd", port = local.p.etcd_client, tls = "mutual TLS", why = "agents use all three members" },
    { from = "${site}-etcd", to = "${local.far[site]}-etcd", port = local.p.etcd_peer, tls = "mutual TLS", why = "consensus" },
  ]])

  # The witness is reached over the internet, so that it still counts when the VPN is what broke.
  with_the_witness = flatten([for site in local.sites : [
    { from = "${site}-tandem", to = "witness", port = local.p.etcd_client, tls = "mutual TLS", why = "agents use all three members" },
    { from = "${site}-tandem", to = "witness", port = local.p.agent, tls = "mutual TLS", why = "agents ask the witness" },
    { from = "${site}-etcd", to = "witness", port = local.p.etcd_peer, tls = "mutual TLS", why = "consensus" },
    { from = "witness", to = "${site}-etcd", port = local.p.etcd_peer, tls = "mutual TLS", why = "consensus" },
    { from = "witness", to = "${site}-etcd", port = local.p.etcd_client, tls = "mutual TLS", why = "the witness reads every member" },
    { from = "witness", to = "${site}-tandem", port = local.p.agent, tls = "mutual TLS", why = "the witness watches the site" },
  ]])

  from_outside = [
    { from = "edge", to = "aws-alb", port = 443, tls = "TLS", why = "users, through Cloudflare" },
    { from = "edge", to = "gcp-lb", port = 443, tls = "TLS", why = "users, through Cloudflare" },
    { from = "aws-alb", to = "aws-application", port = local.p.application, tls = "none", why = "users, behind the load balancer" },
    { from = "google-probes", to = "gcp-application", port = local.p.application, tls = "none", why = "users and probes, behind the load balancer" },
  ]

  direct_application = flatten([for site in local.sites : [
    { from = "${site}-application", to = "${site}-database", port = local.p.postgres, tls = "TLS", why = "application not adopted yet" },
    { from = "${site}-application", to = "${site}-cache", port = local.p["${site}_redis"], tls = "TLS", why = "application not adopted yet" },
  ]])

  direct_replication = [for site in local.sites :
    { from = "${site}-database", to = "${local.far[site]}-database", port = local.p.postgres, tls = "TLS", why = "subscription without relay" }
  ]

  rows = concat(
    local.within_a_site, local.between_sites, local.with_the_witness, local.from_outside,
    var.application_direct_access ? local.direct_application : [],
    var.direct_replication ? local.direct_replication : [],
  )
}
