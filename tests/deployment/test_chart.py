"""The chart renders to what Kubernetes takes, and gives each service the settings, ways and rights that it needs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic_core import PydanticUndefined

from deployment.composition import ROOT
from deployment.test_compose import SETTINGS
from modelbus.chassis.ending import CLOSING_S

HELM = Path(sys.executable).parent / "helm"
CHART = ROOT / "deploy/chart"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SERVICES = sorted(VALUES["services"])

pytestmark = pytest.mark.skipif(not HELM.exists(), reason="no wheel of Helm for this platform")


def rendered(*values: str) -> list[dict[str, Any]]:
    """Render the chart with those values."""
    given = [argument for value in values for argument in ("--set", value)]
    done = subprocess.run(
        [HELM, "template", "llm", CHART, *given], check=True, capture_output=True, text=True, env={"HOME": "/nowhere"}
    )
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(kind: str, found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"].removeprefix("llm-"): each for each in found if each["kind"] == kind}


@pytest.fixture(scope="module")
def chart() -> list[dict[str, Any]]:
    return rendered()


TLS = ("nats.caConfigMap=ca", "nats.certificateSecret=own", "nats.tlsFirst=true")
EVERYTHING = ("ingress.enabled=true", "ingress.tlsSecret=t", "ingress.className=c", *TLS)


KEPT = ("routerState.size=2Gi", "routerState.storageClass=fast")


@pytest.mark.parametrize("values", [(), EVERYTHING, ("networkPolicies.enabled=false", "preStopSeconds=0", *KEPT)])
def test_kubernetes_takes_all_of_it(values: tuple[str, ...]) -> None:
    found = rendered(*values)

    for each in found:
        kubernetes_validate.validate(each, "1.37", strict=True)
    names = [(each["kind"], each["metadata"]["name"]) for each in found]
    assert len(set(names)) == len(names)


def pods(chart: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Answer what runs, by the service or step that it is."""
    return {
        name: each["spec"]["template"]["spec"]
        for kind in ("Deployment", "Job")
        for name, each in of_kind(kind, chart).items()
    }


def test_each_service_and_each_step_is_there(chart: list[dict[str, Any]]) -> None:
    assert sorted(of_kind("Deployment", chart)) == SERVICES == sorted(of_kind("PodDisruptionBudget", chart))
    assert sorted(of_kind("Service", chart)) == SERVICES == sorted(of_kind("NetworkPolicy", chart))
    steps = of_kind("Job", chart)
    weights = {name: int(step["metadata"]["annotations"]["helm.sh/hook-weight"]) for name, step in steps.items()}
    assert weights["provision"] < min(weights[f"migrate-{name}"] for name in ("catalog", "sync", "integrity"))
    assert sorted(of_kind("HorizontalPodAutoscaler", chart)) == ["router"]
    assert "replicas" not in of_kind("Deployment", chart)["router"]["spec"], "the autoscaler decides"


def test_each_gets_every_setting_that_it_needs_and_none_that_it_does_not_have(chart: list[dict[str, Any]]) -> None:
    for name, pod in pods(chart).items():
        [container] = pod["containers"]
        part = re.fullmatch(r"modelbus/(\w+):0\.1\.0", container["image"])
        assert part is not None, container["image"]
        settings = SETTINGS[part[1], container["args"][0]]
        known = {f"MODELBUS_{each.upper()}": field for each, field in settings.model_fields.items()}
        needed = {each for each, field in known.items() if field.default is PydanticUndefined}
        given = [each["name"] for each in container["env"]]

        assert set(given) <= set(known), name
        assert needed <= set(given) | {"MODELBUS_PORT"}, name
        assert len(set(given)) == len(given), name


def test_secrets_come_from_the_secret_and_their_keys_are_told(chart: list[dict[str, Any]]) -> None:
    told = (ROOT / "docs/deployment.md").read_text()
    for pod in pods(chart).values():
        for each in pod["containers"][0]["env"]:
            if re.search(r"PASSWORD|TOKEN|KEYS|SUPERUSER|DATABASE_URL", each["name"]):
                reference = each["valueFrom"]["secretKeyRef"]
                assert reference["name"] == "modelbus"
                assert f"--from-literal {reference['key']}=" in told, reference["key"]
            else:
                assert "value" in each


