"""Broken loops, each a mistake that people make, by the name that the watch has for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from tests.watching.loops import F, Loop, batches, fit, mlp, nn, plain, rows, sgd, torch

BROKEN: list[tuple[str, Callable[[], Loop]]] = []


def named(name: str) -> Callable[[Callable[[], Loop]], Callable[[], Loop]]:
    def add(make: Callable[[], Loop]) -> Callable[[], Loop]:
        BROKEN.append((name, make))
        return make

    return add


def loop_of(model: Any, optimizer: Any, loss_fn: Any, step: Callable[[], Any], epochs: int = 60) -> Loop:
    return Loop(model, optimizer, loss_fn, lambda: (step() for _ in range(epochs)))


@named("no_zero_grad")
def zero_grad_forgotten() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.01)

    def step() -> Any:
        loss = F.mse_loss(model(X), y)
        loss.backward()
        optimizer.step()
        return loss

    return loop_of(model, optimizer, None, step)


@named("no_zero_grad")
def zero_grad_of_another_optimizer() -> Loop:
    X, y = rows()
    model, other = nn.Linear(6, 1), nn.Linear(6, 1)
    optimizer, wrong = sgd(model, 0.01), sgd(other)
    loss_fn = nn.MSELoss()

    def step() -> Any:
        wrong.zero_grad()
        loss = loss_fn(model(X), y)
        loss.backward()
        optimizer.step()
        return loss

    return loop_of(model, optimizer, loss_fn, step)


@named("no_zero_grad")
def zero_grad_once_before_the_loop() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    optimizer.zero_grad()

    def body() -> Iterator[float]:
        for _ in range(4):
            for at in batches(96, 16):
                loss = F.mse_loss(model(X[at]), y[at])
                loss.backward()
                optimizer.step()
                yield loss.item()

    return Loop(model, optimizer, F.mse_loss, body)


@named("no_step")
def step_forgotten() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(X), y)
        loss.backward()
        return loss

    return loop_of(model, optimizer, F.mse_loss, step)


@named("no_step")
def scheduler_stepped_instead() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(X), y)
        loss.backward()
        scheduler.step()
        return loss

    return loop_of(model, optimizer, F.mse_loss, step)


@named("no_backward")
def backward_forgotten() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(X), y)
        optimizer.step()
        return loss.item()

    return loop_of(model, optimizer, F.mse_loss, step)


@named("cleared_too_soon")
def cleared_between_backward_and_step() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)

    def step() -> Any:
        loss = F.mse_loss(model(X), y)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        return loss

    return loop_of(model, optimizer, F.mse_loss, step)


@named("cleared_too_soon")
def cleared_to_zeros_between_backward_and_step() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)

    def step() -> Any:
        loss = F.mse_loss(model(X), y)
        loss.backward()
        model.zero_grad(set_to_none=False)
        optimizer.step()
        return loss

    return loop_of(model, optimizer, F.mse_loss, step)


@named("frozen")
def output_detached() -> Loop:
    return fit(mlp(), loss_fn=lambda pred, y: F.mse_loss(pred.detach(), y))


@named("frozen")
def output_detached_and_the_error_silenced() -> Loop:
    return fit(mlp(), loss_fn=lambda pred, y: F.mse_loss(pred.detach(), y).requires_grad_())


@named("frozen")
def everything_frozen() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return plain(model, optimizer, X, y)


class Cut(nn.Module):  # type: ignore[misc]
    """A network whose body's work is detached on its way to the head."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, 12), nn.Linear(12, 1)

    def forward(self, x: Any) -> Any:
        return self.head(torch.tanh(self.body(x)).detach())


@named("frozen")
def body_detached_from_the_head() -> Loop:
    return fit(Cut())


def silenced(loss_of: Callable[[Any, Any, Any], Any]) -> Loop:
    """A loop whose loss has no graph to the model, and in which torch's error about that has been silenced."""
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(model, X, y)
        loss.backward()
        optimizer.step()
        return loss

    return loop_of(model, optimizer, None, step)


@named("frozen")
def output_detached_and_asked_for_a_gradient() -> Loop:
    return silenced(lambda model, X, y: F.mse_loss(model(X).detach().requires_grad_(), y))


@named("frozen")
def output_by_way_of_numpy() -> Loop:
    return silenced(lambda model, X, y: F.mse_loss(torch.tensor(model(X).data.numpy(), requires_grad=True), y))


@named("frozen")
def loss_made_anew() -> Loop:
    return silenced(lambda model, X, y: torch.tensor(F.mse_loss(model(X), y).item(), requires_grad=True))


@named("frozen")
def data_of_the_output() -> Loop:
    return silenced(lambda model, X, y: F.mse_loss(model(X).data, y).requires_grad_())


