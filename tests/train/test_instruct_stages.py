"""Texts are encoded, a base is trained by masking, and a branch beside it that leaves every byte of it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.run_dir import RunDir
from paracosm.curate.captions import FIELDS, INS_FIELDS, UNCHANGED
from paracosm.data.reader import Dataset
from paracosm.data.text_store import read_texts
from paracosm.data.writer import write_labels
from paracosm.models.base import weights_hash
from paracosm.models.dynamics_masked import MaskedDynamics
from paracosm.models.instruct import InstructNet
from paracosm.train.stages import encode_texts, instruct, masked
from paracosm.train.stages.instruct import ConditionShares
from paracosm.train.told_clips import EVENT_FIELDS, drop_fields, wanted_fields
from tests.shapes_world import CONTROLS, record_shapes
from tests.tiny_instruct import flow_like

from .instruct_stages import FRAMES, GIVEN, NEW, base_model, instruct_config, masked_config, prepare

KEY = encode_texts.text_key("hashed_words", "truth", NEW + 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings, encodings and a base of three steps."""
    folder = tmp_path_factory.mktemp("instruct")
    prepare(folder)
    masked.main(masked_config(folder))
    return folder


def test_texts_tell_of_the_clip_that_begins_at_their_row(root: Path) -> None:
    dataset = Dataset(root / "data")
    texts = read_texts(dataset, KEY, dataset.episodes)
    told = 0
    for episode in dataset.episodes:
        light = episode.truth("truth_light")
        for first in range(episode.num_frames - NEW):
            said = texts.texts[texts.number(episode.name, first, "light")]
            changed = light[first] != light[first + NEW]
            assert said == (f"change to light {light[first + NEW]}" if changed else UNCHANGED)
            told += changed
        with pytest.raises(DataError, match="has no text for a clip from frame"):
            texts.number(episode.name, episode.num_frames - NEW, "light")
    assert told > 5


def test_captions_that_were_exported_with_the_clips_are_taken_too(tmp_path: Path) -> None:
    dataset = record_shapes(tmp_path / "data", num_episodes=1, max_steps=6)
    name = dataset.episodes[0].name
    columns = {field: [f"{field} of a person"] * dataset.episodes[0].num_frames for field in FIELDS}
    write_labels(tmp_path / "data", "captions", 1, name, columns)
    config = encode_texts.EncodeTextsStageConfig(
        data=tmp_path / "data", encoder="hashed_words", clip_frames=3, source="labels"
    )
    folder = encode_texts.main(config)
    dataset = Dataset(tmp_path / "data")
    texts = read_texts(dataset, encode_texts.text_key("hashed_words", "labels", 3), dataset.episodes)
    assert texts.texts[texts.number(name, 2, "light")] == "light of a person"
    before = (folder / "states.npy").stat().st_mtime_ns
    assert encode_texts.main(config) == folder
    assert (folder / "states.npy").stat().st_mtime_ns == before, "what is there stays"


def test_free_words_leave_out_what_stays_as_it_is() -> None:
    fields = dict.fromkeys(INS_FIELDS, UNCHANGED) | {"light": "make it dark.", "action": "jump"}
    assert encode_texts.join(fields, INS_FIELDS) == "make it dark. jump"
    assert encode_texts.join(dict.fromkeys(INS_FIELDS, UNCHANGED), INS_FIELDS) == UNCHANGED


def test_texts_that_are_missing_or_cut_off_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing; run the encode_texts stage first"):
        masked.MaskedStage(masked_config(root, text_frames=3))
    shutil.copytree(root / "data", tmp_path / "data")
    states = tmp_path / "data" / "texts" / KEY.folder / "states.npy"
    states.write_bytes(states.read_bytes()[:200])
    dataset = Dataset(tmp_path / "data")
    with pytest.raises(DataError, match=r"is corrupt \(.*delete it and encode the texts again"):
        read_texts(dataset, KEY, dataset.episodes)


def test_given_frames_are_clean_and_told_so_and_do_not_count() -> None:
    clean, given = (
        torch.randn(8, 5, 2, 2, 2, generator=torch.Generator().manual_seed(0)),
        torch.full((8, 1), 2),
    )
    level = (0.0, 1.0, 0.2)
    for noise in (0.0, 0.3):
        generator = torch.Generator().manual_seed(1)
        noisy, levels, asked = masked.mask_frames(clean, given, generator, context_noise=noise, level=level)
        assert not bool(levels[:, :2].any())
        assert bool((levels[:, 2:] > 0).all())
        assert bool((levels[:, 2] == levels[:, 4]).all())
        assert torch.equal(asked[0], torch.tensor([False, False, True, True, True]))
        assert torch.equal(noisy[:, :2], clean[:, :2]) == (noise == 0.0)
        made = noisy.clone()
        made[:, :2] += 9.0
        assert (
            masked.masked_loss(made, clean, levels, asked)[0]
            == masked.masked_loss(noisy, clean, levels, asked)[0]
        )


