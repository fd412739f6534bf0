"""The branch obeys keys, words and video prompts; untrained it changes not one bit of the base."""

from dataclasses import replace

import pytest
import torch

from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_masked import clip_conditions
from paracosm.models.instruct import InstructNet, predict_instructed
from tests.tiny import CONTROLS, perturb, ungraded
from tests.tiny_instruct import (
    INS,
    KINDS,
    Kind,
    base,
    base_config,
    branch,
    branch_config,
    draw,
    flow_like,
    told,
    words,
)

CONDITIONS = torch.tensor([clip_conditions(15.0, 16, 24, 3)] * 2)
LEVELS = torch.full((2, 3), 0.7)


@pytest.mark.parametrize("kind", KINDS)
def test_an_untrained_branch_gives_the_base_output_exactly(kind: Kind) -> None:
    frozen, noisy = base(kind), draw(0, 2, 3, 4, 4, 6)
    untrained = InstructNet(branch_config(kind))
    inputs = (noisy, LEVELS, words("night", ""), CONDITIONS)
    alone = predict_instructed(frozen, None, *inputs, None)
    assert torch.equal(alone, predict_instructed(frozen, untrained, *inputs, told(3, "jump", "open")))
    untrained.begin_from(frozen)
    assert torch.equal(alone, predict_instructed(frozen, untrained, *inputs, told(3, "jump", "open")))


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_of_the_branch_learns_through_the_frozen_base(kind: Kind) -> None:
    frozen, net = base(kind).requires_grad_(False), branch(kind).train()
    noisy = draw(0, 2, 3, 4, 4, 6)
    instructions = told(3, "jump", "open")
    instructions.known[0, 0] = False
    made = predict_instructed(frozen, net, noisy, LEVELS, words("", ""), CONDITIONS, instructions)
    made.square().mean().backward()
    assert ungraded(net) == []
    assert all(parameter.grad is None for parameter in frozen.parameters())


def test_keys_words_and_guide_each_change_what_is_made() -> None:
    frozen, net, noisy = base(), branch(), draw(0, 2, 3, 4, 4, 6)

    def made(**changes: torch.Tensor) -> torch.Tensor:
        instructions = replace(told(3, "jump", "open"), **changes)
        return predict_instructed(frozen, net, noisy, LEVELS, words("", ""), CONDITIONS, instructions)

    whole, usual = made(), told(3, "jump", "open")
    no_keys = made(known=torch.zeros(2, 3, dtype=torch.bool))
    no_guide = made(guided=torch.zeros(2, 3, dtype=torch.bool))
    no_words = made(text=usual.text.keep(torch.tensor([False, False])))  # pyright: ignore[reportArgumentType]
    for other in (no_keys, no_guide, no_words, made(controls=-usual.controls), made(guide=-usual.guide)):
        assert not torch.allclose(whole, other, atol=1e-4)
    assert torch.allclose(no_keys, made(known=torch.zeros(2, 3, dtype=torch.bool), controls=-usual.controls))


def test_the_branch_begins_with_the_base_blocks_of_its_own_kind() -> None:
    frozen, net = base("alternating"), InstructNet(branch_config("alternating", depth=2))
    net.begin_from(frozen)
    assert [frozen.config.attention_of(i) for i in range(4)] == ["space", "time", "space", "time"]
    for own, source in ((0, 0), (1, 3)):
        taken = net.blocks[own].state_dict()
        assert all(
            torch.equal(taken[name], value) for name, value in frozen.blocks[source].state_dict().items()
        )
    with pytest.raises(ConfigError, match=r"set model\.base to the base's own config"):
        net.begin_from(base("joint"))


@pytest.mark.parametrize("fields", [INS, ("text", "light", "misc")])  # more than the base has, and as many
def test_a_branch_reads_kept_words_as_the_base_does_in_the_fields_that_both_have(
    fields: tuple[str, ...],
) -> None:
    frozen = base("kept words")
    net = InstructNet(replace(branch_config("kept words"), fields=fields))
    perturb(net, 1)
    before = net.entry.words.leave.weight.clone()  # pyright: ignore
    net.begin_from(frozen)
    own, given = net.entry.words.leave, frozen.entry.words.leave  # pyright: ignore
    assert torch.equal(own.weight[:, :32], given.weight[:, :32])
    assert torch.equal(own.weight[:, 32:], before[:, 32:])
    assert torch.equal(own.bias, given.bias)
    assert torch.equal(net.text.turn, frozen.text.turn)  # pyright: ignore
    assert torch.equal(net.spoken.leave.weight[:, :32], frozen.spoken.leave.weight[:, :32])  # pyright: ignore


