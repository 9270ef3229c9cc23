"""What operators and orchestrators ask a process: probes, metrics, the audit log."""
