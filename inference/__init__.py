"""Inference for Korean bi-encoders: no Flask, no environment variables, no HTTP."""
