terraform {
  required_version = ">= 1.9.0, < 2.0.0"

  required_providers {
    # google-beta holds everything of google and the Flex Template job, which google lacks. Under
    # the name google it serves all resources, so that one provider is enough.
    google = {
      source  = "hashicorp/google-beta"
      version = "~> 8.7"
    }
  }

  # Where the state lies is said at the start: terraform init -backend-config=bucket=…
  backend "gcs" {
    prefix = "regional-means"
  }
}

provider "google" {
  project = var.project
  region  = var.region

  # The budget belongs to the billing account: its API asks which project to bill for the call.
  billing_project       = var.project
  user_project_override = true
}
