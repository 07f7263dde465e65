variable "name" {
  description = "Prefix of the AWS names; connections are called <name>-vpn-tunnel-1 and -2."
  type        = string
}

variable "vpc_id" {
  description = "VPC on the AWS side."
  type        = string
}

variable "vpc_cidr" {
  description = "Address range of the VPC; GCP learns it by BGP."
  type        = string
}

variable "private_route_table_ids" {
  description = "Route tables that learn GCP's routes, by a name known before the first apply (the zone). Every private one."
  type        = map(string)

  validation {
    condition     = length(var.private_route_table_ids) > 0
    error_message = "Without a route table no machine in AWS learns the way to GCP: name every private route table."
  }
}

variable "gcp_network_id" {
  description = "GCP's network: output network_id of gcp/dr, projects/PROJECT/global/networks/NAME."
  type        = string

  validation {
    condition     = can(regex("^projects/[^/]+/global/networks/[^/]+$", var.gcp_network_id))
    error_message = "gcp_network_id must read projects/PROJECT/global/networks/NAME: copy output network_id of environments/gcp/dr (not network_name)."
  }
}

variable "gcp_region" {
  description = "Region of the HA VPN gateway and its router."
  type        = string
}

variable "gcp_vpc_cidr" {
  description = "GCP's node range; the router advertises it as a subnet."
  type        = string
}

variable "gcp_additional_cidrs" {
  description = "GCP's ranges beside the nodes that AWS must reach: pods, services, private services (Cloud SQL). Advertised one by one, since ALL_SUBNETS is not known to cover secondary ranges."
  type        = list(string)

  validation {
    condition     = length(var.gcp_additional_cidrs) > 0
    error_message = "With the node range alone, pods and Cloud SQL have no way back: name the pods, services and private services ranges of gcp/dr."
  }
}

variable "aws_asn" {
  description = "Private AS number of the AWS side."
  type        = number
  default     = 64512

  validation {
    condition     = (var.aws_asn >= 64512 && var.aws_asn <= 65534) || (var.aws_asn >= 4200000000 && var.aws_asn <= 4294967294)
    error_message = "aws_asn must be private: 64512 to 65534, or 4200000000 to 4294967294."
  }
}

variable "gcp_asn" {
  description = "Private AS number of the GCP side; another one than AWS's."
  type        = number
  default     = 65000

  validation {
    condition     = (var.gcp_asn >= 64512 && var.gcp_asn <= 65534) || (var.gcp_asn >= 4200000000 && var.gcp_asn <= 4294967294)
    error_message = "gcp_asn must be private: 64512 to 65534, or 4200000000 to 4294967294."
  }
}

variable "inside_cidrs" {
  description = "A /30 of 169.254.0.0/16 for each tunnel \"0\" to \"3\". Changing one replaces its connection."
  type        = map(string)
  default = {
    "0" = "169.254.10.0/30"
    "1" = "169.254.10.4/30"
    "2" = "169.254.11.0/30"
    "3" = "169.254.11.4/30"
  }

  validation {
    condition     = toset(keys(var.inside_cidrs)) == toset(["0", "1", "2", "3"])
    error_message = "inside_cidrs needs exactly the keys \"0\", \"1\", \"2\" and \"3\"."
  }
  validation {
    condition     = alltrue([for cidr in values(var.inside_cidrs) : can(regex("^169\\.254\\.[0-9]{1,3}\\.[0-9]{1,3}/30$", cidr)) && try(cidrhost(cidr, 0) == split("/", cidr)[0], false)])
    error_message = "Each inside range must be a /30 of 169.254.0.0/16 that starts at its network address, such as 169.254.10.4/30."
  }
  validation {
    condition     = length(setintersection(values(var.inside_cidrs), ["169.254.0.0/30", "169.254.1.0/30", "169.254.2.0/30", "169.254.3.0/30", "169.254.4.0/30", "169.254.5.0/30", "169.254.169.252/30"])) == 0
    error_message = "AWS keeps 169.254.0.0/30 to 169.254.5.0/30 and 169.254.169.252/30 for itself: choose others."
  }
  validation {
    condition     = length(distinct(values(var.inside_cidrs))) == length(var.inside_cidrs)
    error_message = "The four inside ranges must differ: two tunnels with one range cannot both hold a BGP session."
  }
}

