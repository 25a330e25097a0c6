# To try it out: one small worker, nothing that outlives a destroy.
project      = "acme-sensors-trial"
region       = "europe-west9"
machine_type = "e2-standard-2"
workers      = { initial = 1, max = 1 }
protect_data = false
budget       = { amount = 150 }
