"""Claims: one holder at a time, whoever races, dies or sleeps."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from xtreme_stilts import claims as claims_lib
from xtreme_stilts.claims import Claims


def fail(sentence):
    raise AssertionError(sentence)


def make(**fields):
    return Claims(**{"say": lambda sentence: None, "lost": fail, **fields})


def test_one_holder_until_it_is_given_up(tmp_path):
    mine, theirs = make(), make()
    with mine.take(tmp_path):
        assert theirs.take(tmp_path) is None
        assert str(theirs.holder(tmp_path)) == f"process {os.getpid()} on {theirs.holder(tmp_path).host}"
        with theirs.take(tmp_path, "results"):  # another name stands for something else
            pass
    assert theirs.holder(tmp_path) is None
    with theirs.take(tmp_path):
        assert mine.take(tmp_path) is None


def _race(folder, rounds, start, results):
    """Holds the claim `rounds` times; while it does, nobody else may have made `inside`."""
    claims, won = make(), 0
    start.wait()
    while won < rounds:
        claim = claims.take(folder)
        if claim is None:
            time.sleep(0.001)
            continue
        with claim:
            descriptor = os.open(folder / "inside", os.O_CREAT | os.O_EXCL)  # raises where another is inside
            time.sleep(0.002)
            os.close(descriptor)
            os.unlink(folder / "inside")
        won += 1
    results.put(won)


def test_racing_processes_never_hold_it_together(tmp_path):
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.Queue()
    racers = [context.Process(target=_race, args=(tmp_path, 25, start, results)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert [racer.exitcode for racer in racers] == [0] * 4
    assert sum(results.get(timeout=5) for _ in racers) == 100
    assert len(list(tmp_path.glob("claim-*.json"))) <= 3  # they do not pile up
    assert not list(tmp_path.glob(".*"))


HOLD = """
import sys, time
from xtreme_stilts.claims import Claims
with Claims().take(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_holder_is_replaced_at_once(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    said = []
    mine = make(say=said.append)
    assert mine.take(tmp_path) is None
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    with mine.take(tmp_path):
        who = f"process {child.pid} on {mine.holder(tmp_path).host}"
        assert said == [f"{tmp_path}/claim: {who} has ended without a word; taken over"]
    child.wait()


def test_of_several_watchers_one_replaces_a_dead_holder(tmp_path):
    _leave_behind(tmp_path, machine=claims_lib._machine(), pid=2**22 + 1)  # above any process number
    taken = [make().take(tmp_path) for _ in range(3)]
    assert [claim is not None for claim in taken] == [True, False, False]
    taken[0].__exit__()


def _leave_behind(folder, **changes):
    holder = claims_lib._me()
    fields = {**holder.__dict__, "key": "left behind", **changes}
    (folder / "claim-1.json").write_text(json.dumps(fields))
    return fields


def test_a_silent_holder_elsewhere_expires_by_the_watchers_clock(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(claims_lib.time, "monotonic", lambda: now[0])
    fields = _leave_behind(tmp_path, machine="another", since="2000-01-01T00:00:00Z")  # its clock says nothing
    mine = make()
    assert mine.take(tmp_path) is None
    now[0] += claims_lib.EXPIRY - 1
    assert mine.take(tmp_path) is None
    (tmp_path / "claim-1.json").write_text(json.dumps({**fields, "beat": 1}))  # a sign of life
    now[0] += 2
    assert mine.take(tmp_path) is None
    now[0] += claims_lib.EXPIRY + 1
    with mine.take(tmp_path):
        pass


def test_a_holder_that_slept_finds_that_it_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(claims_lib, "BEAT", 0.05)
    lost = []
    claim = make(lost=lost.append).take(tmp_path)
    fields = json.loads((tmp_path / "claim-1.json").read_text())
    (tmp_path / "claim-2.json").write_text(json.dumps({**fields, "pid": 1, "key": "other"}))
    for _ in range(200):
        if lost:
            break
        time.sleep(0.02)
    assert "taken over by process 1" in lost[0]
    claim._done.set()


def test_signs_of_life_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(claims_lib, "BEAT", 0.02)
    with make().take(tmp_path):
        for _ in range(200):
            if make().holder(tmp_path).beat > 2:
                break
            time.sleep(0.02)
        assert make().holder(tmp_path).beat > 2


def test_a_damaged_file_is_somebody_who_is_given_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(claims_lib.time, "monotonic", lambda: now[0])
    (tmp_path / "claim-3.json").write_text('{"host": "x", ')
    mine = make()
    assert mine.take(tmp_path) is None
    now[0] += claims_lib.EXPIRY + 1
    with mine.take(tmp_path):
        assert (tmp_path / "claim-4.json").exists()


def test_a_number_that_was_cleared_away_is_not_taken(tmp_path, monkeypatch):
    """A watcher looked when number 1 was dead; number 2 has come and gone, 3 is held; the watcher makes 2 again."""
    _leave_behind(tmp_path, machine=claims_lib._machine(), pid=2**22 + 1)
    late, numbers = make(), claims_lib._numbers
    seen = iter([[1], [1]])  # what it saw when it looked
    with make().take(tmp_path):
        pass
    with make().take(tmp_path):
        assert numbers(tmp_path, "claim") == [3] or sorted(numbers(tmp_path, "claim")) == [2, 3]
        (tmp_path / "claim-2.json").unlink(missing_ok=True)
        monkeypatch.setattr(claims_lib, "_numbers", lambda *a: next(seen, None) or numbers(*a))
        assert late.take(tmp_path) is None
        assert numbers(tmp_path, "claim") == [3]


def test_object_stores_are_asked_for_a_new_object():
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.mkdirs("/claims", exist_ok=True)
    path = "memory://claims/claim-1.json"
    assert claims_lib._create(path, "one")
    assert not claims_lib._create(path, "two")
    assert files.cat("/claims/claim-1.json") == b"one"
    files.rm("/claims", recursive=True)
