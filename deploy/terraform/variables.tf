# Where

variable "project" {
  type        = string
  description = "Project that everything is created in."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's ID has 6 to 30 lower case letters, digits and hyphens, such as acme-sensors."
  }
}

variable "region" {
  type        = string
  description = "Region of the job, the buckets, the dataset and the images."
  default     = "europe-west9"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region looks like europe-west9."
  }
}

variable "name" {
  type        = string
  description = "What the names of all resources begin with."
  default     = "regional-means"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,16}[a-z0-9]$", var.name))
    error_message = "The name has 4 to 18 lower case letters, digits and hyphens: names of service accounts are made from it."
  }
}

variable "labels" {
  type        = map(string)
  description = "Labels of everything that bears labels, such as the team or the environment."
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "Labels have lower case letters, digits, hyphens and underscores, at most 63."
  }
}

variable "subnetwork" {
  type        = string
  description = "Subnetwork of the workers, as projects/P/regions/R/subnetworks/S, with Private Google Access; null: one is created."
  default     = null

  validation {
    condition     = var.subnetwork == null || can(regex("^projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$", var.subnetwork))
    error_message = "A subnetwork is named projects/P/regions/R/subnetworks/S."
  }
}

variable "internet_access" {
  type        = bool
  description = "Whether workers without public addresses may call out through Cloud NAT: for Kafka brokers outside the network. Only where the subnetwork is created here."
  default     = false

  validation {
    condition     = !(var.internet_access && var.subnetwork != null)
    error_message = "Cloud NAT is created only together with the subnetwork: leave subnetwork out, or set internet_access to false."
  }
}

# The job

variable "image" {
  type        = string
  description = "Image of the pipeline with its digest, as deploy/dataflow builds it; null: everything but the job and the reconciliation is created."
  default     = null

  validation {
    condition     = var.image == null || can(regex("^[a-z0-9.-]+/.+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is named with its digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME@sha256:…"
  }
}

variable "pipeline_options" {
  type        = map(string)
  description = "Further options of the pipeline by name, such as allowed_lateness = \"2d\"."
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.pipeline_options), ["dead_letters", "input", "output"])) == 0
    error_message = "dead_letters, input and output are set from what is created here."
  }
}

variable "machine_type" {
  type        = string
  description = "Machine type of the workers."
  default     = "n2-standard-2"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)+$", var.machine_type))
    error_message = "A machine type looks like n2-standard-2."
  }
}

variable "workers" {
  type = object({
    initial = optional(number, 1)
    max     = optional(number, 4)
  })
  description = "How many workers the job begins with, and how many it may grow to."
  default     = {}

  validation {
    condition     = var.workers.initial >= 1 && var.workers.initial <= var.workers.max && var.workers.max <= 100
    error_message = "There must be 1 <= initial <= max <= 100 workers."
  }
}

variable "publish_results" {
  type        = bool
  description = "Whether every result goes to the topic of reports, too."
  default     = false
}

# Messages

variable "message_schema" {
  type        = string
  description = "What publishers are held to: regional or device (schemas/*.proto), or none: any message is taken, and the pipeline rejects what is no reading."
  default     = "none"

  validation {
    condition     = contains(["regional", "device", "none"], var.message_schema)
    error_message = "The schema is regional, device or none."
  }
}

variable "message_retention_days" {
  type        = number
  description = "How many days back messages can be read again by a seek."
  default     = 7

  validation {
    condition     = var.message_retention_days >= 1 && var.message_retention_days <= 31
    error_message = "Pub/Sub keeps messages for 1 to 31 days."
  }
}

variable "delivery_attempts" {
  type        = number
  description = "After how many failed deliveries a message of the readings is set aside; 0: never, as Google advises where Dataflow reads."
  default     = 0

  validation {
    condition     = var.delivery_attempts == 0 || (var.delivery_attempts >= 5 && var.delivery_attempts <= 100)
    error_message = "Pub/Sub takes 5 to 100 attempts, or 0 for no limit."
  }
}

variable "senders" {
  type        = set(string)
  description = "Who may publish readings, besides the account sender: user:…, group:… or serviceAccount:…"
  default     = []

  validation {
    condition     = alltrue([for who in var.senders : can(regex("^(user|group|serviceAccount|principal|principalSet):", who))])
    error_message = "Senders are named user:…, group:…, serviceAccount:… or principal:…; all the world may not send."
  }
}

