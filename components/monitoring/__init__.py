"""Rules, alerts and dashboards for the monitoring system that a cluster has."""
