"""Several stages at a time: the graph is DVC's own, the order respects it, and failures, signals and waits end well."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from support import tiny
from support.imports import ROOT

from ldmiss.errors import InputError
from ldmiss_pipeline.running.graph import Graph
from ldmiss_pipeline.running.locks import STARTED_BY
from ldmiss_pipeline.running.pipeline import Pipeline
from ldmiss_pipeline.running.repro import changed, default_jobs, main
from ldmiss_pipeline.running.reproduction import DVC, Ended, Reproduction

PYTHON = sys.executable
MEET = """import pathlib, sys, time
me, other = sys.argv[1:]
pathlib.Path(me).write_text('here')
for _ in range(600):
    if pathlib.Path(other).exists(): break
    time.sleep(0.05)
else: sys.exit('alone')
"""
"""Ends only where the other one is started before it ends."""


def stage(command: str, outs: list[str], deps: list[str] | None = None) -> dict[str, Any]:
    """A toy stage: it says that it runs, as our runner does."""
    command = f'mkdir -p runs/locks; printf %s "${STARTED_BY}" > runs/locks/$DVC_STAGE.start; {command}'
    return {"cmd": command, "outs": outs, "deps": [*(deps or []), "code"]}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DVC project, the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("PATH", f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}")
    Path("code").write_text("1")
    Path("meet.py").write_text(MEET)
    subprocess.run([*DVC, "init", "--no-scm", "--quiet"], check=True)
    return tmp_path


def graph_of(stages: dict[str, dict[str, Any]]) -> Graph:
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    return Graph(Pipeline({"grid": {"missing_rates": [0.5], "seeds": [42]}}))


def run(graph: Graph, labels: list[str], jobs: int = 2) -> tuple[list[str], list[Ended]]:
    ended: list[Ended] = []
    return Reproduction(graph, jobs, ended.append).run(labels), ended


def test_the_graph_is_that_of_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this project, with two rates and two seeds."""
    document = tiny.document(grid={"missing_rates": [0.1, 0.5], "seeds": [42, 43]})
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.chdir(tmp_path)
    subprocess.run([PYTHON, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    with Repo(".") as repo:
        edges = repo.index.graph
        theirs = {node.addressing: {other.addressing for other in edges.successors(node)} for node in edges}
    ours = Graph(Pipeline(document)).before
    assert len(theirs) == 5 + 4 * 26
    assert ours == theirs


def test_upstream_downstream_and_chains() -> None:
    graph = Graph(Pipeline(tiny.document()))
    chain = ["download", "mask_test", "mask", "train_vae", "encode_latents", "train_ldm"]
    assert {label.split("@")[0] for label in graph.upstream(["train_ldm@0.5-42"])} == set(chain)
    assert graph.downstream(["evaluate@0.5-42"]) == {"evaluate@0.5-42", "plot"}
    lengths = graph.chains()
    assert [lengths[label] for label in ("plot", "evaluate@0.5-42", "train_ldm@0.5-42", "download")] == [1, 2, 5, 10]
    with pytest.raises(InputError, match=r"train_ldm@0.7-42: no stage of this pipeline; allowed: check, "):
        graph.upstream(["train_ldm@0.7-42"])


@pytest.mark.parametrize(("num_threads", "jobs"), [("auto", 1), (1, 4), (2, 2), (3, 1), (8, 1)])
def test_jobs_fill_the_cores(num_threads: Any, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ldmiss_pipeline.running.repro.num_cores", lambda: 4)
    assert default_jobs(num_threads) == jobs


def test_stages_run_side_by_side_and_in_order(toy: Path) -> None:
    """Two that wait for each other; one that needs both; then nothing is left to do."""
    graph = graph_of({
        "last": stage("cat left right > last", ["last"], ["left", "right"]),
        "left": stage(f"{PYTHON} meet.py left right", ["left"]),
        "right": stage(f"{PYTHON} meet.py right left", ["right"]),
    })  # fmt: skip
    assert sorted(changed()) == ["last", "left", "right"]
    missing, ended = run(graph, list(graph.before))
    assert missing == []
    assert [one.label for one in ended][-1] == "last"
    assert all(one.executed for one in ended)
    assert (toy / "last").read_text() == "herehere"
    assert changed() == []
    _, again = run(graph, ["last"])
    assert [(one.label, one.executed) for one in again] == [("last", False)]


def test_what_was_computed_before_is_taken_from_the_run_cache(toy: Path) -> None:
    graph = graph_of({"one": stage("cat code > one", ["one"])})
    for content in ("1", "2", "1"):
        Path("code").write_text(content)
        missing, ended = run(graph, ["one"])
        assert missing == []
    assert [one.executed for one in ended] == [False]
    assert ended[0].lines() == ["one: cached"]


def test_a_failure_stops_only_what_needs_it(toy: Path) -> None:
    graph = graph_of({
        "bad": stage("echo error: no good; exit 3", ["bad"]),
        "after": stage("touch after", ["after"], ["bad"]),
        "good": stage("touch good", ["good"]),
        "then": stage("touch then", ["then"], ["good"]),
    })  # fmt: skip
    missing, ended = run(graph, list(graph.before), jobs=1)
    assert missing == ["bad", "after"]
    assert {one.label: bool(one.status) for one in ended} == {"bad": True, "good": False, "then": False}
    bad = next(one for one in ended if one.label == "bad")
    assert "error: no good" in bad.lines()
    assert str(bad.log) in bad.lines()[-1]


def test_a_stage_that_another_process_has_is_waited_for(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a kill of the process that started it; why is said once."""
    monkeypatch.setattr("ldmiss_pipeline.running.reproduction.RETRY_SECONDS", 0.2)
    graph = graph_of({"slow": stage("touch started; while [ ! -e go ]; do sleep 0.1; done; touch slow", ["slow"])})
    other = subprocess.Popen([*DVC, "repro", "slow"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(Path("started").exists)
    release = subprocess.Popen(["sh", "-c", "sleep 4; touch go"])
    missing, ended = run(graph, ["slow"])
    assert (missing, other.wait(), release.wait()) == ([], 0, 0)
    assert [one.executed for one in ended] == [False]
    assert capsys.readouterr().err == f"slow: waits; another DVC is at work there (PID {other.pid})\n"


REFUSED_ONCE = """import pathlib, subprocess, sys
if not pathlib.Path('refused').exists():
    pathlib.Path('refused').touch()
    pathlib.Path('runs/locks').mkdir(parents=True)
    pathlib.Path('runs/locks/one.start').write_text('the other')
    sys.exit('failed to reproduce: one is busy')
sys.exit(subprocess.run(['dvc', *sys.argv[1:]]).returncode)
"""
"""While this DVC starts, another process starts the stage, and ends before anybody looks."""


def test_a_start_by_another_process_is_not_taken_for_ours(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the stage would be given up, as if it had failed: two `repro` at once do that."""
    monkeypatch.setattr("ldmiss_pipeline.running.reproduction.RETRY_SECONDS", 0.1)
    graph = graph_of({"one": stage("touch one", ["one"])})
    Path("refused.py").write_text(REFUSED_ONCE)
    monkeypatch.setattr("ldmiss_pipeline.running.reproduction.DVC", (PYTHON, "refused.py"))
    missing, ended = run(graph, ["one"])
    assert (missing, [one.executed for one in ended]) == ([], [True])


@pytest.mark.slow
def test_two_at_once_both_end_well(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage runs once, whoever gets to it first; the other waits for it."""
    monkeypatch.setattr("ldmiss_pipeline.running.reproduction.RETRY_SECONDS", 0.2)
    names = [f"stage{number}" for number in range(4)]
    graph_of({
        name: stage(f"echo run >> {name}.runs; sleep 1; touch {name}", [name], names[place - 1 : place])
        for place, name in enumerate(names)
    })  # fmt: skip
    code = "import sys; from ldmiss_pipeline.running.repro import main; sys.exit(main(['--jobs', '2']))"
    (toy / "params.yaml").write_text(yaml.safe_dump(tiny.document(grid={"missing_rates": [0.5], "seeds": [42]})))
    others = [subprocess.Popen([PYTHON, "-c", code]) for _ in range(2)]
    assert [other.wait() for other in others] == [0, 0]
    assert [Path(f"{name}.runs").read_text() for name in names] == ["run\n"] * len(names)


def test_a_stale_number_of_a_process_is_an_error(toy: Path) -> None:
    """It is that of this process, which is no DVC: waiting for it would not end."""
    graph = graph_of({"one": stage("touch one", ["one"])})
    use = {str(toy / "one"): {"pid": os.getpid(), "cmd": "dvc repro"}}
    Path(".dvc/tmp/rwlock").write_text(json.dumps({"write": use}))
    with pytest.raises(InputError, match="you can manually remove"):
        changed()
    missing, ended = run(graph, ["one"])
    assert missing == ["one"]
    assert any("you can manually remove" in line for line in ended[0].lines())


DVC_THAT_RECORDS = """import pathlib, signal, sys, time
name = sys.argv[-1]
signal.signal(signal.SIGINT, lambda *_: sys.exit('asked to leave'))
pathlib.Path(name + '.recording').write_text('x')
time.sleep(2)
pathlib.Path(name + '.recorded').write_text('x')
"""
"""Has no stage below it: that has ended, and dvc.lock is being written."""


def test_dvc_is_not_interrupted_while_it_records(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of({"one": stage("touch one", ["one"]), "two": stage("touch two", ["two"], ["one"])})
    Path("records.py").write_text(DVC_THAT_RECORDS)
    monkeypatch.setattr("ldmiss_pipeline.running.reproduction.DVC", (PYTHON, "records.py"))
    ended: list[Ended] = []
    reproduction = Reproduction(graph, 2, ended.append)
    after = subprocess.Popen(
        ["sh", "-c", f"while [ ! -e one.recording ]; do sleep 0.05; done; kill -INT {os.getpid()}"]
    )
    assert reproduction.run(["one", "two"]) == ["two"]
    assert after.wait() == 0
    assert Path("one.recorded").exists()
    assert [(one.label, one.status) for one in ended] == [("one", 0)]
    assert not Path("two.recording").exists()


def test_no_stage_goes_on_unseen(toy: Path) -> None:
    """Where what is told of a stage fails, as printing to a closed pipe does, the others are asked to leave."""
    graph = graph_of({
        "long": stage("touch long.started; sleep 120; touch long", ["long"]),
        "short": stage("while [ ! -e long.started ]; do sleep 0.1; done; touch short", ["short"]),
    })  # fmt: skip

    def fail(ended: Ended) -> None:
        raise BrokenPipeError(ended.label)

    reproduction = Reproduction(graph, 2, fail)
    with pytest.raises(BrokenPipeError, match="short"):
        reproduction.run(["long", "short"])
    assert reproduction.running == []
    assert not (toy / "long").exists()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_stages_and_waits_for_them(toy: Path, signum: signal.Signals) -> None:
    """Both stages save what they have, the third never starts, and no process is left."""
    Path("save.py").write_text("""import pathlib, signal, sys, time
name = sys.argv[1]
def save(*_):
    time.sleep(0.5); pathlib.Path(name + '.saved').write_text('x'); sys.exit(130)
signal.signal(signal.SIGINT, save)
pathlib.Path(name + '.started').write_text('x')
time.sleep(60)
""")
    stages = {name: stage(f"{PYTHON} save.py {name}", [name]) for name in ("a", "b")}
    graph_of({**stages, "c": stage("touch c", ["c"], ["a"])})
    code = """import sys
from ldmiss_pipeline.running.graph import Graph; from ldmiss_pipeline.running.pipeline import Pipeline
from ldmiss_pipeline.running.reproduction import Reproduction
graph = Graph(Pipeline({"grid": {"missing_rates": [0.5], "seeds": [42]}}))
reproduction = Reproduction(graph, 2, lambda ended: None)
print(reproduction.run(graph.before), reproduction.signum)"""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    process = subprocess.Popen([PYTHON, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    until(lambda: Path("a.started").exists() and Path("b.started").exists())
    process.send_signal(signum)
    out, _ = process.communicate(timeout=30)
    assert out == f"['a', 'b', 'c'] {int(signum)}\n"
    assert Path("a.saved").exists()
    assert Path("b.saved").exists()
    assert not Path("c").exists()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "--jobs: 0 is not at least 1"),
        (["--jobs", "2", "train_ldm"], "train_ldm: no stage of this pipeline; allowed: check, "),
    ],
)
def test_bad_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
