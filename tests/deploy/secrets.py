"""The secrets that manifests and chart expect."""

from gateway.config.settings import known_settings

SECRETS = {known.name.upper() for known in known_settings() if known.metadata["secret"]}
