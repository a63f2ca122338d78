"""Bodies of the contracts that clients of other servers speak, a module each."""
