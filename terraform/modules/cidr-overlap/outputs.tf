output "overlaps" {
  description = "One sentence for each pair that overlaps; empty if all ranges are disjoint."
  value       = local.overlaps
}
