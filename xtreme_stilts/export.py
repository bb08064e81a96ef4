"""`python -m xtreme_stilts.export PHASE_DIR OUT`: a finished phase as a folder that `transformers` loads.

    python -m xtreme_stilts.export runs/study/phases/mini_mnli.en-seed0-0123456789ab exported/mnli [--head NAME]

OUT then holds config.json and safetensors in float32 (`from_pretrained` of the class that is printed, and
`AutoModel`), the tokenizer (`AutoTokenizer`), and README.md, a model card with scores, data, recipe and versions; its
licence is left to you. OUT is complete or absent.

The logits of that class are ours. A sentence head that reads the pooler (config.model.head_pooling="jiant") has one
layer more than any class of `transformers`: then the encoder is written alone, its pooler included, and the head
beside it as head.safetensors; README.md says how to apply it. Train with head_pooling="cls" for a head that goes along.

Everything is read from the phase's folder, its run card above all, and computed on the CPU. What is wrong is said on
stderr in a sentence. Exit status: 0, or 2 where nothing was exported.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from etils import epath

from xtreme_stilts import flags
from xtreme_stilts.errors import UserError, did_you_mean

if TYPE_CHECKING:  # imported only once the command line is right: seconds
    from xtreme_stilts.data.tokenizer import Tokenizer
    from xtreme_stilts.models import EncoderConfig, Head
    from xtreme_stilts.report.results import Result
    from xtreme_stilts.run_card import RunCard, Session

HEAD = "head.safetensors"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        architecture: the class of `transformers` it is for.
        head: name of the phase's head.
        apart: why the head is in a file of its own; "" = the class has it.
    """

    folder: pathlib.Path
    architecture: str
    head: str
    apart: str


