# Workers have no public addresses: they reach Google's services through Private Google Access.

locals {
  own_network = var.subnetwork == null ? 1 : 0
  subnetwork  = var.subnetwork == null ? google_compute_subnetwork.workers[0].self_link : "https://www.googleapis.com/compute/v1/${var.subnetwork}"
}

resource "google_compute_network" "this" {
  count                   = local.own_network
  name                    = var.name
  auto_create_subnetworks = false
  depends_on              = [google_project_service.this]
}

resource "google_compute_subnetwork" "workers" {
  count                    = local.own_network
  name                     = "${var.name}-workers"
  network                  = google_compute_network.this[0].id
  region                   = var.region
  ip_cidr_range            = "10.128.0.0/24"
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
  }
}

# Workers talk to each other on these ports; Dataflow gives each of them the tag dataflow.
resource "google_compute_firewall" "workers" {
  count       = local.own_network
  name        = "${var.name}-workers"
  network     = google_compute_network.this[0].id
  direction   = "INGRESS"
  source_tags = ["dataflow"]
  target_tags = ["dataflow"]

  allow {
    protocol = "tcp"
    ports    = ["12345-12346"]
  }
}

resource "google_compute_router" "this" {
  count   = var.internet_access ? 1 : 0
  name    = var.name
  network = google_compute_network.this[0].id
  region  = var.region
}

resource "google_compute_router_nat" "this" {
  count                              = var.internet_access ? 1 : 0
  name                               = var.name
  router                             = google_compute_router.this[0].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.workers[0].id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}
