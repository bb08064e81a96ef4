"""The scripts of launch/."""

from tests.errors.harness import Case

TITLE = "Launch scripts"
TPU = "--name=t1 --zone=us-east5-b"
GKE = "launch/gke.sh --name=s --image=i"
RUN = "-- python -m xtreme_stilts.main --config=tiny.py"
CASES = [
    Case(given="no program", command="launch/cpu.sh", says=("no program", "--")),
    Case(given="no number of threads", command=f"launch/cpu.sh --threads=all {RUN}", says=("--threads", "'all'")),
    Case(given="no threads", command=f"launch/cpu.sh --threads=0 {RUN}", says=("--threads is 0",)),
    Case(given="a misspelled option", command=f"launch/cpu.sh --thread=2 {RUN}", says=("--thread", "'--threads'")),
    Case(given="no GPUs", command=f"launch/gpus.sh --gpus=0 {RUN}", says=("--gpus is 0", "launch/cpu.sh")),
    Case(given="more GPUs than there are", command=f"launch/gpus.sh --gpus=2 {RUN}", says=("--gpus is 2", "only 1")),
    Case(given="no program for SLURM", command="launch/slurm.sh --nodes=2", says=("no program",)),
    Case(given="an unknown command", command=f"launch/tpu_vm.sh creat {TPU}", says=("'creat'", "'create'")),
    Case(given="no name", command="launch/tpu_vm.sh create --zone=us-east5-b", says=("--name is missing",)),
    Case(given="no zone", command="launch/tpu_vm.sh create --name=t1", says=("--zone is missing", "us-central1-a")),
    Case(given="a region for a zone", command="launch/tpu_vm.sh logs --name=t1 --zone=europe", says=("'europe'",)),
    Case(given="a name with capitals", command="launch/tpu_vm.sh logs --name=T1 --zone=us-east5-b", says=("'T1'",)),
    Case(given="no type of TPU", command=f"launch/tpu_vm.sh create {TPU}", says=("--type is missing", "v6e-8")),
    Case(
        given="an unknown type of TPU", command=f"launch/tpu_vm.sh create {TPU} --type=v9-8", says=("'v9-8'", "v6e-8")
    ),
    Case(given="no program to run", command=f"launch/tpu_vm.sh run {TPU}", says=("no program",)),
    Case(given="nothing to fetch", command=f"launch/tpu_vm.sh fetch {TPU}", says=("--from is missing",)),
    Case(
        given="an option without its value", command=f"launch/tpu_vm.sh logs {TPU} --worker", says=("--worker", "value")
    ),
    Case(given="no image", command=f"launch/gke.sh --name=s {RUN}", says=("--image is missing",)),
    Case(given="an unknown type of slice", command=f"{GKE} --type=v9 --topology=4x4 {RUN}", says=("'v9'", "v5e, v6e")),
    Case(given="a topology that is not made", command=f"{GKE} --type=v5e --topology=3x3 {RUN}", says=("'3x3'", "4x4")),
    Case(
        given="hosts that do not divide the slice",
        command=f"{GKE} --type=v5e --topology=4x4 --chips-per-host=3 {RUN}",
        says=("--chips-per-host is 3", "16 chips"),
    ),
]
