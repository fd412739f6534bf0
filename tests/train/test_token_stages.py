"""Stages of a world of tokens: they learn, go on bit for bit, and refuse what does not fit."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.progress import NoProgress
from paracosm.core.run_dir import RunDir
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.latent_actions import CodeInput, LatentActions, PixelInput
from paracosm.models.pixels import to_pixels
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.nn.quantize import FSQConfig, VQConfig
from paracosm.recipes import genie
from paracosm.recipes.genie import GenieRecipe
from paracosm.train.precision import autocast
from paracosm.train.stages import encode_codes, latent_actions, maskgit, tokenizer_vq
from paracosm.train.stages.maskgit import MaskGITStage, ParallelActions, RecordedControls, infer_actions
from tests.train.datasets import HEIGHT, WIDTH, record_counting

STACK = genie.stack(16, 1, 1, 16, 24)


def recipe(folder: Path, data: Path, num_steps: int = 4) -> GenieRecipe:
    """The toy recipe at the size of the counting world, smaller still."""
    made = genie.shorten(genie.own(folder, data, HEIGHT, WIDTH))
    made = replace(made, latent_actions=replace(made.latent_actions, free_steps=0))
    loops = {
        name: replace(
            config,
            loop=replace(config.loop, num_steps=num_steps, precision="fp32", log_every=1, num_threads=1),
            batch_size=2,
            clip_frames=5,
            cuts="none",
        )
        for name, config in made.stages.items()
    }
    made = replace(made, **loops)
    model = replace(made.tokenizer.model, encoder=STACK, decoder=STACK, quantizer=VQConfig(codes=16, width=4))
    actions = replace(
        made.latent_actions.model, encoder=STACK, decoder=STACK, quantizer=VQConfig(codes=4, width=6)
    )
    dynamics = replace(made.dynamics.model, num_codes=16, stack=STACK, control_width=6, num_actions=4)
    return replace(
        made,
        tokenizer=replace(made.tokenizer, model=model),
        latent_actions=replace(made.latent_actions, model=actions, free_steps=2),
        dynamics=replace(made.dynamics, model=dynamics),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("token stages") / "data"
    record_counting(folder, num_episodes=2, max_steps=12)
    return folder


@pytest.fixture(scope="module")
def walked(data: Path) -> GenieRecipe:
    """A tokenizer, codes and latent actions, trained for a few steps."""
    made = recipe(data.parent / "run", data)
    tokenizer = tokenizer_vq.main(made.tokenizer)
    encode_codes.main(encode_codes.EncodeCodesConfig(data=data, tokenizer=tokenizer))
    latent_actions.main(made.latent_actions)
    return made


def state(run: Path) -> dict[str, torch.Tensor]:
    folder = RunDir(run).latest_checkpoint()
    assert folder is not None
    return load_file(folder / "state.safetensors")


def test_a_tokenizer_that_stopped_goes_on_to_the_same_bits_codebook_included(
    walked: GenieRecipe, tmp_path: Path
) -> None:
    config = walked.tokenizer
    loop = replace(config.loop, optim=replace(config.loop.optim, decay_steps=0), num_steps=6)
    straight = replace(config, run=tmp_path / "straight", loop=loop)
    tokenizer_vq.main(straight)
    stopped = replace(straight, run=tmp_path / "stopped")
    tokenizer_vq.main(replace(stopped, loop=replace(loop, num_steps=3)))
    tokenizer_vq.main(stopped)
    first, second = state(straight.run), state(stopped.run)
    assert "network/tokenizer/quantizer.codebook" in first
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_latent_actions_that_stopped_after_the_laying_of_their_codebook_go_on_to_the_same_bits(
    walked: GenieRecipe, tmp_path: Path
) -> None:
    config = walked.latent_actions
    loop = replace(config.loop, optim=replace(config.loop.optim, decay_steps=0), num_steps=6)
    straight = replace(config, run=tmp_path / "straight", loop=loop, free_steps=2)
    latent_actions.main(straight)
    stopped = replace(straight, run=tmp_path / "stopped")
    latent_actions.main(replace(stopped, loop=replace(loop, num_steps=3)))
    latent_actions.main(stopped)
    first, second = state(straight.run), state(stopped.run)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_free_steps_leave_some_for_the_codes_and_need_a_codebook(walked: GenieRecipe) -> None:
    with pytest.raises(ConfigError, match="free_steps 4 of 4 steps leave none to learn codes"):
        replace(walked.latent_actions, free_steps=4)
    grid = replace(walked.latent_actions.model, quantizer=FSQConfig(levels=(3, 2)))
    with pytest.raises(ConfigError, match=r"a grid \(fsq\) has free_steps 0"):
        replace(walked.latent_actions, model=grid)


def test_stored_codes_are_those_of_the_whole_episode(walked: GenieRecipe, data: Path) -> None:
    folder = walked.tokenizer.run / "tokenizer"
    episode = Dataset(data).episodes[0]
    stored = encode_codes.open_codes(Dataset(data), folder).read(episode)
    tokenizer = TokenizerVQ.load(folder)
    with autocast("auto", "cpu"), torch.no_grad():
        whole = tokenizer.encode(to_pixels(torch.from_numpy(episode.frames[None].copy())))
    assert stored.dtype == "uint16"
    assert torch.equal(torch.from_numpy(stored.reshape(len(stored), -1).astype("int64")), whole[0])


def test_actions_of_an_episode_in_pieces_are_those_in_one(
    walked: GenieRecipe, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LatentActions.load(walked.latent_actions.run / "latent_actions")
    tokenizer = TokenizerVQ.load(walked.tokenizer.run / "tokenizer")
    episode = Dataset(data).episodes[0]
    whole = infer_actions(model, episode, tokenizer)
    assert whole.shape == (episode.num_frames - 1,)
    monkeypatch.setattr(maskgit, "PIECE_FRAMES", 5)
    assert infer_actions(model, episode, tokenizer).tolist() == whole.tolist()


def test_actions_are_found_once_and_read_when_a_run_goes_on(
    walked: GenieRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []

    def note(what: str, total: int, unit: str = "step", start: int = 0) -> NoProgress:
        told.append((what, total))
        return NoProgress()

    first = MaskGITStage(walked.dynamics, note).vectors
    assert told == [("find actions", len(first))]

    def refuse(*_: object) -> None:
        raise AssertionError("the actions were found already")

    monkeypatch.setattr(maskgit, "infer_actions", refuse)
    for one, two in zip(first, MaskGITStage(walked.dynamics).vectors, strict=True):
        assert (one == two).all()


@torch.no_grad()
def test_actions_of_several_steps_are_as_many_and_in_pieces_the_same(
    walked: GenieRecipe, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(walked.latent_actions.model, span=3)
    model = LatentActions(config).eval()
    model.quantizer.codebook.normal_(generator=torch.Generator().manual_seed(0))  # pyright: ignore[reportCallIssue]
    tokenizer = TokenizerVQ.load(walked.tokenizer.run / "tokenizer")
    episode = Dataset(data).episodes[0]
    whole = infer_actions(model, episode, tokenizer)
    assert whole.shape == (episode.num_frames - 1,)
    with autocast("auto", "cpu"):
        at_once = model.infer(to_pixels(torch.from_numpy(episode.frames[None].copy())))
    assert whole.tolist() == at_once[0].tolist()
    monkeypatch.setattr(maskgit, "PIECE_FRAMES", 5)
    assert infer_actions(model, episode, tokenizer).tolist() == whole.tolist()


@pytest.mark.parametrize("past", ["masked", "clean"])
def test_in_parallel_no_gradient_of_the_dynamics_reaches_the_latent_actions(
    walked: GenieRecipe, past: str
) -> None:
    config = replace(
        walked.dynamics, actions=ParallelActions(model=walked.latent_actions.model), past=past, own_past=0.0
    )
    stage = MaskGITStage(config)
    loss, metrics = stage.loss(0, 0, torch.Generator().manual_seed(0))
    dynamics_only = metrics["cross_entropy"]
    assert float(loss) > float(dynamics_only)
    loss.backward()
    found = [p.grad.clone() for p in stage.networks["latent_actions"].parameters() if p.grad is not None]
    alone = latent_actions.LatentActionsStage(walked.latent_actions)
    torch.nn.Module.load_state_dict(
        alone.networks["latent_actions"], MaskGITStage(config).networks["latent_actions"].state_dict()
    )
    frames = to_pixels(torch.from_numpy(stage.clips.draw(0, 0, 2)))
    model = alone.networks["latent_actions"]
    assert isinstance(model, LatentActions)
    latent_actions.latent_action_loss(model, frames, torch.Generator().manual_seed(0))[0].backward()
    expected = [p.grad for p in model.parameters() if p.grad is not None]
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two)


def test_a_past_of_own_guesses_differs_where_tokens_were_masked_and_nowhere_before_its_step(
    walked: GenieRecipe,
) -> None:
    config = replace(walked.dynamics, corruption=0.0, own_past=1.0, own_past_from=1)
    stage = MaskGITStage(config)
    dynamics = cast("MaskGITDynamics", stage.networks["dynamics"])
    seen: list[tuple[torch.Tensor, ...]] = []
    handle = dynamics.register_forward_hook(lambda _, given, __: seen.append(given))
    stage.loss(0, 0, torch.Generator().manual_seed(0))
    assert len(seen) == 1
    codes, _, _ = stage.batch(0, 0, config.batch_size)
    assert torch.equal(seen[0][3], codes)
    stage.loss(1, 0, torch.Generator().manual_seed(0))
    handle.remove()
    codes, _, _ = stage.batch(1, 0, config.batch_size)
    (masked, _, _, first), (again, _, _, past) = seen[1:]
    assert torch.equal(first, codes)
    assert torch.equal(masked, again)
    changed = past != codes
    assert changed.any()
    assert (masked[changed] == config.model.mask_code).all()


def test_tables_of_codes_can_begin_as_far_apart_as_the_tokenizers_vectors(walked: GenieRecipe) -> None:
    def distances(rows: torch.Tensor) -> torch.Tensor:
        return torch.pdist(rows.detach())

    alike = {}
    for first in ("random", "codebook"):
        stage = MaskGITStage(replace(walked.dynamics, first_codes=first))  # pyright: ignore[reportArgumentType]
        dynamics = cast("MaskGITDynamics", stage.networks["dynamics"])
        book = stage.tokenizer.quantizer.lookup(torch.arange(16))
        wanted = distances((book - book.mean(0)) / book.std(0))
        for name, table in (("enter", dynamics.enter.weight[:-1]), ("head", dynamics.head.weight)):
            alike[name, first] = float(torch.corrcoef(torch.stack([wanted, distances(table)]))[0, 1])
        assert float(dynamics.enter.weight.std()) == pytest.approx(0.02, rel=0.3)
    assert min(alike["enter", "codebook"], alike["head", "codebook"]) > 0.5
    assert max(alike["enter", "random"], alike["head", "random"]) < 0.5


def test_a_past_of_own_guesses_needs_a_clean_past(walked: GenieRecipe) -> None:
    with pytest.raises(ConfigError, match=r'own_past 0.5 with past="masked".*past="clean"'):
        replace(walked.dynamics, past="masked", own_past=0.5)
    with pytest.raises(ConfigError, match="own_past 2"):
        replace(walked.dynamics, own_past=2.0)


def test_the_dynamics_learns_the_codes_of_its_episodes(walked: GenieRecipe, tmp_path: Path) -> None:
    loop = replace(walked.dynamics.loop, num_steps=40, log_every=10)
    maskgit.main(replace(walked.dynamics, run=tmp_path / "run", loop=loop, batch_size=4))
    rows = RunDir(tmp_path / "run").read_log()
    assert rows[-1]["cross_entropy"] < rows[0]["cross_entropy"]


def test_recorded_controls_can_be_the_actions(walked: GenieRecipe, data: Path) -> None:
    width = Dataset(data).info.controls.width
    model = replace(walked.dynamics.model, num_actions=0, control_width=width)
    stage = MaskGITStage(replace(walked.dynamics, actions=RecordedControls(), model=model))
    loss, _ = stage.loss(0, 0, torch.Generator().manual_seed(0))
    assert torch.isfinite(loss)


def test_latent_actions_can_see_codes(walked: GenieRecipe) -> None:
    sizes = walked.tokenizer.model
    seen = CodeInput(rows=sizes.rows, columns=sizes.columns, num_codes=sizes.num_codes)
    model = replace(walked.latent_actions.model, input=seen, draws="frame")
    with pytest.raises(ConfigError, match='errors "step" are of pixels'):
        replace(walked.latent_actions, model=model, tokenizer=walked.tokenizer.run / "tokenizer")
    config = replace(
        walked.latent_actions, model=model, tokenizer=walked.tokenizer.run / "tokenizer", errors="batch"
    )
    stage = latent_actions.LatentActionsStage(config)
    loss, metrics = stage.loss(0, 0, torch.Generator().manual_seed(0))
    loss.backward()
    assert float(metrics["cross_entropy"]) > 0
    with pytest.raises(ConfigError, match="makes 16 codes on a grid of 4 x 8, the latent action model is"):
        latent_actions.LatentActionsStage(replace(config, model=replace(model, input=replace(seen, rows=3))))


def test_a_tokenizer_that_does_not_belong_to_the_dynamics_is_refused(walked: GenieRecipe) -> None:
    for change in ({"num_codes": 32}, {"rows": 2}):
        with pytest.raises(
            ConfigError,
            match=r"makes 16 codes on a grid of 4 x 8, the dynamics is for .*; pass the tokenizer",
        ):
            MaskGITStage(replace(walked.dynamics, model=replace(walked.dynamics.model, **change)))


def test_actions_that_do_not_fit_the_dynamics_are_refused(walked: GenieRecipe) -> None:
    model = replace(walked.dynamics.model, num_actions=5)
    with pytest.raises(
        ConfigError, match="the latent actions are 4 vectors of 6 numbers, the dynamics takes 5"
    ):
        MaskGITStage(replace(walked.dynamics, model=model))


def test_frames_of_another_size_are_refused(walked: GenieRecipe) -> None:
    tokenizer = replace(walked.tokenizer, model=replace(walked.tokenizer.model, height=64))
    with pytest.raises(ConfigError, match="has frames of 32 x 64, the tokenizer is for 64 x 64; set its"):
        tokenizer_vq.TokenizerVQStage(tokenizer)
    seen = PixelInput(height=64, width=64, patch=16)
    actions = replace(walked.latent_actions, model=replace(walked.latent_actions.model, input=seen))
    with pytest.raises(ConfigError, match="has frames of 32 x 64, the latent action model is for 64 x 64"):
        latent_actions.LatentActionsStage(actions)


def test_recordings_that_are_too_short_are_refused(walked: GenieRecipe) -> None:
    for stage, config in (
        (tokenizer_vq.TokenizerVQStage, walked.tokenizer),
        (latent_actions.LatentActionsStage, walked.latent_actions),
        (MaskGITStage, walked.dynamics),
    ):
        with pytest.raises(
            DataError, match=r"no episode has the 99 frames of a clip \(the longest of 2 has 13"
        ):
            stage(replace(config, clip_frames=99))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="clip_frames 1 leaves no frame 3 after another; use 4 or more"):
        replace(walked.latent_actions, clip_frames=1)


def test_an_episode_that_shows_no_outcome_of_an_action_is_refused(
    walked: GenieRecipe, tmp_path: Path
) -> None:
    record_counting(tmp_path / "short", num_episodes=1, max_steps=2)
    model = LatentActions.load(walked.latent_actions.run / "latent_actions")
    tokenizer = TokenizerVQ.load(walked.tokenizer.run / "tokenizer")
    with pytest.raises(
        DataError, match="has 3 frames, an action tells of 3 steps; leave out episodes of fewer than 4"
    ):
        infer_actions(model, Dataset(tmp_path / "short").episodes[0], tokenizer)


def test_codes_that_are_not_there_say_which_stage_makes_them(walked: GenieRecipe, tmp_path: Path) -> None:
    record_counting(tmp_path / "other", num_episodes=1)
    with pytest.raises(DataError, match="is missing; run the encode stage first"):
        MaskGITStage(replace(walked.dynamics, data=tmp_path / "other"))
