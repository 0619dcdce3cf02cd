"""Planted bugs, and the scenarios that must fail with them: `planted_*.toml`, the scripts, and what these use."""
