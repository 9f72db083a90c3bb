"""How many cores are used: the smallest of all limits, each shown by the real thing where it can be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from allcores.engine import cores
from allcores.engine.cores import Limit, reasons, usable_cores

LIMITED_BY = [*cores.BATCH_VARIABLES, *cores.BATCH_VARIABLES.values(), "PYTHON_CPU_COUNT"]
ASK = "from allcores.settings import settings_of; print(settings_of().workers)"
REAL = Path("/sys/fs/cgroup")


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No limits by the environment, and nothing remembered."""
    for name in [*LIMITED_BY, "ALLCORES_WORKERS"]:
        monkeypatch.delenv(name, raising=False)
    cores._known[0] = 0.0
    yield
    cores._known[0] = 0.0


def asked(*python: str, before: tuple[str, ...] = (), **environment: str) -> int:
    """The number of workers in a fresh process."""
    command = [*before, sys.executable, *python, "-c", ASK]
    given = {**os.environ, **environment}
    told = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
    return int(told.stdout)


def limits_in(proc: Path) -> list[float]:
    return [limit.cores for limit in cores._quotas(str(proc))]


def fake(tmp_path: Path, own: str, mounts: str, files: dict[str, str]) -> Path:
    """A tree of cgroups, and a folder as /proc/self that tells of it; the path of /proc/self."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(own)
    (proc / "mountinfo").write_text(mounts.replace("TMP", str(tmp_path)))
    return proc


V2 = "25 30 0:23 / /proc rw - proc proc rw\n31 23 0:28 / TMP rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = (
    "32 31 0:29 ROOT TMP/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / TMP/memory rw shared:10 - cgroup cgroup rw,memory\n"
)


def test_quotas_of_version_2_at_every_level(tmp_path: Path) -> None:
    files = {
        "user/cpu.max": "300000 100000\n",
        "user/job/cpu.max": "max 100000\n",
        "user/job/step/cpu.max": "250000 100000\n",
        "user/other/cpu.max": "100000 100000\n",
    }
    proc = fake(tmp_path, "0::/user/job/step\n", V2, files)
    assert limits_in(proc) == [2.5, 3.0]


def test_quotas_of_version_1(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/a/cpu.cfs_quota_us": "50000\n",
        "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
        "memory/a/cpu.cfs_quota_us": "1\n",
    }
    own = "9:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/a\n0::/a\n"
    assert limits_in(fake(tmp_path, own, V1.replace("ROOT", "/"), files)) == [0.5]


@pytest.mark.parametrize("root", ["/docker/abc", "/other", "/docker/ab"])
def test_in_a_container_the_path_is_that_outside_and_the_mount_is_the_group(
    tmp_path: Path, root: str
) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "400000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "1",
    }
    own = "4:cpu,cpuacct:/docker/abc\n"
    assert limits_in(fake(tmp_path, own, V1.replace("ROOT", root), files)) == [4.0]


def test_a_group_below_the_containers_own(tmp_path: Path) -> None:
    files = {"cpu.max": "max 100000", "work/cpu.max": "150000 100000"}
    mounts = V2.replace("0:28 /", "0:28 /docker/abc")
    assert limits_in(fake(tmp_path, "0::/docker/abc/work\n", mounts, files)) == [1.5]


def test_a_group_that_cannot_be_seen_from_here(tmp_path: Path) -> None:
    files = {"cpu.max": "200000 100000"}
    assert limits_in(fake(tmp_path, "0::/../../elsewhere\n", V2, files)) == [2.0]


def test_mounts_with_spaces_in_their_names(tmp_path: Path) -> None:
    files = {"my groups é/cpu.max": "200000 100000"}
    mounts = V2.replace("TMP", "TMP/my\\040groups\\040\\303\\251")
    assert limits_in(fake(tmp_path, "0::/\n", mounts, files)) == [2.0]


@pytest.mark.parametrize("text", ["", "max", "0 0", "x y", "1", "-1 100000", "100000 0"])
def test_quotas_that_make_no_sense_are_none(tmp_path: Path, text: str) -> None:
    assert limits_in(fake(tmp_path, "0::/\n", V2, {"cpu.max": text})) == []


def test_without_proc_there_are_no_quotas(tmp_path: Path) -> None:
    assert limits_in(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("quota", "workers"), [(0.1, 1), (1.0, 1), (1.2, 2), (1.5, 2), (2.0, 2), (64.0, 8)]
)
def test_a_part_of_a_core_counts_as_one(
    monkeypatch: pytest.MonkeyPatch, quota: float, workers: int
) -> None:
    monkeypatch.setattr(cores, "_allowed", lambda: 8)
    monkeypatch.setattr(cores, "_quotas", lambda: [Limit("a quota", quota), Limit("wider", 100)])
    assert usable_cores() == workers


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHON_CPU_COUNT": "1"},
        {"SLURM_CPUS_PER_TASK": "1"},
        {"SLURM_CPUS_PER_TASK": "64", "SLURM_CPUS_ON_NODE": "1", "SLURM_JOB_ID": "7"},
        {"NSLOTS": "1", "JOB_ID": "7"},
        {"LSB_DJOB_NUMPROC": "1", "LSB_JOBID": "7"},
        {"NCPUS": "1", "PBS_JOBID": "7.host"},
        {"PBS_NUM_PPN": "1", "PBS_JOBID": "7.host"},
    ],
    ids=str,
)
def test_what_the_environment_gives_a_job(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.setattr(cores, "_allowed", lambda: 4)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert usable_cores() == 1
    assert reasons()[0].cores == 1
    assert reasons()[0].name.removeprefix("$") in environment


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHON_CPU_COUNT": "default"},
        {"PYTHON_CPU_COUNT": "100"},
        {"SLURM_CPUS_PER_TASK": ""},
        {"SLURM_CPUS_PER_TASK": "0"},
        {"SLURM_CPUS_ON_NODE": "1"},
        {"NSLOTS": "1"},
        {"NCPUS": "1"},
        {"OMP_NUM_THREADS": "1"},
    ],
    ids=str,
)
def test_what_is_no_limit(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    monkeypatch.setattr(cores, "_allowed", lambda: 4)
    monkeypatch.setattr(cores, "_quotas", lambda: [])
    monkeypatch.setattr(cores, "_processes", lambda: [])
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert usable_cores() == 4


def test_what_python_is_told_on_its_command_line() -> None:
    assert asked("-X", "cpu_count=1") == 1
    assert asked("-X", "cpu_count=default", PYTHON_CPU_COUNT="1") == asked()
    assert asked("-E", PYTHON_CPU_COUNT="1") == asked()


def test_what_the_caller_says_is_no_limit_but_a_number() -> None:
    assert asked(ALLCORES_WORKERS="3", PYTHON_CPU_COUNT="1") == 3


needs_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="affinity and cgroups"
)


@needs_linux
def test_a_process_that_may_run_on_one_core_only() -> None:
    one = str(min(os.sched_getaffinity(0)))
    assert asked(before=("taskset", "-c", one)) == 1


@needs_linux
def test_cores_that_the_program_gives_up_are_given_up_at_once() -> None:
    allowed = os.sched_getaffinity(0)
    before = usable_cores()
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
        assert reasons()[0].cores == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert usable_cores() == before


def test_a_limit_that_changes_is_seen_when_a_second_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(cores.time, "monotonic", lambda: now)
    monkeypatch.setattr(cores, "_allowed", lambda: 4)
    monkeypatch.setattr(cores, "_others", lambda: [])
    assert usable_cores() == 4
    monkeypatch.setattr(cores, "_others", lambda: [Limit("a quota that was set", 2.0)])
    now += 0.5
    assert usable_cores() == 4
    now += 0.6
    assert usable_cores() == 2


def real_group(quota: int) -> Path:
    """A cgroup made for this test, with so many µs in 100 ms; skips where none can be made."""
    name = f"allcores-test-{os.getpid()}"
    for base, file, text in [
        (REAL / "cpu", "cpu.cfs_quota_us", f"{quota}"),
        (REAL / "cpu,cpuacct", "cpu.cfs_quota_us", f"{quota}"),
        (REAL, "cpu.max", f"{quota} 100000"),
    ]:
        try:
            (base / name).mkdir()
        except OSError:
            continue
        try:
            if (base / name / file).exists():
                (base / name / file).write_text(text)
                return base / name
        except OSError:
            pass
        (base / name).rmdir()
    pytest.skip("no cgroup with a CPU quota can be made here")


@needs_linux
@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", list)(0)) < 2, reason="one core")
def test_the_quota_of_a_real_cgroup_and_of_the_one_around_it() -> None:
    group = real_group(quota=70_000)
    inner = group / "inner"
    try:
        inner.mkdir()
        join = ("sh", "-c", f'echo $$ > {inner}/cgroup.procs && exec "$@"', "sh")
        assert asked() >= 2
        assert asked(before=join) == 1
    finally:
        inner.rmdir()
        group.rmdir()


@needs_linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="to be another user")
def test_how_many_processes_a_user_may_have() -> None:
    script = """
import os, resource
from allcores.engine.cores import reasons
from allcores.settings import settings_of
resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
assert not [limit for limit in reasons() if "processes" in limit.name], "root has no limit"
os.setuid(65534)
print(settings_of().workers)
assert "ulimit -u" in reasons()[0].name
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (told.stdout, told.returncode) == ("1\n", 0), told.stderr
