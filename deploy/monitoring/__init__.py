"""Dashboards, alerts and scraping for Prometheus and Grafana."""
