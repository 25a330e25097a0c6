# With a key of one's own: each service that stores something must be able to use it.

locals {
  key_users = var.encryption_key == null ? {} : merge(
    { for service, agent in google_project_service_identity.agent : service => agent.member },
    {
      bigquery = data.google_bigquery_default_service_account.this.member
      compute  = "serviceAccount:service-${data.google_project.this.number}@compute-system.iam.gserviceaccount.com"
      storage  = data.google_storage_project_service_account.this.member
    },
  )
}

resource "google_kms_crypto_key_iam_member" "user" {
  for_each      = local.key_users
  crypto_key_id = var.encryption_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}
