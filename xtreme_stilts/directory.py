"""The study directory, and opening it.

config.json      the resolved config of the last run
plan.json        the phases of the last run, for `python -m xtreme_stilts.status`
results.csv      one row per score; all tables and plots come from it (results.csv.damaged: as one was found)
phases/          one folder per phase, named by its fingerprint (see phase.py)
cache/           tokenised data (unless config.cache_dir says elsewhere)
compiled/        compiled functions, shared by all phases and by later runs
report/          index.html, tables and figures
results-N.json   who rewrites results.csv, or did last (see claims.py); report-N.json likewise
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax

from xtreme_stilts import config as config_lib
from xtreme_stilts import processes
from xtreme_stilts.claims import Claims, holders
from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.zero_shot import EVALUATION_VERSION
from xtreme_stilts.files import read_object, write_json
from xtreme_stilts.graph import RESULT_VERSION, Phase, Plan, fingerprint
from xtreme_stilts.nested import flat
from xtreme_stilts.phase import Setting
from xtreme_stilts.report import results as results_lib
from xtreme_stilts.status import PLAN, read_plan


def open_directory(layout: Plan, *, setting: Setting, claims: Claims, say: Callable[[str], None]) -> None:
    """Makes the study directory this study's, and turns on the compilation cache in it.

    A damaged results.csv is cut back to what is whole; going through the phases writes the rest of it again.

    Raises:
        UserError: the directory is of another version, others are at work in it on another plan, a phase's folder in it
            is another's, or not all processes see it.
    """
    if processes.is_first():
        _check(layout, setting=setting)
        _check_phases(layout, setting=setting)
        _write(layout, setting=setting, claims=claims, say=say)
    processes.barrier("the study directory is open")
    if not (setting.workdir / "config.json").exists():
        raise UserError(
            f"--workdir {setting.workdir} is not the same folder for all processes: process {jax.process_index()} does "
            "not see what process 0 wrote there; name a shared folder or a gs:// one"
        )
    # One compilation serves all phases, languages and seeds of the study, and its next run.
    asked = setting.study.compilation_cache or os.environ.get("JAX_COMPILATION_CACHE_DIR")  # JAX's own setting
    jax.config.update("jax_compilation_cache_dir", asked or str(setting.workdir / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def _check(layout: Plan, *, setting: Setting) -> None:
    there = read_plan(setting.workdir)
    if not there:
        return
    made_by = there.get("results_version", "unknown")
    if made_by != RESULT_VERSION:
        raise UserError(
            f"{setting.workdir} was made by results version {made_by} (xtreme_stilts "
            f"{there.get('package', 'unknown')}), this is version {RESULT_VERSION}: the same config gives other "
            "numbers, so its phases cannot be reused or mixed with new ones; name a new --workdir, or remove "
            f"{setting.workdir}/phases and {setting.workdir}/{PLAN} to compute all of it anew"
        )
    if {each["folder"] for each in there["phases"]} == {phase.folder for phase in layout.phases}:
        return
    folders = (setting.workdir / "phases" / each["folder"] for each in there["phases"])
    if at_work := next(holders(folders), None):
        raise UserError(
            f"{setting.workdir}: {at_work} is at work on another plan ({_difference(setting)}); name another "
            "--workdir, or wait for it"
        )


def _check_phases(layout: Plan, *, setting: Setting) -> None:
    """A phase that is there is reused by its folder's name, so what is in the folder must be that phase's."""
    for phase in layout.phases:
        folder = setting.folder(phase)
        there = read_object(folder / "phase.json")
        if there and fingerprint(there) != phase.fingerprint:
            here = json.loads(json.dumps(phase.describe(), default=str))
            raise UserError(
                f"{folder} has the name of a phase with other settings ({_first_difference(there, here)}, says its "
                "phase.json); remove it, or name another --workdir"
            )


def _difference(setting: Setting) -> str:
    """The first field in which the config of the last run differs from this one's."""
    try:
        theirs = json.loads((setting.workdir / "config.json").read_text())
    except (OSError, ValueError):
        return "its config.json cannot be read"
    ours = json.loads(json.dumps(config_lib.to_dict(setting.study), default=str))
    return _first_difference({"config": theirs}, {"config": ours}) or "the data or the encoder's weights differ"


def _first_difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    theirs, ours = flat(theirs), flat(ours)
    names = [name for name in sorted(theirs.keys() | ours.keys()) if theirs.get(name) != ours.get(name)]
    told = [f"{name} is {theirs.get(name)!r} there and {ours.get(name)!r} here" for name in names[:1]]
    more = f", and {len(names) - 1} other fields" if len(names) > 1 else ""
    return "".join(told) + more


def _write(layout: Plan, *, setting: Setting, claims: Claims, say: Callable[[str], None]) -> None:
    workdir = setting.workdir
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--workdir {workdir} cannot be made: {error.strerror or error}") from error
    with claims.wait(workdir, "results"):
        results = workdir / "results.csv"
        if repaired := results_lib.repair(results):
            say(f"{repaired}; this run fills in the rest")
        if results.exists():
            # Scores of phases the config no longer asks for must not mix with the others; the phases themselves stay.
            # Nor those under another name of the encoder: its folder was renamed, or an earlier version named it.
            wanted = {phase.fingerprint for phase in layout.phases}
            rows = list(results_lib.scores(results))
            kept = [row for row in rows if row.fingerprint in wanted and row.model == setting.model_name]
            if len(kept) < len(rows):
                results_lib.write(results, kept)
        write_json(workdir / "config.json", config_lib.to_dict(setting.study))
        write_json(workdir / PLAN, _plan_json(layout, setting=setting))


def _plan_json(layout: Plan, *, setting: Setting) -> dict[str, Any]:
    return {
        "name": setting.study.name,
        "package": importlib.metadata.version("xtreme_stilts"),
        "results_version": RESULT_VERSION,
        "evaluation_version": EVALUATION_VERSION,
        "phases": [_phase_json(phase, layout) for phase in layout.phases],
    }


def _phase_json(phase: Phase, layout: Plan) -> dict[str, Any]:
    recipe = phase.recipe
    return {
        "folder": phase.folder,
        "kind": phase.kind,
        "path": phase.path,
        "seed": phase.seed,
        "parent": phase.parent.folder if phase.parent else None,
        "steps": recipe.steps if recipe else 0,
        "evaluates": layout.families_after(phase),
    }
