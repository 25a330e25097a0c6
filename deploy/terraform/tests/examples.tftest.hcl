# Applies an example against mocked resources: terraform test -var-file=examples/production.tfvars

mock_provider "google" {
  mock_resource "google_pubsub_subscription" {
    defaults = { id = "projects/acme-sensors/subscriptions/a-subscription" }
  }
  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/acme-sensors/topics/a-topic" }
  }
  mock_resource "google_cloud_run_v2_job" {
    defaults = { id = "projects/acme-sensors/locations/europe-west9/jobs/a-job" }
  }
}

run "apply" {
  command = apply

  assert {
    condition     = output.dataset == "bigquery://${var.project}.${var.dataset}"
    error_message = "The dataset is not named as the pipeline's output."
  }

  assert {
    condition     = (output.job == null) == (var.image == null)
    error_message = "There is a job without an image, or an image without a job."
  }
}
