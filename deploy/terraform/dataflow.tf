# The job: it reads the readings as they come and writes to BigQuery.

locals {
  deployed = var.image == null ? 0 : 1
  templates = {
    stream = jsondecode(file("${path.module}/../dataflow/metadata.json"))
    batch  = jsondecode(file("${path.module}/../dataflow/metadata_batch.json"))
  }
  patterns = { for option in local.templates.stream.parameters : option.name => try(option.regexes, []) }

  parameters = merge(
    {
      input        = "pubsub://${google_pubsub_subscription.readings.id}"
      output       = join(" ", local.outputs)
      dead_letters = "pubsub://${google_pubsub_topic.output["dead-letters"].id}"
    },
    var.pipeline_options,
  )
  unfit = [
    for name, value in local.parameters : name
    if !alltrue([for pattern in lookup(local.patterns, name, []) : can(regex(pattern, value))])
  ]
  dataset = "bigquery://${var.project}.${google_bigquery_dataset.this.dataset_id}"
  outputs = concat([local.dataset], var.publish_results ? ["pubsub://${google_pubsub_topic.output["reports"].id}"] : [])
}

# Named by what they say: a new image is a new template, which the running job is updated to.
resource "google_storage_bucket_object" "template" {
  for_each     = { for kind, metadata in local.templates : kind => metadata if local.deployed == 1 }
  bucket       = google_storage_bucket.templates.name
  name         = "${each.key}-${substr(sha256("${var.image}${jsonencode(each.value)}"), 0, 16)}.json"
  content_type = "application/json"
  kms_key_name = var.encryption_key
  content = jsonencode({
    image    = var.image
    metadata = each.value
    sdkInfo  = { language = "PYTHON" }
  })
}

resource "google_dataflow_flex_template_job" "stream" {
  count                   = local.deployed
  name                    = "${var.name}-stream"
  region                  = var.region
  container_spec_gcs_path = "gs://${google_storage_bucket.templates.name}/${google_storage_bucket_object.template["stream"].name}"
  parameters              = local.parameters
  labels                  = local.labels

  service_account_email   = google_service_account.pipeline.email
  sdk_container_image     = var.image
  temp_location           = "gs://${google_storage_bucket.temp.name}/temp"
  staging_location        = "gs://${google_storage_bucket.temp.name}/staging"
  kms_key_name            = var.encryption_key
  subnetwork              = local.subnetwork
  ip_configuration        = "WORKER_IP_PRIVATE"
  machine_type            = var.machine_type
  num_workers             = var.workers.initial
  max_workers             = var.workers.max
  enable_streaming_engine = true
  autoscaling_algorithm   = "THROUGHPUT_BASED"
  additional_experiments  = ["use_runner_v2"]

  # Drained, the job counts what it has read and closes its windows before it ends.
  on_delete                    = "drain"
  skip_wait_on_job_termination = false

  # Without its rights a worker starts, fails and is started again.
  depends_on = [
    google_artifact_registry_repository_iam_member.pipeline,
    google_bigquery_dataset_iam_member.writer,
    google_bigquery_table.table,
    google_compute_firewall.workers,
    google_compute_router_nat.this,
    google_kms_crypto_key_iam_member.user,
    google_project_iam_member.queries,
    google_project_iam_member.worker,
    google_pubsub_subscription_iam_member.pipeline,
    google_pubsub_topic_iam_member.pipeline,
    google_storage_bucket_iam_member.pipeline,
  ]

  lifecycle {
    precondition {
      condition     = length(setsubtract(keys(local.parameters), keys(local.patterns))) == 0
      error_message = "The job on Dataflow has no option ${join(", ", setsubtract(keys(local.parameters), keys(local.patterns)))}."
    }
    precondition {
      condition     = length(local.unfit) == 0
      error_message = "The job does not take what these options are given: ${join(", ", local.unfit)}."
    }
  }
}
