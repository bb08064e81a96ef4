"""launch/gke.sh and fill.py: the manifest that reaches kubectl, read back as YAML."""

from __future__ import annotations

import re

import pytest

yaml = pytest.importorskip("yaml")

SLICE = ("--name=j1", "--image=repo/x:1", "--type=v6e", "--topology=4x4")


def _pods(manifest):
    return manifest["spec"]["replicatedJobs"][0]["template"]["spec"]


def _container(manifest):
    return _pods(manifest)["template"]["spec"]["containers"][0]


def _expanded(word, environment):
    """What Kubernetes makes of a word of a command: $(NAME) is replaced, $$ is $ (its API reference, `command`)."""
    return re.sub(r"\$\$|\$\((\w+)\)", lambda hit: environment[hit[1]] if hit[1] else "$", word)


@pytest.fixture
def gke(bench):
    """Runs gke.sh with a kubectl that writes down what it gets."""

    def call(*words):
        return bench.run("gke.sh", *words, KUBECTL=str(bench.stand_in("kubectl")))

    return call


def test_template_is_yaml_as_it_is(launch):
    manifest = yaml.safe_load((launch / "gke_jobset.yaml").read_text(encoding="utf-8"))
    assert manifest["kind"] == "JobSet"
    assert _container(manifest)["command"] == "${command}"


def test_manifest_reaches_kubectl(gke, bench):
    done = gke(*SLICE, "--namespace=ml", "--restart=3", "--", "python", "-m", "x", "--workdir=gs://b/s")
    assert done.status == 0
    (record,) = bench.records()
    assert record["words"] == ["--namespace=ml", "apply", "--filename=-"]
    manifest = yaml.safe_load(record["stdin"])
    assert record["stdin"].strip() == done.out.strip()  # what is printed is what is applied
    assert manifest["metadata"]["name"] == manifest["spec"]["network"]["subdomain"] == "j1"
    assert manifest["spec"]["failurePolicy"]["maxRestarts"] == 3
    assert (_pods(manifest)["completions"], _pods(manifest)["parallelism"]) == (4, 4)
    selector = _pods(manifest)["template"]["spec"]["nodeSelector"]
    assert selector["cloud.google.com/gke-tpu-accelerator"] == "tpu-v6e-slice"
    assert selector["cloud.google.com/gke-tpu-topology"] == "4x4"
    container = _container(manifest)
    assert container["image"] == "repo/x:1"
    assert container["resources"] == {"requests": {"google.com/tpu": 4}, "limits": {"google.com/tpu": 4}}
    assert container["command"] == ["python", "-m", "x", "--workdir=gs://b/s"]


def test_only_bad_input_ends_the_jobset_at_once(gke, bench):
    gke(*SLICE, "--", "p")
    manifest = yaml.safe_load(bench.records()[0]["stdin"])
    (rule,) = _pods(manifest)["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["operator"], rule["onExitCodes"]["values"]) == ("FailJob", "In", [2])
    assert rule["onExitCodes"]["containerName"] == _container(manifest)["name"]
    (rule,) = manifest["spec"]["failurePolicy"]["rules"]
    assert (rule["action"], rule["onJobFailureReasons"]) == ("FailJobSet", ["PodFailurePolicy"])
    # Kubernetes wants this of pods with a failure policy, and the JobSet to be the one that restarts.
    assert _pods(manifest)["template"]["spec"]["restartPolicy"] == "Never"
    assert _pods(manifest)["backoffLimit"] == 0


@pytest.mark.parametrize(
    ("words", "hosts", "chips", "accelerator"),
    [
        (("--type=v5e", "--topology=2x4"), 1, 8, "tpu-v5-lite-podslice"),
        (("--type=v5e", "--topology=2x4", "--chips-per-host=4"), 2, 4, "tpu-v5-lite-podslice"),
        (("--type=v5e", "--topology=4x8"), 8, 4, "tpu-v5-lite-podslice"),
        (("--type=v6e", "--topology=1x1"), 1, 1, "tpu-v6e-slice"),
        (("--type=v6e", "--topology=16x16"), 64, 4, "tpu-v6e-slice"),
    ],
)
def test_hosts_of_a_topology(gke, bench, words, hosts, chips, accelerator):
    gke(*SLICE, *words, "--", "p")
    manifest = yaml.safe_load(bench.records()[0]["stdin"])
    assert _pods(manifest)["completions"] == hosts
    assert _container(manifest)["resources"]["limits"]["google.com/tpu"] == chips
    assert _pods(manifest)["template"]["spec"]["nodeSelector"]["cloud.google.com/gke-tpu-accelerator"] == accelerator


def test_arguments_arrive_unharmed(gke, bench, awkward):
    gke(*SLICE, "--", *awkward, "${name}", "yes", "1")
    command = _container(yaml.safe_load(bench.records()[0]["stdin"]))["command"]
    environment = {"PATH": "replaced", "touch": "replaced"}
    assert [_expanded(word, environment) for word in command] == [*awkward, "${name}", "yes", "1"]


def test_dry_run_prints_and_calls_nothing(gke, bench):
    done = gke(*SLICE, "--dry-run", "--", "p")
    assert done.status == 0
    assert yaml.safe_load(done.out)["kind"] == "JobSet"
    assert "apply --filename=-" in done.err
    assert bench.calls() == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--nam=x", "--", "p"), "unknown option '--nam=x'; did you mean '--name'?"),
        (("--name=j1", "--", "p"), "--image is missing: the container image with this checkout installed"),
        ((*SLICE, "--type=v4", "--", "p"), "unknown --type 'v4'; valid: v5e, v6e"),
        (
            (*SLICE, "--topology=4x5", "--", "p"),
            "unknown --topology '4x5'; valid: 1x1, 2x2, 2x4, 4x4, 4x8, 8x8, 8x16, 16x16",
        ),
        (
            (*SLICE, "--chips-per-host=3", "--", "p"),
            "--chips-per-host is 3, which does not divide the 16 chips of 4x4",
        ),
        (SLICE, "no program was given; write it after --: -- python -m xtreme_stilts.main --config=FILE"),
    ],
)
def test_bad_input_is_one_sentence(gke, bench, words, sentence):
    assert gke(*words) == (2, "", f"error: {sentence}\n")
    assert bench.calls() == []


@pytest.mark.parametrize(("folder", "warned"), [("runs/a", True), ("gs://b/a", False)])
def test_warning_of_a_study_directory_in_the_pod(gke, folder, warned):
    assert ("warning: the study directory is" in gke(*SLICE, "--", "p", f"--workdir={folder}").err) is warned
