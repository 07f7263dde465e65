# The third place. Its own environment and state, so that neither site's apply can touch it.

module "access" {
  source = "../../../modules/access"
  ports  = var.ports
}

module "witness" {
  source = "../../../modules/witness"

  name              = var.name
  availability_zone = var.availability_zone
  site_cidrs        = var.site_cidrs
  initial_cluster   = var.etcd_initial_cluster
  agent_port        = module.access.ports.agent
  client_port       = module.access.ports.etcd_client
  peer_port         = module.access.ports.etcd_peer
}