@named("frozen")
def model_without_gradients() -> Loop:
    def loss_of(model: Any, X: Any, y: Any) -> Any:
        with torch.no_grad():
            output = model(X)
        return F.mse_loss(output.requires_grad_(), y)

    return silenced(loss_of)


@named("frozen")
def inputs_that_ask_for_a_gradient_in_place_of_the_model() -> Loop:
    def loss_of(model: Any, X: Any, y: Any) -> Any:
        inputs = X.clone().requires_grad_()
        return F.mse_loss(model(X).detach(), y) + 0.0 * inputs.sum()

    return silenced(loss_of)


@named("frozen")
def classes_by_their_index() -> Loop:
    return silenced(lambda model, X, y: F.l1_loss(model(X).argmax(1, keepdim=True).float().requires_grad_(), y))


@named("not_in_optimizer")
def only_the_head_in_the_optimizer() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, torch.optim.SGD(model[2].parameters(), lr=0.05), X, y)


@named("not_in_optimizer")
def optimizer_of_the_model_before() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)
    return plain(mlp(), optimizer, X, y)


@named("broadcast")
def flat_targets() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model), X, y[:, 0], nn.MSELoss())


@named("broadcast")
def flat_targets_by_hand() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model), X, y[:, 0], lambda pred, y: ((pred - y) ** 2).mean())


@named("broadcast")
def flat_outputs() -> Loop:
    return fit(nn.Sequential(mlp(), nn.Flatten(0)), loss_fn=F.l1_loss)


@named("lr_zero")
def rate_zero() -> Loop:
    return fit(mlp(), lr=0.0)


@named("lr_zero")
def schedule_by_integer_division() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: epoch // 1000)
    return plain(model, optimizer, X, y, after=lambda epoch: scheduler.step())


@named("lr_far_under")
def rate_far_too_small() -> Loop:
    return fit(mlp(), lr=1e-6)


@named("lr_far_under")
def rate_far_too_small_for_a_line() -> Loop:
    return fit(nn.Linear(6, 1), lr=1e-7, loss_fn=nn.MSELoss())


@named("above_limit")
def rate_too_large_for_a_line() -> Loop:
    return fit(nn.Linear(6, 1), lr=1.2, loss_fn=nn.MSELoss())


@named("above_limit")
def summed_loss_with_the_rate_of_a_mean() -> Loop:
    return fit(mlp(), lr=0.05, loss_fn=nn.MSELoss(reduction="sum"))


@named("data_scale")
def features_in_thousands() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model, 0.01), 1000 * X, y)


@named("above_limit")
def rate_too_large_with_momentum() -> Loop:
    return fit(nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1)), lr=3.0, momentum=0.9)


@named("not_finite")
def missing_value_in_the_inputs() -> Loop:
    X, y = rows()
    X[5, 2] = torch.nan
    model = mlp()
    return plain(model, sgd(model), X, y)


@named("not_finite")
def missing_value_in_the_targets() -> Loop:
    X, y = rows()
    y[7] = torch.nan
    model = mlp()
    return plain(model, sgd(model), X, y, nn.MSELoss())


class Root(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return (x - x.detach()).abs().sqrt() + x  # right in value, and its slope is infinite


class Logarithm(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return torch.log(x)


@named("not_finite")
def logarithm_of_negative_numbers() -> Loop:
    return fit(nn.Sequential(nn.Linear(6, 8), Logarithm(), nn.Linear(8, 1)))


@named("not_finite")
def slope_of_a_root_at_zero() -> Loop:
    return fit(nn.Sequential(nn.Linear(6, 8), Root(), nn.Linear(8, 1)))


@named("not_finite")
def logarithm_of_zero_in_the_loss() -> Loop:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 1), nn.ReLU())
    return plain(model, sgd(model), X, (y > 0).float(), lambda p, y: -(y * torch.log(p)).mean())


@named("integer_target")
def whole_numbers_for_a_binary_loss() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model), X, (y > 0).long(), nn.BCEWithLogitsLoss())


@named("integer_target")
def whole_numbers_for_a_loss_that_refuses_them() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model), X, y.round().long(), nn.HuberLoss())


@named("integer_target")
def true_and_false_for_a_difference() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model), X, y > 0, lambda pred, y: ((pred - y) ** 2).mean())


@named("float_target")
def fractions_for_classes() -> Loop:
    X, y = rows()
    model = mlp(out=2)
    return plain(model, sgd(model), X, (y[:, 0] > 0).float(), nn.CrossEntropyLoss())


@named("dead_schedule")
def schedule_stepped_by_batch() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.02)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    return plain(model, optimizer, X, y, epochs=200, after=lambda epoch: scheduler.step())


@named("dead_schedule")
def steps_of_a_schedule_too_short() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.02)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.1)
    return plain(model, optimizer, X, y, epochs=200, after=lambda epoch: scheduler.step())


