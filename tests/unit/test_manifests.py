"""What starts several containers, compose.yaml and the Kubernetes job: valid, and true to the program they start."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = REPOSITORY / "docker" / "compose.yaml"
KUBERNETES = REPOSITORY / "launch_scripts" / "kubernetes.yaml"


def parse(verb: str, words: list[str]) -> dict[str, Any]:
    """The parameters that the program would read; fails on a verb, an option, a recipe or a key that does not exist."""
    from dist_stilts.__main__ import app
    from dist_stilts.verbs.common import load_recipe

    program: Any = typer.main.get_command(app)
    parameters: dict[str, Any] = program.commands[verb].make_context(verb, list(words)).params
    load_recipe(parameters["recipe"], parameters["overrides"])
    return parameters


def compose_command() -> list[str]:
    """The command of node 1, with the variables of compose.yaml at their defaults."""
    script = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["node1"]["command"][-1]
    script = script.replace("$$RECIPE", "quickstart").replace("$$OVERRIDES", "").replace("$$HOSTFILE", "hostfile")
    return shlex.split(script)


@pytest.mark.slow
def test_compose_file_fits_its_schema(complaints: Callable[..., str]) -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    assert complaints("check-jsonschema", "check-jsonschema", *schema, COMPOSE) == ""


def test_compose_starts_verbs_and_options_that_exist() -> None:
    program, *words = compose_command()[1:]
    found = parse(words[0], words[1:])
    assert (program, words[0]) == ("dist-stilts", "run")
    assert (str(found["hostfile"]), found["recipe"]) == ("hostfile", "quickstart")


def test_nodes_meet_on_a_private_network_and_share_their_runs() -> None:
    compose = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    first, second = compose["services"]["node1"], compose["services"]["node2"]
    assert first["environment"]["NODES"].split() == [first["hostname"], second["hostname"]]
    assert compose["networks"][first["networks"][0]]["internal"]
    assert first["networks"] == second["networks"]
    assert first["volumes"] == second["volumes"]
    named = {volume.split(":")[0] for volume in first["volumes"]}
    assert named == set(compose["volumes"]), "no folder of this machine, where keys would stay"
    assert (REPOSITORY / "docker" / first["build"]["context"]).resolve() == REPOSITORY
    assert (REPOSITORY / first["build"]["dockerfile"]).is_file()
    assert first["image"] == second["image"]


def kubernetes(kind: str) -> dict[str, Any]:
    """The manifest's object of a kind."""
    documents = yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8"))
    found: dict[str, Any] = next(document for document in documents if document and document["kind"] == kind)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_manifest_fits_the_schemas_of_kubernetes(version: str, complaints: Callable[..., str]) -> None:
    assert complaints("kubernetes-validate", "kubernetes-validate", "--strict", "-k", version, KUBERNETES) == ""


def torchrun_of(pod: dict[str, Any]) -> Any:
    """What torchrun reads in the pod of index 1."""
    from torch.distributed.run import parse_args

    words = pod["containers"][0]["args"]
    assert words[0] == "torchrun"
    return parse_args([word.replace("$(JOB_COMPLETION_INDEX)", "1") for word in words[1:]])


def test_manifest_starts_verbs_and_options_that_exist_on_one_recipe() -> None:
    pod = kubernetes("Job")["spec"]["template"]["spec"]
    prepare, train = pod["initContainers"][0], pod["containers"][0]
    arguments = torchrun_of(pod)
    assert (arguments.module, arguments.training_script) == (True, "dist_stilts")
    assert arguments.training_script_args[0] == "train"
    assert prepare["args"][:2] == ["dist-stilts", "prepare"]
    trained = parse("train", arguments.training_script_args[1:])
    prepared = parse("prepare", prepare["args"][2:])
    assert trained["phase"] == "all"
    assert [trained[key] for key in ("recipe", "overrides")] == [prepared[key] for key in ("recipe", "overrides")]
    for key in ("image", "workingDir", "env", "volumeMounts"):
        assert train[key] == prepare[key], "what is prepared must be what is trained on"


def test_every_pod_is_one_node_of_torchrun_and_knows_the_first() -> None:
    job, service = kubernetes("Job"), kubernetes("Service")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    arguments = torchrun_of(pod)
    assert spec["completionMode"] == "Indexed"
    assert str(spec["completions"]) == str(spec["parallelism"]) == arguments.nnodes
    assert arguments.node_rank == 1
    assert arguments.master_addr == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert list(service["spec"]["selector"].values()) == [job["metadata"]["name"]]


def test_pod_that_was_asked_to_stop_is_replaced_and_bad_input_ends_the_job() -> None:
    from dist_stilts.errors import EXIT_AGAIN, EXIT_BAD_INPUT

    spec = kubernetes("Job")["spec"]
    by_code = {
        code: rule["action"]
        for rule in spec["podFailurePolicy"]["rules"]
        for code in rule.get("onExitCodes", {}).get("values", [])
    }
    assert by_code == {EXIT_AGAIN: "Ignore", EXIT_BAD_INPUT: "FailJob"}
    disrupted = [rule["action"] for rule in spec["podFailurePolicy"]["rules"] if "onPodConditions" in rule]
    assert disrupted == ["Ignore"]
    assert (spec["podReplacementPolicy"], spec["template"]["spec"]["restartPolicy"]) == ("Failed", "Never")


def test_ranks_have_time_to_save_memory_to_share_and_one_volume() -> None:
    pod = kubernetes("Job")["spec"]["template"]["spec"]
    arguments = torchrun_of(pod)
    assert pod["terminationGracePeriodSeconds"] > arguments.shutdown_timeout >= 120
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted["/dev/shm"]["emptyDir"]["medium"] == "Memory"
    claim = kubernetes("PersistentVolumeClaim")
    shared = mounted[pod["containers"][0]["workingDir"]]
    assert shared["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert pod["securityContext"]["runAsUser"] == 1000
