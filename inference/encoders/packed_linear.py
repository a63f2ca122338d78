"""Linear layers on CPU with their weights laid out once as oneDNN multiplies them.

torch's own lay them out anew in every call, which costs more than the product of a short text.
"""

import logging
from collections.abc import Callable

import torch
from torch.nn import Linear, Module, Parameter

log = logging.getLogger(__name__)

# Largest difference of hidden states, absolute or relative, that may be rounding.
_ROUNDING = 1e-3


class PackedLinear(Module):
    """A linear layer in fp32, for inference only. Its weight keeps shape and dtype."""

    def __init__(self, linear: Linear) -> None:
        super().__init__()
        packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self.weight = Parameter(packed, requires_grad=False)
        self.bias = linear.bias

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self.weight, self.bias, "none", [], ""
        )
        return product


def pack_linears(model: Module, run: Callable[[], torch.Tensor]) -> None:
    """Packs the linear layers of a model in fp32 on CPU, if it can do with packed ones.

    A model that reads its weights otherwise than through its layers, or a torch without these
    operators, keeps what it had.

    Args:
        model: changed in place.
        run: the model's hidden states of some input.
    """
    plain = run()
    originals = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is Linear
    ]
    try:
        for parent, name, child in originals:
            setattr(parent, name, PackedLinear(child))
        torch.testing.assert_close(run(), plain, rtol=_ROUNDING, atol=_ROUNDING)
    except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
        for parent, name, child in originals:
            setattr(parent, name, child)
        log.info("linear layers stay as they are: %s", str(error).partition("\n")[0])
