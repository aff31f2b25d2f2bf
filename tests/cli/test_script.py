"""``descentlab diagnose loop.py``: the script computes what it computes alone, and the report names what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from descentlab.cli.script import run_script
from tests.cli.helpers import cli
from tests.extras import needs

HEADER = "import torch\ntorch.manual_seed(0)\nx = torch.linspace(-1, 1, 50)[:, None]\ny = 2 * x + x**2\n"
LINE = HEADER + "model = torch.nn.Linear(1, 1)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
STEP = "    optimizer.zero_grad(); ((model(x) - y) ** 2).mean().backward(); optimizer.step()\n"


def write(folder: Path, content: str) -> str:
    path = folder / "loop.py"
    path.write_text(content, "utf-8")
    return str(path)


def found(result: dict[str, Any]) -> list[tuple[str, int, tuple[str, ...]]]:
    """Each loop's optimizer, its updates, and what is wrong."""
    return [(each["optimizer"], each["steps"], tuple(each["names"])) for each in result["loops"]]


def test_a_program_is_not_read_as_data() -> None:
    for command in ("run", "solve", "lab", "compress"):
        result = cli(command, "loop.py", *(["-o", "x.factor"] if command == "compress" else []))
        assert result.code == 2
        assert "`descentlab diagnose loop.py`" in result.err


def test_options_of_data_are_refused_for_a_script_and_of_a_script_for_data(tmp_path: Path) -> None:
    refused = cli("diagnose", write(tmp_path, LINE), "--lr", "0.1", "--target", "y")
    assert (refused.code, "--target, --lr cannot be used" in refused.err) == (2, True)
    refused = cli("diagnose", "lesson", "--lr", "0.1", "--steps", "5")
    assert (refused.code, "--steps belongs to a script" in refused.err) == (2, True)
    refused = cli("diagnose", write(tmp_path, LINE), "--steps", "0")
    assert (refused.code, "steps = 0" in refused.err) == (2, True)


def test_a_script_without_torch_is_not_run(tmp_path: Path) -> None:
    result = cli("diagnose", write(tmp_path, "open('ran', 'w')"))
    assert result.code == 2
    assert result.out == ""


NOISY = """
import random, sys, torch
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(3); random.seed(3)
x = torch.randn(64, 3); y = x.sum(1, keepdim=True)
def main():
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.2), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(3):
        for a, b in DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(a), b).backward()
            optimizer.step()
    print([value.hex() for each in model.parameters() for value in each.flatten().tolist()], random.random())
    print(sys.argv, sys.path[0], __file__, file=sys.stderr)
    sys.modules["__main__"].main
    torch.jit.script(model)
if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_the_script_computes_and_prints_the_same_to_the_last_bit(tmp_path: Path) -> None:
    path = write(tmp_path, NOISY)
    words = ["loop.py", "--rate", "3"]
    alone = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True)
    command = [sys.executable, "-m", "descentlab", "diagnose", "--lang", "en", words[0], "--", *words[1:]]
    watched = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    first, rest = watched.stdout.split("\n", 1)
    assert first.startswith("Running loop.py as it is")
    assert rest.startswith(alone.stdout)
    assert watched.stderr == alone.stderr
    assert str(tmp_path) in path
    assert "Sequential with Adam: 12 updates." in rest


@pytest.mark.slow
def test_two_mistakes_and_a_search_over_rates_are_reported_by_line(tmp_path: Path) -> None:
    search = """
def train(lr):
    torch.manual_seed(0)
    line = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(line.parameters(), lr=lr)
    for _ in range(60):
        optimizer.zero_grad(); ((line(x) - y) ** 2).mean().backward(); optimizer.step()
for lr in (0.1, 0.2, 9.0):
    train(lr)
encoder, decoder = torch.nn.Linear(1, 4), torch.nn.Linear(4, 1)
adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
for _ in range(30):
    ((decoder(encoder(x)) - y) ** 2).mean().backward(); adam.step()
"""
    result = run_script(write(tmp_path, HEADER + search), [], None, False)
    assert [(each["place"], each["count"], tuple(each["names"])) for each in result["loops"]] == [
        ("loop.py:9", 2, ()),
        ("loop.py:9", 1, ("above_limit", "not_finite")),
        ("loop.py:15", 1, ("no_zero_grad",)),
    ]
    assert result["loops"][-1]["model"] == "encoder, decoder"
    assert (result["exit_code"], result["error"], result["internal_error"]) == (0, None, None)


UNCALLED = """
W = torch.zeros(1, requires_grad=True)  # a tensor that no module holds
first = torch.optim.SGD([W], lr=9.0)
for _ in range(20):
    first.zero_grad(); ((x * W - y) ** 2).mean().backward(); first.step()

