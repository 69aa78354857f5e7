"""What a loss is given of several batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mmer_ray.errors import TrainingError
from mmer_ray.models.ctc.losses import ctc_loss
from mmer_ray.models.families import build
from mmer_ray.training.answers import Answers, ask, join
from tests.training.utterance_maker import training_batch


def test_ctc_and_all_that_losses_read_is_float32_where_the_matrix_work_is_bfloat16() -> None:
    torch.manual_seed(0)
    model, batch = build("mmer", "tiny").eval(), training_batch([0, 1, 2])
    rows = ask(model, batch, torch.bfloat16)
    assert {tensor.dtype for tensor in rows.values() if tensor.is_floating_point()} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch.views[0])
    assert output.ctc_logits.dtype == torch.bfloat16
    expected = ctc_loss(output.ctc_logits.float(), output.num_frames, batch.targets.ctc)
    torch.testing.assert_close(rows["output.ctc_costs"], expected, rtol=0, atol=0)


def test_joined_rows_are_the_output_targets_and_view_that_went_in() -> None:
    torch.manual_seed(0)
    model = build("leaf_transformer", "tiny").eval()
    first, second = training_batch([0, 1]), training_batch([2])
    with torch.no_grad():
        joined = Answers.of_rows(join([ask(model, batch, None) for batch in (first, second)]), None)
        outputs = [model(batch.views[1]) for batch in (first, second)]
    assert joined.augmented is not None
    assert joined.augmented.branches is not None
    for name, logits in joined.augmented.branches.items():
        assert torch.equal(logits, torch.cat([output.branches[name] for output in outputs]))
    assert torch.equal(joined.augmented.logits, torch.cat([output.logits for output in outputs]))
    assert torch.equal(joined.targets.labels, torch.tensor([0, 1, 2]))
    assert joined.targets.class_weights is None


def test_batches_that_know_different_things_are_refused() -> None:
    model, batch = build("audio_classification", "tiny").eval(), training_batch([0, 1])
    without = batch._replace(targets=replace(batch.targets, dimensions=None))
    with pytest.raises(TrainingError, match=r"targets\.dimensions"):
        join([ask(model, one, None) for one in (batch, without)])
