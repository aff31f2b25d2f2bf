"""Turns what a sampler has measured into records of plain numbers."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from descentlab.watching.rules.records import BatchRecord, LayerRecord, ParamRecord
from descentlab.watching.sampling.activations import OutputSample
from descentlab.watching.sampling.batches import BatchSample
from descentlab.watching.sampling.parameters import StepSample
from descentlab.watching.sampling.sampler import LoopSampler


def layer_records(sampler: LoopSampler) -> tuple[LayerRecord, ...]:
    """A record for each layer, in the order in which the model calls them."""
    first, last = sampler.activations.first_samples, sampler.activations.samples
    return tuple(_layer_record(name, first.get(name, each), each) for name, each in (last or first).items())


def _layer_record(name: str, first: OutputSample, last: OutputSample) -> LayerRecord:
    kind = last.kind or first.kind
    before, after = map(float, first.rms)
    return LayerRecord(
        f"`{name or 'model'}`",
        kind,
        last.n_units,
        _dead_share(last) if kind == "relu" else 0.0,
        _dead_share(first) if kind == "relu" else 0.0,
        float(last.saturated.get(kind, 0.0)),
        float(first.saturated.get(kind, 0.0)),
        after / before if before > 0 else math.inf if after > 0 else 1.0,
        after,
    )


def _dead_share(sample: OutputSample) -> float:
    return float((sample.max_by_unit <= 0).float().mean())


def param_records(sampler: LoopSampler, names: dict[int, str], model: Any) -> tuple[ParamRecord, ...]:
    """A record for each parameter that was sampled, in the order of the optimizer."""
    modules = dict(model.named_modules())
    by_id = {id(each): each for each in model.parameters()}
    records = []
    for key, samples in sampler.parameters.samples.items():
        name = names.get(key, "?")
        module = modules.get(name.rpartition(".")[0])
        is_weight = name.rpartition(".")[2] == "weight" and type(module).__name__.startswith(("Linear", "Conv"))
        fan_in = by_id[key][0].numel() if is_weight and key in by_id else 1
        records.append(_param_record(f"`{name}`", is_weight, fan_in, samples))
    return tuple(records)


def _param_record(name: str, is_weight: bool, fan_in: int, samples: list[StepSample]) -> ParamRecord:
    sizes = [float(each.rms) for each in samples]
    settled = samples[1:] or samples
    ratios = [float(each.update_rms) / size for each, size in zip(settled, sizes[1:] or sizes, strict=True) if size > 0]
    return ParamRecord(
        name,
        is_weight,
        sizes[0] * math.sqrt(fan_in),
        sizes[0],
        sizes[-1],
        median(float(each.gradient_rms) for each in samples),
        median(ratios) if ratios else math.nan,
        float(samples[0].update_rms) / sizes[0] if sizes[0] > 0 else math.nan,
        float(samples[-1].lost_share),
        len(samples) > 1 and bool(samples[-1].has_equal_rows),
    )


def batch_record(batches: list[BatchSample]) -> BatchRecord:
    """One record for all sampled batches."""
    if not batches:
        return BatchRecord()
    compared = [each for each in batches if each.comparison]
    return BatchRecord(
        n_rows=int(median(each.n_rows for each in batches)),
        identical_rows=len(batches) > 2 and all(_is_true(each.rows_identical) for each in batches),
        **_input_summary(batches),
        **(_target_summary(compared) if compared else {}),
    )


def _is_true(value: Any) -> bool:
    return value is not None and bool(value)


def _input_summary(batches: list[BatchSample]) -> dict[str, Any]:
    numeric = [each for each in batches if each.rms is not None]
    if not numeric:
        return {}
    mean = sum(float(each.mean) for each in numeric) / len(numeric)
    mean_square = sum(float(each.rms) ** 2 for each in numeric) / len(numeric)
    fields: dict[str, Any] = {"input_mean": mean, "input_std": math.sqrt(max(mean_square - mean**2, 0.0))}
    columns = [each.column_std for each in numeric if each.column_std is not None]
    if columns and all(each.shape == columns[0].shape for each in columns):
        largest = [max(values) for values in zip(*(each.tolist() for each in columns), strict=True)]
        varying = [each for each in largest if each > 0]
        fields |= {"n_columns": len(largest), "constant_columns": len(largest) - len(varying)}
        fields["column_ratio"] = max(varying) / min(varying) if varying else 1.0
    return fields


def _target_summary(batches: list[BatchSample]) -> dict[str, Any]:
    outside = [float(each.outside) for each in batches if each.outside is not None]
    counts: list[float] = []
    for each in batches:
        if each.label_counts is not None:
            counts = _added(counts, each.label_counts.tolist())
    predicted: list[float] = []
    for each in batches[-2:]:
        if each.predicted_counts is not None:
            predicted = _added(predicted, each.predicted_counts.tolist())
    is_whole = all(_is_true(each.whole) for each in batches)
    return {
        "comparison": batches[-1].comparison,
        "target_min": min(float(each.target_min) for each in batches),
        "target_max": max(float(each.target_max) for each in batches),
        "whole": is_whole,
        "label_shares": tuple(each / sum(counts) for each in counts) if counts and is_whole else (),
        "one_hot": all(each.one_hot is True for each in batches),
        "outside_share": sum(outside) / len(outside) if outside else 0.0,
        "predicted_share": max(predicted) / sum(predicted) if sum(predicted) else math.nan,
        "output_rms": float(batches[-1].output_rms),
    }


def _added(first: list[float], second: list[float]) -> list[float]:
    n = max(len(first), len(second))
    return [a + b for a, b in zip(first + [0] * (n - len(first)), second + [0] * (n - len(second)), strict=True)]