def test_frames_of_some_clips_have_a_level_each() -> None:
    clean, given = torch.zeros(64, 5, 1, 1, 1), torch.full((64, 1), 2)
    draws = [torch.Generator().manual_seed(1) for _ in range(2)]
    level = (0.0, 1.0, 0.2)
    _, levels, _ = masked.mask_frames(clean, given, draws[0], context_noise=0.0, level=level, apart_share=0.5)
    _, all_one, _ = masked.mask_frames(clean, given, draws[1], context_noise=0.0, level=level)
    assert not bool(levels[:, :2].any())
    apart = (levels[:, 2] != levels[:, 3]) | (levels[:, 3] != levels[:, 4])
    assert 20 < int(apart.sum()) < 44
    assert bool((all_one[:, 2] == all_one[:, 4]).all())


def test_batches_have_one_shape_each_and_say_their_rate_and_length(root: Path) -> None:
    stage = masked.MaskedStage(masked_config(root))
    batches = [stage.batch(step, 0) for step in range(12)]
    sizes = {(len(batch.clean), batch.clean.shape[1]) for batch in batches}
    assert sizes == {(2, FRAMES), (3, 5)}, "100 tokens hold 2 clips of 6 frames of 6 tokens, and 3 of 5"
    rates = {(batch.clean.shape[1], round(float(batch.conditions[0, 0]) * 60, 3)) for batch in batches}
    assert rates == {(FRAMES, 10.0), (5, 5.0)}
    assert torch.equal(stage.batch(3, 0).clean, batches[3].clean)
    whole = stage.batch(0, 0, (0, 1), 2)
    places = stage.samplers[0][1].draw(0, 0, 2)
    recorded = stage.sets[0].clips.latents[places[0][0]][places[0][1] :][:9:2]
    assert np.array_equal(whole.clean[0].numpy(), recorded.astype(np.float32))


@pytest.mark.parametrize("name", ["masked", "instruct"])
def test_a_stopped_run_goes_on_to_the_same_bits(root: Path, tmp_path: Path, name: str) -> None:
    def run(folder: str, *lengths: int) -> dict[str, torch.Tensor]:
        for num_steps in lengths:
            if name == "masked":
                masked.main(masked_config(root, num_steps, run=tmp_path / folder))
            else:
                instruct.main(instruct_config(root, num_steps, run=tmp_path / folder))
        checkpoint = RunDir(tmp_path / folder).latest_checkpoint()
        assert checkpoint is not None
        return load_file(checkpoint / "state.safetensors")

    straight, stopped = run("straight", 4), run("stopped", 2, 4)
    assert straight.keys() == stopped.keys()
    assert [key for key, value in straight.items() if not torch.equal(value, stopped[key])] == []


def test_base_and_branch_begin_with_a_dynamics_that_is_told_controls(root: Path, tmp_path: Path) -> None:
    config = masked_config(root, run=tmp_path / "base", model=replace(base_model(), modulation="own"))
    flow = flow_like(config.model, CONTROLS)
    flow.save(tmp_path / "flow")
    config = replace(config, initial=tmp_path / "flow")
    first = masked.MaskedStage(config).networks["dynamics"].state_dict()
    assert torch.equal(first["blocks.1.own.enter.weight"], flow.state_dict()["blocks.1.time.enter.weight"])
    base = masked.main(config)
    again = masked.MaskedStage(replace(config, initial=base)).networks["dynamics"].state_dict()
    assert all(
        torch.equal(value, load_file(base / "model.safetensors")[name]) for name, value in again.items()
    )
    told = instruct_config(root, base=base, controls_from=tmp_path / "flow")
    told = replace(told, model=replace(told.model, base=config.model, depth=2))
    branch = instruct.InstructStage(told).networks["branch"].state_dict()
    assert torch.equal(branch["control.enter.weight"], flow.state_dict()["control.enter.weight"])
    assert not bool(branch["control.null"].any())


