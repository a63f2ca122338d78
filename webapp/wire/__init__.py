"""Bodies of the contracts that clients of other servers speak, a module each."""

from pydantic import BaseModel, ConfigDict


class WireBody(BaseModel):
    """A request of another server's clients: fields that only that server knows are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)
