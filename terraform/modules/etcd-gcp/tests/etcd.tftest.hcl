variables {
  project_id      = "example"
  region          = "asia-northeast3"
  zone            = "asia-northeast3-a"
  name            = "crm-dr-etcd"
  initial_cluster = { aws = "198.51.100.1", gcp = "198.51.100.2", witness = "198.51.100.3" }
  subnetwork_name = "crm-dr-asia-northeast3"
  private_ip      = "10.20.0.20"
  network_tag     = "crm-dr-etcd"
  client_port     = 12379
  peer_port       = 12380
  labels          = { project = "crm" }
}

run "shape" {
  assert {
    condition     = google_compute_instance.this.zone == "asia-northeast3-a" && google_compute_instance.this.machine_type == "e2-small" && toset(google_compute_instance.this.tags) == toset(["crm-dr-etcd"]) && google_compute_instance.this.name == "crm-dr-etcd" && !google_compute_instance.this.allow_stopping_for_update
    error_message = "A small machine that the firewall knows."
  }
  assert {
    condition     = google_compute_instance.this.network_interface[0].network_ip == "10.20.0.20" && google_compute_instance.this.network_interface[0].subnetwork == "crm-dr-asia-northeast3" && google_compute_instance.this.network_interface[0].subnetwork_project == "example" && google_compute_instance.this.network_interface[0].access_config[0].nat_ip == google_compute_address.this.address
    error_message = "Known addresses inside and outside."
  }
  assert {
    condition     = google_compute_instance.this.attached_disk[0].source == google_compute_disk.data.self_link && google_compute_instance.this.attached_disk[0].device_name == "etcd" && google_compute_disk.data.type == "pd-ssd" && google_compute_disk.data.size == 10 && google_compute_disk.data.zone == "asia-northeast3-a" && google_compute_disk.data.name == "crm-dr-etcd-data"
    error_message = "Data outlives the machine."
  }
  assert {
    condition     = strcontains(google_compute_instance.this.metadata["user-data"], "aws=https://198.51.100.1:12380") && strcontains(google_compute_instance.this.metadata["user-data"], "https://0.0.0.0:12379") && strcontains(google_compute_instance.this.metadata["user-data"], "google-etcd") && strcontains(google_compute_instance.this.metadata["user-data"], "ETCD_NAME=\\\"gcp\\\"") && google_compute_instance.this.metadata["enable-oslogin"] == "TRUE" && google_compute_instance.this.metadata["block-project-ssh-keys"] == "TRUE"
    error_message = "It boots as its own member; people log in as themselves."
  }
  assert {
    condition     = google_compute_instance.this.boot_disk[0].auto_delete && endswith(google_compute_instance.this.boot_disk[0].initialize_params[0].image, "debian-12") && google_compute_instance.this.boot_disk[0].initialize_params[0].size == 10 && google_compute_instance.this.boot_disk[0].initialize_params[0].type == "pd-balanced" && google_compute_instance.this.shielded_instance_config[0].enable_secure_boot && google_compute_instance.this.shielded_instance_config[0].enable_vtpm && google_compute_instance.this.shielded_instance_config[0].enable_integrity_monitoring
    error_message = "Debian 12, booted securely."
  }
  assert {
    condition     = google_compute_instance.this.service_account[0].email == google_service_account.this.email && toset(google_compute_instance.this.service_account[0].scopes) == toset(["https://www.googleapis.com/auth/logging.write", "https://www.googleapis.com/auth/monitoring.write"]) && google_service_account.this.account_id == "crm-dr-etcd" && google_service_account.this.display_name == "etcd member gcp"
    error_message = "It writes logs and metrics, no more."
  }
  assert {
    condition     = alltrue([for r in [google_compute_instance.this.project, google_compute_disk.data.project, google_compute_address.this.project, google_service_account.this.project] : r == "example"]) && google_compute_address.this.region == "asia-northeast3" && google_compute_address.this.name == "crm-dr-etcd" && google_compute_instance.this.labels["project"] == "crm" && google_compute_disk.data.labels["project"] == "crm" && output.private_ip == "10.20.0.20" && output.public_ip == google_compute_address.this.address && output.instance_name == "crm-dr-etcd"
    error_message = "Project, labels and outputs."
  }
}

run "another_first_boot" {
  command = plan
  variables {
    peer_port = 22380
  }
  assert {
    condition     = strcontains(google_compute_instance.this.metadata["user-data"], ":12380")
    error_message = "A running member is not changed by another first boot."
  }
}

run "short_name_is_refused" {
  command = plan
  variables {
    name = "etcd"
  }
  expect_failures = [var.name]
}