def test_a_depth_that_does_not_divide_the_base_is_refused() -> None:
    with pytest.raises(ConfigError, match="depth 3 of the branch does not divide the base's 4 blocks"):
        replace(branch_config(), depth=3)
    with pytest.raises(ConfigError, match="must name each field once"):
        replace(branch_config(), fields=())
    assert branch_config().base == base_config()


def test_it_is_saved_and_loaded_whole(tmp_path) -> None:
    net = branch()
    net.save(tmp_path / "branch")
    again = InstructNet.load(tmp_path / "branch")
    assert again.config == net.config
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in again.state_dict().items())


def test_it_begins_to_hear_keys_as_the_dynamics_that_its_base_began_with() -> None:
    frozen, net = base("own norms"), InstructNet(branch_config("own norms", depth=4))
    flow = flow_like(frozen.config)
    frozen.begin_from(flow)
    net.begin_from(frozen)
    net.hear_as(flow)
    controls, levels = draw(1, 2, 3, CONTROLS.width), torch.tensor([[0.0, 0.5, 1.0]] * 2)
    for known in (torch.ones(2, 3, dtype=torch.bool), torch.zeros(2, 3, dtype=torch.bool)):
        heard = net.entry.level(levels) + net.control(controls, known)
        assert torch.allclose(heard, flow.level(levels) + flow.control(controls, known), atol=1e-5)
    for own, before in zip(net.blocks, flow.blocks, strict=True):
        assert torch.equal(own.own.enter.weight, before.time.enter.weight)  # pyright: ignore
    assert torch.equal(net.blocks[0].words.ask.weight, frozen.blocks[0].words.ask.weight)  # pyright: ignore
    with pytest.raises(ConfigError, match=r"in 4 blocks, the branch 5, \(6\.0, 3\.0\), 2; set model"):
        branch().hear_as(flow)
    with pytest.raises(ConfigError, match=r'modulation "own" \(now "shared"\)'):
        InstructNet(branch_config(depth=4)).hear_as(flow)
    with pytest.raises(ConfigError, match=r"width 48.*needs the same \(now width 32\)"):
        net.hear_as(flow_like(replace(frozen.config, width=48)))


def test_words_act_where_keys_are_silent_on_new_frames_alone() -> None:
    frozen, net, noisy = base("own norms"), branch("own norms"), draw(0, 2, 3, 4, 4, 6)
    levels = torch.tensor([[0.0, 0.7, 0.7]] * 2)
    usual = told(3, "jump", "open")

    def heard(known: torch.Tensor) -> list[torch.Tensor]:
        seen = []
        hook = net.blocks[0].register_forward_pre_hook(lambda _, given: seen.append(given[1]))
        for spoken in (1.0, 0.0):
            with torch.no_grad():
                net.spoken.leave.bias.fill_(spoken)  # pyright: ignore
            net(noisy, levels, CONDITIONS, replace(usual, known=known))
        hook.remove()
        return seen

    loud, quiet = heard(torch.zeros(2, 3, dtype=torch.bool))
    differs = (loud - quiet).abs().amax(-1) > 0.5
    assert differs.tolist() == [[False, True, True]] * 2
    loud, quiet = heard(torch.ones(2, 3, dtype=torch.bool))
    assert torch.equal(loud, quiet)
    assert frozen.config == net.config.base


def test_misheard_words_are_measured_against_the_keys_held() -> None:
    net, usual, new = branch("own norms"), told(3, "jump", "open"), torch.tensor([[False, True, True]] * 2)
    heard = net.control(usual.controls, torch.ones(2, 3, dtype=torch.bool)) - net.control.null
    keys = heard[:, 1:].mean(1).detach()
    with torch.no_grad():
        for part in net.spoken.leave.parameters():  # pyright: ignore
            part.zero_()
    far = net.misheard(usual, new).detach()
    assert torch.allclose(far, keys.square().mean(-1) / keys.square().mean(), atol=1e-5)
    with torch.no_grad():
        net.spoken.leave.bias.copy_(keys[0])  # pyright: ignore
    near = net.misheard(usual, new).detach()
    assert float(near[0]) < 1e-6 < float(near[1])
    with pytest.raises(ConfigError, match="words reach no norms"):
        branch().misheard(usual, new)
