"""Images by digest: the chart and kustomize use one in place of a tag; images of others have a version and a digest."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.deploy.image import instructions
from tests.deploy.programs import AGES, ROOT, charted, images, kustomized, objects, program, run

DIGEST = "sha256:" + "0123456789abcdef" * 4
PINNED = f"r.example/chat-gateway@{DIGEST}"
VERSIONED = re.compile(r"[\w./-]+:v?\d+(\.\d+)*(-[a-z-]+)?")
PINNED_VERSION = re.compile(r"[\w./-]+:v?\d+(\.\d+)+(-[a-z]+[\d.]*)?@sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("age", AGES)
def test_digest_of_chart_takes_precedence_over_tag(age: str) -> None:
    values = {"image": {"repository": "r.example/chat-gateway", "tag": "1.2.3", "digest": DIGEST}}
    assert images(charted(values, age=age)) == {PINNED}


@pytest.mark.parametrize("age", AGES)
def test_digest_of_overlay_is_used_in_every_pod(age: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    path = tmp_path / "k8s/overlays/production/kustomization.yaml"
    overlay = yaml.safe_load(path.read_text())
    overlay["images"] = [{"name": "chat-gateway", "newName": "r.example/chat-gateway", "digest": DIGEST}]
    path.write_text(yaml.safe_dump(overlay))
    assert images(objects(run(program("kubectl", age), "kustomize", str(path.parent)))) == {PINNED}


def test_images_of_others_are_pinned_by_digest() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    others = {service["image"] for service in compose if "image" in service and "build" not in service}
    others |= images(kustomized("k8s/overlays/development"))
    others = {image for image in others if not image.startswith("chat-gateway")}
    assert len(others) >= 6
    assert {image for image in others if not PINNED_VERSION.fullmatch(image)} == set()


def test_base_image_can_be_given_with_its_digest() -> None:
    (default,) = [rest for word, rest in instructions() if word == "ARG"]
    name, _, image = default.partition("=")
    assert VERSIONED.fullmatch(image)
    assert {rest.partition(" AS ")[0] for word, rest in instructions() if word == "FROM"} == {f"${{{name}}}"}
