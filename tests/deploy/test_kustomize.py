"""Tests for kustomize only: components, overlays, and agreement of the base with the chart."""

import re
import shutil
from base64 import b64decode
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from gateway.config.sources import load
from gateway.errors import SettingsError
from tests.deploy.programs import AGES, ROOT, Object, charted, kustomized, one, program, run
from tests.deploy.schemas import check
from tests.deploy.variants import COMPONENTS


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_builds_with_the_base(component: str, age: str, tmp_path: Path) -> None:
    built = _with_base(component, age, tmp_path)
    added = {each["kind"] for each in built} - {each["kind"] for each in kustomized("k8s/base", age)}
    expected = {"httproute": {"HTTPRoute"}, "monitoring": {"ServiceMonitor", "PrometheusRule"}, "stores-ca": set()}
    assert added == expected.get(component, {"Ingress"})
    for each in built:
        check(each, AGES[age])


def _with_base(component: str, age: str, folder: Path) -> list[Object]:
    """kustomize takes relative paths only, so the overlay stands beside a copy."""
    shutil.copytree(ROOT / "k8s", folder / "k8s")
    overlay = {"resources": ["../../k8s/base"], "components": [f"../../k8s/components/{component}"]}
    (folder / "overlay/x").mkdir(parents=True)
    header = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    (folder / "overlay/x/kustomization.yaml").write_text(yaml.safe_dump(header | overlay))
    return list(yaml.safe_load_all(run(program("kubectl", age), "kustomize", str(folder / "overlay/x"))))


def test_every_file_is_one_object_and_used() -> None:
    for folder in sorted({path.parent for path in (ROOT / "k8s").rglob("kustomization.yaml")}):
        listed = set(yaml.safe_load((folder / "kustomization.yaml").read_text()).get("resources", []))
        there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert there == {name for name in listed if not name.startswith("..")}
        for name in there:
            (found,) = yaml.safe_load_all((folder / name).read_text())
            kind = name.removesuffix(".yaml").rpartition("-")[2]
            assert found["kind"].lower().endswith({"hpa": "autoscaler", "pdb": "budget"}.get(kind, kind)), name


def test_one_component_mounts_the_ca_of_the_stores_in_every_pod(tmp_path: Path) -> None:
    built = _with_base("stores-ca", "newest", tmp_path)
    pods = [each["spec"]["template"]["spec"] for each in built if each["kind"] in ("Deployment", "Job")]
    assert len(pods) == 3
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    for pod in pods:
        assert {"name": "stores-ca", "secret": {"secretName": "chat-gateway-stores-ca", "items": items}} in pod[
            "volumes"
        ]
        mount = {"name": "stores-ca", "mountPath": "/etc/chat-gateway/tls", "readOnly": True}
        assert mount in pod["containers"][0]["volumeMounts"]


def test_production_overlay_has_no_secret() -> None:
    built = kustomized("k8s/overlays/production")
    assert "Secret" not in {each["kind"] for each in built}
    assert {each["metadata"].get("namespace", "chat") for each in built} == {"chat"}
    namespace = one(built, "Namespace", "chat")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_development_overlay_is_self_contained() -> None:
    built = kustomized("k8s/overlays/development")
    kinds = {each["kind"] for each in built}
    assert not {"HorizontalPodAutoscaler", "PodDisruptionBudget"} & kinds
    (secret,) = [each for each in built if each["kind"] == "Secret"]
    kinds_and_names = (("Deployment", "chat-gateway"), ("Deployment", "chat-auth"), ("Job", "chat-gateway-migrate"))
    pods = [one(built, kind, name)["spec"]["template"]["spec"] for kind, name in kinds_and_names]
    wanted = [each["valueFrom"]["secretKeyRef"] for pod in pods for each in pod["containers"][0]["env"]]
    container = pods[0]["containers"][0]
    assert {each["name"] for each in wanted} == {secret["metadata"]["name"]}  # the hash of its content is in its name
    assert {each["key"] for each in wanted if not each.get("optional")} == set(secret["data"])
    assert container["args"] == ["gateway", "--with-auth"], "no ingress leads to auth, and the page registers people"


def test_development_password_is_rejected_in_production() -> None:
    (secret,) = [each for each in kustomized("k8s/overlays/development") if each["kind"] == "Secret"]
    given = {name: b64decode(value).decode() for name, value in secret["data"].items()}
    with pytest.raises(SettingsError) as refusal:
        load(environ=given, folder=Path("/nowhere"))
    for what in ("The password of DATABASE_URL", "The password in REDIS_URL"):
        assert re.search(f"{what}.* is a placeholder, or one that everybody knows", str(refusal.value))


