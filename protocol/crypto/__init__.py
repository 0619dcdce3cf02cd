"""Noise, sealing and keys: the only importer of nacl, noise, argon2 and cryptography; entropy is an argument."""
