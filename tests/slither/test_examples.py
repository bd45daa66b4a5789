"""`Slither.Examples`: the pipes and the workloads of the five examples, as they are documented.

What they prove, on made-up and on real input, is in `tests/examples`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from slither_actors.dispatch import FixedBatch, KeyPartition, WeightedBatch
from slither_actors.examples import EXAMPLES, ExampleOptions
from slither_actors.examples.batch_stats import _input as stats_input
from slither_actors.examples.batch_stats import _run as stats_run
from slither_actors.examples.data_etl import _input as etl_input
from slither_actors.examples.data_etl._pipe import EtlPipe
from slither_actors.examples.image_pipeline import _input as image_input
from slither_actors.examples.image_pipeline._pipe import ImagePipe
from slither_actors.examples.ml_scoring import _input as scoring_input
from slither_actors.examples.ml_scoring._pipe import ScorePipe
from slither_actors.examples.text_analysis._pipe import StopwordStore, TextPipe
from slither_actors.item import Item
from slither_actors.pipe import Pipe

SYNTHETIC = ExampleOptions(synthetic=True)


def steps(pipe: type[Pipe]) -> list[str]:
    return [stage.name for stage in pipe.definition.stages]


def routed(pipe: type[Pipe], stage: str, payload: Any) -> str:
    """Where the router of a pipe sends a payload."""
    for route, holds in pipe.definition.stage(stage).declaration.routes.items():  # type: ignore[attr-defined]
        if holds(Item.wrap(payload)):
            return str(route)
    return "default"


def test_the_five_examples_are_there() -> None:
    """``mix slither.example``: by the same names; three of them need only the standard library."""
    assert list(EXAMPLES) == ["text_analysis", "batch_stats", "data_etl", "ml_scoring", "image_pipeline"]
    assert [name for name, example in EXAMPLES.items() if example.standard_library] == [
        "text_analysis",
        "batch_stats",
        "data_etl",
    ]


class Tone:
    def __init__(self, sentiment: float) -> None:
        self.sentiment = sentiment


def test_text_analysis_goes_through_prepare_analyze_classify() -> None:
    """`Slither.Examples.TextAnalysis.TextPipe`: in batches of 50; 0.15 and -0.15 divide the tones."""
    assert steps(TextPipe) == ["prepare", "analyze", "classify"]
    assert TextPipe.definition.stage("analyze").options["batch_size"] == 50
    assert [routed(TextPipe, "classify", Tone(value)) for value in (0.16, 0.15, -0.15, -0.16)] == [
        "positive",
        "default",
        "default",
        "negative",
    ]


def test_text_analysis_has_a_stopword_store() -> None:
    """`Slither.Examples.TextAnalysis.StopwordStore`: which the workers read through a view."""
    assert list(TextPipe.definition.stores.values()) == [StopwordStore]


def test_batch_stats_has_2000_datasets() -> None:
    """`Slither.Examples.BatchStats.StatsDemo`: 800 small, 800 medium, 350 large ones, and 50 are poison."""
    _, found = stats_input.datasets(SYNTHETIC)
    assert Counter(dataset.group for dataset in found) == {
        "small": 800,
        "medium": 800,
        "large": 350,
        "poison": 50,
    }
    limits = {"small": (5, 10), "medium": (50, 100), "large": (200, 500)}
    for group, (fewest, most) in limits.items():
        lengths = {len(dataset.values) for dataset in found if dataset.group == group}
        assert (min(lengths), max(lengths)) == (fewest, most)
    poison = Counter(dataset.name.split()[1] for dataset in found if dataset.group == "poison")
    assert poison == {"None": 20, "NaN": 20, "empty": 10}


def test_batch_stats_dispatches_in_four_ways() -> None:
    """`Slither.Examples.BatchStats.StatsDemo`: fixed (10), weighted (500 values), by key, and streaming."""
    strategies = {kind: options["strategy"] for kind, options in stats_run.KINDS.items()}
    assert [type(strategy) for strategy in strategies.values()] == [
        FixedBatch,
        WeightedBatch,
        KeyPartition,
        FixedBatch,
    ]
    assert (strategies["fixed"].batch_size, strategies["weighted"].max_weight) == (10, 500)


def test_data_etl_goes_through_prepare_validate_transform_route() -> None:
    """`Slither.Examples.DataEtl.EtlPipe`: workers take 100 rows, and what is invalid has its own output."""
    assert [stage.kind for stage in EtlPipe.definition.stages] == [
        "function",
        "workers",
        "function",
        "router",
    ]
    assert steps(EtlPipe)[:3] == ["prepare", "validate", "transform"]
    assert EtlPipe.definition.stage("validate").options["batch_size"] == 100
    assert EtlPipe.definition.outputs == ("invalid", "default")


def test_data_etl_has_three_phases_of_5000_rows() -> None:
    """`Slither.Examples.DataEtl`: a tenth is invalid by the first schema, a fifth by the second."""
    source = etl_input.source_of(SYNTHETIC)
    assert source.per_phase == 5000
    assert [sum(1 for _ in source.rows(phase)) for phase in range(3)] == [5000] * 3
    assert (source.invalid(0), source.invalid(1)) == (500, 1000)


class Confident:
    def __init__(self, confidence: float) -> None:
        self.confidence = confidence


def test_ml_scoring_goes_through_enrich_featurize_predict_route() -> None:
    """`Slither.Examples.MlScoring.ScoringPipe`: 0.9 is high, below 0.6 is low; a session keeps its worker."""
    assert steps(ScorePipe) == ["enrich", "featurize", "predict", "route"]
    assert ScorePipe.definition.stage("predict").options["affinity"] == "strict_queue"
    assert [routed(ScorePipe, "route", Confident(value)) for value in (0.9, 0.89, 0.6, 0.59)] == [
        "high",
        "default",
        "default",
        "low",
    ]


def test_ml_scoring_has_two_sessions_of_2000() -> None:
    """`Slither.Examples.MlScoring`: each learns from 2,000 samples of its own and scores the same records."""
    _, (first, second) = scoring_input.sessions(SYNTHETIC)
    assert [len(session.samples.labels) for session in (first, second)] == [2000, 2000]
    assert first.samples.features != second.samples.features
    assert [record.values for record in first.records] == [record.values for record in second.records]
    assert len(first.records) == 2000


def test_image_pipeline_has_200_pictures() -> None:
    """`Slither.Examples.ImagePipeline.ThumbnailDemo`: 50 small, 80 medium, 50 of 1080p and 20 of 4K."""
    pictures = image_input.album_of(SYNTHETIC).pictures
    sizes = Counter((picture.width, picture.height) for picture in pictures)
    assert (len(pictures), sizes[1920, 1080], sizes[3840, 2160]) == (200, 50, 20)
    small = sum(max(picture.width, picture.height) <= 400 for picture in pictures)
    assert (small, 200 - 50 - 20 - small) == (50, 80)


def test_image_pipeline_bounds_the_pixels_of_a_batch() -> None:
    """`Slither.Examples.ImagePipeline.ThumbnailDemo`: 2,000,000 at most, and four batches in flight."""
    options = ImagePipe.definition.stage("shrink").options
    assert (options["strategy"].max_weight, options["max_in_flight"]) == (2_000_000, 4)
