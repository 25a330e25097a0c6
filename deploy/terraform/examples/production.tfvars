# A service that others rely on. The image is pushed first: see README.md.
project = "acme-sensors"
region  = "europe-west9"
labels  = { environment = "production", team = "weather" }

image            = "europe-west9-docker.pkg.dev/acme-sensors/regional-means/pipeline@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
machine_type     = "n2-standard-4"
workers          = { initial = 2, max = 20 }
pipeline_options = { allowed_lateness = "2d", early_every = "10s" }
publish_results  = true

message_retention_days = 14
rejected_days          = 365
encryption_key         = "projects/acme-keys/locations/europe-west9/keyRings/sensors/cryptoKeys/data"

readers = ["group:analysts@example.com"]
senders = ["serviceAccount:gateway@acme-gateways.iam.gserviceaccount.com"]

alert_emails    = ["on-call@example.com"]
billing_account = "012345-6789AB-CDEF01"
budget          = { amount = 2500 }
