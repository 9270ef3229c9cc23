"""The variants to check: everything built by kustomize, and the chart over a matrix of values."""

from typing import Any

from tests.deploy.programs import Object, charted, kustomized

FOLDERS = ("k8s/base", "k8s/overlays/development", "k8s/overlays/production")
COMPONENTS = ("ingress-nginx", "ingress-haproxy", "httproute", "monitoring", "stores-ca")

_PART: dict[str, Any] = {
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "2Gi"}},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "chat", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "arch", "operator": "In", "values": ["amd64"]}]}]}}},
    "priorityClassName": "high",
    "podAnnotations": {"a/b": "c"},
    "podLabels": {"team": "chat"},
    "topologySpreadConstraints": [{"topologyKey": "rack", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule",
                                   "labelSelector": {"matchLabels": {"team": "chat"}}}],
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "extraVolumes": [{"name": "page", "configMap": {"name": "page"}}],
    "extraVolumeMounts": [{"name": "page", "mountPath": "/page"}],
}  # fmt: skip
_PEERS = [{"podSelector": {"matchLabels": {"a": "b"}}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]

VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": {
        "image": {"repository": "r.example/chat", "digest": "sha256:" + "0" * 64, "pullSecrets": ["r"]},
        "settings": {"ALLOWED_ORIGINS": ["https://a.example", "https://b.example"], "MESSAGES_PER_MINUTE": 100000,
                     "IS_PROXY": True, "PING_INTERVAL_S": 12.5, "TRUSTED_PROXIES": "10.0.0.0/8"},
        "credentials": {"AMQP_URL": {"secret": "mq", "key": "url"}, "SERVICE_KEYS": {"secret": "keys"},
                        "JWKS_URL": {"value": "https://id.example/jwks"}},
        "gateway": _PART, "auth": _PART,
        "tls": {"caSecret": "stores"},
        "service": {"type": "LoadBalancer", "port": 8080, "annotations": {"a": "b"}},
        "serviceAccount": {"annotations": {"a": "b"}},
        "ingress": {"enabled": True, "host": "chat.example.com", "tlsSecret": "tls", "annotations": {"a": "b"}},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "web"}], "hostnames": ["a.example"],
                      "timeouts": {"request": "0s"}},
        "networkPolicy": {"clients": _PEERS, "servers": _PEERS, "extraEgress": [{"ports": [{"port": 8883}]}]},
        "metrics": {"port": 9999, "serviceMonitor": {"enabled": True, "labels": {"p": "q"}},
                    "prometheusRule": {"enabled": True, "labels": {"p": "q"}}, "dashboards": {"enabled": True}},
        "extraLabels": {"cost": "chat"},
    },
    "nothing": {
        "gateway": {"autoscaling": {"enabled": False}, "podDisruptionBudget": {"enabled": False}, "spread": False,
                    "replicas": 1},
        "auth": {"enabled": False}, "migration": {"enabled": False}, "serviceAccount": {"create": False},
        "networkPolicy": {"enabled": False},
    },
    "auth without its extras": {
        "auth": {"autoscaling": {"enabled": False}, "podDisruptionBudget": {"enabled": False}, "spread": False},
        "gateway": {"podDisruptionBudget": {"maxUnavailable": "10%"}, "autoscaling": {"connections": 0}},
        "networkPolicy": {"prometheus": []},
    },
    "PostgreSQL part by part": {
        "settings": {"POSTGRES_HOST": "db", "POSTGRES_PORT": 5433, "APP_ENV": "production"},
        "credentials": {"DATABASE_URL": None, "POSTGRES_PASSWORD": {"secret": "pg", "key": "password"}},
    },
    "HAProxy on OpenShift": {
        "ingress": {"enabled": True, "host": "chat.example.com", "controller": "haproxy"},
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None},
        "fullnameOverride": "a-name-of-fifty-characters-which-is-all-that-fits",
    },
    "another controller": {
        "ingress": {"enabled": True, "host": "chat.example.com", "controller": "other", "className": "traefik"},
    },
}  # fmt: skip

VARIANTS = [*FOLDERS, *(f"chart: {name}" for name in VALUES)]


def build(variant: str, age: str) -> list[Object]:
    """The objects of one of VARIANTS, by the program of this age."""
    if variant in FOLDERS:
        return kustomized(variant, age)
    return charted(VALUES[variant.removeprefix("chart: ")], age=age)
