"""Strict checks against Kubernetes' own schemas, and ours for the kinds that Kubernetes does not bring."""

from typing import Any

import kubernetes_validate

from tests.deploy.programs import Object

CUSTOM = {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}
_SHAPES: dict[str, dict[str, Any]] = {
    "ServiceMonitor": {"selector": {"matchLabels": "*"}, "endpoints": [{"port": "", "path": "", "interval": ""}]},
    "PrometheusRule": {
        "groups": [
            {
                "name": "",
                "interval": "",
                "rules": [{"alert": "", "record": "", "expr": "", "for": "", "labels": "*", "annotations": "*"}],
            }
        ]
    },
    "HTTPRoute": {
        "parentRefs": [{"group": "", "kind": "", "name": "", "namespace": "", "sectionName": "", "port": 0}],
        "hostnames": [""],
        "rules": [
            {
                "matches": [{"path": {"type": "", "value": ""}}],
                "backendRefs": [{"name": "", "port": 0}],
                "timeouts": {"request": "", "backendRequest": ""},
            }
        ],
    },
}
"""The part of each that we use. No package that we can have refuses an unknown key in them."""


def check(checked: Object, kubernetes: str) -> None:
    """Nothing misspelt, nothing of the wrong type, nothing missing.

    Raises: ValidationError, AssertionError.
    """
    if checked["kind"] not in CUSTOM:
        kubernetes_validate.validate(checked, kubernetes, strict=True)
        return
    assert set(checked) == {"apiVersion", "kind", "metadata", "spec"}
    _check_shape(checked["spec"], _SHAPES[checked["kind"]], checked["kind"])


def _check_shape(value: Any, shape: Any, where: str) -> None:
    if shape == "*":
        assert isinstance(value, dict), where
        assert all(isinstance(word, str) for word in value.values()), where
        return
    assert type(value) is type(shape), f"{where} is {value!r}"
    if isinstance(shape, list):
        for item in value:
            _check_shape(item, shape[0], where)
    elif isinstance(shape, dict):
        assert set(value) <= set(shape), f"{where} has {set(value) - set(shape)}"
        for name, part in value.items():
            _check_shape(part, shape[name], f"{where}.{name}")
