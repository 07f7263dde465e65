# The network of the GCP site: one subnet with ranges for pods and services, Cloud NAT, and the private connection
# to Google's services (Cloud SQL, Memorystore).
#
# Cloud SQL reaches AWS only if this connection exports the routes that the VPN's router learned; without the
# export the database has no way to RDS, whatever the tunnels say.

module "cidr" {
  source = "../cidr-overlap"
  ranges = merge({
    subnet_ip_cidr_range           = var.subnet_ip_cidr_range
    subnet_secondary_pods_cidr     = var.subnet_secondary_pods_cidr
    subnet_secondary_services_cidr = var.subnet_secondary_services_cidr
    private_services_cidr          = var.private_services_cidr
    control_plane_cidr             = var.control_plane_cidr
  }, var.aws_vpc_cidr == null ? {} : { aws_vpc_cidr = var.aws_vpc_cidr })
}

resource "google_compute_network" "this" {
  project                         = var.project_id
  name                            = var.network_name
  auto_create_subnetworks         = false
  routing_mode                    = "REGIONAL"
  delete_default_routes_on_create = false

  lifecycle {
    precondition {
      condition     = length(module.cidr.overlaps) == 0
      error_message = "Overlapping ranges cannot be routed: ${join("; ", module.cidr.overlaps)}."
    }
  }
}

resource "google_compute_subnetwork" "this" {
  project                  = var.project_id
  region                   = var.region
  name                     = coalesce(var.subnet_name, "${var.network_name}-${var.region}")
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.subnet_ip_cidr_range
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = var.ip_range_pods_name
    ip_cidr_range = var.subnet_secondary_pods_cidr
  }

  secondary_ip_range {
    range_name    = var.ip_range_services_name
    ip_cidr_range = var.subnet_secondary_services_cidr
  }

  log_config {
    aggregation_interval = "INTERVAL_5_MIN"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_router" "nat" {
  project = var.project_id
  region  = var.region
  name    = "${var.network_name}-nat"
  network = google_compute_network.this.id
}

# A fixed address: the witness admits this site by it.
resource "google_compute_address" "nat" {
  project = var.project_id
  region  = var.region
  name    = "${var.network_name}-nat"
}

resource "google_compute_router_nat" "this" {
  project                            = var.project_id
  region                             = var.region
  name                               = "${var.network_name}-nat"
  router                             = google_compute_router.nat.name
  nat_ip_allocate_option             = "MANUAL_ONLY"
  nat_ips                            = [google_compute_address.nat.self_link]
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

resource "google_compute_global_address" "private_services" {
  project       = var.project_id
  name          = coalesce(var.private_services_range_name, "${var.network_name}-private-services")
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = split("/", var.private_services_cidr)[0]
  prefix_length = tonumber(split("/", var.private_services_cidr)[1])
}

resource "google_service_networking_connection" "this" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.private_services.name]

  # Deleting it while a deleted Cloud SQL instance lingers fails for hours ("Producer services ... still using").
  deletion_policy = "ABANDON"
}

resource "google_compute_network_peering_routes_config" "private_services" {
  project              = var.project_id
  network              = google_compute_network.this.name
  peering              = google_service_networking_connection.this.peering
  export_custom_routes = true
  import_custom_routes = false
}
