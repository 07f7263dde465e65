# Which address ranges overlap?
#
# Two ranges overlap exactly if they have the same first address once both are cut to the shorter of their
# prefixes. No provider: every module that takes ranges asks here before it makes anything.

locals {
  names = sort(keys(var.ranges))
  first = { for name, range in var.ranges : name => cidrhost(range, 0) }
  bits  = { for name, range in var.ranges : name => tonumber(split("/", range)[1]) }

  overlaps = flatten([
    for i, a in local.names : [
      for b in slice(local.names, i + 1, length(local.names)) :
      "${a} (${var.ranges[a]}) overlaps ${b} (${var.ranges[b]})"
      if cidrhost("${local.first[a]}/${min(local.bits[a], local.bits[b])}", 0) == cidrhost("${local.first[b]}/${min(local.bits[a], local.bits[b])}", 0)
    ]
  ])
}