def test_training_the_branch_leaves_every_byte_of_the_base(root: Path, tmp_path: Path) -> None:
    base = root / "masked" / "dynamics"
    before = (base / "model.safetensors").read_bytes()
    stage = instruct.InstructStage(instruct_config(root, 4, run=tmp_path / "run"))
    held = {name: value.clone() for name, value in stage.base.state_dict().items()}
    folder = instruct.main(instruct_config(root, 4, run=tmp_path / "run"))
    assert (base / "model.safetensors").read_bytes() == before
    branch = InstructNet.load(folder)
    assert branch.config.base_weights == weights_hash(base)
    assert any(bool(layer.mix.weight.any()) for layer in branch.leave), "the branch has learnt"  # pyright: ignore
    instruct.check_frozen(stage.base, base)
    assert all(torch.equal(value, held[name]) for name, value in stage.base.state_dict().items())
    stage.base.head.leave.bias.data[0] += 1e-7
    with pytest.raises(AssertionError, match=r"head\.leave\.bias of the frozen base changed"):
        instruct.check_frozen(stage.base, base)


def test_only_the_branch_is_trained_and_the_base_gets_no_gradient(root: Path) -> None:
    stage = instruct.InstructStage(instruct_config(root))
    assert list(stage.networks) == ["branch"]
    loss, metrics = stage.loss(0, 0, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(parameter.grad is None for parameter in stage.base.parameters())
    assert set(metrics) == {"clean_error", "clean_error_untold", "clean_error_keys"}


def test_the_instruction_tells_of_the_new_frames_from_the_newest_given_one(root: Path) -> None:
    stage = instruct.InstructStage(instruct_config(root, text_form="joined"))
    batch = stage.batch(0, 0, 4)
    places = stage.sampler.draw(0, 0, 4)
    for row, (episode, first) in enumerate(places):
        number = stage.clips.texts.number(stage.clips.names[episode], first + GIVEN - 1, encode_texts.CHANGES)
        expected = stage.clips.texts.states[number].astype(np.float32)
        assert np.array_equal(batch.told.text.states[row, : len(expected)].numpy(), expected)
        recorded = Dataset(root / "data").episodes[episode].control_vectors[first : first + FRAMES - 1]
        assert np.array_equal(batch.told.controls[row, 1:].numpy(), recorded)
    assert batch.told.guided[0].tolist() == [False] * GIVEN + [True] * NEW


def test_a_branch_without_instructions_is_told_no_words(root: Path) -> None:
    stage = instruct.InstructStage(instruct_config(root, text_form="none"))
    _, metrics = stage.loss(1, 0, torch.Generator().manual_seed(0))
    assert metrics["clean_error_untold"] == pytest.approx(metrics["clean_error"].item())
    assert metrics["clean_error_keys"] > 0, "keys are told still"


def test_clips_keep_their_conditions_by_the_published_table() -> None:
    text, keys, guide = ConditionShares().draw(40_000, torch.Generator().manual_seed(0))
    found = {
        "none": ~text,
        "text": text & ~keys & ~guide,
        "text_keys": text & keys & ~guide,
        "text_guide": text & ~keys & guide,
        "everything": text & keys & guide,
    }
    for name, drawn in found.items():
        assert float(drawn.float().mean()) == pytest.approx(getattr(ConditionShares(), name), abs=0.01), name
    assert sum(int(drawn.sum()) for drawn in found.values()) == 40_000
    with pytest.raises(ConfigError, match=r"sum to 1\.3; use shares from 0 up that sum to 1"):
        ConditionShares(none=0.5)


def test_what_does_not_fit_is_refused(root: Path) -> None:
    config = masked_config(root)
    with pytest.raises(
        ConfigError, match="latents of 6 channels and token states of 32 numbers, the network takes 6 and 384"
    ):
        masked.MaskedStage(replace(config, model=replace(config.model, text_width=384)))
    with pytest.raises(ConfigError, match=r"no texts for the fields \['sound'\]"):
        masked.MaskedStage(replace(config, model=replace(config.model, fields=("text", "sound"))))
    with pytest.raises(ConfigError, match="clips span 4 frames, the texts tell of 5"):
        masked.MaskedStage(replace(config, shapes=(masked.ClipShape(frames=4),)))
    with pytest.raises(ConfigError, match="1 datasets, 2 tokenizers"):
        replace(config, tokenizers=(Path("a"), Path("b")))
    other = instruct_config(root)
    with pytest.raises(ConfigError, match="has 6 control numbers, the branch takes 9"):
        instruct.InstructStage(replace(other, model=replace(other.model, control_width=9)))


def test_events_are_drawn_as_often_as_they_are_different(root: Path) -> None:
    stage = instruct.InstructStage(instruct_config(root, event_share=1.0))
    texts, field = stage.clips.texts, stage.clips.texts.fields.index("light")
    told = set()
    for episode, first in stage.sampler.draw(0, 0, 64):
        row = texts.rows[stage.clips.names[episode]][first + GIVEN - 1]
        said = [texts.texts[row[texts.fields.index(name)]] for name in EVENT_FIELDS]
        assert said != [UNCHANGED] * len(said), (episode, first)
        told.add(texts.texts[row[field]])
    assert len(told - {UNCHANGED}) > 1


def test_fields_are_left_unsaid_as_often_as_asked_and_something_is_always_said() -> None:
    fields, draws = ("text", "summary", "frame", "light"), np.random.default_rng(0)
    whole = wanted_fields(fields, encode_texts.SHOWN, False)
    told = [drop_fields(whole, fields, 0.5, draws) for _ in range(4000)]
    assert all(one and one.items() <= whole.items() for one in told)
    # each of three is kept by half, and one of them where none is: (1.5 + 1/8) / 3
    assert np.mean([2 in one for one in told]) == pytest.approx(0.5 + 1 / 24, abs=0.04)
    free = [drop_fields({0: encode_texts.SHOWN}, fields, 0.25, draws) for _ in range(4000)]
    assert {field for one in free for field in one.values()} == {encode_texts.SHOWN, *fields[1:]}
    assert np.mean([one == {0: encode_texts.SHOWN} for one in free]) == pytest.approx(0.75, abs=0.04)
    assert drop_fields(whole, fields, 0.0, draws) == whole


def test_words_of_doing_are_pulled_to_what_the_held_controls_say(root: Path, tmp_path: Path) -> None:
    model = replace(base_model(), modulation="own", spoken_words=True)
    flow = flow_like(model, CONTROLS)
    flow.save(tmp_path / "flow")
    config = masked_config(root, model=model, controls_from=tmp_path / "flow", spoken_weight=1.0)
    config = replace(config, text_dropout=0.0)
    stage = masked.MaskedStage(config)
    assert stage.control is not None
    dynamics = cast("MaskedDynamics", stage.networks["dynamics"])
    batch = stage.batch(0, 0)
    assert batch.controls is not None
    assert batch.controls.shape[1] == NEW + 1
    learn = torch.optim.Adam(dynamics.parameters(), 3e-3)
    seen = []
    for _ in range(60):
        loss, metrics = stage.loss(0, 0, torch.Generator().manual_seed(0))
        learn.zero_grad()
        loss.backward()
        learn.step()
        seen.append(metrics["misheard"].item())
    assert seen[0] == pytest.approx(1.0, abs=0.3)
    assert seen[-1] < 0.5 * seen[0]
    assert all(parameter.grad is None for parameter in stage.control.parameters())
    with pytest.raises(ConfigError, match=r"asks for model.spoken_words \(now False\)"):
        replace(config, model=base_model())
    plain = masked_config(root, run=tmp_path / "plain", model=replace(base_model(), modulation="own"))
    later = masked.MaskedStage(replace(config, initial=masked.main(plain))).networks["dynamics"]
    kept = load_file(tmp_path / "plain" / "dynamics" / "model.safetensors")
    assert all(torch.equal(value, later.state_dict()[name]) for name, value in kept.items())
    wide = flow_like(replace(model, width=32), CONTROLS)
    wide.save(tmp_path / "wide")
    with pytest.raises(ConfigError, match="has width 32, the network 16"):
        masked.MaskedStage(replace(config, controls_from=tmp_path / "wide"))
    narrow = flow_like(model, replace(CONTROLS, keys=CONTROLS.keys[:1], bindings={}))
    narrow.save(tmp_path / "narrow")
    with pytest.raises(ConfigError, match=r"has 6 control numbers, .*narrow is told 3"):
        masked.MaskedStage(replace(config, controls_from=tmp_path / "narrow"))


def test_previews_show_true_and_made_clips(root: Path) -> None:
    stage = masked.MaskedStage(masked_config(root))
    assert stage.preview({"dynamics": MaskedDynamics.load(root / "masked" / "dynamics")}).ndim == 3
    branch = instruct.InstructStage(instruct_config(root))
    assert branch.preview({"branch": branch.networks["branch"].eval()}).shape[1] == FRAMES * (24 * 2 + 2)
