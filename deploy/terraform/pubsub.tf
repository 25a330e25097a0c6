# Readings come in; what the pipeline rejects, what cannot be delivered, and results go out.

locals {
  retention     = "${var.message_retention_days * 24 * 60 * 60}s"
  has_schema    = var.message_schema != "none"
  output_topics = toset(["dead-letters", "reports", "undelivered"])
}

resource "google_pubsub_schema" "readings" {
  count      = local.has_schema ? 1 : 0
  name       = "${var.name}-${var.message_schema}"
  type       = "PROTOCOL_BUFFER"
  definition = file("${path.module}/schemas/${var.message_schema}.proto")
  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic" "readings" {
  name                       = "${var.name}-readings"
  labels                     = local.labels
  kms_key_name               = var.encryption_key
  message_retention_duration = local.retention
  depends_on                 = [google_kms_crypto_key_iam_member.user, google_project_service.this]

  dynamic "schema_settings" {
    for_each = google_pubsub_schema.readings
    content {
      schema   = schema_settings.value.id
      encoding = "JSON"
    }
  }

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

# dead-letters: what the pipeline rejected, with the reason. undelivered: what Pub/Sub gave up on.
# reports: results.
resource "google_pubsub_topic" "output" {
  for_each                   = local.output_topics
  name                       = "${var.name}-${each.key}"
  labels                     = local.labels
  kms_key_name               = var.encryption_key
  message_retention_duration = local.retention
  depends_on                 = [google_kms_crypto_key_iam_member.user, google_project_service.this]

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

# Messages that were read are kept, too: a seek to a time reads them again.
resource "google_pubsub_subscription" "readings" {
  name                       = "${var.name}-readings"
  topic                      = google_pubsub_topic.readings.id
  labels                     = local.labels
  ack_deadline_seconds       = 60
  retain_acked_messages      = true
  message_retention_duration = local.retention

  expiration_policy {
    ttl = ""
  }

  dynamic "dead_letter_policy" {
    for_each = var.delivery_attempts == 0 ? [] : [var.delivery_attempts]
    content {
      dead_letter_topic     = google_pubsub_topic.output["undelivered"].id
      max_delivery_attempts = dead_letter_policy.value
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
}

# What goes out waits here until someone takes it.
resource "google_pubsub_subscription" "output" {
  for_each                   = local.output_topics
  name                       = "${var.name}-${each.key}"
  topic                      = google_pubsub_topic.output[each.key].id
  labels                     = local.labels
  ack_deadline_seconds       = 60
  message_retention_duration = local.retention

  expiration_policy {
    ttl = ""
  }

  dynamic "dead_letter_policy" {
    for_each = each.key == "reports" ? [10] : []
    content {
      dead_letter_topic     = google_pubsub_topic.output["undelivered"].id
      max_delivery_attempts = dead_letter_policy.value
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
}
