"""What the training computes with: bfloat16 where the machine is fast with it, else float32."""

import torch

from inference.device import has_fast_bf16


def precision(device: str) -> str:
    """``bf16`` on a GPU and on processors with instructions for it, ``fp32`` on others."""
    return "bf16" if torch.device(device).type != "cpu" or has_fast_bf16() else "fp32"


def autocast(device: torch.device) -> torch.autocast:
    """A context in which products are computed so; weights and gradients stay float32."""
    enabled = precision(device.type) == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