def test_every_pod_is_kept_small(chart: list[dict[str, Any]]) -> None:
    for pod in pods(chart).values():
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_routers_keep_what_was_spent_on_volumes_of_their_own_where_that_is_wanted() -> None:
    found = rendered(*KEPT)
    [(name, kept)] = of_kind("StatefulSet", found).items()
    [claim] = kept["spec"]["volumeClaimTemplates"]
    [scaled] = of_kind("HorizontalPodAutoscaler", found).values()
    volumes = kept["spec"]["template"]["spec"]["volumes"]

    assert name == "router"
    assert name not in of_kind("Deployment", found)
    assert kept["spec"]["serviceName"] in {each["metadata"]["name"] for each in of_kind("Service", found).values()}
    assert (claim["metadata"]["name"], claim["spec"]["storageClassName"]) == ("state", "fast")
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert "state" not in {volume["name"] for volume in volumes}
    assert scaled["spec"]["scaleTargetRef"]["kind"] == "StatefulSet"


def test_a_router_gives_up_the_oldest_usage_before_its_pod_is_evicted(chart: list[dict[str, Any]]) -> None:
    pod = pods(chart)["router"]
    [limit] = [each["emptyDir"]["sizeLimit"] for each in pod["volumes"] if each["name"] == "state"]
    [spool] = [each["value"] for each in pod["containers"][0]["env"] if each["name"] == "MODELBUS_SPOOL_BYTES"]

    # Beside the spool: the journal (16 MiB), and what is last known of a catalog of 100,000 sources, old and new.
    assert limit.endswith("Gi")
    assert int(spool) + 256 * 2**20 <= int(limit.removesuffix("Gi")) * 2**30


@pytest.mark.parametrize(("values", "is_used"), [((), False), (TLS, True)])
def test_whoever_enters_the_bus_finds_each_file_of_tls_that_its_settings_name(
    values: tuple[str, ...], *, is_used: bool
) -> None:
    for name, pod in pods(rendered(*values)).items():
        [container] = pod["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}
        named = {given.get(f"MODELBUS_NATS_{each}_FILE") for each in ("CA", "CERT", "KEY")}
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounts = {each["mountPath"]: volumes[each["name"]] for each in container["volumeMounts"]}

        if "MODELBUS_NATS_URL" not in given or not is_used:
            assert named == {None}, name
            continue
        assert given["MODELBUS_NATS_TLS_FIRST"] == "true"
        assert named == {
            "/etc/modelbus/nats/ca.crt",
            *(f"/etc/modelbus/certificate/tls.{end}" for end in ("crt", "key")),
        }
        assert mounts["/etc/modelbus/nats"]["configMap"]["name"] == "ca"
        # Of the group of the pod's user, which is not root.
        assert mounts["/etc/modelbus/certificate"]["secret"] == {"secretName": "own", "defaultMode": 0o440}
        assert pod["securityContext"]["fsGroup"]


@pytest.mark.parametrize("pause_s", [5, 20, 0])
def test_a_pod_pauses_before_it_ends_and_has_time_for_what_it_has_begun(pause_s: int) -> None:
    for name, deployment in of_kind("Deployment", rendered(f"preStopSeconds={pause_s}")).items():
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        shutdown_s = SETTINGS[name, "serve"].model_fields["shutdown_s"].default

        assert container.get("lifecycle") == ({"preStop": {"sleep": {"seconds": pause_s}}} if pause_s else None)
        assert pod["terminationGracePeriodSeconds"] > pause_s + shutdown_s + CLOSING_S


def test_probes_ask_the_paths_that_services_have(chart: list[dict[str, Any]]) -> None:
    for name, deployment in of_kind("Deployment", chart).items():
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        asked = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
        assert asked == {
            "startupProbe": "/health/live",
            "livenessProbe": "/health/live",
            "readinessProbe": "/health/ready",
        }, name


def test_who_may_call_whom_is_who_is_told_where_whom_is(chart: list[dict[str, Any]]) -> None:
    policies = of_kind("NetworkPolicy", chart)
    for caller, pod in of_kind("Deployment", chart).items():
        [container] = pod["spec"]["template"]["spec"]["containers"]
        urls = {
            each["name"].removeprefix("MODELBUS_").removesuffix("_URL").lower()
            for each in container["env"]
            if "http://llm-" in each.get("value", "")
        }
        for called in SERVICES:
            assert (caller in _components(policies[called]["spec"]["ingress"], "from")) == (called in urls)
            assert (called in _components(policies[caller]["spec"]["egress"], "to")) == (called in urls)


def _components(rules: list[dict[str, Any]], side: str) -> set[str]:
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in rules
        for peer in rule.get(side, [])
        if "podSelector" in peer
    }
