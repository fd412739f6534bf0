"""A word that is not heard reaches nowhere, one that is heard as far as it changes the answer."""

import pytest
import torch
from torch import Tensor

from benchmarks.prompt_hits import Prompt
from benchmarks.word_reach import measure, pairs_of


def say(prompt: str, **facts: str) -> Prompt:
    return Prompt(family="environment", prompt=prompt, facts=facts)


SET = (
    say("rain at noon", weather="rain"),
    say("snow at noon", weather="snow"),
    say("snow at dusk", weather="snow"),
    say("go left", key_left="yes"),
    say("go right", key_right="yes"),
    say("go up and left", key_left="yes"),
    say("rain left", weather="rain", key_left="no"),
)


class Half:
    """Hears "snow" wholly and "right" not at all, though both enter."""

    def answer(self, prompt: str) -> tuple[Tensor, Tensor]:
        first = torch.tensor([3.0, -3.0]).repeat(2)
        words = [torch.tensor([1.0, 0.0]) if word in ("snow", "right") else torch.tensor([0.0, 1.0])
                 for word in prompt.split()]  # fmt: skip
        return first + 3.0 * ("snow" in prompt), torch.stack(words)


def test_pairs_differ_in_one_word_and_in_one_fact_that_it_names() -> None:
    found = [(fact, one.prompt, two.prompt) for fact, one, two in pairs_of(SET)]
    assert found == [("weather", "rain at noon", "snow at noon"), ("keys", "go left", "go right")]


def test_what_is_not_heard_reaches_nowhere() -> None:
    figures = measure(Half(), SET)
    assert set(figures) == {"reach.weather", "reach.keys", "apart.weather", "apart.keys"}
    assert figures["reach.keys"].value == 0.0
    assert figures["reach.weather"].value == pytest.approx(3.0 / torch.tensor([3.0, -3.0] * 2).std().item())
    assert figures["apart.keys"].value == figures["apart.weather"].value == pytest.approx(2.0**0.5)