model = torch.nn.Linear(1, 1)
second = torch.optim.Adagrad(model.parameters(), lr=0.1)
scripted = torch.jit.script(model)  # which takes no hooks
for _ in range(30):
    ((scripted(x) - y) ** 2).mean().backward(); second.step()

model, other = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
third = torch.optim.RMSprop(other.parameters(), lr=0.1)  # trains another model
for _ in range(40):
    ((model.forward(x) - y) ** 2).mean().backward(); third.step()
import sys
sys.exit(3)
"""


@pytest.mark.slow
def test_loops_without_a_called_model_are_watched(tmp_path: Path) -> None:
    result = run_script(write(tmp_path, HEADER + UNCALLED), [], None, False)
    assert found(result) == [
        ("SGD", 20, ("above_limit",)),
        ("Adagrad", 30, ("no_zero_grad",)),
        ("RMSprop", 40, ("frozen",)),
    ]
    assert (result["exit_code"], result["error"], result["internal_error"]) == (3, None, None)


@pytest.mark.slow
def test_an_exception_keeps_its_traceback_and_names_the_module(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    finished = f"for _ in range(5):\n{STEP}other = torch.nn.Linear(1, 1)\nadam = torch.optim.Adam(other.parameters())\n"
    path = write(tmp_path, LINE + finished + "def train():\n    other(torch.zeros(5, 4))\ntrain()\n")
    result = cli("diagnose", path, "--lang", "en")
    trace = capfd.readouterr().err
    assert result.code == 1
    assert result.out.count("`raised`: ") == 1
    assert "Linear with SGD: 5 updates." in result.out
    assert "An exception ended the loop (`raised`)" in result.out
    assert "a Linear(in_features=1, out_features=1, bias=True), given (5, 4)" in " ".join(result.out.split())
    assert trace.startswith(f'Traceback (most recent call last):\n  File "{path}", line 13, in <module>\n    train()\n')
    assert trace.endswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied (5x4 and 1x1)\n")
    assert "watching" not in trace


@pytest.mark.slow
def test_a_loop_without_an_optimizer_gives_its_losses(tmp_path: Path) -> None:
    loop = "W = torch.zeros(1, requires_grad=True)\nfor _ in range(9):\n    ((x * W - y) ** 2).mean().backward()\n"
    result = cli("diagnose", write(tmp_path, HEADER + loop + "    W.data -= 0.1 * W.grad; W.grad = None\n"))
    assert result.code == 0
    command = result.out.split("`descentlab ")[1].split("`")[0].replace("RATE", "0.1").split()
    assert len(command[2].split(",")) == 8
    assert cli(*command).code == 0


@pytest.mark.slow
def test_steps_stop_an_endless_script_which_cleans_up(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, LINE + "try:\n  while True:\n" + STEP + "finally:\n  print('clean')\n")
    result = cli("diagnose", path, "--steps", "25", "--json")
    assert result.code == 0
    assert capfd.readouterr().err.endswith("clean\n")  # standard output has the object only
    content = json.loads(result.out)
    assert content["stopped"]
    assert found(content) == [("SGD", 25, ())]


@pytest.mark.slow
def test_ctrl_c_ends_the_script_and_the_report_follows(tmp_path: Path) -> None:
    path = write(tmp_path, LINE + "for i in range(10**9):\n" + STEP + "    if i == 9: open('begun', 'w')\n")
    command = [sys.executable, "-m", "descentlab", "diagnose", path, "--lang", "en"]
    process = subprocess.Popen(
        command, cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    printed = process.communicate()[0]
    assert process.returncode == 130
    assert "Linear with SGD: " in printed
    assert printed.endswith("note: Interrupted. The report covers the updates until then.\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("import torch, os\nos._exit(4)", "by os._exit (exit code 4)"),
        ("import torch\nopen('missing')", "before it created an optimizer, with FileNotFoundError"),
    ],
)
def test_a_script_that_ends_before_it_trains(content: str, words: str, tmp_path: Path) -> None:
    result = cli("diagnose", write(tmp_path, content), "--lang", "en")
    assert result.code == 1
    assert words in result.out


@needs("torch")
def test_nothing_is_said_of_an_optimizer_that_was_replaced_before_it_was_used(tmp_path: Path) -> None:
    again = "print(model(x).shape)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)\n"
    result = cli("diagnose", write(tmp_path, LINE + again + "for _ in range(60):\n" + STEP), "--json")
    assert found(json.loads(result.out)) == [("SGD", 60, ())]
