variables {
  site_cidrs           = ["198.51.100.1/32", "198.51.100.2/32"]
  etcd_initial_cluster = { aws = "198.51.100.1", gcp = "198.51.100.2", witness = "witness.example.com" }
}

run "third_place" {
  assert {
    condition     = output.public_ip != "" && output.instance_id != ""
    error_message = "The sites admit the witness by its address."
  }
}

run "the_sites_region_is_refused" {
  command = plan
  variables {
    witness_region = "ap-northeast-2"
  }
  expect_failures = [var.witness_region]
}