variable "vpn_tunnel1_preshared_key" {
  description = "Key of the first connection's first tunnel (\"0\"); null or empty lets AWS make one. From TF_VAR_vpn_tunnel1_preshared_key, never a file."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.vpn_tunnel1_preshared_key == null || var.vpn_tunnel1_preshared_key == "" || can(regex("^[1-9A-Za-z._][0-9A-Za-z._]{7,63}$", var.vpn_tunnel1_preshared_key))
    error_message = "AWS refuses this key: 8 to 64 of 0-9 A-Z a-z . _ and the first not 0 (base64 ends in =). Make one with: printf 'k%s' \"$(openssl rand -hex 24)\""
  }
}

variable "vpn_tunnel2_preshared_key" {
  description = "Key of the first connection's second tunnel (\"1\"); null or empty lets AWS make one."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.vpn_tunnel2_preshared_key == null || var.vpn_tunnel2_preshared_key == "" || can(regex("^[1-9A-Za-z._][0-9A-Za-z._]{7,63}$", var.vpn_tunnel2_preshared_key))
    error_message = "AWS refuses this key: 8 to 64 of 0-9 A-Z a-z . _ and the first not 0 (base64 ends in =). Make one with: printf 'k%s' \"$(openssl rand -hex 24)\""
  }
}

variable "vpn_preshared_keys" {
  description = "Keys by tunnel \"0\" to \"3\"; an absent one is made by AWS. \"0\" and \"1\" may be given by the two variables above instead."
  type        = map(string)
  default     = {}
  sensitive   = true

  validation {
    condition     = length(setsubtract(keys(var.vpn_preshared_keys), ["0", "1", "2", "3"])) == 0
    error_message = "vpn_preshared_keys knows the tunnels \"0\", \"1\" (first connection), \"2\" and \"3\" (second connection)."
  }
  validation {
    condition     = alltrue([for key in values(var.vpn_preshared_keys) : can(regex("^[1-9A-Za-z._][0-9A-Za-z._]{7,63}$", key))])
    error_message = "AWS refuses one of these keys: 8 to 64 of 0-9 A-Z a-z . _ and the first not 0. Make each with: printf 'k%s' \"$(openssl rand -hex 24)\""
  }
  validation {
    condition     = length(distinct(values(var.vpn_preshared_keys))) == length(var.vpn_preshared_keys)
    error_message = "Every tunnel needs a key of its own."
  }
}

variable "ike_encryption" {
  description = "The one encryption algorithm of both phases. A list makes Cloud VPN fail to rekey, because AWS's packets then fragment."
  type        = string
  default     = "AES256-GCM-16"

  validation {
    condition     = contains(["AES128", "AES256", "AES128-GCM-16", "AES256-GCM-16"], var.ike_encryption)
    error_message = "AWS knows AES128, AES256, AES128-GCM-16 and AES256-GCM-16."
  }
}

variable "ike_integrity" {
  description = "The one integrity algorithm of both phases."
  type        = string
  default     = "SHA2-512"

  validation {
    condition     = contains(["SHA2-256", "SHA2-384", "SHA2-512"], var.ike_integrity)
    error_message = "Use SHA2-256, SHA2-384 or SHA2-512; SHA1 is no longer accepted here."
  }
}

variable "ike_dh_group" {
  description = "The one Diffie-Hellman group of both phases."
  type        = number
  default     = 21

  validation {
    condition     = contains([14, 15, 16, 18, 19, 20, 21], var.ike_dh_group)
    error_message = "Both clouds know the groups 14, 15, 16, 18, 19, 20 and 21."
  }
}

variable "tags" {
  description = "Tags of the AWS resources."
  type        = map(string)
  default     = {}
}