def test_stores_of_development_demand_the_urls_passwords() -> None:
    built = kustomized("k8s/overlays/development")
    (secret,) = [each for each in built if each["kind"] == "Secret"]
    urls = {name: urlsplit(b64decode(value).decode()) for name, value in secret["data"].items()}
    (db,) = one(built, "Deployment", "db")["spec"]["template"]["spec"]["containers"]
    assert {"name": "POSTGRES_PASSWORD", "value": urls["DATABASE_URL"].password} in db["env"]
    (redis,) = one(built, "Deployment", "redis")["spec"]["template"]["spec"]["containers"]
    assert redis["env"] == [{"name": "REDISCLI_AUTH", "value": urls["REDIS_URL"].password}]
    assert redis["args"][-2:] == ["--requirepass", "$(REDISCLI_AUTH)"]
    assert redis["readinessProbe"]["exec"]["command"] == ["redis-cli", "-e", "ping"]  # a failed login is no success


def test_readme_selector_finds_migration_and_its_policy() -> None:
    wanted = "app.kubernetes.io/component=migration"
    assert f"--selector {wanted}" in (ROOT / "k8s/README.md").read_text()
    name, _, value = wanted.partition("=")
    built = kustomized("k8s/overlays/production")
    found = [each["kind"] for each in built if each["metadata"].get("labels", {}).get(name) == value]
    assert sorted(found) == ["Job", "NetworkPolicy"]


def test_changed_setting_changes_config_map_name() -> None:
    names = {
        each["metadata"]["name"]
        for folder in ("base", "overlays/production", "overlays/development")
        for each in kustomized(f"k8s/{folder}")
        if each["kind"] == "ConfigMap"
    }
    assert len(names) == 3


def test_base_and_chart_agree() -> None:
    """Two ways to the same thing: what one of them gets, the other must not miss."""
    base, chart = kustomized("k8s/base"), charted()
    for ours, theirs in (("chat-gateway", "demo-chat-gateway"), ("chat-auth", "demo-chat-gateway-auth")):
        pods = []
        for built, name in ((base, ours), (chart, theirs)):
            (container,) = one(built, "Deployment", name)["spec"]["template"]["spec"]["containers"]
            pods.append({key: container[key] for key in container if key not in ("image", "imagePullPolicy", "env")})
            pods[-1]["envFrom"] = len(container["envFrom"])
            pods[-1]["spread"] = _spread(one(built, "Deployment", name))
        assert pods[0] == pods[1]
        sources = [
            {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
            for container in (
                one(built, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]
                for built, name in ((base, ours), (chart, theirs))
            )
        ]
        assert {name: key for name, key in sources[0].items() if "optional" not in key} == sources[1]
    scalers = [one(base, "HorizontalPodAutoscaler", "chat-gateway"), one(chart, "HorizontalPodAutoscaler", theirs[:17])]
    for part in ("metrics", "behavior", "minReplicas", "maxReplicas"):
        assert scalers[0]["spec"][part] == scalers[1]["spec"][part]


def _spread(deployment: Object) -> set[str]:
    """Over what its replicas are spread; each constraint counts them all, and none forbids a pod to start."""
    pod = deployment["spec"]["template"]
    for each in pod["spec"]["topologySpreadConstraints"]:
        assert each["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert (each["whenUnsatisfiable"], each["matchLabelKeys"]) == ("ScheduleAnyway", ["pod-template-hash"])
    return {each["topologyKey"] for each in pod["spec"]["topologySpreadConstraints"]}


@pytest.mark.parametrize(
    ("controller", "silence"),
    [("nginx", "nginx.ingress.kubernetes.io/proxy-read-timeout"), ("haproxy", "haproxy.org/timeout-tunnel")],
)
def test_ingress_annotations_of_base_and_chart_agree(controller: str, silence: str) -> None:
    values = {"ingress": {"enabled": True, "host": "chat.example.com", "controller": controller}}
    theirs = one(charted(values), "Ingress", "demo-chat-gateway")
    ours = one(kustomized(f"k8s/components/ingress-{controller}"), "Ingress", "chat-gateway")
    assert theirs["metadata"]["annotations"] == ours["metadata"]["annotations"]
    assert theirs["spec"]["ingressClassName"] == ours["spec"]["ingressClassName"] == controller
    assert ours["metadata"]["annotations"][silence] in ("3600", "1h"), "an hour, with pings every 25 s"


def test_alert_copies_equal_their_source() -> None:
    files = [yaml.safe_load((ROOT / "deploy/prometheus" / name).read_text()) for name in ("slos.yml", "alerts.yml")]
    source = {"groups": [group for file in files for group in file["groups"]]}
    for built in (kustomized("k8s/overlays/production"), charted({"metrics": {"prometheusRule": {"enabled": True}}})):
        (rule,) = [each for each in built if each["kind"] == "PrometheusRule"]
        assert rule["spec"] == source
