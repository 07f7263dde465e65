run "disjoint_ranges_of_both_clouds" {
  variables {
    ranges = {
      vpc      = "10.30.0.0/16"
      nodes    = "10.20.0.0/20"
      pods     = "10.21.0.0/16"
      services = "10.22.0.0/20"
    }
  }
  assert {
    condition     = output.overlaps == []
    error_message = "The guide's four ranges are disjoint: ${jsonencode(output.overlaps)}"
  }
}

run "a_range_inside_another" {
  variables {
    ranges = {
      pods = "10.20.0.0/14"
      vpc  = "10.22.128.0/20"
    }
  }
  assert {
    condition     = output.overlaps == ["pods (10.20.0.0/14) overlaps vpc (10.22.128.0/20)"]
    error_message = "A range inside another must be named: ${jsonencode(output.overlaps)}"
  }
}

run "the_same_the_other_way_round" {
  variables {
    ranges = {
      a = "10.22.128.0/20"
      b = "10.20.0.0/14"
      c = "10.24.0.0/16"
    }
  }
  assert {
    condition     = output.overlaps == ["a (10.22.128.0/20) overlaps b (10.20.0.0/14)"]
    error_message = "Order must not matter, and the neighbour 10.24.0.0/16 is free: ${jsonencode(output.overlaps)}"
  }
}

run "every_pair_is_named" {
  variables {
    ranges = {
      a = "10.0.0.0/8"
      b = "10.1.0.0/16"
      c = "10.1.2.0/24"
    }
  }
  assert {
    condition     = length(output.overlaps) == 3
    error_message = "Three nested ranges make three pairs: ${jsonencode(output.overlaps)}"
  }
}

run "not_a_range" {
  command = plan
  variables {
    ranges = { vpc = "10.30.0.0" }
  }
  expect_failures = [var.ranges]
}
