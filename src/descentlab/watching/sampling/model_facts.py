"""Reads what a model and an optimizer are set to; nothing is called."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from descentlab.watching.rules.records import ModelRecord, SettingsRecord
from descentlab.watching.sampling.model_graph import OUTPUT_RANGES
from descentlab.watching.sampling.sampler import LoopSampler

MIN_SHARED_PARAMS = 2  # of a module that appears several times: activations without parameters are shared freely
DEFAULT_BOUND_RTOL = 0.02  # of PyTorch's uniform start, whose largest entry nearly reaches its bound
MIN_DEFAULT_ENTRIES = 100  # of a weight: fewer do not show how they were drawn


def describe_model(model: Any, sampler: LoopSampler) -> ModelRecord:
    """The model's form, with what the sampled graphs say."""
    graph = sampler.graphs[-1] if sampler.graphs else None
    name, lowest, highest = OUTPUT_RANGES.get(graph.last_operation if graph else "", ("", -math.inf, math.inf))
    dropout, dropout_name = _largest_dropout(model)
    params = list(model.parameters())
    n_values = sum(each.numel() for each in params) or 1
    return ModelRecord(
        n_layers=graph.n_layers if graph else 0,
        is_linear=bool(graph and graph.is_linear),
        last_operation=name,
        lowest=lowest,
        highest=highest,
        dropout=dropout,
        dropout_name=dropout_name,
        batch_norms=_batch_norms_of_rows(model),
        shared_layers=_shared_layers(model),
        hidden_widths=_hidden_widths(model),
        frozen_share=sum(each.numel() for each in params if not each.requires_grad) / n_values,
        random_frozen=_random_frozen(model),
        eval_parts=_parts_left_in_eval_mode(model, sampler.eval_parts),
        made_in_forward=sampler.made_in_forward > 0,
        n_half=sum(str(each.dtype) == "torch.float16" for each in params),
    )


def describe_settings(optimizer: Any) -> SettingsRecord:
    """The optimizer's settings, of its first group; eps against what Adam divides by."""
    groups = [group for group in optimizer.param_groups if any(each.requires_grad for each in group["params"])]
    if not groups:
        return SettingsRecord()
    group = groups[0]
    peaks = [float(group[key]) for key in ("initial_lr", "max_lr") if isinstance(group.get(key), int | float)]
    betas = group.get("betas")
    return SettingsRecord(
        momentum=float(group.get("momentum", 0.0) or 0.0),
        betas=(float(betas[0]), float(betas[1])) if betas and len(betas) == 2 else None,
        eps=float(group.get("eps", 0.0) or 0.0),
        root_mean_v=_root_mean_v(optimizer, group),
        group_lrs=tuple(float(each.get("lr", math.nan)) for each in groups),
        peak_lr=max(peaks, default=math.nan),
        maximize=bool(group.get("maximize", False)),
    )


def _root_mean_v(optimizer: Any, group: Any) -> float:
    total, count = 0.0, 0
    for parameter in group["params"]:
        state = optimizer.state.get(parameter, {})
        v = state.get("exp_avg_sq", state.get("square_avg"))
        if v is not None and not v.is_sparse:
            total, count = total + float(v.double().sum()), count + v.numel()
    return math.sqrt(total / count) if count else math.nan


def _largest_dropout(model: Any) -> tuple[float, str]:
    found = [
        (float(each.p), name)
        for name, each in model.named_modules()
        if "Dropout" in type(each).__name__ and isinstance(getattr(each, "p", None), int | float) and each.training
    ]
    return max(found, default=(0.0, ""))


def _batch_norms_of_rows(model: Any) -> tuple[str, ...]:
    return tuple(
        f"`{name}`" for name, each in model.named_modules() if type(each).__name__ == "BatchNorm1d" and each.training
    )


def _shared_layers(model: Any) -> tuple[str, ...]:
    """Names of the first module, with parameters of its own, that appears in several places of a model."""
    named = list(model.named_modules(remove_duplicate=False))
    counts = Counter(id(each) for _, each in named)
    for _, module in named:
        if counts[id(module)] > 1 and any(True for _ in module.parameters()):
            return tuple(f"`{name}`" for name, each in named if each is module)
    return ()


def _hidden_widths(model: Any) -> tuple[int, ...]:
    widths = [int(each.out_features) for each in model.modules() if type(each).__name__ == "Linear"]
    return tuple(widths[:-1])


def _random_frozen(model: Any) -> tuple[str, ...]:
    names = []
    for name, each in model.named_modules():
        weight = getattr(each, "weight", None)
        if type(each).__name__ not in ("Linear", "Conv1d", "Conv2d", "Conv3d") or weight is None:
            continue
        if not weight.requires_grad and _is_as_drawn(weight.detach()):
            names.append(f"`{name}`")
    return tuple(names)


def _is_as_drawn(weight: Any) -> bool:
    """Whether a weight is still as PyTorch draws it: uniform, between plus and minus 1 over the root of its inputs."""
    if weight.numel() < MIN_DEFAULT_ENTRIES:
        return False
    bound = 1 / math.sqrt(weight[0].numel())
    largest, deviation = float(weight.abs().max()), float(weight.float().square().mean().sqrt())
    is_at_bound = (1 - 5 / weight.numel() - DEFAULT_BOUND_RTOL) * bound < largest <= bound * (1 + 1e-6)
    return is_at_bound and abs(deviation * math.sqrt(3) / bound - 1) < 3 / math.sqrt(weight.numel())


def _parts_left_in_eval_mode(model: Any, sampled: list[frozenset[str]]) -> tuple[str, ...]:
    """Modules that were in training mode at a sampled step and in evaluation mode at all later ones."""
    if len(sampled) < 2 or not sampled[-1]:
        return ()
    since = next((at for at, parts in enumerate(sampled) if sampled[-1] <= parts), len(sampled))
    if len(sampled) - since < 2:
        return ()
    modules = dict(model.named_modules())
    trained = [name for name in sorted(sampled[-1]) if since > 0 or "Dropout" in type(modules.get(name)).__name__]
    return tuple(f"`{name}`" for name in trained)