@named("no_signal")
def targets_shuffled() -> Loop:
    X, y = rows(4096)
    y = y[torch.randperm(4096, generator=torch.Generator().manual_seed(3))]
    model = mlp()
    return plain(model, sgd(model, 0.1), X, y, epochs=200)


@named("repeated_data")
def inputs_all_the_same() -> Loop:
    X, y = rows()
    model = mlp(out=2)
    return plain(model, sgd(model, 0.5), torch.ones_like(X), (y[:, 0] > 0).long(), nn.CrossEntropyLoss(), epochs=200)


@named("dead_units")
def dead_relus() -> Loop:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1, bias=False))
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
    return plain(model, sgd(model), X, y)


@named("eval_mode")
def never_back_to_training() -> Loop:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 1))
    model.train()
    return plain(model, sgd(model), X, y, after=lambda epoch: None if epoch < 10 else model.eval() and None)


@named("output_form")
def uphill() -> Loop:
    return fit(nn.Linear(6, 1), lr=1e-3, maximize=True)


@named("gradient_scale")
def rate_too_large_while_gradients_are_clipped() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 30.0)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(X), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return loop_of(model, optimizer, None, step)


@named("output_range")
def outputs_saturated() -> Loop:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 1), nn.Tanh())
    with torch.no_grad():
        model[0].bias.fill_(9.0)
    return plain(model, sgd(model, 0.05), X, y, F.l1_loss)


@named("gradient_scale")
def gradients_clipped_to_nothing() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(X), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
        optimizer.step()
        return loss.detach()

    return loop_of(model, optimizer, None, step)


@named("overwritten")
def the_first_weights_loaded_at_every_step() -> Loop:
    X, y = rows()
    model = mlp()
    first = copy.deepcopy(model.state_dict())
    return plain(model, sgd(model), X, y, after=lambda epoch: model.load_state_dict(first) and None)


@named("data_scale")
def targets_in_millions() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, torch.optim.Adam(model.parameters()), X, 1e6 * y)


@named("stale_graph")
def losses_added_up_with_their_graphs() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)
    total: Any = 0.0

    def step() -> Any:
        nonlocal total
        optimizer.zero_grad()
        total = total + F.mse_loss(model(X), y)
        total.backward(retain_graph=True)
        optimizer.step()
        return total.detach()

    return loop_of(model, optimizer, None, step)


