"""Reading losses as terminals print them: every text says the same losses, or is refused with its line."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.doctor.losses.diagnose import diagnose_losses
from descentlab.doctor.losses.log_text import LossLog
from descentlab.doctor.losses.reading import open_losses, read_losses
from descentlab.errors import SettingError
from tests.extras import optional

BAR = "[==============================]"
KERAS = "\n".join(
    f"Epoch {k}/3\n 1/32 [>.............................] - ETA: 0s - loss: 9.9\r"
    f"32/32 {BAR} - 0s 2ms/step - loss: {loss} - mae: 1.2 - val_loss: 5.0"
    for k, loss in ((1, "4.20"), (2, "4.10"), (3, "4.00"))
)
PROGRESS = "\r".join(
    f" {33 * k}%|##   | {k}/3 [00:0{k}<00:09, 10.1it/s, loss={loss}]"
    for k, loss in ((1, "4.3"), (1, "4.2"), (2, "4.1"), (3, "4.0"))
)
BOTH = "epoch={}, train_loss={}, val_loss=5"

# Each says 4.2, 4.1, 4.0 at the epochs beside it.
LOGS: list[tuple[str, list[int] | None]] = [
    ("4.2, 4.1, 4.0", None),
    ("4.2 4.1\n4.0", None),
    ("4.2;4.1;4.0", None),
    ("[4.2, 4.1, 4.0]", None),
    ("['4.2', '4.1', '4.0']", None),
    ("array([4.2, 4.1,\n       4. ], dtype=float32)", None),
    ("[np.float64(4.2), np.float64(4.1), np.float64(4.0)]", None),
    ("tensor([4.2, 4.1, 4.0], device='cuda:0', grad_fn=<StackBackward0>)", None),
    ("\n".join(f"tensor({each}, grad_fn=<MseLossBackward0>)" for each in ("4.2000", "4.1000", "4.0000")), None),
    ("\n".join(f"<tf.Tensor: shape=(), dtype=float32, numpy={each}>" for each in (4.2, 4.1, 4.0)), None),
    ("0  4.2\n1  4.1\n2  4.0", [0, 1, 2]),
    ("10,4.2\n20,4.1\n30,4.0", [10, 20, 30]),
    ("0 tensor(4.2)\n1 tensor(4.1)\n2 tensor(4.0)", [0, 1, 2]),
    ("Epoch 1/3 loss: 4.2\r\nEpoch 2/3 loss: 4.1\r\nEpoch 3/3 loss: 4.0\r\n", [1, 2, 3]),
    ("Epoch [1/3], Loss: 4.2\nEpoch [2/3], Loss: 4.1\nEpoch [3/3], Loss: 4.0", [1, 2, 3]),
    ("\n".join(BOTH.format(10 * k, each) for k, each in enumerate((4.2, 4.1, 4.0))), [0, 10, 20]),
    ("Epoch 1: 4.2\nEpoch 2: 4.1\nEpoch 3: 4.0\nDone in 3.2 seconds", [1, 2, 3]),
    ("epoch1 4.2\nepoch2 4.1\nepoch3 4.0", [1, 2, 3]),
    ("Cost after iteration 0: 4.2\nCost after iteration 100: 4.1\nCost after iteration 200: 4.0", [0, 100, 200]),
    ("Iteration 1, loss = 4.2e+00\nIteration 2, loss = 4.1E0\nIteration 3, loss = 0.4e+01", [1, 2, 3]),
    ("epoch 1 lr 1e-05 loss 4.2 (best 4.2)\nepoch 2 lr 1e-05 loss 4.1 (best 4)\nepoch 3 lr 1 loss 4", [1, 2, 3]),
    (KERAS, [1, 2, 3]),
    (KERAS.replace(BAR, "━" * 20).replace("\r", "\b" * 60), [1, 2, 3]),
    (PROGRESS, [1, 2, 3]),
    (
        "\n".join(
            f"Epoch {k}: 100%|███| 4/4 [00:00<00:00, 120.54it/s, v_num=0, train_loss={each}]"
            for k, each in enumerate(("4.20", "4.10", "4.00"))
        ),
        [0, 1, 2],
    ),
    ("\x1b[32mEpoch 1\x1b[0m loss \x1b[1;31m4.2\x1b[0m\nEpoch 2 loss 4.1\nEpoch 3 loss \x1b[K4.0", [1, 2, 3]),
    ("에포크 1: 손실 4.2\n에포크 2: 손실 4.1\n에포크 3: 손실 4.0", [1, 2, 3]),
    ("\n".join(f"{k}번째 에포크 학습 손실은 {each}, 검증 손실 5" for k, each in enumerate((4.2, 4.1, 4.0))), [0, 1, 2]),
    ("비용: 4.2\n비용: 4.1\n비용: 4.0", None),
    ("{'loss': 4.2, 'lr': 5e-05, 'epoch': 1.0}{'loss': 4.1, 'epoch': 2.0}{'loss': 4.0, 'epoch': 3.0}", [1, 2, 3]),
    ("{'loss': [4.2, 4.1, 4.0], 'val_loss': [5, 5, 5]}", None),
    ("epoch,train_loss,val_loss\n0,4.2,5\n1,4.1,5\n2,4.0,5", [0, 1, 2]),
    ("epoch     train_loss  valid_loss  time\n0         4.2         5.0   00:03\n1         4.1         5.0   00:03\n"
     "2         4.0         5.0   00:03", [0, 1, 2]),
    ("   epoch  loss\n0      1   4.2\n1      2   4.1\n2      3   4.0", [1, 2, 3]),
    ("| epoch | loss |\n|---|---|\n| 0 | 4.2 |\n| 1 | 4.1 |\n| 2 | 4.0 |", [0, 1, 2]),
    ("-- Epoch 1\nNorm: 1.2, NNZs: 3, T: 100, Avg. loss: 4.2\nTotal training time: 0.00 seconds.\n-- Epoch 2\n"
     "Norm: 1.2, Avg. loss: 4.1\n-- Epoch 3\nNorm: 1.3, Avg. loss: 4.0", [1, 2, 3]),
    ("2026-01-02 12:30:11,123 INFO epoch 3 loss 4.2\n2026-01-02 12:30:12,123 INFO epoch 4 loss 4.1\n"
     "2026-01-02 12:30:13,123 INFO epoch 5 loss 4.0", [3, 4, 5]),
    ("train: 4.2 val: 5\ntrain: 4.1 val: 5\ntrain: 4.0 val: 5", None),
    ("J = 4.2\nJ = 4.1\nJ = 4.0", None),
    ("Using loss: mse, lr 0.01\n4.2 mse\nloss 4.2\nloss 4.1\nloss 4.0", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "epochs"), LOGS)
def test_the_losses_and_their_epochs(text: str, epochs: list[int] | None) -> None:
    reading = read_losses(text)
    np.testing.assert_array_equal(reading.losses.values, [4.2, 4.1, 4.0])
    assert (None if reading.epochs is None else reading.epochs.tolist()) == epochs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Epoch 1: 4.2 0.9\nEpoch 2: 4.1 0.8", ["4.2, 0.9", "`Epoch 1: 4.2 0.9`"]),
        ("loss 4.2 (5.1)\nloss 4.1 (5.0)", ["4.2, 5.1", "`loss 4.2 (5.1)`"]),
        ("loss: 1,234\nloss: 1,200", ["1,234", "1.234 or 1234"]),
        ("d_loss: 1 g_loss: 2", ["`d loss`, `g loss`"]),
        ("1 4.2 5\n2 4.1 5", ["3 numbers each", "`1 4.2 5`"]),
        ("1.0 4.2\n2.0 4.1", ["2 numbers each"]),
        ("epoch 5 loss 3\nepoch 4 loss 2", ["from 5 to 4", "`epoch 4 loss 2`"]),
        ("epoch 1 batch 1 loss 3\nepoch 1 batch 2 loss 2\nepoch 2 batch 1 loss 2", ["Epoch 1 has 2 losses"]),
        ("epoch 1 loss 3\nepoch 2 loss -2", ["Entry 2 of the losses is -2"]),
        ("no loss to see", ["`no loss to see`"]),
        ("hello", ["Entry 1 of the losses, 'hello'"]),
    ],
)
def test_what_is_not_clear_is_refused_with_its_line(text: str, words: list[str]) -> None:
    with pytest.raises(SettingError) as error:
        read_losses(text)
    for each in words:
        assert each in error.value.message.text("en")
    assert error.value.message.text("ko") != error.value.message.text("en")


def test_held_out_losses_are_taken_only_where_there_are_no_others() -> None:
    assert read_losses("val_loss 5\nval_loss 4").losses.values.tolist() == [5, 4]
    assert read_losses("val_loss 5\nloss 3\nval_loss 4\nloss 2").losses.values.tolist() == [3, 2]


def test_digits_end_where_they_were_printed() -> None:
    np.testing.assert_allclose(read_losses("loss 4.20\nloss 4.100").losses.half_ulps, [0.005, 0.0005])
    np.testing.assert_allclose(read_losses("[4.25, 4.1, 4.0]").losses.half_ulps, [0.005] * 3)  # zeros were lost


def test_any_text_is_read_or_refused() -> None:
    """Fragments of logs in any order: no other error, and no loss that is not there."""
    rng, read = np.random.default_rng(0), 0
    words = ["loss", "Epoch ", "epoch=", "val_", "train ", "tensor(", "에포크 ", "손실 ", "\x1b[31m", "12:30:00"]
    numbers = ["1", "2.5", "nan", "1e-5", "1,234", "1e999"]
    parts = [*words, *numbers, *"/[()}:=, \n\r\b\0-'|\t"]
    for _ in range(1500):
        text = "".join(rng.choice(parts, size=int(rng.integers(0, 25))))
        with contextlib.suppress(SettingError):
            assert len(read_losses(text).losses.values) <= len(re.findall(r"\d|nan", text))
            read += 1
    assert read > 300


class TestForms:
    def test_every_container(self, tmp_path: Path) -> None:
        (tmp_path / "log.txt").write_text("epoch 1 loss 36.4\nepoch 2 loss 43.9\nepoch 3 loss 53.0")
        expected = diagnose_losses("36.4, 43.9, 53.0", 0.01)
        given: list[Any] = [
            (each for each in ("36.4", "43.9", "53.0")),
            ["loss: 36.4", "loss: 43.9", "loss: 53.0"],
            ("epoch 1 loss 36.4", "epoch 2 loss 43.9", "epoch 3 loss 53.0"),
            tmp_path / "log.txt",
            LossLog("36.4 43.9 53.0"),
        ]
        for each in given:
            assert dl.diagnose(losses=each, lr=0.01).to_dict()["lr_bound"] == expected.lr_bound

    def test_tensors_of_a_loop(self) -> None:
        torch = optional("torch")
        losses = [torch.tensor(each, requires_grad=True) for each in (36.4, 43.9, 53.0)]
        for given in (losses, str(losses), torch.stack(losses), str(torch.stack(losses))):
            assert read_losses(given).losses.values == pytest.approx([36.4, 43.9, 53.0])

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "log.txt"
        path.write_text("손실 4.2\n손실 4.1\n", encoding=encoding)
        assert read_losses(path).losses.values.tolist() == [4.2, 4.1]

    def test_an_argument_is_numbers_a_file_or_text(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("3").write_text("9 8 7")
        Path("log").write_text("9 8 7")
        assert open_losses("3") == "3"
        assert open_losses("log") == LossLog("9 8 7", "log")
        assert open_losses("loss: 4.2") == "loss: 4.2"
        for name in ("missing.txt", "folder/missing.log", "."):
            with pytest.raises(SettingError, match=re.escape(f"from {name}:")):
                open_losses(name)


class TestEpochs:
    @pytest.mark.parametrize(("epochs", "every", "left_out"), [
        ([0, 10, 20, 30], 10, []),
        ([0, 10, 20, 30, 39], 10, [39]),
        ([1, 10, 20, 30], 10, [1]),
        ([1, 10, 20, 30, 39], 10, [1, 39]),
    ])  # fmt: skip
    def test_they_give_the_distance(self, epochs: list[int], every: int, left_out: list[int]) -> None:
        lines = [f"epoch {epoch} loss {2 + 5 * 0.95**epoch:.6f}" for epoch in epochs]
        found = diagnose_losses(lines, 0.1)
        assert found.factor is None or found.factor == pytest.approx(np.sqrt(0.95), rel=1e-3)
        assert found.reading is not None
        assert f"every {every} epochs" in found.reading.text("en")
        assert f"{len(epochs) - len(left_out)} losses" in found.reading.text("en")
        assert ("Not used: epoch " + ", ".join(map(str, left_out)) in found.reading.text("en")) == bool(left_out)

    def test_a_statement_that_contradicts_them(self) -> None:
        text = "epoch 0 loss 4\nepoch 10 loss 3\nepoch 20 loss 2.5\nepoch 30 loss 2.2"
        assert diagnose_losses(text, 0.1, every=10).to_dict() == diagnose_losses(text, 0.1).to_dict()
        with pytest.raises(SettingError, match=r"0, 10, 20, 30, which are 10 apart, but --losses-every is 5"):
            diagnose_losses(text, 0.1, every=5)
        steps = diagnose_losses(text.replace("epoch", "step"), 0.1, every=5)  # steps need not be epochs
        assert steps.reading is not None
        assert "every 5 epochs" in steps.reading.text("en")

    def test_uneven_ones(self) -> None:
        with pytest.raises(SettingError, match="1, 2, 4, 8"):
            diagnose_losses("epoch 1 loss 9\nepoch 2 loss 8\nepoch 4 loss 7\nepoch 8 loss 6\nepoch 16 loss 5", 0.1)


class TestObserved:
    problem = dl.Problem([1.0, 2.0, 3.0, 5.0], [2.2, 3.8, 6.1, 9.7])
    costs = dl.descend(problem, lr=0.02, epochs=41).history.cost

    @pytest.mark.parametrize("epochs", [[0, 10, 20, 30], [1, 2, 3, 17, 40], [40]])
    @pytest.mark.parametrize("first", [0, 1])
    def test_epochs_of_the_text_are_used(self, epochs: list[int], first: int) -> None:
        """Uneven ones as well: each is compared at its own update."""
        text = "\n".join(f"Epoch {k + first} | train loss {self.costs[k]:.6f} | lr 0.02" for k in epochs)
        found = dl.diagnose(self.problem, lr=0.02, epochs=41, observed=text)
        finding = next(each for each in found.findings if each.topic == "observed")
        assert finding.name == "observed_agrees"
        assert finding.numbers["epoch"] == epochs[-1] + first
        assert f"{len(epochs)} loss" in finding.caveats[-1].text("en")
        assert ("every 10 epochs" in finding.caveats[-1].text("en")) == (epochs == [0, 10, 20, 30])

    def test_a_distance_that_contradicts_the_text(self) -> None:
        text = "\n".join(f"Epoch {k} loss {self.costs[k]:.6f}" for k in (0, 10, 20))
        assert dl.diagnose(self.problem, lr=0.02, epochs=41, observed=text, every=10).findings[0]
        with pytest.raises(SettingError, match="10 apart, but --losses-every is 5"):
            dl.diagnose(self.problem, lr=0.02, epochs=41, observed=text, every=5)


@pytest.mark.parametrize(
    "text",
    [
        "Loss after {0} epochs: {1}",
        "Error after {0} iterations: {1}",
        "After {0} epochs, the loss is {1}",
        "{0} epochs: {1}",
        "loss[{0}] = {1}",
        "loss ({0}): {1}",
        "train loss {0}: {1}",
        "[{0}]\ttrain-rmse:{1}",
        "[{0}]\ttraining's l2: {1}",
        "({0}, {1})",
        "{0} [0.1 0.2] {1}",
    ],
)
def test_a_number_that_counts_is_not_a_loss(text: str) -> None:
    reading = read_losses("\n".join(text.format(10 * k, value) for k, value in enumerate((9.5, 7.25, 6.125), 1)))
    assert reading.losses.values.tolist() == [9.5, 7.25, 6.125]
    assert reading.epochs is not None
    assert reading.epochs.tolist() == [10, 20, 30]
    assert "from 9.5 to 6.12" in str(reading.message())


@pytest.mark.parametrize(
    "text",
    [
        "[(0, 9.5), (1, 7.25), (2, 6.125)]",
        ">>> for epoch in range(6): print(loss)\n9.5\n7.25\n6.125",
        "loss: 9.5  [   64/60000]\nloss: 7.25  [ 6464/60000]\nloss: 6.125  [12864/60000]",
        "epoch 1 cost: 9.5\nepoch 2 cost: 7.25\nepoch 3 cost: 6.125\nDone. cost 6.0",
    ],
)
def test_what_stands_beside_losses_is_not_read(text: str) -> None:
    assert read_losses(text).losses.values.tolist() == [9.5, 7.25, 6.125]


@pytest.mark.parametrize("name", ["accuracy:", "train acc", "lr", "W", "R2:", "grad_norm", "learning rate ="])
def test_a_metric_is_not_taken_for_a_loss(name: str) -> None:
    with pytest.raises(SettingError) as error:
        read_losses(f"Epoch 1, {name} 0.2\nEpoch 2, {name} 0.3\nEpoch 3, {name} 0.35")
    assert "is not the loss" in error.value.message.text("en")


def test_the_longest_even_part_of_a_table_that_leaves_lines_out() -> None:
    text = "\n".join(f"epoch {k} cost {1 + 2.0**-k}" for k in [*range(6), *range(20, 26)])
    reading, every = read_losses(text).evenly_spaced(None)
    assert every == 1
    assert reading.epochs is not None
    assert reading.epochs.tolist() == list(range(20, 26))
    assert reading.left_out == tuple(range(6))
