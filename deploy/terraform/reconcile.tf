# Every night the means are computed again from the archive: what a stream missed is repaired.

locals {
  reconcile = "exec python -m pipelines.reconcile --output ${local.dataset}"
  since     = var.reconcile_days == 0 ? "" : " --from \"$(date -u -d '-${var.reconcile_days} days' +%Y-%m-%dT00:00:00Z)\""
}

resource "google_cloud_run_v2_job" "reconcile" {
  count               = local.deployed
  name                = "${var.name}-reconcile"
  location            = var.region
  labels              = local.labels
  deletion_protection = false
  depends_on          = [google_bigquery_dataset_iam_member.writer, google_project_iam_member.queries]

  template {
    task_count = 1

    template {
      service_account = google_service_account.reconcile.email
      max_retries     = 2
      timeout         = "3600s"
      encryption_key  = var.encryption_key

      containers {
        image   = var.image
        command = ["/bin/sh"]
        args    = ["-c", "${local.reconcile}${local.since}"]

        resources {
          limits = { cpu = "1", memory = "1Gi" }
        }
      }
    }
  }
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  count    = local.deployed
  name     = google_cloud_run_v2_job.reconcile[0].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}

resource "google_cloud_scheduler_job" "reconcile" {
  count            = local.deployed
  name             = "${var.name}-reconcile"
  region           = var.region
  description      = "Computes the means again from the archive."
  schedule         = var.reconcile_schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"
  depends_on       = [google_cloud_run_v2_job_iam_member.scheduler]

  retry_config {
    retry_count          = 3
    min_backoff_duration = "60s"
  }

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/${google_cloud_run_v2_job.reconcile[0].id}:run"

    oauth_token {
      service_account_email = google_service_account.scheduler.email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }
}
