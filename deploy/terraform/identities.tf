# Who does what: an account for each task, and each right on the one thing that it is needed for.

resource "google_service_account" "pipeline" {
  account_id   = "${var.name}-pipeline"
  display_name = "Workers of the pipeline"
  depends_on   = [google_project_service.this]
}

resource "google_service_account" "reconcile" {
  account_id   = "${var.name}-reconcile"
  display_name = "Reconciliation of the means"
  depends_on   = [google_project_service.this]
}

resource "google_service_account" "scheduler" {
  account_id   = "${var.name}-scheduler"
  display_name = "Starts the reconciliation"
  depends_on   = [google_project_service.this]
}

resource "google_service_account" "sender" {
  account_id   = "${var.name}-sender"
  display_name = "Publishes readings, and nothing else"
  depends_on   = [google_project_service.this]
}

# Rights that only a project can give: to be a worker, and to run queries.

resource "google_project_iam_member" "worker" {
  project = var.project
  role    = "roles/dataflow.worker"
  member  = google_service_account.pipeline.member
}

resource "google_project_iam_member" "queries" {
  for_each = merge(
    { for who in var.readers : who => who },
    {
      pipeline  = google_service_account.pipeline.member
      reconcile = google_service_account.reconcile.member
    },
  )
  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = each.value
}

# Pub/Sub

resource "google_pubsub_subscription_iam_member" "pipeline" {
  for_each     = toset(["roles/pubsub.subscriber", "roles/pubsub.viewer"])
  subscription = google_pubsub_subscription.readings.id
  role         = each.key
  member       = google_service_account.pipeline.member
}

resource "google_pubsub_topic_iam_member" "pipeline" {
  for_each = toset(["dead-letters", "reports"])
  topic    = google_pubsub_topic.output[each.key].id
  role     = "roles/pubsub.publisher"
  member   = google_service_account.pipeline.member
}

resource "google_pubsub_topic_iam_member" "sender" {
  for_each = merge({ for who in var.senders : who => who }, { sender = google_service_account.sender.member })
  topic    = google_pubsub_topic.readings.id
  role     = "roles/pubsub.publisher"
  member   = each.value
}

# Pub/Sub itself moves what it cannot deliver: it publishes there, and acknowledges here.

resource "google_pubsub_topic_iam_member" "undelivered" {
  topic  = google_pubsub_topic.output["undelivered"].id
  role   = "roles/pubsub.publisher"
  member = google_project_service_identity.agent["pubsub"].member
}

resource "google_pubsub_subscription_iam_member" "undelivered" {
  for_each = {
    readings = google_pubsub_subscription.readings.id
    reports  = google_pubsub_subscription.output["reports"].id
  }
  subscription = each.value
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.agent["pubsub"].member
}

# BigQuery

resource "google_bigquery_dataset_iam_member" "writer" {
  for_each = {
    pipeline  = google_service_account.pipeline.member
    reconcile = google_service_account.reconcile.member
  }
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value
}

resource "google_bigquery_dataset_iam_member" "reader" {
  for_each   = var.readers
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.key
}

# Buckets and images

resource "google_storage_bucket_iam_member" "pipeline" {
  for_each = {
    "${google_storage_bucket.input.name}"     = "roles/storage.objectViewer"
    "${google_storage_bucket.temp.name}"      = "roles/storage.objectUser"
    "${google_storage_bucket.templates.name}" = "roles/storage.objectViewer"
  }
  bucket = each.key
  role   = each.value
  member = google_service_account.pipeline.member
}

resource "google_artifact_registry_repository_iam_member" "pipeline" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.pipeline.member
}

# Secrets of inputs that are read outside Dataflow, where the command line takes them from the
# environment. Their values are put in by hand, so that no state file holds them.

locals {
  secrets = toset(["http-key", "kafka-password"])
}

resource "google_secret_manager_secret" "this" {
  for_each  = local.secrets
  secret_id = "${var.name}-${each.key}"
  labels    = local.labels
  # Its own copy in the region, so that the key of the region can encrypt it.
  replication {
    user_managed {
      replicas {
        location = var.region
        dynamic "customer_managed_encryption" {
          for_each = var.encryption_key == null ? [] : [var.encryption_key]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }
  deletion_protection = var.protect_data
  depends_on          = [google_kms_crypto_key_iam_member.user, google_project_service.this]
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each  = { for pair in setproduct(local.secrets, var.secret_readers) : join(" ", pair) => pair }
  secret_id = google_secret_manager_secret.this[each.value[0]].id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value[1]
}
