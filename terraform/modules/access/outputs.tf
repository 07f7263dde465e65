output "flows" {
  description = "Every permitted connection by a stable key FROM_TO_PORT."
  value       = { for row in local.rows : "${row.from}_${row.to}_${row.port}" => row }
}

output "ports" {
  description = "The ports, with defaults filled in."
  value       = local.p
}

output "firewall_requests" {
  description = "The same as a Markdown table, for whoever runs a firewall in between."
  value = join("\n", concat(
    ["| source | destination | port | TLS | purpose |", "|---|---|---|---|---|"],
    [for row in local.rows : "| ${row.from} | ${row.to} | ${row.port}/tcp | ${row.tls} | ${row.why} |"],
  ))
}
