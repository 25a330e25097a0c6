# Buckets: what comes in as files, what the job needs while it runs, and its template. And images.

locals {
  bucket = "${var.project}-${var.name}"
}

# Files of readings, for runs over months gone by. What is overwritten stays for 90 days.
resource "google_storage_bucket" "input" {
  name                        = "${local.bucket}-input"
  location                    = var.region
  labels                      = local.labels
  force_destroy               = !var.protect_data
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  depends_on                  = [google_kms_crypto_key_iam_member.user, google_project_service.this]

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
    condition {
      age = 60
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 90
      with_state                 = "ARCHIVED"
    }
  }

  dynamic "encryption" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]
    content {
      default_kms_key_name = encryption.value
    }
  }
}

# Files of running jobs: nothing here is missed once a job has ended.
resource "google_storage_bucket" "temp" {
  name                        = "${local.bucket}-temp"
  location                    = var.region
  labels                      = local.labels
  force_destroy               = true
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  depends_on                  = [google_kms_crypto_key_iam_member.user, google_project_service.this]

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.temp_days
      matches_prefix = ["temp/"]
    }
  }

  # Deleted files of a job are not worth what Google's soft delete costs.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "encryption" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]
    content {
      default_kms_key_name = encryption.value
    }
  }
}

# Templates: a job is started again, or moved back, from the one that it ran from.
resource "google_storage_bucket" "templates" {
  name                        = "${local.bucket}-templates"
  location                    = var.region
  labels                      = local.labels
  force_destroy               = !var.protect_data
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  depends_on                  = [google_kms_crypto_key_iam_member.user, google_project_service.this]

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 365
      with_state                 = "ARCHIVED"
    }
  }

  dynamic "encryption" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]
    content {
      default_kms_key_name = encryption.value
    }
  }
}

resource "google_artifact_registry_repository" "images" {
  repository_id = var.name
  location      = var.region
  description   = "Images of the pipeline."
  format        = "DOCKER"
  labels        = local.labels
  kms_key_name  = var.encryption_key
  depends_on    = [google_kms_crypto_key_iam_member.user, google_project_service.this]

  # A tag that is taken cannot be moved to another image.
  docker_config {
    immutable_tags = true
  }

  cleanup_policy_dry_run = false
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "${180 * 24 * 60 * 60}s"
    }
  }
}