@named("stale_graph")
def state_kept_with_its_graph() -> Loop:
    X = torch.randn(8, 5, 3, generator=torch.Generator().manual_seed(1))
    model = nn.LSTM(3, 1, batch_first=True)
    optimizer = sgd(model)
    state: Any = None

    def step() -> Any:
        nonlocal state
        optimizer.zero_grad()
        output, state = model(X, state)
        loss = F.mse_loss(output, X[..., :1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    return loop_of(model, optimizer, None, step)


@named("output_form")
def softmax_before_cross_entropy() -> Loop:
    X, y = rows()
    model = nn.Sequential(mlp(out=2), nn.Softmax(1))
    return plain(model, sgd(model), X, (y[:, 0] > 0).long(), nn.CrossEntropyLoss())


@named("output_form")
def sigmoid_before_a_loss_of_logits() -> Loop:
    X, y = rows()
    model = nn.Sequential(mlp(), nn.Sigmoid(), nn.Flatten(0))
    return plain(model, sgd(model), X, (y[:, 0] > 0).float(), nn.BCEWithLogitsLoss())


@named("output_form")
def probabilities_for_a_loss_of_logarithms() -> Loop:
    X, y = rows()
    model = nn.Sequential(mlp(out=2), nn.Softmax(1))
    return plain(model, sgd(model), X, (y[:, 0] > 0).long(), nn.NLLLoss())


@named("output_form")
def softmax_of_one_output() -> Loop:
    X, y = rows()
    model = nn.Sequential(mlp(), nn.Softmax(1))
    return plain(model, sgd(model), X, (y > 0).float(), nn.BCELoss())


@named("output_form")
def softmax_over_the_rows() -> Loop:
    X, y = rows()
    model = nn.Sequential(mlp(out=2), nn.Softmax(0))
    return plain(model, sgd(model), X, (y[:, 0] > 0).long(), lambda p, y: F.nll_loss(p.log(), y))


@named("output_form")
def arguments_swapped() -> Loop:
    X, y = rows()
    model = nn.Sequential(mlp(), nn.Sigmoid())
    return plain(model, sgd(model), X, (y > 0).float(), lambda p, y: F.binary_cross_entropy(y, p))


@named("output_form")
def arguments_of_a_module_swapped() -> Loop:
    X, y = rows()
    model = mlp(out=2)
    optimizer, loss_fn = sgd(model), nn.CrossEntropyLoss()
    classes = F.one_hot((y[:, 0] > 0).long()).float()

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_fn(classes, model(X))
        loss.backward()
        optimizer.step()
        return loss.detach()

    return loop_of(model, optimizer, loss_fn, step)


@named("output_form")
def minus_the_loss() -> Loop:
    X, y = rows()
    model = mlp(out=2)
    return plain(model, sgd(model), X, (y[:, 0] > 0).long(), lambda p, y: -F.cross_entropy(p, y))


class Listed(nn.Module):  # type: ignore[misc]
    """A network that keeps its first layers in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.head = [nn.Linear(6, 12), nn.Linear(12, 12)], nn.Linear(12, 1)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


@named("not_in_optimizer")
def layers_in_a_plain_list() -> Loop:
    return fit(Listed())


@named("eval_mode")
def evaluation_mode_from_the_start() -> Loop:
    return fit(nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 1)).eval())


@named("no_step")
def a_new_optimizer_for_each_step() -> Loop:
    X, y = rows()
    model = mlp()

    def step() -> Any:
        optimizer = torch.optim.Adam(model.parameters())
        optimizer.zero_grad()
        loss = F.mse_loss(model(X), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return loop_of(model, torch.optim.Adam(model.parameters()), None, step)


@named("weight_decay")
def decay_that_forgets_everything() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=50.0), X, y)


@named("weight_decay")
def decay_larger_than_the_gradient() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5.0), X, y)


@named("output_form")
def log_probability_minimized() -> Loop:
    X, y = rows()
    classes = (y[:, 0] > 0).long()
    model = mlp(out=2)
    return plain(model, sgd(model), X, classes, lambda p, c: F.log_softmax(p, 1)[torch.arange(96), c].mean())


@named("output_form")
def no_sigmoid_before_a_loss_of_probabilities() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model), X, (y > 0).float(), nn.BCELoss())


@named("broadcast")
def weights_of_rows_against_a_column() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model), X, y, lambda p, y: (torch.ones(96) * (p - y) ** 2).mean())


@named("output_range")
def softplus_for_negative_targets() -> Loop:
    X, y = rows()
    model = nn.Sequential(mlp(), nn.Softplus())
    return plain(model, sgd(model), X, y - 3, F.l1_loss)


@named("schedule_unmoved")
def one_cycle_never_stepped() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=120)
    return plain(model, optimizer, X, y)


@named("cleared_too_soon")
def cleared_before_every_micro_batch() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)

    def body() -> Iterator[float]:
        for _ in range(10):
            for i, at in enumerate(batches(96, 8)):
                optimizer.zero_grad()
                loss = F.mse_loss(model(X[at]), y[at]) / 4
                loss.backward()
                if i % 4 == 3:
                    optimizer.step()
                yield loss.item()

    return Loop(model, optimizer, None, body)


class MadeInForward(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        return self.last(torch.relu(nn.Linear(8, 8)(torch.relu(self.first(x)))))


@named("not_in_optimizer")
def layer_made_in_every_call() -> Loop:
    return fit(MadeInForward())


@named("not_in_optimizer")
def body_unfrozen_without_the_optimizer() -> Loop:
    X, y = rows()
    model = mlp()
    model[0].requires_grad_(False)
    return plain(model, sgd(model[2]), X, y, after=lambda epoch: model[0].requires_grad_(epoch > 5) and None)


@named("frozen")
def model_replaced_by_a_copy() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)
    used = model

    def body() -> Iterator[float]:
        nonlocal used
        for step in range(80):
            used = copy.deepcopy(model) if step == 10 else used
            optimizer.zero_grad()
            loss = F.mse_loss(used(X), y)
            loss.backward()
            optimizer.step()
            yield loss.item()

    return Loop(model, optimizer, None, body)


@named("eval_mode")
def one_part_left_in_evaluation_mode() -> Loop:
    X, y = rows()
    body = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.1))
    model = nn.Sequential(body, nn.Linear(24, 1))
    return plain(model, sgd(model), X, y, after=lambda epoch: body.eval() and None)


@named("above_limit")
def rate_of_adam_far_too_large() -> Loop:
    X, _ = rows()
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=30.0)
    return plain(model, optimizer, X, (torch.rand(96) > 0.5).long(), nn.CrossEntropyLoss(), epochs=40)


@named("lr_far_under")
def rate_of_adam_far_too_small() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, torch.optim.Adam(model.parameters(), lr=1e-7), X, y)


@named("update_by_hand")
def parameter_changed_in_place() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model)

    def step() -> Any:
        loss = F.mse_loss(model(X), y)
        loss.backward()
        model[0].weight -= 0.1 * model[0].weight.grad
        return loss

    return loop_of(model, optimizer, None, step)
