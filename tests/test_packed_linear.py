"""Packed linear layers against torch's own."""

import pytest
import torch
from torch.nn import Linear, Module, Sequential

from inference.encoders.packed_linear import PackedLinear, pack_linears


class _ReadsItsWeight(Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Linear(8, 8)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ self.inner.weight


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 24), (3, 7, 24), (5, 24)])
@torch.inference_mode()
def test_multiplies_as_before(shape: tuple[int, ...], bias: bool) -> None:
    linear = Linear(24, 40, bias=bias)
    rows = torch.randn(shape)
    torch.testing.assert_close(PackedLinear(linear)(rows), linear(rows))


@torch.inference_mode()
def test_packs_nested_layers() -> None:
    model = Sequential(Linear(8, 16), Sequential(torch.nn.GELU(), Linear(16, 4)))
    rows = torch.randn(2, 8)
    before = model(rows)
    pack_linears(model, lambda: model(rows))
    assert [type(module) for module in model.modules()].count(PackedLinear) == 2
    torch.testing.assert_close(model(rows), before)


@torch.inference_mode()
def test_leaves_a_model_that_cannot_do_with_them() -> None:
    model = _ReadsItsWeight()
    rows = torch.randn(2, 8)
    before, inner = model(rows), model.inner
    pack_linears(model, lambda: model(rows))
    assert model.inner is inner
    assert torch.equal(model(rows), before)


@torch.inference_mode()
def test_leaves_a_model_whose_results_would_change(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Sequential(Linear(8, 8))
    (inner,) = model
    monkeypatch.setattr(PackedLinear, "forward", lambda _, rows: rows + 1)
    pack_linears(model, lambda: model(torch.ones(1, 8)))
    assert model[0] is inner
