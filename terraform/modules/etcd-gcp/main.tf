# A machine on GCP that carries one etcd member, with a data disk and a public address that outlive it.
#
# The way in is `gcloud compute ssh --tunnel-through-iap` with OS Login, so no SSH port is open to the internet.

module "config" {
  source = "../etcd-config"

  member          = var.member
  initial_cluster = var.initial_cluster
  client_port     = var.client_port
  peer_port       = var.peer_port
  data_device     = "/dev/disk/by-id/google-etcd"
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = var.name
  display_name = "etcd member ${var.member}"
}

resource "google_compute_address" "this" {
  project = var.project_id
  region  = var.region
  name    = var.name
}

resource "google_compute_disk" "data" {
  project = var.project_id
  zone    = var.zone
  name    = "${var.name}-data"
  type    = "pd-ssd"
  size    = 10
  labels  = var.labels
}

resource "google_compute_instance" "this" {
  project                   = var.project_id
  zone                      = var.zone
  name                      = var.name
  machine_type              = var.machine_type
  tags                      = [var.network_tag]
  labels                    = var.labels
  allow_stopping_for_update = false

  boot_disk {
    auto_delete = true
    initialize_params {
      image = "projects/debian-cloud/global/images/family/debian-12"
      size  = 10
      type  = "pd-balanced"
    }
  }

  attached_disk {
    source      = google_compute_disk.data.self_link
    device_name = "etcd"
  }

  network_interface {
    subnetwork         = var.subnetwork_name
    subnetwork_project = var.project_id
    network_ip         = var.private_ip
    access_config {
      nat_ip = google_compute_address.this.address
    }
  }

  service_account {
    email  = google_service_account.this.email
    scopes = ["https://www.googleapis.com/auth/logging.write", "https://www.googleapis.com/auth/monitoring.write"]
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  metadata = {
    user-data              = module.config.user_data
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
  }

  lifecycle {
    # A newer image or another first boot must not replace a member by surprise: members are replaced one by one.
    ignore_changes = [boot_disk[0].initialize_params[0].image, metadata["user-data"]]
  }
}
