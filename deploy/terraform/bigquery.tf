# The tables and views of schemas/ and sql/. tables.json says how each table is laid out; it is
# written by python -m deploy.terraform.write_tables from connectors/bigquery/tables.py.

locals {
  schemas = "${path.module}/../../schemas/bigquery"
  views   = "${path.module}/../../sql/views"
  tables  = jsondecode(file("${path.module}/tables.json"))

  table_names = keys(local.tables)
  view_names  = [for file in fileset(local.views, "*.sql") : trimsuffix(file, ".sql")]

  # The views name tables alone, as the local store does; BigQuery wants the dataset, too.
  reads_table = "(FROM|JOIN)\\s+(${join("|", concat(local.table_names, local.view_names))})\\b"
  reads_view  = "(FROM|JOIN)\\s+(${join("|", local.view_names)})\\b"
  view_sql = {
    for name in local.view_names : name => replace(
      file("${local.views}/${name}.sql"),
      "/${local.reads_table}/",
      "$1 `${var.project}.${google_bigquery_dataset.this.dataset_id}.$2`",
    )
  }
  # BigQuery checks a view as it is made: one that reads another view comes after it.
  upper_views = toset([for name in local.view_names : name if can(regex(local.reads_view, file("${local.views}/${name}.sql")))])
  lower_views = setsubtract(local.view_names, local.upper_views)

  short_lived = toset(["failed_rows", "rejected_readings"])
}

resource "google_bigquery_dataset" "this" {
  dataset_id                 = var.dataset
  friendly_name              = var.name
  description                = "Readings of sensors, and their means by region and window."
  location                   = var.region
  labels                     = local.labels
  delete_contents_on_destroy = !var.protect_data
  max_time_travel_hours      = "168"
  depends_on                 = [google_kms_crypto_key_iam_member.user, google_project_service.this]

  dynamic "default_encryption_configuration" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "table" {
  for_each            = local.tables
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = file("${local.schemas}/${each.value.schema}.json")
  clustering          = each.value.clustered_by
  labels              = local.labels
  deletion_protection = var.protect_data

  dynamic "time_partitioning" {
    for_each = each.value.partitioned_by == null ? [] : [each.value.partitioned_by]
    content {
      type          = "DAY"
      field         = time_partitioning.value
      expiration_ms = contains(local.short_lived, each.key) && var.rejected_days > 0 ? var.rejected_days * 24 * 60 * 60 * 1000 : null
    }
  }

  dynamic "table_constraints" {
    for_each = length(each.value.primary_key) == 0 ? [] : [each.value.primary_key]
    content {
      primary_key {
        columns = table_constraints.value
      }
    }
  }

  dynamic "encryption_configuration" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]
    content {
      kms_key_name = encryption_configuration.value
    }
  }
}

# Views hold no data: they may be made anew.
resource "google_bigquery_table" "view" {
  for_each            = local.lower_views
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  labels              = local.labels
  deletion_protection = false
  depends_on          = [google_bigquery_table.table]

  view {
    query          = local.view_sql[each.key]
    use_legacy_sql = false
  }
}

resource "google_bigquery_table" "upper_view" {
  for_each            = local.upper_views
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  labels              = local.labels
  deletion_protection = false
  depends_on          = [google_bigquery_table.view]

  view {
    query          = local.view_sql[each.key]
    use_legacy_sql = false
  }
}
