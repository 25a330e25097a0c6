# What the project must offer, and the accounts that Google's services act as.

locals {
  services = toset([
    "artifactregistry", "bigquery", "bigquerystorage", "billingbudgets", "cloudkms",
    "cloudresourcemanager", "cloudscheduler", "compute", "dataflow", "iam", "logging",
    "monitoring", "pubsub", "run", "secretmanager", "storage",
  ])
  labels = merge({ application = var.name }, var.labels)
}

data "google_project" "this" {
  project_id = var.project
}

resource "google_project_service" "this" {
  for_each           = local.services
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

resource "google_project_service_identity" "agent" {
  for_each   = toset(["artifactregistry", "dataflow", "pubsub", "run", "secretmanager"])
  service    = "${each.key}.googleapis.com"
  depends_on = [google_project_service.this]
}

data "google_storage_project_service_account" "this" {
  depends_on = [google_project_service.this]
}

data "google_bigquery_default_service_account" "this" {
  depends_on = [google_project_service.this]
}