variable "secret_readers" {
  type        = set(string)
  description = "Who may read the key of an https input and the password of Kafka: the account that runs the pipeline elsewhere than on Dataflow."
  default     = []

  validation {
    condition     = alltrue([for who in var.secret_readers : can(regex("^(user|group|serviceAccount|principal|principalSet):", who))])
    error_message = "Readers of secrets are named user:…, group:…, serviceAccount:… or principal:…"
  }
}

# Storage

variable "dataset" {
  type        = string
  description = "Name of the BigQuery dataset."
  default     = "regional_means"

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.dataset))
    error_message = "A dataset's name has letters, digits and underscores."
  }
}

variable "readers" {
  type        = set(string)
  description = "Who may read the dataset: user:…, group:… or serviceAccount:…"
  default     = []

  validation {
    condition     = alltrue([for who in var.readers : can(regex("^(user|group|serviceAccount|principal|principalSet):", who))])
    error_message = "Readers are named user:…, group:…, serviceAccount:… or principal:…; all the world may not read."
  }
}

variable "rejected_days" {
  type        = number
  description = "After how many days rejected records and failed rows are deleted; 0: never."
  default     = 0

  validation {
    condition     = var.rejected_days >= 0 && floor(var.rejected_days) == var.rejected_days
    error_message = "Days are a whole number, 0 or more."
  }
}

variable "temp_days" {
  type        = number
  description = "After how many days files that the job left behind are deleted; more than a load job or a drain can last."
  default     = 14

  validation {
    condition     = var.temp_days >= 7
    error_message = "A stream that is updated still needs the files of its start: 7 days at least."
  }
}

variable "protect_data" {
  type        = bool
  description = "Whether tables and buckets that hold data refuse to be destroyed."
  default     = true
}

variable "encryption_key" {
  type        = string
  description = "Key in the region, as projects/P/locations/L/keyRings/R/cryptoKeys/K, that everything stored is encrypted with; null: Google's keys."
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "A key is named projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

# Reconciliation

variable "reconcile_schedule" {
  type        = string
  description = "When the means are computed again from the archive: a cron line, in UTC."
  default     = "17 3 * * *"

  validation {
    condition     = length(split(" ", var.reconcile_schedule)) == 5
    error_message = "A cron line has five fields, such as 17 3 * * *."
  }
}

variable "reconcile_days" {
  type        = number
  description = "How many days back windows are computed again; 0: all of them."
  default     = 7

  validation {
    condition     = var.reconcile_days >= 0 && floor(var.reconcile_days) == var.reconcile_days
    error_message = "Days are a whole number, 0 or more."
  }
}

# Being told

variable "alert_emails" {
  type        = set(string)
  description = "Addresses that alerts and budget warnings go to."
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Addresses look like name@example.com."
  }
}

variable "alerts" {
  type = object({
    watermark_age  = optional(number, 900)
    system_lag     = optional(number, 300)
    oldest_message = optional(number, 900)
    dead_letters   = optional(number, 100)
    rejected_share = optional(number, 0.05)
    no_data        = optional(number, 1800)
  })
  description = "When an alert is raised: seconds, messages that wait, and the share of readings that are rejected."
  default     = {}

  validation {
    condition     = alltrue([for limit in values(var.alerts) : limit >= 0]) && var.alerts.rejected_share <= 1 && var.alerts.no_data >= 120 && var.alerts.no_data <= 84600
    error_message = "Limits are 0 or more, rejected_share is at most 1, no_data is 120 to 84600 seconds."
  }
}

variable "billing_account" {
  type        = string
  description = "Billing account of the budget, as XXXXXX-XXXXXX-XXXXXX; null: no budget is made."
  default     = null

  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "A billing account looks like 012345-6789AB-CDEF01."
  }
}

variable "budget" {
  type = object({
    amount   = number
    currency = optional(string, "EUR")
  })
  description = "What the project may cost a month before a warning goes out."
  default     = { amount = 300 }

  validation {
    condition     = var.budget.amount > 0 && floor(var.budget.amount) == var.budget.amount && can(regex("^[A-Z]{3}$", var.budget.currency))
    error_message = "The budget is a whole amount above 0 in a currency such as EUR."
  }
}
