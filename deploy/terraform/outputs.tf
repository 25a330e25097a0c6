output "readings_topic" {
  description = "Topic that senders publish to."
  value       = google_pubsub_topic.readings.id
}

output "readings_subscription" {
  description = "Subscription that the job reads; a seek of it reads messages again."
  value       = google_pubsub_subscription.readings.id
}

output "dataset" {
  description = "Where the results lie, as --output takes it."
  value       = local.dataset
}

output "images" {
  description = "Where images are pushed to."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "buckets" {
  description = "Buckets by what they are for."
  value = {
    input     = "gs://${google_storage_bucket.input.name}"
    temp      = "gs://${google_storage_bucket.temp.name}"
    templates = "gs://${google_storage_bucket.templates.name}"
  }
}

output "templates" {
  description = "Templates of the pipeline: stream, and batch for jobs over files; none without an image."
  value       = { for kind, object in google_storage_bucket_object.template : kind => "gs://${object.bucket}/${object.name}" }
}

output "job" {
  description = "ID of the streaming job; null without an image."
  value       = one(google_dataflow_flex_template_job.stream[*].job_id)
}

output "subnetwork" {
  description = "Subnetwork of the workers."
  value       = local.subnetwork
}

output "accounts" {
  description = "Service accounts by what they do."
  value = {
    pipeline  = google_service_account.pipeline.email
    reconcile = google_service_account.reconcile.email
    scheduler = google_service_account.scheduler.email
    sender    = google_service_account.sender.email
  }
}

output "secrets" {
  description = "Secrets whose values are to be put in by hand."
  value       = [for secret in google_secret_manager_secret.this : secret.id]
}