def export(phase_dir: epath.PathLike, out: str | os.PathLike, *, head: str = "", tokenizer: str = "") -> Exported:
    """Writes the best checkpoint of a finished phase in Hugging Face format.

    Args:
        phase_dir: the phase's folder, local or gs://.
        out: a folder that is made; it may be there if it is empty.
        head: which of the phase's heads; may be left out where there is one.
        tokenizer: name or folder of the phase's tokenizer, if it is no longer where the run card says.

    Raises:
        UserError: this is no finished phase, it has no such head, the tokenizer is another one, or `out` holds
            something.
    """
    folder, out = epath.Path(phase_dir), pathlib.Path(out)
    card = _finished(folder)
    _check_free(out)
    part = _part(folder, card=card, head=_chosen(card, head, where=folder))
    theirs = _tokenizer(card, tokenizer)
    done = Exported(folder=out, architecture=part.architecture, head=part.name, apart=part.apart)
    temporary = out.absolute().with_name(f".{out.absolute().name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        _write(temporary, part, tokenizer=theirs)
        text = model_card(card, exported=done, part=part, scores=_scores(folder, card))
        (temporary / "README.md").write_text(text, encoding="utf-8")
        temporary.rename(out)  # onto nothing, or an empty folder
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return done


# --------------------------------------------------------------------------------------------------
# In


class _Part(NamedTuple):
    """What of a phase is exported."""

    name: str  # of the head
    head: Head
    labels: tuple[str, ...]
    config: EncoderConfig
    encoder: Mapping[str, Any]  # parameters
    head_params: Mapping[str, Any]
    apart: str  # why the head does not go along; "" = it does
    architecture: str
    takes_pooler: bool  # the head's first layer is what `transformers` calls the pooler


def _finished(folder: epath.Path) -> RunCard:
    """The run card of a finished phase."""
    from xtreme_stilts import run_card

    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a phase's folder is <study directory>/phases/<phase>")
    if not (folder / "phase.json").exists():
        inside = folder / "phases" if (folder / "phases").is_dir() else folder
        phases = sorted(path.name for path in inside.iterdir() if (path / "phase.json").exists())
        if (folder / "evaluations").is_dir():
            known = "nothing was trained in it; export the phase whose encoder it evaluates"
        elif phases:
            known = f"phases are in it: {', '.join(phases)}"
        else:
            known = "it holds no phase.json; a phase's folder is <study directory>/phases/<phase>"
        raise UserError(f"{folder} is not the folder of a trained phase: {known}")
    if not (folder / "done.json").exists() or not (folder / "best").is_dir():
        raise UserError(f"{folder}: its training has not ended; run the study's command again, it goes on from there")
    return run_card.read(folder)


def _check_free(out: pathlib.Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        found = "is not empty" if out.is_dir() else "is a file"
        raise UserError(f"{out} {found}; name a folder that is not there yet")


def _chosen(card: RunCard, name: str, *, where: epath.Path) -> str:
    """The head asked for, or the only one."""
    if name in card.heads:
        return name
    if name:
        raise UserError(f"{where}: the phase has no head {name!r}; {did_you_mean(name, card.heads)}")
    if len(card.heads) != 1:
        raise UserError(f"{where}: the phase has {len(card.heads)} heads; choose with --head: {', '.join(card.heads)}")
    return next(iter(card.heads))


def _part(folder: epath.Path, *, card: RunCard, head: str) -> _Part:
    """The best parameters, on the host, with what is known of them."""
    import jax

    from xtreme_stilts.models import EncoderConfig, Model, hf
    from xtreme_stilts.models import Head as HeadConfig
    from xtreme_stilts.run_card import FILE, from_known
    from xtreme_stilts.training.checkpoints import Checkpoints

    try:
        config = from_known(EncoderConfig, card.encoder)
        heads = {name: from_known(HeadConfig, fields) for name, fields in card.heads.items()}
    except TypeError as error:
        raise UserError(f"{folder / FILE} does not say what the encoder and the heads are ({error})") from error
    on_host = jax.sharding.SingleDeviceSharding(jax.local_devices(backend="cpu")[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=on_host),
        Model(config, heads).abstract_params(),
    )
    with Checkpoints(folder / "best") as best:
        if damage := best.damage_of_newest():
            raise UserError(f"{damage}; run the study again, which trains this phase anew")
        params = best.restore(best.steps()[0], abstract=abstract)
    try:
        table, apart = hf.head_table(heads[head], config), ""
    except UserError as error:
        table, apart = [], str(error)
    return _Part(
        name=head,
        head=heads[head],
        labels=tuple(card.heads[head].get("label_names", ())),
        config=config,
        encoder=params["encoder"],
        head_params=params["heads"][head],
        apart=apart,
        architecture=hf.architecture(config, None if apart else heads[head]),
        takes_pooler=any(entry.name.startswith("pooler.") for entry in table),
    )


def _tokenizer(card: RunCard, name: str) -> Tokenizer:
    from xtreme_stilts.data.tokenizer import load_tokenizer

    found = load_tokenizer(name or card.tokenizer["name"])
    if found.fingerprint != card.tokenizer["fingerprint"]:
        raise UserError(
            f"tokenizer {found.name!r} is not the one this phase was trained with, {card.tokenizer['name']!r} as it "
            "was then; name that with --tokenizer"
        )
    return found


def _scores(folder: epath.Path, card: RunCard) -> list[Result]:
    """This phase's rows of the study's results.csv, without chance and the comparison of layers."""
    from xtreme_stilts.report import results

    file = folder.parent.parent / "results.csv"
    found = results.scores(file) if file.exists() else ()
    return [
        row
        for row in found
        if row.fingerprint == card.fingerprint and row.metric != "chance" and not row.metric.endswith(results.BY_LAYER)
    ]


# --------------------------------------------------------------------------------------------------
# Out


def _write(folder: pathlib.Path, part: _Part, *, tokenizer: Tokenizer) -> None:
    """Weights, config.json and the tokenizer's files."""
    from xtreme_stilts.models import hf

    along = {} if part.apart else {"head": part.head, "head_params": part.head_params, "labels": part.labels}
    hf.save_encoder(folder, config=part.config, encoder=part.encoder, **along)
    if part.apart:
        hf.save_head(folder / HEAD, config=part.config, head=part.head, head_params=part.head_params)
    for file in folder.glob("*.safetensors"):
        shutil.copymode(folder / hf.CONFIG, file)  # safetensors makes files that only their owner can read
    theirs = copy.deepcopy(tokenizer.hf)
    theirs.model_max_length = min(theirs.model_max_length, part.config.max_positions)
    theirs.save_pretrained(folder)


def model_card(card: RunCard, *, exported: Exported, part: _Part, scores: Sequence[Result]) -> str:
    """README.md, in Markdown with the front matter of the Hugging Face hub."""
    sections = {
        "Use": _use(exported, part),
        "Scores": _score_table(scores),
        "Data": _data(card),
        "Training": _training(card),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    languages = sorted({row.language for row in scores})
    return f"{_front_matter(languages)}\n# {exported.folder.name}\n\n{_summary(card, exported)}\n\n{body}\n"


def _front_matter(languages: Sequence[str]) -> str:
    listed = "".join(f"\n- {language}" for language in languages)
    return (
        "---\nlibrary_name: transformers\n"
        "license:  # yours to state; mind the licences of the pretrained weights and of the data\n"
        "tags:\n- xtreme_stilts\n- cross-lingual-transfer\n" + (f"language:{listed}\n" if listed else "") + "---\n"
    )


def _summary(card: RunCard, exported: Exported) -> str:
    start = "a random start" if not card.weights else f"pretrained weights (sha256 {card.weights[:16]})"
    return (
        f"`{exported.architecture}`, trained by xtreme_stilts on `{card.path}` from {start}, seed {card.seed}. "
        f"Study `{card.study}`, phase `{card.fingerprint[:12]}`."
    )


def _use(exported: Exported, part: _Part) -> str:
    auto = "AutoModel" + exported.architecture.partition("For")[1] + exported.architecture.partition("For")[2]
    code = (
        f"```python\nfrom transformers import {auto}, AutoTokenizer\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{exported.folder.name}")\n'
        f'model = {auto}.from_pretrained("{exported.folder.name}")\n```'
    )
    return "\n\n".join([code, *_notes(part)])


def _notes(part: _Part) -> Iterator[str]:
    """What a user must know of the head, and might not expect."""
    if part.labels:
        yield f"Labels, in the order of the logits: {', '.join(f'`{label}`' for label in part.labels)}."
    if part.takes_pooler:
        yield (
            "The pooler here is the first layer of the trained head; the encoder's own, which the head does not read, "
            "is not in this folder."
        )
    elif not part.apart:
        yield "The pooler is the encoder's, as it was handed over; this head does not read it."
    if part.apart:
        x = "the model's `pooler_output`" if part.head.pooling == "jiant" else "the first token's last hidden state"
        yield (
            f"The head is not part of the model: {part.apart}. It is in `{HEAD}`: the scores are "
            f"`out(tanh(dense(x)))`, x {x}, with `dense.weight` [width, width] and `out.weight` [outputs, width] as in "
            "`torch.nn.Linear`" + (", one score for each choice." if part.head.kind == "choice" else ".")
        )
    yield (
        "In training, a special token spelled in a text (`</s>`, `[SEP]`) is ordinary text; the tokenizer here takes "
        "it for the token itself."
    )


def _score_table(scores: Sequence[Result]) -> str:
    """One line a target and metric: the mean over languages, and each language."""
    if not scores:
        return "This phase was not scored itself."
    lines = ["| target | metric | split | mean | by language |", "|---|---|---|---|---|"]
    groups: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in scores:
        groups.setdefault((row.target, row.metric, row.split), {})[row.language] = row.value
    for names, values in groups.items():
        each = ", ".join(f"{language} {value:.1f}" for language, value in values.items())
        lines.append(f"| {' | '.join(names)} | {sum(values.values()) / len(values):.1f} | {each} |")
    return "\n".join(["Percent, zero-shot but for the language trained on.", "", *lines])


def _data(card: RunCard) -> str:
    lines = ["| task | split | used for | rows | tokens | version | sha256 |", "|---|---|---|---|---|---|---|"]
    for each in card.data:
        cells = (each.task, each.split, each.use, f"{each.rows:,}", f"{each.tokens:,}", each.version, each.sha256[:16])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _training(card: RunCard) -> str:
    recipe = "\n".join(f"{name}: {value}" for name, value in card.recipe.items())
    ended = {"best step": card.fit.get("best_step"), "steps": card.fit.get("steps"), "tokens": f"{card.tokens:,}"}
    facts = [f"{name} {value}" for name, value in ended.items() if value is not None]
    facts.append(f"{card.chip_hours:.3g} chip-hours, energy not measured")
    sessions = [
        f"- {each.started} to {each.ended}: steps {each.from_step} to {each.to_step}, "
        f"{each.devices} {each.device_kind}, {_software(each)}"
        for each in card.sessions
    ]
    return "\n\n".join([f"{'; '.join(facts)}.", "\n".join(sessions), f"```\n{recipe}\n```"])


def _software(session: Session) -> str:
    """The versions of what ran."""
    revision = f"revision {session.revision[:12] or 'unknown'}{' with changes' if session.modified else ''}"
    return ", ".join([revision, *(f"{name} {version}" for name, version in session.packages.items())])


# --------------------------------------------------------------------------------------------------
# The command


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 on bad input."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return flags.answered(_run, argv)


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    done = export(arguments.phase_dir, arguments.out, head=arguments.head, tokenizer=arguments.tokenizer)
    print(f"{done.folder}: {done.architecture}" + (f", and head {done.head!r} in {HEAD}" if done.apart else ""))
    if done.apart:
        print(f"note: {done.apart}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = flags.Parser(
        prog="python -m xtreme_stilts.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("phase_dir", metavar="PHASE_DIR", help="<study directory>/phases/<phase>, local or gs://")
    parser.add_argument("out", metavar="OUT", type=pathlib.Path, help="folder to make")
    parser.add_argument("--head", default="", help="of a phase with several; the error names them")
    parser.add_argument("--tokenizer", default="", help="name or folder, if it is no longer where it was")
    return parser


if __name__ == "__main__":
    sys.exit(main())
