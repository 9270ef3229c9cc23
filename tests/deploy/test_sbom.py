"""The software bill of materials: valid CycloneDX, and exactly the locked packages with their hashes."""

import json
import re
import subprocess
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest

from scripts.bill_of_materials import BillError, Package, bill, installed_of, locked
from tests.deploy.image import instructions
from tests.deploy.programs import ROOT

LOCKS = ["runtime.txt", "up.txt"]
SCHEMAS = files("cyclonedx.schema._res")


def schema(name: str) -> Any:
    """A schema of the CycloneDX library."""
    return json.loads((SCHEMAS / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def validator() -> Any:
    """The schema of CycloneDX 1.6, with those that it refers to."""
    others = ("spdx", "jsf-0.82")
    base = "http://cyclonedx.org/schema"
    registry = jsonschema_rs.Registry([(f"{base}/{name}.SNAPSHOT.schema.json", schema(name)) for name in others])
    return jsonschema_rs.Draft7Validator(schema("bom-1.6"), registry=registry, validate_formats=True)


def printed(*words: str) -> str:
    """What scripts/sbom prints."""
    command = [str(ROOT / "scripts/sbom"), *words]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=300, check=True).stdout


@pytest.mark.parametrize("lock", LOCKS)
def test_bill_is_valid_and_lists_what_is_locked(lock: str, validator: Any) -> None:
    path = ROOT / "requirements" / lock
    document = json.loads(printed(str(path)))
    validator.validate(document)
    requirements = path.read_text().replace("\\\n", " ").splitlines()
    names = [line.partition("==")[0].partition("[")[0] for line in requirements]
    versions = [re.split(r"[ ;]", line.partition("==")[2])[0] for line in requirements]
    hashes = [re.findall(r"--hash=sha256:(\w+)", line) for line in requirements]
    assert len(names) > 20
    listed = document["components"]
    assert [one["name"] for one in listed] == names
    assert [one["version"] for one in listed] == versions
    assert [[each["content"] for each in one["externalReferences"][0]["hashes"]] for one in listed] == hashes
    assert document["dependencies"][0]["dependsOn"] == [one["bom-ref"] for one in listed]


def test_same_lock_gives_same_bytes_and_another_number() -> None:
    assert printed() == printed()
    serial_numbers = {json.loads(printed(str(ROOT / "requirements" / lock)))["serialNumber"] for lock in LOCKS}
    assert len(serial_numbers) == 2


def test_invalid_document_is_rejected_by_the_schema(validator: Any) -> None:
    document = bill([Package("a", "1", ["0" * 64], "")], "1")
    validator.validate(document)
    document["components"][0]["externalReferences"][0]["hashes"][0]["content"] = "no digest"
    assert not validator.is_valid(document)


@pytest.mark.parametrize(
    "line", ["a>=1 --hash=sha256:" + "0" * 64, "a==1", "-r other.txt", "a @ https://b.example/a.whl"]
)
def test_line_without_version_or_hash_is_rejected(line: str) -> None:
    with pytest.raises(BillError):
        locked(line)


def test_only_what_is_installed_is_listed_and_no_more() -> None:
    packages = locked(
        f"A_b==1 ; sys_platform == 'win32' \\\n --hash=sha256:{'0' * 64}\nc==2 --hash=sha256:{'1' * 64}\n"
    )
    assert [(one.name, one.marker) for one in packages] == [("a-b", "sys_platform == 'win32'"), ("c", "")]
    assert [one.name for one in installed_of(packages, {"c": "2"})] == ["c"]
    for wrong in ({"c": "3"}, {"d": "1"}):
        with pytest.raises(BillError, match=next(iter(wrong))):
            installed_of(packages, wrong)


def test_image_is_built_with_the_bill() -> None:
    words = [*instructions()]
    assert ("COPY", "--from=build /sbom.cdx.json /usr/share/chat-gateway/") in words
    made = "bill_of_materials.py --installed >/sbom.cdx.json"
    assert [rest for word, rest in words if word == "RUN" and made in rest]
