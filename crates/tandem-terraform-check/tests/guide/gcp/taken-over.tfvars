# What stands, told to environments/gcp/dr; all else is as in terraform.tfvars.example.
subnet_name                 = "crm-dr-subnet"
private_services_range_name = "crm-dr-private-ip"
private_services_cidr       = "10.40.0.0/16"
control_plane_cidr          = "172.16.0.0/28"
