# Who is told, and when. The counters are those that the pipeline counts in its balance.

locals {
  job          = "${var.name}-stream"
  of_job       = "resource.type = \"dataflow_job\" AND resource.labels.job_name = \"${local.job}\""
  subscription = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = "
  counter      = "dataflow_googleapis_com:job_user_counter{monitored_resource=\"dataflow_job\", job_name=\"${local.job}\", metric_name="

  # Alerts on a limit that is exceeded for a while.
  limits = {
    watermark_age = {
      title    = "The watermark is old"
      filter   = "metric.type = \"dataflow.googleapis.com/job/data_watermark_age\" AND ${local.of_job}"
      limit    = var.alerts.watermark_age
      duration = "300s"
      aligner  = "ALIGN_MAX"
      advice   = "Windows are not complete in time. Either senders are silent, or the job does not keep up: look at system lag and at the oldest message."
    }
    system_lag = {
      title    = "The job lags behind"
      filter   = "metric.type = \"dataflow.googleapis.com/job/system_lag\" AND ${local.of_job}"
      limit    = var.alerts.system_lag
      duration = "300s"
      aligner  = "ALIGN_MAX"
      advice   = "Messages wait inside the job. Look at the number of workers against workers.max, and at errors in the job's log."
    }
    job_failed = {
      title    = "The job has failed"
      filter   = "metric.type = \"dataflow.googleapis.com/job/is_failed\" AND ${local.of_job}"
      limit    = 0
      duration = "0s"
      aligner  = "ALIGN_MAX"
      advice   = "Nothing is read any more. Messages are kept for the retention of the subscription: start the job again with terraform apply before that ends."
    }
    oldest_message = {
      title    = "A message waits too long"
      filter   = "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND ${local.subscription}\"${google_pubsub_subscription.readings.name}\""
      limit    = var.alerts.oldest_message
      duration = "300s"
      aligner  = "ALIGN_MAX"
      advice   = "The job does not read, or not fast enough. What is older than the retention of the subscription is lost."
    }
    dead_letters = {
      title    = "Dead letters wait"
      filter   = "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND ${local.subscription}\"${google_pubsub_subscription.output["dead-letters"].name}\""
      limit    = var.alerts.dead_letters
      duration = "0s"
      aligner  = "ALIGN_MAX"
      advice   = "The table rejected_readings holds the same records with the reason. Take them from the subscription once they are dealt with."
    }
    undelivered = {
      title    = "Pub/Sub has given up on messages"
      filter   = "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND ${local.subscription}\"${google_pubsub_subscription.output["undelivered"].name}\""
      limit    = 0
      duration = "0s"
      aligner  = "ALIGN_MAX"
      advice   = "No reader acknowledged them. Publish them again to their topic once the reader is repaired."
    }
    reconcile_failed = {
      title    = "The reconciliation has failed"
      filter   = "metric.type = \"run.googleapis.com/job/completed_execution_count\" AND resource.type = \"cloud_run_job\" AND resource.labels.job_name = \"${var.name}-reconcile\" AND metric.labels.result = \"failed\""
      limit    = 0
      duration = "0s"
      aligner  = "ALIGN_SUM"
      advice   = "Means that a stream got wrong stay wrong until it succeeds. Its log says why; run it again with gcloud run jobs execute."
    }
  }

  # Alerts on what the pipeline counts.
  queries = {
    rejected_share = {
      title  = "Many records are rejected"
      query  = "sum(delta(${local.counter}\"rejected\"}[15m])) / sum(delta(${local.counter}\"read\"}[15m])) > ${var.alerts.rejected_share}"
      advice = "The table rejected_readings says why: SELECT reason, COUNT(*) FROM rejected_readings GROUP BY reason."
    }
    too_late = {
      title  = "Many readings come too late"
      query  = "sum(delta(${local.counter}\"too_late\"}[15m])) / sum(delta(${local.counter}\"read\"}[15m])) > ${var.alerts.rejected_share}"
      advice = "They are in the archive, and the reconciliation counts them. A longer allowed_lateness counts them at once."
    }
    failed_rows = {
      title  = "BigQuery refuses rows"
      query  = "sum(delta(${local.counter}\"failed\"}[15m])) > 0"
      advice = "The table failed_rows holds them with the reason. Most often a column is missing: run python -m deploy.bigquery, or terraform apply."
    }
  }
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]
}

resource "google_monitoring_notification_channel" "email" {
  for_each     = var.alert_emails
  display_name = each.key
  type         = "email"
  user_labels  = local.labels
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "limit" {
  for_each              = local.limits
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.key == "job_failed" ? "CRITICAL" : "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.limit
      duration        = each.value.duration

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = each.value.aligner
      }
    }
  }

  documentation {
    content = each.value.advice
  }
}

resource "google_monitoring_alert_policy" "query" {
  for_each              = local.queries
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.key == "failed_rows" ? "ERROR" : "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels
  depends_on            = [google_project_service.this]

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = "300s"
      evaluation_interval = "60s"
      # The counters are known to Monitoring only once a job has counted.
      disable_metric_validation = true
    }
  }

  documentation {
    content = each.value.advice
  }
}

resource "google_monitoring_alert_policy" "no_data" {
  display_name          = "${var.name}: No readings come in"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "Nobody publishes"

    condition_absent {
      filter   = "metric.type = \"pubsub.googleapis.com/topic/send_request_count\" AND resource.type = \"pubsub_topic\" AND resource.labels.topic_id = \"${google_pubsub_topic.readings.name}\""
      duration = "${var.alerts.no_data}s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content = "No sender has published for a while. The watermark goes on meanwhile, and windows end without readings."
  }
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = templatefile("${path.module}/dashboard.json.tftpl", {
    name        = var.name
    job         = local.job
    readings    = google_pubsub_subscription.readings.name
    deadletters = google_pubsub_subscription.output["dead-letters"].name
    topic       = google_pubsub_topic.readings.name
  })
}

resource "google_billing_budget" "this" {
  count           = var.billing_account == null ? 0 : 1
  billing_account = var.billing_account
  display_name    = var.name
  depends_on      = [google_project_service.this]

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.amount)
    }
  }

  threshold_rules {
    threshold_percent = 0.5
  }
  threshold_rules {
    threshold_percent = 0.9
  }
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  dynamic "all_updates_rule" {
    for_each = length(local.channels) == 0 ? [] : [slice(local.channels, 0, min(5, length(local.channels)))]
    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }
}
