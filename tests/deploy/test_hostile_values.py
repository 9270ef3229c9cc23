"""The chart with mistaken or hostile values: unusable ones are rejected, the others stay values."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy.programs import AGES, CHART, Refused, charted, helm, one
from tests.deploy.schemas import check
from tests.deploy.secrets import SECRETS

EVIL = 'a"\n  EVIL: "x'
SPREAD = {"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
WORDS = {  # each is a good name for Kubernetes, and something else than a word for YAML
    "fullnameOverride": "true",
    "nameOverride": "null",
    "image": {"tag": "1e3", "pullSecrets": ["123"]},
    "serviceAccount": {"name": "1.5"},
    "credentials": {"DATABASE_URL": {"secret": "123", "key": "1"}, "REDIS_URL": {"secret": "no", "key": "on"}},
    "gateway": {"priorityClassName": "true", "podLabels": {"team": "1"}, "podAnnotations": {"a": "true"}},
    "ingress": {"enabled": True, "host": "10", "className": "0", "tlsSecret": "1e3"},
    "extraLabels": {"cost": "007"},
}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"fullnameOverride": "Bad_Name"}, "/fullnameOverride"),
        ({"nameOverride": f"x{EVIL}"}, "/nameOverride"),
        ({"image": {"repository": "chat\n          command: [sh]"}}, "/image/repository"),
        ({"image": {"tag": 1.1}}, "/image/tag': got number, want string"),
        ({"image": {"pullSecrets": ["My Secret"]}}, "/image/pullSecrets/0"),
        ({"extraLabels": {"a": EVIL}}, "/extraLabels/a"),
        ({"extraLabels": {"app.kubernetes.io/name": "x"}}, "app.kubernetes.io/name"),
        ({"gateway": {"podLabels": {"app.kubernetes.io/component": "auth"}}}, "app.kubernetes.io/component"),
        ({"gateway": {"extraEnv": [{"name": "DRAIN_S", "value": "600"}]}}, "gateway.extraEnv: DRAIN_S is set by"),
        ({"auth": {"extraEnv": [{"name": "REDIS_URL", "value": "x"}]}}, "auth.extraEnv: REDIS_URL is set by"),
        ({"podSecurityContext": {"runAsUser": 0}}, "/podSecurityContext/runAsUser"),
        ({"podSecurityContext": {"runAsNonRoot": False}}, "runAsNonRoot"),
        ({"credentials": {"REDIS_URL": {"secret": "a b"}}}, "/credentials/REDIS_URL/secret"),
        ({"credentials": {"SECRET_KEY": {"value": "x" * 32}}}, "credentials.SECRET_KEY: anyone who may read"),
        ({"credentials": {"POSTGRES_PASSWORD": {"value": "p"}}}, "credentials.POSTGRES_PASSWORD: anyone who may read"),
        ({"credentials": {"AMQP_URL": {"value": "amqp://a:hush@mq"}}}, "credentials.AMQP_URL: anyone who may read"),
        ({"settings": {"MESSAGES_PER_MINUTE": -1}}, "/settings/MESSAGES_PER_MINUTE': minimum: got -1, want 0"),
        ({"settings": {"MAX_TEXT_LENGTH": None}}, "/settings/MAX_TEXT_LENGTH"),
        ({"metrics": {"port": 8001}}, "metrics.port: 8000 and 8001 are the ports of gateways and auth"),
        ({"metrics": {"prometheusRule": {"enabled": True, "runbooks": EVIL}}}, "/metrics/prometheusRule/runbooks"),
        ({"networkPolicy": {"ports": {"redis": 6379}}}, "/networkPolicy/ports/redis': got number, want array"),
        ({"ingress": {"enabled": True}}, "ingress.host is missing"),
        ({"ingress": {"enabled": True, "host": "https://chat.example.com"}}, "/ingress/host"),
        ({"ingress": {"enabled": True, "host": "a.example", "tlsSecret": EVIL}}, "/ingress/tlsSecret"),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "w", "namespce": "x"}]}}, "namespce"),
        ({"auth": {"podDisruptionBudget": {"maxUnavailable": 0}}}, "/auth/podDisruptionBudget/maxUnavailable"),
        ({"auth": {"podDisruptionBudget": {"maxUnavailable": "999%"}}}, "/auth/podDisruptionBudget/maxUnavailable"),
        ({"gateway": {"tolerations": [{"operator": "exist"}]}}, "/gateway/tolerations/0/operator"),
        ({"gateway": {"affinity": {"podAffinty": {}}}}, "podAffinty"),
        ({"auth": {"affinity": {"podAffinity": {"preferred": []}}}}, "/auth/affinity/podAffinity"),
        ({"auth": {"topologySpreadConstraints": [SPREAD]}}, "missing property 'labelSelector'"),
        ({"auth": {"extraEnvFrom": [{"secretRef": "more"}]}}, "/auth/extraEnvFrom/0/secretRef"),
        ({"gateway": {"extraVolumes": [{"name": "tmp", "emptyDir": {}}]}}, "/gateway/extraVolumes/0/name"),
        ({"gateway": {"extraVolumeMounts": [{"name": "a", "mountPath": "/tmp"}]}}, "/extraVolumeMounts/0/mountPath"),
        ({"gateway": {"extraVolumeMounts": [{"name": "page", "mountPath": "/p"}]}}, "extraVolumes has no page"),
        ({"networkPolicy": {"extraEgress": [{"port": 1}]}}, "/networkPolicy/extraEgress/0"),
        ({"networkPolicy": {"extraEgress": [{"to": []}]}}, "missing property 'ports'"),
        ({"httpRoute": {"parentRefs": [{"name": "w"}], "timeouts": {"request": "1 hour"}}}, "/httpRoute/timeouts"),
    ],
)
def test_unusable_value_is_rejected_with_clear_error(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        helm("template", values)
    assert sentence in str(refused.value)
    assert "nil pointer" not in str(refused.value)
    assert "hush" not in str(refused.value), "a password is not repeated"


@pytest.mark.parametrize("name", ["1chat", "my.chat"])
def test_invalid_release_name_is_rejected_with_advice(name: str) -> None:
    with pytest.raises(Refused, match="set fullnameOverride"):
        helm("template", {}, release=name)
    assert charted({"fullnameOverride": "chat"}, release=name)


@pytest.mark.parametrize("age", AGES)
def test_yaml_keywords_in_values_stay_strings(age: str) -> None:
    built = charted(WORDS, age=age, release="123")
    for each in built:
        check(each, AGES[age])
    pod = one(built, "Deployment", "true")["spec"]["template"]["spec"]
    assert (pod["priorityClassName"], pod["serviceAccountName"]) == ("true", "1.5")
    secrets = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in pod["containers"][0]["env"]}
    assert secrets["DATABASE_URL"] == {"name": "123", "key": "1"}


def test_hostile_setting_text_stays_one_value() -> None:
    for text in (EVIL, "{{ .Release.Name }}", "# no comment", " 'x' ", "on", "0755", "é\u2028\\n$(HOME)"):
        settings = one(charted({"settings": {"JWT_ISSUER": text}}), "ConfigMap", "demo-chat-gateway")["data"]
        assert settings["JWT_ISSUER"] == text
        own = {"APP_PORT", "AUTH_PORT", "METRICS_PORT", "DRAIN_DELAY_S", "DRAIN_S", "ALLOWED_ORIGINS"}
        assert set(settings) == own | {"JWT_ISSUER"}


def _groups(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of everything that has parts in values.yaml, but what a null is documented for."""
    for name, value in values.items():
        if isinstance(value, dict) and name != "databaseUrl":
            yield (*path, name)
            if name not in {"credentials", "podSecurityContext", "resources"}:
                yield from _groups(value, (*path, name))


@pytest.mark.parametrize("path", [*_groups(yaml.safe_load((CHART / "values.yaml").read_text()))], ids=".".join)
def test_removed_value_group_gives_error_that_names_it(path: tuple[str, ...]) -> None:
    values: Any = None
    for name in reversed(path):
        values = {name: values}
    with pytest.raises(Refused, match=f"missing property '{path[-1]}'"):
        helm("template", values)


def test_credentials_come_only_from_existing_secrets() -> None:
    given = {name: {"secret": f"of-{name.lower().replace('_', '-')}", "key": "it"} for name in SECRETS}
    own = {"databaseUrl": given["DATABASE_URL"]}
    built = charted({"credentials": given, "auth": own, "migration": own})
    for name, without in (("demo-chat-gateway", "KEYS_SECRET"), ("demo-chat-gateway-auth", "AMQP_URL")):
        (container,) = one(built, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        found = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
        expected = {name: {"name": each["secret"], "key": "it"} for name, each in given.items() if name != without}
        assert found == expected
    assert "Secret" not in {each["kind"] for each in built}
